// Turns the charts on a page into live ones, when they come near the window or the browser is idle,
// and lets what is wider than a phone be scrolled with the keyboard.
(() => {
  const NEAR = "600px";

  async function enliven(box) {
    if (box.dataset.state || !box.offsetWidth || !window.vegaEmbed) return;
    box.dataset.state = "drawing";
    const spec = JSON.parse(box.querySelector("script").textContent);
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
      box.after(numbers(spec));
    } catch (error) {
      live.remove();  // the still picture stays
      box.dataset.state = "still";
      throw error;
    }
  }

  // The rows behind a chart, under the names that its tooltips use; made when first opened.
  function numbers(spec) {
    const details = document.createElement("details");
    details.className = "llmecon-numbers";
    details.innerHTML = "<summary>Numbers in this chart</summary>";
    details.addEventListener("toggle", () => {
      if (details.children.length > 1) return;
      const layer = [spec, ...(spec.layer ?? [])].find((l) => Array.isArray(l.encoding?.tooltip));
      if (!layer) return;
      const { name, values } = layer.data ?? spec.data;
      const rows = values ?? spec.datasets[name];
      const columns = layer.encoding.tooltip;
      const table = document.createElement("table");
      const head = table.createTHead().insertRow();
      for (const column of columns) {
        const cell = document.createElement("th");
        cell.scope = "col";
        cell.textContent = column.title ?? column.field;
        head.append(cell);
      }
      const body = table.createTBody();
      for (const row of rows) {
        const line = body.insertRow();
        for (const column of columns) {
          const value = row[column.field];
          const cell = line.insertCell();
          cell.textContent = value ?? "";
          if (typeof value === "number") cell.className = "number";
        }
      }
      details.append(scroller(table, "Numbers in this chart"));
    });
    return details;
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
    for (const table of document.querySelectorAll(".cell_output table")) {
      if (!table.closest(".llmecon-scroll, .pst-scrollable-table-container")) scroller(table, "Table");
      for (const cell of table.querySelectorAll("td")) {
        if (/^(?:\u2013|[+\u2212-]?[\d.,]+%?)$/.test(cell.textContent.trim())) cell.classList.add("number");
      }
    }
    const reachable = () => {
      for (const box of document.querySelectorAll("div.highlight pre, div.math, mjx-container")) {
        if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      }
    };
    reachable();
    window.MathJax?.startup?.promise?.then(reachable);

    const boxes = [...document.querySelectorAll(".llmecon-chart")];
    const watch = new IntersectionObserver(
      (entries) => entries.filter((e) => e.isIntersecting).forEach((e) => enliven(e.target)),
      { rootMargin: NEAR },
    );
    boxes.forEach((box) => watch.observe(box));
    const later = window.requestIdleCallback ?? ((run) => setTimeout(run, 200));
    const rest = [...boxes];
    const next = () => rest.length && enliven(rest.shift()).finally(() => later(next));
    later(next);
  }

  if (document.readyState === "complete") start();
  else window.addEventListener("load", start);  // by then the deferred chart script has run
})();
