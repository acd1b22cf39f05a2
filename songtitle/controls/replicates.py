"""Replicates: how much a result depends on the seed of the training.

Two sources of spread, kept apart. The bootstrap of `against_chance` and `paired_difference` asks
what other items would have given the same trained model; `replicate_interval` asks what other
trainings would have given on the same items. Scores of several trainings on the same items are not
more items: average over items first, then take the interval over the trainings. A control that is
itself trained, such as one on shuffled pairs, is at chance on average over shuffles only: a single
one learns what its shuffle left by accident, and the p of its items takes that for real.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from jaxtyping import Float
from scipy.stats import t

from songtitle.errors import InputError


def replicate_interval(
    values: Sequence[float] | Float[np.ndarray, " seeds"], *, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean over trainings, from one value for each seed: (low, high).

    Student's t with one degree of freedom fewer than seeds: five are too few for a bootstrap,
    whose interval would be more than a third too narrow. Exact where the values of different seeds
    are normal. Raises InputError for fewer than two values or a level outside
    (0, 1).

    Source: Student 1908.
    """
    if len(values) < 2:
        msg = f"values: expected those of at least two seeds, got {len(values)}; train more"
        raise InputError(msg)
    if not 0 < level < 1:
        msg = f"level: expected a share between 0 and 1 such as 0.95, got {level}"
        raise InputError(msg)
    found = np.asarray(values, dtype=float)
    half = float(t.ppf((1 + level) / 2, len(found) - 1)) * float(found.std(ddof=1))
    half /= sqrt(len(found))
    return float(found.mean()) - half, float(found.mean()) + half
