"""The laws of timbre: 12 means, 78 covariances, widened and standardised."""

import csv
import inspect
import os
from collections import Counter
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from songtitle.errors import InputError
from songtitle.timbre import (
    fit_standardiser,
    moments,
    replicated_order,
    standardise,
    summarise,
    tile_to_width,
    timbre_vector,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(5))


def covariance_matrix(timbre: np.ndarray) -> np.ndarray:
    """The symmetric matrix whose diagonals 0 to 11 a timbre vector lists."""
    matrix, place = np.zeros((12, 12)), 12
    for k in range(12):
        for i in range(12 - k):
            matrix[i, i + k] = matrix[i + k, i] = timbre[place]
            place += 1
    return matrix


# -- 90 numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_has_the_moments_that_numpy_finds(dtype):
    segments = (30 * noise(211, 12) @ noise(12, 12) - 7).numpy().astype(dtype)
    before = segments.copy()
    timbre = moments(segments)
    assert timbre.dtype == np.float64
    precise = segments.astype(np.float64)
    np.testing.assert_allclose(timbre[:12], precise.mean(0), rtol=1e-12)
    scale = precise.std(0).max() ** 2
    difference = covariance_matrix(timbre) - np.cov(precise, rowvar=False)
    assert np.abs(difference).max() < 1e-12 * scale
    assert (segments == before).all()
    assert (summarise(torch.from_numpy(segments)).numpy() == timbre.astype(dtype)).all()


def test_variances_come_first_then_one_diagonal_after_another():
    # Coefficients 0 and 11 move together, 3 and 4 against each other, the rest stand still.
    frames = torch.zeros(3, 12)
    frames[:, 0] = frames[:, 11] = torch.tensor([-1.0, 0.0, 1.0])
    frames[:, 3] = torch.tensor([2.0, -4.0, 2.0])
    frames[:, 4] = torch.tensor([-3.0, 6.0, -3.0])
    timbre = summarise(frames)
    nonzero = {int(i): float(timbre[i]) for i in timbre.nonzero()[:, 0]}
    variances, first_diagonal, last = 12, 12 + 12, 89
    assert nonzero == {
        variances + 0: 1.0,
        variances + 3: 12.0,
        variances + 4: 27.0,
        variances + 11: 1.0,
        first_diagonal + 3: -18.0,
        last: 1.0,
    }


def test_a_large_offset_leaves_the_covariances_alone_and_one_frame_has_none():
    frames = noise(31, 12)
    shifted = summarise(frames.double() + 1e6)
    torch.testing.assert_close(shifted[12:].float(), summarise(frames)[12:], atol=1e-4, rtol=0)
    single = summarise(frames[:1])
    torch.testing.assert_close(single[:12], frames[0])
    assert (single[12:] == 0).all()
    with pytest.raises(InputError, match="at least one timbre frame, got none"):
        summarise(frames[:0])


def test_a_clip_is_summed_up_as_librosa_and_numpy_would():
    clip = noise(22_050)
    frames = librosa.feature.mfcc(
        y=clip.numpy(), sr=22_050, n_mfcc=12, n_fft=2048, hop_length=512, n_mels=40, center=False
    )
    timbre = timbre_vector(clip, sample_rate=22_050).numpy()
    assert frames.shape == (12, 1 + (22_050 - 2_048) // 512)
    np.testing.assert_allclose(timbre[:12], frames.mean(1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(covariance_matrix(timbre), np.cov(frames), rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("samples", [1, 1_600, 30_011])
@pytest.mark.parametrize("sample_rate", [8_000, 44_100])
def test_a_short_clip_and_a_silent_one_stay_finite(samples, sample_rate):
    silent = timbre_vector(torch.zeros(samples), sample_rate=sample_rate)
    assert silent.isfinite().all()
    assert silent[12:].abs().max() < 1e-6
    sounding = timbre_vector(noise(samples), sample_rate=sample_rate)
    assert sounding.isfinite().all()
    assert bool((sounding[12:] != 0).any()) == (samples > 2_048)


# -- widening ------------------------------------------------------------------------------------


def test_512_places_hold_62_numbers_six_times_and_28_five_times():
    order = replicated_order(512, generator=generator())
    times = Counter(order.tolist())
    assert Counter(times.values()) == {6: 62, 5: 28}
    assert set(times) == set(range(90))
    assert order[:90].tolist() != list(range(90))


def test_the_same_generator_gives_the_same_order():
    first, again = (replicated_order(101, generator=generator(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, replicated_order(101, generator=generator(4)))


@pytest.mark.parametrize("width", [90, 101, 512])
def test_each_place_of_a_width_holds_the_number_that_the_order_says(width):
    order = replicated_order(width, generator=generator())
    timbre = noise(2, 3, 90)
    widened = tile_to_width(timbre, width, order=order)
    assert widened.shape == (2, 3, width)
    for place in range(width):
        assert torch.equal(widened[..., place], timbre[..., order[place]])


def test_a_width_too_small_for_every_number_is_refused():
    with pytest.raises(InputError, match=r"width: expected at least 90, .* got 89; try 512"):
        replicated_order(89, generator=generator())


def test_an_order_of_another_width_is_refused():
    order = torch.arange(97) % 90
    unchecked = inspect.unwrap(tile_to_width)  # as users call it: without the tests' shape check
    with pytest.raises(InputError, match=r"order: expected 101 indices, .* got 97"):
        unchecked(noise(2, 90), 101, order=order)


@pytest.mark.parametrize("order", [torch.arange(101) % 89, torch.arange(101)])
def test_an_order_that_lacks_a_number_or_holds_a_stranger_is_refused(order):
    with pytest.raises(InputError, match=r"order: expected .* every one from 0 to 89 and no other"):
        tile_to_width(noise(2, 90), 101, order=order)


# -- standardising -------------------------------------------------------------------------------


def test_standardised_columns_have_mean_0_and_deviation_1():
    timbre = 1_000 * noise(37, 90) * torch.arange(1, 91) + 500
    scaled = standardise(timbre, *fit_standardiser(timbre))
    torch.testing.assert_close(scaled.mean(0), torch.zeros(90), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(90))


def test_other_songs_are_measured_by_the_songs_given_and_equal_values_become_0():
    timbre = noise(37, 90)
    timbre[:, 41] = 0.1
    mean, std = fit_standardiser(timbre)
    assert std[41] == 1
    assert (standardise(timbre, mean, std)[:, 41] == 0).all()
    assert (standardise(timbre, mean, torch.zeros(90)) == timbre - mean).all()
    scaled = standardise((mean + 2 * std)[None], mean, std)
    torch.testing.assert_close(scaled, torch.full((1, 90), 2.0))
    with pytest.raises(InputError, match="timbre: expected at least one song"):
        fit_standardiser(torch.zeros(0, 90))


@pytest.mark.skipif("SONGTITLE_REAL_DATA" not in os.environ, reason="real data not given")
def test_real_million_song_rows_read_in_this_order_are_covariance_matrices():
    path = Path(os.environ["SONGTITLE_REAL_DATA"]) / "msd" / "h5_timbre90_uci_layout.csv"
    with path.open(newline="") as file:
        rows = [
            [float(row[name]) for name in row if name.startswith(("avg", "cov"))]
            for row in csv.DictReader(file)
        ]
    matrices = np.stack([covariance_matrix(np.array(row)) for row in rows])
    eigenvalues = np.linalg.eigvalsh(matrices)
    assert (eigenvalues[:, 0] > -1e-6 * eigenvalues[:, -1]).all()
