"""What can be said about the pitch of an utterance in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gradtts_interp.pitch.contour import Contour
from gradtts_interp.units import ratio_to_semitones

RANGE_PERCENTILES = (5.0, 95.0)


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
