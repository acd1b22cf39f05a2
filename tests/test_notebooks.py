"""The notebooks run end to end, and what they leave keeps the experiment's laws."""

import json
import subprocess
import sys
from html import unescape
from itertools import product

import nbformat
import numpy as np
import pytest

from songtitle import cache
from songtitle.book import reproduce
from songtitle.cache import finished
from songtitle.config import preset
from songtitle.experiment import corpora, learning, scoring


@pytest.fixture(scope="module")
def executed(tiny_home, tmp_path_factory):
    """All notebooks, run in order on the tiny preset."""
    folder = tmp_path_factory.mktemp("executed")
    patch = pytest.MonkeyPatch()
    patch.setenv("SONGTITLE_DATA", str(tiny_home))
    reproduce.run("tiny", output=folder)
    patch.undo()
    return {path.stem: nbformat.read(path, 4) for path in sorted(folder.glob("*.ipynb"))}


def outputs(notebook):
    return [out for cell in notebook.cells for out in cell.get("outputs", [])]


def test_every_notebook_runs_on_a_preset_of_seconds(executed):
    assert len(executed) == len(reproduce.notebooks()) > 7
    for name, notebook in executed.items():
        assert not [out for out in outputs(notebook) if out.output_type == "error"], name


def test_together_they_show_every_table_and_figure_of_the_paper(executed):
    text = "\n".join(json.dumps(notebook) for notebook in executed.values())
    for name in reproduce.EXPECTED:
        mark = f":name: {name}\\n" if name.startswith("tab") else f'"name": "{name}"'
        assert mark in text or mark.replace("\\n", "\\\\n") in text, name


def test_every_page_says_what_made_it(executed):
    for name, notebook in executed.items():
        assert "not a reproduction" in json.dumps(notebook), name


def test_beam_sizes_given_to_papermill_are_those_of_the_table(executed, in_tiny_home, tmp_path):
    output = tmp_path / "out.ipynb"
    command = ["-m", "papermill", "notebooks/04_search.ipynb", str(output), "-p", "preset", "tiny"]
    subprocess.run(
        [sys.executable, *command, "-p", "beam_sizes", "[1, 2]", "--no-progress-bar"],
        cwd=cache.ROOT,
        check=True,
        capture_output=True,
    )
    tables = [
        out["data"]["text/markdown"]
        for out in outputs(nbformat.read(output, 4))
        if ":name: tab-4" in out.get("data", {}).get("text/markdown", "")
    ]
    (table,) = [unescape("".join(text)) for text in tables]
    assert [word for word in ("k = 1", "k = 2", "k = 3") if word in table] == ["k = 1", "k = 2"]


def test_two_runs_with_the_same_seed_give_the_same_records(executed, in_tiny_home, tmp_path):
    config = preset("tiny")
    first = {f.__name__: f(config) for f in (learning.training, scoring.scores)}
    other = tmp_path / "again"
    other.mkdir()
    (other / "stamps").symlink_to(in_tiny_home / "stamps", target_is_directory=True)
    # In a process of its own, as the notebooks had: tests before this one may have set threads.
    again = """import pathlib, sys
from songtitle.config import preset
from songtitle.experiment.scoring import scores
scores(preset("tiny"), home=pathlib.Path(sys.argv[1]))"""
    subprocess.run([sys.executable, "-c", again, other], check=True)
    for name, record in first.items():
        (found,) = [each for each in finished(other, name) if each.key == record.key]
        assert found.result == record.result


def test_songs_and_clips_keep_one_order(executed, in_tiny_home):
    config = preset("tiny")
    songs = json.loads(corpora.clips(config).file("songs.json").read_text("utf-8"))
    titles = json.loads(corpora.corpora(config).file("songs.json").read_text("utf-8"))
    assert [song["title"] for song in songs] == [song["title"] for song in titles]
    for song in songs:
        assert song["clip"].startswith(song["id"].replace("/", "_"))


def test_no_caption_lies_on_two_sides_of_the_split(executed, in_tiny_home):
    record = corpora.corpora(preset("quick"))
    sides = {}
    for picture in json.loads(record.file("pictures.json").read_text("utf-8")):
        sides.setdefault(" ".join(picture["tokens"]), set()).add(picture["split"])
    assert {len(found) for found in sides.values()} == {1}
    counts = record.result["pictures"]
    shares = np.array([counts[side] for side in ("train", "valid", "test")]) / sum(counts.values())
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.02)


def test_permuting_the_pictures_of_a_trained_captioner_changes_its_perplexity(
    executed, in_tiny_home
):
    result = learning.training(preset("tiny")).result
    assert result["valid_perplexity"] != result["permuted_pictures_perplexity"]
    assert result["history"][-1]["train_perplexity"] < result["history"][0]["train_perplexity"]


def test_the_comparison_holds_every_pair_and_the_page_s_own_model_as_it_is(executed, in_tiny_home):
    config = preset("tiny")
    rows = scoring.comparison(config).result["rows"]
    pairs = [(row["encoder"], row["decoder"]) for row in rows]
    assert pairs == list(product(config.compared_encoders, config.compared_decoders))
    (own,) = [row for row in rows if row["decoder"] == config.model.decoder]
    assert own["valid_perplexity"] == learning.training(config).result["valid_perplexity"]
    (table_row,) = [
        row
        for row in scoring.scores(preset("tiny", beam_sizes=[5])).result["rows"]
        if row["input"] == "pictures 256×256"
    ]
    assert own["score"] == table_row["score"]
