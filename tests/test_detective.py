"""The detective's arithmetic is that of the spectrograms themselves, and of the paper's words."""

import re

import numpy as np
import pytest
import soundfile

from songtitle.config import PAPER_LITERAL, TRUE_SHAPE, preset
from songtitle.paper.printed import paper
from songtitle.studies import inputs as detective


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A second of a rising tone, at the rate of the paper's clips."""
    path = tmp_path_factory.mktemp("clip") / "rising.wav"
    time = np.arange(44_100) / 44_100
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * (300 + 2000 * time) * time), 44_100)
    return path


@pytest.fixture(scope="module")
def config():
    return preset("tiny", clip_seconds=1.0)


def test_the_arithmetic_gives_the_shapes_of_real_spectrograms(clip, config):
    spectrograms = detective.spectrograms_of(clip, config)
    frame = detective.arithmetic(spectrograms, config)
    for row, values in zip(frame.itertuples(), spectrograms.values(), strict=True):
        assert int(row.Frames.split("= ")[1].replace(",", "")) == values.shape[1]
        left, right = row.Frames.replace(",", "").replace("−", "-").split(" = ")
        assert re.fullmatch(r"1 \+ \(\d+ - \d+\) // \d+", left)
        samples, window, hop = map(int, re.findall(r"\d+", left)[1:])
        assert 1 + (samples - window) // hop == int(right)
        kept = re.findall(r"[\d,]+", row.Bins)[-1]
        assert int(kept.replace(",", "")) == values.shape[0]
        assert row.Computed.split() == [str(values.shape[0]), "×", str(values.shape[1])]


def test_the_suspects_hold_the_paper_s_own_words_and_the_book_s_setting():
    settings = list(detective.SETTINGS.values())
    assert PAPER_LITERAL in settings
    assert TRUE_SHAPE in settings
    assert len(settings) == len(set(settings)) == 6
    written = detective.SETTINGS["A. as written"]
    assert (written.sample_rate, written.n_fft) == (paper("clip.sample_rate"), 1024)
    assert (written.window_length, written.hop_length) == (512, 256)


def test_every_setting_contradicts_the_paper_and_as_written_it_contradicts_its_own_size():
    found = {name: dict(detective.verdicts(s)) for name, s in detective.SETTINGS.items()}
    wrong = {
        name: [part for part, said in each.items() if said.startswith(detective.CONTRADICTS)]
        for name, each in found.items()
    }
    assert all(wrong.values())
    assert wrong["A. as written"] == ["bins", "frames"]
    assert wrong["B. A, lowest bins only"] == ["frames"]
    assert wrong["F. C at half the rate"] == ["44,100 Hz", "FFT points"]
    facts = detective.detective_facts()
    assert facts["detective.fits"] == 3
    assert facts["detective.clean"] == 0
    assert facts["detective.written_frames"] == 5166


def test_the_table_of_contradictions_names_the_paper_s_numbers():
    frame = detective.against_the_paper()
    assert len(frame) == 6
    heads = " ".join(frame.columns)
    for text in ("44,100 Hz", "1,024", "512", "256", "2,580"):
        assert text in heads


def test_a_longer_window_at_the_full_rate_draws_what_half_the_rate_draws(clip, config):
    spectrograms = detective.spectrograms_of(clip, config)
    assert detective.same_picture(spectrograms) > 0.8
    other = spectrograms | {"F. C at half the rate": spectrograms["F. C at half the rate"][::-1]}
    assert detective.same_picture(other) < 0.5


def test_real_clips_have_frames_about_as_the_paper_says_under_the_settings_that_fit():
    frame = detective.real_lengths()
    about = frame[(frame["Shorter clip"] - 2580).abs() < 26]
    assert [name[0] for name in about["Setting"]] == ["D", "E", "F"]
    assert (frame["Longer clip"] >= frame["Shorter clip"]).all()
