// Boxes that judge an answer, as llmecon/teaching/judging.py does; quizzes that say why a choice is wrong.
(() => {
  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  function decoded(text) {
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text), (character) => character.charCodeAt(0))));
  }

  // A number as people type it: 1200, 1,200, 1.2e3, 1.2 × 10³ or 1.2*10^3; NaN for all else.
  function number(typed) {
    const plain = typed.trim()
      .replace(/\u2212/g, "-")
      .replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]+/g, (digits) => `^${[...digits].map((digit) => SUPERSCRIPTS.indexOf(digit)).join("")}`)
      .replace(/⁻\^/g, "^-")
      .replace(/\s*(?:[×x*·]\s*10|\b10(?=\^))\s*\^?\s*\(?([-+]?\d+)\)?$/i, "e$1")
      .replace(/^e/, "1e")
      .replace(/(\d)[\s_](?=\d{3}(?!\d))/g, "$1");
    const grouped = /^[-+]?\d{1,3}(?:,\d{3})+(?![\d,])/.test(plain) ? plain.replace(/,/g, "") : plain;
    return /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(grouped) ? Number(grouped) : NaN;
  }

  function judge({ answer, tolerance, mistakes, says, powers }, given) {
    const near = (value) => Math.abs(given - value) <= tolerance * Math.abs(value);
    if (near(answer)) return [true, says.right];
    const likely = mistakes.filter(([value]) => near(value)).map(([, why]) => why);
    if (likely.length) return [false, [likely.length > 1 ? says.several : says.one, ...likely].join(" ")];
    for (let power = -powers; power <= powers; power++) {
      if (near(answer * Number(`1e${power}`))) return [false, says.power];
    }
    return [false, given > answer ? says.high : says.low];
  }

  function chosen(form, { choices, says }) {
    const at = [...form.querySelectorAll("input")].findIndex((choice) => choice.checked);
    if (at < 0) return [false, says.none];
    const [right, why] = choices[at];
    return [right, [right ? says.right : says.wrong, why].filter(Boolean).join(" ")];
  }

  function prepare(form) {
    const key = decoded(form.dataset.key);
    const said = form.querySelector(".llmecon-verdict");
    form.hidden = form.querySelector("button").hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = key.choices ? NaN : number(form.querySelector("input").value);
      const [right, says] = key.choices ? chosen(form, key) : Number.isFinite(typed) ? judge(key, typed) : [false, key.unread];
      form.dataset.state = right ? "right" : "wrong";
      said.textContent = says;
    });
    // What was said holds of what was answered then.
    form.addEventListener("input", () => { delete form.dataset.state; said.textContent = ""; });
  }

  const start = () => document.querySelectorAll(".llmecon-answer").forEach(prepare);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
