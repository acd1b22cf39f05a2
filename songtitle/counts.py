"""Counts of words in captions and titles, in one pass and little memory."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counts:
    """Lengths and distinct words of all texts added; a text is its list of words."""

    lengths: Counter[int] = field(default_factory=Counter)  # words in a text -> texts
    words: Counter[str] = field(default_factory=Counter)  # word -> times

    def add(self, tokens: Sequence[str]) -> None:
        """Count one text, which may have no words. Raises TypeError for a lone `str`."""
        if isinstance(tokens, str):
            msg = f"expected a list of words, got the string {tokens!r}; split it"
            raise TypeError(msg)
        self.lengths[len(tokens)] += 1
        self.words.update(tokens)

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> "Counts":
        """The counts of many texts."""
        counts = cls()
        for tokens in texts:
            counts.add(tokens)
        return counts

    @property
    def texts(self) -> int:
        """How many texts were added."""
        return self.lengths.total()

    @property
    def mean(self) -> float:
        """Mean length in words; NaN without any text."""
        total = sum(length * times for length, times in self.lengths.items())  # whole numbers
        return total / self.texts if self.texts else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation of the length in words (divided by the number of texts)."""
        if not self.texts:
            return math.nan
        mean = self.mean
        squares = (times * (length - mean) ** 2 for length, times in self.lengths.items())
        return math.sqrt(math.fsum(squares) / self.texts)  # exact: the order changes nothing

    def share_up_to(self, length: int) -> float:
        """The share of texts of at most `length` words; NaN without any text."""
        short = sum(times for words, times in self.lengths.items() if words <= length)
        return short / self.texts if self.texts else math.nan

    def as_dict(self) -> dict[str, Any]:
        """What a record keeps; means and deviations can be computed again from `lengths`."""
        return {
            "texts": self.texts,
            "distinct_words": len(self.words),
            "mean": self.mean,
            "deviation": self.deviation,
            "lengths": {str(length): self.lengths[length] for length in sorted(self.lengths)},
        }
