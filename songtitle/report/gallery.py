"""The gallery as a page shows it: cards with sound, picture, quiz and titles, and its tables."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from jaxtyping import Float
from PIL import Image as pillow

from songtitle.cache import Record
from songtitle.config import ExperimentConfig
from songtitle.experiment.corpora import clips
from songtitle.experiment.gallery import RANKINGS, READING
from songtitle.experiment.inputs import clip_picture, hear
from songtitle.fmt import estimate, interval, minus, percent, points
from songtitle.ogg import with_serial
from songtitle.shapes import Image, Waveform
from songtitle.sources import read_source
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
