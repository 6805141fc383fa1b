// Makes a page ready for paper and puts it back afterwards: light colours, nothing folded away, and
// what each control is set to in words. The PDF of the book is made from pages in this state.
(() => {
  const FOLDED = "article details:not([open], .hide, .llmecon-numbers, .llmecon-table)";
  const undo = [];

  function setting(control) {
    if (control.tagName === "SELECT") return control.selectedOptions[0]?.textContent ?? "";
    if (control.type === "checkbox") return control.checked ? "yes" : "no";
    return control.value;
  }

  addEventListener("beforeprint", () => {
    const page = document.documentElement;
    const theme = page.dataset.theme;
    page.dataset.theme = "light";
    undo.push(() => { page.dataset.theme = theme; });
    for (const folded of document.querySelectorAll(FOLDED)) {
      folded.open = true;
      undo.push(() => { folded.open = false; });
    }
    for (const control of document.querySelectorAll("article :is(input, select)")) {
      // A slider's value may stand beside it already; of radio buttons, the style sheet leaves the chosen one.
      if (control.type === "range" && control.parentElement.querySelector("output, .vega-bind-name ~ span")) continue;
      if (["hidden", "button", "submit", "search", "radio"].includes(control.type)) continue;
      const words = document.createElement("span");
      words.className = "llmecon-chosen";
      words.hidden = true;
      words.textContent = setting(control);
      control.after(words);
      undo.push(() => words.remove());
    }
  });
  addEventListener("afterprint", () => {
    while (undo.length) undo.pop()();
  });
})();
