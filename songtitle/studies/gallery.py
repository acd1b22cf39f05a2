"""Page 15, the gallery: songs to hear, their titles, and the trees of their search."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyBboxPatch
from PIL import Image as pillow

from songtitle.cache import Record
from songtitle.config import ExperimentConfig
from songtitle.corpora.sources import read_source
from songtitle.experiment.corpora import clips
from songtitle.experiment.gallery import RANKINGS, READING
from songtitle.experiment.inputs import clip_picture, hear
from songtitle.figures.findings import hand_on, tidy
from songtitle.figures.style import COLOURS, GREY, own_axes, require_some
from songtitle.fmt import estimate, interval, minus, percent, points
from songtitle.shapes import Image, Waveform
from songtitle.sound import with_serial
from songtitle.tables import NO_TITLE, shown

NOTHING = "(nothing)"


ON_SCREEN = 0.9  # of libsndfile's compression: about 30 kbit/s, at which no tune suffers


PICTURE_QUALITY = 70  # of WebP


BOOKS = {
    "oneills1850": "O’Neill’s Music of Ireland (1903)",
    "airdsAirs": "Aird’s Airs (from 1782 on)",
    "ryansMammoth": "Ryan’s Mammoth Collection (1883)",
    "miscFolk/americanfifeopus.abc": "a collection of American fife music",
    "miscFolk/northumbrianminstrelsyopus.abc": "the Northumbrian Minstrelsy (1882)",
}


class Gallery:
    """Cards of songs, as HTML: each with its sound, its picture, a quiz and the titles it got."""

    def __init__(self, cards: Sequence[str], key: Sequence[str]):
        self.cards, self.key = list(cards), list(key)

    def _repr_html_(self) -> str:
        answers = "".join(f"<li>{title(each)}</li>" for each in self.key)
        return (
            f'<div class="gallery">{"".join(self.cards)}'
            f'<div class="gallery-key"><p>The true titles:</p><ol>{answers}</ol></div></div>'
        )

    def __repr__(self) -> str:
        return f"Gallery of {len(self.cards)} songs"


def gallery_cards(record: Record, config: ExperimentConfig) -> Gallery:
    """Make the gallery of a record, its sound and pictures from the very clips."""
    folder = clips(config).file("clips")
    cards = [
        card(number, song, hear(folder / song["clip"], config), config)
        for number, song in enumerate(record.result["songs"], start=1)
    ]
    return Gallery(cards, [song["title"] for song in record.result["songs"]])


def card(number: int, song: Mapping[str, Any], wave: Waveform, config: ExperimentConfig) -> str:
    """Write one song of the record as an `<article>`; `wave` is what the network heard of it."""
    rate = config.spectrogram.sample_rate
    start, end, begins, ends = song["seconds"]
    sound = encode_sound(wave.numpy()[round(start * rate) : round(end * rate)], rate, number)
    image = clip_picture(wave, song["clip"], config)
    alt = picture_alt(number, image, ends - begins, config)
    book = BOOKS.get(song["file"]) or BOOKS.get(song["book"]) or str(song["book"])
    height, width = image.shape[-2:]
    within = f"{begins - start:.1f} s to {ends - start:.1f} s"
    name = f"song-{number}"
    return (
        f'<article class="song" id="{name}" aria-labelledby="{name}-name">'
        f'<h3 id="{name}-name">Song {number}</h3><div class="song-senses">'
        f'<figure class="song-sound"><audio controls preload="none" '
        f'aria-label="Song {number}, {end - start:.0f} seconds" data-from="{begins - start:.2f}" '
        f'data-to="{ends - start:.2f}" src="{data_address("audio/ogg", sound)}"></audio>'
        f"<figcaption>{end - start:.0f} s of the clip. Of these the network was shown only "
        f"{within}.</figcaption></figure>"
        f'<figure class="song-picture"><img class="dark-light" alt="{escape(alt)}" width="{width}" '
        f'height="{height}" src="{data_address("image/webp", encode_picture(image))}">'
        f"<figcaption>What it sees: {ends - begins:.1f} s, low notes at the foot.</figcaption>"
        f"</figure></div>{quiz(number, song)}{titles(number, song)}{reveal(song)}"
        f'<p class="song-source">From {escape(shown(book))}, played by a sound font.</p>'
        f'<details class="song-terms song-source"><summary>Licence of song {number}</summary>'
        f"<p>{escape(shown(card_licence(song)))}</p></details></article>"
    )


def quiz(number: int, song: Mapping[str, Any]) -> str:
    """Write four titles to choose from. Without the script it is a list to think about."""
    options = "".join(
        f'<label><input type="radio" name="song-{number}-guess" value="{value}"> '
        f"{title(choice)}</label>"
        for value, choice in enumerate(song["choices"])
    )
    return (
        f'<fieldset class="song-quiz" data-answer="{song["answer"]}" data-pick="{song["pick"]}">'
        f"<legend>Which of these is its title?</legend>{options}</fieldset>"
    )


def titles(number: int, song: Mapping[str, Any]) -> str:
    """Write what the model calls the song, and what chance does."""
    lines = "".join(
        f"<li>{title(' '.join(words), NOTHING)} <span>{nats(log_prob)}</span></li>"
        for words, log_prob in song["beams"]
    )
    label = f"song-{number}-beams"
    return (
        f'<div class="song-titles"><p id="{label}">The model’s titles, best first '
        f'<span>(log-probability in nats)</span></p><ol aria-labelledby="{label}">{lines}</ol>'
        f"<p>A chance title, another song’s: {title(song['chance'])}</p></div>"
    )


def reveal(song: Mapping[str, Any]) -> str:
    """Write the true title behind a click, what of it the model knows and said, and its source."""
    words = dict.fromkeys(song["tokens"])
    spoken = set(song["beams"][0][0]) if song["beams"] else set()
    shared = [word for word in words if word in spoken]
    known = [word for word in words if word in set(song["known"])]
    lists = [", ".join(map(title, found)) or "none" for found in (known, shared)]
    by = f", transcribed by {escape(shown(song['transcriber']))}" if song["transcriber"] else ""
    file = escape(shown(song["file"]))
    return (
        '<details class="reveal"><summary>Show the true title</summary>'
        f'<p class="song-title">{title(song["title"])}</p>'
        f"<p>Words of it that the model can say: {lists[0]}. "
        f"Words of it in the model’s first title: {lists[1]}.</p>"
        f'<p class="song-source">Tune {song["number"]} of <code>{file}</code>{by}.</p></details>'
    )


def title(text: str, empty: str = NO_TITLE) -> str:
    """Write a title as HTML that keeps to itself: escaped, and of its own direction."""
    return f"<bdi>{escape(shown(text, empty))}</bdi>"


def card_licence(song: Mapping[str, Any]) -> str:
    """Give the terms of a clip: those of the collection, and what the sheet says of its own."""
    terms = " ".join(song["terms"])
    own = f"The sheet adds: {terms}" if song["terms"] else "The sheet states none of its own"
    return f"{read_source('tunes').licence}. {own}."


def encode_sound(sound: Float[np.ndarray, " samples"], rate: int, serial: int) -> bytes:
    """Encode mono samples as Ogg Vorbis; the same sound gives the same bytes."""
    file = io.BytesIO()
    options = {"format": "OGG", "subtype": "VORBIS", "compression_level": ON_SCREEN}
    soundfile.write(file, sound, rate, **options)
    return with_serial(file.getvalue(), serial)


def encode_picture(image: Image) -> bytes:
    """Encode one channel of a grey picture with values in [0, 1] as WebP, in its own size."""
    grey = (image[0].clamp(0, 1) * 255).round().byte().numpy()
    file = io.BytesIO()
    pillow.fromarray(grey).save(file, "WEBP", quality=PICTURE_QUALITY, method=6)
    return file.getvalue()


def data_address(kind: str, content: bytes) -> str:
    """Write content as an address that needs no file beside the page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture_alt(number: int, image: Image, seconds: float, config: ExperimentConfig) -> str:
    """Describe a spectrogram as measured: where it is brightest and how much of it is black."""
    grey = image[0].numpy()
    settings = config.spectrogram
    rows = grey.mean(axis=1)
    from_foot = len(rows) - 1 - int(rows.argmax())
    place = f"{percent(from_foot / len(rows), 0)} of its height above the foot"
    if settings.bins <= config.crop:  # else the crop's own height in the spectrogram is not known
        hertz = (from_foot - (len(rows) - settings.bins)) * settings.sample_rate / settings.n_fft
        place = f"about {max(0.0, hertz) / 1000:.1f} kHz"
    first, second = np.split(grey, [grey.shape[1] // 2], axis=1)
    half = "first" if first.mean(axis=0).mean() > second.mean(axis=0).mean() else "second"
    return (
        f"Spectrogram of song {number}, {seconds:.1f} s in grey: brightest at {place}, brighter "
        f"in its {half} half, {percent(float((grey <= 0).mean()), 0)} of it black."
    )


def nats(value: float, digits: int = 1) -> str:
    """Write a log-probability with a real minus sign, and none before a rounded 0."""
    return minus(points(value, digits, times=1))


def guessing(record: Record, scores: pd.DataFrame) -> pd.DataFrame:
    """Tabulate what blind guessing gets, and what the model gets: in the quiz, and in BLEU-1."""
    rows = []
    for row, ranking in zip(record.result["quiz"], RANKINGS, strict=True):
        task = f"True title of {row['choices']}, by {ranking}"
        share = f"{percent(row['share'])} {interval(row['low'], row['high'])}"
        rows.append([task, row["items"], percent(1 / row["choices"], 0), share])
    own = record.result["songs"]
    right = sum(song["pick"] == song["answer"] for song in own)
    blind = f"{len(own) / len(own[0]['choices']):.0f} of {len(own)}"
    rows.append([f"The {len(own)} quizzes below, by likelihood", len(own), blind, f"{right} right"])
    cell = scores[(scores["input"] == READING) & (scores["beam_size"] == len(own[0]["beams"]))]
    for row in cell.to_dict("records"):
        task = f"BLEU-1 of its titles, k = {row['beam_size']}, in percent points"
        score = estimate(row["score"], row["low"], row["high"])
        rows.append([task, row["items"], points(row["chance"]), score])
    return pd.DataFrame(rows, columns=["Task", "Songs", "By chance", "The model"], dtype=object)


def gallery_facts(record: Record) -> dict[str, int | float]:
    """Give the numbers of the gallery that prose quotes, by name; shares in percent."""
    quiz_row, songs = record.result["quiz"][0], record.result["songs"]
    heard = [song["seconds"] for song in songs]
    return {
        "gallery.songs": len(songs),
        "gallery.items": quiz_row["items"],
        "gallery.choices": quiz_row["choices"],
        "gallery.blind": 100 / quiz_row["choices"],
        "gallery.share": 100 * quiz_row["share"],
        "gallery.low": 100 * quiz_row["low"],
        "gallery.high": 100 * quiz_row["high"],
        "gallery.picked": sum(song["pick"] == song["answer"] for song in songs),
        "gallery.played": float(np.mean([end - start for start, end, _, _ in heard])),
        "gallery.seen": float(np.mean([ends - begins for _, _, begins, ends in heard])),
        "gallery.known": sum(bool(song["known"]) for song in songs),
    }


def hypotheses_at(record: Record, width: int) -> list[dict[str, Any]]:
    """Give the hypotheses of a tree's record at one beam size, best first."""
    return list(record.result["beams"][str(width)])


def tree_table(record: Record) -> pd.DataFrame:
    """Tabulate every hypothesis of the trees: beam size, rank, title, log-probability in nats, and
    its tokens, each with its own."""
    rows = []
    for width, found in record.result["beams"].items():
        for rank, each in enumerate(found, start=1):
            title = " ".join(word for word in each["tokens"] if word != "<eos>") or NOTHING
            steps = zip(each["tokens"], each["log_probs"], strict=True)
            parts = " · ".join(
                f"{'end' if token == '<eos>' else token} {nats(gain, 2)}" for token, gain in steps
            )
            rows.append([width, rank, title, nats(each["log_prob"], 2), parts])
    columns = ["k", "Rank", "Title", "Log-probability", "Token by token"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


END = "<eos>"  # the token that ends a title


STEP, LINE = 0.84, 0.42  # inches from token to token, and from line to line


SIZE, LETTERS = 8.5, 9  # points, and how many letters of that size a box takes


COLUMNS = ["node", "parent", "depth", "token", "log_prob", "rank", "best", "height"]


def tree_of(hypotheses: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The prefix tree of hypotheses, best first, each with `tokens` and the `log_probs` of each.

    One row a node, the root first and every parent before its children: `node` and `parent` (row
    numbers, -1 above the root), `depth` in tokens, `token` ("" at the root), `log_prob` of the
    beginning that ends here in nats, `rank` of the hypothesis that ends here (1 is best, 0 where
    none does), `best` rank of those that go through it, and `height`, its line in a drawing: the
    best hypothesis runs along line 0, every other one gets a line of its own below the one that it
    leaves.
    """
    rows: list[dict[str, Any]] = [dict.fromkeys(COLUMNS, 0) | {"parent": -1, "token": ""}]
    children: dict[int, dict[str, int]] = {0: {}}
    rows[0] |= {"log_prob": 0.0, "best": 1}
    for rank, found in enumerate(hypotheses, start=1):
        here = 0
        for token, gain in zip(found["tokens"], found["log_probs"], strict=True):
            if token not in children[here]:
                place = len(rows)
                row = {"node": place, "parent": here, "depth": rows[here]["depth"] + 1}
                row |= {"token": token, "log_prob": rows[here]["log_prob"] + gain}
                rows.append(row | {"rank": 0, "best": rank, "height": 0})
                children[here][token], children[place] = place, {}
            here = children[here][token]
        rows[here]["rank"] = rank
    _lay_out(rows, children)
    return pd.DataFrame(rows, columns=COLUMNS)


def _lay_out(rows: list[dict[str, Any]], children: Mapping[int, Mapping[str, int]]) -> None:
    """Give each node its line: the first child shares its parent's, others start new ones."""
    lines = 0
    waiting = [0]
    while waiting:
        node = waiting.pop()
        row = rows[node]
        first = row["parent"] < 0 or next(iter(children[row["parent"]].values())) == node
        if first:
            row["height"] = rows[row["parent"]]["height"] if row["parent"] >= 0 else 0
        else:
            lines += 1
            row["height"] = lines
        waiting += reversed(list(children[node].values()))


def beam_tree(hypotheses: Sequence[Mapping[str, Any]], ax: Axes | None = None) -> Axes:
    """The tree of one song's hypotheses, best first, with `tokens` and `log_probs`.

    Each box holds a token and the log-probability, in nats, of the beginning that ends there. The
    best hypothesis is the top line, its boxes shaded and thicker; the rank of each stands in its
    last box. The number of hypotheses sets the figure's height.
    """
    require_some(hypotheses, "beam tree")
    tree = tree_of(hypotheses)
    lines, steps = int(tree["height"].max()), int(tree["depth"].max())
    limits = {"xlim": (-0.5, steps + 1.3), "ylim": (lines + 0.55, -0.55)}
    ax = own_axes(ax, (STEP * (steps + 1.8), LINE * (lines + 1.1)))
    corners, widths, colours = [], [], []
    for node in tree.itertuples():
        wins = node.best == 1
        if node.parent >= 0:
            start, bend = node.depth - 0.6, node.depth - 0.5
            above = tree["height"].iloc[node.parent]
            edge = node.depth - 0.4
            corners.append(
                [(start, above), (bend, above), (bend, node.height), (edge, node.height)]
            )
            widths.append(2.2 if wins else 1.0)
            colours.append(COLOURS[0] if wins else GREY)
        _box(ax, node, wins=wins)
    ax.add_collection(LineCollection(corners, linewidths=widths, colors=colours, zorder=1))
    ax.set(**limits)
    ax.axis("off")
    names = {name: name for name in COLUMNS[:-2]} | {"log_prob": "log-probability (nats)"}
    return hand_on(ax, tidy(tree, names), tree_alt(hypotheses))


def tree_alt(hypotheses: Sequence[Mapping[str, Any]]) -> str:
    """What the tree shows, as a sentence or two for those who do not see it."""
    require_some(hypotheses, "beam tree")
    tree = tree_of(hypotheses)
    said = [" ".join(word for word in found["tokens"] if word != END) for found in hypotheses]
    sums = [sum(found["log_probs"]) for found in hypotheses]
    text = f"Tree of {len(said)} {'hypothesis' if len(said) == 1 else 'hypotheses'} with "
    text += f"{len(tree) - 1} tokens in all. The winner is “{said[0] or '(nothing)'}” at "
    text += f"{sums[0]:.2f} nats"
    if len(said) == 1:
        return f"{text}; nothing else was kept."
    starts = list(dict.fromkeys(found["tokens"][0] for found in hypotheses))
    text += f", the last “{said[-1] or '(nothing)'}” at {sums[-1]:.2f}. They begin with "
    text += f"{len(starts)} different {'token' if len(starts) == 1 else 'tokens'}: "
    return text + f"{', '.join(starts[:5])}{' and others' if len(starts) > 5 else ''}."


def _box(ax: Axes, node: Any, *, wins: bool) -> None:
    """A node: its token, the log-probability up to it, and its rank where a hypothesis ends."""
    rank = "winner" if node.rank == 1 else f"{node.rank}." if node.rank else ""
    token = "start" if node.parent < 0 else "end" if node.token == END else node.token
    room = {"": 0.0, "winner": 0.78}.get(rank, 0.36)
    look: dict[str, Any] = {
        "facecolor": "0.9" if wins else "white",
        "edgecolor": COLOURS[0] if wins else GREY,
    }
    ax.add_patch(
        FancyBboxPatch(
            (node.depth - 0.4, node.height - 0.4),
            0.8 + room,
            0.8,
            boxstyle="round,pad=0,rounding_size=0.08",
            mutation_aspect=STEP / LINE,  # so that corners are round and not oval
            linewidth=1.8 if wins else 0.8,
            zorder=2,
            **look,
        )
    )
    fit = min(1.0, LETTERS / max(1, len(token)))
    up = 0.0 if node.parent < 0 else 0.17
    centred: dict[str, Any] = {
        "ha": "center",
        "va": "center",
        "zorder": 3,
        "parse_math": False,
    }  # a token may be $
    ax.text(node.depth, node.height - up, token, size=SIZE * fit, **centred)
    if node.parent >= 0:
        value = f"{node.log_prob:.1f}".replace("-", "\N{MINUS SIGN}")
        ax.text(node.depth, node.height + up, value, size=SIZE - 1, family="monospace", **centred)
    if rank:
        middle = node.depth + 0.38 + room / 2
        ax.text(middle, node.height, rank, size=SIZE, style="italic", **centred)
