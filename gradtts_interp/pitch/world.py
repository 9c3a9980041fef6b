"""Pitch of one render on another, and morphs of two, by WORLD: the classical answer, which needs no model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import Contour, fill_unvoiced

World = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]
"""F0 (T,) through unvoiced frames, voicing (T,), power envelope and aperiodicity (T, K)."""
SEAM_FRAMES = 1.5
"""Smoothing of the swapped log-F0: the tracker's last frame of a voiced stretch is not sung."""


def world_swap(b_audio: NDArray[Any], b_contour: Contour, a_contour: Contour, config: MelConfig) -> NDArray[np.float32]:
    """Give a render in style B the pitch of a render in style A, by WORLD.

    The two have the same durations, so frame t of one is frame t of the other. Voicing stays B's, since its
    aperiodicity belongs to it; A's F0 is interpolated, in log, through frames where A is unvoiced.

    Args:
        b_audio: Samples (N,) of B.
        b_contour: Contour of B (T,).
        a_contour: Contour of A (T,), same durations.
        config: Mel contract, which gives the frame grid.

    Returns:
        Samples (N,), float32.

    Raises:
        InputError: The contours differ in length, or one of them is nowhere voiced.

    Source: Morise et al. 2016, WORLD.
    """
    _require_pair(a_contour, b_contour)
    f0_a = np.exp(gaussian_filter1d(_log_f0(a_contour), SEAM_FRAMES))
    _, voiced, envelope, aperiodicity = _analysis(b_audio, b_contour, config)
    return _synthesis((f0_a, voiced, envelope, aperiodicity), len(b_audio), config)


def world_morph(
    a_audio: NDArray[Any],
    a_contour: Contour,
    b_audio: NDArray[Any],
    b_contour: Contour,
    weight: NDArray[Any],
    config: MelConfig,
) -> NDArray[np.float32]:
    """Morph from a render in style A to one in style B, by WORLD: the classical answer to a blend over time.

    F0 and envelope are blended in log, aperiodicity linearly; voicing is that of the style with the larger share.

    Args:
        a_audio: Samples (N,) of A.
        a_contour: Its contour (T,).
        b_audio: Samples (N,) of B.
        b_contour: Its contour (T,), same durations.
        weight: Share of B in each frame (T,).
        config: Mel contract, which gives the frame grid.

    Returns:
        Samples (N,), float32.

    Raises:
        InputError: The contours differ in length, or one of them is nowhere voiced.

    Source: Kawahara et al. 2009, temporally variable morphing, without its time anchors: durations are the same.
    """
    _require_pair(a_contour, b_contour)
    f0_a, voiced_a, envelope_a, aperiodicity_a = _analysis(a_audio, a_contour, config)
    f0_b, voiced_b, envelope_b, aperiodicity_b = _analysis(b_audio, b_contour, config)
    f0_hz, share = f0_a ** (1 - weight) * f0_b**weight, weight[:, None]
    envelope = envelope_a ** (1 - share) * envelope_b**share
    aperiodicity = aperiodicity_a * (1 - share) + aperiodicity_b * share
    voiced = np.where(weight < 0.5, voiced_a, voiced_b)
    return _synthesis((f0_hz, voiced, envelope, aperiodicity), len(a_audio), config)


def world_shift(audio: NDArray[Any], contour: Contour, semitones: float, config: MelConfig) -> NDArray[np.float32]:
    """Shift the pitch of a recording (N,) and leave its envelope, by WORLD.

    Args:
        audio: Samples (N,).
        contour: Its contour (T,).
        semitones: Above 0 is higher.
        config: Mel contract, which gives the frame grid.

    Returns:
        Samples (N,), float32.
    """
    f0_hz, voiced, envelope, aperiodicity = _analysis(audio, contour, config)
    return _synthesis((f0_hz * 2 ** (semitones / 12), voiced, envelope, aperiodicity), len(audio), config)


def _require_pair(a_contour: Contour, b_contour: Contour) -> None:
    if len(a_contour) != len(b_contour):
        raise InputError(f"A has {len(a_contour)} frames, B {len(b_contour)}; render both with the same durations")
    for name, contour in (("A", a_contour), ("B", b_contour)):
        if not contour.voiced.any():
            raise InputError(f"{name} is nowhere voiced: there is no pitch to take")


def _analysis(audio: NDArray[Any], contour: Contour, config: MelConfig) -> World:
    import pyworld

    samples = np.ascontiguousarray(audio, dtype=np.float64)
    # WORLD's synthesis counts frames from sample 0, mel frames are centred half a hop later.
    times = np.arange(len(contour)) / config.frame_rate_hz
    f0_hz = np.exp(_log_f0(contour))
    voiced_f0_hz = np.where(contour.voiced, f0_hz, 0.0)
    envelope = pyworld.cheaptrick(samples, voiced_f0_hz, times, config.sample_rate_hz)
    aperiodicity = pyworld.d4c(samples, voiced_f0_hz, times, config.sample_rate_hz)
    return f0_hz, contour.voiced, envelope, aperiodicity


def _synthesis(world: World, samples: int, config: MelConfig) -> NDArray[np.float32]:
    """Samples (N,), float32."""
    import pyworld

    f0_hz, voiced, envelope, aperiodicity = world
    voiced_f0_hz, period_ms = np.where(voiced, f0_hz, 0.0), 1000.0 / config.frame_rate_hz
    audio = pyworld.synthesize(voiced_f0_hz, envelope, aperiodicity, config.sample_rate_hz, period_ms)
    fitted = np.zeros(samples, dtype=np.float32)
    fitted[: len(audio)] = audio[:samples]
    return fitted


def _log_f0(contour: Contour) -> NDArray[np.float64]:
    """Log-F0 (T,) half a frame earlier than a contour's centres, interpolated through unvoiced frames."""
    places = np.arange(len(contour), dtype=np.float64)
    return np.interp(places - 0.5, places, np.log(fill_unvoiced(contour.f0_hz, contour.voiced).astype(np.float64)))
