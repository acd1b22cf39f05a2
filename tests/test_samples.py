"""The run on real photos and songs: photos split whole, joins broken, numbers alone published."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import soundfile
import torch

from songtitle.cache import read_json
from songtitle.config import TrainingConfig, preset
from songtitle.corpora import recordings
from songtitle.corpora.batches import Loader
from songtitle.corpora.picture_sets import Wanted, load, makers_split
from songtitle.corpora.places import needed
from songtitle.corpora.recordings import Recording
from songtitle.corpora.song_sets import tracks_with_timbre
from songtitle.corpora.splits import SPLITS
from songtitle.errors import InputError
from songtitle.experiment import samples as stages
from songtitle.experiment.corpora import corpora
from songtitle.experiment.samples import FELT, HEARD, row_by_row, samples, timbre_memory
from songtitle.experiment.scoring import scores
from songtitle.machine import write_whole
from songtitle.studies.samples import (
    gains_by_seed,
    samples_conclusion,
    samples_facts,
    samples_gains,
    samples_note,
    samples_table,
)


@pytest.fixture(scope="module")
def config():
    """A run of seconds: few photos, few songs, two seeds."""
    return replace(
        preset("samples"),
        picture_count=60,
        song_count=24,
        replicates=2,
        draws=3,
        beam_sizes=(1, 5),
        tile_sizes=(112, 224),
        min_count=2,
        training=TrainingConfig(epochs=1, batch_size=64),
    )


def test_without_photos_one_line_says_what_is_expected_where(tmp_path, monkeypatch):
    monkeypatch.delenv("SONGTITLE_REAL_DATA", raising=False)
    with pytest.raises(InputError, match=r"photos: expected flickr8k/captions.txt with .*; put"):
        needed(tmp_path, "photos")


def test_a_list_sorted_by_year_gives_each_song_the_row_of_its_place():
    years = [(1990, "a"), (1970, "b"), (1980, "c"), (1970, "d")]
    # by year: b d c a
    assert row_by_row(years).tolist() == [3, 0, 2, 1]


def test_a_list_in_one_order_breaks_no_join():
    years = [(1970 + n // 3, f"{n:03}") for n in range(11)]
    assert row_by_row(years).tolist() == list(range(11))


def test_a_real_list_by_year_gives_nearly_every_song_the_row_of_another(real_data, tmp_path):
    tracks = tracks_with_timbre(tmp_path).tracks
    partner = row_by_row([(track.year, track.id) for track in tracks])
    assert sorted(partner) == list(range(len(tracks)))
    assert np.mean(partner == np.arange(len(tracks))) < 0.01
    agree = np.mean([tracks[i].year == tracks[j].year for i, j in enumerate(partner)])
    assert agree < 0.1


def test_captions_of_one_photo_share_the_row_of_its_features():
    views = torch.arange(3.0)[:, None, None, None].expand(3, 2, 1, 7)
    captions = [[1, photo, place, 2] for photo in range(3) for place in range(4, 9)]
    rows = [photo for photo, _ in [caption[1:3] for caption in captions]]
    loader = Loader(views, captions, batch_size=4, pad_id=0, rows=rows)
    batches = [*loader(1), *loader.in_order()]
    assert sum(len(batch.tokens) for batch in batches) == 2 * 15
    for batch in batches:
        assert (batch.inputs[:, 0, 0] == batch.tokens[:, 1]).all()


def test_every_number_of_a_song_reaches_the_decoder_as_often_as_another(config):
    numbers = np.random.default_rng(0).normal(size=(7, 54)).astype(np.float32)
    raw = replace(config, standardise_timbre=False)
    memory = timbre_memory(numbers, raw)[:, 0].numpy()
    counts = [(memory[3] == value).sum() for value in numbers[3]]
    assert memory.shape == (7, 512)
    assert sum(counts) == 512
    assert max(counts) - min(counts) == 1


def test_standardised_numbers_forget_their_unit(config):
    numbers = np.random.default_rng(0).normal(size=(11, 5)).astype(np.float32)
    first, second = timbre_memory(numbers, config), timbre_memory(1000 * numbers + 7, config)
    assert np.allclose(first, second, atol=1e-3)


def test_published_numbers_become_sentences_that_follow_them(found):
    record = found[0]
    said = samples_conclusion(record).text
    facts = samples_facts(record)
    assert f"a gain of {facts['msd.5.gain']})" in said
    assert f"in {facts['msd.1.clear']} of {facts['seeds']} trainings at k = 1" in said


def test_a_record_in_which_songs_clear_chance_says_so(found):
    record = found[0]
    rows = [
        row | ({"p": 0.001, "gain": 0.02} if row["input"] == "Million Song, own timbre" else {})
        for row in record.result["rows"]
    ]
    told = replace(record, result=record.result | {"rows": rows})
    assert "beat chance in 2 of 2 trainings at k = 1" in samples_conclusion(told).text
    assert "so it hears something" in samples_conclusion(told).text
    assert "no sign that it hears" in samples_conclusion(record).text


def test_each_mark_of_the_figure_is_the_gain_of_one_training(found):

    gains = samples_gains(found[0])
    ax = gains_by_seed(gains[gains["beam_size"] == 5])
    drawn = sorted(float(x) for x in ax.containers[0].lines[0].get_xdata())
    assert drawn == pytest.approx(sorted(100 * gains.loc[gains["beam_size"] == 5, "gain"]))
    assert "percent points" in ax.get_xlabel()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Six recordings by three artists; of two more one is no sound and one has no word."""
    folder, draw = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    names = ["red river", "the sea", "old road", "night", "morning song", "rain", "torn", "???"]
    found = []
    for place, title in enumerate(names):
        path = folder / f"{place}.wav"
        soundfile.write(path, draw.normal(size=22_050) * 0.1, 22_050)
        if title == "torn":
            path.write_bytes(b"no sound")
        artist = f"artist {place % 3}"
        found.append((Recording(f"p/{place}", title, artist, artist, "GPL-2"), path))
    return found


@pytest.fixture(scope="module")
def runs(real_data, config, recorded, tmp_path_factory):
    """The experiment, killed while it named for the second seed and begun again: its record, its
    words, what each of the two runs wrote down as said, and the ordinary Table 4."""
    home, written = tmp_path_factory.mktemp("samples"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recordings, "load", lambda _: recorded)

        def write(path, text, *, dies):
            if dies and path.name == f"1 {stages.BROKEN} 1.json":
                raise KeyboardInterrupt
            write_whole(path, text)
            written.append(path.name)

        patch.setattr(stages, "write_whole", partial(write, dies=True))
        with pytest.raises(KeyboardInterrupt):
            samples(config, home=home)
        patch.setattr(stages, "write_whole", partial(write, dies=False))
        record, words = samples(config, home=home), corpora(config, home=home)
        return record, words, written, scores(config, home=home)


@pytest.fixture
def found(runs):
    return runs[:2]


def test_what_was_said_before_a_kill_is_searched_once_and_the_run_goes_on(runs):
    record, _, written, _ = runs
    assert len(set(written)) == len(written)
    cells = [(row["seed"], row["input"], row["beam_size"]) for row in record.result["rows"]]
    assert sorted(f"{seed} {name} {k}.json" for seed, name, k in cells) == sorted(written)
    assert {seed for seed, *_ in cells} == {0, 1}


def test_table_4_of_real_data_is_of_photos_tracks_and_recordings(runs, config):
    rows = {row["input"]: row for row in runs[3].result["rows"]}
    assert [config.called(name) for name in rows] == [
        *("Flickr8k 112×112", "Flickr8k 224×224", "Million Song", "Recordings"),
    ]
    assert rows["songs: timbre"]["items"] == 24
    assert rows["songs: spectrogram"]["items"] == 6  # neither the torn one nor that without a word
    assert rows["songs: spectrogram"]["series"] == 3


def test_recordings_are_named_by_both_readings_and_what_is_left_out_is_counted(found):
    data = found[0].result["data"]
    sets = {each["input"]: each for each in data["sets"]}
    for name, numbers in ((HEARD, 0), (FELT, 90)):
        assert sets[name] == {"input": name, "songs": 6, "numbers": numbers, "series": 3}
    assert data["sound"]["Recordings"] == {"here": 8, "cannot be read": 1, "no words": 1}
    retrieved = {row["input"] for row in found[0].result["retrieval"]}
    assert {HEARD, FELT, "pictures 224×224", "Million Song, own timbre"} <= retrieved


def test_a_record_without_recordings_still_renders(found):
    record = found[0]
    kept = {
        name: [row for row in rows if not str(row.get("input")).startswith("Recordings")]
        for name, rows in record.result.items()
        if isinstance(rows, list)
    }
    data = record.result["data"]
    data = data | {"sets": [each for each in data["sets"] if "Recordings" not in each["input"]]}
    data = {name: value for name, value in data.items() if name not in ("sound", "unlisted")}
    old = replace(record, result=record.result | kept | {"data": data})
    facts = samples_facts(old)
    assert (facts["recordings"], facts["artists"]) == ("0", "0")
    assert "no recordings" in samples_note(old).text
    said = "6 recordings by 3 artists. Left out: 1 recordings (cannot be read); 1 recordings (no "
    assert said in samples_note(record).text


def test_photos_are_on_the_side_where_their_makers_lists_put_them(found, real_data):
    pictures = read_json(found[1].file("pictures.json"))
    for ours, theirs in (("train", "train"), ("valid", "dev"), ("test", "test")):
        listed = (real_data / f"flickr8k/Flickr_8k.{theirs}Images.txt").read_text().split()
        names = {each["path"].rpartition("/")[2] for each in pictures if each["split"] == ours}
        assert names
        assert names <= set(listed)


def test_all_listed_photos_are_split_as_their_makers_did_and_the_others_left_out(
    tmp_path, real_data
):
    wanted = Wanted(count=None, tested=1000, seed=0)
    found = load(preset("samples").material.pictures, tmp_path, wanted, tmp_path)
    sides = [photo.split for photo in found.pictures]
    assert {side: sides.count(side) for side in SPLITS} == {
        "train": 6000,
        "valid": 1000,
        "test": 1000,
    }
    assert found.drawn_from == {"unlisted": 91}


def test_a_photo_on_two_of_the_makers_lists_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("SONGTITLE_REAL_DATA", raising=False)
    assert makers_split(tmp_path) == {}
    (tmp_path / "flickr8k").mkdir()
    for name, photos in (("train", "a.jpg\nb.jpg"), ("dev", "c.jpg"), ("test", "b.jpg")):
        (tmp_path / f"flickr8k/Flickr_8k.{name}Images.txt").write_text(photos)
    with pytest.raises(InputError, match=r"testImages\.txt: expected .*, got b\.jpg"):
        makers_split(tmp_path)


def test_five_captions_of_a_photo_stay_together(found):
    _, words = found
    pictures = read_json(words.file("pictures.json"))
    assert len(pictures) == 61
    assert {len(picture["captions"]) for picture in pictures} == {5}
    assert all(picture["tokens"] == picture["captions"][0] for picture in pictures)


def test_the_record_holds_numbers_and_no_data(found):
    record, words = found
    text = json.dumps(record.as_dict())
    titles = {song["title"] for song in read_json(words.file("songs.json"))}
    assert not [title for title in titles if len(title) > 12 and title in text]
    captions = [" ".join(p["tokens"]) for p in read_json(words.file("pictures.json"))]
    assert not [caption for caption in captions if caption in text]


def test_each_seed_scores_each_input_beside_chance(found, config):
    rows = found[0].result["rows"]
    own = [row for row in rows if row["input"] == "Million Song, own timbre"]
    assert {(row["seed"], row["beam_size"]) for row in own} == {
        (s, k) for s in (0, 1) for k in (1, 5)
    }
    for row in rows:
        assert row["gain"] == pytest.approx(row["score"] - row["chance"])
        assert 0 < row["p"] <= 1
    tiled = {row["seed"] for row in rows if row["input"] == "pictures 112×112"}
    assert tiled == {0}


def test_the_page_shows_every_input_with_its_chance(found):
    record = found[0]
    quick = {"input": ["songs: timbre"], "beam_size": [1], "score": [0.5]}
    import pandas as pd

    table = samples_table(record, pd.DataFrame(quick))
    assert set(table["What"]) == {"real samples", "chance", "the quick run", "the paper"}
    assert len(samples_gains(record)) == len(record.result["rows"])
    facts = samples_facts(record)
    assert facts["numbers"] == "54"
    assert facts["seeds"] == "2"
