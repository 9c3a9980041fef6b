"""Several F0 trackers behind one function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.audio import without_rumble
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import (
    Contour,
    extract_contour,
    fill_unvoiced,
    frame_energy_db,
    require_f0_range,
)

DEFAULT_METHOD = "dio"
FLOOR_HZ, CEILING_HZ = 60.0, 500.0
PYIN_FRAME_SAMPLES = 2048
PRAAT_STEPS_PER_HOP = 8


def track_f0(
    audio: NDArray[Any],
    config: MelConfig,
    method: str = DEFAULT_METHOD,
    *,
    floor_hz: float = FLOOR_HZ,
    ceiling_hz: float = CEILING_HZ,
) -> Contour:
    """Track F0 on the mel's frame grid with a tracker of choice.

    Frame i is centred on sample ``(i + 0.5) * hop``. Each tracker's own frames lie on these centres (Praat's within a
    sixteenth of a hop). All read the samples without their mean and rumble. The voicing decision of pYIN and Praat is
    their own; that of the others is as in :func:`~gradtts_interp.pitch.contour.extract_contour`.

    Args:
        audio: Samples (N,) at the contract's rate, full scale at 1.
        config: Mel contract, which gives the grid.
        method: A name in :data:`TRACKERS`: ``dio`` (the project's default), ``harvest``, ``pyin``, ``praat``.
        floor_hz: Lowest F0 searched.
        ceiling_hz: Highest F0 searched.

    Returns:
        Contour of N // hop frames.

    Raises:
        InputError: The method is unknown or not installed, the range is empty, or the samples are not finite or
            shorter than a frame.

    Source: Morise 2009 (DIO), 2017 (Harvest); Mauch & Dixon 2014 (pYIN); Boersma 1993 (Praat's autocorrelation).
    """
    if method not in TRACKERS:
        raise InputError(f"F0 tracker {method!r}; expected one of {', '.join(TRACKERS)}")
    require_f0_range(floor_hz, ceiling_hz, config)
    samples = np.ascontiguousarray(audio, dtype=np.float64)
    if samples.ndim != 1 or len(samples) < config.hop_samples or not np.isfinite(samples).all():
        least = f"(N,) with N >= {config.hop_samples}, all finite"
        raise InputError(f"audio of shape {samples.shape}; expected samples {least}")
    return TRACKERS[method](samples, config, floor_hz=floor_hz, ceiling_hz=ceiling_hz)


def _pyin(samples: NDArray[np.float64], config: MelConfig, floor_hz: float, ceiling_hz: float) -> Contour:
    import librosa

    half = (PYIN_FRAME_SAMPLES - config.hop_samples) // 2  # so that the windows' centres are the mel frames'
    padded = np.pad(without_rumble(samples, config.sample_rate_hz), (half, half + config.hop_samples))
    grid: dict[str, Any] = {
        "sr": config.sample_rate_hz,
        "frame_length": PYIN_FRAME_SAMPLES,
        "hop_length": config.hop_samples,
    }
    f0_hz, voiced, _ = librosa.pyin(padded, fmin=floor_hz, fmax=ceiling_hz, center=False, **grid)
    return _contour(samples, config, np.where(voiced, f0_hz, 0.0))


def _praat(samples: NDArray[np.float64], config: MelConfig, floor_hz: float, ceiling_hz: float) -> Contour:
    try:
        import parselmouth
    except ImportError as error:
        raise InputError("tracker praat needs parselmouth: pip install gradtts-interp[eval]") from error
    frames = len(samples) // config.hop_samples
    step = config.hop_samples / config.sample_rate_hz / PRAAT_STEPS_PER_HOP
    try:
        pitch = parselmouth.Sound(without_rumble(samples, config.sample_rate_hz), config.sample_rate_hz).to_pitch_ac(
            time_step=step, pitch_floor=floor_hz, pitch_ceiling=ceiling_hz
        )
    except parselmouth.PraatError as error:
        raise InputError(f"Praat cannot track {len(samples)} samples: {str(error).splitlines()[0]}") from error
    times, f0_hz = pitch.xs(), pitch.selected_array["frequency"]
    centres = (np.arange(frames) + 0.5) / config.frame_rate_hz
    nearest = np.clip(np.rint((centres - times[0]) / pitch.dt).astype(int), 0, len(times) - 1)
    covered = (centres >= times[0] - pitch.dt) & (centres <= times[-1] + pitch.dt)
    return _contour(samples, config, np.where(covered, f0_hz[nearest], 0.0))


def _contour(samples: NDArray[np.float64], config: MelConfig, f0_hz: NDArray[Any]) -> Contour:
    """Contour of a track (T',) that has a 0 where unvoiced and may be a frame longer or shorter than the grid."""
    frames = len(samples) // config.hop_samples
    track = np.zeros(frames)
    track[: len(f0_hz)] = f0_hz[:frames]
    voiced = track > 0
    energy_db = frame_energy_db(samples - samples.mean(), config)
    return Contour(fill_unvoiced(track, voiced), voiced, energy_db, config.frame_rate_hz)


TRACKERS: dict[str, Callable[..., Contour]] = {
    "dio": functools.partial(extract_contour, tracker="dio"),
    "harvest": functools.partial(extract_contour, tracker="harvest"),
    "pyin": _pyin,
    "praat": _praat,
}
