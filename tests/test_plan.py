"""The plan: its arithmetic, what is finished, what it says and how it ends."""

import io
import json
import math
import os
import re
import tarfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
from sphinx.errors import ExtensionError

from songtitle.__main__ import FORECAST, main
from songtitle.book import extension, reproduce
from songtitle.cache import PUBLISHED, pick, read_json, run_stage
from songtitle.config import DECODERS, preset
from songtitle.corpora import manifest, picture_sets
from songtitle.corpora.captions import TABLES
from songtitle.corpora.inventory import human as told_size
from songtitle.corpora.manifest import free, read_source
from songtitle.errors import InputError
from songtitle.experiment import controls, learning, picture_sizes, plan, scoring, switchboard
from songtitle.experiment import probe as probing
from songtitle.experiment.corpora import fingerprint, roles
from songtitle.experiment.done import Done
from songtitle.experiment.inputs import encoder_settings
from songtitle.experiment.probe import (
    SCORED,
    Probe,
    beginnings,
    keep,
    kept,
    kept_in,
    probe,
    titles,
)
from songtitle.experiment.quantities import Corpora, corpora_of, plural
from songtitle.machine import cores
from songtitle.studies import plan as told

Usage = namedtuple("Usage", "total used free")
TINY = preset("tiny", {"device": "cpu"})
SMALL = Corpora(
    name="book",
    pictures={"train": 100, "valid": 10, "test": 10},
    lengths={3: 1, 5: 1},
    words=50,
    songs=7,
)


PLAIN = Probe(  # of all that the tiny preset asks for
    hardware="none",
    look=1.0,
    hear=1.0,
    start={"efficientnet_lite0": 1.0},
    encode={"efficientnet_lite0": 1.0},
    step=dict.fromkeys(DECODERS, 1.0),
    check=dict.fromkeys(DECODERS, 1.0),
    search=dict.fromkeys((1, 3, 5), 1.0),
    score={name: {7: 1.0} for name in SCORED},
    likelihood=1.0,
    memory=1,
)


class Always(dict):
    """A dictionary that gives its one value for every key."""

    def __missing__(self, name):
        return next(iter(self.values()))


def made_up(**changes):
    """Seconds that make sums easy: encoding a picture takes 2, a step 3, all else nothing."""
    nothing = Always(any=0.0)
    seconds = {"look": 0.0, "hear": 0.0, "likelihood": 0.0, "memory": 0, "hardware": "none"}
    maps = dict.fromkeys(("start", "check"), nothing) | {"search": Always({1: 0.0})}
    maps |= {"score": {name: {1: 0.0} for name in SCORED}}
    maps |= {"encode": Always(any=2.0), "step": Always(any=3.0)}
    return Probe(**(seconds | maps | changes))


def planned(config=TINY, corpora=SMALL, probed=None, home=Path("/"), done=None):
    return plan.forecast(config, corpora, probed or made_up(), home=home, done=done)


def seconds_of(found, *stages):
    return sum(piece.left for piece in found.pieces if piece.stage in stages)


# -- arithmetic ------------------------------------------------------------------------------------


def test_twice_the_epochs_are_twice_the_training_time():
    twice = replace(TINY, training=replace(TINY.training, epochs=2 * TINY.training.epochs))
    once, double = (
        [piece for piece in planned(each).pieces if "training" in piece.stage]
        for each in (TINY, twice)
    )
    assert once[0].seconds == TINY.training.epochs * 100 * 3.0
    assert sum(p.seconds for p in double) >= 2 * sum(p.seconds for p in once) > 0
    assert double[0].seconds == 2 * once[0].seconds
    assert seconds_of(planned(twice), "picture_features") == seconds_of(
        planned(TINY), "picture_features"
    )


def test_twice_the_pictures_are_twice_the_features_in_bytes_and_seconds():
    def features(corpora):
        found = planned(replace(TINY, song_count=1), corpora)
        size = sum(need.size for need in found.needs if need.item.startswith("features"))
        return size, seconds_of(found, "picture_features", "training")

    none = replace(SMALL, songs=0)
    twice = {side: 2 * count for side, count in SMALL.pictures.items()}
    assert features(replace(none, pictures=twice)) == tuple(2 * each for each in features(none))


def test_a_search_costs_by_its_inputs_and_its_beam_size():
    probed = made_up(search={1: 1.0, 3: 10.0, 5: 100.0})
    cells = {p.about: p.seconds for p in planned(probed=probed).pieces if p.stage == "hypotheses"}
    assert cells["songs: timbre, k = 1: 7 inputs"] == 7
    assert cells["songs: timbre, k = 3: 7 inputs"] == 70
    assert cells["pictures 128×128, k = 1: 40 inputs"] == 40  # four tiles of each picture


def test_of_the_paper_pages_list_some_pictures_and_a_store_holds_all_in_half_precision(tmp_path):
    config = preset("paper_literal", {"compared_decoders": ["lstm"], "switches": ["dropout"]})
    corpora = corpora_of("paper", config, tmp_path)
    assert corpora.whole > 2_000_000
    assert corpora.pictures["train"] == picture_sets.LISTED
    found = planned(config, corpora, home=tmp_path)
    sizes = {need.item: need.size for need in found.needs}
    views = config.views * corpora.pictures["train"] + corpora.pictures["valid"]
    tiles = 64 + 16 + 4 + 1
    listed = views + tiles * corpora.pictures["test"] + config.song_count
    assert sizes["features, pooled: resnet152, 2 views"] == listed * 2048 * 4
    assert not [name for name in sizes if "map" in name]
    assert sizes["features, of all"] == config.views * corpora.whole * 2048 * 2
    assert seconds_of(found, "features, of all") == config.views * corpora.whole * 2.0
    runs = config.replicates * config.training.epochs * corpora.whole * 3.0
    assert seconds_of(found, "train, on all") == runs
    few = corpora_of("paper", replace(config, picture_count=5_000), tmp_path)
    assert (few.whole, few.pictures["train"]) == (0, 5_000)


def test_where_a_decoder_looks_all_positions_of_the_map_are_kept():
    sizes = {need.item.split(":")[0]: need.size for need in planned().needs}
    assert sizes["features, map"] == 8 * 8 * sizes["features, pooled"]


def test_scoring_costs_by_its_items_from_the_nearest_number_that_was_measured():
    assert plan.at({10: 1.0, 1000: 200.0}, 20) == 2.0
    assert plan.at({10: 1.0, 1000: 200.0}, 500) == 2.0 * 50
    assert math.isnan(plan.at({}, 5))
    probed = made_up(score={name: {7: 1.0, 10: 2.0} for name in SCORED})
    for stage, cases in (("replicates", TINY.replicates * 2), ("controls", 2)):
        assert seconds_of(planned(probed=probed), stage) == cases * (2.0 + 2 * 1.0)


@pytest.mark.parametrize("known", [0.0, 0.3, 1.0])
def test_of_titles_every_beginning_counts_once(known):
    corpora = replace(SMALL, known=known)
    drawn = titles(corpora, 40)
    assert {len(each) for each in drawn} == set(SMALL.lengths)
    assert {word for each in drawn for word in each} <= set(range(3, SMALL.words))
    assert drawn == titles(corpora, 40)
    every = {tuple(each[:end]) for each in drawn for end in range(6)}
    assert beginnings(corpora, 40) == len(every)
    if not known:  # of words that are all unknown the lengths alone differ
        assert beginnings(corpora, 40) == 1 + max(SMALL.lengths)


def test_one_of_a_kind_is_named_as_one():
    assert (plural(1, "view"), plural(2, "view"), plural(1000, "view")) == (
        *("1 view", "2 views", "1,000 views"),
    )
    text = told.report(planned(replace(TINY, views=1)))
    assert "1 view" in text
    assert not re.search(r"\b1 \w+s\b(?! k)", text.replace("1 s", ""))


# -- which trainings -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tiny", "quick", "modern", "paper_literal"])
def test_the_trainings_planned_are_those_that_the_stages_ask_for(name, monkeypatch, tmp_path):
    config, asked = preset(name, {"device": "cpu"}), []

    class Stands:
        key, result, timing = "0", {}, {}

        def file(self, name):
            return tmp_path / name

    def ask(stage):
        return lambda its, *rest, home=None: asked.append((its, stage)) or Stands()

    for module in (scoring, controls, switchboard):
        monkeypatch.setattr(module, "training", ask("training"))
    blind = ask("blind_training")  # which is patient by itself
    monkeypatch.setattr(
        controls, "blind_training", lambda its, home=None: blind(learning.patient(its))
    )
    for module, names in {
        scoring: ("corpora", "picture_features", "hypotheses"),
        controls: ("corpora", "clips"),
        switchboard: ("corpora", "clips", "hypotheses", "features_record", "switch_songs"),
    }.items():
        for each in names:
            monkeypatch.setattr(module, each, lambda *rest, home=None: Stands())
    monkeypatch.setattr(controls.naming, "controlled_inputs", lambda *rest: {})
    for stage in (scoring.comparison, controls.replicates, controls.controls):
        stage.__wrapped__(config, home=tmp_path)
    for question, answer in switchboard.open_answers(config):
        switchboard.switch.__wrapped__(config, question.name, answer.label, home=tmp_path)

    def learns(its):  # what a training reads of the settings: others differ in what is heard
        return (*pick(its, "model", "training", "views", "min_count").values(), its.seed)

    planned_ones = [(learns(each.config), each.stage) for each in plan.trainings(config)]
    assert len(planned_ones) == len(set(planned_ones))
    assert set(planned_ones) == {(learns(its), stage) for its, stage in asked}


# -- what is finished ------------------------------------------------------------------------------


def finish(home, config=TINY, **data):
    """Leave records as a run of `config` would, up to the captioner's."""

    def compute(folder):
        (folder / "there").write_text("x")
        return {"history": [{"epoch": 1}, {"epoch": 2}], "timing": {"seconds": 60.0}}

    def done(stage, settings, *inputs):
        return run_stage(stage, compute, settings=settings, inputs=inputs, home=home)

    counts = pick(config, "seed", "picture_count", "song_count", "title_rules")
    counts |= {"corpora": roles(config), "data": data or fingerprint(config, home)}
    words = done("corpora", counts)
    known = done("vocabulary", pick(config, "min_count"), words)
    own = pick(config, "seed", "crop", "views") | encoder_settings(config)
    seen = done("picture_features", own, words)
    learnt = pick(config, "model", "training", "seed", "monte_carlo_error") | {"device": "cpu"}
    return done("training", learnt, words, known, seen)


def test_what_is_finished_costs_nothing_and_the_rest_as_much_as_before(tmp_path):
    before = planned(home=tmp_path, done=Done(TINY, tmp_path))
    finish(tmp_path)
    after = planned(home=tmp_path, done=Done(TINY, tmp_path))
    (features,) = [p for p in before.pieces if p.stage == "picture_features"]
    captioner = next(p for p in before.pieces if p.about.startswith("captioner"))
    assert before.seconds - after.seconds == features.seconds + captioner.seconds > 0
    assert {p.about for p in after.pieces if p.record} == {features.about, captioner.about}
    assert sum(need.missing for need in after.needs) < sum(need.missing for need in before.needs)


def test_a_record_of_other_settings_or_other_code_finishes_nothing(tmp_path):
    record = finish(tmp_path)
    other = replace(TINY, training=replace(TINY.training, learning_rate=0.5))
    assert Done(TINY, tmp_path).training(TINY)
    assert not Done(other, tmp_path).training(other)
    assert not Done(replace(TINY, seed=3), tmp_path).corpora
    path = record.file("record.json")
    content = json.loads(path.read_text()) | {"code": {"songtitle.search.beam": "of yesterday"}}
    path.write_text(json.dumps(content))
    assert not Done(TINY, tmp_path).training(TINY)


def test_photos_as_many_as_stamps_finish_nothing_of_the_stamps(tmp_path):
    photos = replace(TINY, corpora="samples")
    finish(tmp_path, photos, photos="Images")
    assert Done(photos, tmp_path).corpora
    assert not Done(TINY, tmp_path).corpora
    finish(tmp_path, stamps="of another list", tunes="")
    assert not Done(TINY, tmp_path).corpora


def test_forecast_stands_beside_fact_for_the_epochs_that_were_run(tmp_path):
    finish(tmp_path)
    text = told.against(planned(home=tmp_path, done=Done(TINY, tmp_path)))
    row = next(line for line in text.splitlines() if "captioner" in line)
    assert row.split()[-3:] == ["600.0", "60.0", "10.00"]  # two of four epochs of 100 steps of 3 s


# -- corpora ---------------------------------------------------------------------------------------


def test_the_manifest_says_how_many_captions_there_are():
    assert [picture_sizes.captions(split) for split in ("train", "validation")] == [3318333, 15840]


def test_pictures_of_the_web_are_forecast_from_the_mean_of_those_that_came(tmp_path):
    found = picture_sizes.expected(tmp_path, "train")
    mean = read_json(PUBLISHED / picture_sizes.PUBLISHED)["result"]["mean"]
    assert found.pictures == round(0.9 * found.rows)
    assert found.size == pytest.approx(found.pictures * mean)


def test_pictures_are_forecast_from_a_table_at_hand_and_its_first_rows(tmp_path):
    table = tmp_path / "conceptual_captions" / TABLES["validation"]
    table.parent.mkdir(parents=True)
    table.write_text("a cat\thttp://a/x\n" * 50)
    (shard := table.parent / "pictures/validation/00000.tar").parent.mkdir(parents=True)
    shard.write_bytes(bytes(3000))
    found = picture_sizes.expected(tmp_path, "validation")
    assert (found.rows, found.pictures, found.here) == (50, 45, 3000)
    assert picture_sizes.expected(tmp_path, "validation", first=10).rows == 10
    assert picture_sizes.expected(tmp_path, "validation", first=99).rows == 50


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_dry_run_of_pictures_says_their_size_addresses_and_disk(
    split, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "home"))
    asked = ["fetch", "conceptual_captions", "--dry-run", "--pictures"]
    assert main(asked + [split] * (split != "train")) == 0
    _, *rows, total, told = capsys.readouterr().out.splitlines()[:6]
    found = picture_sizes.expected(tmp_path, split)
    assert f"pictures of {split}" in rows[-1]
    files = [file.size for file in read_source("conceptual_captions").files]
    for line, size in ((rows[-1], found.size), (total, found.size + sum(files))):
        assert told_size(size) in line
    assert f"{told_size(free(tmp_path))} free" in total
    assert f"{found.rows:,} addresses" in told
    assert list(tmp_path.iterdir()) == []  # it leaves nothing there


def test_a_dry_run_says_by_how_much_the_disk_is_short(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path))
    asked = ["fetch", "conceptual_captions", "--dry-run", "--pictures", "train"]
    for room, short in ((10**9, True), (10**12, False)):
        monkeypatch.setattr(manifest.shutil, "disk_usage", lambda _, room=room: Usage(0, 0, room))
        assert main(asked) == 0
        assert ("short" in capsys.readouterr().out) is short


@pytest.mark.skipif("SONGTITLE_REAL_DATA" not in os.environ, reason="needs the real sample")
def test_what_is_published_of_sizes_is_what_the_sample_gives(tmp_path):
    now = picture_sizes.picture_sizes(tmp_path)
    then = read_json(PUBLISHED / picture_sizes.PUBLISHED)
    copied = f"copy {now.file('record.json').name} of the stage to results/"
    assert now.result == then["result"], copied + picture_sizes.PUBLISHED
    assert now.settings == then["settings"]


@pytest.mark.parametrize("name", ["mine.toml", "nowhere", "."])
def test_corpora_that_cannot_be_are_one_line_that_says_what_to_do(name, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    name = str(tmp_path / "empty") if name == "." else name
    assert main(["plan", "--preset", "tiny", "--corpora", name, "--no-probe"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected" in line
    assert "got" in line


def test_shards_of_a_folder_are_counted_by_the_first(tmp_path):
    for number in range(3):
        with tarfile.open(tmp_path / f"{number:05d}.tar", "w") as tar:
            for key, content in [
                (f"{n}.{e}", b"x" * 500) for n in range(10) for e in ("jpg", "txt")
            ]:
                member = tarfile.TarInfo(key)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    found = corpora_of(str(tmp_path), TINY, tmp_path)
    assert sum(found.pictures.values()) == 30
    assert min(found.pictures.values()) == 3


# -- how it is said --------------------------------------------------------------------------------


def test_a_disk_that_is_too_small_ends_with_1_and_says_by_how_much(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path))
    monkeypatch.setattr(manifest.shutil, "disk_usage", lambda _: Usage(10**9, 0, 10**9))
    asked = ["plan", "--preset", "paper_literal", "--corpora", "paper", "--no-probe"]
    assert main(asked) == 1
    said = capsys.readouterr()
    assert "python -m songtitle fetch conceptual_captions --pictures train" in said.out
    found = planned(preset("paper_literal"), corpora_of("paper", preset("paper_literal"), tmp_path))
    missing = sum(need.missing for need in found.needs)
    assert f"it is {told_size(missing - 10**9)} short" in said.err


def test_without_a_probe_no_hours_are_said_and_json_has_null(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path))
    assert main(["plan", "--preset", "tiny", "--no-probe", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seconds"] is None
    assert found["trainings"] == len(plan.trainings(TINY))
    assert list(tmp_path.iterdir()) == []  # it leaves nothing there


def test_the_last_line_holds_trainings_hours_and_bytes():
    text = told.report(planned())
    assert text.splitlines()[-1] == told.line(planned())
    assert "forecast" in text
    assert f"{len(plan.trainings(TINY))} trainings" in told.line(planned())
    hour = replace(planned(), pieces=(plan.Piece("training", "x", 5400.0),))
    assert "1.5 h to go (forecast)" in told.line(hour)


def test_a_page_shows_what_a_plan_printed_on_which_hardware(tmp_path, monkeypatch):
    found, path = planned(probed=replace(PLAIN, hardware="an *abacus*")), tmp_path / "plan.json"
    path.write_text(json.dumps(told.as_dict(found)))
    monkeypatch.setattr(extension, "results", lambda: {extension.PLANNED: path})
    for what, head, rows in (
        ("disk", told.DISK, told.disk(found)),
        ("times", told.TIMES, told.times(found)),
    ):
        table = extension.planned(what)
        places = [head.index(name) for name in table.frame.columns]
        assert table.frame.to_numpy().tolist() == [[row[place] for place in places] for row in rows]
        assert "an &#42;abacus&#42;" in table.caption
        assert "`" not in table.caption  # which would end the directive
    monkeypatch.setattr(extension, "results", dict)
    with pytest.raises(ExtensionError, match="make it: `python -m songtitle plan"):
        extension.planned("disk")


def test_a_page_names_the_size_and_the_licence_of_a_source():
    ((what, name, size, licence),) = extension.planned("sources", "fma_small").frame.to_numpy()
    source = read_source("fma_small")
    assert (what, name, licence) == (source.title, source.name, source.licence)
    assert size == told_size(sum(file.size for file in source.files))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "0.2 s"), (41.0, "41 s"), (90.0, "1.5 min"), (5400.0, "1.5 h"), (864e3, "10.0 days")],
)
def test_durations_are_in_the_unit_that_suits_them(seconds, text):
    assert told.hours(seconds) == text
    assert told.hours(math.nan) == "?"


def test_a_run_begins_with_the_line_of_a_plan_that_was_probed_here_and_ends_with_what_it_took(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path))
    monkeypatch.setattr(reproduce, "run", lambda *rest, **named: print("it runs"))
    config = preset("tiny", {"seed": 4})
    asked = ["run", "--preset", "tiny", "--seed", "4", "-p", "beam_size", "5", "--no-book"]
    asked += ["--output", str(tmp_path)]
    main(asked)
    assert capsys.readouterr().out == "it runs\n"
    keep(PLAIN, kept_in(config, "book", tmp_path))
    main(asked)
    first, second, *beside, last = capsys.readouterr().out.splitlines()
    assert first.startswith("plan: tiny on book: ")
    assert "to go (forecast)" in first
    assert second == "it runs"
    assert "forecast (s)" in beside[0]
    assert last.endswith(str(tmp_path / FORECAST))
    kept_there = json.loads((tmp_path / FORECAST).read_text("utf-8"))
    assert kept_there["run"].keys() == {"forecast", "fact"}
    stages = kept_there["stages"]
    assert all(each.keys() >= {"seconds", "fact", "record"} for each in stages)


def test_pages_take_time_where_nothing_is_left_to_compute():
    without, one = planned(probed=PLAIN), planned(probed=replace(PLAIN, page=3.0))
    (pages,) = [piece for piece in one.pieces if piece.stage == "pages"]
    count = len(list(reproduce.SOURCES.glob("*.ipynb")))
    assert pages.seconds == pytest.approx(3 * count / cores())
    assert one.seconds - without.seconds == pytest.approx(pages.seconds)


def test_a_notebook_that_does_not_run_has_no_time(tmp_path):
    assert probing._page(tmp_path / "none.ipynb", tmp_path) is None


def test_a_probe_is_read_as_it_was_kept(tmp_path):
    keep(PLAIN, tmp_path / "probe.json")
    assert kept(tmp_path / "probe.json") == PLAIN


@pytest.mark.parametrize("content", ["", "{", "[]", '{"search": {}}', '{"search": {"x": 1}}'])
def test_a_torn_probe_is_none(content, tmp_path):
    (tmp_path / "probe.json").write_text(content)
    assert kept(tmp_path / "probe.json") is None
    assert kept(tmp_path / "absent.json") is None


# -- the probe -------------------------------------------------------------------------------------


def test_a_short_probe_measures_all_that_a_forecast_asks_for():
    small = {"device": "cpu", "crop": 64, "tile_sizes": [64], "clip_seconds": 1.0}
    config = preset("tiny", small | {"compared_decoders": ["lstm"], "switches": ["dropout"]})
    found = probe(config, corpora=SMALL, seconds=1.0)
    times = [found.look, found.hear, found.likelihood]
    by_name = (found.start, found.encode, found.step, found.check, found.search)
    for each in (*by_name, *found.score.values()):
        times += each.values()
    assert all(0 < each < 60 for each in times)
    assert set(found.search) == {1, 3, 5}
    assert set(found.score) == set(SCORED)
    assert all(set(each) == {7, 10} for each in found.score.values())
    assert 0 < found.share <= 1
    assert found.gpu is None
    assert math.isfinite(planned(config, probed=found).seconds)


def test_a_plan_refuses_a_time_that_is_none(capsys):
    assert main(["plan", "--seconds", "0"]) == 2
    assert "--seconds: expected" in capsys.readouterr().err
    with pytest.raises(InputError, match="corpora"):
        corpora_of("nothing", TINY, Path("/"))
