"""Voice conversion by WORLD: one recording becomes many voices and prosodies, and exact blends of two of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.speakers import Factors
from gradtts_interp.corpus.world import BASE_LOG_F0_STD, Floats, WorldFeatures, half_hop_seconds
from gradtts_interp.errors import InputError
from gradtts_interp.units import db_to_amplitude_ratio

REFERENCE_LOG_F0_STD = 0.15
"""Standard deviation of log-F0 at ``f0_range`` 1."""

F0_LIMITS_HZ = (62.0, 480.0)
HIGHEST_PEAK = 0.98

HIGHEST_SOURCE_HZ = 7400.0
TILT_NATS_PER_HZ = 0.7e-3
"""The base voices end at 8 kHz; above ``HIGHEST_SOURCE_HZ`` the log power envelope is continued with this tilt."""


@dataclass(frozen=True)
class Source:
    """One side of a rendering: an analysis, the times of its tokens, and what to make of it.

    Attributes:
        features: The analysis.
        boundaries_seconds: Start of the first token and end of each token (L + 1,).
        factors: Voice and prosody wanted.
    """

    features: WorldFeatures
    boundaries_seconds: Floats
    factors: Factors


@dataclass(frozen=True)
class Rendering:
    """Speech made by WORLD with its exact prosody on the mel grid.

    Attributes:
        audio: Samples (N,), N = 256 T.
        f0_hz: F0 (T,), interpolated through unvoiced frames.
        voiced: Whether a frame is voiced (T,).
    """

    audio: Floats
    f0_hz: Floats
    voiced: NDArray[np.bool_]


def frame_durations(boundaries_seconds: Floats, *, rate: float, config: MelConfig) -> NDArray[np.int64]:
    """Turn token boundaries into whole mel frames.

    Cumulative boundaries are scaled by ``1 / rate`` and rounded, so that errors do not add up; each token gets at least
    one frame.

    Args:
        boundaries_seconds: Start of the first token and end of each (L + 1,).
        rate: Factor on speed.
        config: The mel contract.

    Returns:
        Frames of each token (L,), all >= 1.

    Raises:
        InputError: ``rate`` is not positive or boundaries do not rise.
    """
    if not rate > 0:
        raise InputError(f"rate {rate}; expected > 0")
    if len(boundaries_seconds) < 2 or np.any(np.diff(boundaries_seconds) <= 0):
        raise InputError("token boundaries do not rise; expected each token to have a length")
    ends = (np.asarray(boundaries_seconds)[1:] - boundaries_seconds[0]) * config.frame_rate_hz / rate
    rounded = np.rint(ends).astype(np.int64)
    index = np.arange(1, len(rounded) + 1)
    # Each end at least one frame after the one before: a running maximum in coordinates where that is "not falling".
    return np.diff(np.maximum.accumulate(np.maximum(rounded - index, 0)) + index, prepend=0)


def render(
    a: Source,
    durations: NDArray[np.int64],
    *,
    b: Source | None = None,
    share: Floats | None = None,
    config: MelConfig | None = None,
) -> Rendering:
    """Render one style, or a blend of two.

    For a share s of B, per frame: log-F0, warped log envelope, aperiodicity and level are (1 - s) A + s B after each
    side was mapped to the target's time by its token boundaries; voiced is what the side with the larger share is.

    Args:
        a: First style.
        durations: Mel frames of each token (L,).
        b: Second style with the same tokens, if any.
        share: Share of B at each half-hop frame (2 T + 1,), in [0, 1]; needed with ``b``.
        config: The mel contract.

    Returns:
        Audio of exactly ``sum(durations) * hop_samples`` samples with its prosody.

    Raises:
        InputError: Token counts differ, ``b`` and ``share`` are not given together, or ``share`` has another length or
            leaves [0, 1].
    """
    import pyworld

    config = config or MelConfig()
    frames = int(np.sum(durations))
    share = _checked_share(a, b, share, durations, 2 * frames + 1)
    track = _map_to_target(a, durations, config)
    if b is not None:
        track = _blend(track, _map_to_target(b, durations, config), share)
    f0 = np.where(track.voiced, np.exp(track.log_f0), 0.0)
    audio = pyworld.synthesize(
        f0,
        np.ascontiguousarray(np.exp(track.log_sp)),
        np.ascontiguousarray(track.aperiodicity),
        config.sample_rate_hz,
        1000.0 * half_hop_seconds(config),
    )
    samples = frames * config.hop_samples
    audio = np.pad(audio, (0, max(0, samples - len(audio))))[:samples]
    peak = float(np.abs(audio).max())
    if peak > HIGHEST_PEAK:
        audio = audio * (HIGHEST_PEAK / peak)
    return Rendering(audio, np.exp(track.log_f0[1::2]).astype(np.float32), track.voiced[1::2])


@dataclass(frozen=True)
class _Track:
    """WORLD's parameters at the target's half-hop frames (J,) and (J, F)."""

    log_f0: Floats
    voiced: NDArray[np.bool_]
    log_sp: Floats
    aperiodicity: Floats


def _map_to_target(source: Source, durations: NDArray[np.int64], config: MelConfig) -> _Track:
    """Read a source at the target's time, with its factors applied."""
    import pyworld

    features, factors = source.features, source.factors
    half_hop = half_hop_seconds(config)
    target = np.arange(2 * int(durations.sum()) + 1) / 2.0
    ends = np.concatenate(([0], np.cumsum(durations)))
    place = np.interp(target, ends, source.boundaries_seconds) / half_hop
    place = np.clip(place, 0, len(features.f0_hz) - 1.001)
    left = place.astype(np.int64)
    part = (place - left)[:, None]
    nearest = np.rint(place).astype(np.int64)
    log_sp = (1 - part) * features.log_sp[left] + part * features.log_sp[left + 1]
    n_fft = 2 * (log_sp.shape[1] - 1)
    aperiodicity = pyworld.decode_aperiodicity(
        np.ascontiguousarray(features.band_aperiodicity[nearest], dtype=np.float64), config.sample_rate_hz, n_fft
    )
    gain = 2.0 * math.log(float(db_to_amplitude_ratio(factors.energy_db)))
    log_f0 = shape_log_f0(features, factors)
    return _Track(
        log_f0=np.interp(place, np.arange(len(log_f0)), log_f0),
        voiced=features.voiced[nearest],
        log_sp=_warp(log_sp, factors.warp, config, tilt=TILT_NATS_PER_HZ) + gain,
        aperiodicity=_warp(aperiodicity, factors.warp, config, tilt=0.0),
    )


def shape_log_f0(features: WorldFeatures, factors: Factors) -> Floats:
    """Give a contour another level and range: ``log(level) + range * scale * (log F0 - mean over voiced)``.

    ``scale`` brings the base voice to ``REFERENCE_LOG_F0_STD``, so that a range means the same for every voice.

    Args:
        features: Analysis (J,).
        factors: ``f0_level_hz`` and ``f0_range`` wanted.

    Returns:
        Natural log-F0 (J,), within ``F0_LIMITS_HZ``.
    """
    log_f0 = np.log(np.asarray(features.f0_hz, dtype=np.float64))
    centred = log_f0 - log_f0[features.voiced].mean()
    scale = factors.f0_range * REFERENCE_LOG_F0_STD / BASE_LOG_F0_STD[features.base]
    return np.clip(math.log(factors.f0_level_hz) + scale * centred, *np.log(F0_LIMITS_HZ))


def _warp(spectrum: Floats, warp: float, config: MelConfig, *, tilt: float) -> Floats:
    """Move a spectrum (J, F) along frequency: value at f from f / warp; continued with a tilt above the base's band."""
    bins = spectrum.shape[1]
    bin_hz = config.sample_rate_hz / 2 / (bins - 1)
    wanted_hz = np.arange(bins) * bin_hz / warp
    place = np.minimum(wanted_hz, HIGHEST_SOURCE_HZ) / bin_hz
    left = place.astype(np.int64)
    part = place - left
    warped = (1 - part) * spectrum[:, left] + part * spectrum[:, left + 1]
    return warped - tilt * np.maximum(wanted_hz - HIGHEST_SOURCE_HZ, 0.0)


def _blend(a: _Track, b: _Track, share: Floats) -> _Track:
    """Interpolate two tracks per frame; voicing from the side with the larger share."""
    column = share[:, None]
    return _Track(
        log_f0=(1 - share) * a.log_f0 + share * b.log_f0,
        voiced=np.where(share <= 0.5, a.voiced, b.voiced),
        log_sp=(1 - column) * a.log_sp + column * b.log_sp,
        aperiodicity=(1 - column) * a.aperiodicity + column * b.aperiodicity,
    )


def _checked_share(
    a: Source, b: Source | None, share: Floats | None, durations: NDArray[np.int64], points: int
) -> Floats:
    """Check that the parts of a blend fit together; return the share (zeros without B)."""
    for side in (a,) if b is None else (a, b):
        if len(side.boundaries_seconds) != len(durations) + 1:
            tokens = len(side.boundaries_seconds) - 1
            raise InputError(f"{tokens} tokens in a source; expected {len(durations)} as durations")
    if (b is None) != (share is None):
        raise InputError("a blend needs both a second source and its share; expected both or none")
    if share is None:
        return np.zeros(points)
    if np.shape(share) != (points,) or not (np.min(share) >= 0 and np.max(share) <= 1):
        raise InputError(f"share of shape {np.shape(share)}; expected ({points},) within [0, 1]")
    return np.asarray(share, dtype=np.float64)
