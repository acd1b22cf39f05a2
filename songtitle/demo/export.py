"""The page's files, from a trained captioner: two graphs, `model.json` and three examples."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from songtitle.cache import Record, run_stage
from songtitle.config import ExperimentConfig
from songtitle.demo.examples import example_files
from songtitle.demo.graphs import picture_graph, word_graph
from songtitle.demo.twin import Twin
from songtitle.errors import InputError
from songtitle.experiment import clips, hypotheses, scores, training
from songtitle.experiment.common import read_json
from songtitle.experiment.inputs import clip_picture, frozen_backbone, hear
from songtitle.experiment.learning import load_trained
from songtitle.manifest import data_home
from songtitle.vocab import Vocabulary

INPUT = "songs: spectrogram"
BEAM_SIZE = 5  # as `python -m songtitle title` has it
PICTURE, WORD, MODEL = "picture.onnx", "word.onnx", "model.json"


def write(config: ExperimentConfig, folder: Path, *, home: Path | None = None) -> None:
    """Write what the page needs of a finished run to `folder`; a file that is right stays.

    `picture.onnx` and `word.onnx` (see `graphs`), `model.json` (see `facts`) and three examples.
    The titles of all test songs are compared with those of the run, which takes a minute or two.
    Raises InputError for a captioner of other parts than the quick run's.
    """
    home = home or data_home()
    record = training(config, home=home)
    model, vocabulary, _ = load_trained(record, config)
    backbone = frozen_backbone(config)
    graphs = {
        PICTURE: picture_graph(backbone.cpu(), model.cpu()).SerializeToString(deterministic=True),
        WORD: word_graph(model).SerializeToString(deterministic=True),
    }
    content = facts(config, vocabulary, home=home)
    content["sha256"] = {name: _sha256(graph) for name, graph in graphs.items()}
    twin = Twin(graphs[PICTURE], graphs[WORD])
    content["agreement"] = agreement(
        twin, vocabulary, config, sha256=content["sha256"], home=home
    ).result
    songs = clips(config, home=home)
    names = [song["clip"] for song in read_json(songs.file("songs.json"))]
    chosen = [names[len(names) * third // 3] for third in range(3)]
    examples = example_files([songs.file("clips") / name for name in chosen])
    content["examples"] = sorted(examples)
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    _write(folder, graphs | examples | {MODEL: text.encode()})


def facts(config: ExperimentConfig, vocabulary: Vocabulary, *, home: Path) -> dict[str, Any]:
    """What the page has to know besides the graphs: settings, words, and what chance scores.

    `said` counts, of each title, the test songs that have it among their five.
    """
    found, trained = hypotheses(config, INPUT, BEAM_SIZE, home=home), training(config, home=home)
    judged = scores(config, home=home)
    (row,) = [
        row
        for row in judged.result["rows"]
        if row["input"] == INPUT and row["beam_size"] == _nearest(config.beam_sizes)
    ]
    five = [item[0] for item in read_json(found.file("hypotheses.json"))]
    said = Counter(" ".join(words) for each in five for words, _ in each)
    if config.spectrogram_fit != "crop":
        msg = f"demo: expected spectrograms cropped, got {config.spectrogram_fit!r}; export quick"
        raise InputError(msg)
    return {
        "preset": config.name,
        "seed": config.seed,
        "crop": config.crop,
        "seconds": config.clip_seconds,
        "spectrogram": asdict(config.spectrogram),
        "search": asdict(replace(config.search, beam_size=BEAM_SIZE)),
        "ids": {name: getattr(vocabulary, f"{name}_id") for name in ("pad", "bos", "eos", "unk")},
        "words": list(vocabulary.words),
        "chance": row,
        "songs": len(five),
        "said": dict(sorted(said.items())),
        "run": {
            "training": trained.key,
            "hypotheses": found.key,
            "scores": judged.key,
            "clips": clips(config, home=home).key,
        },
    }


def agreement(
    twin: Twin,
    vocabulary: Vocabulary,
    config: ExperimentConfig,
    *,
    sha256: Mapping[str, str],
    home: Path,
) -> Record:
    """How often the stored weights, of these hashes, give the titles of the run.

    Over all test songs, `same_first` and `same_five` count those whose best title, or whose five
    titles in order, are the same; `largest_difference` is between log-probabilities of one title,
    in nats.
    """
    before = [hypotheses(config, INPUT, BEAM_SIZE, home=home), clips(config, home=home)]

    def compute(_: Path) -> dict[str, Any]:
        return _compared(twin, vocabulary, config, *before)

    settings = {"graphs": dict(sha256), "search": asdict(config.search), "seed": config.seed}
    return run_stage("agreement", compute, settings=settings, inputs=before, home=home)


def _compared(
    twin: Twin, vocabulary: Vocabulary, config: ExperimentConfig, named: Record, songs: Record
) -> dict[str, Any]:
    found = read_json(named.file("hypotheses.json"))
    search = replace(config.search, beam_size=BEAM_SIZE)
    first = five = 0
    differences = [0.0]
    names = [song["clip"] for song in read_json(songs.file("songs.json"))]
    for name, (theirs,) in zip(names, found, strict=True):
        image = clip_picture(hear(songs.file("clips") / name, config), name, config)
        ours = twin.titles(image, vocabulary, search)
        same = [a[0] == b[0] for a, b in zip(ours, theirs, strict=False)]
        first += same[0]
        five += all(same) and len(ours) == len(theirs)
        differences += [
            abs(a[1] - b[1]) for a, b, equal in zip(ours, theirs, same, strict=False) if equal
        ]
    return {
        "songs": len(names),
        "same_first": int(first),
        "same_five": int(five),
        "largest_difference": round(float(np.max(differences)), 4),
    }


def _nearest(sizes: Sequence[int]) -> int:
    """The beam size of the run that is nearest to the page's."""
    return min(sizes, key=lambda size: abs(size - BEAM_SIZE))


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
