"""Controls: how sure a score is, and what chance, word frequencies and length alone reach."""

from songtitle.controls.chance import (
    Chance,
    against_chance,
    bootstrap_interval,
    permutation_p,
    permuted_scores,
)
from songtitle.controls.lengths import length_matched, prefixes
from songtitle.controls.pairs import Difference, holm, paired_difference, tie_letters
from songtitle.controls.power import items_needed, power_of
from songtitle.controls.replicates import replicate_interval
from songtitle.controls.unigrams import (
    best_constant,
    greedy_constant,
    unigram_perplexity,
    unigram_titles,
)

__all__ = [
    "Chance",
    "Difference",
    "against_chance",
    "best_constant",
    "bootstrap_interval",
    "greedy_constant",
    "holm",
    "items_needed",
    "length_matched",
    "paired_difference",
    "permutation_p",
    "permuted_scores",
    "power_of",
    "prefixes",
    "replicate_interval",
    "tie_letters",
    "unigram_perplexity",
    "unigram_titles",
]
