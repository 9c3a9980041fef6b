"""Who speaks and how: 16 speakers, 5 emotions, and voices and pitch styles drawn from continuous ranges."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradtts_interp.units import semitones_to_ratio

Weights = tuple[float, ...]
"""Weight of each base voice, in the order of :data:`gradtts_interp.corpus.teacher.VOICES`; they sum to 1."""
Nuance = tuple[tuple[int, float], ...]
Pitch = dict[str, Any]
"""Prosody, apart from timbre: those of :class:`Factors` that are named in :data:`PITCH`."""
PITCH = ("f0_level_hz", "f0_spread", "rate", "energy_db")

REFERENCE_LOG_F0_STD = 0.15
"""Standard deviation of log-F0 at a range of 1."""


@dataclass(frozen=True)
class Factors:
    """Everything that is decided of one rendering: a voice with its way of moving, and a prosody.

    A voice alone has the level at which its timbre sounds natural, and is otherwise neutral.

    Attributes:
        timbre: Mix of the base voices in what the decoder reads.
        prosody: Mix of the base voices in what durations and the shapes of F0 and energy are predicted from.
        formant: Factor on all formant frequencies; above 1 is a shorter vocal tract.
        f0_level_hz: Geometric mean of F0 over voiced frames.
        f0_spread: Standard deviation of log-F0 (natural) over voiced frames.
        rate: Factor on the speed that the voice has by itself.
        energy_db: Change of level.
        nuance: Random directions added to the timbre, each as (seed, size), see
            :meth:`gradtts_interp.corpus.teacher.Teacher.style`.
    """

    timbre: Weights
    prosody: Weights
    formant: float
    f0_level_hz: float
    f0_spread: float = REFERENCE_LOG_F0_STD
    rate: float = 1.0
    energy_db: float = 0.0
    nuance: Nuance = ()


def mix_factors(a: Factors, b: Factors, share: float) -> Factors:
    """Mix two styles: weights, spread and level linearly, frequencies and speed in log.

    Args:
        a: First style.
        b: Second style.
        share: Of ``b``, 0 to 1.

    Returns:
        The style between them; exactly ``a`` or ``b`` at the ends.
    """
    if share in (0, 1) or a == b:
        return (a, b)[int(share)]
    values: dict[str, Any] = {}
    for f in dataclasses.fields(Factors):
        if f.name == "nuance":
            sides = ((a.nuance, 1 - share), (b.nuance, share))
            values[f.name] = tuple((number, part * size) for nuance, part in sides for number, size in nuance)
            continue
        of_a, of_b = np.asarray(getattr(a, f.name)), np.asarray(getattr(b, f.name))
        if f.name in ("formant", "f0_level_hz", "rate"):
            values[f.name] = float(of_a ** (1 - share) * of_b**share)
        else:
            mixed = ((1 - share) * of_a + share * of_b).tolist()
            values[f.name] = tuple(mixed) if isinstance(mixed, list) else mixed
    return Factors(**values)


EMOTIONS: dict[str, dict[str, float]] = {
    "neutral": {"semitones": 0.0, "f0_range": 1.0, "rate": 1.0, "energy_db": 0.0},
    "happy": {"semitones": 2.5, "f0_range": 1.35, "rate": 1.08, "energy_db": 2.0},
    "sad": {"semitones": -2.0, "f0_range": 0.6, "rate": 0.85, "energy_db": -4.0},
    "angry": {"semitones": 1.0, "f0_range": 1.15, "rate": 1.12, "energy_db": 5.0},
    "surprise": {"semitones": 4.0, "f0_range": 1.6, "rate": 1.0, "energy_db": 2.0},
}

BASE_F0_HZ = (215.0, 215.0, 200.0, 195.0, 98.0)
"""Level at which each base voice sounds natural, in the order of the weights."""

FORMANTS = (0.93, 0.965, 1.0, 1.035, 1.07)
"""Formant factors of unnamed voices: a few values, so that styles of equal formants exist for every voice."""
FORMANT_SHARES = (0.14, 0.2, 0.32, 0.2, 0.14)
LARGEST_EXTRAPOLATION = 0.25
LARGEST_NUANCE = 0.35
SUITING_SEMITONES = 8.0
"""How far a level of F0 may lie from the one that is natural for a voice."""

F0_LEVEL_RANGE_HZ = (78.0, 320.0)
F0_RANGE_RANGE = (0.4, 1.7)
RATE_RANGE = (0.85, 1.2)
ENERGY_RANGE_DB = (-5.0, 5.0)

# Timbre as weights of (alpha, gongitsune, nezumi, tebukuro, kumo), formant factor, F0 level in Hz and range, by index.
_SPEAKERS: tuple[tuple[Weights, float, float, float], ...] = (
    ((0.5, 0.5, 0.0, 0.0, 0.0), 1.0, 205.0, 1.0),
    ((0.0, 0.0, 0.0, 0.0, 1.0), 1.07, 98.0, 1.0),
    ((0.0, 0.0, 1.0, 0.0, 0.0), 1.0, 190.0, 1.1),
    ((0.0, 0.5, 0.0, 0.0, 0.5), 1.0, 140.0, 0.9),
    ((0.0, 0.0, 0.0, 0.0, 1.0), 0.93, 88.0, 0.8),
    ((0.0, 1.0, 0.0, 0.0, 0.0), 1.07, 240.0, 1.2),
    ((0.0, 0.0, 0.5, 0.0, 0.5), 1.0, 130.0, 1.2),
    ((0.5, 0.5, 0.0, 0.0, 0.0), 1.07, 250.0, 0.9),
    ((0.0, 0.0, 0.0, 0.3, 0.7), 0.965, 115.0, 1.1),
    ((0.0, 0.7, 0.0, 0.3, 0.0), 1.0, 180.0, 0.8),
    ((0.0, 1.1, 0.0, 0.0, -0.1), 1.0, 220.0, 1.1),
    ((0.0, 0.0, 1.0, 0.0, 0.0), 1.07, 225.0, 1.3),
    ((0.0, -0.1, 0.0, 0.0, 1.1), 1.0, 105.0, 1.0),
    ((0.5, 0.0, 0.0, 0.0, 0.5), 1.035, 155.0, 1.0),
    ((0.0, 0.5, 0.5, 0.0, 0.0), 0.93, 165.0, 1.2),
    ((0.0, 0.3, 0.0, 0.0, 0.7), 1.07, 120.0, 0.8),
)
N_SPEAKERS = len(_SPEAKERS)
_USUAL_PROSODY: Weights = (0.0, 0.5, 0.0, 0.0, 0.5)


def natural_f0_hz(timbre: Weights, formant: float) -> float:
    """Level of F0 that is natural for a timbre: that of its base voices, higher for a shorter vocal tract."""
    log_f0 = sum(weight * math.log(f0_hz) for weight, f0_hz in zip(timbre, BASE_F0_HZ, strict=True))
    return round(math.exp(log_f0) * formant**1.5, 2)


def main_base(timbre: Weights) -> int:
    """Number of the base voice with the largest weight."""
    return max(range(len(timbre)), key=lambda i: timbre[i])


def suits(voice: Factors, f0_level_hz: float) -> bool:
    """Whether a level of F0 lies within :data:`SUITING_SEMITONES` of a voice's natural one."""
    return abs(math.log(f0_level_hz / voice.f0_level_hz)) <= SUITING_SEMITONES * math.log(2) / 12


def speaker_voice(speaker: int) -> Factors:
    """Return the voice of a speaker of the bank, of index 0 to ``N_SPEAKERS`` - 1."""
    timbre, formant, level_hz, _ = _SPEAKERS[speaker]
    return Factors(timbre, _USUAL_PROSODY, formant, level_hz)


def speaker_pitch(speaker: int, emotion: str = "neutral") -> Pitch:
    """Return the prosody of a speaker in an emotion.

    Args:
        speaker: Index in ``range(N_SPEAKERS)``.
        emotion: One of ``EMOTIONS``.

    Returns:
        The speaker's own level and range changed by the emotion.
    """
    _, _, level_hz, f0_range = _SPEAKERS[speaker]
    change = EMOTIONS[emotion]
    level_hz *= float(semitones_to_ratio(change["semitones"]))
    spread = REFERENCE_LOG_F0_STD * f0_range * change["f0_range"]
    values = (round(level_hz, 4), round(spread, 4), change["rate"], change["energy_db"])
    return dict(zip(PITCH, values, strict=True))


def bank_voices() -> dict[str, Factors]:
    """Return the voices of all speakers by key ``s0`` to ``s15``."""
    return {f"s{i}": speaker_voice(i) for i in range(N_SPEAKERS)}


def bank_pitches() -> dict[str, Pitch]:
    """Return the prosody of all speakers and emotions by key such as ``s12-happy``."""
    return {f"s{i}-{emotion}": speaker_pitch(i, emotion) for i in range(N_SPEAKERS) for emotion in EMOTIONS}


def continuous_voices(seed: int, *, n: int = 96, prefix: str = "c") -> dict[str, Factors]:
    """Draw voices: mixes of the base voices, carried a little beyond them, with a nuance of their own.

    Args:
        seed: Same seed, same voices.
        n: Number of voices.
        prefix: First letter of the keys, ``c00`` and so on.

    Returns:
        Voices by key.
    """
    random = np.random.default_rng([seed, 11])
    voices = {}
    for i in range(n):
        mix = random.dirichlet((0.3, 0.6, 0.4, 0.1, 0.7))
        mix = mix + random.uniform(0, LARGEST_EXTRAPOLATION) * (mix - 1 / len(mix)) * (mix.max() > 0.6)
        timbre = tuple(round(float(w), 4) for w in mix / mix.sum())
        lean = round(float(random.uniform(0.25, 0.75)), 4)
        formant = float(random.choice(FORMANTS, p=FORMANT_SHARES))
        nuance = ((int(random.integers(2**31)), round(float(random.uniform(0, LARGEST_NUANCE)), 4)),)
        prosody = (0.0, lean, 0.0, 0.0, round(1 - lean, 4))
        voices[f"{prefix}{i:02d}"] = Factors(timbre, prosody, formant, natural_f0_hz(timbre, formant), nuance=nuance)
    return voices


def continuous_pitches(seed: int, *, n: int = 128, prefix: str = "p") -> dict[str, Pitch]:
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
    columns[0] = columns[0] * REFERENCE_LOG_F0_STD
    rows = np.stack([levels, *columns], axis=1)
    rounded = [[round(float(x), 4) for x in row] for row in rows]
    return {f"{prefix}{i:02d}": dict(zip(PITCH, row, strict=True)) for i, row in enumerate(rounded)}
