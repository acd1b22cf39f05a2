import getpass
import json
import math
import platform

import pytest

from benchmarks import harness
from benchmarks.harness import Growth, Row, interleaved, machine, named, peak_memory


def row(value, **bounds):
    return Row(what="k = 5", quantity="time / limit", value=value, **bounds)


@pytest.mark.parametrize(
    ("value", "bounds", "met"),
    [
        (1.3, {"at_most": 1.3}, True),
        (math.nextafter(1.3, 2), {"at_most": 1.3}, False),
        (0.0, {"at_most": 1.3}, True),
        (7.0, {"at_least": 7.0}, True),
        (math.nextafter(7.0, 0), {"at_least": 7.0}, False),
        (2.0, {"at_least": 1.0, "at_most": 3.0}, True),
        (0.5, {"at_least": 1.0, "at_most": 3.0}, False),
        (3.5, {"at_least": 1.0, "at_most": 3.0}, False),
        (0.0, {"at_most": 0.0}, True),
        (1e-9, {"at_most": 0.0}, False),
        (1e9, {}, True),
        (math.nan, {"at_most": 1.3}, False),
        (math.nan, {"at_least": 0.0}, False),
    ],
)
def test_a_row_is_met_up_to_and_at_its_bounds_and_never_by_what_is_no_number(value, bounds, met):
    assert row(value, **bounds).met is met


def test_a_row_as_json_has_its_fields_and_its_verdict():
    found = json.loads(json.dumps(row(1.2, at_most=1.3, seconds={"ours": 0.5}).as_dict()))
    assert found["value"] == 1.2
    assert found["at_most"] == 1.3
    assert found["at_least"] is None
    assert found["seconds"] == {"ours": 0.5}
    assert found["met"] is True


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("factor", [1e-6, 3.0])
def test_a_planted_power_law_gives_its_exponent(exponent, factor):
    sizes = [3, 7, 31, 127]
    values = [factor * size**exponent for size in sizes]
    growth = Growth(what="search", against="k", unit="seconds", sizes=sizes, values=values)
    assert growth.exponent == pytest.approx(exponent, abs=1e-9)
    assert growth.as_dict()["exponent"] == growth.exponent


def test_the_exponent_does_not_depend_on_the_unit():
    sizes, values = [2, 5, 11, 23], [0.3, 0.9, 1.7, 4.4]
    first, second = (
        Growth(what="", against="", unit="", sizes=sizes, values=[scale * v for v in values])
        for scale in (1, 1000)
    )
    assert first.exponent == pytest.approx(second.exponent)


class Clock:
    """A clock that stands still except where a way of the test moves it on."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(harness, "time", clock)
    return clock


def timed(clock, name, durations, calls):
    left = iter(durations)

    def way():
        calls.append(name)
        clock.now += next(left)

    return way


def test_ways_are_timed_in_turn_and_not_one_after_the_other(clock):
    calls = []
    ways = {name: timed(clock, name, [1.0] * 4, calls) for name in "ab"}
    interleaved(ways, rounds=3, warm=1)
    assert calls == ["a", "b"] * 4


def test_warm_rounds_are_run_but_not_measured(clock):
    calls = []
    found = interleaved(
        {
            "a": timed(clock, "a", [100.0, 90.0, 1.0, 2.0, 9.0], calls),
            "b": timed(clock, "b", [70.0, 80.0, 5.0, 3.0, 4.0], calls),
        },
        rounds=3,
        warm=2,
    )
    assert found == {"a": 2.0, "b": 4.0}
    assert len(calls) == 10


def test_the_median_is_reported_and_one_slow_round_does_not_count(clock):
    durations = [1.0, 1.0, 50.0, 1.0, 1.0]
    assert interleaved({"a": timed(clock, "a", durations, [])}, warm=0) == {"a": 1.0}


def test_the_machine_is_described_without_its_host_its_user_or_its_folders():
    text = json.dumps(machine())
    words = set(text.replace('"', " ").replace(",", " ").replace(":", " ").split())
    assert platform.node() not in words
    assert getpass.getuser() not in words
    assert "/" not in text.replace("\\/", "/")
    assert {"cores", "threads", "python", "packages", "load"} <= machine().keys()


def test_a_peer_is_named_with_its_version_or_as_missing():
    assert named("no-such-package-at-all") == "no-such-package-at-all (not installed)"
    name, _, number = named("numpy").partition(" ")
    assert name == "numpy"
    assert number[0].isdigit()


def test_peak_memory_is_in_megabytes_and_never_falls():
    before = peak_memory()
    block = bytearray(int(max(before, 64.0)) * 2**20)  # certainly a new peak
    during = peak_memory()
    del block
    assert before < 100_000
    assert during >= before
    assert peak_memory() >= during - 1  # the kernel counts in batches
