"""Two sets of embeddings: how far apart their distributions are, and how diverse each is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from gradtts_interp.errors import InputError


@dataclass(frozen=True)
class FrechetDistance:
    """Distance of two Gaussians fitted to embeddings.

    Attributes:
        distance: Squared Fréchet distance (as "FID" and "FAD" are), >= 0, in squared units of the embeddings.
        means: Part of it that is the distance of the means.
        covariances: Part of it that is the covariances'.
        n_reference: Embeddings of the reference.
        n_other: Embeddings of the other.
        dimensions: Of the embeddings.
        singular: Whether a covariance has fewer embeddings than it needs (n <= dimensions): the distance is then
            above that of more data, and only comparable at the same n.
    """

    distance: float
    means: float
    covariances: float
    n_reference: int
    n_other: int
    dimensions: int
    singular: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def frechet_distance(reference: NDArray[Any], other: NDArray[Any]) -> FrechetDistance:
    """Squared Fréchet distance of two Gaussians fitted to embeddings, without a matrix square root.

    With centred embeddings X (n, D) and Y (m, D), divided by √(n−1) and √(m−1), the covariances are XᵀX and YᵀY, and
    ``tr((XᵀX)(YᵀY))^½`` is the sum of singular values of XYᵀ. So the answer is real whatever the ranks, and at least 0
    up to rounding, which is cut off.

    Args:
        reference: Embeddings (n, D), n >= 2.
        other: Embeddings (m, D) of the same model, m >= 2.

    Returns:
        The distance, its two parts, and the numbers it rests on.

    Raises:
        InputError: Shapes do not fit, a set has fewer than two embeddings, or a value is not finite.

    Source: Dowson & Landau 1982; Heusel et al. 2017.
    """
    a, b = _embeddings(reference, least=2), _embeddings(other, least=2)
    if a.shape[1] != b.shape[1]:
        raise InputError(f"embeddings of {a.shape[1]} and {b.shape[1]} dimensions; expected those of one model")
    mean_a, mean_b = a.mean(0), b.mean(0)
    x, y = (a - mean_a) / np.sqrt(len(a) - 1), (b - mean_b) / np.sqrt(len(b) - 1)
    x, y = _short_factor(x), _short_factor(y)
    overlap = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    means = float(np.square(mean_a - mean_b).sum())
    covariances = float(max(np.square(x).sum() + np.square(y).sum() - 2 * overlap, 0.0))
    singular = min(len(a), len(b)) <= a.shape[1]
    return FrechetDistance(means + covariances, means, covariances, len(a), len(b), a.shape[1], singular)


def diversity(embeddings: NDArray[Any]) -> dict[str, Any]:
    """Mean Euclidean distance over all pairs of a set; 0 where all are the same.

    Args:
        embeddings: (n, D), n >= 1.

    Returns:
        ``diversity``, None with one embedding, and ``n_embeddings``.

    Raises:
        InputError: The shape is not (n, D) or a value is not finite.
    """
    values = _embeddings(embeddings, least=1)
    return {"diversity": float(pdist(values).mean()) if len(values) > 1 else None, "n_embeddings": len(values)}


def _short_factor(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """A factor (min(n, D), D) with the same xᵀx."""
    return np.asarray(np.linalg.qr(x, mode="r")) if x.shape[0] > x.shape[1] else x


def _embeddings(values: NDArray[Any], *, least: int) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] < least or array.shape[1] < 1:
        raise InputError(f"embeddings of shape {array.shape}; expected (n, D) with n >= {least}")
    if not np.isfinite(array).all():
        raise InputError("embeddings that are not finite; leave out the files that could not be embedded")
    return array
