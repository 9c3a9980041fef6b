"""Who speaks and how: 16 speakers, 5 emotions, and voices and pitch styles drawn from continuous ranges."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradtts_interp.corpus.flite import VOICES
from gradtts_interp.errors import InputError
from gradtts_interp.units import semitones_to_ratio


@dataclass(frozen=True)
class Voice:
    """Timbre: a base voice with its formants moved.

    Attributes:
        base: flite's voice.
        warp: Factor on all formant frequencies; above 1 is a shorter vocal tract.
    """

    base: str
    warp: float


@dataclass(frozen=True)
class Pitch:
    """Prosody, apart from timbre.

    Attributes:
        f0_level_hz: Geometric mean of F0.
        f0_range: Factor on the spread of log-F0; 1 is a standard deviation of about ``rendering.REFERENCE_LOG_F0_STD``.
        rate: Factor on speed.
        energy_db: Change of level.
    """

    f0_level_hz: float
    f0_range: float
    rate: float
    energy_db: float


@dataclass(frozen=True)
class Factors:
    """Everything that WORLD changes in one rendering: a ``Voice`` and a ``Pitch`` side by side."""

    base: str
    warp: float
    f0_level_hz: float
    f0_range: float
    rate: float
    energy_db: float

    @classmethod
    def of(cls, voice: Voice, pitch: Pitch) -> Factors:
        """Join a timbre and a prosody."""
        return cls(**dataclasses.asdict(voice), **dataclasses.asdict(pitch))

    def to_dict(self) -> dict[str, Any]:
        """Return the factors as plain JSON values."""
        return dataclasses.asdict(self)


EMOTIONS: dict[str, dict[str, float]] = {
    "neutral": {"semitones": 0.0, "f0_range": 1.0, "rate": 1.0, "energy_db": 0.0},
    "happy": {"semitones": 2.5, "f0_range": 1.35, "rate": 1.08, "energy_db": 2.0},
    "sad": {"semitones": -2.0, "f0_range": 0.6, "rate": 0.85, "energy_db": -4.0},
    "angry": {"semitones": 1.0, "f0_range": 1.15, "rate": 1.12, "energy_db": 5.0},
    "surprise": {"semitones": 4.0, "f0_range": 1.6, "rate": 1.0, "energy_db": 2.0},
}

# Base voice, formant warp, F0 level in Hz and F0 range of each speaker, by index.
_SPEAKERS: tuple[tuple[str, float, float, float], ...] = (
    ("slt", 0.86, 150.0, 0.8),
    ("slt", 0.95, 180.0, 1.1),
    ("slt", 1.05, 215.0, 0.9),
    ("slt", 1.15, 255.0, 1.2),
    ("rms", 0.86, 88.0, 0.9),
    ("rms", 0.95, 112.0, 1.2),
    ("rms", 1.05, 145.0, 0.7),
    ("rms", 1.15, 205.0, 1.0),
    ("awb", 0.86, 95.0, 1.1),
    ("awb", 0.95, 122.0, 0.8),
    ("awb", 1.15, 190.0, 1.0),
    ("awb", 1.05, 160.0, 1.3),
    ("kal16", 0.95, 105.0, 1.0),
    ("kal16", 0.86, 85.0, 0.8),
    ("kal16", 1.05, 135.0, 1.2),
    ("kal16", 1.15, 235.0, 0.9),
)
N_SPEAKERS = len(_SPEAKERS)

WARP_RANGE = (0.82, 1.18)
F0_LEVEL_RANGE_HZ = (82.0, 300.0)
F0_RANGE_RANGE = (0.4, 1.5)
RATE_RANGE = (0.85, 1.2)
ENERGY_RANGE_DB = (-5.0, 5.0)


def speaker_voice(speaker: int) -> Voice:
    """Return the timbre of a speaker of the bank; an unknown index is an error that names it."""
    base, warp, _, _ = _SPEAKERS[_checked(speaker)]
    return Voice(base, warp)


def speaker_pitch(speaker: int, emotion: str = "neutral") -> Pitch:
    """Return the prosody of a speaker in an emotion.

    Args:
        speaker: Index in ``range(N_SPEAKERS)``.
        emotion: One of ``EMOTIONS``.

    Returns:
        The speaker's own level and range changed by the emotion.

    Raises:
        InputError: The speaker or the emotion is unknown.
    """
    _, _, level_hz, f0_range = _SPEAKERS[_checked(speaker)]
    if emotion not in EMOTIONS:
        raise InputError(f"emotion {emotion!r}; expected one of {sorted(EMOTIONS)}")
    change = EMOTIONS[emotion]
    level_hz *= float(semitones_to_ratio(change["semitones"]))
    return Pitch(level_hz, f0_range * change["f0_range"], change["rate"], change["energy_db"])


def bank_voices() -> dict[str, Voice]:
    """Return the timbres of all speakers by key ``s0`` to ``s15``."""
    return {f"s{i}": speaker_voice(i) for i in range(N_SPEAKERS)}


def bank_pitches() -> dict[str, Pitch]:
    """Return the prosody of all speakers and emotions by key such as ``s12-happy``."""
    return {f"s{i}-{emotion}": speaker_pitch(i, emotion) for i in range(N_SPEAKERS) for emotion in EMOTIONS}


def continuous_voices(seed: int, *, n: int = 24, prefix: str = "c") -> dict[str, Voice]:
    """Draw timbres: base voices in turn, warps uniform in ``WARP_RANGE``.

    Args:
        seed: Same seed, same voices.
        n: Number of voices.
        prefix: First letter of the keys, ``c00`` and so on.

    Returns:
        Voices by key.
    """
    random = np.random.default_rng([seed, 11])
    warps = random.uniform(*WARP_RANGE, size=n)
    return {f"{prefix}{i:02d}": Voice(VOICES[i % len(VOICES)], round(float(w), 4)) for i, w in enumerate(warps)}


def continuous_pitches(seed: int, *, n: int = 48, prefix: str = "p") -> dict[str, Pitch]:
    """Draw prosodies: level log-uniform, range, rate and energy uniform.

    Levels are stratified, so that few draws also cover the whole range.

    Args:
        seed: Same seed, same prosodies.
        n: Number of prosodies.
        prefix: First letter of the keys, ``p00`` and so on.

    Returns:
        Prosodies by key.
    """
    random = np.random.default_rng([seed, 12])
    place = (random.permutation(n) + random.uniform(size=n)) / n
    low, high = (math.log(x) for x in F0_LEVEL_RANGE_HZ)
    levels = np.exp(low + place * (high - low))
    columns = [random.uniform(*limits, size=n) for limits in (F0_RANGE_RANGE, RATE_RANGE, ENERGY_RANGE_DB)]
    rows = np.stack([levels, *columns], axis=1)
    return {f"{prefix}{i:02d}": Pitch(*(round(float(x), 4) for x in row)) for i, row in enumerate(rows)}


def _checked(speaker: int) -> int:
    if not 0 <= speaker < N_SPEAKERS:
        raise InputError(f"speaker {speaker}; expected 0 to {N_SPEAKERS - 1}")
    return speaker
