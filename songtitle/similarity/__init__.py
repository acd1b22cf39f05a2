"""How near songs and pictures lie to each other in the space that feeds the decoder.

Maps show it, numbers say it: `mixing` among nearest neighbours, a classifier's `classifier_auc`,
the discrepancy of densities `mmd`, and `contained`, the share of one group inside the other.
"""

from songtitle.similarity.labels import Measured
from songtitle.similarity.maps import effective_perplexity, trustworthiness, tsne
from songtitle.similarity.neighbours import mixing, mixing_test, nearest
from songtitle.similarity.separation import classifier_auc, contained, mmd

__all__ = [
    "Measured",
    "classifier_auc",
    "contained",
    "effective_perplexity",
    "mixing",
    "mixing_test",
    "mmd",
    "nearest",
    "trustworthiness",
    "tsne",
]
