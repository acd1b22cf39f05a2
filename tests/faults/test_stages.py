"""Faults of stages: kills at any moment, two runs at once, and what a change makes run again."""

import functools
import inspect
import json
import random
import shutil
import time
from collections import Counter
from dataclasses import replace
from functools import wraps

import nbformat
import pytest
import small_runs
from stages import modules, stage

from songtitle import cache, pictures, sound, timbre
from songtitle.corpora import manifest, stamps
from songtitle.metrics import clouds, pairs
from songtitle.search import beam
from songtitle.studies import search
from songtitle.text import tokenize
from songtitle.training import loop

GROUP = "stages"
IN_A_ROW = 3  # kills of one run, before it may go on to its end


def test_a_run_that_is_killed_at_any_moment_goes_on_to_the_records_of_an_undisturbed_one(
    fault, runs, undisturbed, tmp_path
):
    each = fault(
        GROUP,
        "a run is killed, with all that it has started, at any moment",
        "the same command goes on: what was finished stays as it is, and all records and files "
        "equal those of an undisturbed run",
        full=50,
        few=6,
    )
    clock = time.monotonic()
    runs.finish(small_runs.draw_pictures(tmp_path / "timed"))
    duration = time.monotonic() - clock
    draw = random.Random(int(time.time()))
    for number in each.rounds:
        home = small_runs.draw_pictures(tmp_path / f"killed {number // IN_A_ROW}")
        struck = False
        while not struck:
            before = small_runs.as_they_lie(home)
            pid = runs.start(home)
            time.sleep(moment := draw.uniform(0, duration))
            struck = runs.kill(pid)
            if not struck:  # it had only a little left to do: begin another
                home = small_runs.draw_pictures(tmp_path / f"begun at {time.monotonic_ns()}")
        with each.once(f"after {moment:.2f} s of {duration:.2f} s"):
            small_runs.check_kept(home, before, undisturbed)
            assert not (small_runs.ROOT / ".git" / "index.lock").exists()
            if number % IN_A_ROW == IN_A_ROW - 1 or number == each.times - 1:
                done = small_runs.findings(home)
                assert len(runs.finish(home)) == len(small_runs.findings(undisturbed)) - len(done)
                small_runs.check_equal(home, undisturbed)


def test_two_runs_at_once_on_one_data_home_share_the_work_and_both_end_right(
    fault, runs, undisturbed, tmp_path
):
    each = fault(
        GROUP,
        "two runs are started together on one data home and one folder of results",
        "both end right, no stage is computed twice, and records equal those of a run alone",
        full=10,
        few=2,
    )
    draw = random.Random(int(time.time()))
    for number in each.rounds:
        home = small_runs.draw_pictures(tmp_path / f"shared {number}")
        with each.once(f"round {number}"):
            first = runs.start(home)
            time.sleep(draw.choice([0, 0, draw.uniform(0, 2)]))
            second = runs.start(home)
            for pid in (first, second):
                runs.check(pid, runs.wait(pid), 0)
            computed = runs.computed(first) + runs.computed(second)
            assert len(computed) == len(small_runs.findings(undisturbed))
            small_runs.check_equal(home, undisturbed)
            assert published(home) == published(undisturbed)


def published(home):
    """The records that the book quotes, less what differs from run to run."""
    found = sorted((home / "results").rglob("*.json"))
    return {path.name: small_runs.without_clock(path) for path in found}


# -- pages ----------------------------------------------------------------------------------------

CELLS = (
    """
import time
from songtitle.corpora.manifest import data_home
from songtitle.cache import run_stage

def stage(name, *inputs):
    def compute(folder):
        kept = folder / "half.txt"
        kept.write_text("half")
        time.sleep(0.2)
        kept.write_text(name * 1000)
        return {"name": name, "inputs": len(inputs)}
    return run_stage(name, compute, settings={}, inputs=inputs, home=data_home())
""",
    "first = stage('first')\nfirst.result",
    "second = stage('second', first)\nsecond.result",
    "third = stage('third', first, second)\n[each.key for each in (first, second, third)]",
)


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """A notebook whose cells are stages, half done for a fifth of a second each."""
    content = nbformat.v4.new_notebook()
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    parameters = nbformat.v4.new_code_cell('preset = "tiny"', metadata={"tags": ["parameters"]})
    content.cells = [parameters, *map(nbformat.v4.new_code_cell, CELLS)]
    path = tmp_path_factory.mktemp("notebooks") / "00_stages.ipynb"
    nbformat.write(content, path)
    return path


@pytest.fixture(scope="module")
def executed(runs, notebook, tmp_path_factory):
    """The home of a page that nothing disturbed, and the seconds that it took."""
    home, clock = tmp_path_factory.mktemp("undisturbed page"), time.monotonic()
    runs.finish(home, page=notebook)
    return home, time.monotonic() - clock


def check_page(home, executed):
    """The page is that of an undisturbed run to the byte, and beside it lies when it was made."""
    page, times = sorted((home / "pages made").iterdir())
    assert page.read_bytes() == (executed / "pages made" / page.name).read_bytes()
    assert json.loads(times.read_text("utf-8")).keys() == {page.stem, "code"}
    assert small_runs.findings(home) == small_runs.findings(executed)
    assert small_runs.contents(home) == small_runs.contents(executed)


def test_a_page_that_is_killed_between_its_cells_is_made_again_from_what_they_left(
    fault, runs, notebook, executed, tmp_path
):
    each = fault(
        GROUP,
        "the process that runs a notebook is killed, between its cells or within one",
        "no page is half written; the same command goes on from the finished stages to the "
        "same bytes",
        full=12,
        few=2,
    )
    whole, duration = executed
    draw = random.Random(int(time.time()))
    for number in each.rounds:
        home, struck = tmp_path / f"killed {number}", False
        home.mkdir()
        with each.once(f"round {number}"):
            while not struck:
                shutil.rmtree(home)
                home.mkdir()
                pid = runs.start(home, page=notebook)
                time.sleep(moment := draw.uniform(0, duration))
                struck = runs.kill(pid)
            before = small_runs.as_they_lie(home)
            for page in home.glob("pages made/*.ipynb"):
                assert page.read_bytes() == (whole / "pages made" / page.name).read_bytes(), moment
            runs.finish(home, page=notebook)
            after = small_runs.as_they_lie(home)
            assert {name: after.get(name) for name in before} == before
            check_page(home, whole)


def test_two_runs_of_one_notebook_into_one_folder_make_its_page_once(
    fault, runs, notebook, executed, tmp_path
):
    each = fault(
        GROUP,
        "two runs make the same page at the same time",
        "the second waits and finds it made; its bytes are those of a run alone",
        full=6,
        few=1,
    )
    whole, _ = executed
    for number in each.rounds:
        home = tmp_path / f"shared {number}"
        home.mkdir()
        with each.once(f"round {number}"):
            pids = [runs.start(home, page=notebook) for _ in range(2)]
            for pid in pids:
                runs.check(pid, runs.wait(pid), 0)
            check_page(home, whole)
            assert sorted(map(runs.computed, pids)) == [[], ["page"]]


# -- what a change makes run again -----------------------------------------------------------------

FEATURES = {"picture_features": 1, "tile_features": 1, "song_features": 1}
SEARCHED = {"hypotheses": 6, "scores": 1}  # three inputs at two beam sizes
MAPPED = {"similarity": 1, "likeness": 1}
TRAINED = {"training": 1} | SEARCHED | MAPPED
HEARD = {"song_features": 1, "hypotheses": 4, "scores": 1} | MAPPED
ALL = {"corpora": 1, "vocabulary": 1, "clips": 1} | FEATURES | TRAINED


def settings(**changes):
    """Settings of the experiment, or of one of its parts (`training__epochs`)."""

    def change(config, _):
        for name, value in changes.items():
            part, _, field = name.rpartition("__")
            inner = replace(getattr(config, part), **{field: value}) if part else value
            config = replace(config, **{part or field: inner})
        return config

    return change


def code(function, old, new):
    """Another text of a function's module, as its file would have it after an edit."""
    function = inspect.unwrap(function)
    named, read = function.__module__, cache._source
    assert old in inspect.getsource(function)

    def change(config, patch):
        text = read(named).replace(old, new, 1)
        patch.setattr(cache, "_source", lambda name: text if name == named else read(name))
        return config

    return change


def listed_otherwise(corpus):
    """One byte of one file of a corpus, and with it its checksum in the list."""

    def change(config, patch):
        listed = manifest.listed

        def other(name):
            files = listed(name)
            return [replace(files[0], sha256="0" * 64), *files[1:]] if name == corpus else files

        patch.setattr(manifest, "listed", wraps(listed)(other))
        return config

    return change


def weights_otherwise(config, patch):
    """Another file of weights under the same name."""
    patch.setattr("songtitle.experiment.inputs.weights_digest", lambda *_: "0" * 64)
    return config


CHANGES = {
    "nothing": (settings(), {}),
    "the preset's name": (settings(name="other"), {}),
    "the seed": (settings(seed=1), ALL),
    "how many pictures": (settings(picture_count=7), ALL),
    "how many songs": (settings(song_count=4), ALL),
    "how long a clip is": (settings(clip_seconds=3.0), {"clips": 1} | HEARD),
    "when a word is known": (settings(min_count=2), {"vocabulary": 1} | TRAINED),
    "the crop": (settings(crop=32), FEATURES | TRAINED),
    "views of a picture": (settings(views=2), {"picture_features": 1} | TRAINED),
    "the tiles": (
        settings(tile_sizes=(32,)),
        {"tile_features": 1, "hypotheses": 2, "scores": 1},
    ),
    "points of the transform": (settings(spectrogram__n_fft=1024), HEARD),
    "hop of the spectrogram": (settings(spectrogram__hop_length=128), HEARD),
    "window of the spectrogram": (settings(spectrogram__window="hamming"), HEARD),
    "floor of the spectrogram": (settings(spectrogram__top_db=60.0), HEARD),
    "channel of the sound": (settings(spectrogram__channel="left"), HEARD),
    "fit of the spectrogram": (settings(spectrogram_fit="whole"), HEARD),
    "scale of timbre": (settings(standardise_timbre=False), SEARCHED | {"similarity": 1}),
    "the encoder": (settings(model__encoder="efficientnet_lite1"), FEATURES | TRAINED),
    "the encoder's weights": (weights_otherwise, FEATURES | TRAINED),
    "the decoder": (
        settings(model__decoder="attention"),
        {"song_features": 1} | TRAINED,  # of songs, maps are kept only where they are looked at
    ),
    "width of the model": (settings(model__dim=128), TRAINED),
    "dropout": (settings(model__dropout=0.0), TRAINED),
    "epochs": (settings(training__epochs=4), TRAINED),
    "the batch": (settings(training__batch_size=8), TRAINED),
    "the learning rate": (settings(training__learning_rate=0.01), TRAINED),
    "order of the batches": (settings(training__seed=1), TRAINED),
    "decoders to compare": (
        settings(compared_decoders=("lstm",)),
        {"picture_features": 1, "tile_features": 1} | TRAINED,
    ),
    "encoders to compare": (settings(compared_encoders=("resnet18",)), {}),
    "a beam size": (settings(beam_sizes=(1, 5)), {"hypotheses": 3, "scores": 1}),
    "length of a title": (settings(search__max_steps=7), SEARCHED),
    "length penalty": (settings(search__length_penalty=1.0), SEARCHED),
    "replicates and draws": (settings(replicates=9, draws=9), {}),
    "switches": (settings(switches=("bleu",), switch_songs=3), {}),
    "a picture": (listed_otherwise("stamps"), ALL),
    "a tune": (listed_otherwise("tunes"), ALL),
    "code of cleaning": (code(tokenize, "return ", "return 2 * "), ALL),
    # Of code, whole modules count, with all that they import.
    # The corpora may be shards, and of those the pictures that are large enough.
    "code of views": (code(pictures.random_view, "return ", "return 2 * "), ALL),
    # Tunes are written as sound, and the corpora may be Million Song's, of which timbre is read.
    "code of spectrograms": (code(sound.log_spectrogram, "return ", "return 2 * "), ALL),
    "code of timbre": (code(timbre.timbre_vector, "return ", "return 2 * "), ALL),
    "code of the learning rate": (code(loop.rate_at, "return ", "return 2 * "), TRAINED),
    "code of beam search": (code(beam.beam_search, "return ", "return 2 * "), SEARCHED | MAPPED),
    "code of BLEU": (code(pairs.unigram_pair_scores, "return ", "return 2 * "), {"scores": 1}),
    "code of t-SNE": (code(clouds.tsne, "return ", "return 2 * "), MAPPED),
    "code of a figure": (code(search.bleu_by_beam, "return ", "return 2 * "), {}),
    "code of stages": (code(cache.run_stage, "return ", "return 2 * "), ALL),
    "a comment": (code(beam.beam_search, "    for ", "    # why\n    for "), {}),
    "a docstring": (code(beam.beam_search, '"""Find', '"""Do find'), {}),
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Ask for every stage: which of them are computed. Keys are real; what is computed is not."""
    patch, computed, run_stage = pytest.MonkeyPatch(), [], cache.run_stage

    def stubbed(stage, compute, **options):
        @wraps(compute)
        def stub(folder):
            computed.append(stage)
            return {}

        return run_stage(stage, stub, **options)

    for module in (cache, *modules()):
        if hasattr(module, "run_stage"):
            patch.setattr(module, "run_stage", stubbed)
    patch.setattr(stamps, "fetch", wraps(stamps.fetch)(lambda home: home))
    patch.setattr(cache, "provenance", functools.cache(cache.provenance))

    def ask(config, home):
        computed.clear()
        for name in (*small_runs.STAGES, "scores", "similarity", "likeness"):
            stage(name)(config, home=home)
        return dict(Counter(computed))

    template = tmp_path_factory.mktemp("asked")
    assert ask(small_runs.small_config(), template) == ALL
    yield ask, template
    patch.undo()


def test_a_change_runs_exactly_the_stages_that_depend_on_it_again(
    fault, asked, tmp_path, monkeypatch
):
    each = fault(
        GROUP,
        "a setting, an input or the code changes after a run",
        "exactly the stages that depend on it run again; all records before stay as they are",
        full=len(CHANGES),
        few=16,
    )
    ask, template = asked
    names = list(CHANGES) if each.times == len(CHANGES) else list(CHANGES)[::3]
    for name in names:
        change, expected = CHANGES[name]
        home = tmp_path / name
        shutil.copytree(template, home)
        before = small_runs.as_they_lie(home)
        with each.once(name), monkeypatch.context() as patch:
            assert ask(change(small_runs.small_config(), patch), home) == expected
            after = small_runs.as_they_lie(home)
            assert {path: after.get(path) for path in before} == before
