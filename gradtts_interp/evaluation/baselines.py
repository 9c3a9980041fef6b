"""The classical answer that a blend has to beat: WORLD. The other baselines are conditions of :mod:`.grid`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import Contour, fill_unvoiced

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
    import pyworld

    if len(a_contour) != len(b_contour):
        raise InputError(f"A has {len(a_contour)} frames, B {len(b_contour)}; render both with the same durations")
    for name, contour in (("A", a_contour), ("B", b_contour)):
        if not contour.voiced.any():
            raise InputError(f"{name} is nowhere voiced: there is no pitch to swap")
    samples = np.ascontiguousarray(b_audio, dtype=np.float64)
    period_ms = 1000.0 / config.frame_rate_hz
    # WORLD's synthesis counts frames from sample 0, mel frames are centred half a hop later.
    times = np.arange(len(b_contour)) / config.frame_rate_hz
    shift = 0.5
    f0_b = _at(fill_unvoiced(b_contour.f0_hz, b_contour.voiced), shift)
    f0_a = _at(fill_unvoiced(a_contour.f0_hz, a_contour.voiced), shift)
    f0_b = np.where(b_contour.voiced, f0_b, 0.0)
    envelope = pyworld.cheaptrick(samples, f0_b, times, config.sample_rate_hz)
    aperiodicity = pyworld.d4c(samples, f0_b, times, config.sample_rate_hz)
    smooth = np.exp(gaussian_filter1d(np.log(f0_a), SEAM_FRAMES))
    swapped = np.where(b_contour.voiced, smooth, 0.0)
    audio = pyworld.synthesize(swapped, envelope, aperiodicity, config.sample_rate_hz, period_ms)
    fitted = np.zeros(len(samples), dtype=np.float32)
    fitted[: len(audio)] = audio[: len(samples)]
    return fitted


def _at(f0_hz: NDArray[Any], frames_earlier: float) -> NDArray[np.float64]:
    """Log-linear reading of F0 (T,) a part of a frame earlier."""
    places = np.arange(len(f0_hz), dtype=np.float64)
    return np.exp(np.interp(places - frames_earlier, places, np.log(f0_hz.astype(np.float64))))
