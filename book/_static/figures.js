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

  function target() {
    return location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  }

  function open() {
    const box = target();
    if (box instanceof HTMLDetailsElement) box.open = true;
  }

  function begin() {
    if (document.documentElement.dataset.theme === "dark") {
      // Until a lazy picture comes it has no height, and a link into the page would land elsewhere.
      document.querySelectorAll("img.only-dark").forEach((img) => { img.loading = "eager"; });
      window.addEventListener("load", () => target() && target().scrollIntoView());
    }
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
