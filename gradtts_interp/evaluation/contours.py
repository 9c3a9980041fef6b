"""How far two contours on the same frames are apart: pitch, voicing, level, durations; and which frames are the same.

Frames are paired by index; what differs in timing is aligned first, by phone times or by warping of spectra. Contours
are read through the path that this gives. They never decide it: warping on F0 itself makes any two contours look alike.
A value that cannot be measured is None, never NaN, and its number of frames is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import ENERGY_FLOOR_DB, Contour, median_f0_hz
from gradtts_interp.units import CENTS_PER_OCTAVE, ratio_to_cents, ratio_to_semitones

GROSS_ERROR = 0.2
"""Ratio beyond which an F0 is a gross error."""

OCTAVE_TOLERANCE_CENTS = 200.0
"""An octave error is this near to a whole number of octaves, other than none."""

FEWEST_FOR_CORRELATION = 3
FRAME_RATE_TOLERANCE = 1e-6
LARGEST_DTW_CELLS = 50_000_000
"""Frames times frames; 400 MB of costs. Longer recordings are cut into utterances first."""
PAUSES = {"", "sil", "sp", "spn", "pau", "#", "<eps>"}
F0_MEASURES = ("f0_mean_cents", "f0_rms_cents", "f0_rms_octaves_apart_cents", "f0_correlation", "gpe", "octave")

Row = dict[str, Any]
"""Measures by name, plain JSON values."""
Phone = tuple[str, float, float]
"""Label, start and end in seconds."""
Alignment = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Frame of the reference and frame of the other of each pair, two arrays (P,) that rise."""


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
    apart = np.rint(cents / CENTS_PER_OCTAVE)
    octaves = (apart != 0) & (np.abs(cents - apart * CENTS_PER_OCTAVE) <= OCTAVE_TOLERANCE_CENTS)
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
        InputError: Frames or frame rates differ, or there are none.
    """
    require_same_frames(reference, other)
    a, b = (np.asarray(c.energy_db, dtype=np.float64) for c in (reference, other))
    heard = (a > ENERGY_FLOOR_DB) & (b > ENERGY_FLOOR_DB)
    n = int(heard.sum())
    if n == 0:
        return {"energy_rmse_db": None, "energy_correlation": None, "n_energy": 0}
    a, b = a[heard], b[heard]
    return {"energy_rmse_db": float((b - a).std()), "energy_correlation": correlation(a, b), "n_energy": n}


def duration_errors(reference_seconds: Sequence[float], other_seconds: Sequence[float]) -> Row:
    """Compare the durations of the same phones.

    Args:
        reference_seconds: Duration of each phone (P,), at least one, pauses left out.
        other_seconds: The same phones of the other utterance (P,).

    Returns:
        ``duration_ms``: mean absolute error; ``rate_hz`` and ``reference_rate_hz``: phones per second of phones;
        ``rate_ratio``: the first over the second, above 1 where the other is faster; ``n_phones``.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (reference_seconds, other_seconds))
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
    return {**f0_errors(reference, other), **voicing_errors(reference, other), **energy_errors(reference, other)}


def level_semitones(a: Contour, b: Contour) -> float:
    """Semitones from the median F0 of A to that of B, NaN where one of them is nowhere voiced."""
    levels = [median_f0_hz(contour) or float("nan") for contour in (a, b)]
    return float(ratio_to_semitones(levels[1] / levels[0]))


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    """Pearson r of two series (n,); None with under three values or where one of them does not move."""
    if len(a) < FEWEST_FOR_CORRELATION or min(np.ptp(a), np.ptp(b)) < 1e-9:
        return None
    return float(np.corrcoef(a, b)[0, 1])


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


# -- which frames belong together -------------------------------------------------------------------------------------


def align_frames(reference_frames: int, other_frames: int) -> Alignment:
    """Frame i belongs to frame i: for what was rendered with the same durations.

    Args:
        reference_frames: Frames of the reference.
        other_frames: Frames of the other.

    Returns:
        As many pairs as the shorter has frames.

    Raises:
        InputError: They differ by more than a frame, which a vocoder's rounding explains, or one is empty.
    """
    if min(reference_frames, other_frames) < 1 or abs(reference_frames - other_frames) > 1:
        raise InputError(
            f"frames differ: {reference_frames}, {other_frames}; expected at most 1 apart, or alignment by phones or "
            "dtw"
        )
    index = np.arange(min(reference_frames, other_frames))
    return index, index


def on_same_frames(reference: Contour, other: Contour) -> tuple[Contour, Contour]:
    """Two contours of what was rendered with the same durations, on the frames that both have."""
    index, _ = align_frames(len(reference), len(other))
    return at_frames(reference, index), at_frames(other, index)


def align_phones(
    reference: Sequence[Phone], other: Sequence[Phone], *, frame_rate_hz: float, frames: tuple[int, int]
) -> Alignment:
    """Piecewise linear in time between the edges of the same phones.

    Pauses belong to no phone: where one utterance has a pause and the other none, its frames are squeezed. Frames
    before the first and after the last phone are left out.

    Args:
        reference: Phones with start and end in seconds, which rise.
        other: The same phones in the other utterance; labels are compared without stress and case.
        frame_rate_hz: Frames per second of both.
        frames: Frames of the reference and of the other.

    Returns:
        One pair for each frame of the reference that lies between its phones' edges.

    Raises:
        InputError: The phones differ; the first difference is named.
    """
    a, b = spoken_phones(reference), spoken_phones(other)
    require_same_phones(a, b)
    edges_a, edges_b = (np.array([t for _, start, end in phones for t in (start, end)]) for phones in (a, b))
    centres = (np.arange(frames[0]) + 0.5) / frame_rate_hz
    inside = np.flatnonzero((centres >= edges_a[0]) & (centres <= edges_a[-1]))
    keep = np.concatenate([np.diff(edges_a) > 1e-9, [True]])  # of edges at one time the last, as the next phone begins
    there = np.interp(centres[inside], edges_a[keep], edges_b[keep])
    index = np.clip(np.rint(there * frame_rate_hz - 0.5), 0, frames[1] - 1).astype(np.int64)
    return inside.astype(np.int64), index


def align_dtw(reference: NDArray[Any], other: NDArray[Any]) -> Alignment:
    """Exact dynamic time warping on spectral features: no band, no coarse pass.

    Args:
        reference: Finite features (D, T), such as mel-cepstra without the level's row. Never F0 or energy.
        other: Features (D, T').

    Returns:
        The cheapest path from the first pair to the last, steps (1, 1), (1, 0), (0, 1), Euclidean cost.

    Raises:
        InputError: D is 1, or T·T' is beyond memory.

    Source: Sakoe & Chiba 1978; ``librosa.sequence.dtw``.
    """
    import librosa

    a, b = (np.asarray(x, dtype=np.float64) for x in (reference, other))
    if a.shape[0] < 2:
        raise InputError("warping on one number a frame, such as F0 or energy, aligns anything; expected a spectrum")
    if a.shape[1] * b.shape[1] > LARGEST_DTW_CELLS:
        raise InputError(f"{a.shape[1]} and {b.shape[1]} frames are too long to warp exactly; cut into utterances")
    _, path = librosa.sequence.dtw(X=a, Y=b, metric="euclidean")
    return path[::-1, 0].astype(np.int64), path[::-1, 1].astype(np.int64)


def spoken_phones(phones: Sequence[Phone]) -> list[Phone]:
    """Phones without pauses and punctuation, labels without stress and case."""
    plain = [(label.strip().lstrip("@").rstrip("012"), start, end) for label, start, end in phones]
    found = [(label.upper(), start, end) for label, start, end in plain if label.lower() not in PAUSES]
    return [phone for phone in found if any(c.isalpha() for c in phone[0])]


def require_same_phones(a: Sequence[Phone], b: Sequence[Phone], *, expected: str = "the same words") -> None:
    """Raise unless two utterances have the same phones, at least one.

    Args:
        a: Phones of the reference, as of :func:`spoken_phones`.
        b: Those of the other.
        expected: What is expected of the other, for the message.

    Raises:
        InputError: There is none, or their number or one of them differs; the first is named, with both labels.
    """
    for i, (one, two) in enumerate(zip(a, b, strict=False), 1):
        if one[0] != two[0]:
            raise InputError(f"phone {i} is {one[0]} in the reference and {two[0]} in the other; expected {expected}")
    if len(a) != len(b) or not a:
        raise InputError(f"{len(a)} phones in the reference and {len(b)} in the other; expected {expected}")
