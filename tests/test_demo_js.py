"""Laws of the page's own code: the same sound, pictures and titles as Python's, run in node."""

import base64
import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import lameenc
import numpy as np
import pytest
import soundfile
import torch

from songtitle.config import SearchConfig, SpectrogramConfig
from songtitle.pictures import pad_to, random_crop
from songtitle.search.beam import beam_search
from songtitle.seeds import generator_for
from songtitle.sound import load_clip, log_spectrogram, spectrogram_image

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not here")

SETTINGS = SpectrogramConfig()
IDS = {"pad": 0, "bos": 1, "eos": 2, "unk": 3}


def run(step, **request):
    program = [str(NODE), str(Path(__file__).parent / "demo_node.js"), step]
    question = json.dumps(request)
    done = subprocess.run(program, input=question, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def packed(array):
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.float32).tobytes()).decode()


def unpacked(text):
    return np.frombuffer(base64.b64decode(text), np.float32)


def song(rate, seconds=2.0, channels=2):
    """Gliding tones over a little noise, up to half the rate."""
    time = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(0).standard_normal((len(time), channels)) * 0.01
    sweep = np.sin(2 * np.pi * rate / 2 * time**2 / (2 * seconds))
    return (0.3 * sweep[:, None] + noise + 0.05).astype(np.float32)


@pytest.mark.parametrize(
    ("rate", "channels", "near"),
    [(44_100, 2, 2e-6), (22_050, 1, 2e-6), (48_000, 3, 5e-4), (8_000, 2, 5e-4), (11_025, 1, 2e-6)],
)
def test_a_clip_is_that_of_python(tmp_path, rate, channels, near):
    sound = song(rate, channels=channels)
    soundfile.write(tmp_path / "song.wav", sound, rate, subtype="FLOAT")
    theirs = load_clip(tmp_path / "song.wav", sample_rate=22_050, duration=1.5).numpy()
    columns = [packed(sound[:, i]) for i in range(channels)]
    ours = unpacked(
        run("clip", channels=columns, rate=rate, settings=asdict(SETTINGS), seconds=1.5)
    )
    assert len(ours) == len(theirs)
    difference = np.abs(ours - theirs)
    assert difference[200:].max() < near
    assert difference.max() < 0.01  # soxr's second stage begins in its own way


@pytest.mark.parametrize("samples", [33_000, 512, 300])
def test_a_spectrogram_is_that_of_python(samples):
    clip = torch.from_numpy(song(22_050)[:samples, 0])
    theirs = spectrogram_image(log_spectrogram(clip, SETTINGS), SETTINGS)[0].numpy()
    found = run("spectrogram", clip=packed(clip.numpy()), settings=asdict(SETTINGS))
    ours = unpacked(found["pixels"]).reshape(found["height"], found["width"])
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).mean() < 0.05 / 255
    assert np.abs(ours - theirs).max() < 0.5 / 255


def test_silence_is_known_as_silence():
    assert run("spectrogram", clip=packed(np.zeros(2000)), settings=asdict(SETTINGS))["silent"]


@pytest.mark.parametrize("width", [2582, 256, 9])
def test_the_network_sees_the_square_that_python_cuts(width):
    names = ["song.mp3", "Für Elise.ogg", "", "a" * 200 + ".wav", "歌.flac", "🎵.mp3"]
    image = torch.rand(1, 256, width, generator=torch.Generator().manual_seed(0))
    found = run(
        "crop",
        **{"pixels": packed(image[0].numpy()), "width": width, "height": 256},
        **{"size": 256, "seed": 3, "names": names},
    )
    for name, ours in zip(names, found, strict=True):
        theirs = random_crop(pad_to(image, 256, 256), 256, generator=generator_for(3, name))
        np.testing.assert_array_equal(unpacked(ours["pixels"]).reshape(256, 256), theirs[0])


@pytest.mark.parametrize("rate", [44_100, 48_000, 16_000, 11_025])
@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_a_file_tells_its_rate(tmp_path, kind, rate):
    path = tmp_path / f"song.{kind}"
    if kind == "mp3":
        encoder = lameenc.Encoder()
        encoder.silence()
        encoder.set_in_sample_rate(rate)
        encoder.set_out_sample_rate(rate)
        encoder.set_channels(2)
        samples = (song(rate) * 32767).astype("<i2").tobytes()
        path.write_bytes(
            b"ID3\x04\0\0\0\0\1\x0a" + bytes(138) + encoder.encode(samples) + encoder.flush()
        )
    else:
        soundfile.write(path, song(rate), rate)
    assert run("rate", bytes=base64.b64encode(path.read_bytes()[:4000]).decode()) == rate


@pytest.mark.parametrize(
    "start", ["", "RIFF", "OggS", "ID3", "fLaC", "<!doctype html>", "\xff" * 30]
)
def test_what_is_no_music_has_no_rate(start):
    content = start.encode("latin-1")
    for whole in (content, content + bytes(100)):
        assert run("rate", bytes=base64.b64encode(whole).decode()) in (None, 0)


@pytest.mark.parametrize(
    "settings",
    [
        *({}, {"beam_size": 1}, {"beam_size": 20}, {"length_penalty": 1.0}, {"min_length": 3}),
        *({"length_penalty": 0.7, "stop": "best"}, {"stop": "best", "beam_size": 3}),
        *({"no_repeat_ngram": 2}, {"unfinished": "drop", "max_steps": 3}),
    ],
    ids=str,
)
def test_beam_search_is_that_of_python(settings):
    config = SearchConfig(**{"max_steps": 6} | settings)
    vocab, generator = 9, np.random.default_rng(0)
    tables = generator.standard_normal((12, config.max_steps, vocab, vocab)).astype(np.float32) * 2
    tables[::3] = np.round(tables[::3])  # many equals
    found = run(
        "search",
        tables=[[[packed(row) for row in place] for place in table] for table in tables],
        settings=asdict(config),
        ids=IDS,
    )
    for table, ours in zip(torch.from_numpy(tables), found, strict=True):

        def step(tokens, state, table=table):
            return table[state["place"], tokens], {"place": state["place"] + 1}

        theirs = beam_search(
            step,
            {"place": torch.zeros(1, dtype=torch.long)},
            bos_id=IDS["bos"],
            eos_id=IDS["eos"],
            config=config,
            never=[IDS["pad"], IDS["bos"], IDS["unk"]],
            logits=True,
        )
        expected = [
            ([token for token in tokens if token != IDS["eos"]], log_prob)
            for tokens, log_prob in zip(
                theirs.tokens[0].tolist(), theirs.log_probs[0].tolist(), strict=True
            )
            if np.isfinite(log_prob)
        ]
        assert [each["tokens"] for each in ours] == [tokens for tokens, _ in expected]
        totals = [each["total"] for each in ours]
        np.testing.assert_allclose(totals, [log_prob for _, log_prob in expected], atol=2e-6)
