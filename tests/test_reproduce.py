"""Laws of reproducing: bad parameters refused first, same run same bytes, nothing missing."""

import errno
import json
import os
import re
import subprocess
from dataclasses import replace

import pytest
from small_books import written

from songtitle import cache
from songtitle.book import reproduce
from songtitle.config import preset
from songtitle.errors import InputError
from songtitle.experiment import paper_corpora


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "home"))


def notebook(folder, *cells):
    parameters = 'preset = "tiny"\nseed = 0'
    return written(folder / "00_test.ipynb", *cells, parameters=parameters)


def test_an_executed_notebook_is_the_same_bytes_twice(tmp_path):
    source = notebook(tmp_path, "print(preset, seed)")
    for name in ("a", "b"):
        assert reproduce.execute(source, tmp_path / name / "out.ipynb", {"seed": 5})
    first, second = ((tmp_path / name / "out.ipynb").read_bytes() for name in "ab")
    assert first == second
    assert b"tiny 5" in first
    assert b"papermill" not in first


def test_an_executed_notebook_is_not_run_again_until_something_changes(tmp_path):
    source = notebook(tmp_path, "print(seed)")
    output = tmp_path / "out" / "out.ipynb"
    assert reproduce.execute(source, output, {"seed": 1})
    assert not reproduce.execute(source, output, {"seed": 1})
    assert reproduce.execute(source, output, {"seed": 2})
    changed = notebook(tmp_path, "print(seed + 1)")
    assert reproduce.execute(changed, output, {"seed": 2})


def test_a_page_made_on_another_machine_is_made_again_here(tmp_path, monkeypatch):
    source, output = notebook(tmp_path, "print(seed)"), tmp_path / "out" / "out.ipynb"
    assert reproduce.execute(source, output, {"seed": 1})
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "another home"))
    assert reproduce.execute(source, output, {"seed": 1})
    assert not reproduce.execute(source, output, {"seed": 1})


def test_a_page_that_fails_or_finds_no_room_is_one_line_and_the_earlier_one_stays(
    tmp_path, monkeypatch
):
    source, output = notebook(tmp_path, "print(1 / seed)"), tmp_path / "out" / "out.ipynb"
    reproduce.execute(source, output, {"seed": 1})
    before = output.read_bytes()
    with pytest.raises(InputError, match=r"00_test\.ipynb: cell 3 failed: ZeroDivisionError") as e:
        reproduce.execute(source, output, {"seed": 0})
    assert "\n" not in str(e.value)

    def full(path, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(reproduce, "write_whole", full)
    with pytest.raises(InputError, match=r"00_test\.ipynb: No space left on device: .*out\.ipynb"):
        reproduce.execute(source, output, {"seed": 2})
    assert output.read_bytes() == before


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sead": 1}, r"sead: not a parameter of 04_search\.ipynb; it has preset, seed, device"),
        ({"preset": "slow"}, r"preset: expected one of tiny, quick"),
        ({"beam_sizes": "abc"}, r"beam_sizes: expected a list of one or more whole.*'abc'"),
        ({"settings": {"model.weights": "/no.pth"}}, r"model\.weights: .*'/no\.pth'; there is no"),
        (
            {"settings": {"model.word_vectors": "x"}},
            r"model\.word_vectors: .*; there is no",
        ),
        ({"seed": "x"}, r"seed: expected a whole number"),
    ],
)
def test_a_bad_parameter_is_refused_before_anything_runs(tmp_path, parameters, message):
    source = reproduce.SOURCES / "04_search.ipynb"
    with pytest.raises(InputError, match=message):
        reproduce.execute(source, tmp_path / "out.ipynb", parameters)
    assert not (tmp_path / "out.ipynb").exists()


def test_every_notebook_is_numbered_once_and_in_the_contents():
    names = [path.stem for path in reproduce.notebooks()]
    assert len({name.split("_")[0] for name in names}) == len(names)
    contents = (cache.ROOT / "_toc.yml").read_text()
    assert sorted(re.findall(r"file: notebooks/(\w+)", contents)) == names


def test_a_parameter_of_a_notebook_alone_is_checked_by_its_default(tmp_path):
    source = reproduce.SOURCES / "05_titles.ipynb"
    reproduce.check_parameters(source, {"beam_size": 3})
    with pytest.raises(InputError, match=r"beam_size: expected int, such as 5, got 'x'; mend -p"):
        reproduce.check_parameters(source, {"beam_size": "x"})


@pytest.fixture
def small_clone(tmp_path, monkeypatch):
    """A clone with a book of one page, and a run that made another of it."""
    clone = tmp_path / "clone"
    files = {
        "CHANGELOG.md": "changes",
        "book/_toc.yml": "root: index",
        "book/index.md": "prose",
        "book/extra/demo/page.js": "script",
        "book/extra/demo/model/model.json": "theirs",
        "book/notebooks/01_a.ipynb": "theirs",
        "book/_build/html/index.html": "built",
        "results/quick/scores.json": "theirs",
        "book/_build/run/notebooks/01_a.ipynb": "ours",
        "book/_build/run/results/quick/scores.json": "ours",
        "book/_build/run/extra/demo/model/model.json": "ours",
    }
    for name, text in files.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text)
    run = clone / "book" / "_build" / "run"
    places = {"RUN": run, "OWN": run / "results", "PUBLISHED": clone / "results"}
    for name, place in places.items():
        monkeypatch.setattr(cache, name, place)
    places = {"ROOT": clone, "BOOK": clone / "book", "EXECUTED": run / "notebooks"}
    for name, place in places.items():
        monkeypatch.setattr(reproduce, name, place)
    return clone


def texts(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_book_of_a_run_is_built_beside_what_the_clone_tracks_and_has_that_alone(small_clone):
    before = {name: text for name, text in texts(small_clone).items() if "_build" not in name}
    source = reproduce.assemble()
    built = texts(source)
    assert built["notebooks/01_a.ipynb"] == built["extra/demo/model/model.json"] == "ours"
    assert built["index.md"] == "prose"
    assert not [name for name in built if "_build" in name]
    assert (source / "../CHANGELOG.md").read_text() == "changes"  # a page includes it from there
    after = {name: text for name, text in texts(small_clone).items() if "_build" not in name}
    assert after == before
    (small_clone / "book" / "index.md").rename(small_clone / "book" / "start.md")
    assert "index.md" not in texts(reproduce.assemble())


def test_publishing_writes_what_was_run_into_the_clone_and_nothing_else(small_clone):
    reproduce.publish()
    found = texts(small_clone)
    for name in (
        "book/notebooks/01_a.ipynb",
        "results/quick/scores.json",
        "book/extra/demo/model/model.json",
    ):
        assert found[name] == "ours"
    assert found["book/index.md"] == "prose"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Puts a record among those of this run, or those that were published."""
    for name in ("OWN", "PUBLISHED"):
        monkeypatch.setattr(cache, name, tmp_path / name)

    def put(name, key, *, code=(), place="PUBLISHED"):
        path = tmp_path / place / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"key": key, "code": dict(code), "timing": place}))

    return put


def changed_pages(work):
    """The pages that are made again after this."""
    pages = [path for path in reproduce.notebooks() if path.stem != reproduce.SCOREBOARD]
    before = {path.stem: reproduce._key(path, {}) for path in pages}
    work()
    return [path.stem for path in pages if reproduce._key(path, {}) != before[path.stem]]


STALE = {"songtitle.metrics.bleu": "00000000"}


def test_what_gives_a_run_another_name_makes_every_page_of_it_again(monkeypatch):
    """Else a book of pages that are all up to date is refused as one of several runs."""
    pages = [path for path in reproduce.notebooks() if path.stem != reproduce.SCOREBOARD]
    run = reproduce._about({})["run"]
    every = [path.stem for path in pages]
    assert changed_pages(lambda: monkeypatch.setattr(reproduce, "code_of_run", lambda: "")) == every
    assert reproduce._about({})["run"] != run
    other = {"preset": "quick", "seed": 1}  # of the whole run, where a page knows only a part
    keys = [[reproduce._key(path, {}, asked=asked) for path in pages] for asked in ({}, other)]
    assert not set(keys[0]) & set(keys[1])


def test_a_module_that_no_page_reaches_is_no_part_of_the_run_that_pages_are_of():
    reached = "\n".join(map(reproduce._cells, reproduce.notebooks()))
    names = reproduce.code_of_text(reached).keys()
    assert "songtitle.experiment.scoring" in names
    assert "songtitle.experiment.plan" not in names


def test_keeping_and_publishing_what_a_run_found_makes_no_page_again(kept):
    names = ("tiny/comparison", "tiny/scores", "quick/switchboard", "samples/samples")
    for place in ("OWN", "PUBLISHED"):
        assert changed_pages(lambda at=place: [kept(name, "k", place=at) for name in names]) == []


def test_a_long_stage_that_is_made_again_makes_again_the_page_that_shows_it_and_no_other(kept):
    kept("quick/replicates", "old", code=STALE)
    kept("quick/comparison", "old", code=STALE)
    assert changed_pages(lambda: kept("quick/replicates", "new", place="OWN")) == ["09_controls"]
    assert changed_pages(lambda: kept("quick/comparison", "new")) == ["03_training"]


def test_what_is_measured_or_counted_elsewhere_makes_pages_again_unless_it_is_counted_here(
    kept, tmp_path, monkeypatch
):
    monkeypatch.delenv("SONGTITLE_REAL_DATA", raising=False)
    assert changed_pages(lambda: kept("benchmarks/beam", "k")) == ["08_speed"]
    assert changed_pages(lambda: kept("faults/faults", "k")) == ["18_faults"]
    assert "01_corpora" in changed_pages(lambda: kept("census/fma_tracks", "k"))
    assert not changed_pages(lambda: kept("census/fma_tracks", "k", place="OWN"))
    monkeypatch.setattr(paper_corpora, "files_of", lambda question, home: ("here", len, []))
    assert not changed_pages(lambda: kept("census/fma_tracks", "other"))


def test_nothing_but_publishing_writes_where_git_looks():
    """Where runs, benchmarks and planted faults write, git looks away."""
    for place in (reproduce.EXECUTED, cache.OWN, cache.RUN / reproduce.DEMO):
        told = subprocess.run(
            ["git", "check-ignore", "-q", str(place / "x")], cwd=cache.ROOT, check=False
        )
        if told.returncode == 128:
            pytest.skip("no clone of git")
        assert told.returncode == 0, place


def page(folder, names, extra=""):
    body = "".join(f'<div id="{name}"></div>' for name in names)
    (folder / "page.html").write_text(f"<html>{body}{extra}</html>")


def test_a_book_with_every_table_and_figure_passes(tmp_path):
    page(tmp_path, reproduce.EXPECTED, '<img src="x.png" alt="A line that rises."/>')
    reproduce.check_book(tmp_path)


def test_a_book_without_one_of_them_is_refused_by_name(tmp_path):
    for missing in reproduce.EXPECTED:
        page(tmp_path, [name for name in reproduce.EXPECTED if name != missing])
        with pytest.raises(InputError, match=rf"missing \['{missing}'\]"):
            reproduce.check_book(tmp_path)


def test_a_book_with_a_traceback_or_a_nameless_picture_is_refused(tmp_path):
    page(tmp_path, reproduce.EXPECTED, "<pre>Traceback (most recent call last)</pre>")
    with pytest.raises(InputError, match=r"traceback: \['page\.html'\]"):
        reproduce.check_book(tmp_path)
    page(tmp_path, reproduce.EXPECTED, '<img src="x.png"/>')
    with pytest.raises(InputError, match=r"without alt text: \['page\.html'\]"):
        reproduce.check_book(tmp_path)


@pytest.fixture
def hour(tmp_path, monkeypatch):
    """A clean commit, and in the place of `samples` a stage that says which seeds were trained."""
    asked, home = [], tmp_path / "home"
    config = replace(preset("tiny"), name=reproduce.SAMPLES, replicates=3)

    @cache.stage
    def samples(config, *, home):
        return cache.Work(lambda _: asked.append("named") or {"rows": []}, {})

    monkeypatch.setattr(reproduce, "stages", lambda _: iter([(samples, config)]))
    monkeypatch.setattr(reproduce, "preset", lambda name, **_: config)
    monkeypatch.setattr(reproduce, "side_by_side", lambda work, _: asked.extend(work))
    made = {"commit": "c0ffee", "modified": False}
    monkeypatch.setattr(reproduce, "provenance", lambda: made)
    monkeypatch.setenv("SONGTITLE_DATA", str(home))
    for name in ("OWN", "PUBLISHED"):
        monkeypatch.setattr(cache, name, tmp_path / name)
    return samples, config, made, asked


def test_publishing_leaves_the_hour_of_samples_as_it_was_published_and_says_so(hour):
    stage, config, _, asked = hour
    path = cache.publish(stage, config, stage(config), root=cache.PUBLISHED)
    content = json.loads(path.read_text())
    content["code"] = STALE
    content["config"]["picture_count"] = 7  # of other settings, too
    path.write_text(json.dumps(content))
    asked.clear()
    said = reproduce._make_again(stage, config)
    assert re.search(r"stays as other code made it; .* `python -m songtitle run 13_sam.*`", said)
    assert asked == []
    shown = cache.published(stage, config, stays=True)
    assert shown.changed == ["songtitle.metrics.bleu"]
    assert asked == []


def test_on_request_the_hour_of_samples_is_trained_by_seed_and_written_into_the_clone(hour, capsys):
    from songtitle.__main__ import main

    stage, config, _, asked = hour
    assert main(reproduce.AGAIN.split()[3:]) == 0
    assert asked == [*(f"[samples] training {n}" for n in range(3)), "named"]
    assert "published: " in capsys.readouterr().out
    kept = cache.PUBLISHED / "samples" / "samples.json"
    assert json.loads(kept.read_text())["key"] == stage(config).key


@pytest.mark.parametrize(
    ("made", "changes", "message"),
    [
        ({"modified": True}, [], "expected code as it was committed, got changes that were not"),
        ({"commit": None}, [], "expected a clone of git, whose commit .*, got none"),
        ({}, ["-p", "views", "2"], "expected its preset as it is, got another views"),
    ],
)
def test_samples_are_published_of_a_clean_commit_and_of_their_preset_alone(
    hour, made, changes, message, capsys
):
    from songtitle.__main__ import main

    hour[2].update(made)
    assert main([*reproduce.AGAIN.split()[3:], *changes]) == 2
    assert re.search(f"publish samples: {message}", capsys.readouterr().err)
    assert hour[3] == []


def test_publishing_makes_what_takes_long_again_and_what_real_songs_are_needed_for():
    long = {
        (stage.__name__, its.name)
        for stage, its in reproduce.stages(preset("quick"))
        if reproduce._takes_long(stage, its)
    }
    assert {
        ("track_listening", "samples"),
        ("baselines", "samples"),
        ("comparison", "quick"),
    } <= long
    assert ("listening", "quick") not in long
    only = {
        stage.__name__ for stage, its in reproduce.stages(preset("quick")) if its.name != "quick"
    }
    of_quick = {s.__name__ for s, its in reproduce.stages(preset("quick")) if its.name == "quick"}
    assert only & of_quick == {"baselines"}  # what listens to tracks has none in the book's tunes
    assert only - of_quick == {"samples", "track_listening", "second_ear"}
