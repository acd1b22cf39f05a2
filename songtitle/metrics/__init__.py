"""Scores of titles, and what chance, word frequencies and length alone reach.

Token lists everywhere: `hypotheses[i]` is a list of words, `references[i]` the list of its
references, each a list of words; a `str` in place of a token list raises TypeError. Scores lie in
[0, 1].

    corpus_bleu([["blue", "moon"]], [[["blue", "sky"]]], max_order=1).score         # 0.5
    sentence_bleu(["blue", "moon"], [["blue", "sky"]], max_order=1).precisions      # (0.5,)
"""

from songtitle.metrics.bleu import BleuScore, corpus_bleu, sentence_bleu

__all__ = ["BleuScore", "corpus_bleu", "sentence_bleu"]
