"""Faults: each test plants one of them many times and counts what survived.

`make test-faults` prints one table (fault, times tried, survived, lost) and exits 1 where anything
was lost. `SONGTITLE_FAULTS=few` plants few of each. Page 18 shows what is kept: of
each fault the run that planted it most often, if nothing was lost in that run.
Plain `pytest` leaves this folder out.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from songtitle.cache import OWN, ROOT, code_of_text, digest, provenance, results

pytest.register_assert_rewrite("small_runs")  # what it finds unequal is told in full

HERE = Path(__file__).parent
TOP = HERE.parent.parent  # the clone
FEW = os.environ.get("SONGTITLE_FAULTS") == "few"
KEPT = "faults/faults.json"
NAMED = "fault"  # the property of a test's report that carries its counts
SKIPPED = pytest.StashKey[bool]()  # of a test: it found that this machine lacks what it needs


@dataclass
class Fault:
    """One kind of fault: how often it was planted, and what became of it."""

    group: str  # the part of the suite: stages, disk, downloads, hostile, media, load, supply
    name: str  # a phrase that ends "What happens when ..."
    outcome: str  # what the reader gets instead of a loss, a phrase
    times: int  # how often it is planted in this run
    test: str  # the file that plants it
    tried: int = 0
    survived: int = 0
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rounds(self) -> range:
        """The numbers of the times that are still to come."""
        return range(self.tried, self.times)

    @contextmanager
    def once(self, what: object = "") -> Iterator[None]:
        """One time: survived if the block ends in peace; else lost, and the next time goes on."""
        self.tried += 1
        try:
            yield
        except (Exception, pytest.fail.Exception) as error:
            self.lost.append(f"{what}: {type(error).__name__}: {error}"[:500])
        else:
            self.survived += 1


@pytest.fixture
def fault(record_property, request):
    """Make a `Fault`: `fault(group, name, outcome, full=50, few=5)`; checked when the test ends.

    The test fails where something was lost, or where it planted its fault less often than said; it
    is skipped where none is wanted. One that skips itself counts no fault.
    """
    made, started = [], time.monotonic()

    def make(group, name, outcome, *, full, few=None):
        times = few if FEW and few is not None else full
        if not times:
            pytest.skip(f"{name}: takes long, and is left out where SONGTITLE_FAULTS is few")
        test = request.path.relative_to(TOP).as_posix()
        made.append(Fault(group, name, outcome, times, test))
        return made[-1]

    yield make
    skipped = request.node.stash.get(SKIPPED, False)
    for each in made if not skipped else []:
        each.seconds = round((time.monotonic() - started) / len(made), 1)
        record_property(NAMED, asdict(each))
    for each in made:
        assert not each.lost, f"{each.name}: lost {len(each.lost)} of {each.tried}: {each.lost[:3]}"
        assert skipped or each.tried >= each.times, (
            f"{each.name}: tried {each.tried} of {each.times}"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Tell `fault` of a test that skipped itself."""
    report = yield
    if call.when == "call":
        item.stash[SKIPPED] = report.skipped
    return report


@pytest.fixture(scope="module")
def runs():
    """The server of small runs."""
    import small_runs  # brings torch

    return small_runs.server()


@pytest.fixture(scope="module")
def undisturbed():
    """The home of a run that nothing disturbed."""
    import small_runs

    return small_runs.undisturbed()


def pytest_ignore_collect(collection_path, config):
    """Plain `pytest` leaves this folder out."""
    start = config.invocation_params.dir
    asked = [(start / argument.split("::")[0]).resolve() for argument in config.args]
    return None if any(path == HERE or HERE in path.parents for path in asked) else True


def counted(reporter):
    """The counts of all tests of this run, in the order of their names."""
    reports = [report for each in reporter.stats.values() for report in each]
    found = {
        (facts["group"], facts["name"]): facts
        for report in reports
        for name, facts in getattr(report, "user_properties", ())
        if name == NAMED
    }
    return [found[key] for key in sorted(found)]


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    """The table, and without a failure the record too."""
    rows = counted(terminalreporter)
    if not rows or hasattr(config, "workerinput"):  # a worker knows a part of them
        return
    write = terminalreporter.write_line
    wide = max(len(row["name"]) for row in rows)
    write(f"{'group':<10} {'fault':<{wide}} {'tried':>7} {'survived':>9} {'lost':>5}")
    for row in rows:
        lost = len(row["lost"])
        write(
            f"{row['group']:<10} {row['name']:<{wide}} {row['tried']:>7,} "
            f"{row['survived']:>9,} {lost:>5,}"
        )
    total = {name: sum(row[name] for row in rows) for name in ("tried", "survived")}
    lost = sum(len(row["lost"]) for row in rows)
    write(f"{'':<10} {'all':<{wide}} {total['tried']:>7,} {total['survived']:>9,} {lost:>5,}")
    if exitstatus == 0:
        keep(rows)


def keep(rows):
    """Put rows into the record where they were tried more often than those that are there."""
    before = results().get(KEPT)
    record = json.loads(before.read_text("utf-8")) if before else {"rows": []}
    kept = {(row["group"], row["name"]): row for row in record["rows"]}
    made = provenance()
    by = f"{made['commit']}{' with uncommitted changes' if made['modified'] else ''}"
    more = {
        (row["group"], row["name"]): row
        | {"lost": 0, "commit": by, "code": digest(code_of_test(row["test"]))}
        for row in rows
        if row["tried"] >= kept.get((row["group"], row["name"]), {"tried": 0})["tried"]
    }
    if more:
        kept |= more
        path, code = TOP / OWN.relative_to(ROOT) / KEPT, {}
        for row in rows:
            code |= code_of_test(row["test"])
        record = {"provenance": made, "code": code, "rows": [kept[key] for key in sorted(kept)]}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


def code_of_test(name):
    """The code that a file of tests tries."""
    return code_of_text((TOP / name).read_text("utf-8"))
