"""Which measures make a row: of a blend against A and B, and of anything against a reference.

Nothing is computed here; see :mod:`gradtts_interp.evaluation.blend` and its neighbours for the formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation import blend as of_blend
from gradtts_interp.evaluation import contours
from gradtts_interp.evaluation.signal import Signal, envelope_distance, mel_cepstral_distortion, speech_frames
from gradtts_interp.evaluation.speakers import cosine_similarity

SEAM_FRAMES = 3

ALIGNMENTS = ("auto", "none", "phones", "dtw")
SHARES = ("f0", "energy", "envelope")


def realised_shares(a: Signal, b: Signal, blend: Signal) -> dict[str, of_blend.RealisedShare]:
    """Realised share of B in F0, level and envelope, frame by frame."""
    voiced = a.contour.voiced & b.contour.voiced & blend.contour.voiced
    return {
        "f0": of_blend.realised_f0_share(a.contour, b.contour, blend.contour),
        "energy": of_blend.realised_energy_share(a.contour, b.contour, blend.contour),
        "envelope": of_blend.realised_envelope_share(a.envelope, b.envelope, blend.envelope, voiced),
    }


def mean_shares(a: Signal, b: Signal, blend: Signal) -> dict[str, float | None]:
    """Mean realised share of B by measure, None where it cannot be measured; and how much of the voicing is left."""
    found: dict[str, float | None] = {"voicing_kept": voicing_kept(a, b, blend)}
    for name, share in realised_shares(a, b, blend).items():
        known = of_blend.measured(share)
        found[f"{name}_share"] = float(known.mean()) if len(known) >= of_blend.FEWEST_FRAMES else None
    return found


def voicing_kept(a: Signal, b: Signal, blend: Signal) -> float | None:
    """How many of the frames voiced in A and B are so in the blend: shares of F0 and envelope are of those alone."""
    both = a.contour.voiced & b.contour.voiced
    return float(blend.contour.voiced[both].mean()) if both.any() else None


def voices(a: Signal, b: Signal, blend: Signal) -> dict[str, float | None]:
    """Cosine of the blend's speaker embedding to A's and to B's; nothing without an encoder."""
    if a.embedding is None or b.embedding is None or blend.embedding is None:
        return {}
    ends = {"cosine_to_a": a.embedding, "cosine_to_b": b.embedding}
    return {name: cosine_similarity(blend.embedding, end) for name, end in ends.items()}


def following(a: Signal, b: Signal, blend: Signal, wanted: NDArray[Any]) -> dict[str, float | None]:
    """How well a blend over time follows the share (T,) that was asked for."""
    shares = realised_shares(a, b, blend)
    return {
        **{f"{name}_control_error": of_blend.control_error(share, wanted) for name, share in shares.items()},
        "voicing_kept": voicing_kept(a, b, blend),
        "lag_ms": of_blend.lag_ms(shares["f0"], wanted, a.contour.frame_rate_hz),
        "leakage": of_blend.leakage(a.mel, b.mel, blend.mel, wanted),
        "seam": of_blend.seam(a.mel, b.mel, blend.mel, transition(wanted)),
    }


def transition(wanted: NDArray[Any]) -> NDArray[np.bool_]:
    """Frames (T,) where the share (T,) moves, with :data:`SEAM_FRAMES` on both sides."""
    moves = np.abs(np.diff(wanted, prepend=wanted[:1])) > 0
    return binary_dilation(moves, iterations=SEAM_FRAMES) if moves.any() else moves


def sweep(name: str, points: Mapping[float, float | None]) -> dict[str, float]:
    """How straight and how rising the realised share is over a sweep of weights.

    Args:
        name: Of the measure, such as ``f0``; begins the names of the figures.
        points: Realised share of B at each weight, None where it could not be measured.

    Returns:
        ``<name>_sweep_error``, ``_monotonicity`` and ``_linearity``; nothing with fewer than three weights, or where
        one could not be measured.
    """
    if len(points) < 3 or any(share is None for share in points.values()):
        return {}
    weights, shares = np.array(list(points)), np.array(list(points.values()), dtype=np.float64)
    return {
        f"{name}_sweep_error": float(np.sqrt(np.square(shares - weights).mean())),
        f"{name}_monotonicity": of_blend.monotonicity(weights, shares),
        f"{name}_linearity": of_blend.linearity(weights, shares),
    }


def selective(a: Signal, b: Signal, blend: Signal) -> dict[str, float | None]:
    """How much of A's pitch and of B's voice a blend has."""
    shares = mean_shares(a, b, blend)
    f0, envelope = shares["f0_share"], shares["envelope_share"]
    unwanted = None if f0 is None or envelope is None else of_blend.selectivity(1 - f0, 1 - envelope)
    to_a, to_b = contours.f0_errors(a.contour, blend.contour), contours.f0_errors(b.contour, blend.contour)
    return {
        "f0_rms_to_a": to_a["f0_rms_cents"],
        "f0_coverage": to_a["coverage"],
        "f0_correlation_to_a": to_a["f0_correlation"],
        "gpe_to_a": to_a["gpe"],
        "f0_rms_to_b": to_b["f0_rms_cents"],
        "envelope_share": envelope,
        "envelope_to_b_db": envelope_distance(b.envelope, blend.envelope, b.contour.voiced & blend.contour.voiced),
        "selectivity": unwanted,
        **voices(a, b, blend),
    }


def distances(reference: Signal, other: Signal) -> dict[str, Any]:
    """Every measure of something against a reference on the same frames; one frame more or less is cut."""
    return _along(reference, other, contours.align_frames(reference.frames, other.frames))


def warped_distances(reference: Signal, other: Signal) -> dict[str, Any]:
    """Every measure of something of other timing, aligned by exact dynamic time warping of mel-cepstra."""
    return _along(reference, other, contours.align_dtw(reference.cepstrum[1:], other.cepstrum[1:]))


def aligned_distances(
    reference: Signal, other: Signal, *, align: str, phones: Sequence[Sequence[contours.Phone]]
) -> tuple[dict[str, Any], str]:
    """Every measure of a synthesis against its reference.

    Args:
        reference: What is right.
        other: What is compared with it.
        align: One of :data:`ALIGNMENTS`; ``"auto"`` takes phones where both have them, nothing where the lengths are
            equal within a frame, else warping.
        phones: Phones of the two, empty where unknown.

    Returns:
        The measures, with durations where both have phones, and the alignment that was taken.

    Raises:
        InputError: The alignment is impossible: lengths differ, phones are missing or differ.
    """
    known = all(len(times) for times in phones)
    if align == "phones" and not known:
        raise InputError(f"{other.name}: alignment by phones needs TextGrids of the reference and of the synthesis")
    if align == "auto":
        align = "phones" if known else "none" if abs(reference.frames - other.frames) <= 1 else "dtw"
    if align == "phones":
        rate_hz, frames = reference.contour.frame_rate_hz, (reference.frames, other.frames)
        found = _along(reference, other, contours.align_phones(*phones, frame_rate_hz=rate_hz, frames=frames))
    else:
        found = distances(reference, other) if align == "none" else warped_distances(reference, other)
    if known:
        spoken = [contours.spoken_phones(times) for times in phones]
        contours.require_same_phones(*spoken)
        found |= contours.duration_errors(*([end - start for _, start, end in times] for times in spoken))
    return found, align


def _along(reference: Signal, other: Signal, alignment: contours.Alignment) -> dict[str, Any]:
    """Measures of the frames of a reference against those of another that an alignment pairs."""
    reference, other = reference.at(alignment[0]), other.at(alignment[1])
    found = contours.contour_errors(reference.contour, other.contour)
    sounding = speech_frames(reference.contour) | speech_frames(other.contour)
    found["mcd_db"] = mel_cepstral_distortion(reference.cepstrum, other.cepstrum, sounding)
    voiced = reference.contour.voiced & other.contour.voiced
    found["envelope_db"] = envelope_distance(reference.envelope, other.envelope, voiced)
    if reference.embedding is not None and other.embedding is not None:
        found["cosine"] = cosine_similarity(reference.embedding, other.embedding)
    return found


def morph_measures(path: Sequence[Signal], a: Signal, b: Signal) -> dict[str, float]:
    """Whether a morph ends where it should, passes through the middle, and goes there directly and in even steps.

    Distances are mel-cepstral; those of SoundMorpher are learnt.

    Args:
        path: Signals from A to B, at least 3, on the same frames.
        a: A itself.
        b: B itself.

    Returns:
        ``correspondence``: mean distance of the ends to A and B, over that of A and B; ``intermediateness``: distance
        of the middle to the first, of those to both ends (0.5 where it is as far from both; of an even number the two
        in the middle count alike); ``directness``: distance of the ends over the sum of the steps, less than 1 for
        detours; ``smoothness``: standard deviation of the steps over their mean.

    Raises:
        InputError: Fewer than 3 signals, frames that differ, or no distance between A and B or between the ends.

    Source: Niu, Zhang & Martin 2024, "SoundMorpher", for the criteria but ``directness``.
    """
    if len(path) < 3:
        raise InputError(f"a morph of {len(path)} sounds; expected at least 3")
    distance = cepstral_distance
    way, ends = distance(a, b), distance(path[0], path[-1])
    if not (way > 0 and ends > 0):
        raise InputError(
            f"A and B at a distance of {way:g}, the ends of a morph at {ends:g}; expected sounds that differ"
        )
    steps = np.array([distance(x, y) for x, y in pairwise(path)])
    middles = [path[i] for i in sorted({(len(path) - 1) // 2, len(path) // 2})]
    to_ends = [(distance(path[0], middle), distance(middle, path[-1])) for middle in middles]
    return {
        "correspondence": (distance(path[0], a) + distance(path[-1], b)) / 2 / way,
        "intermediateness": float(np.mean([first / (first + last) for first, last in to_ends])),
        "directness": float(ends / steps.sum()),
        "smoothness": float(steps.std() / steps.mean()),
    }


def cepstral_distance(one: Signal, other: Signal) -> float:
    """Mel-cepstral distortion in dB over frames where either is speech; 0 where neither is."""
    frames = min(one.frames, other.frames)
    one, other = one.cut(frames), other.cut(frames)
    sounding = speech_frames(one.contour) | speech_frames(other.contour)
    return mel_cepstral_distortion(one.cepstrum, other.cepstrum, sounding) or 0.0
