"""Means and pooled rates with bootstrap intervals over utterances; how far apart two sets of embeddings are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
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


def mean_with_interval(values: Sequence[float]) -> Interval:
    """Mean of values with a 95 % percentile bootstrap interval.

    Args:
        values: One value per utterance, finite.

    Returns:
        The interval; for fewer than two values, or equal ones, its ends are the mean.

    Raises:
        InputError: No value, or one that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise InputError(f"mean of {array.size} values: expected at least one, all finite")
    return _with_interval(np.mean, array)


def ratio_with_interval(counts: Sequence[float], totals: Sequence[float]) -> Interval:
    """Rate pooled over utterances, such as errors over words, with a 95 % percentile bootstrap interval over them.

    Args:
        counts: What is counted in each utterance.
        totals: Of how many in each, > 0.

    Returns:
        The interval, whose ``mean`` is the sum of the counts over that of the totals; for a single utterance its ends
        are the same.

    Raises:
        InputError: No utterance, lists of different length, or a total that is not > 0.
    """
    part, whole = np.asarray(counts, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    if part.size == 0 or part.shape != whole.shape or not (whole > 0).all():
        raise InputError(f"{part.size} counts of {whole.size} totals: expected as many, at least one, totals > 0")
    return _with_interval(lambda part, whole, axis: part.sum(axis) / whole.sum(axis), part, whole)


def _with_interval(statistic: Callable[..., Any], *data: NDArray[np.float64]) -> Interval:
    """A statistic of values of the same utterances with its bootstrap interval, which is empty where all are alike."""
    value, count = float(statistic(*data, axis=0)), data[0].size
    if all(np.ptp(values) == 0 for values in data):
        return Interval(value, value, value, count)
    random = np.random.default_rng(0)
    found = bootstrap(data, statistic, paired=True, method="percentile", rng=random).confidence_interval
    return Interval(value, float(found.low), float(found.high), count)


def frechet_distance(reference: NDArray[Any], other: NDArray[Any]) -> dict[str, Any]:
    """Squared Fréchet distance of two Gaussians fitted to embeddings, without a matrix square root.

    With centred embeddings X (n, D) and Y (m, D), divided by √(n−1) and √(m−1), the covariances are XᵀX and YᵀY, and
    ``tr((XᵀX)(YᵀY))^½`` is the sum of singular values of XYᵀ. So the answer is real whatever the ranks, and at least 0
    up to rounding, which is cut off.

    Args:
        reference: Embeddings (n, D), n >= 2.
        other: Embeddings (m, D) of the same model, m >= 2.

    Returns:
        ``distance`` (squared, as "FID" and "FAD" are, >= 0, in squared units of the embeddings); its parts ``means``
        and ``covariances``; ``n_reference``, ``n_other`` and ``dimensions``; and whether it is ``singular``: a
        covariance has fewer embeddings than it needs (n <= dimensions), so the distance is above that of more data,
        and only comparable at the same n.

    Source: Dowson & Landau 1982; Heusel et al. 2017.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (reference, other))
    mean_a, mean_b = a.mean(0), b.mean(0)
    x, y = (a - mean_a) / np.sqrt(len(a) - 1), (b - mean_b) / np.sqrt(len(b) - 1)
    x, y = _short_factor(x), _short_factor(y)
    overlap = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    means = float(np.square(mean_a - mean_b).sum())
    covariances = float(max(np.square(x).sum() + np.square(y).sum() - 2 * overlap, 0.0))
    return {
        "distance": means + covariances,
        "means": means,
        "covariances": covariances,
        "n_reference": len(a),
        "n_other": len(b),
        "dimensions": a.shape[1],
        "singular": min(len(a), len(b)) <= a.shape[1],
    }


def diversity(embeddings: NDArray[Any]) -> dict[str, Any]:
    """Mean Euclidean distance over all pairs of a set; 0 where all are the same.

    Args:
        embeddings: (n, D).

    Returns:
        ``diversity``, None with fewer than two embeddings, and ``n_embeddings``.
    """
    found = float(pdist(embeddings).mean()) if len(embeddings) > 1 else None
    return {"diversity": found, "n_embeddings": len(embeddings)}


def _short_factor(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """A factor (min(n, D), D) with the same xᵀx."""
    return np.asarray(np.linalg.qr(x, mode="r")) if x.shape[0] > x.shape[1] else x
