"""Spectra that see neither level nor pitch, and their distances: envelopes and mel-cepstra."""

from __future__ import annotations

import functools
from typing import Any

import librosa
import numpy as np
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.pitch.contour import SPEECH_RANGE_DB, Contour

BANDS = 40
DB_PER_NEPER = 10.0 / np.log(10.0)
TINIEST_POWER = 1e-30
RANGE_DB = 60.0
"""Bands further below the loudest band of their frame count as this far below, so that no level is special."""
MCD_ORDER = 34
MCD_ALPHA = 0.45
"""All-pass constant that bends frequency to about the mel scale at 22.05 kHz."""

FLOOR_BELOW_PEAK_DB = 80.0
"""Bins further below the loudest bin of their frame count as this far below, so that no level is special."""


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


def log_envelope(audio: NDArray, contour: Contour, config: MelConfig) -> NDArray[np.float64]:
    """Smooth spectral envelope per mel frame, without its level.

    WORLD's CheapTrick removes the harmonics, a mel filter bank groups the bins, and each frame's mean is subtracted.

    Args:
        audio: Samples (N,).
        contour: Its contour (T,), which CheapTrick needs.
        config: Mel contract, which gives the frame grid.

    Returns:
        (D, T) in dB with D = 40 mel bands, zero mean per frame.

    Source: Morise 2015, CheapTrick.
    """
    power = power_envelope(audio, contour, config)
    n_fft = 2 * (power.shape[1] - 1)
    filters = librosa.filters.mel(sr=config.sample_rate_hz, n_fft=n_fft, n_mels=BANDS, fmax=config.fmax_hz)
    log_power = DB_PER_NEPER * np.log(np.maximum(power @ filters.T, TINIEST_POWER)).T
    log_power = np.maximum(log_power, log_power.max(0, keepdims=True) - RANGE_DB)
    return log_power - log_power.mean(0, keepdims=True)


def envelope_distance(a: NDArray, b: NDArray, active: NDArray) -> float:
    """Mean over active frames of the root-mean-square difference of two envelopes (D, T), in dB."""
    if not active.any():
        return float("nan")
    return float(np.sqrt(np.square(a - b).mean(0))[active].mean())


def mel_cepstrum(audio: NDArray[Any], contour: Contour, config: MelConfig) -> NDArray[np.float64]:
    """Mel-cepstrum per mel frame, from WORLD's envelope.

    The log amplitude of CheapTrick's spectrum is ``Σ c_n cos(nω)``; an all-pass bends ω to about mel and the first
    :data:`MCD_ORDER` coefficients are kept, as SPTK's ``sp2mc`` does. Gain is all in ``c_0``.

    Args:
        audio: Samples (N,).
        contour: Its contour (T,), which CheapTrick needs.
        config: Mel contract, which gives the frame grid.

    Returns:
        (order + 1, T), row 0 the level.

    Source: Tokuda et al. 1994; Oppenheim & Johnson 1972 for the recursion; SPTK ``sp2mc``, ``freqt``.
    """
    power = np.maximum(power_envelope(audio, contour, config), TINIEST_POWER)
    floor = power.max(1, keepdims=True) * 10 ** (-FLOOR_BELOW_PEAK_DB / 10)
    cepstrum = np.fft.irfft(np.log(np.maximum(power, floor)), axis=1)[:, : power.shape[1]]
    cepstrum[:, [0, -1]] /= 2  # of a log power: c_0 is half its mean, and the last bin has no mirror image
    return warping_matrix(power.shape[1], MCD_ORDER, MCD_ALPHA) @ cepstrum.T


@functools.lru_cache(maxsize=8)
def warping_matrix(length: int, order: int, alpha: float) -> NDArray[np.float64]:
    """Matrix from a cepstrum to the cepstrum on an all-pass-warped frequency axis.

    Args:
        length: Coefficients of the cepstrum (K).
        order: Highest coefficient of the answer.
        alpha: All-pass constant.

    Returns:
        (order + 1, K), not writable; the identity for ``alpha`` 0.

    Source: Oppenheim & Johnson 1972, as ``freqt`` of SPTK.
    """
    state = np.zeros((order + 1, length))
    for n in range(length - 1, -1, -1):  # Horner's rule: the cepstrum is a polynomial in the all-pass
        before = state.copy()
        state[0] = alpha * before[0]
        state[0, n] += 1
        state[1] = (1 - alpha**2) * before[0] + alpha * before[1]
        for m in range(2, order + 1):
            state[m] = before[m - 1] + alpha * (before[m] - state[m - 1])
    state.setflags(write=False)
    return state


def mel_cepstral_distortion(a: NDArray[Any], b: NDArray[Any], active: NDArray[Any]) -> float | None:
    """Mean over active frames of ``(10/ln 10)·√(2·Σ_{d≥1}(c_d − c'_d)²)``, in dB.

    Args:
        a: Mel-cepstra (D, T) with the level in row 0, which does not count.
        b: The same of what is compared, same frames.
        active: Frames that count (T,) bool.

    Returns:
        The distortion; None without an active frame.

    Source: Kubichek 1993.
    """
    if not active.any():
        return None
    return float(DB_PER_NEPER * np.sqrt(2 * np.square(a[1:] - b[1:]).sum(0))[active].mean())


def speech_frames(contour: Contour) -> NDArray[np.bool_]:
    """Frames (T,) within 30 dB of the utterance's loudest, whatever its gain; none for silence."""
    level = np.asarray(contour.energy_db, dtype=np.float64)
    if level.size == 0 or np.ptp(level) == 0 and not contour.voiced.any():
        return np.zeros(level.shape, dtype=bool)
    return level >= level.max() - SPEECH_RANGE_DB
