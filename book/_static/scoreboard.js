/* Tables of class "scoreboard" can be sorted and filtered in the page. Without this script they
   are whole, in the order of the ledger. Nothing is sent or fetched. */
(function () {
  "use strict";

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

  function element(tag, attributes, text) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function sortable(table, rows) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      const button = element("button", { type: "button", class: "scoreboard-sort" });
      button.textContent = head.textContent.trim();
      head.replaceChildren(button);
      head.setAttribute("scope", "col");
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const ordered = rows
          .map((row) => [key(row, column), row])
          .sort((a, b) => (up ? 1 : -1) * collator.compare(a[0], b[0]));
        table.tBodies[0].append(...ordered.map((pair) => pair[1]));
      });
    });
  }

  function filterable(table, rows, number) {
    const heads = Array.from(table.tHead.rows[0].cells);
    const column = heads.findIndex((head) => head.textContent.trim() === "Verdict");
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const verdicts = column < 0 ? [] : rows.map((row) => key(row, column));

    const form = element("div", { class: "scoreboard-controls", role: "search" });
    const search = element("input", { type: "search", id: `scoreboard-search-${number}` });
    form.append(element("label", { for: search.id }, "Search"), search);

    const choice = element("select", { id: `scoreboard-verdict-${number}` });
    if (column >= 0) {
      choice.append(element("option", { value: "" }, "all"));
      for (const verdict of Array.from(new Set(verdicts)).sort(collator.compare)) {
        choice.append(element("option", { value: verdict }, verdict));
      }
      form.append(element("label", { for: choice.id }, "Verdict"), choice);
    }
    const shown = element("span", { class: "scoreboard-count", role: "status" });
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

  function begin() {
    document.querySelectorAll("table.scoreboard").forEach((table, number) => {
      if (!table.tHead || !table.tBodies.length) return;
      const rows = Array.from(table.tBodies[0].rows);
      filterable(table, rows, number);
      sortable(table, rows);
    });
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", begin);
  } else {
    begin();
  }
})();
