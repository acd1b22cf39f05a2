"""What every loader keeps to, on hand-made items and on real samples."""

import json

import pytest
import soundfile
from PIL import Image

from songtitle.datasets import audiocaps, coco, fma, hdf5_tracks, lyrics, million_song, tunes
from songtitle.datasets.contract import Captioned, Titled
from songtitle.rows import Faults


@pytest.fixture
def coco_pictures(tmp_path):
    """Two pictures with captions in COCO's form."""
    names = {3: "000000000003.jpg", 1: "000000000001.jpg"}
    for name in names.values():
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    content = {
        "images": [{"id": id, "file_name": name} for id, name in names.items()],
        "annotations": [
            {"id": 10 * id, "image_id": id, "caption": f"Picture {id}."} for id in names
        ],
    }
    (tmp_path / "captions.json").write_text(json.dumps(content))
    return lambda: coco.load(tmp_path / "captions.json", tmp_path, Faults())


@pytest.fixture
def audiocaps_clips(tmp_path):
    """A captioned sound in AudioCaps' form."""
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "7fmOlUlwoNg.wav", [0.0] * 100, 8_000)
    (tmp_path / "train.csv").write_text(
        "audiocap_id,youtube_id,start_time,caption\n103549,7fmOlUlwoNg,20,A rattling noise\n"
    )
    return lambda: audiocaps.load(tmp_path, tmp_path / "sounds", Faults())


@pytest.fixture
def songs_with_lyrics(tmp_path):
    """Tunes joined with a table of lyrics."""
    chosen = tunes.load()[:3]
    rows = [f"{tune.id},{tune.title.replace(',', '')},la la" for tune in chosen]
    (tmp_path / "lyrics.csv").write_text("\n".join(["track_id,title,lyrics", *rows]))

    return lambda: lyrics.join(chosen, tmp_path / "lyrics.csv", Faults())


@pytest.fixture
def folk_tunes():
    """The tunes."""
    return tunes.load


@pytest.fixture
def pictures(pictures_home):
    """The stamps."""
    from songtitle.datasets import stamps

    return lambda: stamps.load(pictures_home)


@pytest.fixture
def msd_list(real_data):
    """A list of Million Song."""
    path = real_data / "msd" / "subset_unique_tracks.txt"
    return lambda: list(million_song.read_tracks(path, Faults()))


@pytest.fixture
def msd_files(real_data):
    """Single tracks of Million Song."""
    folder = real_data / "msd" / "h5"
    return lambda: [track for track, _ in hdf5_tracks.read_h5_folder(folder, Faults())]


@pytest.fixture
def fma_tracks(real_data):
    """FMA's tracks.csv."""
    return lambda: list(fma.read_tracks(real_data / "fma" / "tracks_excerpt.csv", Faults()))


@pytest.fixture
def fma_titles(real_data):
    """A flat table of FMA's titles."""
    return lambda: list(fma.read_titles(real_data / "fma" / "fma_small_titles.csv", Faults()))


CAPTIONED = ["pictures", "coco_pictures", "audiocaps_clips"]
TITLED = ["folk_tunes", "songs_with_lyrics", "msd_list", "msd_files", "fma_tracks", "fma_titles"]


@pytest.mark.parametrize("name", CAPTIONED)
def test_captioned_items_have_a_file_and_words(name, request):
    items = request.getfixturevalue(name)()
    assert items
    for item in items:
        assert isinstance(item, Captioned)
        assert item.path.is_file()
        assert item.caption.strip()


@pytest.mark.parametrize("name", TITLED)
def test_titled_items_have_a_title(name, request):
    items = request.getfixturevalue(name)()
    assert items
    assert all(isinstance(item, Titled) and isinstance(item.title, str) for item in items)
    assert sum(not item.title for item in items) <= 1  # the subset's one empty title


@pytest.mark.parametrize("name", [*CAPTIONED, *TITLED])
def test_ids_are_unique_and_every_item_has_a_group(name, request):
    items = request.getfixturevalue(name)()
    assert len({item.id for item in items}) == len(items)
    assert all(isinstance(item.id, str) and item.id and item.group for item in items)


@pytest.mark.parametrize("name", [*CAPTIONED, *TITLED])
def test_a_loader_gives_the_same_items_in_the_same_order_again(name, request):
    load = request.getfixturevalue(name)
    assert load() == load()
