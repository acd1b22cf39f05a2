/* A figure that is wider than the screen can be moved by keys as well. */
(function () {
  "use strict";

  function reach(box) {
    const wide = box.scrollWidth > box.clientWidth + 1;
    if (wide) {
      box.setAttribute("tabindex", "0");
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", "Figure, can be moved sideways");
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    }
  }

  function begin() {
    const seen = new ResizeObserver((entries) => entries.forEach((each) => reach(each.target)));
    document.querySelectorAll(".figure-pair").forEach((box) => {
      seen.observe(box);
      box.querySelectorAll("img").forEach((img) => img.addEventListener("load", () => reach(box)));
    });
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", begin);
  } else {
    begin();
  }
})();
