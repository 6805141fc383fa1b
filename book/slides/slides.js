// Starts reveal.js, draws the charts of slides when they come near, and sets smaller what would not
// fit on its slide.
(() => {
  const [LEAST, MOST] = [0.5, 1.75];  // of the sizes that charts have in the book
  const COLUMN = 540;  // height of a chart of rows from which these stand in several columns
  const [SMALLEST, LARGEST] = [0.6, 1.3];  // of the size that text on slides has
  const READABLE = 1.5;  // scale at which a chart's text is read from the last row
  const LOWEST = 0.72;  // share of its height that a chart with two scales keeps for that
  const printing = /print-pdf/i.test(location.search) || /view=print/i.test(location.search);

  document.documentElement.classList.toggle("in-notes", /receiver/i.test(location.search));

  // ------------------------------------------------------------------ dark and light

  const root = document.documentElement;
  function theme(name) {
    root.dataset.theme = printing ? "light" : name;
  }
  function flip() {
    theme(root.dataset.theme === "dark" ? "light" : "dark");
    try { localStorage.setItem("llmecon-slides", root.dataset.theme); } catch { /* a page may not keep anything */ }
  }
  let kept = null;
  try { kept = localStorage.getItem("llmecon-slides"); } catch { /* nor read it */ }
  theme(kept ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));

  // ------------------------------------------------------------------ charts

  // The names of a chart's rows in their order; null for a chart of another kind.
  function named(spec) {
    const tables = Object.values(spec.datasets ?? {}).filter((rows) => rows[0] && "lines" in rows[0]);
    const placed = (spec.layer ?? []).filter((layer) => layer.encoding?.y);
    const rows = placed.length && placed.every((layer) => layer.encoding.y.field === "lines");
    return rows && tables.length === 1 && spec.height ? [...new Set(tables[0].map((row) => row.lines))] : null;
  }

  // A chart of rows with no more room between these than their names need; of many rows, in columns
  // side by side.
  function columns(spec, names) {
    const lines = Math.max(...names.map((name) => String(name).split("\n").length));
    const step = Math.min(spec.height / names.length, Math.max(13.5 * lines + 2, 22));
    const count = spec.height > 1.9 * COLUMN ? 3 : spec.height > COLUMN ? 2 : 1;
    const each = Math.ceil(names.length / count);
    return Array.from({ length: count }, (_, i) => {
      const mine = new Set(names.slice(i * each, (i + 1) * each));
      const copy = structuredClone(spec);
      for (const [name, all] of Object.entries(copy.datasets)) copy.datasets[name] = all.filter((row) => !("lines" in row) || mine.has(row.lines));
      copy.height = step * mine.size + 8;
      return copy;
    });
  }

  // A chart with two scales may be lower than in the book, so that its text is larger. What stands
  // at a distance from its lower end keeps that distance.
  function lowered(spec, height) {
    const layers = spec.layer ?? [];
    const free = !spec.params?.some((p) => p.name === "box") && layers.some((l) => l.encoding?.y?.type === "quantitative");
    if (!free || !spec.height) return spec;
    const to = Math.round(Math.max(LOWEST * spec.height, Math.min(spec.height, height / READABLE - 55)));
    const copy = structuredClone(spec);
    copy.height = to;
    for (const { mark } of copy.layer) {
      for (const end of ["y", "y2"]) if (mark?.[end] > spec.height / 2) mark[end] -= spec.height - to;
    }
    return copy;
  }

  // Names at the ends of lines, which then stand too close, are pushed apart.
  function apart(svg, height) {
    const columns = new Map();
    for (const text of texts(svg)) {
      const [x, y] = text.getAttribute("transform").match(/-?[\d.]+/g).map(Number);
      const rows = Math.max(text.querySelectorAll("tspan").length, 1);
      const near = [...columns.keys()].find((other) => Math.abs(other - x) < 4) ?? x;
      columns.set(near, [...(columns.get(near) ?? []), { text, x, y, high: 13 * rows + 1, to: y }]);
    }
    for (const names of columns.values()) {
      names.sort((a, b) => a.y - b.y);
      for (let turn = 0; turn < 60; turn++) {
        for (let i = 0; i + 1 < names.length; i++) {
          const missing = names[i].to + names[i].high - names[i + 1].to;
          if (missing > 0) { names[i].to -= missing / 2; names[i + 1].to += missing / 2; }
        }
      }
      const last = names[names.length - 1];
      const over = Math.max(last.to + last.high - 13 - height, 0);
      for (const { text, x, to } of names) text.setAttribute("transform", `translate(${x},${to - over})`);
    }
  }

  function texts(svg) {
    return [...svg.querySelectorAll("g.mark-text.role-mark > text")].filter((text) => text.textContent.trim() && text.getAttribute("opacity") !== "0");
  }

  // Whether two words of a chart lie on each other.
  function collide(svg) {
    const boxes = texts(svg).map((text) => text.getBoundingClientRect()).filter((box) => box.width);
    const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 3 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.35 * a.height;
    return boxes.some((a, i) => boxes.slice(i + 1).some((b) => meet(a, b)));
  }

  async function drawn(box, spec, width, choices, lower) {
    const place = document.createElement("div");
    place.className = "drawn";
    box.append(place);
    const sized = { ...spec, width: spec.width === "container" ? width : spec.width };
    sized.autosize = { ...(typeof spec.autosize === "object" ? spec.autosize : {}), type: "fit-x", contains: "padding" };
    const { view } = await vegaEmbed(place, sized, {
      mode: "vega-lite", renderer: "svg", actions: false, logLevel: 1, tooltip: { theme: "llmecon" }, bind: choices,
    });
    const svg = place.querySelector("svg");
    if (lower) apart(svg, spec.height);
    return { place, view, width: Number(svg.getAttribute("width")), height: Number(svg.getAttribute("height")) };
  }

  async function draw(box) {
    if (box.dataset.state || !box.clientHeight) return;
    box.dataset.state = "drawing";
    const spec = window.llmecon.specification(box);
    const names = named(spec);
    const crowded = names && spec.height > box.clientHeight / READABLE - 40;
    let parts = crowded ? columns(spec, names) : [names ? spec : lowered(spec, box.clientHeight)];
    const choices = document.createElement("form");
    choices.className = "llmecon-choices";
    const slide = box.closest(".slide");
    const menus = slide.querySelector(".about") ?? box;
    const gap = 36;
    let scale = Math.min(MOST, Math.max(LEAST, box.clientHeight / (Math.max(...parts.map((p) => p.height ?? 300)) + 70)));
    // The height depends on the width, where names wrap, and on menus: a few turns are enough.
    for (let turn = 0; turn < 4; turn++) {
      const room = (box.clientWidth - gap * (parts.length - 1)) / parts.length;
      box.querySelectorAll(".drawn").forEach((old) => old.remove());
      choices.replaceChildren();
      const made = [];
      for (const part of parts) made.push(await drawn(box, part, room / scale, choices, !names && part.height < spec.height));
      if (choices.children.length && !choices.isConnected) menus.append(choices);
      const high = Math.max(...made.map((of) => of.height));
      const fits = Math.min(MOST, box.clientHeight / high);
      if (parts[0].height < spec.height && !names && turn < 2 && collide(box)) {
        parts = [spec];  // lower than in the book its words have no room
        scale = Math.max(LEAST, box.clientHeight / (spec.height + 50));
        continue;
      }
      if (!names && collide(box)) apart(box.querySelector("svg"), parts[0].height);
      const last = turn === 3 || (fits >= scale * 0.995 && fits < scale * 1.04);
      if (last) scale = Math.min(scale, fits);
      for (const { place } of made) {
        place.style.width = `${room}px`;
        place.style.transform = `scale(${scale})`;
      }
      if (last) break;
      scale = Math.max(LEAST, fits);
    }
    box.dataset.scale = scale.toFixed(3);
    box.dataset.state = "live";
  }

  // ------------------------------------------------------------------ text that would not fit

  function fit(slide) {
    const body = slide.querySelector(".body");
    if (!body || slide.dataset.fitted || !slide.clientHeight || slide.matches(".figure, .panel")) return;
    let size = 1;
    const sized = (to) => { size = to; slide.style.setProperty("--fit", to.toFixed(2)); };
    const over = () => body.scrollHeight > body.clientHeight + 1 || body.scrollWidth > body.clientWidth + 1;
    if (slide.matches(".headlines, .table, .list, .terms, .formula, .exercise, .quiz")) sized(LARGEST);
    while (over() && size > SMALLEST) sized(size - 0.04);
    slide.dataset.fitted = size.toFixed(2);
  }

  // The panel's own script draws as soon as it is there, and needs a slide that is shown for that.
  let panels = false;
  function enliven(slide) {
    if (panels || !slide.querySelector(".llmecon-panel")) return;
    panels = true;
    const script = document.createElement("script");
    script.src = document.querySelector("[data-live]").dataset.live;
    document.addEventListener("llmecon-panel", () => fitPanel(slide.querySelector(".llmecon-panel")));
    document.body.append(script);
  }

  function fitPanel(panel) {
    const room = panel.closest(".body").clientHeight;
    const high = panel.scrollHeight;
    if (high > room) panel.style.zoom = Math.max(SMALLEST, room / high - 0.01).toFixed(3);
  }

  async function prepare(slide) {
    fit(slide);
    if (slide.clientHeight) enliven(slide);
    for (const box of slide.querySelectorAll(".chart")) await draw(box);
  }

  async function start() {
    await Reveal.initialize({
      width: 1280, height: 720, margin: 0, center: false, hash: true, controls: true, progress: true,
      slideNumber: "c/t", transition: "none", backgroundTransition: "none", viewDistance: 2,
      pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1, keyboardCondition: () => !document.activeElement?.closest("input, select"),
      keyboard: { 84: flip },  // t
      plugins: window.RevealNotes ? [RevealNotes] : [],
    });
    Reveal.registerKeyboardShortcut("T", "Dark or light");
    document.querySelector("[data-flip]")?.addEventListener("click", flip);
    await window.MathJax?.startup?.promise;
    await document.fonts.ready;
    const all = [...document.querySelectorAll(".slide")];
    if (printing) {
      for (const slide of all) await prepare(slide);
    } else {
      const near = async () => {
        const now = Reveal.getCurrentSlide()?.querySelector(".slide");
        if (now) await prepare(now);
        for (const slide of all) if (slide !== now && slide.clientHeight) await prepare(slide);
      };
      Reveal.on("slidechanged", near);
      await near();
    }
    root.dataset.slides = "ready";
  }

  if (document.readyState === "complete") start();
  else window.addEventListener("load", start);
})();
