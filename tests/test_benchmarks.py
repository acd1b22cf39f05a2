import importlib
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.manifold import TSNE

import benchmarks
from benchmarks.harness import Growth, Row
from benchmarks.similarity import affinities, digits, divergence
from songtitle.corpora import manifest, stamps
from songtitle.errors import InputError

FOLDER = Path(benchmarks.__file__).parent
HELPERS = {"__init__", "__main__", "harness", "repeats"}
SUBJECTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in HELPERS)


def test_there_are_subjects():
    assert {"growth", "metrics", "similarity"} <= set(SUBJECTS)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_says_in_one_line_what_it_is_and_gives_rows(subject):
    module = importlib.import_module(f"benchmarks.{subject}")
    assert (module.__doc__ or "").strip().splitlines()[0].endswith(".")
    assert callable(module.rows)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_quick_run_gives_rows_with_finite_values(subject):
    module = importlib.import_module(f"benchmarks.{subject}")
    try:
        rows = module.rows(quick=True)
        growth = module.growth(quick=True) if hasattr(module, "growth") else []
    except InputError:
        if stamps.is_fetched(manifest.data_home()):
            raise
        pytest.skip("the stamps are not fetched; run `make data`")
    assert rows or growth
    for row in rows:
        assert isinstance(row, Row)
        assert row.what
        assert row.quantity
        assert math.isfinite(row.value)
        assert all(math.isfinite(taken) and taken > 0 for taken in row.seconds.values())
    assert len({(row.what, row.quantity) for row in rows}) == len(rows)
    for each in growth:
        assert isinstance(each, Growth)
        assert len(each.sizes) == len(each.values) >= 2
        assert list(each.sizes) == sorted(set(each.sizes))
        assert each.unit in ("seconds", "MB")
        assert math.isfinite(each.exponent)


def test_the_divergence_of_a_map_equals_what_exact_tsne_reports_of_its_own():
    exact = TSNE(method="exact", perplexity=11, init="pca", random_state=0)
    points = digits(67)
    chart = exact.fit_transform(points)
    joint = affinities(points, 11)
    assert joint.sum() == pytest.approx(1)
    np.testing.assert_array_equal(joint, joint.T)
    # Its own is of the step before the last.
    assert divergence(joint, chart) == pytest.approx(exact.kl_divergence_, rel=1e-3)
