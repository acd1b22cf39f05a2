"""The command line: titles for good files, one line for bad ones, never a traceback."""

import ast
import json
import os
import re
import subprocess
import sys

import nbformat
import numpy as np
import pytest
import soundfile

from songtitle import cache
from songtitle.__main__ import _parser, main, plain
from songtitle.config import preset
from songtitle.experiment import listening

RATE = 22_050


@pytest.fixture(scope="module")
def trained(tiny_home):
    """A data home in which the tiny captioner is trained, and a listener."""
    listening.listening(preset("tiny"), home=tiny_home)
    return tiny_home


@pytest.fixture
def home(trained, monkeypatch):
    monkeypatch.setenv("SONGTITLE_DATA", str(trained))
    return trained


def tone(seconds=2.0, rate=RATE, channels=2):
    time = np.arange(int(seconds * rate)) / rate
    sound = 0.4 * np.sin(2 * np.pi * 440 * time) * (1 + np.sin(2 * np.pi * 3 * time))
    return np.repeat(sound[:, None], channels, axis=1).astype(np.float32)


@pytest.fixture
def files(tmp_path):
    """Sound files, sensible and not, by name."""
    for suffix in ("mp3", "ogg", "flac", "wav"):
        soundfile.write(tmp_path / f"tone.{suffix}", tone(), RATE)
    soundfile.write(tmp_path / "silence.wav", np.zeros((3 * RATE, 2)), RATE)
    soundfile.write(tmp_path / "short.wav", tone(0.2), RATE)
    soundfile.write(tmp_path / "phone.wav", tone(2, 8_000, 1), 8_000)
    whole = (tmp_path / "tone.mp3").read_bytes()
    (tmp_path / "truncated.mp3").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "stump.mp3").write_bytes(whole[:100])
    (tmp_path / "text.mp3").write_text("these are words, not sound\n" * 50)
    (tmp_path / "empty.mp3").write_bytes(b"")
    return tmp_path


SOUND = ("tone.mp3", "tone.ogg", "tone.flac", "tone.wav")
ODD = ("silence.wav", "short.wav", "phone.wav", "truncated.mp3")


@pytest.mark.parametrize("name", SOUND + ODD)
def test_a_file_that_sounds_gets_titles_best_first(home, files, capsys, name):
    assert main(["title", "--json", str(files / name)]) == 0
    titles = json.loads(capsys.readouterr().out)["titles"]
    log_probs = [each["log_prob"] for each in titles]
    assert 1 <= len(titles) <= 5
    assert log_probs == sorted(log_probs, reverse=True)
    assert all(value <= 0 for value in log_probs)


def test_a_listener_says_words_of_titles_beside_the_captioner_s_titles(home, files, capsys):
    name = str(files / "tone.wav")
    assert main(["title", "--listener", "--json", name]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(["title", "--json", name]) == 0
    assert found == json.loads(capsys.readouterr().out) | {"listener": found["listener"]}
    (record,) = cache.finished(home, "listening")
    with np.load(record.file(listening.EAR)) as kept:
        assert 0 < len(found["listener"]) <= listening.WORDS
        assert set(found["listener"]) <= set(kept["words"].tolist())
    assert main(["title", "--listener", name, str(files / "text.mp3")]) == 2
    said = capsys.readouterr()
    assert f"trained on titles it would say: {', '.join(found['listener'])}" in said.out
    assert str(files / "text.mp3") in said.err


@pytest.mark.parametrize("name", ["stump.mp3", "text.mp3", "empty.mp3", "absent.mp3", "."])
def test_a_file_that_does_not_sound_is_named_in_one_line(home, files, capsys, name):
    assert main(["title", str(files / name)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    assert line.startswith("songtitle: ")
    assert str(files / name) in line
    assert "expected" in line


def test_of_ten_files_one_bad_nine_are_named_and_one_reported(home, files, capsys):
    for number in range(9):
        (files / f"{number}.ogg").write_bytes((files / "tone.ogg").read_bytes())
    good = [str(files / f"{number}.ogg") for number in range(9)]
    assert main(["title", *good[:5], str(files / "text.mp3"), *good[5:]]) == 2
    printed = capsys.readouterr()
    assert [line for line in printed.out.splitlines() if line.endswith(".ogg")] == good
    (line,) = printed.err.strip().splitlines()
    assert "text.mp3" in line


def test_the_same_sound_gets_the_same_titles_whatever_its_lossless_format(home, files, capsys):
    found = []
    for suffix in ("wav", "flac"):
        (files / "same").mkdir(exist_ok=True)
        target = files / "same" / "song"  # the crop is drawn by name: give both the same
        target.write_bytes((files / f"tone.{suffix}").read_bytes())
        main(["title", "--json", str(target)])
        found.append(json.loads(capsys.readouterr().out)["titles"])
    assert [each["title"] for each in found[0]] == [each["title"] for each in found[1]]


def test_titles_without_a_trained_model_say_what_to_run(tmp_path, monkeypatch, capsys, files):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path / "empty"))
    assert main(["title", str(files / "tone.wav")]) == 2
    assert "no trained model yet; run `make book`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--preset", "slow"], "preset: expected one of tiny, quick"),
        (
            ["run", "--preset", "tiny", "04_search", "-p", "beam_sizes", "abc"],
            "beam_sizes: expected",
        ),
        (["run", "--preset", "tiny", "04_search", "-p", "sead", "1"], "sead: not a parameter"),
        (["run", "07_absent"], "no such notebook; expected one of 01_corpora"),
        (["run", "--device", "abacus", "01_corpora"], "device: expected auto, cpu, cuda or mps"),
        (["run", "--jobs", "0"], "--jobs: expected a positive number"),
        (["title", "--beam-size", "0", "x.mp3"], "--beam-size: expected a positive number"),
        (["fetch", "everything"], "source 'everything': expected one of"),
        (["fetch", "stamps", "everything"], "source 'everything': expected one of"),
        (["fetch", "--jobs", "0"], "--jobs: expected a positive number"),
        (["fetch", "tunes", "--archive", "x"], "--archive: expected it with the source stamps"),
        (["verify", "everything"], "source 'everything': expected one of"),
    ],
)
def test_a_bad_argument_ends_in_one_line_and_status_2(home, capsys, arguments, message):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


HEAVY = {
    *("torch", "torchvision", "timm", "numba", "accelerate", "tensorboard", "transformers"),
    *("librosa", "sklearn", "scipy", "nltk", "pandas", "matplotlib", "seaborn", "img2dataset"),
    *("papermill", "nbformat", "sphinx", "IPython", "onnx", "onnxruntime", "jupytext"),
}
NAMING = {"torch", "numba", "scipy", "accelerate"}
LOADED = """import sys
from songtitle.__main__ import main
try:
    status = main(sys.argv[1:])
except SystemExit as error:
    status = error.code
print(status, *sys.modules)"""


def test_every_option_of_every_command_is_explained_in_words_that_stand_alone():
    (commands,) = (each for each in _parser()._actions if each.dest != "help")
    told = {
        f"{name} {'/'.join(action.option_strings) or action.dest}": action.help or ""
        for name, parser in commands.choices.items()
        for action in parser._actions
    }
    told |= {
        name: each.help or ""
        for name, each in zip(commands.choices, commands._choices_actions, strict=True)
    }
    assert len(told) > 80
    leaning = re.compile(
        r"(?!\S)|(of|that|to|at|for|those|beside|also|some|such|one|it|this) ", re.I
    )
    assert {name: each for name, each in told.items() if leaning.match(each)} == {}


@pytest.mark.parametrize(
    ("arguments", "status", "may_load"),
    [
        (["--help"], 0, ()),
        (["run", "99"], 2, ()),
        (["run", "--preset", "slow", "04_search"], 2, ()),
        (["run", "04_search", "-p", "sead", "1"], 2, ()),
        (["run", "--jobs", "0"], 2, ()),
        (["settings", "no.such"], 2, ()),
        (["settings", "--preset", "slow"], 2, ()),
        (["title", "missing.mp3"], 2, ()),
        (["title", "--beam-size", "0", "x.mp3"], 2, ()),
        (["fetch", "everything"], 2, ()),
        (["status"], 0, ()),
        (["title", "tone.wav"], 0, NAMING),
        (["title", "--listener", "missing.mp3"], 2, ()),
        (["title", "--listener", "tone.wav"], 0, NAMING | {"pandas"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_loads_only_the_libraries_that_it_needs(home, files, arguments, status, may_load):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        cwd=files,
        env=os.environ | {"PYTHONPATH": str(cache.ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    got, *modules = done.stdout.splitlines()[-1].split()
    assert int(got) == status
    assert HEAVY & set(modules) <= set(may_load)


def test_what_notebooks_open_with_loads_no_library_that_a_later_cell_alone_needs():
    cells = [
        [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
        for path in sorted((cache.ROOT / "notebooks").glob("*.ipynb"))
    ]
    opened = [node for first in cells for cell in first[:2] for node in ast.parse(cell.source).body]
    imports = [
        ast.unparse(node) for node in opened if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    code = "\n".join([*imports, "import sys", "print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "songtitle.studies.similarity" in done.stdout
    later = {"torchvision", "timm", "librosa", "sklearn", "nltk", "img2dataset", "transformers"}
    assert not later & set(done.stdout.split())


def test_no_network_on_first_fetch_ends_in_one_line(tmp_path, monkeypatch):
    environment = {
        "SONGTITLE_DATA": str(tmp_path),
        "PATH": "",  # no apt client
        "https_proxy": "http://127.0.0.1:9",  # nothing answers there
        "http_proxy": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "-m", "songtitle", "fetch"],
        env=environment,
        cwd=cache.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("songtitle: ")
    assert "stamps" in line
    assert not (tmp_path / "stamps").exists()


def test_status_lists_what_is_fetched_and_computed(home, capsys):
    assert main(["status"]) == 0
    printed = capsys.readouterr().out
    assert str(home) in printed
    assert "training/" in printed


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["verify"], 0, "stamps: not fetched\n"),
        (["verify", "stamps"], 2, "1996 files are not right; fetch again\n"),
        (["verify", "stamps"], 2, "stamps: missing:"),
        (["fetch", "stamps", "--archive", "x.deb"], 2, "x.deb: expected an archive of the stamps"),
    ],
)
def test_what_is_not_here_is_told(tmp_path, monkeypatch, capsys, arguments, status, said):
    monkeypatch.setenv("SONGTITLE_DATA", str(tmp_path))
    assert main(arguments) == status
    printed = capsys.readouterr()
    assert said in printed.out + printed.err


def test_fetching_the_stamps_again_prints_their_folder(pictures_home, monkeypatch, capsys):
    monkeypatch.setenv("SONGTITLE_DATA", str(pictures_home))
    for arguments in (["fetch"], ["fetch", "stamps"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"{pictures_home / 'stamps'}\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("true", True), ("3", 3), ("[1, 3]", [1, 3]), ("lstm", "lstm"), ("0.5", 0.5)),
        *((text, text) for text in ("abc[", "{[]: 1}", "-" * 20_000 + "1")),
    ],
)
def test_a_value_on_the_command_line_means_what_it_means_to_papermill(text, value):
    found = plain(text)
    assert (found, type(found)) == (value, type(value))
