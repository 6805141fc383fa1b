// Filters, sorts and turns over the rows of a table's page; _static/tables/NAME.js holds them all.
(() => {
  const PAGE = 50;  // as in book/_ext/book_tables.py
  const texts = new Intl.Collator("en", { numeric: true });
  const count = (number) => number.toLocaleString("en");

  function escaped(text) {
    return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  }

  function unpacked(column) {
    if (typeof column === "string") return column.split("\t");
    const distinct = column.of.split("\t");
    return column.at.split(" ").map((code) => distinct[parseInt(code, 36)]);
  }

  function enliven(box) {
    const { columns, numbers, long, links, cells } = window.llmeconTables[box.dataset.table];
    const byColumn = cells.map(unpacked);
    const checked = columns.indexOf("checked");
    const shown = columns.map((_, i) => i).filter((i) => i !== checked);
    const kinds = columns.map((column) =>
      long.includes(column) ? ' class="long"' : numbers.includes(column) ? ' class="number"' : "");
    const seen = new Set();
    const rows = byColumn[0].map((_, number) => {
      const row = byColumn.map((column) => column[number]);
      const isFirst = columns[0] === "id" && !seen.has(row[0]);
      seen.add(row[0]);
      return {
        cells: row,
        anchor: isFirst ? `row-${row[0]}` : "",
        doubtful: checked >= 0 && row[checked] !== "true",
        text: shown.map((i) => row[i]).join("\n").toLowerCase(),
      };
    });
    const known = Object.fromEntries(
      Object.entries(links).map(([column, [table, ids]]) => [column, { table, ids: new Set(ids) }]),
    );

    function content(row, i) {
      const text = escaped(row.cells[i]);
      if (columns[i] === "source") {
        const sources = row.cells[i].split(/[;\s]+/).filter(Boolean).map(escaped)
          .map((key) => `<a href="${box.dataset.up}references.html#ref-${key}">${key}</a>`);
        const mark = row.doubtful ? ' <span class="llmecon-unchecked">unchecked</span>' : "";
        return sources.join("; ") + mark;
      }
      const other = known[columns[i]];
      return other?.ids.has(row.cells[i]) ? `<a href="${other.table}.html#row-${text}">${text}</a>` : text;
    }

    function markup(row) {
      const cells = shown.map((i) => `<td${kinds[i]}>${content(row, i)}</td>`);
      const anchor = row.anchor ? ` id="${escaped(row.anchor)}" tabindex="-1"` : "";
      return `<tr${anchor}${row.doubtful ? ' class="unchecked"' : ""}>${cells.join("")}</tr>`;
    }

    let chosen = rows;
    let first = 0;
    let order = null;  // { column, falling }

    const status = box.querySelector("[role=status]");
    const body = box.querySelector("tbody");
    const bar = document.createElement("div");
    bar.className = "llmecon-table-bar";
    bar.innerHTML =
      '<label>Filter <input type="search" placeholder="words in any column" autocomplete="off"></label>'
      + (rows.some((row) => row.doubtful)
        ? '<label><input type="checkbox"> unchecked rows only</label>' : "")
      + '<span><button type="button" data-turn="-1">Previous</button> '
      + '<button type="button" data-turn="1">Next</button></span>';
    const filter = bar.querySelector("input[type=search]");
    const doubtful = bar.querySelector("input[type=checkbox]");
    const turns = [...bar.querySelectorAll("button")];
    box.querySelector(".llmecon-scroll").before(bar);

    function draw() {
      body.innerHTML = chosen.slice(first, first + PAGE).map(markup).join("");
      const last = Math.min(first + PAGE, chosen.length);
      const total = chosen.length < rows.length ? `, of ${count(rows.length)} in all` : "";
      status.textContent = chosen.length
        ? `Rows ${count(first + 1)} to ${count(last)} of ${count(chosen.length)}${total}` : "No row matches";
      turns[0].disabled = first === 0;
      turns[1].disabled = last === chosen.length;
      turns[0].parentElement.hidden = rows.length <= PAGE;
    }

    function choose() {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      chosen = rows.filter((row) =>
        words.every((word) => row.text.includes(word)) && (!doubtful?.checked || row.doubtful));
      if (order) {
        const { column, falling } = order;
        const isNumber = numbers.includes(columns[column]);
        chosen = chosen.sort((a, b) => {
          const [x, y] = [a.cells[column], b.cells[column]];
          if (!x || !y) return !x - !y;  // empty cells come last either way
          const sign = isNumber ? x - y : texts.compare(x, y);
          return falling ? -sign : sign;
        });
      }
      first = 0;
      draw();
    }

    filter.addEventListener("input", choose);
    doubtful?.addEventListener("change", choose);
    for (const turn of turns) {
      turn.addEventListener("click", () => {
        first += PAGE * Number(turn.dataset.turn);
        draw();
      });
    }
    const heads = [...box.querySelectorAll("thead th")];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      const about = head.getAttribute("aria-describedby");
      if (about) button.setAttribute("aria-describedby", about);
      head.removeAttribute("aria-describedby");
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const falling = order?.column === shown[place] && !order.falling;
        order = { column: shown[place], falling };
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        choose();
      });
    });

    // The row that the address names, for example from the search or another table.
    function visit() {
      const anchor = decodeURIComponent(location.hash.slice(1));
      if (!rows.some((row) => row.anchor && row.anchor === anchor)) return;
      const place = chosen.findIndex((row) => row.anchor === anchor);
      if (place < 0) {
        filter.value = "";
        if (doubtful) doubtful.checked = false;
        choose();
        return visit();
      }
      first = place - (place % PAGE);
      draw();
      const row = document.getElementById(anchor);
      row.classList.add("llmecon-visited");
      row.scrollIntoView({ block: "center" });
      row.focus({ preventScroll: true });
    }
    addEventListener("hashchange", visit);
    draw();
    visit();
  }

  function start() {
    for (const box of document.querySelectorAll(".llmecon-table")) {
      if (window.llmeconTables?.[box.dataset.table]) enliven(box);
    }
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
