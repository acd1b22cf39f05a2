"""Listening: whether the inputs of the songs hold anything of their titles, asked by regression.

A captioner that has never seen a title may fail because there is nothing to hear, or because it
does not listen. A ridge regression from the very same inputs to the words of titles, trained on
titles of other series, tells the two apart: it is the positive control of every score of songs.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

from songtitle.cache import Record, Work, finished, pick, stage, write_json
from songtitle.config import SONGS, SPECTROGRAM, TIMBRE, ExperimentConfig, Input
from songtitle.corpora.manifest import data_home
from songtitle.errors import InputError, expect
from songtitle.experiment.controls import FIRST
from songtitle.experiment.corpora import (
    Words,
    clips,
    corpora,
    true_series,
    true_words,
)
from songtitle.experiment.inputs import clip_picture, frozen_backbone, hear, song_features
from songtitle.experiment.learning import training
from songtitle.experiment.naming import listener
from songtitle.experiment.scoring import PERMUTATIONS
from songtitle.metrics.chance import dealt, permutation_p
from songtitle.metrics.pairs import prior_free, recalls, reciprocal_ranks
from songtitle.model.features import read_features

PENALTIES = (0.1, 1.0, 10.0)  # of a squared weight, in songs: all three are reported
SAYS = 10.0  # the penalty of the listener that visitors meet
EAR = "ear.npz"
FOLDS = 5  # parts of the songs, whole series each, where there are no others to learn from
LEAST = 10  # songs that hold a word for it to be learnt; of few songs a fifth
ASKED = 5  # songs held out that hold a word for its AUC to be told
WORDS = 3  # that the listener says of a song

Features = Float[np.ndarray, "songs features"]
Pairs = Float[np.ndarray, "songs titles"]
Scored = Float[np.ndarray, "songs words"]  # how far above its mean each word is expected
Places = Int[np.ndarray, " _"]  # of songs
Rows = list[dict[str, Any]]
Held = list[tuple[Places, Places]]  # to learn from, and to ask about


@dataclass(frozen=True)
class WordRidge:
    """A ridge regression from features to words of titles: of each word, how likely it is."""

    words: list[str]
    mean: Float[np.ndarray, " features"]
    scale: Float[np.ndarray, " features"]
    weights: Float[np.ndarray, "features words"]
    said: Bool[np.ndarray, " words"]  # which it may say: content words, where there are any

    def scores(self, features: Features) -> Scored:
        """Give how far above its mean each word is expected, in its standard deviations."""
        return (features - self.mean) / self.scale @ self.weights

    def says(self, features: Features, count: int = WORDS) -> Words:
        """Give up to `count` content words most above their mean for each song, the first
        foremost."""
        places = np.flatnonzero(self.said)
        order = np.argsort(-self.scores(features)[:, places], axis=1, kind="stable")[:, :count]
        return [[self.words[place] for place in row] for row in places[order]]


def fit_words(features: Features, titles: Words, *, penalty: float = SAYS) -> WordRidge:
    """Fit each word that stands in enough titles, both sides standardised over the songs given.

    The penalty of a squared weight is `penalty` times the number of songs. Raises InputError where
    no word stands in enough titles, such as where all are alike. Source: Hoerl and Kennard 1970.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
    from sklearn.linear_model import Ridge  # a second to load, as all of scikit-learn
    from sklearn.preprocessing import StandardScaler

    least = max(2, min(LEAST, len(titles) // 5))
    held = Counter(word for title in titles for word in set(title))
    words = sorted(word for word, count in held.items() if least <= count < len(titles))
    expect(
        words,
        f"titles: expected a word that stands in {least} or more of them and not in all, got none "
        f"in {len(titles)}; take more songs",
    )
    known = StandardScaler().fit(features)
    wanted = StandardScaler().fit_transform(_table(titles, words))
    ridge = Ridge(alpha=penalty * len(titles), fit_intercept=False)
    weights = ridge.fit(known.transform(features), wanted).coef_.reshape(len(words), -1).T
    content = np.array([word not in ENGLISH_STOP_WORDS for word in words])
    return WordRidge(words, known.mean_, known.scale_, weights, content | ~content.any())


def _table(titles: Words, words: Sequence[str]) -> Float[np.ndarray, "titles words"]:
    """Give 1 where a title holds a word."""
    place = {word: number for number, word in enumerate(words)}
    table = np.zeros((len(titles), len(words)))
    for row, title in zip(table, titles, strict=True):
        row[[place[word] for word in title if word in place]] = 1
    return table


def _unit(rows: Float[np.ndarray, "rows words"]) -> Float[np.ndarray, "rows words"]:
    """Bring each row to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def title_scores(scores: Scored, table: Float[np.ndarray, "titles words"]) -> Pairs:
    """Score every title for every song by the cosine between its words and those expected; 0 for a
    title of which no word is known."""
    return _unit(scores) @ _unit(table).T


class Part(NamedTuple):
    """Songs held out together: all their titles' scores for each, and how titles are dealt."""

    scores: Pairs
    deals: list[Places]  # for each round, whose title each song gets


def deals(series: Sequence[str], seed: int) -> list[Places]:
    """Deal the titles of each series to another, PERMUTATIONS times: see `dealt`."""
    generator = np.random.default_rng(seed)
    return list(dealt(series, len(series), rounds=PERMUTATIONS, generator=generator))


def matched(parts: Sequence[Part]) -> dict[str, float]:
    """Ask whether the own title is the one that scores highest.

    `z` and `p` are of the own titles' mean score among deals of the titles by series, each score
    less its title's mean, as a title may be dealt twice; `mrr` and `recall` (share among the first
    ten) of the rank of the own title among those of its part, each with `_chance` (exact) and `_p`.
    """
    items, row = sum(len(part.scores) for part in parts), dict[str, float]()
    for name, values in (
        ("score", lambda scores: scores),
        ("mrr", reciprocal_ranks),
        ("recall", lambda scores: recalls(scores, k=FIRST)),
    ):
        drawn, own, level = np.zeros(PERMUTATIONS), 0.0, 0.0
        for part in parts:
            table = values(part.scores)
            level += float(table.sum() / len(table)) / items
            table, songs = table - table.mean(axis=0), np.arange(len(table))
            own += float(np.trace(table)) / items
            drawn += np.array([table[songs, deal].sum() for deal in part.deals]) / items
        if name == "score":
            spread = float(drawn.std())
            row["z"] = (own - float(drawn.mean())) / spread if spread else 0.0
        else:
            row |= {name: own + level, f"{name}_chance": level}
        row["p" if name == "score" else f"{name}_p"] = permutation_p(own, drawn)
    return row


def word_aucs(parts: Sequence[tuple[WordRidge, np.ndarray, Words, Part]]) -> Rows:
    """Tell of each word how surely songs that hold it score above others of their part.

    `word, songs, auc` (0.5 is chance) and `p` among the deals, the best first, of words that stand
    in at least ASKED titles and not in all of a part.
    """
    names = sorted({word for ridge, *_ in parts for word in ridge.words})
    place = {word: number for number, word in enumerate(names)}
    above, pairs = np.zeros((1 + PERMUTATIONS, len(names))), np.zeros(len(names))
    songs = np.zeros(len(names), dtype=int)
    for ridge, scores, titles, part in parts:
        columns, table = [place[word] for word in ridge.words], _table(titles, ridge.words)
        ranks, with_word = rankdata(scores, axis=0) - (len(titles) + 1) / 2, table.sum(axis=0)
        for draw, deal in enumerate([np.arange(len(titles)), *part.deals]):
            above[draw, columns] += np.einsum("sw,sw->w", ranks, table[deal])
        pairs[columns] += with_word * (len(titles) - with_word)
        songs[columns] += with_word.astype(int)
    rows = [
        {"word": names[each], "songs": int(songs[each]), "auc": 0.5 + float(auc[0])}
        | {"p": permutation_p(float(auc[0]), auc[1:])}
        for each in np.flatnonzero((pairs > 0) & (songs >= ASKED))
        for auc in [above[:, each] / pairs[each]]
    ]
    return sorted(rows, key=lambda row: (-row["auc"], row["word"]))


def listen(
    features: Features, titles: Words, series: Sequence[str], held: Held, *, seed: int
) -> tuple[Rows, Rows, dict[int, list[str]]]:
    """Learn the words of titles from some songs and match the titles of others, for each of `held`.

    Gives a row for each of PENALTIES (`items, series, words, penalty` and what `matched` gives), at
    SAYS the rows of `word_aucs`, and what it says of each song that is held out, by its place.
    """
    rows: Rows = []
    found: Rows = []
    said: dict[int, list[str]] = {}
    draws = [deals([series[i] for i in places], seed) for _, places in held]
    for penalty in PENALTIES:
        parts: list[Part] = []
        words: list[Any] = []
        for (learnt, places), drawn in zip(held, draws, strict=True):
            ridge = fit_words(features[learnt], [titles[i] for i in learnt], penalty=penalty)
            scores, wanted = ridge.scores(features[places]), [titles[i] for i in places]
            part = Part(title_scores(scores, _table(wanted, ridge.words)), drawn)
            parts.append(part)
            words.append((ridge, scores, wanted, part))
            if penalty == SAYS:
                said |= dict(zip(places.tolist(), ridge.says(features[places]), strict=True))
        places = np.concatenate([part for _, part in held])
        row = {"items": len(places), "series": len({series[i] for i in places})}
        row |= {"words": len({word for ridge, *_ in words for word in ridge.words})}
        rows.append(row | {"penalty": penalty} | matched(parts))
        if penalty == SAYS:
            found = word_aucs(words)
    return rows, found, said


def folds(series: Sequence[str]) -> Held:
    """Cut songs into FOLDS parts, whole series each, to hold out one after another.

    Raises InputError for fewer series than parts.
    """
    from sklearn.model_selection import GroupKFold

    expect(
        len(set(series)) >= FOLDS,
        f"series: expected at least {FOLDS}, to learn from some and ask about others, got "
        f"{len(set(series))}; take more songs",
    )
    return list(GroupKFold(FOLDS).split(series, groups=series))


# -- stages ----------------------------------------------------------------------------------------


@stage
def listening(config: ExperimentConfig, *, home: Path) -> Work:
    """What a supervised listener makes of each song input, and the captioner on the same songs.

    Result `rows`: `input, who` ("listener" or "captioner") and the fields of `listen`; the
    captioner has no `penalty`, and ranks the same titles of the same parts by likelihood, less what
    the title gets from all songs. `found`: per input the rows of `word_aucs`. Whole series are held
    out in turn. `says.json` holds what is said of each song by input, and `ear.npz` the listener by
    spectrogram, fitted on all songs of it.
    """
    words = corpora(config, home=home)
    songs, trained = clips(config, home=home), training(config, home=home)
    seen = song_features(config, home=home)

    def compute(folder: Path) -> dict[str, Any]:
        every, its_series = true_words(words, songs), true_series(words, songs)
        result: dict[str, Rows] = {"rows": [], "found": []}
        says: dict[str, Words] = {}
        for name in SONGS:
            titles, series = every[name.reading], its_series[name.reading]
            held = folds(series)
            lead, features = {"input": name}, heard(seen, name)
            rows, found, said = listen(features, titles, series, held, seed=config.seed)
            says[str(name)] = [said[place] for place in range(len(titles))]
            result["rows"] += [lead | {"who": "listener"} | row for row in rows]
            result["found"] += [lead | row for row in found]
            hearing = listener(config, name, trained, seen)
            memory = hearing.memory()
            parts: list[Part] = []
            for _, places in held:
                drawn = deals([series[i] for i in places], config.seed)
                likely = hearing.log_likelihoods(memory[places], [titles[i] for i in places])
                parts.append(Part(prior_free(likely), drawn))
            row = lead | {"who": "captioner", "items": len(titles), "series": len(set(series))}
            result["rows"].append(row | matched(parts))
        write_json(folder / "says.json", says)
        ridge = fit_words(heard(seen, SPECTROGRAM), every[SPECTROGRAM.reading])
        arrays: Any = {"mean": ridge.mean, "scale": ridge.scale, "weights": ridge.weights}
        small: Any = {name: each.astype(np.float32) for name, each in arrays.items()}
        small["said"] = ridge.said
        np.savez(folder / EAR, words=ridge.words, config=json.dumps(config.as_dict()), **small)
        return result

    settings = pick(config, "seed", "standardise_timbre") | {"penalties": PENALTIES}
    return Work(compute, settings, [words, songs, trained, seen])


def heard(seen: Record, name: Input) -> Features:
    """Read what the listener gets of each song: the 90 numbers, or the backbone's pooled picture of
    the spectrogram."""
    kind = "timbre" if name == TIMBRE else "pooled"
    features = read_features(seen.file(f"{kind}.safetensors"))["songs"]
    return features.flatten(1).double().numpy()


def hear_words(
    paths: Iterable[Path], *, home: Path | None = None
) -> Iterator[tuple[Path, list[str] | InputError]]:
    """Say of audio files what the last listener by spectrogram, trained on titles, makes of them.

    A file that cannot be read yields its `InputError` in place of words. Raises InputError where no
    listener has been trained.
    """
    found = [each for each in finished(home or data_home(), "listening") if each.file(EAR).exists()]
    if not found:
        msg = "title --listener: expected a listener trained on titles, got none; run `python -m "
        raise InputError(msg + "songtitle run 09_controls` first")
    with np.load(found[-1].file(EAR)) as kept:
        parts = [kept[name] for name in ("mean", "scale", "weights", "said")]
        ridge = WordRidge(kept["words"].tolist(), *parts)
        config = ExperimentConfig.from_dict(json.loads(str(kept["config"])))
    backbone = frozen_backbone(config, "pooled")
    device = next(backbone.buffers()).device
    for path in paths:
        try:
            image = clip_picture(hear(path, config), path.name, config)
        except InputError as error:
            yield path, error
            continue
        with torch.inference_mode():
            features = backbone(image.unsqueeze(0).to(device)).float().cpu()
        yield path, ridge.says(features.flatten(1).numpy())[0]
