"""Intervals of means, and what a rendering costs."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.bootstrap import mean_with_interval, ratio_with_interval
from gradtts_interp.evaluation.cost import Cost


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12), st.integers(0, 99))
def test_the_mean_lies_in_its_interval_and_the_interval_among_the_values(values, seed):
    found = mean_with_interval(values, seed=seed)
    slack = 1e-9 + 1e-9 * max(map(abs, values))
    assert found.mean == pytest.approx(np.mean(values)) and found.n == len(values)
    assert min(values) - slack <= found.low <= found.high <= max(values) + slack
    assert found.low - slack <= found.mean <= found.high + slack or len(set(values)) > 1


def test_it_is_the_interval_of_the_normal_theory_for_many_values():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    found = mean_with_interval(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert found.low == pytest.approx(values.mean() - half, abs=0.05)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05)
    assert mean_with_interval(values) == found, "the same seed, the same interval"


def test_it_holds_the_true_mean_as_often_as_it_says():
    random = np.random.default_rng(1)
    held = [(f := mean_with_interval(random.normal(size=30))).low <= 0 <= f.high for _ in range(150)]
    assert 0.87 < np.mean(held) < 0.99  # 95 %, less what the percentile bootstrap of 30 values is too narrow


def test_one_value_has_no_interval_and_none_is_named():
    found = mean_with_interval([2.5])
    assert (found.mean, found.low, found.high, found.n) == (2.5, 2.5, 2.5, 1)
    for values in ([], [1.0, np.nan]):
        with pytest.raises(InputError, match="expected at least one, all finite"):
            mean_with_interval(values)


def test_cost_is_of_the_block_alone():
    device = torch.device("cpu")
    with Cost(device) as small:
        time.sleep(0.05)
    with Cost(device) as large:
        np.ones(2**25).sum()  # 256 MiB for a moment
    with Cost(device) as after:
        pass
    assert 0.05 <= small.seconds < 2 and after.seconds < small.seconds
    if small.peak_mib is None:
        pytest.skip("this system does not tell the peak of a process")
    assert large.peak_mib - small.peak_mib > 200
    assert after.peak_mib < large.peak_mib - 200, "an earlier peak does not count"


def test_a_rate_is_pooled_over_totals_and_its_interval_is_of_whole_utterances():
    found = ratio_with_interval([1, 0, 2], [2, 8, 10])
    assert found.mean == pytest.approx(0.15) and found.n == 3
    assert (found.low, found.high) == (pytest.approx(0.0), pytest.approx(0.5))
    alone = ratio_with_interval([1], [4])
    assert (alone.mean, alone.low, alone.high) == (0.25, 0.25, 0.25)


def test_equal_totals_give_the_interval_of_the_mean():
    rates = np.random.default_rng(1).uniform(0, 1, 30)
    pooled, mean = ratio_with_interval(list(4 * rates), [4] * 30), mean_with_interval(list(rates))
    assert (pooled.low, pooled.high) == (pytest.approx(mean.low, abs=0.02), pytest.approx(mean.high, abs=0.02))


@pytest.mark.parametrize(("counts", "totals"), [([], []), ([1], [2, 3]), ([1, 0], [2, 0])])
def test_a_rate_of_nothing_is_refused(counts, totals):
    with pytest.raises(InputError, match="totals > 0"):
        ratio_with_interval(counts, totals)
