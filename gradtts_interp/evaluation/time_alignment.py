"""Which frame of one utterance belongs to which of another: by index, by phone times, or by warping of spectra.

Contours are read through the path that these give. They never decide it: warping on F0 itself makes any two contours
look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.contours import at_frames, require_same_frames
from gradtts_interp.pitch.contour import Contour

Phone = tuple[str, float, float]
PAUSES = {"", "sil", "sp", "spn", "pau", "#", "<eps>"}
LARGEST_DTW_CELLS = 50_000_000
"""Frames times frames; 400 MB of costs. Longer recordings are cut into utterances first."""


@dataclass(frozen=True)
class Alignment:
    """Pairs of frames.

    Attributes:
        reference: Frame of the reference of each pair (P,), rising.
        other: Frame of the other (P,), rising.
    """

    reference: NDArray[np.int64]
    other: NDArray[np.int64]

    def read(self, reference: Contour, other: Contour) -> tuple[Contour, Contour]:
        """Both contours along the path, each (P,).

        Args:
            reference: Contour of the reference.
            other: Contour of the other, same frame rate.

        Returns:
            The two, frame by frame.

        Raises:
            InputError: Frame rates differ, or the path leaves a contour.
        """
        for name, contour, index in (("reference", reference, self.reference), ("other", other, self.other)):
            if len(index) == 0 or index.max() >= len(contour) or index.min() < 0:
                raise InputError(f"alignment of {len(index)} pairs does not fit the {name} of {len(contour)} frames")
        found = at_frames(reference, self.reference), at_frames(other, self.other)
        require_same_frames(*found)
        return found


def align_frames(reference_frames: int, other_frames: int, *, tolerance_frames: int = 1) -> Alignment:
    """Frame i belongs to frame i: for what was rendered with the same durations.

    Args:
        reference_frames: Frames of the reference.
        other_frames: Frames of the other.
        tolerance_frames: Difference that a vocoder's rounding explains; the longer end is left out.

    Returns:
        As many pairs as the shorter has frames.

    Raises:
        InputError: They differ by more, or one is empty.
    """
    if min(reference_frames, other_frames) < 1 or abs(reference_frames - other_frames) > tolerance_frames:
        raise InputError(
            f"frames differ: {reference_frames}, {other_frames}; expected at most {tolerance_frames} apart, "
            "or alignment by phones or dtw"
        )
    index = np.arange(min(reference_frames, other_frames))
    return Alignment(index, index)


def align_phones(
    reference: Sequence[Phone],
    other: Sequence[Phone],
    *,
    frame_rate_hz: float,
    reference_frames: int,
    other_frames: int,
) -> Alignment:
    """Piecewise linear in time between the edges of the same phones.

    Pauses belong to no phone: where one utterance has a pause and the other none, its frames are squeezed. Frames
    before the first and after the last phone are left out.

    Args:
        reference: Phones with start and end in seconds.
        other: The same phones in the other utterance; labels are compared without stress and case.
        frame_rate_hz: Frames per second of both.
        reference_frames: Frames of the reference.
        other_frames: Frames of the other.

    Returns:
        One pair for each frame of the reference that lies between its phones' edges.

    Raises:
        InputError: The phones differ (the first difference is named), their times do not rise, or none has a frame.
    """
    a, b = spoken_phones(reference), spoken_phones(other)
    require_same_phones(a, b)
    edges_a, edges_b = (np.array([t for _, start, end in phones for t in (start, end)]) for phones in (a, b))
    for name, edges in (("reference", edges_a), ("other", edges_b)):
        if not np.isfinite(edges).all() or (np.diff(edges) < -1e-6).any():
            raise InputError(f"phone times of the {name} do not rise")
    centres = (np.arange(reference_frames) + 0.5) / frame_rate_hz
    inside = np.flatnonzero((centres >= edges_a[0]) & (centres <= edges_a[-1]))
    if not len(inside) or other_frames < 1:
        raise InputError(f"phones of {edges_a[0]:g} to {edges_a[-1]:g} s hold no frame of {reference_frames}")
    keep = np.concatenate([np.diff(edges_a) > 1e-9, [True]])  # of edges at one time the last, as the next phone begins
    there = np.interp(centres[inside], edges_a[keep], edges_b[keep])
    index = np.clip(np.rint(there * frame_rate_hz - 0.5), 0, other_frames - 1).astype(np.int64)
    return Alignment(inside.astype(np.int64), index)


def align_dtw(reference: NDArray[Any], other: NDArray[Any]) -> Alignment:
    """Exact dynamic time warping on spectral features: no band, no coarse pass.

    Args:
        reference: Features (D, T), such as mel-cepstra without the level's row. Never F0 or energy.
        other: Features (D, T').

    Returns:
        The cheapest path from the first pair to the last, steps (1, 1), (1, 0), (0, 1), Euclidean cost.

    Raises:
        InputError: Dimensions differ, D is 1, a value is not finite, or T·T' is beyond memory.

    Source: Sakoe & Chiba 1978; ``librosa.sequence.dtw``.
    """
    import librosa

    a, b = (np.asarray(x, dtype=np.float64) for x in (reference, other))
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[0] or min(a.shape[1], b.shape[1]) < 1:
        raise InputError(f"features {a.shape} and {b.shape}: expected (D, T) and (D, T') with frames")
    if a.shape[0] < 2:
        raise InputError("warping on one number a frame, such as F0 or energy, aligns anything; expected a spectrum")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("features that are not finite; expected those of finite samples")
    if a.shape[1] * b.shape[1] > LARGEST_DTW_CELLS:
        raise InputError(f"{a.shape[1]} and {b.shape[1]} frames are too long to warp exactly; cut into utterances")
    _, path = librosa.sequence.dtw(X=a, Y=b, metric="euclidean")
    path = path[::-1]
    return Alignment(path[:, 0].astype(np.int64), path[:, 1].astype(np.int64))


def spoken_phones(phones: Sequence[Phone]) -> list[Phone]:
    """Phones without pauses and punctuation, labels without stress and case."""
    plain = [(label.strip().lstrip("@").rstrip("012"), start, end) for label, start, end in phones]
    found = [(label.upper(), start, end) for label, start, end in plain if label.lower() not in PAUSES]
    return [phone for phone in found if any(c.isalpha() for c in phone[0])]


def require_same_phones(a: Sequence[Phone], b: Sequence[Phone]) -> None:
    """Raise unless two utterances have the same phones, at least one.

    Args:
        a: Phones as of :func:`spoken_phones`.
        b: Those of the other.

    Raises:
        InputError: There is none, or the first that differs, with both labels.
    """
    if not a or not b:
        raise InputError(f"{len(a)} and {len(b)} phones; expected the same ones, at least 1")
    for i, (one, two) in enumerate(zip(a, b, strict=False)):
        if one[0] != two[0]:
            raise InputError(f"phone {i + 1} is {one[0]} in the reference and {two[0]} in the other: other words")
    if len(a) != len(b):
        raise InputError(f"the reference has {len(a)} phones and the other {len(b)}; expected the same ones")
