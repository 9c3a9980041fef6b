"""The three criteria of a morph: it ends where it shall, passes through the middle, and goes there in even steps.

Source: Niu, Zhang & Martin 2024, "SoundMorpher", for the criteria. Their distance is a learnt one; here it is given,
such as mel-cepstral distortion or one minus the cosine of two embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.signal import Signal
from gradtts_interp.evaluation.spectral import mel_cepstral_distortion, speech_frames

Sound = TypeVar("Sound")
Distance = Callable[[Sound, Sound], float]


def correspondence(path: Sequence[Sound], a: Sound, b: Sound, distance: Distance[Sound]) -> float:
    """How far the ends of a morph are from what they shall be, in parts of the whole way.

    Args:
        path: Sounds from A to B, at least 2.
        a: A itself.
        b: B itself.
        distance: Of two sounds, 0 for equal ones.

    Returns:
        Mean distance of the ends over the distance of A and B; 0 where the ends are A and B.

    Raises:
        InputError: Fewer than 2 sounds, or A and B are at no distance.
    """
    _require_path(path, 2)
    return (distance(path[0], a) + distance(path[-1], b)) / 2 / _way(a, b, distance)


def intermediateness(path: Sequence[Sound], distance: Distance[Sound]) -> float:
    """Where the middle of a morph lies between its ends: its distance to the first, of those to both.

    Args:
        path: Sounds from A to B, at least 3; of an even number the two in the middle count alike.
        distance: Of two sounds, 0 for equal ones.

    Returns:
        0.5 where it is equally far from both, 0 where it is still the first, 1 where it is the last already.

    Raises:
        InputError: Fewer than 3 sounds, or a middle at no distance from both ends.
    """
    _require_path(path, 3)
    middle = {(len(path) - 1) // 2, len(path) // 2}
    found = []
    for i in sorted(middle):
        before, after = distance(path[0], path[i]), distance(path[i], path[-1])
        if before + after <= 0:
            raise InputError("a morph whose middle equals both of its ends; expected ends at a distance")
        found.append(before / (before + after))
    return float(np.mean(found))


def directness(path: Sequence[Sound], distance: Distance[Sound]) -> float:
    """Distance of the ends of a morph over the sum of its steps: 1 for the shortest way, less for detours.

    Args:
        path: Sounds from A to B, at least 2.
        distance: Of two sounds, 0 for equal ones.

    Returns:
        Above 0; at most 1 for a distance that is a metric.

    Raises:
        InputError: Fewer than 2 sounds, or ends at no distance.
    """
    _require_path(path, 2)
    return _way(path[0], path[-1], distance) / sum(distance(x, y) for x, y in pairwise(path))


def smoothness(path: Sequence[Sound], distance: Distance[Sound]) -> float:
    """How uneven the steps of a morph are: their standard deviation over their mean.

    Args:
        path: Sounds from A to B, at least 3.
        distance: Of two sounds, 0 for equal ones.

    Returns:
        0 where all steps are equally large.

    Raises:
        InputError: Fewer than 3 sounds, or steps that are all 0.
    """
    _require_path(path, 3)
    steps = np.array([distance(x, y) for x, y in pairwise(path)])
    if steps.mean() <= 0:
        raise InputError("a morph whose steps are all 0; expected sounds at a distance")
    return float(steps.std() / steps.mean())


def morph_measures(path: Sequence[Signal], a: Signal, b: Signal) -> dict[str, Any]:
    """All criteria of a morph, by mel-cepstral distortion.

    Args:
        path: What was measured of its sounds, from A to B, at least 3, all on the same frames.
        a: Of A itself.
        b: Of B itself.

    Returns:
        Correspondence, intermediateness, directness and smoothness by name.

    Raises:
        InputError: Fewer than 3 sounds, frames that differ, or sounds at no distance.
    """
    return {
        "correspondence": correspondence(path, a, b, cepstral_distance),
        "intermediateness": intermediateness(path, cepstral_distance),
        "directness": directness(path, cepstral_distance),
        "smoothness": smoothness(path, cepstral_distance),
    }


def cepstral_distance(one: Signal, other: Signal) -> float:
    """Mel-cepstral distortion in dB over frames where either is speech; 0 where neither is."""
    frames = min(one.frames, other.frames)
    one, other = one.cut(frames), other.cut(frames)
    heard = speech_frames(one.contour) | speech_frames(other.contour)
    return mel_cepstral_distortion(one.cepstrum, other.cepstrum, heard) or 0.0


def _require_path(path: Sequence[Any], fewest: int) -> None:
    if len(path) < fewest:
        raise InputError(f"a morph of {len(path)} sounds; expected at least {fewest}")


def _way(a: Sound, b: Sound, distance: Distance[Sound]) -> float:
    way = distance(a, b)
    if not way > 0:
        raise InputError(f"A and B at a distance of {way:g}; expected two sounds that differ")
    return way
