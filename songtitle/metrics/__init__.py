"""Scores of titles: BLEU by any definition, and retrieval by likelihood.

Token lists everywhere: `hypotheses[i]` is a list of words, `references[i]` the list of its
references, each a list of words; a `str` in place of a token list raises TypeError. Scores lie in
[0, 1]. Functions of pairs take one reference each and give a matrix, whose diagonal holds the own
pairs: `controls.against_chance` puts any of them beside chance.

Which BLEU:

    corpus_bleu([["blue", "moon"]], [[["blue", "sky"]]], max_order=1).score         # 0.5
    sentence_bleu(["blue", "moon"], [["blue", "sky"]], max_order=1).precisions      # (0.5,)
    score([["blue", "moon"]], [[["blue", "sky"]]], DEFINITIONS["letters"])          # a BleuScore
    sentence_scores([["blue", "moon"]], [[["blue", "sky"]]], DEFINITIONS["bleu1"])  # [0.5]
    pair_scores([["blue"], ["sky"]], [["sky"], ["o"]], DEFINITIONS["bleu1"])  # [[0, 0], [1, 0]]
    unigram_pair_scores([["blue"]], [["moon"]], brevity=False)                      # [[0]]
    DEFINITIONS["letters"].signature                                                # for a table
    Definition(name="words, BLEU-2", weights=(0.5, 0.5))                            # one more

`DEFINITIONS` holds `precision`, `bleu1`, `nltk_3_2_5`, `letters`, `letters_precision` and `corpus`.
The last has no score of a pair. What a dictionary holds is not part of a stage's code: a stage that
uses a definition has `asdict(definition)` among its settings.

Which hypothesis, where a search left several, `found[i] == [[words, log_prob], ...]`:

    chosen(found, "normalised")                                               # token lists
    chosen_scores(found, references, DEFINITIONS["bleu1"], "mean")            # (items,)
    chosen_pair_scores(found, references, DEFINITIONS["bleu1"], "best")       # (items, references)

`CHOICES` are `top`, `normalised`, `mean` and `best`.

No search at all:

    retrieval(log_likelihoods, k=10).mrr                   # and mrr_chance, recall, ranks, ...
    retrieval(prior_free(log_likelihoods))                 # by log p(song | title)
    reciprocal_ranks(log_likelihoods)                      # of all pairs; mean of diagonal: the MRR
    recalls(log_likelihoods, k=10)                         # of all pairs
"""

from songtitle.metrics.bleu import SMOOTHINGS, BleuScore, corpus_bleu, sentence_bleu
from songtitle.metrics.choices import CHOICES, chosen, chosen_pair_scores, chosen_scores
from songtitle.metrics.definitions import (
    DEFINITIONS,
    Definition,
    score,
    sentence_scores,
    signatures,
)
from songtitle.metrics.pairs import pair_scores, unigram_pair_scores
from songtitle.metrics.ranks import Retrieval, prior_free, recalls, reciprocal_ranks, retrieval

__all__ = [
    "CHOICES",
    "DEFINITIONS",
    "SMOOTHINGS",
    "BleuScore",
    "Definition",
    "Retrieval",
    "chosen",
    "chosen_pair_scores",
    "chosen_scores",
    "corpus_bleu",
    "pair_scores",
    "prior_free",
    "recalls",
    "reciprocal_ranks",
    "retrieval",
    "score",
    "sentence_bleu",
    "sentence_scores",
    "signatures",
    "unigram_pair_scores",
]
