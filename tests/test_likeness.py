"""Songs among pictures: the numbers, the maps and the words that a page shows of them."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from songtitle.cache import Record
from songtitle.config import preset
from songtitle.errors import InputError
from songtitle.experiment import corpora, similarity
from songtitle.studies import similarity as studies_similarity

NUMBERS = ("mixing", "auc", "mmd", "inside", "around")


def record(result, folder=Path()):
    return Record("likeness", "k", {}, {}, "c", result, {}, {}, folder)


def likeness(**changes):
    """A record in which every number is of its own, so that a swap shows."""
    kinds = {}
    for place, kind in enumerate(studies_similarity.KINDS):
        kinds[kind] = {"items": 11 + place}
        for column, name in enumerate(NUMBERS):
            value = (7 * place + column + 1) / 100
            kinds[kind][name] = {
                "value": value,
                "low": value - 0.01,
                "high": value + 0.01,
                "chance": 0.5,
                "p": 0.001 * (place + 1),
            }
        kinds[kind]["mmd"] |= {"low": None, "high": None}
    for kind, numbers in changes.items():
        for name, found in numbers.items():
            kinds[kind][name] |= found
    return record({"pictures": 13, "kinds": kinds})


@pytest.fixture
def grid(tmp_path):
    """Maps of two readings, of 3 perplexities and 2 starts, 5 points each."""
    rows, frames = [], []
    for reading in ("timbre_raw", "spectrogram"):
        for perplexity in (5, 30, 60):
            for start in ("principal components", "random, seed 1"):
                at = {"reading": reading, "perplexity": perplexity, "start": start}
                rows.append(at | {"trustworthiness": 0.5 + len(rows) / 100, "mixing": len(rows)})
                points = np.random.default_rng(len(rows)).normal(size=(5, 2))
                frames.append(similarity._points_frame(points, 3, reading).assign(**at))
    pd.concat(frames).to_csv(tmp_path / "maps.csv", index=False)
    space = {"timbre_raw": 0.25, "spectrogram": 0.75}
    return record({"maps": rows, "space": space, "items": 5}, tmp_path)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_table_and_figure_have_every_kind_and_every_number_in_its_place():
    table = studies_similarity.apart(likeness(noise={"mmd": {"value": -0.002}})).set_index("Kind")
    assert list(table.index) == list(studies_similarity.KINDS.values())
    assert table.loc["noise of unit scale", "MMD²"].startswith("−0.002")  # a sign of its own
    assert list(table.loc["spectrogram"]) == [
        14,
        "0.22 [0.21, 0.23], p = 0.004",
        "0.23 [0.22, 0.24], p = 0.004",
        "0.240, p = 0.004",
        "25.0 [24.0, 26.0] %",
        "26.0 [25.0, 27.0] %",
    ]
    frame = studies_similarity.apart_values(likeness())
    assert len(frame) == len(studies_similarity.KINDS) * 4
    one = frame[(frame["kind"] == "spectrogram") & (frame["number"] == "inside the pictures")]
    assert one["value"].item() == 0.25


def test_the_note_says_of_each_reading_what_its_numbers_say():
    apart = {
        "mixing": {"value": 0.0},
        "auc": {"value": 0.98, "p": 0.005},
        "inside": {"value": 0.86},
        "around": {"value": 0.02},
    }
    mixed = {"mixing": {"value": 0.9}, "auc": {"value": 0.52, "p": 0.4}}
    said = studies_similarity.containment_note(likeness(spectrogram=apart, timbre_raw=mixed)).text
    assert "0.90 times the picture neighbours of a random mixture" in said
    assert "does not tell the two apart (AUC 0.52)" in said
    tail = said[said.index("Spectrogram") :]
    assert "86 % of songs are as near" in tail
    assert "2 % of pictures" in tail
    assert "no neighbour of a song is a picture" in tail
    assert "98 % of the time" in tail


def test_the_trust_of_maps_is_a_range_over_starts_by_reading_and_perplexity(grid):
    table = studies_similarity.map_trust(grid)
    assert len(table) == 6
    assert list(table.iloc[4]) == ["spectrogram", "30", "0.58 to 0.59", "8.00 to 9.00", "0.75"]
    with pytest.raises(InputError, match=r"maps: expected a reading of timbre_raw, .*got 'chroma'"):
        studies_similarity.maps_of(grid, "chroma")


def test_a_grid_draws_each_point_once_in_the_panel_of_its_map(grid):
    frame = studies_similarity.maps_of(grid, "spectrogram")
    assert (len(frame), set(frame["kind"])) == (6 * 5, {"picture", "spectrogram"})
    panels = studies_similarity.map_grid(frame).child_axes
    assert len(panels) == 6
    assert panels[0].get_title() == "principal components"
    named = [panel.get_ylabel() for panel in panels[::2]]
    assert named == ["perplexity 5", "perplexity 30", "perplexity 60"]
    assert "mixing 11.00" in panels[5].get_xlabel()
    assert "trust 0.61" in panels[5].get_xlabel()
    last = frame[(frame["perplexity"] == 60) & (frame["start"] == "random, seed 1")]
    assert set(last["mixing"]) == {11}
    dots = [each for each in panels[5].collections if isinstance(each, PathCollection)]
    drawn = np.concatenate([each.get_offsets() for each in dots])
    np.testing.assert_array_equal(drawn, last[["x", "y"]])
    assert len({tuple(each.get_facecolor()[0]) for each in dots}) == 2
    shapes = [each.get_paths()[0].vertices.shape for each in dots]
    assert shapes[0] != shapes[1]  # for readers who print in grey


def test_numbers_by_kind_stand_at_their_value_and_chance_is_dashed():
    ax = studies_similarity.numbers_by_kind(studies_similarity.apart_values(likeness()))
    mixing, _, inside, _ = ax.child_axes
    assert mixing.get_yticklabels()[0].get_text() == "held-out pictures"
    spots = [bars.lines[0].get_xdata()[0] for bars in inside.containers]
    assert spots == pytest.approx([(7 * place + 4) / 100 for place in range(6)])
    assert [line.get_xdata()[0] for line in inside.lines if line.get_linestyle() == "--"] == [0.5]


def test_noise_shaped_like_vectors_has_their_mean_and_covariance():
    vectors = np.random.default_rng(0).normal(size=(31, 3)) @ np.array(
        [[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 0.1]]
    )
    drawn = similarity._gaussian_like(vectors + 5, 40_000, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(axis=0), vectors.mean(axis=0) + 5, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(vectors.T), atol=0.08)


def test_on_small_data_every_reading_is_compared_and_mapped(in_tiny_home):
    config = preset("tiny")
    found = similarity.likeness(config).result
    assert found["pictures"] == corpora.corpora(config).result["pictures"]["train"]
    assert list(found["kinds"]) == list(studies_similarity.KINDS)
    assert set(similarity.READINGS) < set(found["kinds"])
    raw = similarity.similarity(preset("tiny", standardise_timbre=False)).result["mixing"]
    assert found["kinds"]["timbre_raw"]["mixing"]["value"] == raw["timbre"]
    grid = similarity.map_grid(config, 20)
    assert len(grid.result["maps"]) == 3 * len(similarity.PERPLEXITIES) * len(similarity.STARTS)
    for reading in similarity.READINGS:
        assert len(studies_similarity.maps_of(grid, reading)) == 9 * 20
