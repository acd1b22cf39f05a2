"""The page that names songs in the reader's browser: its model and examples, from a trained run.

The captioner becomes two ONNX graphs: from a picture to memory, and the decoder one word further.
Matrices are stored as 16-bit whole numbers with one scale for each output channel, half the size of
float32; the graphs compute in float32. The same weights give the same bytes.
"""

import copy
import hashlib
import io
import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lameenc
import numpy as np
import onnx
import onnxruntime
import onnxscript.optimizer
import soundfile
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.parametrize import register_parametrization

from songtitle.cache import Record, read_json, run_stage
from songtitle.config import ExperimentConfig, SearchConfig
from songtitle.corpora.manifest import data_home
from songtitle.errors import InputError
from songtitle.experiment.corpora import clip_of, clips, song_rows
from songtitle.experiment.inputs import clip_picture, frozen_backbone, hear
from songtitle.experiment.learning import load_trained, training
from songtitle.experiment.naming import BEAM_SIZE, as_words, hypotheses
from songtitle.experiment.scoring import scores
from songtitle.model.captioner import Captioner
from songtitle.model.decoder import LSTMDecoder
from songtitle.model.encoder import Backbone, Projection
from songtitle.search.beam import beam_search
from songtitle.shapes import Image, State
from songtitle.sound import load_clip, with_serial
from songtitle.vocabulary import Vocabulary

SECONDS = 12.0
INPUT = "songs: spectrogram"
PICTURE, WORD, MODEL = "picture.onnx", "word.onnx", "model.json"
RATES = {"wav": 22_050, "mp3": 44_100, "ogg": 44_100}  # Hz; wav is the largest by far
OPSET, IR_VERSION = 18, 8  # what runtimes of 2023 and later read
LEVELS = 32_767  # whole numbers on each side of zero
SMALL = 64  # numbers of a constant that may be computed ahead: stored weights stay in 16 bits


# --- the captioner as graphs


def picture_graph(backbone: Backbone, model: Captioner, crop: int) -> bytes:
    """Write `picture (crop, crop)` in [0, 1] to `memory (1, dim)` as ONNX.

    Raises InputError for a model of other parts than the quick run's.
    """
    encoder = model.encoder
    if type(encoder) is not Projection or not backbone.frozen or backbone.memory != "pooled":
        raise _refusal(encoder)
    picture = torch.rand(crop, crop)
    return _graph(_Picture(backbone, encoder), {"picture": picture}, ["memory"])


def word_graph(model: Captioner) -> bytes:
    """Write the decoder, one word further for each row, as ONNX.

    `token (rows)`, `memory (1, dim)`, `hidden_in` and `cell_in (rows, dim)` give `logits (rows,
    vocab)`, `hidden` and `cell`. The token -1 stands for the picture itself, which enters a step
    before `<bos>`; `memory` is read for it alone. (One graph, since it holds the LSTM's weights.)
    Raises InputError for a model of other parts than the quick run's.
    """
    decoder = model.decoder
    if not isinstance(decoder, LSTMDecoder) or decoder.lstm.num_layers != 1:
        raise _refusal(decoder)
    if not isinstance(decoder.embed, nn.Embedding):
        raise _refusal(decoder.embed)
    token, state = torch.tensor([1, 2], dtype=torch.int32), torch.rand(2, decoder.lstm.hidden_size)
    inputs = {"token": token, "memory": state[:1], "hidden_in": state, "cell_in": state.clone()}
    return _graph(_Word(decoder), inputs, ["logits", "hidden", "cell"])


def _refusal(part: object) -> InputError:
    return InputError(
        "demo: expected the quick run's captioner, a frozen EfficientNet-Lite and an LSTM of one "
        f"layer, got a part of type {type(part).__name__}; export a quick run"
    )


class _Picture(nn.Module):
    def __init__(self, backbone: Backbone, encoder: Projection):
        super().__init__()
        self.backbone, self.encoder = backbone, encoder

    def forward(self, picture: Tensor) -> Tensor:
        image = picture.expand(1, 3, *picture.shape)
        return self.encoder(self.backbone(image))[:, 0]


class _Word(nn.Module):
    def __init__(self, decoder: LSTMDecoder):
        super().__init__()
        self.decoder = decoder

    def forward(
        self, token: Tensor, memory: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        decoder, lstm = self.decoder, self.decoder.lstm
        x = torch.where((token < 0)[:, None], memory, decoder.embed(token.clamp(min=0)))
        seen = linear(x, lstm.weight_ih_l0, lstm.bias_ih_l0)  # type: ignore[arg-type]
        kept = linear(hidden, lstm.weight_hh_l0, lstm.bias_hh_l0)  # type: ignore[arg-type]
        read, forget, new, shown = (seen + kept).chunk(4, dim=1)  # in torch's order
        cell = forget.sigmoid() * cell + read.sigmoid() * new.tanh()
        hidden = shown.sigmoid() * cell.tanh()
        return decoder.output(hidden), hidden, cell


class _SixteenBits(nn.Module):
    """How a weight is stored, for `torch.nn.utils.parametrize`."""

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return sixteen_bits(weight)

    def forward(self, whole: Tensor, scale: Tensor) -> Tensor:
        return whole.float() * scale


def sixteen_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight as whole numbers and the scale of each output channel: `whole * scale` is near."""
    largest = weight.detach().abs().flatten(1).amax(1).clamp(min=torch.finfo(weight.dtype).tiny)
    scale = (largest / LEVELS).view(-1, *[1] * (weight.ndim - 1))
    return (weight.detach() / scale).round().clamp(-LEVELS, LEVELS).to(torch.int16), scale


def _graph(part: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> bytes:
    """A network as ONNX; what has two rows in `inputs` may have any number."""
    part, rows = copy.deepcopy(part).cpu().eval().requires_grad_(False), torch.export.Dim("rows")
    for layer in list(part.modules()):
        for name, weight in list(layer.named_parameters(recurse=False)):
            if weight.ndim > 1:
                register_parametrization(layer, name, _SixteenBits(), unsafe=True)
    with warnings.catch_warnings(action="ignore"):  # of what changes in later versions
        program: Any = torch.onnx.export(
            part,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple({0: rows} if len(x) == 2 else None for x in inputs.values()),
            opset_version=OPSET,
            dynamo=True,
            optimize=False,
            verbose=False,
        )
    onnxscript.optimizer.optimize(program.model, input_size_limit=SMALL, output_size_limit=SMALL)
    found: onnx.ModelProto = program.model_proto
    graph = found.graph
    for each in (found, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del each.metadata_props[:]  # lines of code, with paths of this machine
    del graph.value_info[:]
    found.ir_version = IR_VERSION
    onnx.checker.check_model(found)
    return found.SerializeToString(deterministic=True)


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


# --- the files of the page


def write_demo(config: ExperimentConfig, folder: Path, *, home: Path | None = None) -> None:
    """Write what the page needs of a finished run to `folder`; a file that is right stays.

    `picture.onnx`, `word.onnx`, `model.json` (see `facts`) and three examples. The titles of all
    test songs are compared with those of the run, which takes a minute or two. Raises InputError
    for a captioner of other parts than the quick run's.
    """
    home = home or data_home()
    model, vocabulary, _ = load_trained(training(config, home=home), config)
    graphs = {
        PICTURE: picture_graph(frozen_backbone(config), model, config.crop),
        WORD: word_graph(model),
    }
    content = facts(config, vocabulary, home=home)
    sums = {name: hashlib.sha256(graph).hexdigest() for name, graph in graphs.items()}
    twin, content["sha256"] = Twin(graphs[PICTURE], graphs[WORD]), sums
    content["agreement"] = agreement(twin, vocabulary, config, sha256=sums, home=home).result
    songs = clips(config, home=home)
    paths = [clip_of(songs, song, home) for song in song_rows(songs, INPUT)]
    examples = example_files([paths[len(paths) * third // 3] for third in range(3)])
    content["examples"] = sorted(examples)
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    for name, whole in (graphs | examples | {MODEL: text.encode()}).items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != whole:
            path.write_bytes(whole)


def example_files(clips: list[Path]) -> dict[str, bytes]:
    """File name -> content of the first seconds of each clip, mono, one of each format.

    The same clips give the same bytes.
    """
    found = {}
    for number, (path, (kind, rate)) in enumerate(zip(clips, RATES.items(), strict=True)):
        sound = load_clip(path, sample_rate=rate, duration=SECONDS).numpy().clip(-1, 1)
        if kind == "mp3":
            encoder = lameenc.Encoder()
            encoder.silence()
            encoder.set_in_sample_rate(rate)
            encoder.set_channels(1)
            encoder.set_bit_rate(64)
            samples = np.round(sound * 32767).astype("<i2")
            content = bytes(encoder.encode(samples.tobytes())) + bytes(encoder.flush())
        else:
            file, subtype = io.BytesIO(), "VORBIS" if kind == "ogg" else "PCM_16"
            soundfile.write(file, sound, rate, format=kind.upper(), subtype=subtype)
            content = with_serial(file.getvalue(), 1) if kind == "ogg" else file.getvalue()
        found[f"example-{number + 1}.{kind}"] = content
    return found


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
    if config.spectrogram_fit != "crop" or config.spectrogram.inverted:
        msg = f"demo: expected spectrograms cropped, got {config.spectrogram_fit!r}; export quick"
        if config.spectrogram.inverted:
            msg = "demo: expected spectrograms white on black, got inverted ones; export quick"
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
        paths = [clip_of(songs, song, home) for song in song_rows(songs, INPUT)]
        found = read_json(named.file("hypotheses.json"))
        for path, (theirs,) in zip(paths, found, strict=True):
            image = clip_picture(hear(path, config), path.name, config)
            ours = twin.titles(image, vocabulary, search)
            pairs = list(zip(ours, theirs, strict=False))
            same = [a[0] == b[0] for a, b in pairs]
            first += same[0]
            five += all(same) and len(ours) == len(theirs)
            differences += [abs(a[1] - b[1]) for a, b in pairs if a[0] == b[0]]
        return {
            "songs": len(paths),
            "same_first": int(first),
            "same_five": int(five),
            "largest_difference": round(float(np.max(differences)), 4),
        }

    settings = {"graphs": dict(sha256), "search": asdict(config.search), "seed": config.seed}
    return run_stage("agreement", compute, settings=settings, inputs=[named, songs], home=home)
