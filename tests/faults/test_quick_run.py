"""Faults of the quick run itself, by the commands that a reader gives: fetch, then notebooks."""

import json
import random
import time

import small_runs

from songtitle.book import reproduce
from songtitle.corpora.manifest import listed, verify

LONGEST = 20  # seconds until a kill; the kernel of a notebook takes a third of it to begin


def commands(home):
    """What a reader types: fetching, and the notebooks from the corpora to titles and scores."""
    pages = [path.stem for path in reproduce.notebooks()[:5]]
    assert pages[-1] == "05_titles"
    return [["fetch"], ["run", *pages, "--output", str(home / "pages made")]]


def test_the_quick_run_is_killed_at_any_moment_and_ends_as_if_it_had_not_been(
    fault, runs, tmp_path
):
    each = fault(
        "stages",
        "the quick run is killed: fetching, in a notebook or between its cells, at any stage",
        "the same commands go on: finished stages and pages stay as they are, and in the end all "
        "records, files and pages equal those of an undisturbed run",
        full=50,
        few=0,
    )
    whole = tmp_path / "undisturbed"
    whole.mkdir()
    runs.finish(whole, commands=commands(whole))
    draw = random.Random(int(time.time()))
    home = tmp_path / "killed"
    for number in each.rounds:
        struck = False
        while not struck:
            home.mkdir(exist_ok=True)
            before, pages = small_runs.as_they_lie(home), made(home)
            pid = runs.start(home, commands=commands(home))
            time.sleep(moment := draw.uniform(0, LONGEST))
            struck = runs.kill(pid, kernels=draw.random() < 0.5)
            if not struck:  # it had only a little left to do: begin another
                check_equal(home, whole)
                home = tmp_path / f"begun before {number}"
        with each.once(f"after {moment:.2f} s"):
            small_runs.check_kept(home, before, whole)
            assert pages.items() <= made(home).items()
            assert without_seconds(made(home)).items() <= without_seconds(made(whole)).items()
            if number == each.times - 1:
                runs.finish(home, commands=commands(home))
                check_equal(home, whole)


def made(home):
    """The bytes of every page."""
    return {path.name: path.read_bytes() for path in home.glob("pages made/*.ipynb")}


def without_seconds(pages):
    """Pages less what differs from run to run: the figures of the page on search draw seconds."""
    return pages | {
        name: json.dumps([cell for cell in json.loads(page)["cells"] if not draws(cell)])
        for name, page in pages.items()
        if name == "04_search.ipynb"
    }


def draws(cell):
    return any("image/svg+xml" in out.get("data", {}) for out in cell.get("outputs", []))


def check_equal(home, whole):
    """Records, files and pages are those of an undisturbed run, and nothing else lies there."""
    small_runs.check_equal(home, whole)
    assert without_seconds(made(home)) == without_seconds(made(whole))
    assert not any(verify(listed("stamps"), home / "stamps"))
