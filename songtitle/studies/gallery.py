"""Page 15, the gallery: songs to hear, their titles, and the trees of their search."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyBboxPatch
from PIL import Image as pillow

from songtitle import figures
from songtitle.cache import Record
from songtitle.config import ExperimentConfig
from songtitle.corpora import recordings
from songtitle.corpora.manifest import read_source
from songtitle.corpora.recordings import Recording
from songtitle.experiment.corpora import clip_of, clips
from songtitle.experiment.gallery import RANKINGS, READING, player_span
from songtitle.experiment.inputs import clip_picture, hear
from songtitle.figures import COLOURS, GREY
from songtitle.fmt import ESTIMATE, minus, percent, points, write
from songtitle.shapes import Image, Waveform
from songtitle.sound import with_serial
from songtitle.tables import NO_TITLE, Note, shown

NOTHING = "(nothing)"
END = "<eos>"  # the token that ends a title
RECORDED = 3  # recordings to listen to
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

    def __init__(self, cards: Sequence[str], key: Sequence[str] = ()):
        self.cards, self.key = list(cards), list(key)

    def _repr_html_(self) -> str:
        answers = "".join(f"<li>{_title(each)}</li>" for each in self.key)
        key = f'<div class="gallery-key"><p>The true titles:</p><ol>{answers}</ol></div>'
        key = key if answers else ""
        return f'<div class="gallery">{"".join(self.cards)}{key}</div>'

    def __repr__(self) -> str:
        return f"Gallery of {len(self.cards)} songs"


def gallery_cards(record: Record, config: ExperimentConfig) -> Gallery:
    """Make the gallery of a record, its sound and pictures from the very clips."""
    made, songs = clips(config), record.result["songs"]
    cards = [
        card(number, song, hear(clip_of(made, song), config), config)
        for number, song in enumerate(songs, start=1)
    ]
    return Gallery(cards, [song["title"] for song in songs])


def recordings_to_hear(config: ExperimentConfig, home: Path | None = None) -> Gallery | Note:
    """Make a player for one recording of each of RECORDED artists, with title, artist and licence.

    Only those under Creative Commons are taken, which lets a book pass on an excerpt with no more
    than that. Where none is fetched, a note says how they are.
    """
    first: dict[str, tuple[Recording, Path]] = {}
    for recording, path in recordings.load(home):
        if recording.licence.startswith("CC-BY"):
            first.setdefault(recording.series, (recording, path))
    players = []
    for number, (recording, path) in enumerate(list(first.values())[:RECORDED], start=1):
        rate = config.spectrogram.sample_rate
        start, end, begins, ends = player_span(path, config)
        wave = hear(path, config).numpy()[round(start * rate) : round(end * rate)]
        sound = _address("audio/ogg", encode_sound(wave, rate, 1000 + number))
        players.append(
            f'<article class="song recording"><h3>{_title(recording.title)}</h3>'
            f'<figure class="song-sound"><audio controls preload="none" aria-label="Recording '
            f'{number}, {end - start:.0f} seconds" src="{sound}"></audio><figcaption>From '
            f"{start:.0f} s on, {end - start:.0f} s in mono, packed smaller. The network was shown "
            f"{ends - begins:.1f} s of it.</figcaption></figure>"
            f'<p class="song-source">{escape(shown(recording.credit))}, from the package '
            f"<code>{escape(shown(recording.id.partition('/')[0]))}</code></p></article>"
        )
    if players:
        return Gallery(players)
    how = "`python -m songtitle fetch recordings` brings them on Debian and Ubuntu."
    return Note("No recordings here", f"None is fetched on this machine. {how}")


def card(number: int, song: Mapping[str, Any], wave: Waveform, config: ExperimentConfig) -> str:
    """Write one song of the record as an `<article>`; `wave` is what the network heard of it.

    Holds the sound and the picture themselves, four titles to choose from (a list to think about
    where no script runs), the model's titles and a chance title, and behind clicks the true title
    and the licence.
    """
    rate = config.spectrogram.sample_rate
    start, end, begins, ends = song["seconds"]
    sound = encode_sound(wave.numpy()[round(start * rate) : round(end * rate)], rate, number)
    image = clip_picture(wave, Path(song["clip"]).name, config)
    alt = _picture_alt(number, image, ends - begins, config)
    height, width = image.shape[-2:]
    name, within = f"song-{number}", f"{begins - start:.1f} s to {ends - start:.1f} s"
    options = "".join(
        f'<label><input type="radio" name="{name}-guess" value="{value}"> {_title(choice)}</label>'
        for value, choice in enumerate(song["choices"])
    )
    beams = "".join(
        f"<li>{_title(' '.join(words), NOTHING)} <span>{_nats(log_prob)}</span></li>"
        for words, log_prob in song["beams"]
    )
    listened = ", ".join(map(_title, song["listener"]))
    words = dict.fromkeys(song["tokens"])
    spoken = song["beams"][0][0] if song["beams"] else []
    known, shared = (
        ", ".join(_title(word) for word in words if word in found) or "none"
        for found in (song["known"], spoken)
    )
    return (
        f'<article class="song" id="{name}" aria-labelledby="{name}-name">'
        f'<h3 id="{name}-name">Song {number}</h3><div class="song-senses">'
        f'<figure class="song-sound"><audio controls preload="none" '
        f'aria-label="Song {number}, {end - start:.0f} seconds" data-from="{begins - start:.2f}" '
        f'data-to="{ends - start:.2f}" src="{_address("audio/ogg", sound)}"></audio>'
        f"<figcaption>{end - start:.0f} s of the clip. Of these the network was shown only "
        f"{within}.</figcaption></figure>"
        f'<figure class="song-picture"><img class="dark-light" alt="{escape(alt)}" width="{width}" '
        f'height="{height}" src="{_address("image/webp", _encode_picture(image))}">'
        f"<figcaption>What it sees: {ends - begins:.1f} s, low notes at the foot.</figcaption>"
        "</figure></div>"
        f'<fieldset class="song-quiz" data-answer="{song["answer"]}" data-pick="{song["pick"]}">'
        f"<legend>Which of these is its title?</legend>{options}</fieldset>"
        f'<div class="song-titles"><p id="{name}-beams">The model’s titles, best first '
        f'<span>(log-probability in nats)</span></p><ol aria-labelledby="{name}-beams">{beams}</ol>'
        f"<p>A chance title, another song’s: {_title(song['chance'])}</p>"
        f"<p>A listener trained on other songs’ titles would say: {listened}</p></div>"
        '<details class="reveal"><summary>Show the true title</summary>'
        f'<p class="song-title">{_title(song["title"])}</p>'
        f"<p>Words of it that the model can say: {known}. "
        f"Words of it in the model’s first title: {shared}.</p>"
        f"{_credit(number, song)}</article>"
    )


def _credit(number: int, song: Mapping[str, Any]) -> str:
    """Say where a song is from: behind the title and below it."""
    if "file" not in song:
        return (
            f'<p class="song-source">By {escape(shown(song["artist"]))}.</p></details>'
            f'<p class="song-source">From {escape(shown(song["book"]))}.</p>'
        )
    book = BOOKS.get(song["file"]) or BOOKS.get(song["book"]) or str(song["book"])
    by = f", transcribed by {escape(shown(song['transcriber']))}" if song["transcriber"] else ""
    return (
        f'<p class="song-source">Tune {song["number"]} of <code>{escape(shown(song["file"]))}'
        f"</code>{by}.</p></details>"
        f'<p class="song-source">From {escape(shown(book))}, played by a sound font.</p>'
        f'<details class="song-terms song-source"><summary>Licence of song {number}</summary>'
        f"<p>{escape(shown(card_licence(song)))}</p></details>"
    )


def card_licence(song: Mapping[str, Any]) -> str:
    """Give the terms of a clip: those of the collection, and what the sheet says of its own."""
    terms = " ".join(song["terms"])
    own = f"The sheet adds: {terms}" if song["terms"] else "The sheet states none of its own"
    return f"{read_source('tunes').licence}. {own}."


def _title(text: str, empty: str = NO_TITLE) -> str:
    """Write a title as HTML that keeps to itself: escaped, and of its own direction."""
    return f"<bdi>{escape(shown(text, empty))}</bdi>"


def _address(kind: str, content: bytes) -> str:
    """Write content as an address that needs no file beside the page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def encode_sound(sound: Float[np.ndarray, " samples"], rate: int, serial: int) -> bytes:
    """Encode mono samples as Ogg Vorbis; the same sound gives the same bytes."""
    file = io.BytesIO()
    options = {"format": "OGG", "subtype": "VORBIS", "compression_level": ON_SCREEN}
    soundfile.write(file, sound, rate, **options)
    return with_serial(file.getvalue(), serial)


def _encode_picture(image: Image) -> bytes:
    """Encode one channel of a grey picture with values in [0, 1] as WebP, in its own size."""
    grey = (image[0].clamp(0, 1) * 255).round().byte().numpy()
    file = io.BytesIO()
    pillow.fromarray(grey).save(file, "WEBP", quality=PICTURE_QUALITY, method=6)
    return file.getvalue()


def _picture_alt(number: int, image: Image, seconds: float, config: ExperimentConfig) -> str:
    """Describe a spectrogram as measured: where it is brightest and how much of it is black."""
    grey, settings = image[0].numpy(), config.spectrogram
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


def _nats(value: float, digits: int = 1) -> str:
    """Write a log-probability with a real minus sign, and none before a rounded 0."""
    return minus(points(value, digits, times=1))


def guessing(record: Record, scores: pd.DataFrame) -> pd.DataFrame:
    """Tabulate what blind guessing gets, and what the model gets: in the quiz, and in BLEU-1."""
    rows = []
    for row, ranking in zip(record.result["quiz"], RANKINGS, strict=True):
        task, blind = f"True title of {row['choices']}, by {ranking}", 1 / row["choices"]
        share = write("{share:percent} [{low:points}, {high:points}]", row)
        rows.append([task, row["items"], percent(blind, 0), share])
    own = record.result["songs"]
    right = sum(song["pick"] == song["answer"] for song in own)
    blind = f"{len(own) / len(own[0]['choices']):.0f} of {len(own)}"
    rows.append([f"The {len(own)} quizzes below, by likelihood", len(own), blind, f"{right} right"])
    cell = scores[(scores["input"] == READING) & (scores["beam_size"] == len(own[0]["beams"]))]
    for row in cell.to_dict("records"):
        task = f"BLEU-1 of its titles, k = {row['beam_size']}, in percent points"
        rows.append([task, row["items"], points(row["chance"]), write(ESTIMATE, row)])
    return pd.DataFrame(rows, columns=["Task", "Songs", "By chance", "The model"], dtype=object)


def gallery_facts(record: Record) -> dict[str, int | float]:
    """Give the numbers of the gallery that prose quotes, by name; shares in percent."""
    quiz, songs = record.result["quiz"][0], record.result["songs"]
    start, end, begins, ends = np.array([song["seconds"] for song in songs]).T
    return {
        "gallery.songs": len(songs),
        "gallery.items": quiz["items"],
        "gallery.choices": quiz["choices"],
        "gallery.blind": 100 / quiz["choices"],
        **{f"gallery.{name}": 100 * quiz[name] for name in ("share", "low", "high")},
        "gallery.picked": sum(song["pick"] == song["answer"] for song in songs),
        "gallery.played": float((end - start).mean()),
        "gallery.seen": float((ends - begins).mean()),
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
            steps = zip(each["tokens"], each["log_probs"], strict=True)
            parts = " · ".join(
                f"{'end' if token == END else token} {_nats(gain, 2)}" for token, gain in steps
            )
            rows.append([width, rank, _said(each), _nats(each["log_prob"], 2), parts])
    columns = ["k", "Rank", "Title", "Log-probability", "Token by token"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _said(hypothesis: Mapping[str, Any]) -> str:
    return " ".join(word for word in hypothesis["tokens"] if word != END) or NOTHING


# --- the tree of a search

STEP, LINE = 0.84, 0.42  # inches from token to token, and from line to line
SIZE, LETTERS = 8.5, 9  # points, and how many letters of that size a box takes


def tree_of(hypotheses: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Give the prefix tree of hypotheses, best first, each with `tokens` and `log_probs` of each.

    One row a node, the root first and every parent before its children: `node` and `parent` (row
    numbers, -1 above the root), `depth` in tokens, `token` ("" at the root), `log_prob` of the
    beginning that ends here in nats, `rank` of the hypothesis that ends here (1 is best, 0 where
    none does), `best` rank of those that go through it, and `height`, its line in a drawing: the
    best hypothesis runs along line 0, every other one gets a line of its own below the one that it
    leaves.
    """
    root = {"node": 0, "parent": -1, "depth": 0, "token": "", "log_prob": 0.0, "rank": 0, "best": 1}
    rows: dict[tuple[str, ...], dict[str, Any]] = {(): root}  # by beginning
    for rank, found in enumerate(hypotheses, start=1):
        tokens = tuple(found["tokens"])
        for depth, gain in enumerate(found["log_probs"], start=1):
            above, here = rows[tokens[: depth - 1]], tokens[:depth]
            if here not in rows:
                row = {"node": len(rows), "parent": above["node"], "depth": depth}
                row |= {"token": here[-1], "log_prob": above["log_prob"] + gain}
                rows[here] = row | {"rank": 0, "best": rank}
        rows[tokens]["rank"] = rank
    free = count(1)

    def lay_out(beginning: tuple[str, ...], line: int) -> None:
        rows[beginning]["height"] = line
        longer = [each for each in rows if each and each[:-1] == beginning]
        for place, child in enumerate(longer):
            lay_out(child, next(free) if place else line)

    lay_out((), 0)
    return pd.DataFrame(rows.values())


def beam_tree(hypotheses: Sequence[Mapping[str, Any]], ax: Axes | None = None) -> Axes:
    """Draw the tree of one song's hypotheses, best first, with `tokens` and `log_probs`.

    Each box holds a token and the log-probability, in nats, of the beginning that ends there. The
    best hypothesis is the top line, its boxes shaded and thicker; the rank of each stands in its
    last box. The number of hypotheses sets the figure's height.
    """
    figures.require_some(hypotheses, "beam tree")
    tree = tree_of(hypotheses)
    lines, steps = int(tree["height"].max()), int(tree["depth"].max())
    ax = figures.own_axes(ax, (STEP * (steps + 1.8), LINE * (lines + 1.1)))
    corners, widths, colours = [], [], []
    for node in tree.itertuples():
        _box(ax, node)
        if node.parent >= 0:
            above, bend = tree["height"].iloc[node.parent], node.depth - 0.5
            start, edge = (node.depth - 0.6, above), (node.depth - 0.4, node.height)
            corners.append([start, (bend, above), (bend, node.height), edge])
            widths.append(2.2 if node.best == 1 else 1.0)
            colours.append(COLOURS[0] if node.best == 1 else GREY)
    ax.add_collection(LineCollection(corners, linewidths=widths, colors=colours, zorder=1))
    ax.set(xlim=(-0.5, steps + 1.3), ylim=(lines + 0.55, -0.55))
    ax.axis("off")
    drawn = tree[["node", "parent", "depth", "token", "log_prob", "rank"]]
    drawn = drawn.rename(columns={"log_prob": "log-probability (nats)"})
    return figures.hand_on(ax, drawn, tree_alt(hypotheses))


def tree_alt(hypotheses: Sequence[Mapping[str, Any]]) -> str:
    """Say what the tree shows, in a sentence or two for those who do not see it."""
    figures.require_some(hypotheses, "beam tree")
    first, last = (
        f"“{_said(found)}” at {sum(found['log_probs']):.2f}"
        for found in (hypotheses[0], hypotheses[-1])
    )
    several, nodes = len(hypotheses) > 1, len(tree_of(hypotheses)) - 1
    text = f"Tree of {len(hypotheses)} {'hypotheses' if several else 'hypothesis'} with {nodes} "
    text += f"tokens in all. The winner is {first} nats"
    if not several:
        return f"{text}; nothing else was kept."
    starts = list(dict.fromkeys(found["tokens"][0] for found in hypotheses))
    tokens, others = "s" * (len(starts) > 1), " and others" * (len(starts) > 5)
    text += f", the last {last}. They begin with {len(starts)} different token{tokens}: "
    return f"{text}{', '.join(starts[:5])}{others}."


def _box(ax: Axes, node: Any) -> None:
    """Draw a node: its token, the log-probability up to it, its rank where a hypothesis ends."""
    rank = "winner" if node.rank == 1 else f"{node.rank}." if node.rank else ""
    token = "start" if node.parent < 0 else "end" if node.token == END else node.token
    room = {"": 0.0, "winner": 0.78}.get(rank, 0.36)
    look: dict[str, Any] = {"linewidth": 0.8, "facecolor": "white", "edgecolor": GREY}
    if node.best == 1:
        look = {"linewidth": 1.8, "facecolor": "0.9", "edgecolor": COLOURS[0]}
    look |= {"boxstyle": "round,pad=0,rounding_size=0.08", "mutation_aspect": STEP / LINE}
    corner = (node.depth - 0.4, node.height - 0.4)
    ax.add_patch(FancyBboxPatch(corner, 0.8 + room, 0.8, zorder=2, **look))
    text: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 3}
    text["parse_math"] = False  # a token may be $
    up, size = 0.0 if node.parent < 0 else 0.17, SIZE * min(1.0, LETTERS / max(1, len(token)))
    ax.text(node.depth, node.height - up, token, size=size, **text)
    if node.parent >= 0:
        value = minus(f"{node.log_prob:.1f}")
        ax.text(node.depth, node.height + up, value, size=SIZE - 1, family="monospace", **text)
    if rank:
        middle = node.depth + 0.38 + room / 2
        ax.text(middle, node.height, rank, size=SIZE, style="italic", **text)
