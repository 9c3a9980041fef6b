"""How far two contours on the same frames are apart: pitch, voicing, level, durations.

Frames are paired by index; what differs in timing is aligned first, see
:mod:`gradtts_interp.evaluation.time_alignment`. A value that cannot be measured is None, never NaN, and its number of
frames is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import ENERGY_FLOOR_DB, Contour, f0_statistics
from gradtts_interp.units import CENTS_PER_OCTAVE, ratio_to_cents, ratio_to_semitones

GROSS_ERROR = 0.2
"""Ratio beyond which an F0 is a gross error."""

OCTAVE_TOLERANCE_CENTS = 200.0
"""An octave error is this near to a whole number of octaves, other than none."""

FEWEST_FOR_CORRELATION = 3
FRAME_RATE_TOLERANCE = 1e-6
F0_MEASURES = ("f0_mean_cents", "f0_rms_cents", "f0_rms_octaves_apart_cents", "f0_correlation", "gpe", "octave")


Row = dict[str, Any]
"""Measures by name, plain JSON values."""


def f0_errors(reference: Contour, other: Contour) -> Row:
    """Compare pitch frame by frame where both are voiced.

    Args:
        reference: What is right (T,).
        other: What is compared with it, same frames.

    Returns:
        ``f0_mean_cents``: mean error, above 0 where the other is higher; ``f0_rms_cents``: its root mean square;
        ``f0_rms_octaves_apart_cents``: the same without octave errors; ``f0_correlation``: Pearson r of log-F0;
        ``gpe`` and ``octave``: shares of gross (over 20 %) and of octave errors; ``coverage``: frames where both are
        voiced, of those where the reference is; ``n_f0``: frames where both are. None where nothing was measured.

    Raises:
        InputError: Frames or frame rates differ, or there are none.

    Source: Rabiner et al. 1976 (gross errors); the cent as 1200·log2 of the ratio.
    """
    require_same_frames(reference, other)
    both = np.asarray(reference.voiced & other.voiced, dtype=bool)
    n, voiced = int(both.sum()), int(np.count_nonzero(reference.voiced))
    coverage = n / voiced if voiced else None
    if n == 0:
        return {**dict.fromkeys(F0_MEASURES), "coverage": coverage, "n_f0": 0}
    a, b = (c.f0_hz[both].astype(np.float64) for c in (reference, other))
    cents = ratio_to_cents(b / a)
    octaves = _octave_errors(cents)
    near = cents[~octaves]
    return {
        "f0_mean_cents": float(cents.mean()),
        "f0_rms_cents": float(np.sqrt(np.square(cents).mean())),
        "f0_rms_octaves_apart_cents": float(np.sqrt(np.square(near).mean())) if near.size else None,
        "f0_correlation": correlation(np.log(a), np.log(b)),
        "gpe": float(_gross_errors(a, b).mean()),
        "octave": float(octaves.mean()),
        "coverage": coverage,
        "n_f0": n,
    }


def voicing_errors(reference: Contour, other: Contour) -> Row:
    """Compare voicing, and pitch with it, over all frames.

    Args:
        reference: What is right (T,).
        other: What is compared with it, same frames.

    Returns:
        ``vde``: share of frames whose voicing differs; ``ffe``: share of frames with an error of voicing or a gross
        error of pitch; ``n_frames``.

    Raises:
        InputError: Frames or frame rates differ, or there are none.

    Source: Nakatani et al. 2008 (VDE); Chu & Alwan 2009 (FFE).
    """
    require_same_frames(reference, other)
    differs = np.asarray(reference.voiced) != np.asarray(other.voiced)
    both = np.asarray(reference.voiced & other.voiced, dtype=bool)
    gross = both & _gross_errors(reference.f0_hz.astype(np.float64), other.f0_hz.astype(np.float64))
    return {"vde": float(differs.mean()), "ffe": float((differs | gross).mean()), "n_frames": len(differs)}


def energy_errors(reference: Contour, other: Contour) -> Row:
    """Compare frame levels in dB, whatever the gain.

    Args:
        reference: What is right (T,).
        other: What is compared with it, same frames.

    Returns:
        Over the ``n_energy`` frames above :data:`ENERGY_FLOOR_DB` in both: ``energy_rmse_db``, the root mean square of
        the difference after removing its mean, and ``energy_correlation``, Pearson r of the levels.

    Raises:
        InputError: Frames or frame rates differ, there are none, or a level is not finite.
    """
    require_same_frames(reference, other)
    a, b = (np.asarray(c.energy_db, dtype=np.float64) for c in (reference, other))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("contour with a level that is not finite; expected dB, floored where silent")
    heard = (a > ENERGY_FLOOR_DB) & (b > ENERGY_FLOOR_DB)
    n = int(heard.sum())
    if n == 0:
        return {"energy_rmse_db": None, "energy_correlation": None, "n_energy": 0}
    difference = b[heard] - a[heard]
    found = {"energy_rmse_db": float(difference.std()), "energy_correlation": correlation(a[heard], b[heard])}
    return {**found, "n_energy": n}


def duration_errors(reference_seconds: Sequence[float], other_seconds: Sequence[float]) -> Row:
    """Compare the durations of the same phones.

    Args:
        reference_seconds: Duration of each phone (P,), pauses left out.
        other_seconds: The same phones of the other utterance (P,).

    Returns:
        ``duration_ms``: mean absolute error; ``rate_hz`` and ``reference_rate_hz``: phones per second of phones;
        ``rate_ratio``: the first over the second, above 1 where the other is faster; ``n_phones``.

    Raises:
        InputError: Numbers of phones differ, or a duration is negative or not finite.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (reference_seconds, other_seconds))
    if a.shape != b.shape or a.ndim != 1:
        raise InputError(f"durations of shapes {a.shape} and {b.shape}: expected the same phones in both")
    if not (np.isfinite(a).all() and np.isfinite(b).all() and (a >= 0).all() and (b >= 0).all()):
        raise InputError("durations that are negative or not finite; expected seconds >= 0")
    if a.size == 0:
        return {**dict.fromkeys(("duration_ms", "rate_hz", "reference_rate_hz", "rate_ratio")), "n_phones": 0}
    rates = [float(x.size / x.sum()) if x.sum() > 0 else None for x in (a, b)]
    ratio = rates[1] / rates[0] if rates[0] and rates[1] else None
    return {
        "duration_ms": float(np.abs(b - a).mean() * 1000),
        "rate_hz": rates[1],
        "reference_rate_hz": rates[0],
        "rate_ratio": ratio,
        "n_phones": a.size,
    }


def contour_errors(reference: Contour, other: Contour) -> Row:
    """Every measure of this module but durations, as one row.

    Args:
        reference: What is right (T,).
        other: What is compared with it, same frames.

    Returns:
        Values by name, None where one cannot be measured, and the numbers of frames.

    Raises:
        InputError: Frames or frame rates differ, or there are none.
    """
    return {
        **f0_errors(reference, other),
        **voicing_errors(reference, other),
        **energy_errors(reference, other),
    }


def level_semitones(a: Contour, b: Contour) -> float:
    """Semitones from the median F0 of A to that of B, NaN where one of them is nowhere voiced."""
    levels = [f0_statistics(contour).median_hz or float("nan") for contour in (a, b)]
    return float(ratio_to_semitones(levels[1] / levels[0]))


def f0_spread(contour: Contour) -> float:
    """Standard deviation of log-F0 (natural) over voiced frames, NaN where none is voiced."""
    return float(np.log(contour.f0_hz[contour.voiced]).std()) if contour.voiced.any() else float("nan")


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    """Pearson r of two series (n,); None with under three values or where one of them does not move."""
    if len(a) < FEWEST_FOR_CORRELATION or min(np.ptp(a), np.ptp(b)) < 1e-9:
        return None
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1.0, 1.0))


def at_frames(contour: Contour, index: NDArray[Any]) -> Contour:
    """The contour read at some of its frames (T',), such as an alignment gives."""
    return Contour(contour.f0_hz[index], contour.voiced[index], contour.energy_db[index], contour.frame_rate_hz)


def require_same_frames(reference: Contour, other: Contour) -> None:
    """Raise unless two contours have the same frames.

    Args:
        reference: One contour.
        other: The other.

    Raises:
        InputError: Lengths or frame rates differ, or there is no frame.
    """
    if abs(reference.frame_rate_hz - other.frame_rate_hz) > FRAME_RATE_TOLERANCE * reference.frame_rate_hz:
        raise InputError(
            f"frame rates {reference.frame_rate_hz:g} and {other.frame_rate_hz:g} Hz: expected one grid; "
            "resample the audio"
        )
    if len(reference) != len(other) or len(reference) == 0:
        raise InputError(f"frames differ: {len(reference)}, {len(other)}; expected equal numbers > 0, or align first")


def _gross_errors(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.abs(b / a - 1) > GROSS_ERROR


def _octave_errors(cents: NDArray[np.float64]) -> NDArray[np.bool_]:
    octaves = np.rint(cents / CENTS_PER_OCTAVE)
    return (octaves != 0) & (np.abs(cents - octaves * CENTS_PER_OCTAVE) <= OCTAVE_TOLERANCE_CENTS)
