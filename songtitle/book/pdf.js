// Puts the pages of the built book into one document, which `pdf.py` prints: `pages` is
// [{name, url, html}, ...], `title` the HTML of the first page. Gives counts to check it by.
async ({pages, title}) => {
  const slug = (name) => name.replace(/\.html$/, "").replace(/[^A-Za-z0-9]+/g, "-");
  const known = new Map(pages.map((page) => [page.url, slug(page.name)]));
  const parser = new DOMParser();
  const book = document.createElement("main");
  book.className = "bd-main bd-content bd-article-container";
  book.innerHTML = title;
  const scripts = [];
  for (const page of pages) {
    const parsed = parser.parseFromString(page.html, "text/html");
    const article = parsed.querySelector("article.bd-article");
    if (!article) continue;
    for (const script of parsed.querySelectorAll("script")) {
      if (/mathjax/i.test(script.src + script.textContent)) scripts.push([script, page.url]);
    }
    const own = slug(page.name);
    article.querySelectorAll("script, audio, iframe, .only-dark, a.headerlink, dialog")
      .forEach((part) => part.remove());
    const ids = new Set(Array.from(article.querySelectorAll("[id]"), (part) => part.id));
    for (const part of article.querySelectorAll("svg *")) {  // clips, glyphs: #id in any attribute
      for (const held of Array.from(part.attributes)) {
        held.value = held.value.replace(/#([\w.-]+)/g, (whole, id) =>
          ids.has(id) && !/^(fill|stroke|style)$/.test(held.name) ? `#${own}--${id}` : whole);
      }
    }
    article.querySelectorAll("[id]").forEach((part) => { part.id = `${own}--${part.id}`; });
    for (const label of article.querySelectorAll("[for], [aria-labelledby], [aria-describedby]")) {
      for (const name of ["for", "aria-labelledby", "aria-describedby"]) {
        const value = label.getAttribute(name);
        const held = (value || "").split(/\s+/).filter(Boolean).map((id) => `${own}--${id}`);
        if (held.length) label.setAttribute(name, held.join(" "));
      }
    }
    for (const image of article.querySelectorAll("img[src]")) {
      image.src = new URL(image.getAttribute("src"), page.url).href;
      image.loading = "eager";
    }
    for (const link of article.querySelectorAll("a[href]")) {
      const target = new URL(link.getAttribute("href"), page.url);
      const anchor = decodeURIComponent(target.hash.slice(1));
      target.hash = "";
      if (known.has(target.href)) {
        link.setAttribute("href", "#" + known.get(target.href) + (anchor ? `--${anchor}` : ""));
      } else if (!/^(https?|mailto):$/.test(target.protocol)) {
        link.replaceWith(...link.childNodes);  // a file beside the pages: not on paper
      }
    }
    const chapter = document.createElement("section");
    chapter.className = "pdf-chapter bd-article";
    chapter.id = own;
    chapter.append(...article.childNodes);
    book.append(chapter);
  }
  document.documentElement.dataset.theme = "light";
  document.documentElement.dataset.mode = "light";
  document.body.replaceChildren(book);
  document.querySelectorAll("details").forEach((box) => {
    box.open = !box.classList.contains("hide");
  });
  document.querySelectorAll(".toggle-hidden").forEach((box) =>
    box.classList.remove("toggle-hidden"));
  const done = new Set();
  for (const [script, base] of scripts) {
    const source = script.getAttribute("src");
    const key = source ? new URL(source, base).href : script.textContent;
    if (done.has(key)) continue;
    done.add(key);
    const made = document.createElement("script");
    if (!source) { made.textContent = key; document.head.append(made); continue; }
    await new Promise((loaded) => {
      made.onload = made.onerror = loaded;
      made.src = key;
      document.head.append(made);
    });
  }
  if (window.MathJax && window.MathJax.startup) await window.MathJax.startup.promise;
  await Promise.all(Array.from(document.images, (image) => image.decode().catch(() => null)));
  return {
    chapters: book.querySelectorAll("section.pdf-chapter").length,
    headings: Array.from(book.querySelectorAll("h1, h2, h3, h4, h5, h6"), (h) => h.textContent),
  };
}
