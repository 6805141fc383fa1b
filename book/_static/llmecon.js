// Turns the charts on a page into live ones, when they come near the window or the browser is idle,
// and lets what is wider than a phone be scrolled with the keyboard.
(() => {
  const NEAR = "600px";

  async function enliven(box) {
    if (box.dataset.state || !box.offsetWidth || !window.vegaEmbed) return;
    box.dataset.state = "drawing";
    const spec = window.llmecon.specification(box);
    const live = document.createElement("div");
    live.className = "llmecon-live";
    box.append(live);
    // What is chosen stands before the chart, not in it: a picture may hold no controls.
    const choices = document.createElement("form");
    choices.className = "llmecon-choices";
    try {
      await vegaEmbed(live, spec, {
        mode: "vega-lite", renderer: "svg", actions: false, tooltip: { theme: "llmecon" }, bind: choices,
      });
      if (choices.children.length) box.before(choices);
      box.dataset.state = "live";  // the style sheet now shows the live chart instead of the still one
    } catch (error) {
      live.remove();  // the still picture stays
      box.dataset.state = "still";
      throw error;
    }
  }

  function scroller(table, name) {
    const box = document.createElement("div");
    box.className = "llmecon-scroll";
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", name);
    table.replaceWith(box);
    box.append(table);
    return box;
  }

  function start() {
    const boxes = [...document.querySelectorAll(".llmecon-chart")];
    const watch = new IntersectionObserver(
      (entries) => entries.filter((e) => e.isIntersecting).forEach((e) => enliven(e.target)),
      { rootMargin: NEAR },
    );
    const later = window.requestIdleCallback ?? ((run) => setTimeout(run, 200));
    const rest = [...boxes];
    const next = () => {
      if (rest.length) enliven(rest.shift()).finally(() => { setMaths(); later(next); });
      else setMaths();
    };
    // Before formulas are set and all else is looked at; a report has the chart script run last.
    if (window.vegaEmbed) next();
    else later(next);
    boxes.forEach((box) => watch.observe(box));
    document.addEventListener("llmecon-panel", setMaths);
    window.addEventListener("beforeprint", () => boxes.forEach(enliven));
    later(furnish);
    unfold();
  }

  // Formulas are set once the first chart and the live panel are drawn: their script would hold
  // these up.
  function setMaths() {
    const waiting = document.querySelector("script[type='text/later']");
    if (!waiting || document.querySelector(".llmecon-panel:not([data-state])")) return;
    const script = document.createElement("script");
    script.src = waiting.src;
    script.addEventListener("load", () => window.MathJax.startup.promise.then(reachable));
    waiting.replaceWith(script);
  }

  function reachable() {
    for (const box of document.querySelectorAll("div.highlight pre, div.math, mjx-container")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    }
  }

  function furnish() {
    for (const table of document.querySelectorAll(".cell_output table")) {
      if (!table.closest(".llmecon-scroll, .pst-scrollable-table-container")) scroller(table, "Table");
      for (const cell of table.querySelectorAll("td")) {
        if (/^(?:\u2013|[+\u2212-]?[\d.,]+%?)$/.test(cell.textContent.trim())) cell.classList.add("number");
      }
    }
    reachable();
    window.MathJax?.startup?.promise?.then(reachable);  // a report has its formulas' script already
  }

  // An address may point into a section that is folded.
  function unfold() {
    const aim = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = [];
    for (let box = aim && aim.closest("details"); box; box = box.parentElement.closest("details")) folded.push(box);
    if (folded.every((box) => box.open)) return;
    for (const box of folded) box.open = true;
    aim.scrollIntoView();
  }
  addEventListener("hashchange", unfold);

  if (document.readyState === "complete") start();
  else window.addEventListener("DOMContentLoaded", start);  // by then the deferred chart script has run
})();
