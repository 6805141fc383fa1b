// What pdf.py asks of a page in Chromium: to be ready, to hand over what print shows, to fit on paper.
window.llmeconPrint = {
  // Whether all charts are drawn, which may wait until a reader comes near them, and formulas can be set.
  drawn() {
    const maths = !document.querySelector(".math") || Boolean(window.MathJax?.startup?.promise);
    const panels = [...document.querySelectorAll(".llmecon-panel")].every((panel) => panel.dataset.state);
    const waiting = [...document.querySelectorAll(".llmecon-chart")].filter(
      (box) => box.offsetWidth && !["live", "still"].includes(box.dataset.state),
    );
    waiting[0]?.scrollIntoView();
    return document.readyState === "complete" && !waiting.length && maths && panels
      && !document.querySelector('[data-state="drawing"]');
  },

  // Sets formulas, brings the page into the state for paper, loads images and fonts.
  async settle() {
    await window.MathJax?.startup?.promise;
    window.dispatchEvent(new Event("beforeprint"));
    const images = [...document.images];
    for (const image of images) image.loading = "eager";
    await Promise.all([document.fonts.ready, ...images.map((image) => image.decode().catch(() => {}))]);
  },

  addresses() {
    return [...document.querySelectorAll("article.bd-article a[href]")].map((link) => link.href);
  },

  // What print shows of the page, under ids of its own.
  //   key: the page's id in the book, and the beginning of all its ids
  //   targets: for each link where it leads in the book, or null for plain text
  //   title: the book's, which the first page bears; there it gives way to "Overview"
  //   note: text to put under the page's title, if any
  take({ key, targets, title, note }) {
    const article = document.querySelector("article.bd-article");
    article.querySelectorAll("a[href]").forEach((link, i) => {
      if (targets[i]) link.setAttribute("href", targets[i]);
      else link.replaceWith(...link.childNodes);
    });
    [...article.querySelectorAll("*:not(svg *)")]
      .filter((element) => getComputedStyle(element).display === "none")
      .forEach((element) => element.remove());
    for (const folded of article.querySelectorAll("details:not([open]) > :not(summary)")) folded.remove();
    for (const image of article.querySelectorAll("img")) image.src = image.src;
    const first = article.querySelector("h1");
    if (first?.textContent.trim() === title) first.textContent = "Overview";
    if (note) {
      const noted = document.createElement("p");
      noted.className = "llmecon-book-note";
      noted.textContent = note;
      first?.after(noted);
    }
    const own = (id) => `${key}--${id}`;
    for (const element of article.querySelectorAll("*")) {
      for (const { name, value } of [...element.attributes]) {
        if (name === "id") element.id = own(value);
        else if (value.includes("url(#")) element.setAttribute(name, value.replaceAll("url(#", `url(#${key}--`));
        else if (/^aria-(labelledby|describedby)$/.test(name)) element.setAttribute(name, value.replace(/\S+/g, own));
        else if (/href$/.test(name) && element.closest("svg")) element.setAttribute(name, value.replace(/^#/, `#${key}--`));
      }
    }
    const headings = [...article.querySelectorAll("h1, h2")].map((heading) => {
      const level = Number(heading.tagName[1]);
      const id = level > 1 && (heading.closest("section")?.id || heading.id);
      return { level, id: id || key, text: heading.textContent.trim() };
    });
    return {
      body: article.innerHTML,
      headings,
      sheets: [...document.querySelectorAll("link[rel=stylesheet]")].map((link) => link.href),
      rules: [...document.querySelectorAll("style[id^=MJX]")].map((style) => style.textContent),
    };
  },

  // In the joined pages: small print for tables that are too wide, charts no taller than a page,
  // no links to what print left out.
  fit(height) {
    for (const table of document.querySelectorAll("article table")) {
      const room = table.closest("article").clientWidth;
      const size = parseFloat(getComputedStyle(table).fontSize);
      for (const share of [0.92, 0.84, 0.76, 0.68]) {
        if (table.scrollWidth <= room) break;
        table.style.fontSize = `${share * size}px`;
      }
      if (table.scrollWidth > room) table.style.overflowWrap = "anywhere";
    }
    for (const figure of document.querySelectorAll("figure, .llmecon-panel")) {
      const picture = figure.querySelector(".llmecon-chart") ?? figure;
      const [whole, drawn] = [figure, picture].map((box) => box.getBoundingClientRect().height);
      if (whole > height) picture.style.maxWidth = `${(100 * (drawn - whole + height)) / drawn}%`;
    }
    for (const link of document.querySelectorAll('a[href^="#"]')) {
      const id = decodeURIComponent(link.getAttribute("href").slice(1));
      if (document.getElementById(id)) continue;
      const page = id.split("--")[0];
      if (document.getElementById(page)) link.setAttribute("href", `#${page}`);
      else link.replaceWith(...link.childNodes);
    }
  },

  // Fills in the page numbers of the table of contents.
  number(pages) {
    for (const link of document.querySelectorAll(".llmecon-book-contents a")) {
      link.querySelector(".number").textContent = pages[link.getAttribute("href").slice(1)] ?? "";
    }
  },
};
