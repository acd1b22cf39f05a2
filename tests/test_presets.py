"""Laws of presets: typed settings, changed by name, refused in one line."""

import json
from dataclasses import replace

import pytest

from songtitle.config import PRESETS, SONGS, ExperimentConfig, Input, check_device, preset
from songtitle.errors import InputError


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_survives_the_way_through_json(name):
    config = PRESETS[name]
    assert config.name == name
    assert ExperimentConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize("given", [[1, 3], (1, 3), "[1, 3]", "1, 3", [1, 3, 1]])
def test_beam_sizes_come_as_a_list_or_as_text(given):
    assert preset("quick", beam_sizes=given).beam_sizes == (1, 3)


def test_none_keeps_what_the_preset_has():
    assert preset("quick", beam_sizes=None) == replace(PRESETS["quick"])


@pytest.mark.parametrize("part", [{"encoder": "resnet50"}, {"decoder": "transformer"}])
def test_one_parameter_swaps_the_encoder_or_the_decoder(part):
    changed = preset("quick", **part)
    assert changed.model == replace(PRESETS["quick"].model, **part)
    assert replace(changed, model=PRESETS["quick"].model) == PRESETS["quick"]


@pytest.mark.parametrize("given", [["lstm", "attention"], '["lstm", "attention", "lstm"]'])
def test_parts_to_compare_come_as_a_list_or_as_text(given):
    assert preset("quick", compared_decoders=given).compared_decoders == ("lstm", "attention")
    assert preset("quick", compared_decoders="lstm").compared_decoders == ("lstm",)


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
        ({"tile_sizes": [100]}, r"tile_sizes: expected sizes that divide the 256-pixel crop"),
        ({"seed": "x"}, r"seed: expected a whole number from 0 to below 2\^32, got 'x'; try 0"),
        ({"device": "gpu9"}, r"device: expected auto, cpu, cuda or mps.*got 'gpu9'"),
        ({"beam_size": 3}, r"beam_size: no such setting; .* search.beam_size or beam_sizes\?"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(changes, message):
    with pytest.raises(InputError, match=message) as error:
        preset("quick", **changes)
    assert "\n" not in str(error.value)


def test_an_unknown_preset_is_answered_with_those_there_are():
    with pytest.raises(InputError, match=r"preset: expected one of tiny, quick.*got 'slow'"):
        preset("slow")


def test_automatic_device_is_one_that_this_machine_has():
    assert check_device("auto").type in ("cpu", "cuda", "mps")
    assert check_device("cpu").type == "cpu"


@pytest.mark.parametrize("asked", [*SONGS, Input("pictures", tile=32)])
def test_the_name_of_an_input_leads_back_to_it(asked):
    assert Input.of(str(asked)) == asked
    assert asked.is_song == str(asked).startswith("songs")


@pytest.mark.parametrize("name", ["", "songs", "songs: pixels", "pictures 32×64", "pictures x×x"])
def test_a_name_of_no_input_is_refused_in_one_line(name):
    with pytest.raises(InputError, match="input: expected songs: timbre or"):
        Input.of(name)
