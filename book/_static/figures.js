// Under each figure and table: its data, as a table and as CSV, and where its numbers come from.
(() => {
  // A chart's specification, its rows unpacked from columns; read once.
  const read = new WeakMap();
  // A column of rows: a list, places in a list of distinct values, or places of runs of equal rows.
  function unpacked(column) {
    if (Array.isArray(column)) return column;
    const values = column.at.map((place) => column.of[place]);
    return column.runs ? values.flatMap((value, i) => Array(column.runs[i]).fill(value)) : values;
  }
  function specification(box) {
    if (!read.has(box)) {
      const spec = JSON.parse(box.querySelector("script").textContent);
      const look = document.getElementById("llmecon-look");
      if (look) spec.config ??= JSON.parse(look.textContent);
      for (const [name, columns] of Object.entries(spec.datasets ?? {})) {
        if (Array.isArray(columns)) continue;
        const cells = Object.entries(columns).map(([column, values]) => [column, unpacked(values)]);
        const rows = Array.from({ length: cells[0]?.[1].length ?? 0 }, () => ({}));
        for (const [column, values] of cells) rows.forEach((row, i) => { row[column] = values[i]; });
        spec.datasets[name] = rows;
      }
      read.set(box, spec);
    }
    return read.get(box);
  }
  window.llmecon = { ...window.llmecon, specification };

  // The rows behind a chart, under the names that its tooltips use.
  function data(spec) {
    const layer = [spec, ...(spec.layer ?? [])].find((l) => Array.isArray(l.encoding?.tooltip));
    if (!layer) return null;
    const { name, values } = layer.data ?? spec.data;
    const columns = layer.encoding.tooltip;
    const rows = values ?? spec.datasets[name];
    return {
      head: columns.map((column) => column.title ?? column.field),
      rows: rows.map((row) => columns.map((column) => row[column.field] ?? "")),
    };
  }

  function csv({ head, rows }) {
    const cell = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
    return [head, ...rows].map((row) => row.map(cell).join(",") + "\n").join("");
  }

  function tabled({ head, rows }) {
    const table = document.createElement("table");
    const titles = table.createTHead().insertRow();
    for (const text of head) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = text;
      titles.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const value of row) {
        const cell = line.insertCell();
        cell.textContent = value;
        if (typeof value === "number") cell.className = "number";
      }
    }
    const box = document.createElement("div");
    box.className = "llmecon-scroll";
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", "Data of this figure");
    box.append(table);
    return box;
  }

  function download(name, text) {
    const link = document.createElement("a");
    link.download = name;
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  function button(text, act, title) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    if (title) made.title = title;
    made.addEventListener("click", act);
    return made;
  }

  let panels = 0;
  // A button that opens and closes a panel below the row; one panel of a row is open at a time.
  // What may change is filled in anew each time.
  function opener(row, text, fill, changing = false) {
    const panel = document.createElement("div");
    panel.className = "llmecon-drawer";
    panel.id = `llmecon-drawer-${++panels}`;
    panel.hidden = true;
    const made = button(text, () => {
      const open = panel.hidden;
      if (open && (changing || !panel.hasChildNodes())) panel.replaceChildren(...fill());
      for (const other of row.querySelectorAll("[aria-expanded=true]")) {
        other.setAttribute("aria-expanded", "false");
        document.getElementById(other.getAttribute("aria-controls")).hidden = true;
      }
      panel.hidden = !open;
      made.setAttribute("aria-expanded", String(open));
    });
    made.setAttribute("aria-expanded", "false");
    made.setAttribute("aria-controls", panel.id);
    row.append(made);
    return panel;
  }

  // What several figures rest on is said once in the page.
  const said = new Map();
  function inFull(part) {
    for (const short of part.querySelectorAll("[data-as]")) {
      const whole = said.get(short.dataset.as).cloneNode(true);
      whole.removeAttribute("id");
      short.replaceWith(whole);
    }
    return part;
  }

  function furnish(owner) {
    const row = document.createElement("div");
    row.className = "llmecon-row";
    row.setAttribute("role", "group");
    const below = [];
    const box = owner.querySelector(".llmecon-chart");
    const live = owner.matches(".llmecon-panel");
    const sources = owner.querySelector(":scope > .llmecon-sources");
    const link = owner.querySelector(":scope > .llmecon-csv");
    if (box || live) {
      row.setAttribute("aria-label", "About this figure");
      const behind = () => (live ? owner.llmecon?.data() : data(specification(box))) ?? { head: [], rows: [] };
      const title = owner.querySelector(".llmecon-title, .llmecon-question")?.textContent ?? "figure";
      const name = title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60).replace(/^-|-$/g, "");
      below.push(opener(row, "Data", () => [tabled(behind())], live));
      row.append(button("CSV", () => download(`${name}.csv`, csv(behind())), "Download the data of this figure"));
    } else {
      row.setAttribute("aria-label", "About this table");
      if (link) row.append(link);
    }
    if (sources) {
      below.push(opener(row, "Sources", () => [...inFull(sources).children].slice(1)));
      sources.remove();
    }
    if (row.children.length) owner.append(row, ...below);
  }

  function start() {
    for (const part of document.querySelectorAll(".llmecon-sources [id]")) said.set(part.id, part);
    document.querySelectorAll("figure.llmecon-figure, .llmecon-tabled, .llmecon-panel").forEach(furnish);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
