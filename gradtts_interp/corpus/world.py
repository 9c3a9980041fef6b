"""Analysis of speech by WORLD: F0, envelope and aperiodicity at half a mel hop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, gaussian_filter1d, median_filter

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import SPEECH_RANGE_DB, fill_unvoiced, frame_energy_db, track_f0
from gradtts_interp.units import db_to_amplitude_ratio

Floats = NDArray[np.floating[Any]]

ACTIVE_LEVEL_DBFS = -26.0
"""Level of the speech frames of every analysis, so that peaks stay below full scale at +5 dB."""

# Search range of F0 and usual standard deviation of log-F0 of each base voice.
BASE_F0_HZ = {"slt": (110.0, 290.0), "rms": (62.0, 190.0), "awb": (70.0, 210.0), "kal16": (60.0, 170.0)}
BASE_LOG_F0_STD = {"slt": 0.068, "rms": 0.125, "awb": 0.107, "kal16": 0.072}

# Cleaning of the base voices' F0, in half-hop frames of 5.8 ms.
EDGE_FRAMES = 2
MEDIAN_FRAMES = 9
SMOOTHING_FRAMES = 1.5

_LOG_FLOOR = -30.0


@dataclass(frozen=True)
class WorldFeatures:
    """WORLD's analysis at half a mel hop: frame ``j`` at sample ``128 * j``.

    Attributes:
        f0_hz: F0 (J,), interpolated through unvoiced frames.
        voiced: Whether a frame is voiced (J,).
        log_sp: Natural log of the power envelope (J, F).
        band_aperiodicity: WORLD's coded aperiodicity (J, bands), dB.
        base: Base voice, which fixes the scale of ``f0_range``.
    """

    f0_hz: Floats
    voiced: NDArray[np.bool_]
    log_sp: Floats
    band_aperiodicity: Floats
    base: str


def analyse(audio: Floats, base: str, *, config: MelConfig | None = None) -> WorldFeatures:
    """Analyse speech of a base voice by WORLD, after bringing it to ``ACTIVE_LEVEL_DBFS``.

    Args:
        audio: Samples (N,) at the mel's rate.
        base: One of the keys of ``BASE_F0_HZ``.
        config: The mel contract; half its hop is the frame period.

    Returns:
        Features at half-hop frames.

    Raises:
        InputError: The base voice is unknown or nothing is voiced.

    Source: Morise et al. 2016, WORLD.
    """
    import pyworld

    config = config or MelConfig()
    if base not in BASE_F0_HZ:
        raise InputError(f"base voice {base!r}; expected one of {sorted(BASE_F0_HZ)}")
    rate = config.sample_rate_hz
    samples = np.ascontiguousarray(audio * _level_gain(audio, config), dtype=np.float64)
    floor_hz, ceiling_hz = BASE_F0_HZ[base]
    f0 = track_f0(samples, config, tracker="dio", floor_hz=floor_hz, ceiling_hz=ceiling_hz)
    if not (f0 > 0).any():
        raise InputError(f"no voiced frame in {len(audio)} samples of {base}; expected speech")
    times = np.arange(len(f0)) * half_hop_seconds(config)
    envelope = pyworld.cheaptrick(samples, f0, times, rate)
    aperiodicity = pyworld.d4c(samples, f0, times, rate)
    return WorldFeatures(
        f0_hz=_smooth_f0(f0),
        voiced=f0 > 0,
        log_sp=np.maximum(np.log(np.maximum(envelope, 1e-20)), _LOG_FLOOR).astype(np.float32),
        band_aperiodicity=pyworld.code_aperiodicity(aperiodicity, rate).astype(np.float32),
        base=base,
    )


def half_hop_seconds(config: MelConfig) -> float:
    """Return WORLD's frame period in this corpus: half a mel hop, in seconds."""
    return config.hop_samples / 2 / config.sample_rate_hz


def _smooth_f0(f0: Floats) -> Floats:
    """Fill unvoiced frames and remove the tracker's spikes, which sit at the edges of voiced stretches."""
    voiced = f0 > 0
    inner = binary_erosion(voiced, iterations=EDGE_FRAMES)
    log_f0 = np.log(fill_unvoiced(f0, inner if inner.any() else voiced))
    return np.exp(gaussian_filter1d(median_filter(log_f0, size=MEDIAN_FRAMES, mode="nearest"), SMOOTHING_FRAMES))


def _level_gain(audio: Floats, config: MelConfig) -> float:
    """Factor that brings speech frames to ``ACTIVE_LEVEL_DBFS`` on average in power."""
    energy = frame_energy_db(audio, config).astype(np.float64)
    active = energy[energy >= energy.max() - SPEECH_RANGE_DB]
    level_db = 10.0 * math.log10(float(np.mean(10.0 ** (active / 10.0))))
    return float(db_to_amplitude_ratio(ACTIVE_LEVEL_DBFS - level_db))
