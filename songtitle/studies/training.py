"""Page 3, training: the captioner in boxes and arrows, perplexities, encoders and decoders."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox
from safetensors import safe_open

from songtitle import figures
from songtitle.cache import Record
from songtitle.config import ExperimentConfig
from songtitle.experiment.corpora import corpora, held_out_captions, picture_rows
from songtitle.figures import amount
from songtitle.fmt import ESTIMATE, NOTHING
from songtitle.studies.picked import smallest_p
from songtitle.tables import tabulate
from songtitle.training.checkpoints import MODEL, kept_checkpoint
from songtitle.vocabulary import Vocabulary

DECODERS = {"lstm": "LSTM", "attention": "LSTM with attention", "transformer": "transformer"}


def comparison(record: Record) -> pd.DataFrame:
    """Tabulate each encoder with each decoder: perplexity and control, BLEU-1 and chance, cost."""
    columns = {
        "Encoder": "encoder",
        "Decoder": "decoder",
        "Perplexity (wrong pictures)": "{valid_perplexity:.2f} "
        "({permuted_pictures_perplexity:.2f})",
        "BLEU-1": ESTIMATE,
        "Chance": "{chance:points} (p = {p:p})",
        "Million weights": lambda row: (
            f"{row['parameters'] / 1e6:.1f} + {row['backbone_parameters'] / 1e6:.1f}"
        ),
        "Seconds": "{epoch_seconds:.1f} + {encode_seconds:.0f}",
    }
    rows = zip(record.result["rows"], record.timing["rows"], strict=True)
    return tabulate([row | times for row, times in rows], columns)


def comparison_note(record: Record) -> str:
    """Say what the numbers of the table mean, and of how many pairs the smallest p is one."""
    least = smallest_p(record.result["rows"], "pairs", "{encoder} with {decoder}")
    return (
        "Perplexity on validation captions, in brackets with the wrong pictures, at the epoch that "
        "is best on these very captions. BLEU-1 of the test pictures at k = 5, in percent points, "
        "with its 95 % interval, of one training; chance as in Table 4. Weights: trained + frozen. "
        f"Seconds: one epoch + all features. {least}"
    ).strip()


def kept_epoch(result: Mapping[str, Any]) -> str:
    """Say which of how many epochs was kept, and which is the best by the captions that its
    perplexity is told of."""
    rows = sorted(result["history"], key=lambda row: float(row["valid_perplexity"]))
    if len(rows) < 2:
        return ""
    best, second = rows[:2]
    if best["epoch"] == result["epoch"]:
        said = f"The epoch kept is the best of {len(rows)} on these very captions; the second best "
        return said + f"has {second['valid_perplexity']:.1f}."
    said = f"Kept is epoch {result['epoch']} of {len(rows)}; on these captions epoch "
    return said + f"{best['epoch']} is the best, with {best['valid_perplexity']:.1f}."


def near_table(record: Record) -> pd.DataFrame:
    """Tabulate how many test pictures have a near neighbour in training, by what makes it near."""

    def shown(row: Mapping[str, Any], name: str, digits: int) -> str:
        return NOTHING if row[name] is None else f"{row[name]:.{digits}f}"

    columns = {
        "Near by": "by",
        "Within": lambda row: shown(row, "radius", 2),
        "Test pictures": "{near} of {test}",
        "Expected by chance": lambda row: shown(row, "expected", 1),
        "Training pictures near one of their own series": "{within_series} of {train}",
    }
    counts = {side: record.result[side] for side in ("test", "train")}
    rows = [{"by": name} | counts | row for name, row in record.result["by"].items()]
    return tabulate(rows, columns)


def near_note(record: Record) -> str:
    """Name the pairs across the split that are near by picture and caption, if any."""
    pairs = [f"{row['test']} and {row['train']}" for row in record.result["pairs"]]
    series = f"The test holds pictures of {record.result['series']} series. "
    return series + (f"Near by both: {'; '.join(pairs)}." if pairs else "None is near by both.")


def perplexity_by_epoch(
    history: pd.DataFrame, *, references: Mapping[str, float] = {}, ax: Axes | None = None
) -> Axes:
    """Draw training and validation perplexity by epoch (Fig. 6).

    `history` has the columns epoch, train_perplexity and valid_perplexity. Each reference, such
    as a unigram model, is a horizontal line named in the legend.
    """
    columns = ["epoch", "train_perplexity", "valid_perplexity"]
    figures.require(history, columns, "training history")
    ax, label = figures.own_axes(ax), "perplexity (per token)"
    found = history[columns].set_axis(["epoch", "training", "validation"], axis="columns")
    for place, (split, line) in enumerate([("training", "-"), ("validation", "--")]):
        ax.plot(found["epoch"], found[split], line, label=split, **figures.mark(place))
    drawn = found.melt("epoch", var_name="of", value_name=label)[["of", "epoch", label]]
    dashes = [(0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (10, 3)), (0, (3, 1, 1, 1, 1, 1))]
    said = [figures.extremes(drawn, label, at="epoch", of="of")]
    for place, (name, value) in enumerate(references.items()):
        look: dict[str, Any] = {"linestyle": dashes[place % len(dashes)], "color": "0.3", "lw": 1.4}
        ax.axhline(value, label=f"{name}: {value:.1f}", **look)
        said.append(f"{name} is at {amount(value)}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel=label)
    ax.set_ylim(bottom=0)
    ax.legend()
    levels = pd.DataFrame({"of": references.keys(), label: references.values()})
    return figures.hand_on(ax, pd.concat([drawn, levels]) if references else drawn, "; ".join(said))


def example_caption(config: ExperimentConfig) -> list[str]:
    """Give a caption of about four words from the test pictures, for the diagrams."""
    tokens = held_out_captions(corpora(config))
    return min(tokens, key=lambda words: abs(len(words) - 4))


def unknown_share(config: ExperimentConfig, trained: Record) -> float:
    """Count which share of the words of validation captions the captioner of a training record
    does not know: in its loss, and so in perplexity, they are one and the same word."""
    known = set(Vocabulary.load(trained.file("vocabulary.json")).words)
    valid = [picture["captions"] for picture in picture_rows(corpora(config), "valid")]
    words = [word for captions in valid for caption in captions for word in caption]
    return sum(word not in known for word in words) / max(1, len(words))


# --- diagrams: their axis is measured in points from its lower left corner, as type is, so that
# whether a text fits its box is plain arithmetic

GAP = 20.0  # points between boxes, room for an arrow
BAND = 34.0  # points that a band's heading and margins take
PAD = 5.0  # points between a text and the edge of its box
BREAK_BELOW = 7.0  # points: better a broken word than type too small to read
INK, EDGE = "0.12", "0.35"
BLUE, ORANGE, GREEN = "#dcebf7", "#fdebd2", "#dbf0e4"


@dataclass(frozen=True)
class Box:
    """One stage of a model: what it is, the shape it hands on, and a remark."""

    title: str
    shape: str = ""
    note: str = ""


def diagram(config: ExperimentConfig, trained: Record) -> dict[str, list[Box]]:
    """Give the boxes of the paper's Figs. 1 to 4, with the shapes that the trained model has.

    Keys: `picture` (Figs. 1 and 2), `timbre` (Fig. 3), `spectrogram` (Figs. 2 and 4), `decoder`.
    """
    with safe_open(kept_checkpoint(trained.folder) / MODEL, framework="pt") as file:
        width, features = file.get_slice("encoder.linear.weight").get_shape()
        vocab, dim = file.get_slice("decoder.output.weight").get_shape()
    side, bins = config.crop, config.spectrogram.bins
    backbone = Box(config.model.encoder, f"{features}", "frozen, ImageNet weights")
    project = Box("linear + batch norm", f"{width}", "trained")
    frames = "all frames" if config.spectrogram_fit == "whole" else side
    audio = Box("audio", f"{config.clip_seconds:.0f} s")
    sound = Box("spectrogram", f"3 × {bins} × {frames}", "dB as brightness")
    numbers = Box("timbre", "90", "12 means, 78 covariances")
    return {
        "picture": [Box("picture crop", f"3 × {side} × {side}", "RGB"), backbone, project],
        "timbre": [audio, numbers, Box("replicated", f"{dim}", "each number 5 or 6 times")],
        "spectrogram": [audio, sound, backbone, project],
        "decoder": [Box(DECODERS[config.model.decoder], f"{dim}", f"{vocab:,} words")],
    }


def draw_captioner(
    encoder: Sequence[Box],
    words: Sequence[str],
    ax: Axes | None = None,
    *,
    decoder: Box = Box("LSTM"),
) -> Axes:
    """Draw an encoder feeding a decoder unrolled over time (Figs. 1, 3 and 4).

    The encoder stands at the left, top to bottom; what it hands on enters `decoder` at t = -1,
    then come the begin mark and `words`, about four, each step giving the word after.
    """
    figures.require_some(encoder, "encoder")
    figures.require_some(words, "caption")
    ax = figures.own_axes(ax, (8.0, max(3.6, 0.35 + 0.88 * len(encoder))))
    page, about = _page(ax), f"decoder ({decoder.note})" if decoder.note else "decoder"
    left, right = 0.27 * page.x1, 0.27 * page.x1 + GAP
    column = _band(ax, Bbox.from_extents(0, 0, left, page.y1), "encoder")
    area = Bbox.from_extents(right, 0, page.x1, page.y1)
    steps = _band(ax, area, f"{about}, one network unrolled over time")
    stack = _grid(column, len(encoder), 1)
    _boxes(ax, encoder, stack, BLUE)
    _chain(ax, stack, "S", "N")

    times = ["−1", *range(len(words) + 1)]
    pitch = steps.width / len(times)
    wide, line = pitch - min(12.0, 0.2 * pitch), 15.0
    tall = (steps.height - line - 2 * GAP) / 3
    small, large = min(tall, 34.0), min(tall, 54.0)

    def row(start: int, y: float, height: float) -> list[Bbox]:
        left = steps.x0 + pitch / 2 - wide / 2
        places = range(start, len(times))
        return [Bbox.from_bounds(left + i * pitch, y, wide, height) for i in places]

    cells = row(0, steps.y0 + line + (steps.height - line) / 2 - large / 2, large)
    inputs, outputs = row(1, steps.y0 + line, small), row(1, steps.y1 - small, small)
    _boxes(ax, [Box(decoder.title, decoder.shape)] * len(cells), cells, ORANGE)
    tokens = [Box(word) for word in ["<bos>", *words, "<eos>"]]
    _boxes(ax, [*tokens[:-1], *tokens[1:]], [*inputs, *outputs], GREEN)
    for through in zip(inputs, cells[1:], outputs, strict=True):
        _chain(ax, through, "N", "S")
    _chain(ax, cells, "E", "W")
    for cell, time in zip(cells, times, strict=True):
        ax.text(_at(cell, "S")[0], steps.y0 + 4, f"t = {time}", size=8, color=EDGE, ha="center")
    last, first = stack[-1], _at(cells[0], "S")
    entry = min(max(_at(inputs[0], "C")[1], last.y0 + PAD), last.y1 - PAD)
    _arrow(ax, (last.x1, entry), (first[0], entry), first)
    said = ", which reads <bos> {0} and gives {0} <eos>".format(" ".join(words))
    groups = {"encoder": encoder, "decoder": [decoder], "words": [Box(word) for word in words]}
    finding = f"encoder: {_in_order(encoder)}; decoder: {_in_order([decoder])}{said}"
    return figures.hand_on(ax, _frame(groups), finding)


def draw_two_steps(source: Sequence[Box], target: Sequence[Box], ax: Axes | None = None) -> Axes:
    """Draw two pipelines, what is trained above what it is then used for (Fig. 2).

    The arrow between them is the weights that they share.
    """
    figures.require_some(source, "source pipeline")
    figures.require_some(target, "target pipeline")
    learn, use = "Step 1: learn to describe pictures", "Step 2: name songs with what was learnt"
    link, between = "the same weights", 32.0
    # Six lines of text fit a box.
    ax = figures.own_axes(ax, (8.0, (4 + 2 * (76 + BAND) + between) / 72))
    page = _page(ax)
    upper, lower = _grid(page, 2, 1, between)
    groups = {learn: source, use: target}
    for area, colour, heading in zip((upper, lower), (BLUE, ORANGE), groups, strict=True):
        places = _grid(_band(ax, area, heading), 1, len(groups[heading]))
        _boxes(ax, groups[heading], places, colour)
        _chain(ax, places, "E", "W")
    middle = page.width / 2
    _arrow(ax, (middle, upper.y0), (middle, lower.y1), lw=2.4)
    ax.text(middle + 12, lower.y1 + between / 2, link, size=9.5, color=INK, va="center")
    said = f"{learn}: {_in_order(source)}. {use}, with {link}: {_in_order(target)}"
    return figures.hand_on(ax, _frame(groups), said)


def _in_order(stages: Sequence[Box]) -> str:
    """Say stages in words: "Picture (3 × 256 × 256), then Linear (512)"."""
    return ", then ".join(f"{b.title} ({b.shape})" if b.shape else b.title for b in stages)


def _frame(groups: Mapping[str, Sequence[Box]]) -> pd.DataFrame:
    """Give one row a box, in order: the group that it stands in, its texts."""
    rows = [(group, b.title, b.shape, b.note) for group, boxes in groups.items() for b in boxes]
    return pd.DataFrame(rows, columns=["group", "part", "shape", "remark"]).replace("", None)


def _page(ax: Axes) -> Bbox:
    """Measure the axis in points and hide its frame; gives the room within."""
    box = ax.get_window_extent()
    width, height = (72 * side / ax.figure.dpi for side in (box.width, box.height))
    ax.set(xlim=(-2, width - 2), ylim=(-2, height - 2))
    ax.axis("off")
    return Bbox.from_extents(0, 0, width - 4, height - 4)


def _band(ax: Axes, area: Bbox, heading: str) -> Bbox:
    """Draw a pale ground under a heading; gives the room that is left inside."""
    ax.add_patch(_rounded(area, 6.0, facecolor="0.965", edgecolor="0.8", linewidth=0.8))
    ax.text(area.x0 + 9, area.y1 - 7, heading, size=9.5, color=INK, va="top", parse_math=False)
    return Bbox.from_bounds(area.x0 + 9, area.y0 + 9, area.width - 18, area.height - BAND)


def _grid(area: Bbox, rows: int, columns: int, gap: float = GAP) -> list[Bbox]:
    """Give the places of boxes in reading order, `gap` points apart."""
    width = (area.width - gap * (columns - 1)) / columns
    height = (area.height - gap * (rows - 1)) / rows
    lefts = [area.x0 + column * (width + gap) for column in range(columns)]
    feet = [area.y1 - height - row * (height + gap) for row in range(rows)]
    return [Bbox.from_bounds(left, foot, width, height) for foot in feet for left in lefts]


def _at(box: Bbox, side: str) -> tuple[float, float]:
    """Give the centre ("C") of a box, or the middle of a side ("N", "E", "S" or "W")."""
    across, up = Bbox.coefs[side]
    return box.x0 + across * box.width, box.y0 + up * box.height


def _boxes(ax: Axes, boxes: Sequence[Box], places: Sequence[Bbox], colour: str) -> None:
    """Draw boxes with their texts, in one size as far as that is readable, smaller where not."""
    scales = [_scale(box, place) for box, place in zip(boxes, places, strict=True)]
    common = max(0.8, min(scales))  # one very long word must not make all others tiny
    for box, place, own in zip(boxes, places, scales, strict=True):
        ax.add_patch(_rounded(place, 4.0, facecolor=colour, edgecolor=EDGE, linewidth=1.1))
        parts = _parts(box, place.width - 2 * PAD, min(common, own))
        x, y = _at(place, "C")
        y += sum(height for *_, height in parts) / 2
        for lines, font, ink, height in parts:
            text: dict[str, Any] = {"fontproperties": font, "color": ink, "parse_math": False}
            ax.text(x, y - height / 2, "\n".join(lines), ha="center", va="center", **text)
            y -= height


def _scale(box: Box, place: Bbox) -> float:
    """Give the largest scale, 1 or less, at which the texts of a box stay inside it."""
    width, scale = place.width - 2 * PAD, 1.0
    while scale > 0.1:
        parts = _parts(box, width, scale)
        wide = any(_width(line, font) > width for lines, font, *_ in parts for line in lines)
        if not wide and sum(height for *_, height in parts) <= place.height - PAD:
            break
        scale *= 0.96
    return scale


def _parts(
    box: Box, width: float, scale: float
) -> list[tuple[list[str], FontProperties, str, float]]:
    """Give lines, font, colour and height in points of each text of a box that has one."""
    fonts = [
        (box.title, FontProperties(weight="bold", size=10 * scale), INK),
        (box.shape, FontProperties(family="monospace", size=9 * scale), INK),
        (box.note, FontProperties(style="italic", size=8.5 * scale), "0.3"),
    ]
    found = [(_wrap(text, font, width), font, ink) for text, font, ink in fonts if text]
    return [(lines, font, ink, 1.3 * font.get_size() * len(lines)) for lines, font, ink in found]


def _wrap(text: str, font: FontProperties, width: float) -> list[str]:
    """Give lines of about `width`, between words; small type breaks words as well."""
    letters = max(1, int(len(text) * width / _width(text, font)))
    small = font.get_size() < BREAK_BELOW
    return textwrap.wrap(text, letters, break_long_words=small, break_on_hyphens=False)


def _width(line: str, font: FontProperties) -> float:
    # Pixel displays round each letter up to whole pixels: about 6 % more at small sizes.
    return 1.07 * text_to_path.get_text_width_height_descent(line, font, ismath=False)[0]


def _rounded(area: Bbox, radius: float, **look: Any) -> FancyBboxPatch:
    style = f"round,pad=0,rounding_size={radius}"
    return FancyBboxPatch((area.x0, area.y0), area.width, area.height, boxstyle=style, **look)


def _chain(ax: Axes, boxes: Sequence[Bbox], out: str, into: str) -> None:
    """Draw an arrow from each box to the next, from one side to the other."""
    for one, next_ in pairwise(boxes):
        _arrow(ax, _at(one, out), _at(next_, into))


def _arrow(ax: Axes, *corners: tuple[float, float], lw: float = 1.3) -> None:
    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 7 * lw, "lw": lw, "color": EDGE}
    ax.add_patch(FancyArrowPatch(path=Path(corners), fill=False, joinstyle="round", **look))
