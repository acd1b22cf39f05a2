"""What more references do to BLEU: captions of sounds, several a clip, without hearing any.

Table 5 of the paper sets titles, with one reference each, beside AudioCaps, whose clips have five.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from songtitle.controls import best_constant, bootstrap_interval
from songtitle.datasets import audiocaps
from songtitle.metrics import definitions  # as a module: what it defines is part of a stage's key
from songtitle.rows import Faults
from songtitle.text import clean_caption, tokenize

DRAWS, SEED = 10, 0
LONGEST = 15  # words of the one answer for every clip

Clips = Sequence[Sequence[list[str]]]  # the captions of each clip, as words
Trial = tuple[list[list[str]], list[list[list[str]]]]  # hypotheses, and the references of each
Trials = Callable[[Clips, int], Iterator[Trial]]  # for so many references


def audio_references(test: Path, valid: Path, train: Path) -> dict[str, Any]:
    """BLEU-1 by number of references: one human beside others, a random caption, a constant.

    Rows `who, references, mean, low, high, corpus`: mean over clips of sentence scores with a 95 %
    bootstrap interval over clips, and the score of the corpus as a whole; all in [0, 1]. Who:

    - `human`: each caption of a clip in turn, against the next ones of the same clip, in a circle;
    - `random`: a training caption drawn at random, which is retrieval by a neighbour that cannot
      hear, over 10 draws;
    - `constant`: the one answer that fits the captions of validation best, given to every clip.
    """
    faults = Faults()
    everyone = _by_clip(test, faults)
    many = Counter(map(len, everyone)).most_common(1)[0][0]
    clips = [captions for captions in everyone if len(captions) == many]
    learnt = [row.caption for row in audiocaps.read(train, faults)]
    judged = [words for captions in _by_clip(valid, faults) for words in captions]
    constant = best_constant(judged, words_at_most=LONGEST)
    return {
        "clips": len(clips),
        "captions_a_clip": many,
        "rows": sum(map(len, clips)) + len(learnt) + len(judged),
        "mean_length": float(np.mean([len(words) for captions in clips for words in captions])),
        "constant": " ".join(constant),
        "scores": [
            *_scores("human", clips, range(1, many), _human),
            *_scores("random", clips, range(1, many + 1), _drawn_from(learnt)),
            *_scores("constant", clips, range(1, many + 1), _always(constant)),
        ],
        "faults": faults.as_dict(),
    }


def _by_clip(table: Path, faults: Faults) -> list[list[list[str]]]:
    """The captions of each clip as words; a caption of which no word is left is left out."""
    clips: dict[str, list[list[str]]] = defaultdict(list)
    for row in audiocaps.read(table, faults):
        if words := tokenize(clean_caption(row.caption)):
            clips[row.youtube_id].append(words)
    return list(clips.values())


def _scores(who: str, clips: Clips, counts: range, trials: Trials) -> Iterator[dict[str, Any]]:
    """A row for each number of references; `trials(clips, count)` gives hypotheses with them."""
    generator = np.random.default_rng(SEED)
    for count in counts:
        each, whole = [], []
        for hypotheses, references in trials(clips, count):
            each.append(
                definitions.sentence_scores(
                    hypotheses, references, definitions.DEFINITIONS["bleu1"]
                )
            )
            corpus = definitions.DEFINITIONS["corpus"]
            whole.append(definitions.score(hypotheses, references, corpus).score)
        scores = np.mean(each, axis=0)
        low, high = bootstrap_interval(scores, generator=generator)
        found = {"mean": float(scores.mean()), "low": low, "high": high}
        yield {"who": who, "references": count} | found | {"corpus": float(np.mean(whole))}


def _human(clips: Clips, count: int) -> Iterator[Trial]:
    """Each caption of a clip in turn, against the `count` that follow it, in a circle."""
    for one in range(len(clips[0])):
        said = [captions[one] for captions in clips]
        yield said, [_circle(captions, one + 1, count) for captions in clips]


def _drawn_from(learnt: list[str]) -> Trials:
    """A caption of `learnt` at random for each clip, against `count` of its own, at random."""

    def trials(clips: Clips, count: int) -> Iterator[Trial]:
        generator = np.random.default_rng(SEED)
        many = len(clips[0])
        for _ in range(DRAWS):
            said = generator.integers(len(learnt), size=len(clips))
            kept = [generator.permutation(many)[:count] for _ in clips]
            yield (
                [tokenize(clean_caption(learnt[i])) for i in said],
                [[captions[i] for i in own] for captions, own in zip(clips, kept, strict=True)],
            )

    return trials


def _always(answer: list[str]) -> Trials:
    """One answer for every clip, against `count` of its captions, in a circle from each."""

    def trials(clips: Clips, count: int) -> Iterator[Trial]:
        for one in range(len(clips[0])):
            yield [answer] * len(clips), [_circle(captions, one, count) for captions in clips]

    return trials


def _circle(captions: Sequence[list[str]], first: int, count: int) -> list[list[str]]:
    return [captions[(first + i) % len(captions)] for i in range(count)]
