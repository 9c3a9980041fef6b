"""Blend metrics: how much of each style is really in a blend. Pure functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.units import ratio_to_cents

SMALLEST_RANGE_CENTS = 50.0
SHARE_LIMITS = (-0.5, 1.5)


@dataclass(frozen=True)
class RealisedShare:
    """Share of B that is found in a blend.

    Attributes:
        share: (T,), clipped to [-0.5, 1.5]; NaN where it cannot be measured.
        measured: (T,) bool.
    """

    share: NDArray[np.float64]
    measured: NDArray[np.bool_]

    def mean(self, part: slice = slice(None)) -> float:
        """Mean share over a part of the utterance, NaN where nothing was measured."""
        chosen = self.share[part][self.measured[part]]
        return float(chosen.mean()) if chosen.size else float("nan")


def realised_f0_share(a: Contour, b: Contour, blend: Contour) -> RealisedShare:
    """Project the blend's log-F0 on the way from A to B, frame by frame.

    Args:
        a: Contour of the render in style A (T,).
        b: Contour of the render in style B, same durations and noise.
        blend: Contour of the blend, same durations and noise.

    Returns:
        Shares where all three are voiced and A and B are at least 50 cents apart.

    Raises:
        InputError: The three differ in length.
    """
    _require_same_length(len(a), len(b), len(blend))
    span = ratio_to_cents(b.f0_hz / a.f0_hz)
    moved = ratio_to_cents(blend.f0_hz / a.f0_hz)
    measured = a.voiced & b.voiced & blend.voiced & (np.abs(span) >= SMALLEST_RANGE_CENTS)
    share = np.full(len(a), np.nan)
    share[measured] = np.clip(moved[measured] / span[measured], *SHARE_LIMITS)
    return RealisedShare(share, measured)


def realised_envelope_share(a: NDArray, b: NDArray, blend: NDArray, active: NDArray) -> RealisedShare:
    """Project the blend's spectral envelope on the way from A to B, frame by frame.

    Args:
        a: Level-invariant log envelopes (D, T) of the render in style A.
        b: The same in style B, same durations and noise.
        blend: The same of the blend.
        active: Frames to measure (T,) bool.

    Returns:
        Shares per active frame.

    Raises:
        InputError: Shapes differ.
    """
    if not a.shape == b.shape == blend.shape or a.shape[1:] != active.shape:
        raise InputError(f"envelopes {a.shape}, {b.shape}, {blend.shape}, frames {active.shape}: expected equal frames")
    way = b - a
    length = np.square(way).sum(0)
    measured = active & (length > 1e-8)
    share = np.full(a.shape[1], np.nan)
    projection = ((blend - a) * way).sum(0)
    share[measured] = np.clip(projection[measured] / length[measured], *SHARE_LIMITS)
    return RealisedShare(share, measured)


def control_error(realised: RealisedShare, wanted: NDArray) -> float:
    """Root mean square of realised minus wanted share (T,), over measured frames; NaN if there is none."""
    _require_same_length(len(realised.share), len(wanted))
    if not realised.measured.any():
        return float("nan")
    error = realised.share[realised.measured] - np.asarray(wanted)[realised.measured]
    return float(np.sqrt(np.square(error).mean()))


def monotonicity(weights: NDArray, shares: NDArray) -> float:
    """Spearman correlation of realised shares with the weights of a sweep (n,)."""
    _require_same_length(len(weights), len(shares))
    return float(spearmanr(weights, shares).statistic)


def linearity(weights: NDArray, shares: NDArray) -> float:
    """R² of realised shares against the line share = weight (no fitted slope: the line is the claim)."""
    weights, shares = np.asarray(weights, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    _require_same_length(len(weights), len(shares))
    residual = np.square(shares - weights).sum()
    return float(1 - residual / np.square(shares - shares.mean()).sum())


def _require_same_length(*lengths: int) -> None:
    if len(set(lengths)) != 1:
        raise InputError(f"frames differ: {', '.join(map(str, lengths))}; render with the same durations")
