"""Spectral envelopes that do not see pitch or level, and their distance."""

from __future__ import annotations

import librosa
import numpy as np
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import Contour

BANDS = 40
DB_PER_NEPER = 10.0 / np.log(10.0)
TINIEST_POWER = 1e-30
RANGE_DB = 60.0
"""Bands further below the loudest band of their frame count as this far below, so that no level is special."""


def power_envelope(audio: NDArray, contour: Contour, config: MelConfig) -> NDArray[np.float64]:
    """Power spectrum per mel frame without harmonics, by WORLD's CheapTrick.

    Args:
        audio: Samples (N,).
        contour: Its contour (T,); unvoiced frames are read as CheapTrick does, with a fixed window.
        config: Mel contract, which gives the frame grid.

    Returns:
        (T, K) with K bins from 0 to half the sample rate.

    Source: Morise 2015, CheapTrick.
    """
    import pyworld

    times = (np.arange(len(contour)) + 0.5) / config.frame_rate_hz
    f0 = np.where(contour.voiced, contour.f0_hz, 0.0).astype(np.float64)
    samples = np.ascontiguousarray(audio, dtype=np.float64)
    return pyworld.cheaptrick(samples, f0, times, config.sample_rate_hz)


def log_envelope(audio: NDArray, contour: Contour, config: MelConfig, *, bands: int = BANDS) -> NDArray[np.float64]:
    """Smooth spectral envelope per mel frame, without its level.

    WORLD's CheapTrick removes the harmonics, a mel filter bank groups the bins, and each frame's mean is subtracted.

    Args:
        audio: Samples (N,).
        contour: Its contour (T,), which CheapTrick needs.
        config: Mel contract, which gives the frame grid.
        bands: Mel bands (D).

    Returns:
        (D, T) in dB, zero mean per frame.

    Source: Morise 2015, CheapTrick.
    """
    power = power_envelope(audio, contour, config)
    n_fft = 2 * (power.shape[1] - 1)
    filters = librosa.filters.mel(sr=config.sample_rate_hz, n_fft=n_fft, n_mels=bands, fmax=config.fmax_hz)
    log_power = DB_PER_NEPER * np.log(np.maximum(power @ filters.T, TINIEST_POWER)).T
    log_power = np.maximum(log_power, log_power.max(0, keepdims=True) - RANGE_DB)
    return log_power - log_power.mean(0, keepdims=True)


def envelope_distance(a: NDArray, b: NDArray, active: NDArray) -> float:
    """Mean over active frames of the root-mean-square difference of two envelopes (D, T), in dB."""
    if a.shape != b.shape or a.shape[1:] != active.shape:
        raise InputError(f"envelopes {a.shape} and {b.shape}, frames {active.shape}: expected equal frames")
    if not active.any():
        return float("nan")
    return float(np.sqrt(np.square(a - b).mean(0))[active].mean())
