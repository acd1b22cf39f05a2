"""The second ear: its network is its makers', its file is the right one, and kin are counted."""

import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from songtitle.corpora.manifest import data_home
from songtitle.errors import InputError
from songtitle.experiment import second_ear
from songtitle.experiment.second_ear import fetch, kin, network
from songtitle.model.music import FRAMES, MELS, SAMPLE_RATE, patches_of, read_weights, shapes, tag


def packed(draw):
    """Arrays as the makers' file has them: by name, each that was trained before two of Adam's."""
    wanted, parts, arrays = shapes(), [], {}
    for name in sorted([*wanted, "beta1_power", "beta2_power"]):
        array = draw.normal(size=wanted.get(name, ())).astype("<f4")
        arrays[name] = array
        parts += [array] if "moving" in name or name not in wanted else [array, 0 * array, array]
    return np.concatenate([np.ravel(part) for part in parts]).tobytes(), arrays


def test_every_array_is_read_from_its_place_between_those_of_the_optimiser():
    data, arrays = packed(np.random.default_rng(0))
    found = read_weights(data)
    assert set(found) == set(shapes()) == set(arrays) - {"beta1_power", "beta2_power"}
    for name, array in found.items():
        assert (array.numpy() == arrays[name]).all()
    with pytest.raises(InputError, match=r"music network: expected arrays of .* bytes, got 12;"):
        read_weights(data[:12])


def test_a_network_of_zeros_but_for_its_last_bias_says_that_bias_of_every_sound():
    weights = {name: torch.zeros(shape) for name, shape in shapes().items()}
    weights |= {name: torch.ones(shape) for name, shape in shapes().items() if "variance" in name}
    weights["dense_1/bias"] = torch.arange(50.0)
    last, tags = tag(torch.rand(2, FRAMES, MELS), weights)
    assert last.shape == (2, 200)
    assert (tags == torch.arange(50.0)).all()


def test_a_sound_is_cut_into_whole_patches_and_a_short_one_is_followed_by_silence():
    tone = np.sin(np.arange(10 * SAMPLE_RATE) * 2 * np.pi * 440 / SAMPLE_RATE).astype(np.float32)
    patches = patches_of(tone)
    assert patches.shape == (3, FRAMES, MELS)
    loudest = patches.mean(dim=(0, 1)).argmax()
    assert patches_of(2 * tone).mean(dim=(0, 1)).argmax() == loudest
    short = patches_of(tone[:SAMPLE_RATE])
    assert short.shape == (1, FRAMES, MELS)
    assert (short[0, -1] == 0).all()
    assert short[0, 10].max() > 0


@pytest.fixture
def downloaded():
    """The data home in which the package lies, as a run of the stage leaves it."""
    home = data_home()
    if not list((home / second_ear.PACKAGE).glob("*.whl")):
        pytest.skip("the music network is not at hand")
    return home


# What the makers' own graph gives of the same patch, by TensorFlow 2.21 with legacy Keras.
LAST = [-0.17717555, -0.1270288, 0.6668674, -0.27512094, -0.3531506, 0.10710116]
LOGITS = [-0.58059263, -4.5340633, -2.4964817, -3.6978312, -2.7199016, -5.046727]


def test_the_network_gives_what_its_makers_own_graph_gives(downloaded):
    patch = torch.arange(FRAMES * MELS).reshape(1, FRAMES, MELS) % 7 / 2
    last, tags = tag(patch, network(downloaded))
    assert last[0, : len(LAST)].tolist() == pytest.approx(LAST, abs=1e-3)
    assert tags[0, : len(LOGITS)].tolist() == pytest.approx(LOGITS, abs=1e-3)


@pytest.mark.parametrize(
    ("code", "said", "wanted"),
    [
        (1, "ERROR: no network", r"musicnn: expected musicnn-0.1.0.*whl, which pip .* no network"),
        (0, "", r"musicnn-0.1.0-py3-none-any.whl: expected the sha256 f38a.*; delete it"),
    ],
)
def test_a_package_that_does_not_come_or_is_another_is_named(
    tmp_path, monkeypatch, code, said, wanted
):
    def pip(command, **_):
        if not code:
            folder = tmp_path / second_ear.PACKAGE
            folder.mkdir()
            with zipfile.ZipFile(folder / "musicnn-0.1.0-py3-none-any.whl", "w"):
                pass
        return SimpleNamespace(returncode=code, stderr=f"a warning\n{said}\n")

    monkeypatch.setattr(second_ear.subprocess, "run", pip)
    with pytest.raises(InputError, match=wanted):
        fetch(tmp_path)


def test_kin_are_found_where_features_tell_the_series_and_as_often_as_chance_where_not():
    draw = np.random.default_rng(0)
    series = [str(each) for each in np.repeat(np.arange(10), 20)]
    told = kin(
        np.eye(10)[np.repeat(np.arange(10), 20)] + 0.01 * draw.normal(size=(200, 10)), series
    )
    assert told["kin"] == 1
    assert told["kin_chance"] == pytest.approx(19 / 199)
    untold = kin(draw.normal(size=(200, 10)), series)
    assert untold["kin"] == pytest.approx(untold["kin_chance"], abs=0.07)
