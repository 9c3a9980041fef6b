"""Errors of pitch, voicing, level and timing against a reference on the same frames.

A value that cannot be measured, since no frame qualifies or nothing varies, is None: never NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.units import ratio_to_cents

GROSS_RATIO = 0.2
"""A pitch further off than this share of the reference is a gross error."""

OCTAVE_BORDER_CENTS = 600.0
"""A pitch further off than half an octave is nearer to another octave."""

ENERGY_RANGE_DB = 60.0
"""Frames further below the loudest one count as this far below, so that digital silence has no say."""

SMALLEST_SPREAD = 1e-5
"""A track of a smaller standard deviation (nats of F0, dB of level) stands still: a correlation would be rounding."""


@dataclass(frozen=True)
class ContourErrors:
    """Errors of a contour against a reference.

    Attributes:
        f0_rms_cents: Root mean square of 1200·log2 of synthesis over reference, both voiced.
        f0_mean_cents: Its mean, above 0 where the synthesis is too high.
        f0_correlation: Pearson's r of log-F0, both voiced.
        coverage: Frames where both are voiced, of those where the reference is.
        gpe: Both-voiced frames more than 20 % off.
        octave: Both-voiced frames nearer to another octave than to the reference.
        vde: Frames whose voicing differs, of all.
        ffe: Frames with a gross or a voicing error, of all.
        energy_rmse_db: Root mean square difference of frame levels after removing the mean of it.
        energy_correlation: Pearson's r of frame levels in dB.
        frames: Frames compared (N).
        both_voiced: Frames where both are voiced (N_vv); with 0, all of F0 but ``coverage`` is None.
    """

    f0_rms_cents: float | None
    f0_mean_cents: float | None
    f0_correlation: float | None
    coverage: float | None
    gpe: float | None
    octave: float | None
    vde: float
    ffe: float
    energy_rmse_db: float
    energy_correlation: float | None
    frames: int
    both_voiced: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def contour_errors(reference: Contour, synthesis: Contour) -> ContourErrors:
    """Compare two contours frame by frame.

    Args:
        reference: The truth (T,).
        synthesis: The same frames (T,); align first where the timing differs.

    Returns:
        All errors, F0 where both are voiced, voicing and level over all frames.

    Raises:
        InputError: The contours differ in length or frame rate, or have no frames.

    Source: Chu & Alwan 2009 (FFE); Nakatani et al. 2008 (GPE, VDE).
    """
    _require_comparable(reference, synthesis)
    frames = len(reference)
    both = reference.voiced & synthesis.voiced
    count = int(both.sum())
    voiced = int(reference.voiced.sum())
    voicing_errors = int((reference.voiced != synthesis.voiced).sum())
    f0 = reference.f0_hz[both].astype(np.float64), synthesis.f0_hz[both].astype(np.float64)
    cents = ratio_to_cents(f0[1] / f0[0])
    gross = int((np.abs(f0[1] / f0[0] - 1) > GROSS_RATIO).sum())
    level = [bounded_level(contour) for contour in (reference, synthesis)]
    difference = level[1] - level[0]
    return ContourErrors(
        f0_rms_cents=float(np.sqrt(np.square(cents).mean())) if count else None,
        f0_mean_cents=float(cents.mean()) if count else None,
        f0_correlation=correlation(np.log(f0[0]), np.log(f0[1])),
        coverage=count / voiced if voiced else None,
        gpe=gross / count if count else None,
        octave=float((np.abs(cents) > OCTAVE_BORDER_CENTS).mean()) if count else None,
        vde=voicing_errors / frames,
        ffe=(gross + voicing_errors) / frames,
        energy_rmse_db=float(np.std(difference)),
        energy_correlation=correlation(*level),
        frames=frames,
        both_voiced=count,
    )


def bounded_level(contour: Contour) -> NDArray[np.float64]:
    """Frame levels (T,) in dB, at least 60 dB below the loudest frame."""
    level = contour.energy_db.astype(np.float64)
    return np.maximum(level, level.max() - ENERGY_RANGE_DB)


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    """Pearson's r of two tracks (n,); None for fewer than 3 values, or where one stands still."""
    if len(a) != len(b):
        raise InputError(f"tracks of {len(a)} and {len(b)} values; expected equal numbers")
    if len(a) < 3 or min(np.std(a), np.std(b)) < SMALLEST_SPREAD:
        return None
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1.0, 1.0))


def _require_comparable(reference: Contour, synthesis: Contour) -> None:
    rates = reference.frame_rate_hz, synthesis.frame_rate_hz
    if not np.isclose(*rates, rtol=1e-6):
        raise InputError(f"contours at {rates[0]:g} and {rates[1]:g} frames per second; expected one frame grid")
    if len(reference) != len(synthesis):
        raise InputError(f"contours of {len(reference)} and {len(synthesis)} frames; align them first")
    if len(reference) == 0:
        raise InputError("contours without frames; expected at least 1")
    for name, contour in (("reference", reference), ("synthesis", synthesis)):
        if not np.isfinite(contour.energy_db).all():
            raise InputError(f"{name} has levels that are NaN or infinite; expected dB with a floor")


# -- timing -----------------------------------------------------------------------------------------------------------

Phone = tuple[str, float, float]
"""A phone's label, start and end in seconds; pauses have an empty label."""

PAUSES = frozenset({"", "sil", "sp", "spn", "pau", "_", "<sil>", "<eps>"})
"""Labels of pauses in common aligners, in small letters."""


@dataclass(frozen=True)
class DurationErrors:
    """Errors of timing against a reference.

    Attributes:
        duration_ms: Mean absolute error of phone durations; None where the phones differ.
        rate_ratio: Phones per second, pauses between them included, synthesis over reference.
        phones: Phones of the reference.
    """

    duration_ms: float | None
    rate_ratio: float
    phones: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def duration_errors(reference: Sequence[Phone], synthesis: Sequence[Phone]) -> DurationErrors:
    """Compare phone durations and speaking rate.

    Args:
        reference: Phones in order; pauses are left out.
        synthesis: Phones of the synthesis.

    Returns:
        Errors; of the durations only where both have the same phones, whatever stress they are marked with.

    Raises:
        InputError: One of them has no phones, or a phone that does not last.
    """
    spoken = [sounding_phones(phones) for phones in (reference, synthesis)]
    rates = [speaking_rate_hz(phones) for phones in (reference, synthesis)]
    error = None
    if plain_labels(spoken[0]) == plain_labels(spoken[1]):
        seconds = [np.array([end - start for _, start, end in phones]) for phones in spoken]
        error = float(np.abs(seconds[1] - seconds[0]).mean() * 1000)
    return DurationErrors(error, rates[1] / rates[0], len(spoken[0]))


def speaking_rate_hz(phones: Sequence[Phone]) -> float:
    """Phones per second from the start of the first to the end of the last; pauses between count as time."""
    spoken = sounding_phones(phones)
    return len(spoken) / (spoken[-1][2] - spoken[0][1])


def sounding_phones(phones: Sequence[Phone]) -> list[Phone]:
    """Phones without pauses and punctuation.

    Args:
        phones: Phones in order.

    Returns:
        Those that sound.

    Raises:
        InputError: None is left, a phone does not last, or times are not finite.
    """
    spoken = [p for p in phones if p[0].lower() not in PAUSES and any(c.isalnum() for c in p[0])]
    if not spoken:
        raise InputError(f"no phone among {len(phones)} intervals; expected labels such as AH0")
    for label, start, end in spoken:
        if not (np.isfinite([start, end]).all() and end > start):
            raise InputError(f"phone {label!r} from {start:g} to {end:g} s; expected an end after its start")
    return spoken


def plain_labels(phones: Sequence[Phone]) -> tuple[str, ...]:
    """Labels in capitals without marks of stress."""
    return tuple(label.lstrip("@").rstrip("012").upper() for label, _, _ in phones)
