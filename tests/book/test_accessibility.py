"""axe-core finds nothing to say against any page, light or dark."""

from importlib.resources import files

import pytest

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = """(rules) => axe.run(document, {
  runOnly: { type: "tag", values: rules }, resultTypes: ["violations"],
}).then((found) => found.violations.flatMap((v) => v.nodes.map((n) =>
  `${v.id}: ${n.target.join(" ")}: ${n.html.slice(0, 160)}: ` +
  (n.any[0] || n.all[0] || n.none[0] || {}).message)))"""


@pytest.fixture(scope="session")
def axe():
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def test_a_page_breaks_no_rule_of_wcag_2_2_aa(page, book_url, axe, name):
    found = []
    page.goto(f"{book_url}/{name}", wait_until="load")
    # Folded text must hold, too, once it is unfolded.
    page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
    page.add_style_tag(content="* { transition: none !important; animation: none !important }")
    page.evaluate(axe)
    for theme in ("light", "dark"):
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        found += [f"{theme}: {fault}" for fault in page.evaluate(RUN, RULES)]
    assert found == [], f"{len(found)} on {name}:\n" + "\n".join(found[:10])
