"""Laws of corpora: any preset takes any of them, and no stage knows which they are."""

import json
import re
import shutil
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from test_streams import write_tar

from songtitle import fmt, tables
from songtitle.cache import read_json
from songtitle.config import SONGS, SPECTROGRAM, TIMBRE, Input, preset
from songtitle.corpora import picture_sets, rehearsal, rehearsal_songs, shards, stamps
from songtitle.corpora.captions import load_flickr8k
from songtitle.corpora.picture_sets import whole
from songtitle.declared import READINGS, check, corpora_of, names
from songtitle.errors import InputError
from songtitle.experiment import controls, inputs, scoring
from songtitle.experiment.corpora import (
    clip_of,
    clips,
    corpora,
    fingerprint,
    picture_rows,
    roles,
    song_rows,
    song_titles,
    true_series,
    true_words,
    vocabulary,
)
from songtitle.experiment.learning import training
from songtitle.experiment.runs import run_for
from songtitle.experiment.stored import store_features, train_on_store
from songtitle.model.features import read_features
from songtitle.pictures import sides
from songtitle.rows import Faults
from songtitle.studies.search import songs_and_titles, table_4

CONFIG = replace(preset("rehearsal"), picture_count=48, song_count=16, beam_sizes=(1, 5))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data home with a rehearsal of short clips, of which one cannot be decoded."""
    home = tmp_path_factory.mktemp("rehearsed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearsal_songs, "SECONDS", 4.0)
        rehearsal.at(home)
    return home


@pytest.fixture(scope="module")
def made(home):
    """What the first stages make of it."""
    return corpora(CONFIG, home=home), clips(CONFIG, home=home)


@pytest.fixture
def called():
    """Inputs called as the rehearsal's corpora do, until the test is over."""
    yield tables.call
    fmt.call_inputs({})


def test_each_corpora_has_pictures_and_songs_by_both_readings():
    assert set(names()) == {"book", "samples", "paper", "rehearsal"}
    for name in names():
        its = corpora_of(name)
        assert all(its.of(reading).kind for reading in READINGS)
        assert preset("tiny", corpora=name).material == its
    assert corpora_of("book").shared
    assert not corpora_of("paper").shared


def test_a_rehearsal_is_the_papers_own_kinds_elsewhere():
    paper, rehearsed = corpora_of("paper"), corpora_of("rehearsal")
    for reading in READINGS:
        assert paper.of(reading) == replace(rehearsed.of(reading), folder="")


def test_the_two_readings_are_of_different_songs_with_titles_and_a_test_of_their_own(made):
    words, songs = made
    true, series = true_words(words, songs), true_series(words, songs)
    ids = {each: [song["id"] for song in song_rows(songs, each)] for each in SONGS}
    assert not set(ids[TIMBRE]) & set(ids[SPECTROGRAM])
    for each in SONGS:
        assert len(true[each.reading]) == len(series[each.reading]) == len(ids[each]) == 16
        assert true[each.reading] == song_titles(songs, each)
    assert true["pixels"] == [row["tokens"] for row in picture_rows(words, "test")]
    assert words.result["stands_for"] == {"timbre": "Million Song", "spectrogram": "FMA"}


def test_features_of_a_reading_are_of_its_songs_in_their_order(home, made):
    _, songs = made
    seen = inputs.song_features(CONFIG, home=home)
    timbre = read_features(seen.file("timbre.safetensors"))["songs"]
    pooled = read_features(seen.file("pooled.safetensors"))["songs"]
    assert timbre.shape == (16, 1, 1, 90)
    assert len(pooled) == 16
    assert np.allclose(timbre[:, 0, 0].numpy(), np.load(songs.file("timbre.npy")))
    last = song_rows(songs, SPECTROGRAM)[-1]
    path = clip_of(songs, last, home)
    assert path.is_file()
    assert path.is_relative_to(home / "rehearsal")  # where it lies, and no copy
    image = inputs.clip_picture(inputs.hear(path, CONFIG), path.name, CONFIG)
    again = inputs.frozen_backbone(CONFIG, "pooled")(image.unsqueeze(0))[0, 0]
    near = torch.nn.functional.cosine_similarity(pooled[:, 0, 0].float(), again[None])
    assert near.argmax() == 15
    assert near[15] > 0.995


def test_pictures_of_shards_are_those_of_their_captions_and_splits_do_not_meet(home, made):
    words, _ = made
    rows = picture_rows(words)
    assert {row["split"] for row in rows} == {"train", "valid", "test"}
    spans = {(row["path"], *row["span"]) for row in rows}
    assert len(spans) == len(rows)
    assert len({row["id"] for row in rows}) == len({row["series"] for row in rows}) == len(rows)
    for row in rows[::7]:
        colour = next(name for name in rehearsal.COLOURS if name in row["tokens"])
        pixels = (255 * whole(row, home)).permute(1, 2, 0).reshape(-1, 3).numpy()
        near = np.abs(pixels - np.array(rehearsal.COLOURS[colour])).max(axis=1) < 40
        assert near.mean() > 0.005  # a twentieth of the height, squared, is less
        assert min(whole(row, home).shape[1:]) > 400
    tested = [row for row in rows if row["split"] == "test"]
    assert all("validation" in row["path"] for row in tested)


def test_table_4_names_its_rows_as_the_corpora_do(home, called):
    scores = scoring.score_table(CONFIG, home)
    called(CONFIG)
    table = tables.Table(table_4(scores), name="t", caption="c")
    text = table._repr_markdown_()
    for name in ("Conceptual Captions 256×256", "MSD", "FMA"):
        assert name in text
    assert not re.search(r"songs: (timbre|spectrogram)|pictures \d", text)
    sizes = {row["input"]: row["items"] for row in scoring.scores(CONFIG, home=home).result["rows"]}
    assert sizes[str(TIMBRE)] == sizes[str(SPECTROGRAM)] == 16


def test_the_book_calls_its_inputs_as_records_do():
    config = preset("quick")
    for each in (*SONGS, Input("pictures", tile=64)):
        assert config.called(each) == str(each)


def test_readings_of_different_songs_are_not_compared_item_by_item(home):
    found = controls.differences(CONFIG, home=home).result
    assert found["paired"] == []
    assert not found["shared"]
    letters = {row["input"]: row["letters"] for row in found["letters"]}
    assert letters[str(TIMBRE)] == letters[str(SPECTROGRAM)] == ""
    assert letters["pictures 256×256"]


def test_songs_that_inputs_share_have_one_row_and_others_one_each():
    said = {str(each): [[(f"{n}", f"{n} (-1)")] for n in range(3)] for each in SONGS}
    shared = [{"id": str(n), "title": f"t{n}"} for n in range(3)]
    other = [{"id": f"x{n}", "title": f"u{n}"} for n in range(3)]
    both = songs_and_titles(dict.fromkeys(said, shared), said, seed=0, count=2)
    apart = songs_and_titles(dict(zip(said, (shared, other), strict=True)), said, seed=0, count=2)
    assert both["True title"].tolist() == ["t0", "t1"]
    assert not both.isna().any(axis=None)
    assert apart["True title"].tolist() == ["t0", "t1", "u0", "u1"]


@pytest.mark.parametrize("kind", ["picture", "sound"])
def test_the_fingerprint_reads_no_pixel_and_no_sample(home, monkeypatch, kind):
    config, media = CONFIG, {"picture": ".tar", "sound": ".mp3"}[kind]
    before = fingerprint(config, home)
    found = [path for path in home.rglob(f"*{media}") if path.is_file()]
    assert found
    for path in found:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 255
        try:
            path.write_bytes(content)
            assert fingerprint(config, home) == before
        finally:
            content[len(content) // 2] ^= 255
            path.write_bytes(content)


def test_the_fingerprint_of_stamps_reads_no_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(stamps, "load", lambda _: pytest.fail("read"))
    assert set(fingerprint(preset("tiny"), tmp_path)) == {"pictures", "timbre", "spectrogram"}


def test_other_songs_give_another_fingerprint(home, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearsal_songs, "SECONDS", 4.0)
        rehearsal.write(tmp_path / "rehearsal", pictures=24, songs=24, seed=5)
    ours, theirs = fingerprint(CONFIG, home), fingerprint(CONFIG, tmp_path)
    assert all(ours[part] != theirs[part] for part in ours)


def test_only_what_learnt_from_all_of_the_papers_own_pictures_counts_as_the_papers():
    listed = preset("paper_literal", corpora="paper")
    paper = replace(listed, runs=("run",))
    assert roles(paper) == {
        "train": "Conceptual Captions",
        "pictures": "Conceptual Captions",
        "timbre": "Million Song",
        "spectrogram": "Free Music Archive",
    }
    some = replace(paper, picture_count=1000)
    for config in (some, listed, preset("rehearsal"), preset("quick"), preset("samples")):
        assert not set(roles(config).values()) & set(roles(paper).values())


def test_pages_list_some_pictures_of_many_and_say_so(home, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(picture_sets, "LISTED", 7)
    wanted = picture_sets.Wanted(count=None, tested=16, seed=0)
    found = picture_sets.load(CONFIG.material.pictures, home, wanted, tmp_path)
    sides = Counter(picture.split for picture in found.pictures)
    assert sides == {"train": 7, "valid": 7, "test": 16}
    assert found.drawn_from["selected"]["train"] > 50
    assert "7 of" in caplog.text
    assert "`runs`" in caplog.text


@pytest.fixture(scope="module")
def run(home, tmp_path_factory):
    """A run of `train` from a feature store of all of the rehearsal's training shards."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SONGTITLE_DATA", str(home))
        store, train = folder / "store", home / "rehearsal/conceptual_captions/pictures/train"
        store_features(train, store, config=CONFIG, workers=0)
        train_on_store(store, folder / "run", config=CONFIG, held_out=16)
    return folder / "run"


def test_a_run_of_train_takes_the_place_of_the_training_with_its_settings(home, run):
    config = replace(CONFIG, runs=(str(run),))
    record = training(config, home=home)
    told = json.loads((run / "record.json").read_text())
    assert record.result["valid_perplexity"] == told["valid_perplexity"]
    known = vocabulary(config, home=home).file("vocabulary.json").read_text()
    assert known == (run / "vocabulary.json").read_text()
    other = replace(config, training=replace(config.training, seed=1))
    assert run_for(config) == run
    assert run_for(other) is None
    rows = scoring.scores(config, home=home).result["rows"]
    assert {row["input"] for row in rows} >= {str(TIMBRE), str(SPECTROGRAM)}
    assert scoring.scores(CONFIG, home=home).key != scoring.scores(config, home=home).key


OWN = """
about = "Mine."
pictures = {kind = "shards", name = "My pictures", folder = "mine"}
timbre = {kind = "fma", name = "FMA", folder = "rehearsal"}
spectrogram = {kind = "fma", name = "FMA", folder = "rehearsal"}
"""


def test_a_readers_own_file_declares_corpora(home, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OWN, "utf-8")
    (home / "mine").mkdir()
    found = shards.find_shards(str(home / "rehearsal/cc3m_wds/*.tar"))
    for number, shard in enumerate(found):
        (home / "mine" / f"{number:05d}.tar").write_bytes(shard.read_bytes())
    config = replace(CONFIG, corpora=str(path), title_rules="ours", song_count=12)
    words, songs = corpora(config, home=home), clips(config, home=home)
    assert words.result["captions"] == "My pictures"
    true = true_words(words, songs)
    assert true["timbre"] == true["spectrogram"]  # sound gives both readings of the same songs
    assert config.material.shared
    seen = inputs.song_features(config, home=home)
    assert read_features(seen.file("timbre.safetensors"))["songs"].shape == (12, 1, 1, 90)


def test_how_small_a_picture_in_shards_may_be_is_declared(home, tmp_path):
    (home / "small").mkdir()
    for shard in shards.find_shards(home / "rehearsal/conceptual_captions/pictures/train"):
        (home / "small" / shard.name).write_bytes(shard.read_bytes())
    found = {}
    for least in (401, 402, 10_000):
        path = tmp_path / f"{least}.toml"
        own = OWN.replace('"mine"', '"small"' + (f", min_side = {least}" if least > 401 else ""))
        path.write_text(own, "utf-8")
        part = corpora_of(str(path)).pictures
        assert part.min_side == least
        wanted = picture_sets.Wanted(count=None, tested=16, seed=0)
        with pytest.raises(InputError, match="of 0 pictures") if least > 999 else nullcontext():
            picture_sets.load(part, home, wanted, tmp_path / str(least))
        found[least] = picture_sets.fingerprint(part, home)["min_side"]
    assert len(set(found.values())) == 3  # each a record of its own


def test_no_page_tests_on_shards_that_its_run_learnt_from(home, run, tmp_path):
    (home / "seen").mkdir()
    for shard in shards.find_shards(home / "rehearsal/conceptual_captions/pictures/train"):
        (home / "seen" / shard.name).write_bytes(shard.read_bytes())
    path = tmp_path / "seen.toml"
    path.write_text(OWN.replace('"mine"', '"seen"'), "utf-8")
    config = replace(CONFIG, corpora=str(path), title_rules="ours", song_count=12)
    rows = picture_rows(corpora(config, home=home), "test")
    tested = {Path(row["path"]).stem for row in rows}
    for learnt, message in (
        (["other"], ""),
        (["other", *tested], f"{len(tested)} that are tested on, such as {min(tested)}"),
        (None, "none named"),
    ):
        folder = tmp_path / f"run{len(learnt or ())}"
        shutil.copytree(run, folder)
        told = json.loads((folder / "record.json").read_text("utf-8"))
        assert told.pop("trained_on")
        told |= {} if learnt is None else {"trained_on": learnt}
        (folder / "record.json").write_text(json.dumps(told), "utf-8")
        asked = replace(config, runs=(str(folder),))
        with pytest.raises(InputError, match=message) if message else nullcontext():
            training(asked, home=home)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("about = 'x'", r"mine\.toml: expected about, pictures, scale, spectrogram, timbre, got"),
        (OWN.replace('"shards"', '"fma"'), r"pictures: expected kind to be one of stamps, .*got"),
        (
            OWN.replace('spectrogram = {kind = "fma"', 'spectrogram = {kind = "million_song"'),
            r"spectrogram: expected kind to be one of tunes, recordings, fma, got 'million_song'",
        ),
        (OWN.replace('name = "FMA", ', ""), "timbre: expected kind, name and folder, got"),
        (OWN + "scale = 'huge'", "scale: expected small or paper, got 'huge'"),
        ("= 3", "corpora: expected a TOML file"),
    ],
)
def test_a_file_that_declares_no_corpora_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=message) as found:
        corpora_of(str(path))
    assert "\n" not in str(found.value)


def test_a_name_that_stands_for_nothing_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=r"corpora: expected one of book, samples, .*'photos'"):
        preset("tiny", corpora="photos")
    check("elsewhere/mine.toml")  # is read where it is asked for


def test_songs_of_a_reading_that_are_not_at_hand_are_named_with_what_to_fetch(home, tmp_path):
    path = tmp_path / "mine.toml"
    text = OWN.replace('spectrogram = {kind = "fma"', 'spectrogram = {kind = "recordings"')
    text = text.replace('folder = "rehearsal"}\n', 'folder = "rehearsal", optional = true}\n')
    text = text.replace(
        '"shards", name = "My pictures", folder = "mine"',
        '"conceptual_captions", name = "CC", folder = "rehearsal"',
    )
    path.write_text(text, "utf-8")
    config = replace(CONFIG, corpora=str(path), title_rules="ours", song_count=12)
    assert corpora(config, home=home).result["pictures"]["train"]
    with pytest.raises(InputError, match=r"corpora mine: expected songs of FMA for their spect"):
        clips(config, home=home)


def test_the_record_holds_counts_of_titles_and_none_of_them(made):
    words, songs = made
    text = json.dumps(words.as_dict())
    titles = [song["printed"] for song in read_json(songs.file("songs.json"))]
    assert not [title for title in titles if len(title) > 12 and title in text]
    assert words.result["drawn_from"]["FMA"]["funnel"]["steps"]


# -- real samples ----------------------------------------------------------------------------------

REAL = """
pictures = {{kind = "shards", name = "Flickr8k", folder = "{folder}", min_side = 333}}
timbre = {{kind = "million_song", name = "MSD"}}
spectrogram = {{kind = "fma", name = "FMA"}}
"""


@pytest.fixture(scope="module")
def real_corpora(real_data, tmp_path_factory):
    """Corpora of real samples in the paper's layout, and how many photos are large enough."""
    folder, flickr = tmp_path_factory.mktemp("photos"), real_data / "flickr8k"
    photos = load_flickr8k(flickr / "captions.txt", flickr / "images_original_size", Faults())
    first = {photo.path: photo.caption for photo in reversed(photos)}  # of five captions one
    files = [
        ((f"{path.stem}.jpg", path.read_bytes()), (f"{path.stem}.txt", first[path].encode()))
        for path in sorted(first)
    ]
    for number, start in enumerate(range(0, len(files), 40)):
        some = chain.from_iterable(files[start : start + 40])
        write_tar(folder / f"{number:05d}.tar", list(some))
    (folder / "real.toml").write_text(REAL.format(folder=folder), "utf-8")
    return str(folder / "real.toml"), sum(min(sides(jpg)) >= 333 for (_, jpg), _ in files)


@pytest.mark.parametrize(("rules", "songs", "clips"), [("paper", 26, 3), ("ours", 60, 10)])
def test_real_samples_in_the_papers_layout_leave_what_the_rules_do(
    real_home, real_corpora, rules, songs, clips
):
    """Photos of Flickr8k in shards, rows of 132 tracks of Million Song, ten clips of FMA."""
    pytest.importorskip("pyarrow")
    path, large = real_corpora
    changes = {"corpora": path, "title_rules": rules, "picture_count": None, "song_count": 60}
    record = corpora(replace(CONFIG, **changes), home=real_home)
    told = record.result["drawn_from"]
    assert sum(told["pictures"]["selected"].values()) == large
    assert told["Million Song"]["certain"] == 132
    left = {
        name: [
            (step["before"], step["after"])
            for step in told[name]["funnel"]["steps"]
            if step["name"] in ("named entities", "dictionary")
        ]
        for name in ("Million Song", "FMA")
    }
    if rules == "paper":
        assert left == {"Million Song": [(132, 43), (43, 26)], "FMA": [(10, 5), (5, 3)]}
    found = Counter(name for row in song_rows(record) for name in row["readings"])
    assert found == {"timbre": songs, "spectrogram": clips}
