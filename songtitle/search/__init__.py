"""Greedy and beam search over anything that gives the next token's log-probabilities or logits.

Search knows a `step(tokens, state) -> (scores, state)` and no model. The state is a mapping of
tensors, each led by the group axis: `batch` rows at the start, afterwards one for each hypothesis
that is not finished.
"""

from songtitle.search.beam import beam_search
from songtitle.search.greedy import greedy_search
from songtitle.search.hypotheses import Hypotheses, Product, Step
from songtitle.search.settings import SearchConfig

__all__ = ["Hypotheses", "Product", "SearchConfig", "Step", "beam_search", "greedy_search"]
