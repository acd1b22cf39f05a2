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


@pytest.fixture
def fresh_figures():
    """Figures in the house style, which no test leaves behind."""
    import matplotlib.pyplot as plt

    from songtitle.figures import use_house_style

    with plt.rc_context():
        use_house_style()
        yield
    plt.close("all")
