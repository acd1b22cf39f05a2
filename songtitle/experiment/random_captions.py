"""What captions score against texts that have nothing to do with them: no model, no sound.

Captions drawn at random, whole or cut to their first words, are held against titles and against
other captions, under every definition of BLEU. Whatever they score, no input is needed for it.
`audio_references` shows how the score grows with the number of references.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from songtitle.corpora import fma, million_song
from songtitle.corpora.captions import read_audiocaps, read_conceptual_captions
from songtitle.errors import InputError
from songtitle.metrics.bleu import DEFINITIONS, Unit, score, sentence_scores
from songtitle.metrics.chance import (
    Series,
    best_constant,
    bootstrap_interval,
    of_other_series,
    replicate_interval,
)
from songtitle.metrics.pairs import LENGTHS, mean_bleu, pair_up
from songtitle.rows import Faults
from songtitle.text import clean_caption, clean_title, tokenize

OTHERS = "captions"  # what captions stand against beside collections of titles
WRITTEN, CLEANED = "as written", "cleaned"  # split at spaces in lower case, or by our rules
DRAWS, SEED = 10, 0  # of captions for clips
LONGEST = 15  # words of the one answer for every clip

Words = Sequence[Sequence[str]]
Trial = tuple[list[list[str]], list[list[list[str]]]]  # hypotheses, and the references of each


def content_free_rows(
    captions: Words,
    titles: Mapping[str, Words],
    *,
    series: Series = None,
    draws: int,
    seed: int,
    pairs: int = 1_000,
) -> Iterator[dict[str, Any]]:
    """Mean BLEU in [0, 1] of random pairs: per what captions stand against, words kept, definition.

    Each row has `against, words` (None: all of them)`, definition, pairs` and, over the draws, the
    `mean`, the 95 % interval `low, high` of it, and the `spread` (SD) of single draws. All rows of
    one `against` are of the same pairs, so they compare. Equal captions are drawn once, since a
    copy is no other caption, and stand against those of other `series`. Raises InputError for fewer
    than two draws, captions or titles.
    """
    first = {tuple(words): place for place, words in reversed([*enumerate(captions)]) if words}
    places = sorted(first.values())
    distinct = [list(captions[place]) for place in places]
    its = series and [series[place] for place in places]
    sides = {**titles, OTHERS: distinct}
    counted = {"draws": draws} | {side: len(each) for side, each in sides.items()}
    for name, count in counted.items():
        if count < 2:
            msg = f"{name}: expected at least two to tell one from another, got {count}; give more"
            raise InputError(msg)
    generator = np.random.default_rng(seed)
    drawn: dict[str, tuple[Words, Words]] = {}  # both sides of all pairs
    for against, texts in sides.items():
        sizes = (len(distinct), None if against == OTHERS else len(texts))
        rows, columns = random_pairs(
            *sizes, series=its, pairs=pairs, draws=draws, generator=generator
        )
        drawn[against] = [distinct[i] for i in rows.flat], [texts[i] for i in columns.flat]
    for unit, orders in orders_by_unit().items():
        paired = {}
        for against, (said, wanted) in drawn.items():
            each = np.arange(len(said))
            paired[against] = pair_up(said, wanted, each, each, unit=unit, orders=orders)
        for words in (*LENGTHS, None):
            for against, found in paired.items():
                parts = (*found.counts(words), found.wanted)
                counts = [part.reshape(draws, -1, *part.shape[1:]) for part in parts]
                for name, definition in DEFINITIONS.items():
                    if definition.tokens == unit:
                        scores = mean_bleu(definition, *counts)
                        low, high = replicate_interval(scores)
                        row = {"against": against, "words": words, "definition": name}
                        row |= {"pairs": counts[1].shape[1], "mean": float(scores.mean())}
                        yield row | {"low": low, "high": high, "spread": float(scores.std(ddof=1))}


def random_pairs(
    captions: int,
    others: int | None,
    *,
    series: Series = None,
    pairs: int,
    draws: int,
    generator: np.random.Generator,
) -> tuple[Int[np.ndarray, "draws pairs"], Int[np.ndarray, "draws pairs"]]:
    """Which captions stand against which texts, in each draw anew; nothing twice within a draw.

    `others` is the number of texts, or None for captions among themselves: then each stands against
    one of another series (`of_other_series`), so none against itself.
    """
    size = min(pairs, captions, others or captions)
    rows, columns = [], []
    for _ in range(draws):
        order = generator.permutation(captions)
        if others is None:
            other = of_other_series(series, captions, generator=generator)[order]
        else:
            other = generator.permutation(others)
        rows.append(order[:size])
        columns.append(other[:size])
    return np.array(rows), np.array(columns)


def orders_by_unit() -> dict[Unit, int]:
    """What the definitions count, and up to which order."""
    orders: dict[Unit, int] = {}
    for each in DEFINITIONS.values():
        orders[each.tokens] = max(len(each.weights), orders.get(each.tokens, 0))
    return orders


# -- the paper's own kind of text -----------------------------------------------------------------


def of_samples(captions: Path, songs: Path, tracks: Path) -> dict[str, Any]:
    """Conceptual Captions against titles of a Million Song list and of fma_small, as samples."""
    faults = Faults()
    titles = [track.title for track in fma.read_titles(tracks, faults)]
    return _of_files(captions, songs, titles, faults)


def of_corpora(captions: Path, songs: Path, tracks: Path) -> dict[str, Any]:
    """The same with the titles of fma_small out of `tracks.csv`."""
    faults = Faults()
    found = fma.read_tracks(tracks, faults)
    return _of_files(captions, songs, [t.title for t in found if t.subset == "small"], faults)


def _of_files(captions: Path, songs: Path, tracks: Iterable[str], faults: Faults) -> dict[str, Any]:
    raw = {
        OTHERS: [caption for _, caption, _ in read_conceptual_captions(captions, faults)],
        "msd": [track.title for track in million_song.read_tracks(songs, faults)],
        "fma": list(tracks),
    }

    def worded(text: str, name: str, wording: str) -> list[str]:
        if wording == WRITTEN:
            return text.lower().split()
        return tokenize(clean_caption(text) if name == OTHERS else clean_title(text))

    # How the paper split its titles is not told, and the score of letters depends on it.
    wordings = {
        wording: {
            name: [words for text in texts if (words := worded(text, name, wording))]
            for name, texts in raw.items()
        }
        for wording in (WRITTEN, CLEANED)
    }
    return described(wordings, draws=20, seed=0) | {"faults": faults.as_dict()}


def described(
    wordings: Mapping[str, Mapping[str, Words]], *, series: Series = None, draws: int, seed: int
) -> dict[str, Any]:
    """The rows of `content_free_rows` under each wording, and what they were drawn from.

    A wording has the "captions", of these `series`, and the collections of titles, as words.
    """
    about, scores = {}, []
    for wording, texts in wordings.items():
        about[wording] = {
            name: {"texts": len(found), "mean_words": sum(map(len, found)) / len(found)}
            for name, found in texts.items()
        }
        titles = {name: found for name, found in texts.items() if name != OTHERS}
        rows = content_free_rows(texts[OTHERS], titles, series=series, draws=draws, seed=seed)
        scores += [{"wording": wording} | row for row in rows]
    first = next(iter(about.values()))
    return {"rows": first[OTHERS]["texts"], "draws": draws, "texts": about, "scores": scores}


def audio_references(test: Path, valid: Path, train: Path) -> dict[str, Any]:
    """BLEU-1 by number of references: one human beside others, a random caption, a constant.

    Rows `who, references, mean, low, high, corpus`: mean over clips of sentence scores with a 95 %
    bootstrap interval over clips, and the score of the corpus as a whole; all in [0, 1]. Who:

    - `human`: each caption of a clip in turn, against the next ones of the same clip, in a circle;
    - `random`: a training caption drawn at random, which is retrieval by a neighbour that cannot
      hear, over 10 draws, against captions of the clip drawn at random;
    - `constant`: the one answer that fits the captions of validation best, given to every clip.
    """
    faults = Faults()
    everyone = _by_clip(test, faults)
    many = Counter(map(len, everyone)).most_common(1)[0][0]
    clips = [captions for captions in everyone if len(captions) == many]
    learnt = [row.caption for row in read_audiocaps(train, faults)]
    judged = [words for captions in _by_clip(valid, faults) for words in captions]
    constant = best_constant(judged, words_at_most=LONGEST)

    def circle(first: int, count: int) -> list[list[list[str]]]:
        return [[each[(first + i) % many] for i in range(count)] for each in clips]

    def human(count: int) -> Iterator[Trial]:
        for one in range(many):
            yield [captions[one] for captions in clips], circle(one + 1, count)

    def random(count: int) -> Iterator[Trial]:
        generator = np.random.default_rng(SEED)
        for _ in range(DRAWS):
            said = generator.integers(len(learnt), size=len(clips))
            kept = [generator.permutation(many)[:count] for _ in clips]
            wanted = [[each[i] for i in own] for each, own in zip(clips, kept, strict=True)]
            yield [tokenize(clean_caption(learnt[i])) for i in said], wanted

    def always(count: int) -> Iterator[Trial]:
        for one in range(many):
            yield [constant] * len(clips), circle(one, count)

    rows = []
    asked = {"human": (human, many - 1), "random": (random, many), "constant": (always, many)}
    for who, (trials, most) in asked.items():
        generator = np.random.default_rng(SEED)
        for count in range(1, most + 1):
            each, whole = [], []
            for said, wanted in trials(count):
                each.append(sentence_scores(said, wanted, DEFINITIONS["bleu1"]))
                whole.append(score(said, wanted, DEFINITIONS["corpus"]).score)
            scores = np.mean(each, axis=0)
            low, high = bootstrap_interval(scores, generator=generator)
            row = {"who": who, "references": count, "mean": float(scores.mean())}
            rows.append(row | {"low": low, "high": high, "corpus": float(np.mean(whole))})
    return {
        "clips": len(clips),
        "captions_a_clip": many,
        "rows": sum(map(len, clips)) + len(learnt) + len(judged),
        "mean_length": float(np.mean([len(words) for captions in clips for words in captions])),
        "constant": " ".join(constant),
        "scores": rows,
        "faults": faults.as_dict(),
    }


def _by_clip(table: Path, faults: Faults) -> list[list[list[str]]]:
    """The captions of each clip as words; a caption of which no word is left is left out."""
    clips: dict[str, list[list[str]]] = defaultdict(list)
    for row in read_audiocaps(table, faults):
        if words := tokenize(clean_caption(row.caption)):
            clips[row.youtube_id].append(words)
    return list(clips.values())
