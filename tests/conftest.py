"""What several test files share: the fetched pictures, and one whole run of the tiny preset."""

import os
import shutil
from pathlib import Path

import hypothesis
import pytest

from songtitle.corpora import manifest, stamps

# A law holds however busy the machine is.
hypothesis.settings.register_profile("laws", deadline=None)
hypothesis.settings.load_profile("laws")


@pytest.fixture(scope="session")
def pictures_home():
    """The data home with the fetched pictures; `make test` fetches them first."""
    home = manifest.data_home()
    if not stamps.is_fetched(home):
        pytest.skip("the stamps are not fetched; run `make data`")
    return home


@pytest.fixture(scope="session")
def tiny_home(pictures_home, tmp_path_factory):
    """A data home of its own, with the pictures, for whole runs of the tiny preset."""
    home = tmp_path_factory.mktemp("data home ü")  # a space and a letter beyond ASCII
    try:
        os.symlink(pictures_home / "stamps", home / "stamps", target_is_directory=True)
    except OSError:
        shutil.copytree(pictures_home / "stamps", home / "stamps")
    return home


@pytest.fixture
def in_tiny_home(tiny_home, monkeypatch):
    """The tiny data home as the one that code under test, and its child processes, see."""
    monkeypatch.setenv("SONGTITLE_DATA", str(tiny_home))
    return tiny_home


@pytest.fixture(scope="session")
def real_data():
    """The folder of real samples of the paper's corpora, which a reader need not have."""
    named = os.environ.get("SONGTITLE_REAL_DATA")
    if not named:
        pytest.skip("SONGTITLE_REAL_DATA names no folder of real samples")
    return Path(named)


@pytest.fixture(scope="session")
def nltk_copy(real_data, tmp_path_factory):
    """NLTK refuses data that others may write, so the copy takes no permissions along."""
    private = tmp_path_factory.mktemp("nltk") / "nltk_data"
    shutil.copytree(real_data / "nltk_data", private, copy_function=shutil.copyfile)
    for folder in (private, *(path for path in private.rglob("*") if path.is_dir())):
        folder.chmod(0o700)
    return private


@pytest.fixture(scope="session")
def real_home(real_data, nltk_copy, tmp_path_factory):
    """A data home made of real samples: UCI's rows are computed from 132 HDF5 files."""
    from songtitle.corpora import million_song as msd
    from songtitle.corpora.song_sets import CLIPS, HDF5, LIST, ROWS, TRACKS
    from songtitle.rows import Faults

    home = tmp_path_factory.mktemp("real")
    (home / "million_song").mkdir()
    (home / "fma" / "fma_metadata").mkdir(parents=True)
    (home / "nltk_data").symlink_to(nltk_copy, target_is_directory=True)
    (home / HDF5).symlink_to(real_data / "msd" / "h5", target_is_directory=True)
    shutil.copy(real_data / "msd" / "subset_tracks_per_year.rebuilt.txt", home / LIST)
    files = msd.read_h5_folder(home / HDF5, Faults())
    rows = [
        ",".join([str(track.year), *(f"{number:.5f}" for number in msd.timbre_of(segments))])
        for track, segments in files
    ]
    (home / ROWS).write_text("".join(f"{row}\n" for row in rows), "utf-8")
    (home / CLIPS).symlink_to(real_data / "fma" / "fma_small", target_is_directory=True)
    shutil.copy(real_data / "fma" / "tracks_excerpt.csv", home / TRACKS)
    return home


@pytest.fixture
def fresh_figures():
    """Figures in the house style, which no test leaves behind."""
    import matplotlib.pyplot as plt

    from songtitle.figures import use_house_style

    with plt.rc_context():
        use_house_style()
        yield
    plt.close("all")
