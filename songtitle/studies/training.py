"""Page 3, training: the captioner in boxes and arrows, perplexities, encoders and decoders."""

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

from songtitle.cache import Record, read_json
from songtitle.config import ExperimentConfig
from songtitle.experiment.corpora import corpora
from songtitle.figures.findings import amount, extremes, hand_on
from songtitle.figures.style import mark, own_axes, require, require_some
from songtitle.fmt import estimate, p_value, points
from songtitle.training.checkpoints import MODEL, best_checkpoint

DECODERS = {"lstm": "LSTM", "attention": "LSTM with attention", "transformer": "transformer"}


def perplexities(record: Record) -> pd.DataFrame:
    """Tabulate the perplexity of the captioner kept, and of its controls."""
    history = pd.DataFrame(record.result["history"])
    best = history.loc[history["valid_perplexity"].idxmin()]
    rows = [
        [f"captioner, epoch {best['epoch']:.0f}", record.result["valid_perplexity"]],
        ["the same, pictures permuted", record.result["permuted_pictures_perplexity"]],
        ["unigram model", record.result["unigram_perplexity"]],
    ]
    return pd.DataFrame(rows, columns=["Model", "Validation perplexity"])


def comparison(record: Record) -> pd.DataFrame:
    """Tabulate each encoder with each decoder: perplexity and control, BLEU-1 and chance, cost."""
    rows = [
        {
            "Encoder": row["encoder"],
            "Decoder": row["decoder"],
            "Perplexity (wrong pictures)": f"{row['valid_perplexity']:.2f} "
            f"({row['permuted_pictures_perplexity']:.2f})",
            "BLEU-1": estimate(row["score"], row["low"], row["high"]),
            "Chance": f"{points(row['chance'])} (p = {p_value(row['p'])})",
            "Million weights": f"{row['parameters'] / 1e6:.1f} + "
            f"{row['backbone_parameters'] / 1e6:.1f}",
            "Seconds": f"{times['epoch_seconds']:.1f} + {times['encode_seconds']:.0f}",
        }
        for row, times in zip(record.result["rows"], record.timing["rows"], strict=True)
    ]
    return pd.DataFrame(rows, dtype=object)


def perplexity_by_epoch(
    history: pd.DataFrame, *, references: Mapping[str, float] = {}, ax: Axes | None = None
) -> Axes:
    """Draw training and validation perplexity by epoch (Fig. 6).

    `history` has the columns epoch, train_perplexity and valid_perplexity. Each reference, such
    as a unigram model, is a horizontal line named in the legend.
    """
    require(history, ["epoch", "train_perplexity", "valid_perplexity"], "training history")
    ax = own_axes(ax)
    label, found = "perplexity (per token)", []
    for place, (split, line) in enumerate([("training", "-"), ("validation", "--")]):
        values = history[f"{split[:5]}_perplexity"]
        ax.plot(history["epoch"], values, line, label=split, **mark(place))
        found.append(pd.DataFrame({"of": split, "epoch": history["epoch"], label: values}))
    dashes = [(0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (10, 3)), (0, (3, 1, 1, 1, 1, 1))]
    for place, (name, value) in enumerate(references.items()):
        dash = dashes[place % len(dashes)]
        ax.axhline(value, linestyle=dash, color="0.3", lw=1.4, label=f"{name}: {value:.1f}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel=label)
    ax.set_ylim(bottom=0)
    ax.legend()
    drawn = pd.concat(found)
    levels = [f"{name} is at {amount(value)}" for name, value in references.items()]
    finding = "; ".join([extremes(drawn, label, at="epoch", of="of"), *levels])
    if references:
        level = pd.DataFrame({"of": references.keys(), label: references.values()})
        drawn = pd.concat([drawn, level])
    return hand_on(ax, drawn, finding)


def example_caption(config: ExperimentConfig) -> list[str]:
    """Give a caption of about four words from the test pictures, for the diagrams."""
    pictures = read_json(corpora(config).file("pictures.json"))
    tokens = [p["tokens"] for p in pictures if p["split"] == "test"]
    return min(tokens, key=lambda words: abs(len(words) - 4))


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
    shape: str
    note: str = ""


def diagram(config: ExperimentConfig, trained: Record) -> dict[str, list[Box]]:
    """Give the boxes of the paper's Figs. 1 to 4, with the shapes that the trained model has.

    Keys: `picture` (Figs. 1 and 2), `timbre` (Fig. 3), `spectrogram` (Figs. 2 and 4), `decoder`.
    """
    with safe_open(best_checkpoint(trained.folder) / MODEL, framework="pt") as file:
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
    decoder: Box = Box("LSTM", ""),
) -> Axes:
    """Draw an encoder feeding a decoder unrolled over time (Figs. 1, 3 and 4).

    The encoder stands at the left, top to bottom; what it hands on enters `decoder` at t = -1,
    then come the begin mark and `words`, each step giving the word after. Of more than five
    words the middle is left out.
    """
    require_some(encoder, "encoder")
    require_some(words, "caption")
    ax = own_axes(ax, (8.0, max(3.6, 0.35 + 0.88 * len(encoder))))
    page = _page(ax)
    column = _band(ax, Bbox.from_extents(0, 0, 0.27 * page.x1, page.y1), "encoder")
    about = f"decoder ({decoder.note})" if decoder.note else "decoder"
    steps = _band(
        ax,
        Bbox.from_extents(0.27 * page.x1 + GAP, 0, page.x1, page.y1),
        f"{about}, one network unrolled over time",
    )
    stack = _grid(column, len(encoder), 1)
    _boxes(ax, encoder, stack, BLUE)
    for above, below in pairwise(stack):
        _arrow(ax, _at(above, "S"), _at(below, "N"))

    shown = list(words) if len(words) <= 5 else [*words[:3], "…", words[-1]]
    times = ["−1", *(str(t) for t in range(len(shown) + 1))]
    times[-2:] = [str(len(words) - 1), str(len(words))]
    pitch = steps.width / len(times)
    wide, line = pitch - min(12.0, 0.2 * pitch), 15.0
    tall = (steps.height - line - 2 * GAP) / 3
    small, large = min(tall, 34.0), min(tall, 54.0)

    def row(start: int, y: float, height: float) -> list[Bbox]:
        left = steps.x0 + pitch / 2 - wide / 2
        return [
            Bbox.from_bounds(left + i * pitch, y, wide, height) for i in range(start, len(times))
        ]

    cells = row(0, steps.y0 + line + (steps.height - line) / 2 - large / 2, large)
    inputs, outputs = row(1, steps.y0 + line, small), row(1, steps.y1 - small, small)
    _boxes(ax, [Box(decoder.title, decoder.shape)] * len(cells), cells, ORANGE)
    tokens = [Box(word, "") for word in ["<bos>", *shown, "<eos>"]]
    _boxes(ax, [*tokens[:-1], *tokens[1:]], [*inputs, *outputs], GREEN)
    for cell, below, above in zip(cells[1:], inputs, outputs, strict=True):
        _arrow(ax, _at(below, "N"), _at(cell, "S"))
        _arrow(ax, _at(cell, "N"), _at(above, "S"))
    for one, next_ in pairwise(cells):
        _arrow(ax, _at(one, "E"), _at(next_, "W"))
    for cell, time in zip(cells, times, strict=True):
        ax.text(_at(cell, "S")[0], steps.y0 + 4, f"t = {time}", size=8, color=EDGE, ha="center")

    last, first = stack[-1], _at(cells[0], "S")
    entry = min(max(_at(inputs[0], "C")[1], last.y0 + PAD), last.y1 - PAD)
    _arrow(ax, (last.x1, entry), (first[0], entry), first)
    return hand_on(
        ax,
        _frame(encoder=encoder, decoder=[decoder], words=[Box(word, "") for word in words]),
        f"encoder: {_in_order(encoder)}; decoder: {_in_order([decoder])}, which reads "
        f"<bos> {' '.join(words)} and gives {' '.join(words)} <eos>",
    )


def draw_two_steps(source: Sequence[Box], target: Sequence[Box], ax: Axes | None = None) -> Axes:
    """Draw two pipelines, what is trained above what it is then used for (Fig. 2).

    The arrow between them is the weights that they share.
    """
    require_some(source, "source pipeline")
    require_some(target, "target pipeline")
    learn, use = "Step 1: learn to describe pictures", "Step 2: name songs with what was learnt"
    link, between = "the same weights", 32.0
    # Six lines of text fit a box.
    ax = own_axes(ax, (8.0, (4 + 2 * (76 + BAND) + between) / 72))
    page = _page(ax)
    upper, lower = _grid(page, 2, 1, between)
    for area, heading, stages, colour in [
        (upper, learn, source, BLUE),
        (lower, use, target, ORANGE),
    ]:
        places = _grid(_band(ax, area, heading), 1, len(stages))
        _boxes(ax, stages, places, colour)
        for one, next_ in pairwise(places):
            _arrow(ax, _at(one, "E"), _at(next_, "W"))
    middle = page.width / 2
    _arrow(ax, (middle, upper.y0), (middle, lower.y1), lw=2.4)
    ax.text(middle + 12, lower.y1 + between / 2, link, size=9.5, color=INK, va="center")
    return hand_on(
        ax,
        _frame(**{learn: source, use: target}),
        f"{learn}: {_in_order(source)}. {use}, with {link}: {_in_order(target)}",
    )


def _in_order(stages: Sequence[Box]) -> str:
    """Say stages in words: "Picture (3 × 256 × 256), then Linear (512)"."""
    return ", then ".join(f"{b.title} ({b.shape})" if b.shape else b.title for b in stages)


def _frame(**groups: Sequence[Box]) -> pd.DataFrame:
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
    return [
        Bbox.from_bounds(
            area.x0 + column * (width + gap), area.y1 - height - row * (height + gap), width, height
        )
        for row in range(rows)
        for column in range(columns)
    ]


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
        if sum(height for *_, height in parts) <= place.height - PAD and all(
            _width(line, font) <= width for lines, font, *_ in parts for line in lines
        ):
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
    parts = []
    for text, font, ink in fonts:
        if text:
            lines = _wrap(text, font, width)
            parts.append((lines, font, ink, 1.3 * font.get_size_in_points() * len(lines)))
    return parts


def _wrap(text: str, font: FontProperties, width: float) -> list[str]:
    """Give lines no wider than `width` where words allow it; small type breaks words as well."""
    words = text.split()
    if font.get_size_in_points() < BREAK_BELOW:
        words = [piece for word in words for piece in _pieces(word, font, width)]
    lines: list[str] = []
    for word in words:
        if lines and _width(f"{lines[-1]} {word}", font) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _pieces(word: str, font: FontProperties, width: float) -> list[str]:
    if _width(word, font) <= width:
        return [word]
    cut = len(word) - 1
    while cut > 2 and _width(f"{word[:cut]}-", font) > width:
        cut -= 1
    return [f"{word[:cut]}-", *_pieces(word[cut:], font, width)] if cut > 2 else [word]


def _width(line: str, font: FontProperties) -> float:
    # Pixel displays round each letter up to whole pixels: about 6 % more at small sizes.
    return 1.07 * text_to_path.get_text_width_height_descent(line, font, ismath=False)[0]


def _rounded(area: Bbox, radius: float, **look: Any) -> FancyBboxPatch:
    style = f"round,pad=0,rounding_size={radius}"
    return FancyBboxPatch((area.x0, area.y0), area.width, area.height, boxstyle=style, **look)


def _arrow(ax: Axes, *corners: tuple[float, float], lw: float = 1.3) -> None:
    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 7 * lw, "lw": lw, "color": EDGE}
    ax.add_patch(FancyArrowPatch(path=Path(corners), fill=False, joinstyle="round", **look))
