// A guess before its answer: what follows in the section is shown once the reader has guessed.
(() => {
  const guesses = [];

  // What stands after the question in its section.
  function after(box) {
    const found = [];
    for (let part = box.closest(".cell") ?? box; (part = part.nextElementSibling); ) found.push(part);
    return found;
  }

  function prepare(box) {
    const places = JSON.parse(box.querySelector("script").textContent);
    const [form, answer] = [box.querySelector("form"), box.querySelector("details")];
    const [control, said] = [form.querySelector("input"), form.querySelector("output")];
    const veiled = after(box);

    function told() {
      const [guess] = places[control.value];
      said.textContent = guess;
      control.setAttribute("aria-valuetext", guess);
    }

    function show(guessed) {
      if (guessed) {
        const [guess, off] = places[control.value];
        box.querySelector(".llmecon-verdict").textContent = `You guessed ${guess}. ${off}`;
        control.disabled = true;
        for (const button of form.querySelectorAll("button")) button.hidden = true;
      } else {
        form.hidden = true;
      }
      answer.hidden = false;
      answer.open = true;
      for (const part of veiled) {
        part.removeAttribute("hidden");
        part.classList.remove("llmecon-veiled");
      }
      box.dataset.state = "told";
    }

    form.hidden = false;
    answer.hidden = true;
    told();
    // Found by the browser's own search, and by links into it, what is veiled shows itself.
    for (const part of veiled) {
      part.setAttribute("hidden", "until-found");
      part.classList.add("llmecon-veiled");
      part.addEventListener("beforematch", () => open(false));
    }
    box.dataset.state = "asked";
    control.addEventListener("input", told);
    const open = (guessed) => { if (box.dataset.state === "asked") show(guessed); };
    form.addEventListener("submit", (event) => { event.preventDefault(); open(true); });
    form.querySelector("[data-all]").addEventListener("click", () => guesses.forEach((of) => of(false)));
    guesses.push(open);
  }

  function start() {
    document.querySelectorAll(".llmecon-guess").forEach(prepare);
    window.addEventListener("beforeprint", () => guesses.forEach((of) => of(false)));
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
