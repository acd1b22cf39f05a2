// Tooltips of terms open by style alone; Escape closes the one that is open until it is left.
"use strict";
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const tip of document.querySelectorAll(".term-tip:hover, .term-tip:focus-within")) {
    tip.classList.add("closed");
    const open = () => tip.classList.remove("closed");
    tip.addEventListener("mouseleave", open, { once: true });
    tip.addEventListener("focusout", open, { once: true });
  }
});
