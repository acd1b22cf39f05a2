"""The page that names songs in the reader's browser: its model and examples, from a trained run."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lameenc
import numpy as np
import onnxruntime
import soundfile
import torch
from jaxtyping import Float, Int
from torch import Tensor

from songtitle.book.graphs import picture_graph, word_graph
from songtitle.cache import Record, read_json, run_stage
from songtitle.config import ExperimentConfig, SearchConfig
from songtitle.corpora.manifest import data_home
from songtitle.errors import InputError
from songtitle.experiment.corpora import clips
from songtitle.experiment.inputs import clip_picture, frozen_backbone, hear
from songtitle.experiment.learning import load_trained, training
from songtitle.experiment.naming import BEAM_SIZE, as_words, hypotheses
from songtitle.experiment.scoring import scores
from songtitle.search.beam import beam_search
from songtitle.shapes import Image, State
from songtitle.sound import load_clip, with_serial
from songtitle.vocabulary import Vocabulary

SECONDS = 12.0
INPUT = "songs: spectrogram"
PICTURE, WORD, MODEL = "picture.onnx", "word.onnx", "model.json"
RATES = {"wav": 22_050, "mp3": 44_100, "ogg": 44_100}  # Hz; wav is the largest by far


def example_files(clips: list[Path]) -> dict[str, bytes]:
    """File name -> content of the first seconds of each clip, mono, one of each format.

    The same clips give the same bytes.
    """
    found = {}
    for number, (path, (kind, rate)) in enumerate(zip(clips, RATES.items(), strict=True)):
        sound = load_clip(path, sample_rate=rate, duration=SECONDS).numpy()
        found[f"example-{number + 1}.{kind}"] = _encoded(sound, rate, kind)
    return found


def _encoded(sound: Float[np.ndarray, " samples"], rate: int, kind: str) -> bytes:
    if kind == "mp3":
        encoder = lameenc.Encoder()
        encoder.silence()
        encoder.set_in_sample_rate(rate)
        encoder.set_channels(1)
        encoder.set_bit_rate(64)
        samples = np.round(np.clip(sound, -1, 1) * 32767).astype("<i2")
        return bytes(encoder.encode(samples.tobytes())) + bytes(encoder.flush())
    file = io.BytesIO()
    subtype = "VORBIS" if kind == "ogg" else "PCM_16"
    soundfile.write(file, np.clip(sound, -1, 1), rate, format=kind.upper(), subtype=subtype)
    return with_serial(file.getvalue(), 1) if kind == "ogg" else file.getvalue()


class Twin:
    """The two graphs under Python's onnxruntime, on one thread as in a browser."""

    def __init__(self, picture: bytes, word: bytes):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        start = onnxruntime.InferenceSession
        self._picture = start(picture, options, providers=["CPUExecutionProvider"])
        self._word = start(word, options, providers=["CPUExecutionProvider"])

    def memory(self, image: Image) -> Float[np.ndarray, "1 dim"]:
        """What the encoder makes of a picture, of which one channel is read."""
        return self._picture.run(["memory"], {"picture": image[0].numpy()})[0]

    def word(
        self, tokens: Int[np.ndarray, " rows"], memory: Float[np.ndarray, "1 dim"], state: State
    ) -> tuple[Float[Tensor, "rows vocab"], State]:
        """Logits one token further, and the new state."""
        given = {"token": tokens.astype(np.int32), "memory": memory}
        given |= {f"{name}_in": value.numpy() for name, value in state.items()}
        found = self._word.run(["logits", "hidden", "cell"], given)
        logits, hidden, cell = map(torch.from_numpy, found)
        return logits, {"hidden": hidden, "cell": cell}

    def titles(self, image: Image, vocabulary: Vocabulary, config: SearchConfig) -> list[list[Any]]:
        """Up to five titles as `[words, log-probability]`, best first."""
        memory = self.memory(image)
        nothing = torch.zeros(memory.shape)
        _, state = self.word(np.array([-1]), memory, {"hidden": nothing, "cell": nothing})
        found = beam_search(
            lambda tokens, state: self.word(tokens.numpy(), memory, state),
            state,
            bos_id=vocabulary.bos_id,
            eos_id=vocabulary.eos_id,
            config=config,
            never=[vocabulary.pad_id, vocabulary.bos_id, vocabulary.unk_id],
            logits=True,
        )
        return as_words(found, vocabulary)[0]


def write_demo(config: ExperimentConfig, folder: Path, *, home: Path | None = None) -> None:
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
    sums = {name: hashlib.sha256(graph).hexdigest() for name, graph in graphs.items()}
    twin, content["sha256"] = Twin(graphs[PICTURE], graphs[WORD]), sums
    content["agreement"] = agreement(twin, vocabulary, config, sha256=sums, home=home).result
    songs = clips(config, home=home)
    names = [song["clip"] for song in read_json(songs.file("songs.json"))]
    chosen = [names[len(names) * third // 3] for third in range(3)]
    examples = example_files([songs.file("clips") / name for name in chosen])
    content["examples"] = sorted(examples)
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    for name, whole in (graphs | examples | {MODEL: text.encode()}).items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != whole:
            path.write_bytes(whole)


def facts(config: ExperimentConfig, vocabulary: Vocabulary, *, home: Path) -> dict[str, Any]:
    """What the page has to know besides the graphs: settings, words, and what chance scores.

    `said` counts, of each title, the test songs that have it among their five.
    """
    found, trained = hypotheses(config, INPUT, BEAM_SIZE, home=home), training(config, home=home)
    judged = scores(config, home=home)
    nearest = min(config.beam_sizes, key=lambda size: abs(size - BEAM_SIZE))
    rows = [row for row in judged.result["rows"] if row["input"] == INPUT]
    (row,) = [row for row in rows if row["beam_size"] == nearest]
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
    named, songs = hypotheses(config, INPUT, BEAM_SIZE, home=home), clips(config, home=home)

    def compute(_: Path) -> dict[str, Any]:
        search = replace(config.search, beam_size=BEAM_SIZE)
        first, five, differences = 0, 0, [0.0]
        names = [song["clip"] for song in read_json(songs.file("songs.json"))]
        found = read_json(named.file("hypotheses.json"))
        for name, (theirs,) in zip(names, found, strict=True):
            image = clip_picture(hear(songs.file("clips") / name, config), name, config)
            ours = twin.titles(image, vocabulary, search)
            pairs = list(zip(ours, theirs, strict=False))
            same = [a[0] == b[0] for a, b in pairs]
            first += same[0]
            five += all(same) and len(ours) == len(theirs)
            differences += [abs(a[1] - b[1]) for a, b in pairs if a[0] == b[0]]
        return {
            "songs": len(names),
            "same_first": int(first),
            "same_five": int(five),
            "largest_difference": round(float(np.max(differences)), 4),
        }

    settings = {"graphs": dict(sha256), "search": asdict(config.search), "seed": config.seed}
    return run_stage("agreement", compute, settings=settings, inputs=[named, songs], home=home)
