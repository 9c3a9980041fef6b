"""What can be said about contours in a few numbers: level, range, and how far a blend went from A to B."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.units import CENTS_PER_NAT, ratio_to_semitones

RANGE_PERCENTILES = (5.0, 95.0)
LEAST_DISTANCE_CENTS = 50.0
"""Frames where A and B are nearer than this say nothing about a blend of their pitch."""

FEWEST_FRAMES = 5


@dataclass(frozen=True)
class F0Statistics:
    """Pitch of one utterance.

    Attributes:
        median_hz: Median F0 of voiced frames; None when nothing is voiced.
        range_semitones: From the 5th to the 95th percentile of F0; None when nothing is voiced.
        voiced_share: Voiced frames of all frames, in [0, 1].
    """

    median_hz: float | None
    range_semitones: float | None
    voiced_share: float

    def to_dict(self) -> dict[str, Any]:
        """Rounded plain JSON values."""
        return {
            "median_hz": None if self.median_hz is None else round(self.median_hz, 2),
            "range_semitones": None if self.range_semitones is None else round(self.range_semitones, 3),
            "voiced_share": round(self.voiced_share, 4),
        }


@dataclass(frozen=True)
class RealisedShare:
    """How much of B's pitch was heard.

    Attributes:
        value: 0 is A's pitch, 1 is B's; None when it cannot be measured.
        frames: Frames it was measured on.
        reason: Why there is no value, else None.
    """

    value: float | None
    frames: int
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Rounded plain JSON values."""
        value = None if self.value is None else round(self.value, 4)
        return {"value": value, "frames": self.frames, "reason": self.reason}


def f0_statistics(contour: Contour, frames: slice = slice(None)) -> F0Statistics:
    """Sum up the pitch of some frames of a contour.

    Args:
        contour: The utterance (T,).
        frames: Frames that count, all by default.

    Returns:
        Median, range and share of voiced frames.
    """
    voiced = contour.voiced[frames]
    f0_hz = contour.f0_hz[frames][voiced].astype(np.float64)
    if not len(f0_hz):
        return F0Statistics(None, None, 0.0)
    low, high = np.percentile(f0_hz, RANGE_PERCENTILES)
    return F0Statistics(float(np.median(f0_hz)), float(ratio_to_semitones(high / low)), float(voiced.mean()))


def thirds(frames: int) -> tuple[slice, slice, slice]:
    """First, middle and last third of a number of frames."""
    first, second = round(frames / 3), round(2 * frames / 3)
    return slice(0, first), slice(first, second), slice(second, frames)


def realised_share(a: Contour, b: Contour, blend: Contour, frames: slice = slice(None)) -> RealisedShare:
    """Measure how far the pitch of a blend went from A to B.

    The line from A's log-F0 to B's is drawn at each frame, and the blend is projected on it by least squares, so that
    frames where A and B are far apart count more.

    Args:
        a: Plain rendering in style A with the blend's durations (T,).
        b: Plain rendering in style B, likewise.
        blend: The blend (T,).
        frames: Frames that count, all by default.

    Returns:
        The share, with a reason when fewer than :data:`FEWEST_FRAMES` frames are voiced in all three with A and B at
        least :data:`LEAST_DISTANCE_CENTS` apart.

    Raises:
        InputError: The contours differ in length.
    """
    if not len(a) == len(b) == len(blend):
        raise InputError(f"contours of {len(a)}, {len(b)} and {len(blend)} frames; expected the same durations")
    log_a, log_b, log_x = (np.log(c.f0_hz[frames].astype(np.float64)) for c in (a, b, blend))
    voiced = a.voiced[frames] & b.voiced[frames] & blend.voiced[frames]
    usable = voiced & (np.abs(log_b - log_a) * CENTS_PER_NAT >= LEAST_DISTANCE_CENTS)
    count = int(usable.sum())
    if count < FEWEST_FRAMES:
        what = f"voiced in A, B and the blend with A and B at least {LEAST_DISTANCE_CENTS:g} cents apart"
        return RealisedShare(None, count, f"{count} frames are {what}; expected at least {FEWEST_FRAMES}")
    way = (log_b - log_a)[usable]
    return RealisedShare(float(((log_x - log_a)[usable] * way).sum() / (way * way).sum()), count)
