/* A figure that is wider than the screen can be moved by keys as well; its link "record" leads to
   the page's badge, which opens, and so does whatever fold a link names. */
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

  function open() {
    const box = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (box instanceof HTMLDetailsElement) box.open = true;
  }

  function begin() {
    open();
    window.addEventListener("hashchange", open);
    document.querySelectorAll("a[href^='#']").forEach((link) => {
      link.addEventListener("click", () => setTimeout(open)); // again, where it was closed since
    });
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
