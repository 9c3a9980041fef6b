"""Blend metrics: how much of each style is really in a blend. Pure functions on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.units import ratio_to_cents

SMALLEST_RANGE_CENTS = 50.0
SMALLEST_RANGE_DB = 1.0
LONGEST_LAG_MS = 500.0
SEAM_PERCENTILE = 99.0
SHARE_LIMITS = (-0.5, 1.5)
FEWEST_FRAMES = 5
"""A realised share of fewer frames would be chance."""
SMALLEST_MOVE = 1e-9
"""Shares of a sweep that differ by less stand still: that is rounding."""


RealisedShare = NDArray[np.float64]
"""Share of B that is found in each frame of a blend (T,), clipped to :data:`SHARE_LIMITS`; NaN where it cannot be
measured."""


def measured(realised: RealisedShare) -> RealisedShare:
    """The values that could be measured, for their number and mean."""
    return realised[np.isfinite(realised)]


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
    span, moved = ratio_to_cents(b.f0_hz / a.f0_hz), ratio_to_cents(blend.f0_hz / a.f0_hz)
    return _share_of_way(moved, span, a.voiced & b.voiced & blend.voiced & (np.abs(span) >= SMALLEST_RANGE_CENTS))


def realised_energy_share(a: Contour, b: Contour, blend: Contour) -> RealisedShare:
    """Project the blend's frame level on the way from A to B, frame by frame.

    Args:
        a: Contour of the render in style A (T,).
        b: Contour of the render in style B, same durations and noise.
        blend: Contour of the blend, same durations and noise.

    Returns:
        Shares where A and B are voiced, so that no level is a floor's, and at least 1 dB apart.

    Raises:
        InputError: The three differ in length.
    """
    _require_same_length(len(a), len(b), len(blend))
    span, moved = (c.energy_db.astype(np.float64) - a.energy_db for c in (b, blend))
    return _share_of_way(moved, span, a.voiced & b.voiced & (np.abs(span) >= SMALLEST_RANGE_DB))


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
    return _share_of_way(((blend - a) * way).sum(0), length, active & (length > 1e-8))


def _share_of_way(moved: NDArray, span: NDArray, known: NDArray) -> RealisedShare:
    """How far along a span (T,) something moved, where that is known."""
    share = np.full(len(known), np.nan)
    share[known] = np.clip(moved[known] / span[known], *SHARE_LIMITS)
    return share


def control_error(realised: RealisedShare, wanted: NDArray) -> float:
    """Root mean square of realised minus wanted share (T,), over measured frames; NaN if there is none."""
    _require_same_length(len(realised), len(wanted))
    error = measured(realised - wanted)
    return float(np.sqrt(np.square(error).mean())) if error.size else float("nan")


def lag_ms(realised: RealisedShare, wanted: NDArray, frame_rate_hz: float) -> float:
    """How much later than asked the share moves, by cross-correlation.

    The request is shifted by up to half a second, or half of the utterance, its end values held, and compared with
    the realised share on measured frames by Pearson's r. A ramp that fills the utterance tells its lag poorly.

    Args:
        realised: Realised share (T,).
        wanted: Requested share (T,).
        frame_rate_hz: Frames per second.

    Returns:
        Milliseconds, above 0 where the blend is late; NaN where the request does not move, or too little is measured.

    Raises:
        InputError: The two differ in length.
    """
    wanted = np.asarray(wanted, dtype=np.float64)
    _require_same_length(len(realised), len(wanted))
    places = np.flatnonzero(np.isfinite(realised))
    found = realised[places]
    if len(places) < 2 or np.ptp(wanted) < 1e-6 or np.ptp(found) < 1e-6:
        return float("nan")
    longest = max(min(round(LONGEST_LAG_MS / 1000 * frame_rate_hz), len(wanted) // 2), 1)
    lags = sorted(range(-longest, longest + 1), key=abs)  # of equal correlations the shortest lag wins
    moved = [wanted[np.clip(places - lag, 0, len(wanted) - 1)] for lag in lags]
    scores = [np.corrcoef(found, m)[0, 1] if np.ptp(m) > 1e-6 else -1.0 for m in moved]
    return float(lags[int(np.argmax(scores))] / frame_rate_hz * 1000)


def leakage(a: NDArray, b: NDArray, blend: NDArray, wanted: NDArray) -> float:
    """Distance of the blend to A over the distance of B to A, where nothing of B was asked for.

    Args:
        a: Log-mel (M, T) of the render in style A.
        b: Log-mel of the render in style B, same durations and noise.
        blend: Log-mel of the blend, same durations and noise.
        wanted: Requested share of B, (T,) or (M, T).

    Returns:
        0 where the blend is A itself, 1 where it is as far from A as B is; NaN where B is asked for everywhere.

    Raises:
        InputError: Frames differ.
    """
    _require_same_length(a.shape[1], b.shape[1], blend.shape[1], np.shape(wanted)[-1])
    outside = np.broadcast_to(np.asarray(wanted) == 0, a.shape)
    whole = float(np.square(b - a)[outside].sum())
    if whole <= 0:
        return float("nan")
    return float(np.sqrt(np.square(blend - a)[outside].sum() / whole))


def seam(a: NDArray, b: NDArray, blend: NDArray, transition: NDArray) -> float:
    """How rough the transition is: jumps of the blend over those of the plain renders at the same place.

    Args:
        a: Log-mel (M, T) of the render in style A.
        b: Log-mel of the render in style B, same durations and noise.
        blend: Log-mel of the blend, same durations and noise.
        transition: Frames of the transition (T,) bool.

    Returns:
        99th percentile of the absolute first difference over time of the blend, over the mean of A's and B's; 1 is
        as smooth as plain speech. NaN where the transition has fewer than two frames or the plain renders stand still.

    Raises:
        InputError: Frames differ.
    """
    _require_same_length(a.shape[1], b.shape[1], blend.shape[1], len(transition))
    inside = np.asarray(transition[1:]) & np.asarray(transition[:-1])
    if not inside.any():
        return float("nan")
    jumps = [np.percentile(np.abs(np.diff(mel, axis=1))[:, inside], SEAM_PERCENTILE) for mel in (a, b, blend)]
    usual = (jumps[0] + jumps[1]) / 2
    return float(jumps[2] / usual) if usual > 0 else float("nan")


def selectivity(moved_as_asked: float, moved_beside: float) -> float:
    """Movement of what should not move per unit of what should.

    Args:
        moved_as_asked: Share by which the asked-for quality moved, such as F0 towards A.
        moved_beside: Share by which the other moved, such as the envelope towards A.

    Returns:
        0 for a perfect separation, 1 where both move alike; NaN where nothing moved as asked.
    """
    return float(abs(moved_beside) / moved_as_asked) if moved_as_asked > 0 else float("nan")


def monotonicity(weights: NDArray, shares: NDArray) -> float:
    """Spearman correlation of realised shares with the weights of a sweep (n,); NaN where either stands still."""
    from scipy.stats import spearmanr  # here, since the main job uses this module and ranks nothing

    if not _moves(weights) or not _moves(shares):
        return float("nan")
    return float(spearmanr(weights, shares).statistic)


def linearity(weights: NDArray, shares: NDArray) -> float:
    """R² of realised shares (n,) against the line share = weight (no fitted slope: the line is the claim).

    NaN where the shares stand still: R² is relative to their own spread, which is zero.
    """
    weights, shares = np.asarray(weights, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if not _moves(shares):
        return float("nan")
    residual = np.square(shares - weights).sum()
    return float(1 - residual / np.square(shares - shares.mean()).sum())


def _moves(values: NDArray) -> bool:
    """Whether values (n,) are known and not all the same, rounding aside."""
    values = np.asarray(values, dtype=np.float64)
    return bool(values.size > 1 and np.isfinite(values).all() and np.ptp(values) > SMALLEST_MOVE)


def _require_same_length(*lengths: int) -> None:
    if len(set(lengths)) != 1:
        raise InputError(f"frames differ: {', '.join(map(str, lengths))}; render with the same durations")
