"""Intervals of means and rates, what a rendering costs, and distances of sets: known cases, and laws."""

import json
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.grid_run import cost_of
from gradtts_interp.evaluation.statistics import (
    Interval,
    diversity,
    frechet_distance,
    mean_with_interval,
    ratio_with_interval,
)


def test_it_is_the_interval_of_the_normal_theory_for_many_values():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    found = mean_with_interval(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert found.low == pytest.approx(values.mean() - half, abs=0.05)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05)
    assert mean_with_interval(values) == found, "the same values, the same interval"
    assert mean_with_interval([2.5]) == Interval(2.5, 2.5, 2.5, 1), "one value has no interval"


def test_cost_is_of_the_block_alone():
    device = torch.device("cpu")
    _, small_seconds, small_mib = cost_of(lambda: time.sleep(0.05), device)
    total, _, large_mib = cost_of(lambda: np.ones(2**25).sum(), device)  # 256 MiB for a moment
    _, after_seconds, after_mib = cost_of(lambda: None, device)
    assert total == 2**25 and 0.05 <= small_seconds < 2 and after_seconds < small_seconds
    if small_mib is None:
        pytest.skip("this system does not tell the peak of a process")
    assert large_mib - small_mib > 200
    assert after_mib < large_mib - 200, "an earlier peak does not count"


def test_a_rate_is_pooled_over_totals_and_its_interval_is_of_whole_utterances():
    found = ratio_with_interval([1, 0, 2], [2, 8, 10])
    assert found.mean == pytest.approx(0.15) and found.n == 3
    assert (found.low, found.high) == (pytest.approx(0.0), pytest.approx(0.5))
    assert ratio_with_interval([1], [4]) == Interval(0.25, 0.25, 0.25, 1)


@pytest.mark.parametrize(
    ("statistic", "values", "message"),
    [
        (mean_with_interval, ([],), "expected at least one, all finite"),
        (mean_with_interval, ([1.0, np.nan],), "expected at least one, all finite"),
        (ratio_with_interval, ([], []), "totals > 0"),
        (ratio_with_interval, ([1], [2, 3]), "totals > 0"),
        (ratio_with_interval, ([1, 0], [2, 0]), "totals > 0"),
    ],
)
def test_values_without_an_interval_are_named(statistic, values, message):
    with pytest.raises(InputError, match=message):
        statistic(*values)


# -- sets of embeddings ------------------------------------------------------------------------------------------------

RANDOM = np.random.default_rng(0)


def test_it_is_the_textbook_formula():
    from scipy.linalg import sqrtm

    a, b = RANDOM.normal(size=(80, 6)) @ RANDOM.normal(size=(6, 6)), RANDOM.normal(size=(90, 6)) + 1
    s, t = np.cov(a.T), np.cov(b.T)
    wanted = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(s + t - 2 * np.real(sqrtm(s @ t)))
    found = frechet_distance(a, b)
    assert found["distance"] == pytest.approx(wanted) == found["means"] + found["covariances"]
    assert (found["n_reference"], found["n_other"], found["dimensions"], found["singular"]) == (80, 90, 6, False)
    json.dumps(found, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), st.integers(2, 12), st.integers(2, 12), st.integers(1, 20), st.sampled_from([1e-8, 1, 1e6]))
def test_real_symmetric_and_not_negative_on_singular_covariances(seed, n, m, dimensions, scale):
    random = np.random.default_rng(seed)
    direction = random.normal(size=(1, dimensions))
    a = scale * (random.normal(size=(n, 1)) * direction + 1e-9 * random.normal(size=(n, dimensions)))
    b = scale * random.normal(size=(m, 1)) * direction
    there, back = frechet_distance(a, b), frechet_distance(b, a)
    assert isinstance(there["distance"], float) and np.isfinite(there["distance"]) and there["distance"] >= 0
    assert there["distance"] == pytest.approx(back["distance"], rel=1e-6, abs=1e-9 * scale**2)
    assert frechet_distance(a, a)["distance"] <= 1e-9 * max(1.0, float(np.square(a).sum()))
    assert there["singular"] == (min(n, m) <= dimensions)


def test_diversity_is_the_mean_distance_of_pairs():
    points = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    assert diversity(points) == {"diversity": pytest.approx(10 / 3), "n_embeddings": 3}
    assert diversity(np.ones((5, 4)))["diversity"] == 0
    assert diversity(np.ones((1, 4))) == {"diversity": None, "n_embeddings": 1}
