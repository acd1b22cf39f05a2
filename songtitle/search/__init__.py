"""Greedy and beam search over anything that gives the next token's log-probabilities or logits.

Search knows a `step(tokens, state) -> (scores, state)` and no model. The state is a mapping of
tensors, each led by the group axis: `batch` rows at the start, afterwards one for each hypothesis
that is not finished.
"""

from songtitle.config import SearchConfig
from songtitle.search.beam import beam_search, greedy_search
from songtitle.search.candidates import Hypotheses, Product, Step

__all__ = ["Hypotheses", "Product", "SearchConfig", "Step", "beam_search", "greedy_search"]
