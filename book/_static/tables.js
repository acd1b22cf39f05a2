/* Long tables can be sorted in the page; those of class "scoreboard" can be filtered, too. Without
   this script they are whole, in the order in which they were written. Nothing is sent or fetched. */
(function () {
  "use strict";

  const LONG = 8; /* rows from which sorting is a help */
  const NUMBER = /^[−+-]?(\d[\d,]*\.?\d*|\.\d+)(e[+-]?\d+)?/i;
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  /* What a cell is sorted and chosen by: its first line. */
  function key(row, column) {
    const cell = row.cells[column];
    if (!cell) return "";
    const copy = cell.cloneNode(true);
    const end = copy.querySelector("br");
    if (end) {
      while (end.nextSibling) end.nextSibling.remove();
    }
    return copy.textContent.trim();
  }

  /* The number that a text begins with, such as 1234 of "1,234 clips" or 61.3 of "61.3 [58, 64]". */
  function number(text) {
    const found = NUMBER.exec(text);
    return found ? Number(found[0].replace(/,/g, "").replace("−", "-")) : NaN;
  }

  /* The order of two texts; where most cells of a column begin with a number, by these. */
  function order(texts) {
    const filled = texts.filter((text) => /[\p{L}\p{N}]/u.test(text));
    const numeric = filled.filter((text) => !Number.isNaN(number(text))).length * 2 > filled.length;
    return (a, b) => {
      const [one, two] = numeric ? [number(a), number(b)] : [NaN, NaN];
      const words = Number(Number.isNaN(one)) - Number(Number.isNaN(two)); /* after numbers */
      return words || (one - two) || collator.compare(a, b);
    };
  }

  /* Cells without a word or a number stand last whichever way a column is sorted. */
  function empty(text) {
    return Number(!/[\p{L}\p{N}]/u.test(text));
  }

  function element(tag, attributes, text) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function sortable(table, rows) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = element("button", { type: "button", class: "table-sort" });
      const text = head.querySelector(":scope > p") || head;
      button.append(...text.childNodes);
      head.replaceChildren(button);
      head.setAttribute("scope", "col");
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => {
          if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
        });
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const pairs = rows.map((row) => [key(row, column), row]);
        const compare = order(pairs.map((pair) => pair[0]));
        pairs.sort((a, b) => empty(a[0]) - empty(b[0]) || (up ? 1 : -1) * compare(a[0], b[0]));
        table.tBodies[0].append(...pairs.map((pair) => pair[1]));
      });
    });
  }

  function filterable(table, rows, place) {
    const heads = Array.from(table.tHead.rows[0].cells);
    const column = heads.findIndex((head) => head.textContent.trim() === "Verdict");
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const verdicts = column < 0 ? [] : rows.map((row) => key(row, column));

    const form = element("div", { class: "table-controls", role: "search" });
    const search = element("input", { type: "search", id: `table-search-${place}` });
    form.append(element("label", { for: search.id }, "Search"), search);

    const choice = element("select", { id: `table-verdict-${place}` });
    if (column >= 0) {
      choice.append(element("option", { value: "" }, "all"));
      for (const verdict of Array.from(new Set(verdicts)).sort(collator.compare)) {
        choice.append(element("option", { value: verdict }, verdict));
      }
      form.append(element("label", { for: choice.id }, "Verdict"), choice);
    }
    const shown = element("span", { class: "table-count", role: "status" });
    form.append(shown);

    function filter() {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      rows.forEach((row, i) => {
        const fits = (!choice.value || verdicts[i] === choice.value) &&
          words.every((word) => texts[i].includes(word));
        row.hidden = !fits;
        count += fits;
      });
      shown.textContent = `${count} of ${rows.length} rows`;
    }
    search.addEventListener("input", filter);
    choice.addEventListener("change", filter);
    filter();
    const box = table.closest(".pst-scrollable-table-container") || table;
    box.before(form);
  }

  /* One row of heads, each over one column, and no cell over several rows. */
  function plain(table) {
    return table.tHead && table.tHead.rows.length === 1 && table.tBodies.length === 1 &&
      !table.querySelector("[colspan]:not([colspan='1']), [rowspan]:not([rowspan='1'])");
  }

  function begin() {
    document.querySelectorAll("table.table, table.scoreboard, table.dataframe").forEach(
      (table, place) => {
        if (!plain(table)) return;
        const rows = Array.from(table.tBodies[0].rows);
        const board = table.classList.contains("scoreboard");
        if (board) filterable(table, rows, place);
        if (board || rows.length >= LONG) sortable(table, rows);
      },
    );
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", begin);
  } else {
    begin();
  }
})();
