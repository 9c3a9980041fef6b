"""Means and pooled rates with bootstrap intervals over utterances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

from gradtts_interp.errors import InputError


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
        mean: Mean of the values.
        low: Lower end.
        high: Upper end.
        n: Number of values.
    """

    mean: float
    low: float
    high: float
    n: int

    def text(self) -> str:
        """As ``mean [low, high]``."""
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def mean_with_interval(values: Sequence[float], *, seed: int = 0) -> Interval:
    """Mean of values with a 95 % percentile bootstrap interval.

    Args:
        values: One value per utterance, finite.
        seed: Of the resampling.

    Returns:
        The interval; for fewer than two values, or equal ones, its ends are the mean.

    Raises:
        InputError: No value, or one that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise InputError(f"mean of {array.size} values: expected at least one, all finite")
    mean = float(array.mean())
    if array.size < 2 or np.ptp(array) == 0:
        return Interval(mean, mean, mean, array.size)
    found = bootstrap((array,), np.mean, method="percentile", rng=np.random.default_rng(seed)).confidence_interval
    return Interval(mean, float(found.low), float(found.high), array.size)


def ratio_with_interval(counts: Sequence[float], totals: Sequence[float], *, seed: int = 0) -> Interval:
    """Rate pooled over utterances, such as errors over words, with a 95 % percentile bootstrap interval over them.

    Args:
        counts: What is counted in each utterance.
        totals: Of how many in each, > 0.
        seed: Of the resampling.

    Returns:
        The interval, whose ``mean`` is the sum of the counts over that of the totals; for a single utterance its ends
        are the same.

    Raises:
        InputError: No utterance, lists of different length, or a total that is not > 0.
    """
    part, whole = np.asarray(counts, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    if part.size == 0 or part.shape != whole.shape or not (whole > 0).all():
        raise InputError(f"{part.size} counts of {whole.size} totals: expected as many, at least one, totals > 0")
    rate = float(part.sum() / whole.sum())
    if part.size < 2:
        return Interval(rate, rate, rate, part.size)

    def pooled(part: np.ndarray, whole: np.ndarray, axis: int) -> np.ndarray:
        return part.sum(axis) / whole.sum(axis)

    source = np.random.default_rng(seed)
    found = bootstrap((part, whole), pooled, paired=True, method="percentile", rng=source).confidence_interval
    return Interval(rate, float(found.low), float(found.high), part.size)
