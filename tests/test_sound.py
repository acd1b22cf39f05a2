"""The laws of sound: loading, the spectrogram and its picture."""

import os
import subprocess
import sys
from copy import copy
from dataclasses import replace
from pathlib import Path

import lameenc
import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile
import torch

from songtitle.config import PAPER_LITERAL, TRUE_SHAPE, SpectrogramConfig
from songtitle.errors import InputError
from songtitle.sound import frame_count, load_clip, log_spectrogram, spectrogram_image

# Every length another number, so that a mix-up shows.
SMALL = SpectrogramConfig(
    sample_rate=8_000, n_fft=128, window_length=96, hop_length=40, bins=61, top_db=200.0
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tone(frequency: float, sample_rate: int, seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.sin(2 * np.pi * frequency * time).astype(np.float32)


def assert_sounds_alike(found: torch.Tensor, expected: torch.Tensor) -> None:
    """The same spectrogram but for rounding, in whatever order the transform adds.

    A transform of n points rounds log2(n) times, each time by up to eps/2 of the frame's loudest
    bins. That is the error of every bin, loud or soft, so amplitudes are compared: in dB it is
    10^(d/20) times as large for a bin d dB below the loudest.
    """
    torch.testing.assert_close(
        10 ** (found / 20), 10 ** (expected / 20), rtol=0, atol=16 * torch.finfo(found.dtype).eps
    )


def write_mp3(path: Path, seconds: float = 3.0) -> Path:
    soundfile.write(path, tone(440, 44_100, seconds), 44_100, format="MP3")
    return path


# -- the spectrogram -----------------------------------------------------------------------------


@pytest.mark.parametrize("config", [TRUE_SHAPE, PAPER_LITERAL, SMALL])
def test_a_tone_peaks_in_the_bin_that_holds_its_frequency(config):
    frequency = 1_003.0
    clip = torch.from_numpy(tone(frequency, config.sample_rate, 0.5))
    loudest = log_spectrogram(clip, config).mean(-1).argmax()
    assert loudest == round(frequency * config.n_fft / config.sample_rate)


@pytest.mark.parametrize("samples", [1, 95, 96, 135, 136, 137, 1_999])
def test_frames_are_one_and_every_whole_hop_after_the_first_window(samples):
    by_hand = 1
    while (by_hand * SMALL.hop_length) + SMALL.window_length <= samples:
        by_hand += 1
    assert frame_count(samples, SMALL) == by_hand
    assert log_spectrogram(noise(samples), SMALL).shape == (SMALL.bins, by_hand)


def test_the_papers_own_settings_give_twice_the_frames_that_the_paper_states():
    # 1,321,967 samples: a real 30 s clip at 44.1 kHz; 660,984 of them at 22.05 kHz
    assert frame_count(1_321_967, PAPER_LITERAL) == 5_162
    assert frame_count(660_984, TRUE_SHAPE) == 2_580
    assert PAPER_LITERAL.bins == TRUE_SHAPE.bins == 256


@pytest.mark.parametrize("gain", [1e-30, 1e-3, 7.0, 1e30])
def test_a_change_of_gain_changes_nothing(gain):
    clip = noise(2_003)
    assert_sounds_alike(log_spectrogram(gain * clip, TRUE_SHAPE), log_spectrogram(clip, TRUE_SHAPE))


def test_the_loudest_bin_is_at_0_db_and_the_softest_and_silence_at_the_floor():
    clip = torch.from_numpy(tone(1_003, 22_050, 0.3))
    spectrogram = log_spectrogram(clip, replace(TRUE_SHAPE, top_db=31.0))
    assert (spectrogram.max(), spectrogram.min()) == (0, -31)
    assert (log_spectrogram(torch.zeros(3, 2_003), TRUE_SHAPE) == -80).all()


# The second is too much to transform together: it goes in pieces.
@pytest.mark.parametrize(("samples", "hop_length"), [(1_009, 40), (20_009, 16)])
def test_a_batch_equals_its_clips_one_by_one(samples, hop_length):
    config = replace(SMALL, hop_length=hop_length)
    clips = noise(2, 3, samples) * torch.tensor([1.0, 5.0, 0.0])[:, None]
    batch = log_spectrogram(clips, config)
    for i in range(2):
        for j in range(3):
            assert_sounds_alike(batch[i, j], log_spectrogram(clips[i, j], config))


def to_db(power: np.ndarray, config: SpectrogramConfig) -> np.ndarray:
    power = power[: config.bins]
    return np.maximum(10 * np.log10(power / power.max()), -config.top_db)


@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "rectangular"])
def test_the_power_agrees_with_librosa(window):
    config = replace(SMALL, window=window)
    clip = noise(2_003).double().numpy()
    side = (config.n_fft - config.window_length) // 2  # librosa centres short windows in n_fft
    power = librosa.stft(
        np.pad(clip, side),
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        win_length=config.window_length,
        window="boxcar" if window == "rectangular" else window,
        center=False,
    )
    ours = log_spectrogram(torch.from_numpy(clip), config).numpy()
    np.testing.assert_allclose(ours, to_db(np.abs(power) ** 2, config), atol=1e-4)


def test_the_power_agrees_with_scipy():
    clip = noise(2_003).double().numpy()
    _, _, power = scipy.signal.spectrogram(
        clip,
        window="hann",
        nperseg=SMALL.window_length,
        noverlap=SMALL.window_length - SMALL.hop_length,
        nfft=SMALL.n_fft,
        detrend=False,
        scaling="spectrum",
        return_onesided=False,
    )
    ours = log_spectrogram(torch.from_numpy(clip), SMALL).numpy()
    np.testing.assert_allclose(ours, to_db(power, SMALL), atol=1e-4)


def test_the_picture_is_grey_from_0_to_1_with_high_frequencies_on_top():
    low_tone = torch.from_numpy(tone(200, 8_000, 0.4))
    spectrogram = log_spectrogram(torch.stack([low_tone] * 2), SMALL)
    picture = spectrogram_image(spectrogram, SMALL)
    assert picture.shape == (2, 3, *spectrogram.shape[-2:])
    assert (picture == picture[:, :1]).all()
    assert picture.max() == 1
    assert picture.min() >= 0
    brightest_row = picture[0, 0].mean(-1).argmax()
    assert SMALL.bins - 1 - brightest_row == round(200 * 128 / 8_000)
    assert (spectrogram_image(torch.full((5, 7), -200.0), SMALL) == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hop_length": 0}, "hop_length: expected a whole number from 1 .*, got 0"),
        ({"n_fft": 512.5}, "n_fft: expected a whole number from 1 .*, got 512.5"),
        ({"sample_rate": True}, "sample_rate: expected a whole number from 1 .*, got True"),
        ({"bins": 258}, r"bins: expected at most n_fft // 2 \+ 1 = 257, got 258"),
        ({"window_length": 513}, "window_length: expected at most n_fft = 512, got 513"),
        ({"top_db": 0.0}, "top_db: expected a number above 0, got 0.0"),
        ({"window": "gauss"}, "window: expected one of hann, hamming, .* got 'gauss'"),
        ({"channel": "both"}, "channel: expected one of mean, left, right, got 'both'"),
    ],
)
def test_a_setting_that_makes_no_spectrogram_is_named(change, message):
    config = copy(TRUE_SHAPE)
    for name, value in change.items():  # as users meet it: past the tests' check of types
        object.__setattr__(config, name, value)
    with pytest.raises(InputError, match=message) as caught:
        config.__post_init__()
    assert "\n" not in str(caught.value)


def test_a_spectrogram_passes_the_gradient_on():
    clip = noise(1_009).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda wave: log_spectrogram(wave, replace(SMALL, bins=7, top_db=300.0))[:, :2], clip[:137]
    )


# -- loading -------------------------------------------------------------------------------------


def stereo(path: Path) -> Path:
    left, right = tone(440, 8_000, 0.7), 0.25 * tone(1_200, 8_000, 0.7)
    soundfile.write(path, np.stack([left, right], axis=1), 8_000, subtype="FLOAT")
    return path


def test_mono_is_the_mean_the_left_or_the_right_channel(tmp_path):
    path = stereo(tmp_path / "stereo.wav")
    mean, left, right = (
        load_clip(path, sample_rate=8_000, channel=name) for name in ("mean", "left", "right")
    )
    torch.testing.assert_close(left, torch.from_numpy(tone(440, 8_000, 0.7)), atol=1e-3, rtol=0)
    torch.testing.assert_close(mean, (left + right) / 2)
    assert right.abs().max() < 0.3
    path = tmp_path / "mono.wav"  # which has one channel whatever is asked
    soundfile.write(path, tone(440, 8_000, 0.3), 8_000)
    left, right = (load_clip(path, sample_rate=8_000, channel=name) for name in ("left", "right"))
    assert torch.equal(left, right)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_long_clip_is_mixed_as_numpy_would_mix_it(tmp_path, channels):
    path = tmp_path / "long.wav"
    samples = noise(60_013, channels).numpy()  # more than are read at a time
    soundfile.write(path, samples, 8_000, subtype="FLOAT")
    mono = samples.mean(axis=1)
    clip = load_clip(path, sample_rate=8_000).numpy()
    np.testing.assert_allclose(clip, mono - mono.mean(), atol=1e-6)


def test_a_sample_that_is_no_number_is_found_in_the_channel_not_asked_for(tmp_path):
    path = tmp_path / "right_nan.wav"
    samples = noise(101, 2).numpy()
    samples[50, 1] = np.nan
    soundfile.write(path, samples, 8_000, subtype="FLOAT")
    with pytest.raises(InputError, match="got infinite ones or NaN"):
        load_clip(path, sample_rate=8_000, channel="left")


def test_the_mean_is_removed(tmp_path):
    path = tmp_path / "offset.wav"
    soundfile.write(path, 0.5 * tone(440, 8_000, 0.5) + 0.3, 8_000, subtype="FLOAT")
    clip = load_clip(path, sample_rate=8_000)
    assert abs(clip.mean()) < 1e-6
    assert clip.max() < 0.51
    soundfile.write(path, np.full(7_919, 0.1, dtype=np.float32), 8_000, subtype="FLOAT")
    constant = load_clip(path, sample_rate=8_000)
    assert (constant == 0).all()
    assert (log_spectrogram(constant, TRUE_SHAPE) == -80).all()


def test_the_clip_ends_at_its_duration(tmp_path):
    path = stereo(tmp_path / "stereo.wav")
    assert len(load_clip(path, sample_rate=12_000, duration=0.5)) == round(0.5 * 12_000)
    assert len(load_clip(path, sample_rate=12_000, duration=None)) == round(0.7 * 12_000)
    assert len(load_clip(path, sample_rate=12_000, duration=30.0)) == round(0.7 * 12_000)
    # 0.50006 s is no whole number of samples at 8 kHz
    assert len(load_clip(path, sample_rate=96_000, duration=0.50006)) == round(0.50006 * 96_000)


def test_no_more_is_read_than_the_duration_needs(tmp_path):
    path = tmp_path / "late_trouble.wav"
    sound = tone(440, 8_000, 2.0)
    sound[9_000:] = np.nan
    soundfile.write(path, sound, 8_000, subtype="FLOAT")
    assert len(load_clip(path, sample_rate=8_000, duration=1.0)) == 8_000


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "flac", "wav"])
def test_a_tone_keeps_its_pitch_through_every_format_and_the_resampler(tmp_path, suffix):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, 0.5 * tone(1_003, 44_100, 1.0), 44_100)
    clip = load_clip(str(path), sample_rate=22_050)
    assert clip.dtype == torch.float32
    assert 0.45 < clip.abs().max() < 0.6
    assert log_spectrogram(clip, TRUE_SHAPE).mean(-1).argmax() == round(1_003 * 512 / 22_050)


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_truncated_mp3_gives_the_sound_before_the_cut(tmp_path, kept):
    whole = write_mp3(tmp_path / "whole.mp3")
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(whole.read_bytes()[: int(kept * whole.stat().st_size)])
    clip, full = load_clip(cut, sample_rate=44_100), load_clip(whole, sample_rate=44_100)
    assert (kept - 0.1) * len(full) < len(clip) <= (kept + 0.1) * len(full)
    # A cut tone has another mean.
    torch.testing.assert_close(clip[:20_000], full[:20_000], atol=5e-3, rtol=0)


def test_what_decodes_before_a_damaged_place_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "damaged.wav"
    soundfile.write(path, tone(440, 44_100, 3.0), 44_100)
    read, damaged = soundfile.SoundFile.read, 2 * 44_100

    def read_up_to_the_damage(self, frames, **options):
        if self.tell() + frames > damaged:
            raise soundfile.SoundFileRuntimeError("unspecified internal error")
        return read(self, frames, **options)

    whole = load_clip(path, sample_rate=44_100)
    monkeypatch.setattr(soundfile.SoundFile, "read", read_up_to_the_damage)
    clip = load_clip(path, sample_rate=44_100)
    assert damaged - 4_608 < len(clip) <= damaged
    torch.testing.assert_close(clip, whole[: len(clip)], atol=1e-3, rtol=0)


def parts_of_mp3(*bit_rates: int, seconds: float) -> list[bytes]:
    """A tone at each bit rate in turn, as mp3 without a header that would give its length."""
    parts = []
    for bit_rate in bit_rates:
        encoder = lameenc.Encoder()
        encoder.set_in_sample_rate(44_100)
        encoder.set_channels(1)
        encoder.set_bit_rate(bit_rate)
        encoder.silence()
        pcm = (20_000 * tone(440, 44_100, seconds)).astype(np.int16)
        parts.append(bytes(encoder.encode(pcm.tobytes())) + bytes(encoder.flush()))
    return parts


@pytest.mark.parametrize("bit_rates", [(320, 64), (64, 320), (128, 128)])
def test_an_mp3_of_varying_bit_rate_that_gives_no_length_is_read_to_its_end(tmp_path, bit_rates):
    path = tmp_path / "varying.mp3"
    seconds = 3.0
    path.write_bytes(b"".join(parts_of_mp3(*bit_rates, seconds=seconds)))
    with soundfile.SoundFile(path) as file:
        guess = file.frames
    clip = load_clip(path, sample_rate=44_100)
    assert bit_rates != (320, 64) or guess < 0.7 * len(clip)  # what libsndfile takes it for
    assert 2 * seconds * 44_100 <= len(clip) < (2 * seconds + 0.3) * 44_100
    assert clip[-44_100:-22_050].abs().max() > 0.5
    assert torch.equal(load_clip(path, sample_rate=44_100, duration=None), clip)
    wanted = load_clip(path, sample_rate=44_100, duration=5.9)
    assert len(wanted) == round(5.9 * 44_100)
    torch.testing.assert_close(wanted, clip[: len(wanted)], atol=1e-4, rtol=0)


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.mp3"
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "folder":
            path.mkdir()
        case "text":
            path.write_text("These are the words of a song, not its sound.\n" * 99)
        case "stub":
            path.write_bytes(write_mp3(folder / "whole.mp3").read_bytes()[:150])
        case "soundless":
            path = folder / "soundless.wav"
            soundfile.write(path, np.zeros((0, 2)), 8_000)
        case "blip":  # whose sound vanishes in resampling
            path = folder / "blip.wav"
            soundfile.write(path, np.array([0.5]), 48_000)
        case "nan" | "infinite":
            path = folder / f"{kind}.wav"
            soundfile.write(path, np.array([0.1, float(kind[:3]), 0.2]), 8_000, subtype="FLOAT")
        case "headerless":
            path = folder / "headerless.raw"
            path.write_bytes(bytes(range(256)) * 9)
    return path


@pytest.mark.parametrize(
    ("kind", "came", "advice"),
    [
        ("missing", "got 'No such file", "check its name"),
        ("folder", "got 'Is a directory'", "check its name"),
        ("empty", "got an empty one", "fetch or export it again"),
        ("text", "got nothing that can be decoded", "convert it"),
        ("stub", "got nothing that can be decoded", "fetch it again if it was cut off"),
        ("headerless", "got nothing that can be decoded", "convert it"),
        ("soundless", "got no samples", "fetch it again"),
        ("blip", "got no samples", "fetch it again"),
        ("nan", "got infinite ones or NaN", "export it again"),
        ("infinite", "got infinite ones or NaN", "export it again"),
    ],
)
def test_a_bad_file_ends_in_one_line_that_names_it(tmp_path, kind, came, advice):
    path = bad_file(tmp_path, kind)
    with pytest.raises(InputError) as caught:
        load_clip(path, sample_rate=8_000)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected ")
    assert came in message
    assert advice in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"duration": 0.0}, "duration: expected seconds above 0 or None for all, got 0.0"),
        ({"duration": float("nan")}, "duration: expected seconds above 0 .* got nan"),
        ({"sample_rate": 0}, "sample_rate: expected a whole number from 1 .*, got 0"),
    ],
)
def test_a_bad_parameter_is_named(tmp_path, change, message):
    path = stereo(tmp_path / "stereo.wav")
    with pytest.raises(InputError, match=message):
        load_clip(path, **{"sample_rate": 8_000, **change})


def test_the_decoder_writes_nothing_on_the_screen_and_others_still_can(tmp_path):
    whole = write_mp3(tmp_path / "whole.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(whole[: len(whole) // 3])
    middle = len(whole) // 2
    (tmp_path / "hole.mp3").write_bytes(whole[:middle] + bytes(5_000) + whole[middle + 5_000 :])
    program = (
        "import sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from songtitle.sound import load_clip\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    list(pool.map(lambda path: load_clip(path, sample_rate=8_000), sys.argv[1:] * 5))\n"
        "print('still here', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "cut.mp3", tmp_path / "hole.mp3"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    assert done.stderr.strip() == "still here"


@pytest.mark.skipif("SONGTITLE_REAL_DATA" not in os.environ, reason="real data not given")
def test_real_clips_have_the_shape_that_the_paper_states():
    folder = Path(os.environ["SONGTITLE_REAL_DATA"]) / "fma" / "fma_small" / "000"
    for path in sorted(folder.glob("*.mp3"))[:3]:
        bins, frames = log_spectrogram(load_clip(path, sample_rate=22_050), TRUE_SHAPE).shape
        assert bins == 256
        assert abs(frames - 2_580) <= 5
