"""What every loader keeps to, on hand-made items and on real samples."""

import pytest
import soundfile

from songtitle.corpora import captions, fma, million_song, tunes
from songtitle.corpora.contract import Captioned, Titled
from songtitle.rows import Faults


@pytest.fixture
def audiocaps_clips(tmp_path):
    """A captioned sound in AudioCaps' form."""
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "7fmOlUlwoNg.wav", [0.0] * 100, 8_000)
    (tmp_path / "train.csv").write_text(
        "audiocap_id,youtube_id,start_time,caption\n103549,7fmOlUlwoNg,20,A rattling noise\n"
    )
    return lambda: captions.load_audiocaps(tmp_path, tmp_path / "sounds", Faults())


@pytest.fixture
def folk_tunes():
    """The tunes."""
    return tunes.load


@pytest.fixture
def pictures(pictures_home):
    """The stamps."""
    from songtitle.corpora import stamps

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
    return lambda: [track for track, _ in million_song.read_h5_folder(folder, Faults())]


@pytest.fixture
def fma_tracks(real_data):
    """FMA's tracks.csv."""
    return lambda: list(fma.read_tracks(real_data / "fma" / "tracks_excerpt.csv", Faults()))


@pytest.fixture
def fma_titles(real_data):
    """A flat table of FMA's titles."""
    return lambda: list(fma.read_titles(real_data / "fma" / "fma_small_titles.csv", Faults()))


CAPTIONED = ["pictures", "audiocaps_clips"]
TITLED = ["folk_tunes", "msd_list", "msd_files", "fma_tracks", "fma_titles"]


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
