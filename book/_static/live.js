// Connects the controls of a live panel to its charts: the first chart carries the model as Vega
// expressions, everything else on the panel shows what it computed.
(() => {
  const NINETY = 1.6448536269514722;
  const STEPS = 1000;
  const SPACE = "\u00a0";
  const QUIET = 300;  // milliseconds without a change after which the page's address follows
  let grouped = null;  // made when first needed: it takes a while

  // ------------------------------------------------------------------ numbers in words, as in llmecon.publishing.words

  function number(x, digits = 2) {
    if (Number.isNaN(x)) return "unknown";
    if (!Number.isFinite(x)) return x > 0 ? "unlimited" : "\u2212unlimited";
    const [mantissa, exponent] = Math.abs(x).toExponential(digits - 1).split("e");
    const size = Number(`${mantissa}e${exponent}`);
    const sign = x < 0 && size > 0 ? "\u2212" : "";
    if (size >= 1e15 || (size > 0 && size < 1e-4)) {
      const raised = [...String(Number(exponent))].map((c) => "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"["-0123456789".indexOf(c)]).join("");
      return `${sign}${positional(Number(mantissa))}${SPACE}\u00d7${SPACE}10${raised}`;
    }
    for (const [scale, name] of [[1e12, "trillion"], [1e9, "billion"], [1e6, "million"]]) {
      if (size >= scale) return `${sign}${positional(size / scale)}${SPACE}${name}`;
    }
    return sign + positional(size);
  }

  function positional(size) {
    grouped ??= new Intl.NumberFormat("en-US", { maximumFractionDigits: 9 });
    return grouped.format(size);
  }

  function usd(x) {
    const size = Math.abs(x);
    if (size >= 0.0995 && size < 99.995) return `USD${SPACE}${x < 0 ? "\u2212" : ""}${size.toFixed(2)}`;
    return `USD${SPACE}${number(x, size < 1 ? 2 : 3)}`;
  }

  function count(n, noun) {
    const whole = Number.isInteger(n) && Math.abs(n) < 1e6;
    const text = whole ? `${n < 0 ? "\u2212" : ""}${positional(Math.abs(n))}` : number(n);
    return `${text}${SPACE}${noun}${text === "1" ? "" : "s"}`;
  }

  function duration(seconds) {
    const size = Math.abs(seconds);
    for (const [length, unit] of [[365.25 * 86400, "year"], [86400, "day"], [3600, "hour"], [60, "minute"]]) {
      if (size >= length) return count(seconds / length, unit);
    }
    if (size > 0 && size < 1) {
      const milli = size >= 1e-3;
      return `${number(seconds * (milli ? 1e3 : 1e6))}${SPACE}${milli ? "ms" : "\u00b5s"}`;
    }
    return `${number(seconds)}${SPACE}s`;
  }

  function quantity(x, unit) {
    if (unit.startsWith("USD")) return usd(x) + unit.slice(3);
    if (unit === "s") return duration(x);
    if (unit === "fraction") return `${number(100 * x, Math.abs(x) > 0.985 ? 3 : 2)}%`;
    return unit ? `${number(x)}${SPACE}${unit}` : number(x);
  }

  function span(low, high, unit) {
    const kind = unit.startsWith("USD") ? "USD" : unit;
    const rest = unit.slice(kind.length);
    let [one, other] = [low, high].map((x) => quantity(x, kind).split(SPACE));
    if (one.join() === other.join()) return other.join(SPACE) + rest;
    if (one.length === other.length) {
      while (one.length > 1 && one.at(-1) === other[one.length - 1]) one = one.slice(0, -1);
      if (kind === "USD") other = other.slice(1);
    }
    return `${one.join(SPACE)} to ${other.join(SPACE)}${rest}`;
  }

  function signed(x) {
    const text = number(x, 3);
    return x < 0 || text === "0" ? text : `+${text}`;
  }

  // ------------------------------------------------------------------ one panel

  async function unpacked(panel) {
    const packed = atob(panel.querySelector("script").textContent);
    const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  async function start(panel) {
    const told = await unpacked(panel);
    const form = panel.querySelector("form");
    const inputs = Object.fromEntries(told.controls.map((c) => [c.name, form.elements[c.name]]));
    const values = Object.fromEntries(told.controls.map((c) => [c.name, c.value]));
    const command = actions(panel);
    let chart = null;
    let bars = null;
    let rows = null;  // name of the curve's rows
    let waiting = false;
    let telling = 0;

    // A control's value, as a number or an id, and back to where its slider or menu stands.
    function place(control) {
      const input = inputs[control.name];
      const value = values[control.name];
      if (control.entries) {
        input.value = value;
        return;
      }
      const { low, high, log } = control;
      const share = log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
      input.value = Math.round(STEPS * Math.min(Math.max(share, 0), 1));
      const text = control.whole ? count(value, "") .trim() : quantity(value, control.unit);
      const shown = control.whole && control.unit ? `${text}${SPACE}${control.unit}` : text;
      input.setAttribute("aria-valuetext", shown);
      form.querySelector(`output[for="${input.id}"]`).textContent = shown;
    }

    function read(control) {
      const input = inputs[control.name];
      if (control.entries) return input.value;
      const { low, high, log } = control;
      const share = Number(input.value) / STEPS;
      const exact = log ? low * (high / low) ** share : low + (high - low) * share;
      const rounded = control.whole ? Math.round(exact) : Number(exact.toPrecision(3));
      return Math.min(Math.max(rounded, low), high);
    }

    function changed(control) {
      values[control.name] = read(control);
      for (const other of told.controls) {
        if (other.follows?.menu !== control.name) continue;
        const value = other.follows.values[values[control.name]];
        if (value === undefined) continue;
        values[other.name] = Math.min(Math.max(value, other.low), other.high);
        place(other);
      }
      place(control);
      update();
    }

    function signal(control) {
      return control.entries ? control.entries.indexOf(values[control.name]) : values[control.name];
    }

    async function update() {
      clearTimeout(telling);
      telling = setTimeout(tell, QUIET);
      if (!chart || waiting) return;
      waiting = true;
      await null;  // several controls may change at once
      waiting = false;
      await compute();
    }

    async function compute() {
      const began = performance.now();
      for (const control of told.controls) chart.signal(control.name, signal(control));
      await chart.runAsync();
      await show();
      performance.measure("llmecon-update", { start: began });
    }

    const said = (value, { counted, unit }) => (counted ? count(value, counted) : quantity(value, unit));

    async function show() {
      const found = (name) => Number(chart.signal(`out_${name}`));
      const there = (needs) => !needs || found(needs) > 0;
      for (const answer of told.answers) {
        const card = panel.querySelector(`[data-answer="${answer.name}"]`);
        const value = found(answer.name);
        const possible = there(answer.needs);
        card.querySelector("strong").textContent = possible ? said(value, answer) : "\u2013";
        if (answer.log_sd) {
          const reach = Math.exp(NINETY * found(answer.log_sd));
          card.querySelector("em").textContent = possible ? `90%: ${span(value / reach, value * reach, answer.unit)}` : "";
        }
      }
      for (const name of told.refusals) {
        panel.querySelector(`[data-refusal="${name}"]`).hidden = there(name);
      }
      const smooth = there(told.smooth_needs);
      const effects = Array.from({ length: told.effects }, (_, i) => (smooth ? found(`effect${i}`) : 0));
      bars.signal("effects", effects);
      bars.signal("texts", effects.map((x) => (smooth ? signed(Math.round(x * 100) / 100 + 0) : "")));
      await bars.runAsync();
    }

    // ---------------------------------------------------------------- address and command

    function differing() {
      return told.controls.filter((c) => values[c.name] !== c.value);
    }

    function tell() {
      const words = { ...told.given };
      for (const control of differing()) {
        if (control.parameter) words[control.name] = values[control.name];
      }
      const options = Object.entries(words).map(([name, value]) => ` -p ${name} ${/^[\w.+-]+$/.test(value) ? value : `"${value}"`}`);
      command.textContent = `llmecon run ${told.chapter}${options.join("")}`;
      const state = new URLSearchParams(differing().map((c) => [c.name, values[c.name]]));
      const fragment = state.size ? `#${told.chapter}?${state}` : "";
      if (fragment || location.hash.startsWith(`#${told.chapter}?`)) {
        history.replaceState(history.state, "", fragment || location.pathname + location.search);
      }
    }

    // What a shared link says, as far as it makes sense here.
    function restore() {
      const [chapter, state] = location.hash.slice(1).split("?");
      if (chapter !== told.chapter || !state) return false;
      for (const [name, text] of new URLSearchParams(state)) {
        const control = told.controls.find((c) => c.name === name);
        if (!control) continue;
        if (control.entries) {
          if (control.entries.includes(text)) values[name] = text;
        } else if (Number.isFinite(Number(text)) && text !== "") {
          values[name] = Math.min(Math.max(Number(text), control.low), control.high);
        }
      }
      return true;
    }

    function actions(panel) {
      const row = panel.querySelector(".llmecon-actions");
      const code = document.createElement("code");
      const said = document.createElement("span");
      said.setAttribute("role", "status");
      const button = (text, act) => {
        const made = document.createElement("button");
        made.type = "button";
        made.textContent = text;
        made.addEventListener("click", act);
        return made;
      };
      const copy = (text, what) => {
        navigator.clipboard.writeText(text()).then(
          () => { said.textContent = `${what} copied`; },
          () => { said.textContent = `${what}: ${text()}`; },
        );
      };
      row.append(
        button("Reset", () => {
          for (const control of told.controls) {
            values[control.name] = control.value;
            place(control);
          }
          said.textContent = "";
          update();
        }),
        button("Copy link to this setting", () => copy(() => location.href, "Link")),
        button("Copy command that reruns the chapter with it", () => copy(() => code.textContent, "Command")),
        said,
        code,
      );
      return code;
    }

    // ---------------------------------------------------------------- drawing

    async function draw() {
      const options = { mode: "vega-lite", renderer: "svg", actions: false, logLevel: 1, tooltip: { theme: "llmecon" } };
      for (const control of told.controls) {
        told.curve.params.find((p) => p.name === control.name).value = signal(control);
      }
      const views = {};
      for (const name of ["curve", "bars"]) {
        const box = panel.querySelector(`[data-view="${name}"]`);
        const live = document.createElement("div");
        live.className = "llmecon-live";
        box.append(live);
        const made = await vegaEmbed(live, told[name], options);
        views[name] = made.view;
        const drawn = made.vgSpec.data.filter((d) => d.transform?.some((t) => t.as === "x"));
        rows ??= drawn.sort((a, b) => b.transform.length - a.transform.length)[0]?.name;
        box.dataset.state = "live";
      }
      chart = views.curve;
      bars = views.bars;
      await show();
    }

    const shared = restore();
    for (const control of told.controls) {
      place(control);
      inputs[control.name].addEventListener("input", () => changed(control));
    }
    form.addEventListener("submit", (event) => event.preventDefault());
    tell();
    panel.llmecon = { set, signal: (name) => chart.signal(`out_${name}`), data, words: quantity };
    if (shared) panel.scrollIntoView();

    // The curve as it is, and as it was in the chapter.
    function data() {
      const { head, chapter } = told.table;
      const now = chart.data(rows).map(({ x, y }) => [x, y, "this setting"]);
      return { head: [...head, "of"], rows: [...now, ...chapter.map((row) => [...row, "the chapter"])] };
    }

    // For tests and for what else drives a panel: exact values, by control.
    async function set(wanted) {
      Object.assign(values, wanted);
      for (const control of told.controls) if (control.name in wanted) place(control);
      tell();
      await compute();
    }
    return draw();
  }

  // A report runs the chart script last, so there is some waiting for it to do.
  async function begin() {
    for (let patience = 100; !window.vegaEmbed && patience > 0; patience--) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    for (const panel of document.querySelectorAll(".llmecon-panel")) {
      try {
        await start(panel);
        panel.dataset.state = "live";
      } catch (error) {
        panel.dataset.state = "still";  // the still pictures stay
        reportError(error);
      }
      document.dispatchEvent(new Event("llmecon-panel"));
    }
  }

  if (document.readyState === "loading") window.addEventListener("DOMContentLoaded", () => begin());
  else begin();
})();
