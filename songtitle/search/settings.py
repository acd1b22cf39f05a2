"""Settings: what a search keeps, how it ranks, and when it ends."""

from dataclasses import dataclass
from typing import Literal

from songtitle.schema import Count, CountOr0, From0, check


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """What a beam search keeps and how it ranks."""

    beam_size: Count = 5
    """Hypotheses kept per example; may exceed the vocabulary. Pages take beam_sizes instead."""
    max_steps: Count = 20
    """Tokens of a hypothesis at most, <eos> included."""
    length_penalty: From0 = 0.0
    """Exponent of the length that divides a log-probability; 0 ranks by the sum, 1 by the mean."""
    min_length: CountOr0 = 0
    """Tokens before <eos> may come; neither <bos> nor <eos> counts."""
    no_repeat_ngram: CountOr0 = 0
    """No n tokens in a row come twice in a hypothesis; 0: they may."""
    unfinished: Literal["keep", "drop"] = "keep"
    """Hypotheses without <eos> after max_steps tokens: ranked with the others as they stand, or
    left out, their places empty."""
    stop: Literal["all", "best"] = "all"
    """When an example is over: all its hypotheses are finished, or no unfinished one can overtake
    the best finished; the first hypothesis is then the same, the rest fewer."""

    def __post_init__(self) -> None:
        check(self)
