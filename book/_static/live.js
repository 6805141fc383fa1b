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

  const PLURAL = /^(?!times\b|[kMG]bps\b)([A-Za-z]{2,}[A-Za-rt-z])s(?![A-Za-z])/;
  const TINY = 1e-6;
  const DECIMALS = /^[\d,]+(?:\.(\d+))?%?$/;
  const NEAR = 1.25;

  function rounded(x, digits) {
    return [Number(x.toExponential(digits - 1)), number(x, digits)];
  }

  function money(x, more = 0) {
    const size = Math.abs(x);
    if (size >= 0.0995 && size < 99.995) {
      const text = size.toFixed(2 + more);
      return [Math.sign(x) * Number(text), `${x < 0 ? "\u2212" : ""}${text}`];
    }
    const [value, text] = rounded(x, (size < 1 ? 2 : 3) + more);
    const plain = Math.abs(value) >= 9.5e-7 && Math.abs(value) < 1e-4;
    return [value, plain ? `${x < 0 ? "\u2212" : ""}${positional(Math.abs(value))}` : text];
  }

  function share(x, more = 0) {
    const size = Math.abs(x);
    if (size > 0 && size < TINY) return [0, x > 0 ? `under ${positional(100 * TINY)}%` : "0%"];
    const [value, text] = rounded(100 * x, (size > 0.985 ? 3 : 2) + more);
    return [value / 100, `${text}%`];
  }

  // The unit in which a quantity of this size is said, and how many of `unit` it is.
  function scale(x, unit) {
    const size = Math.abs(x);
    if (unit === "s" && Number.isFinite(size)) {
      for (const [length, name] of [[365.25 * 86400, "years"], [86400, "days"], [3600, "hours"], [60, "minutes"]]) {
        if (size >= length) return [length, name];
      }
      if (size > 0 && size < 1) return size >= 1e-3 ? [1e-3, "ms"] : [1e-6, "\u00b5s"];
    }
    if (unit === "g" && Number.isFinite(size)) {
      for (const [heavy, name] of [[1e6, "t"], [1e3, "kg"]]) if (size >= heavy) return [heavy, name];
    }
    return [1, unit];
  }

  function end(x, unit, like, more = 0) {
    if (unit.startsWith("USD")) return money(x, more);
    if (unit === "fraction") return share(x, more);
    const [each] = scale(like, unit);
    const [value, text] = rounded(x / each, 2 + more);
    return [value * each, text];
  }

  function agreeing(unit, text) {
    return text === "1" ? unit.replace(PLURAL, (_, one) => one.replace(/ie$/, "y")) : unit;
  }

  function nameOf(unit, like) {
    if (unit.startsWith("USD")) return "USD";
    return unit === "fraction" ? "" : scale(like, unit)[1];
  }

  function withUnit(text, unit, like) {
    const name = nameOf(unit, like);
    if (name === "USD") return `USD${SPACE}${text}${unit.slice(3)}`;
    return name ? `${text}${SPACE}${agreeing(name, text)}` : text;
  }

  function whole(n, unit) {
    const text = `${n < 0 ? "\u2212" : ""}${positional(Math.round(Math.abs(n)))}`;
    return unit ? `${text}${SPACE}${agreeing(unit, text)}` : text;
  }

  function count(n, noun) {
    const text = Number.isInteger(n) && Math.abs(n) < 1e6 ? whole(n, "") : number(n);
    return `${text}${SPACE}${noun}${text === "1" ? "" : "s"}`;
  }

  function duration(seconds) {
    const [length, unit] = scale(seconds, "s");
    return unit.length <= 2 ? `${number(seconds / length)}${SPACE}${unit}` : count(seconds / length, unit.slice(0, -1));
  }

  function quantity(x, unit) {
    return unit === "s" ? duration(x) : withUnit(end(x, unit, x)[1], unit, x);
  }

  // Two numbers as a range: what they share is said once.
  function joined(first, last, name, unit) {
    let start = first.split(SPACE);
    let other = last.split(SPACE);
    const alike = start.length === other.length;
    const same = alike && start.slice(1).join() === other.slice(1).join();
    if (name === "USD") {
      if (!alike) other = ["USD", ...other];
      return `USD${SPACE}${(same ? start.slice(0, 1) : start).join(SPACE)} to ${other.join(SPACE)}${unit.slice(3)}`;
    }
    if (same) start = start.slice(0, 1);
    else if (!alike && name) start.push(agreeing(name, first));
    if (name) other.push(agreeing(name, last));
    return `${start.join(SPACE)} to ${other.join(SPACE)}`;
  }

  // Two ends as written, with the decimals of the one that has more where these differ.
  function alike(texts, ends, unit, value, middle) {
    const found = texts.map((text) => text.match(DECIMALS));
    if (!found.every(Boolean)) return texts;
    const held = found.map((match) => (match[1] ?? "").length);
    if (held[0] === held[1]) return texts;
    const percent = unit === "fraction";
    const each = percent ? 0.01 : unit.startsWith("USD") ? 1 : scale(value, unit)[0];
    const both = ends.map((x) => (percent ? 100 * x : x / each).toFixed(Math.max(...held)));
    if (!(Number(both[0]) * each < middle && middle < Number(both[1]) * each)) return texts;
    return both.map((text) => `${text.replace(/\B(?=(\d{3})+(?=\.))/g, ",")}${percent ? "%" : ""}`);
  }

  // With as many digits as tell the ends from the value as written; empty where none do, and where
  // it takes further digits to tell one end and the other isn't told at all.
  function interval(value, low, high, unit, full = false) {
    const middle = full ? value : end(value, unit, value)[0];
    const ends = (x) => [0, 1, 2].map((more) => end(x, unit, value, more));
    const [lows, highs] = [ends(low), ends(high)];
    const below = lows.find(([x]) => low < value && x < middle)?.[1];
    const above = highs.find(([x]) => high > value && x > middle)?.[1];
    if (below && above) {
      const near = high > 0 && high < NEAR * low;
      const [one, other] = near ? alike([below, above], [low, high], unit, value, middle) : [below, above];
      return joined(one, other, nameOf(unit, value), unit);
    }
    if ([lows[0][1], highs[0][1]].includes(below ?? above)) return `${below ? "at least" : "up to"} ${withUnit(below || above, unit, value)}`;
    return "";
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
    const [command, left] = actions(panel);
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
      const shown = (control.whole ? whole : quantity)(value, control.unit);
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
      follow(control.name);
      for (const other of told.controls) place(other);
      update();
    }

    // Sliders that follow a menu take its entry's value, but for those that are given.
    function follow(menu, given = new URLSearchParams()) {
      for (const slider of told.controls) {
        if (slider.follows?.menu !== menu || given.has(slider.name)) continue;
        const value = slider.follows.values[values[menu]];
        if (value !== undefined) values[slider.name] = Math.min(Math.max(value, slider.low), slider.high);
      }
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
          const within = possible ? interval(value, value / reach, value * reach, answer.unit, Boolean(answer.counted)) : "";
          card.querySelector("em").textContent = within && `90%: ${within}`;
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

    // What a rerun must be told: what differs from the chapter's case, and what follows a menu
    // that does, since the chapter might look up another value for it.
    function retold(control) {
      const menu = told.controls.find((c) => c.name === control.follows?.menu);
      return values[control.name] !== control.value || Boolean(menu && values[menu.name] !== menu.value);
    }

    function tell() {
      const words = { ...told.given };
      for (const control of told.controls.filter(retold)) {
        if (control.parameter) words[control.name] = values[control.name];
      }
      const options = Object.entries(words).map(([name, value]) => ` -p ${name} ${/^[\w.+-]+$/.test(value) ? value : `"${value}"`}`);
      command.textContent = `llmecon run ${told.chapter}${options.join("")}`;
      const beyond = differing().filter((c) => !c.parameter).map((c) => c.label);
      left.textContent = beyond.length ? `Not in the command, since the chapter has no such parameter: ${beyond.join("; ")}.` : "";
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
      const given = new URLSearchParams(state);
      for (const [name, text] of given) {
        const control = told.controls.find((c) => c.name === name);
        if (!control) continue;
        if (control.entries) {
          if (control.entries.includes(text)) {
            values[name] = text;
            follow(name, given);
          }
        } else if (Number.isFinite(Number(text)) && text !== "") {
          values[name] = Math.min(Math.max(Number(text), control.low), control.high);
        }
      }
      return true;
    }

    function actions(panel) {
      const row = panel.querySelector(".llmecon-actions");
      const code = document.createElement("code");
      const left = document.createElement("span");
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
        left,
      );
      return [code, left];
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
    panel.llmecon = { set, signal: (name) => chart.signal(`out_${name}`), values: () => ({ ...values }), data, words: { quantity, whole, interval } };
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
