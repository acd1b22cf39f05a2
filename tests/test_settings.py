"""Laws of settings: one name, one schema, one line for what does not fit, wherever it is from."""

import hashlib
import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import nbformat
import pytest
from stages import modules, stage

from songtitle import cache, schema
from songtitle.__main__ import TRAIN_FLAGS, main
from songtitle.book import reproduce
from songtitle.cache import Record
from songtitle.config import (
    PRESETS,
    SONGS,
    ExperimentConfig,
    Input,
    check_device,
    flat,
    is_setting,
    override,
    preset,
    setting,
    settings,
)
from songtitle.corpora import stamps
from songtitle.errors import InputError
from songtitle.experiment import gallery, labs

QUICK = PRESETS["quick"]
NAMES = sorted(settings())
PLAIN = sorted(set(NAMES) - {"device"})  # a machine may have one device only

# Another value for each setting, and what has to change with it.
OTHERS = {
    "seed": 7,
    "corpora": "rehearsal",
    "title_rules": "paper",
    "runs": ["elsewhere/run"],
    "picture_count": 30,
    "song_count": 13,
    "clip_seconds": 3,
    "instruments": "hash",
    "min_count": 1,
    "crop": 512,
    "views": 4,
    "tile_sizes": [64],
    "spectrogram.sample_rate": 16_000,
    "spectrogram.n_fft": 1024,
    "spectrogram.window_length": 256,
    "spectrogram.hop_length": 128,
    "spectrogram.bins": 128,
    "spectrogram.window": "hamming",
    "spectrogram.top_db": 60,
    "spectrogram.inverted": True,
    "spectrogram.channel": "left",
    "spectrogram_fit": "whole",
    "standardise_timbre": False,
    "model.encoder": "efficientnet_lite1",
    "model.weights": "none",
    "model.memory": "pooled",
    "model.fine_tune": True,
    "model.decoder": "attention",
    "model.dim": 128,
    "model.num_layers": 2,
    "model.num_heads": 4,
    "model.dropout": 0.5,
    "model.word_vectors": "glove",
    "model.attention_penalty": 1.0,
    "training.epochs": 3,
    "training.batch_size": 8,
    "training.learning_rate": 0.01,
    "training.schedule": "cosine",
    "training.warmup_steps": 4,
    "training.clip_norm": 1,
    "training.accumulate": 2,
    "training.precision": "bf16",
    "training.patience": 2,
    "training.keep": "best",
    "training.checkpoint_every": 5,
    "training.seed": 3,
    "search.beam_size": 3,
    "search.max_steps": 7,
    "search.length_penalty": 1,
    "search.min_length": 1,
    "search.no_repeat_ngram": 2,
    "search.unfinished": "drop",
    "search.stop": "best",
    "beam_sizes": [1, 3, 5],
    "replicates": 3,
    "draws": 4,
    "monte_carlo_error": 2.0,
    "smallest_effect": 0.5,
    "compared_encoders": ["resnet18"],
    "compared_decoders": ["lstm"],
    "switches": ["width"],
    "switch_songs": 8,
}
ALONG = {"model.attention_penalty": {"model.decoder": "attention"}}
NO_STAGE = {  # settings that change no key of a page's stages, and why
    "device": "auto is the device that a machine has",
    "runs": "a run has to be there: see test_corpora",
}

BELOW_2_32 = "expected a whole number from 0 to below 2^32"

# What is refused, with the words of its line; `run` writes values as its command line has them.
BAD = [
    ("spectrogram.hop_lenght", 3, "spectrogram.hop_lenght: no such setting; did you mean spectro"),
    ("model.colour", 3, "model.colour: no such setting"),
    ("seed", -1, "seed: expected a whole number from 0 to below 2^32, got -1; try 0"),
    ("seed", 10**20, "seed: expected a whole number from 0 to below 2^32, got 1000"),
    ("training.seed", -1, "training.seed: expected a whole number from 0 to below 2^32, got -1"),
    ("training.seed", 10**20, "training.seed: expected a whole number from 0 to below 2^32"),
    ("views", 0, "views: expected a whole number from 1 to 10^9, got 0; try 2"),
    ("views", 1.5, "views: expected a whole number from 1 to 10^9, got 1.5"),
    ("views", True, "views: expected a whole number from 1 to 10^9, got True"),
    ("clip_seconds", "nan", "clip_seconds: expected a number above 0 up to 3600, got"),
    ("clip_seconds", -3.5, "clip_seconds: expected a number above 0 up to 3600, got -3.5"),
    ("training.learning_rate", 0, "training.learning_rate: expected a number above 0, got 0"),
    ("spectrogram_fit", "Whole", "spectrogram_fit: expected one of crop, whole, got 'Whole'"),
    ("spectrogram.hop_length", 0, "spectrogram.hop_length: expected a whole number from 1"),
    ("spectrogram.bins", 1000, "spectrogram.bins: expected at most n_fft // 2 + 1 = 257, got"),
    ("spectrogram.window", "gauss", "spectrogram.window: expected one of hann, hamming"),
    ("model.dropout", 1, "model.dropout: expected a number from 0 to below 1, got 1; try 0.2"),
    ("model.weights", 3, "model.weights: expected text, got 3; try 'imagenet'"),
    ("standardise_timbre", 1, "standardise_timbre: expected true or false, got 1; try True"),
    ("search.length_penalty", -1, "search.length_penalty: expected a number from 0 up, got -1"),
    ("tile_sizes", "[100]", "tile_sizes: expected sizes that divide the 256-pixel crop"),
    ("crop", 100, "tile_sizes: expected sizes that divide the 100-pixel crop"),
    ("switches", "[3]", "switches: expected a list of names, got"),
    ("model.fine_tune", True, "model.fine_tune: expected as the preset has it, for no page"),
]
MORE_BAD = [
    ("views", None, "views: expected a whole number from 1 to 10^9, got None"),
    ("views", "3", "views: expected a whole number from 1 to 10^9, got '3'"),
    ("clip_seconds", float("nan"), "clip_seconds: expected a number above 0 up to 3600, got nan"),
    (
        "training.clip_norm",
        float("inf"),
        "training.clip_norm: expected a number from 0 up, got inf",
    ),
    pytest.param("seed", 10**5000, f"seed: {BELOW_2_32}, got a number with", id="seed-endless"),
    ("spectrogram", 3, "spectrogram: expected the name of one setting, got a part of them; try"),
    ("name", "mine", "name: no such setting"),
    ("a\nb", 1, "'a\\nb': no such setting"),
    (3, 1, "'3': no such setting"),
    ("spectrogram", {"hop_length": 0}, "spectrogram.hop_length: expected a whole number from 1"),
]


def line(error):
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


def changed(name, base=QUICK):
    """A preset with another value of one setting, and what it was made from."""
    base = override(base, ALONG.get(name, {}))
    return override(base, {name: OTHERS[name]}), base


@pytest.mark.parametrize("name", PLAIN)
def test_a_dotted_name_changes_that_setting_and_no_other(name):
    config, base = changed(name)
    moved = {each for each in NAMES if setting(config, each) != setting(base, each)}
    assert moved == {name}
    value = OTHERS[name]
    assert setting(config, name) == (tuple(value) if isinstance(value, list) else value)


def test_another_value_is_tried_for_every_setting():
    assert sorted(OTHERS) == PLAIN


def test_a_preset_has_its_name_survives_json_and_changing_nothing_changes_nothing():
    for name, config in PRESETS.items():
        assert config.name == name
        assert ExperimentConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config
        assert override(config, {}) == config
        assert override(config, {name: setting(config, name) for name in NAMES}) == config
    assert preset("quick", {}) == preset("quick", "{}") == preset("quick") == QUICK
    assert preset("quick", beam_sizes=None) == QUICK


def test_parameters_settings_and_parts_come_to_the_same():
    wanted = replace(QUICK, views=1, spectrogram=replace(QUICK.spectrogram, hop_length=128))
    assert preset("quick", {"spectrogram.hop_length": 128, "views": 1}) == wanted
    assert preset("quick", views=1, **{"spectrogram.hop_length": 128}) == wanted
    assert preset("quick", {"spectrogram": {"hop_length": 128}}, views=1) == wanted
    assert preset("quick", "{'spectrogram.hop_length': 128, 'views': 1}") == wanted
    for part in ({"encoder": "resnet50"}, {"decoder": "transformer"}):
        assert preset("quick", **part) == replace(QUICK, model=replace(QUICK.model, **part))


def test_settings_of_one_part_change_together_so_that_only_the_result_has_to_fit():
    both = {"spectrogram.bins": 513, "spectrogram.n_fft": 1024}
    assert preset("quick", both).spectrogram.bins == 513
    assert preset("quick", {"crop": 224, "tile_sizes": [56, 224]}).crop == 224


def test_a_setting_that_is_given_twice_is_refused():
    for wrong in (
        lambda: preset("quick", {"seed": 3}, seed=0),
        lambda: preset("quick", {"model.encoder": "resnet18"}, encoder="resnet50"),
        lambda: preset("quick", {"model.dim": 8, "model": {"dim": 16}}),
    ):
        with pytest.raises(
            InputError, match=r"(seed|model\.\w+): expected one value, got"
        ) as error:
            wrong()
        line(error)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("spectrogram.hop_lenght", "spectrogram.hop_length"),
        ("hop_length", "spectrogram.hop_length"),
        ("epochs", "training.epochs"),
        ("weights", "model.weights"),
        ("training.epoch", "training.epochs"),
        ("lenght_penalty", "search.length_penalty"),
        ("veiws", "views"),
        ("min_coutn", "min_count"),
        ("beam_size", "search.beam_size or beam_sizes"),
        ("model.hop_length", "spectrogram.hop_length"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_one(typed, meant):
    with pytest.raises(InputError) as error:
        preset("quick", {typed: 3})
    assert line(error) == f"{typed}: no such setting; did you mean {meant}?"


@pytest.mark.parametrize(("name", "value", "said"), BAD + MORE_BAD)
def test_a_bad_value_is_refused_in_one_line_in_a_mapping_of_settings(name, value, said, tmp_path):
    source = reproduce.SOURCES / "02_inputs.ipynb"
    parameters = {"settings": {name: value}}
    with pytest.raises(InputError) as error:
        reproduce.execute(source, tmp_path / "out.ipynb", parameters)
    assert line(error).startswith(said)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "value", "said"), BAD)
def test_a_bad_value_is_refused_in_one_line_as_a_change_of_a_preset(name, value, said):
    if name == "model.fine_tune":  # it is one for `train`
        assert preset("quick", **{name: value}).model.fine_tune
        return
    with pytest.raises(InputError) as error:
        preset("quick", **{name: value})
    assert line(error).startswith(said)


@pytest.mark.parametrize(
    ("chosen", "name", "value", "said"),
    [(["02_inputs"], *each) for each in BAD] + [([], *each) for each in BAD[::5]],
)
def test_a_bad_value_is_refused_in_one_line_on_the_command_line(
    chosen, name, value, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    assert main(["run", *chosen, "--output", str(tmp_path / "out"), "-p", name, text]) == 2
    printed = capsys.readouterr()
    (only,) = printed.err.splitlines()
    assert only.removeprefix("songtitle: ").startswith(said)
    assert printed.out == ""
    assert not list(tmp_path.rglob("*.ipynb"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "01_corpora", "--seed", "-1"],
        ["run", "01_corpora", "--seed", "x"],
        ["run", "01_corpora", "-p", "settings", "3"],
        ["run", "01_corpora", "-p", "settings", "{'seed': -1}"],
        ["run", "-p", "sead", "1"],
        ["run", "-p", "output", "1"],
        ["train", "--shards", "x.tar", "--output", "y", "--epochs", "0"],
        ["train", "--shards", "x.tar", "--output", "y", "--epochs", "many"],
        ["train", "--shards", "x.tar", "--output", "y", "--schedule", "cubic"],
        ["train", "--shards", "x.tar", "--output", "y", "-p", "model.dims", "3"],
        ["train", "--shards", "x.tar", "--output", "y", "--epochs", "2", "-p", "epochs", "3"],
        ["settings", "--preset", "slow"],
        ["settings", "no.such"],
    ],
)
def test_a_bad_argument_is_one_line_and_leaves_nothing(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    (only,) = capsys.readouterr().err.splitlines()
    assert only.startswith("songtitle: ")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_a_type_a_range_an_example_and_a_help_text(name):
    told = settings()[name]
    assert len(told.help) > 10
    assert told.help[-1] in ".?)"
    if "number" in told.expected:
        assert any(f" {word} " in told.expected for word in ("from", "above")), told.expected
    assert told.example == schema.brief(setting(ExperimentConfig(), name))


def test_every_field_is_a_setting_but_the_preset_s_name():
    leaves = set()
    for each in fields(ExperimentConfig):
        inner = fields(each.type) if is_dataclass(each.type) else ()
        leaves |= {f"{each.name}.{one.name}" for one in inner} or {each.name}
    assert leaves - {"name"} == set(settings())
    assert all(is_setting(name) for name in TRAIN_FLAGS)


@pytest.mark.parametrize(("name", "value", "said"), BAD + MORE_BAD)
def test_what_the_schema_refuses_construction_refuses_too(name, value, said):
    if name not in settings() or "expected as" in said or name in ("crop", "tile_sizes"):
        return
    part, _, last = name.rpartition(".")
    config = getattr(QUICK, part) if part else QUICK
    broken = object.__new__(type(config))
    for each in fields(config):  # past the tests' own check of types
        value_of = value if each.name == last else getattr(config, each.name)
        object.__setattr__(broken, each.name, value_of)
    with pytest.raises(InputError) as error:
        broken.__post_init__()
    assert said.endswith(line(error)[: len(said) - len(part) - bool(part)])


@pytest.mark.parametrize("name", PLAIN)
def test_what_the_schema_takes_construction_takes_and_json_carries(name):
    config, _ = changed(name)
    assert ExperimentConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config
    assert override(config, flat({name: setting(config, name)})) == config


def test_settings_that_were_stored_before_there_was_a_schema_are_read():
    stored = json.loads((cache.PUBLISHED / "quick" / "comparison.json").read_text())["config"]
    config = ExperimentConfig.from_dict(stored | {"device": "auto"})
    assert config == QUICK
    assert {**stored, "device": "auto"} == config.as_dict() | {"device": "auto"}


def test_a_list_may_come_as_text_or_as_one_alone():
    for given in ([1, 3], (1, 3), "[1, 3]", "1, 3", [1, 3, 1]):
        assert preset("quick", {"beam_sizes": given}).beam_sizes == (1, 3)
    assert preset("quick", {"beam_sizes": 3}).beam_sizes == (3,)
    for given in (["lstm", "attention"], '["lstm", "attention", "lstm"]'):
        assert preset("quick", compared_decoders=given).compared_decoders == ("lstm", "attention")
    assert preset("quick", compared_decoders="lstm").compared_decoders == ("lstm",)
    assert preset("quick", {"switches": "dropout"}).switches == ("dropout",)


def test_a_whole_number_is_a_number_and_keeps_one_key():
    config = preset("quick", {"search.length_penalty": 1, "clip_seconds": 3})
    assert json.dumps(config.as_dict()) == json.dumps(
        preset("quick", {"search.length_penalty": 1.0, "clip_seconds": 3.0}).as_dict()
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "vgg"}, r"encoder: expected.*resnet152.*got 'vgg'"),
        ({"decoder": "gru"}, r"decoder: expected.*transformer.*got 'gru'"),
        ({"compared_decoders": ["lstm", "gru"]}, r"compared_decoders: .*got \['lstm', 'gru'\]"),
        ({"compared_encoders": [3]}, r"compared_encoders: expected a list of one or more of eff"),
        ({"beam_sizes": "abc"}, r"beam_sizes: expected a list of one or more whole.*got 'abc'"),
        ({"beam_sizes": [0]}, r"beam_sizes: .* whole numbers from 1 to 10\^9, got \[0\]"),
        ({"beam_sizes": []}, r"beam_sizes: expected a list of one or more whole.*got \[\]"),
        ({"beam_sizes": [1.5]}, r"beam_sizes: .* whole numbers from 1 to 10\^9, got \[1\.5\]"),
        ({"seed": "x"}, r"seed: expected a whole number from 0 to below 2\^32, got 'x'; try 0"),
        ({"device": "gpu9"}, r"device: expected auto, cpu, cuda or mps.*got 'gpu9'"),
    ],
)
def test_a_part_or_a_list_that_does_not_fit_is_named(changes, message):
    with pytest.raises(InputError, match=message) as error:
        preset("quick", **changes)
    line(error)


def test_an_unknown_preset_is_answered_with_those_there_are_and_auto_is_a_device_at_hand():
    with pytest.raises(InputError, match=r"preset: expected one of tiny, quick.*got 'slow'"):
        preset("slow")
    assert check_device("auto").type in ("cpu", "cuda", "mps")
    assert check_device("cpu").type == "cpu"


@pytest.mark.parametrize("asked", [*SONGS, Input("pictures", tile=32)])
def test_the_name_of_an_input_leads_back_to_it(asked):
    assert Input.of(str(asked)) == Input.of(asked) == asked
    assert asked.is_song == str(asked).startswith("songs")


@pytest.mark.parametrize("name", ["", "songs", "songs: pixels", "pictures 32×64", "pictures x×x"])
def test_a_name_of_no_input_is_refused_in_one_line(name):
    with pytest.raises(InputError, match="input: expected songs: timbre or"):
        Input.of(name)


# -- where they go ---------------------------------------------------------------------------------


def test_a_setting_that_is_no_parameter_goes_into_settings():
    known = ["preset", "seed", "views", "settings"]
    given = {"seed": 1, "views": 2, "crop": 64, "encoder": "resnet18", "picture_count": None}
    assert reproduce.placed(known, given) == {
        "seed": 1,
        "views": 2,
        "settings": {"crop": 64, "model.encoder": "resnet18", "picture_count": None},
    }
    both = {"settings": {"crop": 64}, "training.epochs": 1}
    assert reproduce.placed(known, both) == {"settings": {"crop": 64, "training.epochs": 1}}
    assert reproduce.placed(["preset"], {"crop": 64, "other": 1}) == {"crop": 64, "other": 1}


def test_every_notebook_that_makes_a_configuration_takes_settings():
    for source in reproduce.notebooks():
        text = "\n".join(cell.source for cell in nbformat.read(source, 4).cells)
        takes = "settings" in reproduce.parameters_of(source)
        assert takes == ("presets.preset(preset, settings" in text), source.name
        assert takes == ("presets.preset(" in text), source.name


def test_a_page_says_which_settings_were_changed():
    found = reproduce._about({"preset": "tiny", "settings": {"spectrogram.hop_length": 128}})
    assert found["changed"] == {"spectrogram.hop_length": 128}
    found = reproduce._about({"preset": "tiny", "encoder": "resnet18", "views": 1, "again": True})
    assert found["changed"] == {"model.encoder": "resnet18"}
    assert reproduce._about({"preset": "tiny", "seed": 3})["changed"] == {}


def test_the_list_of_settings_shows_a_preset_s_values_ranges_and_help(capsys):
    assert main(["settings", "--preset", "modern"]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name} = " in printed for name in NAMES)
    assert "search.length_penalty = 1.0\n" in printed
    assert main(["settings", "hop"]) == 0
    only = capsys.readouterr().out
    assert "spectrogram.hop_length = 256" in only
    assert "[a whole number from 1 to 10^9]" in only
    assert "views" not in only


# -- what they change ------------------------------------------------------------------------------

STAGES = (
    *("corpora", "vocabulary", "clips", "training", "scores", "similarity", "likeness"),
    *("comparison", "gallery_songs", "controls", "self_retrieval", "differences", "lengths"),
    *("content_free", "readings", "replicates", "switchboard", "near_duplicates"),
    *("baselines", "listening"),
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """What every stage of a tiny run would be known by, with nothing computed: stage -> keys."""
    patch, found = pytest.MonkeyPatch(), {}

    def asked(stage, compute, *, settings, inputs=(), home: Path):
        settings = cache._plain_values(settings)
        said = json.dumps([stage, settings, [each.key for each in inputs]], sort_keys=True)
        key = hashlib.sha256(said.encode()).hexdigest()
        found.setdefault(stage, set()).add(key)
        return Record(stage, key, settings, {}, "", {}, {"seconds": 0}, {}, home)

    for module in (cache, *modules()):
        if hasattr(module, "run_stage"):
            patch.setattr(module, "run_stage", asked)
    patch.setattr(stamps, "fetch", lambda home: home)
    patch.delenv("SONGTITLE_REAL_DATA", raising=False)  # or the census would count in each home
    codes, code_of = {}, cache.code_of  # settings change, and code does not: it is read once

    def known(stage):
        if stage.__module__ not in codes:
            codes[stage.__module__] = code_of(stage)
        return codes[stage.__module__]

    patch.setattr(cache, "code_of", known)

    def ask(config):
        found.clear()
        home = tmp_path_factory.mktemp("keys")  # another each time: stages remember what they gave
        for name in ("songs", "pictures"):
            (home / f"{name}.json").write_text("[]")
        for name in STAGES:
            stage(name)(config, home=home)
        gallery.branches(config, 0, home=home)
        for lab in labs.LABS:
            labs.lab(config, lab, home=home)
        return {stage: frozenset(keys) for stage, keys in found.items()}

    yield ask
    patch.undo()


TINY = override(PRESETS["tiny"], {"beam_sizes": [1, 5], "picture_count": 40, "device": "cpu"})
TRAINED = {"training", "hypotheses", "scores", "similarity", "likeness", "comparison", "lab"}
TRAINED |= {"gallery_songs", "blind_training", "controls", "self_retrieval", "differences"}
TRAINED |= {"lengths", "readings", "replicates", "switch", "switchboard", "branches", "listening"}
SEARCHED = TRAINED - {"training", "similarity", "likeness", "blind_training"}
SEARCHED -= {"self_retrieval", "listening"}
HEARD = TRAINED - {"training", "comparison", "blind_training"}
HEARD |= {"song_features", "switch_songs", "baselines"}
EXACTLY = {
    "spectrogram.hop_length": HEARD,
    "training.epochs": TRAINED,
    "model.dropout": TRAINED,
    "search.length_penalty": SEARCHED,
    "views": TRAINED | {"picture_features", "near_duplicates", "baselines"},
    "min_count": TRAINED | {"vocabulary"},
    "model.weights": TRAINED | HEARD | {"picture_features", "tile_features", "near_duplicates"},
    "beam_sizes": {"hypotheses", "scores", "differences", "lengths"},
    "draws": {"content_free", "readings"},
    "smallest_effect": {"replicates", "switchboard", "lab"},
    "replicates": {"training", "replicates"},
    "switch_songs": {"switch", "switchboard"},
}


@pytest.mark.parametrize("name", sorted(set(NAMES) - NO_STAGE.keys()))
def test_a_changed_setting_changes_the_keys_of_the_stages_that_read_it(keys, name):
    config, base = changed(name, TINY)
    before, after = keys(base), keys(config)
    moved = {stage for stage in after if after[stage] != before.get(stage)}
    assert moved
    assert name not in EXACTLY or moved == EXACTLY[name]
