"""Equal steps: at which shares must be asked so that what is realised is spaced equally."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from gradtts_interp.errors import InputError

SMALLEST_RISE = 1e-4
"""Points of a measured curve that rise by less count as one."""


def shares_for_equal_steps(asked: ArrayLike, realised: ArrayLike, steps: int) -> NDArray[np.float64]:
    """Invert a measured curve, so that its values are spaced equally from its first to its last.

    The curve is made monotone first (least squares), since a tracker's errors can make it fall; between its points it
    is a monotone cubic.

    Args:
        asked: Shares that were asked for (n,), each once.
        realised: What was measured at them (n,).
        steps: Number of shares wanted, at least 2.

    Returns:
        Rising shares (steps,); the first and the last are the smallest and the largest of ``asked``.

    Raises:
        InputError: Fewer than two points or steps, a value that is not finite, or a curve that does not rise.

    Source: Fritsch & Carlson 1980 (PCHIP); Barlow et al. 1972 (isotonic regression).
    """
    asked, realised = np.asarray(asked, dtype=np.float64), np.asarray(realised, dtype=np.float64)
    if steps < 2 or len(asked) < 2 or asked.shape != realised.shape:
        raise InputError(f"{steps} steps of {len(asked)} points; expected at least 2 of both")
    if not (np.isfinite(asked).all() and np.isfinite(realised).all()):
        raise InputError("a curve with values that are not finite; expected a measure of every step")
    order = np.argsort(asked)
    asked, rising = asked[order], isotonic_regression(realised[order]).x
    kept = [0]
    for i in range(1, len(asked)):
        if rising[i] - rising[kept[-1]] > SMALLEST_RISE:
            kept.append(i)
    if len(kept) < 2:
        raise InputError(
            f"what is realised does not rise from A to B ({realised[0]:.3f} to {realised[-1]:.3f}): there are no steps "
            "to equalise"
        )
    inverse = PchipInterpolator(rising[kept], asked[kept])
    found = np.clip(inverse(np.linspace(rising[kept[0]], rising[kept[-1]], steps)), asked[0], asked[-1])
    found[[0, -1]] = asked[[0, -1]]
    return found


def error_of_steps(realised: ArrayLike) -> float:
    """Largest distance of realised shares (n,) from equal spacing between the first and the last."""
    realised = np.asarray(realised, dtype=np.float64)
    return float(np.abs(realised - np.linspace(realised[0], realised[-1], len(realised))).max())
