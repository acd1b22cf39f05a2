"""Laws of provenance: a page says of which run it is, and no book is made of two."""

import json
from functools import partial
from pathlib import Path

import nbformat
import pytest
import torch
from small_books import SETTINGS, build, executed, written

from songtitle import cache
from songtitle.book import extension, reproduce
from songtitle.book.reproduce import PageRun
from songtitle.errors import InputError
from songtitle.tables import RECORDS

QUICK = {
    "run": "aaaa11112222",
    "preset": "quick",
    "seed": 0,
    "device": "cpu",
    "changed": {},
    "scale": "small",
    "commit": "0123456789abcdef",
    "modified": False,
    "records": [["scores", "4e186867079b35ba"]],
    "data": {"stamps": "2545dc5c9b3ea69c"},
}
TINY = QUICK | {"run": "bbbb11112222", "preset": "tiny"}


def write_book(folder: Path, *pages, missing=()):
    """A book of notebooks 01, 02, ... with these provenances, and a page of prose."""
    (folder / "notebooks").mkdir(parents=True)
    names = [f"notebooks/{number:02}_page" for number in range(1, len(pages) + 1)]
    for name, facts in zip(names, pages, strict=True):
        content = executed("text")
        content.metadata["songtitle"] = {"key": "k"} | (facts or {})
        if name not in missing:
            (folder / f"{name}.ipynb").write_text(nbformat.writes(content), "utf-8")
    files = "".join(f"  - file: {name}\n" for name in names)
    (folder / "_toc.yml").write_text(f"root: index\nchapters:\n{files}")
    toc = "".join(f"{name}\n" for name in names)
    (folder / "index.md").write_text(f"# Prose\n\n```{{toctree}}\n{toc}```\n")


def test_every_page_carries_the_badge_and_a_notebook_its_records(tmp_path):
    write_book(tmp_path, QUICK)
    times = {"01_page": {"made": "2026-11-24", "seconds": 12.34, "machine": "Linux, 2 <cores>"}}
    (tmp_path / "notebooks" / reproduce.TIMES).write_text(json.dumps(times))
    out, warned = build(tmp_path, draft=False)
    prose, page = ((out / n).read_text() for n in ("index.html", "notebooks/01_page.html"))
    for html in (prose, page):
        assert html.count('<details class="run run-small"') == 1
        for fact in ("Quick run on small data", "preset quick", "0123456789ab", "aaaa11112222"):
            assert fact in html
    assert html.index("</h1>") < html.index("<details")
    for fact in ("scores 4e18", "stamps 2545", "12 s", "2026-11-24", "2 &lt;cores&gt;", "cpu"):
        assert fact in page
    link = page.split('" download')[0].rsplit('"', 1)[1]
    assert (out / "notebooks" / link).is_file()
    assert "scores" not in prose
    assert "computes nothing" in prose
    assert not warned


@pytest.mark.parametrize(
    ("pages", "missing", "said"),
    [
        ([QUICK, TINY], (), r"expected pages of one run, got 2: .*01_page.*tiny.*02_page"),
        ([QUICK, None], (), r"pages without a run: 02_page; make .*`python -m songtitle run`"),
        ([QUICK, QUICK], ("notebooks/02_page",), r"pages without a run: 02_page"),
        ([QUICK, QUICK | {"records": []}], (), r"pages that show no record: 02_page"),
        (
            [QUICK, QUICK | {"records": [["comparison", "no such key"]]}],
            (),
            r"02_page needs comparison no such key; make .*python -m songtitle run",
        ),
        (
            [QUICK, QUICK | {"run": "c", "changed": {"beam_sizes": [1, 3]}}],
            (),
            r"run c \(preset quick, seed 0, cpu, beam_sizes = \[1, 3\]\): 02_page",
        ),
        ([TINY, TINY, QUICK], (), r"`python -m songtitle run --preset tiny`"),
    ],
)
def test_a_book_that_is_not_of_one_run_is_refused_by_its_pages(tmp_path, pages, missing, said):
    write_book(tmp_path, *pages, missing=missing)
    with pytest.raises(extension.RunError, match=said) as error:
        build(tmp_path, draft=False)
    assert "\n" not in str(error.value)


def test_a_draft_of_several_runs_says_so_on_every_page(tmp_path):
    write_book(tmp_path, QUICK, TINY)
    out, _ = build(tmp_path, draft=True)
    for name in ("index", "notebooks/01_page", "notebooks/02_page"):
        assert '<details class="run run-draft"' in (out / f"{name}.html").read_text()


def test_the_jupyter_book_command_refuses_with_a_status_and_the_reason(tmp_path):
    import subprocess
    import sys

    write_book(tmp_path, QUICK, TINY)
    config = "only_build_toc_files: true\nsphinx:\n  config:\n    extensions: "
    config += "[myst_nb, sphinx_external_toc, sphinx_book_theme, songtitle.book.extension]\n"
    (tmp_path / "_config.yml").write_text(config)
    (tmp_path / "_toc.yml").write_text(f"format: jb-book\n{(tmp_path / '_toc.yml').read_text()}")
    program = Path(sys.executable).parent / "jupyter-book"
    done = subprocess.run([program, "build", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "expected pages of one run, got 2" in done.stderr + done.stdout
    assert not (tmp_path / "_build" / "html" / "index.html").exists()


def test_a_paper_scale_run_looks_and_reads_unlike_a_quick_one():
    quick = extension.badge(PageRun(preset="quick", run="a"), book=PageRun())
    paper = extension.badge(PageRun(preset="modern", run="a", scale="paper"), book=PageRun())
    assert "Quick run on small data" in quick
    assert 'class="run run-small"' in quick
    assert "Paper-scale run" in paper
    assert 'class="run run-paper"' in paper
    assert "small data" not in paper
    style = (cache.ROOT / "book" / "_static" / "pages.css").read_text()
    assert "details.run-paper" in style
    assert "details.run-draft" in style


def test_a_badge_leads_to_the_records_that_the_site_has():
    page = PageRun(preset="quick", run="a", records=(("scores", "1f"), ("clips", "2e")))
    there = {("scores", "1f"): "../records/quick/scores.json"}
    html = extension.badge(page, book=page, notebook="x", records=there)
    assert '<a href="../records/quick/scores.json"><code>scores 1f</code></a>, ' in html
    assert "<code>clips 2e</code></dd>" in html


def test_what_a_badge_takes_from_a_notebook_is_text():
    evil = PageRun(**dict.fromkeys(("preset", "run", "device", "machine", "commit", "made"), "<b>"))
    assert "<b>" not in extension.badge(evil, book=evil, notebook='"><b>')


def test_a_run_has_one_name_for_all_its_pages_and_another_when_anything_changes(monkeypatch):
    asked = {"preset": "quick", "seed": 0, "device": "cpu"}

    def name(**change):
        return reproduce._about(asked | change)["run"]

    first, source, tables = name(), cache._source, cache.tables()
    assert first == name(again=True, song=3)
    assert first == name(beam_sizes=[1, 5, 10, 15, 20])
    for change in ({"preset": "tiny"}, {"seed": 1}, {"views": 1}):
        assert name(**change) != first
    with monkeypatch.context() as other:
        other.setattr(reproduce, "check_device", lambda _: torch.device("cuda"))
        assert name() != first

    def edited(module):
        text = source(module) + "\nx = 2\n"
        monkeypatch.setattr(cache, "_source", lambda n: text if n == module else source(n))
        return name()

    assert edited("songtitle.figures") == first  # how pages look makes no other run
    assert edited("songtitle.experiment.labs") != first
    monkeypatch.setattr(cache, "_source", source)
    monkeypatch.setattr(cache, "tables", lambda: tables | {"data_manifest/stamps.csv": "00000000"})
    assert name() != first


def test_records_are_taken_from_outputs_once_each_in_order():
    content = executed({RECORDS: [["s", "1"], ["t", "2"]]}, {RECORDS: [["s", "1"]]})
    assert reproduce.take_records(content) == [("s", "1"), ("t", "2")]
    assert RECORDS not in nbformat.writes(content)
    assert reproduce.take_records(content) == []


def test_data_are_those_of_a_record_and_of_all_it_rests_on(tmp_path, monkeypatch):
    def record(folder, stage, key, **content):
        folder.mkdir(parents=True)
        name = "record.json" if folder.name == key else f"{stage}.json"
        (folder / name).write_text(json.dumps({"stage": stage, "key": key} | content))

    home, results = tmp_path / "home", tmp_path / "results"
    monkeypatch.setattr(
        reproduce, "published_records", partial(reproduce.published_records, [results])
    )
    record(home / "runs" / "scores" / "s1", "scores", "s1", inputs={"corpora": "c1"})
    record(home / "runs" / "corpora" / "c1", "corpora", "c1", settings={"data": {"x": "f" * 64}})
    record(results / "census", "clips", "k1", settings={"files": {"y": {"sha256": "e" * 64}}})
    found = reproduce.data_hashes([("scores", "s1"), ("clips", "k1"), ("none", "n")], home)
    assert found == {"x": "f" * 16, "y": "e" * 16}


def test_times_stand_beside_the_pages_and_not_in_them(tmp_path):
    write_book(tmp_path, QUICK)
    page = tmp_path / "notebooks" / "01_page.ipynb"
    before = page.read_bytes()
    reproduce.note_times(page, seconds=3.21, machine="here", code={"a": "1"})
    reproduce.note_times(
        page.with_name("02_page.ipynb"), seconds=1.0, machine="there", code={"b": "2"}
    )
    assert page.read_bytes() == before
    found = reproduce.read_page(page)
    assert (found.seconds, found.machine, found.preset) == (3.2, "here", "quick")
    assert found.made.count("-") == 2
    assert reproduce.read_page(page.with_name("02_page.ipynb")) is None


@pytest.mark.parametrize("torn", ["", '{"01_page": {"ma'])
def test_times_that_a_kill_tore_are_begun_anew(tmp_path, torn):
    (tmp_path / reproduce.TIMES).write_text(torn)
    reproduce.note_times(tmp_path / "01_page.ipynb", seconds=3.21, machine="here", code={"a": "1"})
    assert json.loads((tmp_path / reproduce.TIMES).read_text())["01_page"]["seconds"] == 3.2


SHOW = """
from songtitle.tables import Note
Note("A", "b", records=[("scores", "4e18")])
"""


def test_an_executed_page_carries_its_run_and_two_are_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "home"))
    parameters = 'preset = "tiny"\nseed = 0\nbeam_sizes = None'
    notebook = written(tmp_path / "00_test.ipynb", SHOW, parameters=parameters)
    given = {"seed": 5, "beam_sizes": "[1, 2]"}
    for name in ("a", "b"):
        reproduce.execute(notebook, tmp_path / name / "00_test.ipynb", given)
    first, second = (tmp_path / name / "00_test.ipynb" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    found = reproduce.read_page(first)
    assert (found.preset, found.seed, found.changed) == ("tiny", 5, {"beam_sizes": [1, 2]})
    assert found.records == (("scores", "4e18"),)
    assert found.seconds > 0
    carried = nbformat.read(first, 4).metadata["songtitle"]
    assert not {"made", "seconds", "machine"} & set(carried)


def test_the_published_pages_are_of_one_run_and_no_draft():
    assert not SETTINGS["sphinx"]["config"].get("songtitle_draft")
    pages = extension.pages_of(cache.ROOT / "book", cache.ROOT / "_toc.yml")
    found = {name: reproduce.read_page(cache.ROOT / "book" / f"{name}.ipynb") for name in pages}
    book = reproduce.one_run({Path(name).name: page for name, page in found.items()})
    assert book is not None
    there = reproduce.published_records([cache.PUBLISHED])
    reproduce.check_published({name: page for name, page in found.items() if page}, there)


def test_a_book_without_notebooks_has_no_run():
    assert reproduce.one_run({}) is None
    with pytest.raises(InputError, match="pages without a run: x"):
        reproduce.one_run({"x": None})


def test_a_page_that_other_code_made_says_so_with_what_has_changed(tmp_path, monkeypatch):
    notebook = reproduce.SOURCES / "06_similarity.ipynb"
    code = reproduce.code_of_page(notebook)
    page = tmp_path / notebook.name
    about = {"run": "r", "preset": "quick", "code": cache.digest(code), "records": []}
    content = nbformat.v4.new_notebook(metadata={"songtitle": about})
    nbformat.write(content, page)
    reproduce.note_times(page, seconds=1.0, machine="here", code=code)
    current = reproduce.read_page(page)
    assert current.changed_code == ()
    assert "other code" not in extension.badge(current, book=current, notebook="x")
    source = cache._source
    text = source("songtitle.experiment.similarity").replace("(5, 30, 60)", "(5, 15, 60)")
    name = "songtitle.experiment.similarity"
    monkeypatch.setattr(cache, "_source", lambda n: text if n == name else source(n))
    other = reproduce.read_page(page)
    assert other.changed_code == (name,)
    html = extension.badge(other, book=other, notebook="x")
    assert "other code than this clone" in html
    assert name in html


def test_a_page_on_a_published_record_that_other_code_made_says_so(tmp_path, monkeypatch):
    kept = {"stage": "growing", "key": "k", "code": {"songtitle.metrics.bleu": "00000000"}}
    there = {("growing", "k"): kept, ("scores", "s"): kept | {"code": {}}}
    monkeypatch.setattr(reproduce, "published_records", lambda: there)
    page = tmp_path / "00_page.ipynb"
    about = {"run": "r", "preset": "quick", "records": [["growing", "k"], ["scores", "s"]]}
    nbformat.write(nbformat.v4.new_notebook(metadata={"songtitle": about}), page)
    found = reproduce.read_page(page)
    assert found.other_code == ("growing",)
    assert "<code>growing</code>" in extension.badge(found, book=found, notebook="x")
