// Shows the definition that a link's aria-describedby names: while the pointer is on the link or on
// the definition, while the link has the keyboard's focus, or after a tap (a second tap follows it).
(() => {
  let open = null;  // the link whose definition is shown
  let closing = 0;
  let tapped = null;

  function definition(link) {
    const tip = document.getElementById(link.getAttribute("aria-describedby"));
    return tip?.classList.contains("llmecon-tip") ? tip : null;
  }

  function linkAt(target) {
    const link = target.closest?.("[aria-describedby]");
    return link && definition(link) ? link : null;
  }

  function place() {
    const tip = definition(open);
    const line = open.getClientRects()[0] ?? open.getBoundingClientRect();
    const { width, height } = tip.getBoundingClientRect();
    const room = document.documentElement.clientWidth - width - 8;
    tip.style.left = `${Math.max(8, Math.min(line.left, room))}px`;
    const below = line.bottom + 6;
    tip.style.top = `${below + height > window.innerHeight ? line.top - height - 6 : below}px`;
  }

  function show(link) {
    clearTimeout(closing);
    if (open === link) return;
    hide();
    open = link;
    const tip = definition(link);
    document.body.append(tip);  // away from what might clip or move it
    tip.hidden = false;
    place();
  }

  function hide() {
    clearTimeout(closing);
    if (open) definition(open).hidden = true;
    open = null;
  }

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const link = linkAt(event.target);
    if (link) show(link);
    else if (open && definition(open).contains(event.target)) clearTimeout(closing);
    else if (open && open !== document.activeElement) {
      clearTimeout(closing);
      closing = setTimeout(hide, 150);
    }
  });
  document.addEventListener("focusin", (event) => {
    const link = linkAt(event.target);
    if (link?.matches(":focus-visible")) show(link);
    else if (open && !tapped) hide();
  });
  document.addEventListener("focusout", () => !tapped && hide());
  document.addEventListener("pointerdown", (event) => {
    tapped = null;
    const link = linkAt(event.target);
    if (event.pointerType === "touch" && link) tapped = { link, wasOpen: open === link };
    else if (open && !link && !definition(open).contains(event.target)) hide();
  });
  document.addEventListener("click", (event) => {
    const link = linkAt(event.target);
    if (!link || tapped?.link !== link) return;
    if (tapped.wasOpen) return;
    if (link.matches("a")) event.preventDefault();
    show(link);
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  window.addEventListener("scroll", () => open && place(), { capture: true, passive: true });
  window.addEventListener("resize", () => open && place());
})();
