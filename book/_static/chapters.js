// Copies the command or the citation under a chapter's title, and keeps one of its folds open.
(() => {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.(".llmecon-copyable button");
    if (!button) return;
    const text = button.previousElementSibling;
    let done = true;
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch {
      // Not every browser lets a page that was opened from a file write to the clipboard.
      getSelection().selectAllChildren(text);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  document.addEventListener("toggle", (event) => {
    const fold = event.target;
    if (!fold.open || !fold.parentElement?.matches(".llmecon-beside")) return;
    for (const other of fold.parentElement.querySelectorAll("details[open]")) {
      if (other !== fold) other.open = false;
    }
  }, true);
})();
