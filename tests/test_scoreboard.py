"""The scoreboard shows every entry of the ledger, whole without its script, sortable with it."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from songtitle.errors import InputError
from songtitle.paper.judging import CONTRADICTS, HOLDS, ODD, OPEN, RESULTS, VERDICTS, verdicts
from songtitle.studies import scoreboard

STATIC = Path(__file__).parent.parent / "book" / "_static"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def found():
    return verdicts(RESULTS)


def of_kind(found, *kinds):
    return [each for each in found if each.kind in kinds]


def test_every_entry_has_one_row_with_verdict_page_and_test(found):
    claims, related = scoreboard.claim_rows(found), scoreboard.relation_rows(found)
    questions = scoreboard.question_rows(found)
    assert sorted(claims["Claim"]) == sorted(
        each.id for each in of_kind(found, "number", "sentence")
    )
    assert sorted(related["Relation"]) == sorted(each.id for each in of_kind(found, "relation"))
    assert list(questions["Question"]) == [each.asks for each in of_kind(found, "question")]
    assert "Verdict" not in questions
    assert sum(claims["Claim"].str.startswith("table")) == 63  # numbers of the five tables
    for frame in (claims, related):
        assert set(frame["Verdict"].str.split("\n").str[0]) <= set(VERDICTS)
    for frame in (claims, related, questions):
        for cell in frame["Shown in"]:
            link = r"\{ref\}`\d\d_\w+, (tab|fig)-[\w-]+ <(tab|fig)-"
            assert re.match(link, cell[0].text)
        assert all(len(cell.text) > 5 for cell in frame.iloc[:, -1])


def test_a_number_that_cannot_be_tested_stands_beside_the_nearest_one(found):
    rows = scoreboard.claim_rows(found).set_index("Claim")
    row = rows.loc["table4.msd.5"]
    assert row["Verdict"] == OPEN
    assert re.search(r"quick/scores: [\d.]+ \[.*\] \(chance [\d.]+\)", row["Here"])
    assert "Conceptual Captions" in row["What would test it"].text


def test_a_verdict_moves_on_the_scoreboard_when_its_record_does(found, tmp_path):
    shutil.copytree(RESULTS / "census", tmp_path / "census")
    path = tmp_path / "census" / "dated_songs.json"
    record = json.loads(path.read_text("utf-8"))
    for way in ("as_written", "cleaned"):
        record["result"][way]["lengths"] = {"9": 1000}
    path.write_text(json.dumps(record))
    before, after = (
        scoreboard.claim_rows(each).set_index("Claim")["Verdict"]
        for each in (found, verdicts(tmp_path))
    )
    for id in ("titles.mean_about", "titles.msd.short_share"):
        assert before[id].startswith("holds")
        assert after[id].startswith("fails")
    assert after["captions.mean_about"] == before["captions.mean_about"]


def test_a_remark_is_never_counted_as_a_contradiction_and_has_a_bar_of_its_own(found):
    counts = scoreboard.verdict_counts(found)
    odd = [each for each in found if each.weight == "odd" and each.verdict != HOLDS]
    assert odd
    assert {each.verdict for each in odd} == {ODD}
    assert counts.loc["relations", ODD] == len(odd)
    clashes = [each for each in of_kind(found, "relation") if each.verdict == CONTRADICTS]
    assert counts.loc["relations", CONTRADICTS] == len(clashes)
    facts = scoreboard.verdict_facts(found)
    assert facts["verdict.related.odd"] == str(len(odd))


def test_every_word_is_defined_on_the_page():
    page = (STATIC.parents[1] / "notebooks" / "14_scoreboard.py").read_text("utf-8")
    assert all(f"# - **{word}**: " in page for word in VERDICTS)


def test_counts_add_up_to_the_ledger_and_the_note_names_the_records_that_decided(found):
    judged = len(found) - len(of_kind(found, "question"))
    assert scoreboard.verdict_counts(found).to_numpy().sum() == judged
    facts = scoreboard.verdict_facts(found)
    claims = len(of_kind(found, "number", "sentence"))
    assert int(facts["verdict.claims"]) == claims
    beyond = [each for each in found if each.beyond and each.verdict == OPEN]
    assert int(facts["verdict.beyond"]) == len(beyond) > 30
    assert sum(int(facts[f"verdict.{name.replace(' ', '_')}"]) for name in VERDICTS) == claims
    text = scoreboard.scoreboard_note(found)._repr_markdown_()
    assert "not a reproduction" in text
    assert "census/dated_songs" in text
    assert "census/clips" not in text  # shown as nearest, decides nothing


def test_the_table_carries_the_class_that_the_script_looks_for(found):
    table = scoreboard.Scoreboard(scoreboard.claim_rows(found), name="tab-x", caption="C")
    assert ":class: scoreboard\n" in table._repr_markdown_()
    assert ":name: tab-x" in table._repr_markdown_()
    assert "{ref}" not in table._repr_html_()
    assert "04_search, tab-4" in table._repr_html_()
    assert 'classList.contains("scoreboard")' in (STATIC / "tables.js").read_text()


def test_script_and_style_fetch_nothing():
    for name in ("tables.js", "tables.css"):
        text = (STATIC / name).read_text("utf-8")
        assert not re.search(r"https?:|fetch\(|import |XMLHttp|@import|url\(", text), name


def test_bars_carry_their_counts():
    counts = pd.DataFrame([[3, 0, 5]], index=["numbers"], columns=["a", "b", "c"])
    figure, axis = plt.subplots()
    assert scoreboard.verdict_bars(counts, axis) is axis
    assert [text.get_text() for text in axis.texts] == ["3", "", "5"]
    assert axis.get_xlim()[1] >= 8
    assert axis.get_xlabel()
    plt.close(figure)
    with pytest.raises(InputError, match="expected rows"):
        scoreboard.verdict_bars(pd.DataFrame())


ROWS = [
    ("b.two", "fails<br>on x", "12 pieces"),
    ("a.one", "holds", "9 pieces"),
    ("c", "holds", "x"),
]
DRIVER = """
const rows = () => Array.from(document.querySelector('tbody').rows)
  .filter(r => !r.hidden).map(r => r.cells[0].textContent.trim()).join(' ');
const out = {start: rows()};
const heads = Array.from(document.querySelectorAll('th'));
const button = i => heads[i].querySelector('button');
button(0).click(); out.up = rows(); out.sorted = heads[0].getAttribute('aria-sort');
button(0).click(); out.down = rows(); out.other = heads[0].getAttribute('aria-sort');
button(2).click(); out.numeric = rows(); out.unsorted = heads[0].getAttribute('aria-sort');
const choice = document.querySelector('select'), search = document.querySelector('input');
out.options = Array.from(choice.options).map(o => o.textContent).join(' ');
out.labels = Array.from(document.querySelectorAll('label'))
  .map(l => document.getElementById(l.htmlFor).tagName).join(' ');
choice.value = 'holds'; choice.dispatchEvent(new Event('change')); out.chosen = rows();
search.value = 'PIECES'; search.dispatchEvent(new Event('input')); out.searched = rows();
out.count = document.querySelector('[role=status]').textContent;
out.focus = (button(1).focus(), document.activeElement === button(1));
document.body.innerHTML = '<pre>' + JSON.stringify(out) + '</pre>';
"""


def told(tmp_path, tables, driver):
    """What a driver, run in a browser on a page of tables with their script, wrote as JSON."""
    page = tmp_path / "page.html"
    script = (STATIC / "tables.js").read_text("utf-8")
    driver = f"addEventListener('DOMContentLoaded', () => {{ {driver} }});"
    page.write_text(
        f"<!DOCTYPE html><html><meta charset='utf-8'><body>{tables}<script>{script}</script>"
        f"<script>{driver}</script></body></html>",
        "utf-8",
    )
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    done = subprocess.run(
        [*command, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(html.unescape(re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)[1]))


def table(names, rows, kind=""):
    """A table as the book writes it; a name that is a tag is a head by itself."""
    heads = "".join(
        name if name.startswith("<") else f"<th class='head'><p>{name}</p></th>" for name in names
    )
    cells = ["".join(f"<td><p>{cell}</p></td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return (
        f"<table class='{kind} table'><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_in_a_browser_the_table_sorts_filters_and_is_worked_by_keys(tmp_path):
    page = table(("Claim", "Verdict", "Here"), ROWS, "scoreboard")
    assert told(tmp_path, page, DRIVER) == {
        "start": "b.two a.one c",
        "up": "a.one b.two c",
        "sorted": "ascending",
        "down": "c b.two a.one",
        "other": "descending",
        "numeric": "a.one b.two c",
        "unsorted": "none",
        "options": "all fails holds",
        "labels": "INPUT SELECT",
        "chosen": "a.one c",
        "searched": "a.one",
        "count": "1 of 3 rows",
        "focus": True,
    }


LONG = ["9", "−3", "1,200 clips", "61.3 [58, 64]", "–", "0.5", "x", "1e-05"]
SORTER = """
const tables = Array.from(document.querySelectorAll('table'));
const rows = table => Array.from(table.tBodies[0].rows).map(r => r.textContent.trim());
const button = tables[0].querySelector('th button'), out = {};
button.click(); out.up = rows(tables[0]);
button.click(); out.down = rows(tables[0]);
out.tag = button.innerHTML.replace('<b>', '[b]').replace('</b>', '');
out.fields = document.querySelectorAll('input, select').length;
out.short = tables[1].querySelectorAll('button').length;
out.merged = tables[2].querySelectorAll('button').length;
document.body.innerHTML = '<pre>' + JSON.stringify(out) + '</pre>';
"""


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_in_a_browser_long_tables_sort_numbers_as_numbers_and_others_are_left_alone(tmp_path):
    long = [[cell] for cell in LONG]
    pages = table(["A <b>head</b>"], long), table(["A <b>head</b>"], long[:7])
    merged = table(["<th rowspan='2'>A</th>"], long)
    found = told(tmp_path, "".join((*pages, merged)), SORTER)
    numbers = ["−3", "1e-05", "0.5", "9", "61.3 [58, 64]", "1,200 clips"]
    assert found["up"] == [*numbers, "x", "–"]
    assert found["down"] == ["x", *numbers[::-1], "–"]
    assert (found["fields"], found["short"], found["merged"]) == (0, 0, 0)
    assert found["tag"] == "A [b]head"
