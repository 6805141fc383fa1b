// Starts reveal.js, draws the charts of slides when they come near, and sets smaller what would not
// fit on its slide.
(() => {
  const [LEAST, MOST] = [0.5, 1.75];  // of the sizes that charts have in the book
  const COLUMN = 540;  // height of a chart of rows from which these stand in several columns
  const SMALLEST = 0.6;  // of the size that text on slides has
  const printing = /print-pdf/i.test(location.search) || /view=print/i.test(location.search);

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

  // A chart of many rows in columns side by side, each with its share of the rows.
  function columns(spec) {
    const [data] = Object.values(spec.datasets ?? {});
    const layers = spec.layer ?? [];
    const rows = layers.length && layers.every((layer) => layer.encoding?.y?.field === "lines");
    if (!rows || !(spec.height > COLUMN) || Object.keys(spec.datasets).length > 1) return [spec];
    const names = [...new Set(data.map((row) => row.lines))];
    const count = spec.height > 1.9 * COLUMN ? 3 : 2;
    const each = Math.ceil(names.length / count);
    return Array.from({ length: count }, (_, i) => {
      const mine = new Set(names.slice(i * each, (i + 1) * each));
      const copy = structuredClone(spec);
      for (const [name, all] of Object.entries(copy.datasets)) copy.datasets[name] = all.filter((row) => mine.has(row.lines));
      // Every column is as high as the first, so that rows are alike in all.
      copy.height = (spec.height * each) / names.length * (mine.size / each);
      return copy;
    });
  }

  async function drawn(box, spec, width, choices) {
    const place = document.createElement("div");
    place.className = "drawn";
    box.append(place);
    const sized = { ...spec, width: spec.width === "container" ? width : spec.width };
    sized.autosize = { ...(typeof spec.autosize === "object" ? spec.autosize : {}), type: "fit-x", contains: "padding" };
    const { view } = await vegaEmbed(place, sized, {
      mode: "vega-lite", renderer: "svg", actions: false, logLevel: 1, tooltip: { theme: "llmecon" }, bind: choices,
    });
    const svg = place.querySelector("svg");
    return { place, view, width: Number(svg.getAttribute("width")), height: Number(svg.getAttribute("height")) };
  }

  async function draw(box) {
    if (box.dataset.state || !box.clientHeight) return;
    box.dataset.state = "drawing";
    const spec = window.llmecon.specification(box);
    const parts = columns(spec);
    const choices = document.createElement("form");
    choices.className = "llmecon-choices";
    const slide = box.closest(".slide");
    const menus = slide.querySelector(".about") ?? box;
    const gap = 36;
    let scale = Math.min(MOST, Math.max(LEAST, box.clientHeight / (Math.max(...parts.map((p) => p.height ?? 300)) + 70)));
    // The height depends on the width, where names wrap, and on menus: twice is enough.
    for (let turn = 0; turn < 3; turn++) {
      const room = (box.clientWidth - gap * (parts.length - 1)) / parts.length;
      box.querySelectorAll(".drawn").forEach((old) => old.remove());
      choices.replaceChildren();
      const made = [];
      for (const part of parts) made.push(await drawn(box, part, room / scale, choices));
      if (choices.children.length && !choices.isConnected) menus.append(choices);
      const high = Math.max(...made.map((of) => of.height));
      const fits = Math.min(MOST, box.clientHeight / high);
      const last = turn === 2 || (fits >= scale * 0.995 && fits < scale * 1.04);
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
    const over = () => body.scrollHeight > body.clientHeight + 1 || body.scrollWidth > body.clientWidth + 1;
    while (over() && size > SMALLEST) {
      size -= 0.04;
      slide.style.setProperty("--fit", size.toFixed(2));
    }
    slide.dataset.fitted = size.toFixed(2);
  }

  // The panel's own script draws as soon as it is there, and needs a slide that is shown for that.
  let panels = false;
  function enliven(slide) {
    if (panels || !slide.querySelector(".llmecon-panel")) return;
    panels = true;
    const script = document.createElement("script");
    script.src = document.querySelector("[data-live]").dataset.live;
    document.body.append(script);
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
      pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1, keyboardCondition: null,
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
