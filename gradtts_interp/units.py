"""All changes of unit, in one place, named ``<from>_to_<to>``."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

CENTS_PER_OCTAVE = 1200.0
CENTS_PER_NAT = CENTS_PER_OCTAVE / math.log(2.0)

MEL_HZ = 200.0 / 3.0
"""Width of a mel where the scale is linear."""

MEL_BREAK_HZ = 1000.0
"""Above this frequency, which is 15 mel, the scale is logarithmic."""

NATS_PER_MEL = math.log(6.4) / 27.0


def ratio_to_cents(ratio: NDArray | float) -> NDArray:
    """Convert a frequency ratio (> 0) to cents; 2 is 1200 cents."""
    return CENTS_PER_OCTAVE * np.log2(ratio)


def ratio_to_semitones(ratio: NDArray | float) -> NDArray:
    """Convert a frequency ratio (> 0) to semitones; 2 is 12 semitones."""
    return 12.0 * np.log2(ratio)


def semitones_to_ratio(semitones: NDArray | float) -> NDArray:
    """Convert semitones to a frequency ratio."""
    return np.exp2(np.asarray(semitones) / 12.0)


def power_to_db(power: NDArray | float, floor_db: float = -100.0) -> NDArray:
    """Convert power to decibels re 1, never below ``floor_db`` (so silence stays finite)."""
    return 10.0 * np.log10(np.maximum(power, 10.0 ** (floor_db / 10.0)))


def db_to_amplitude_ratio(db: NDArray | float) -> NDArray:
    """Convert a level change in decibels to the factor on the samples."""
    return np.power(10.0, np.asarray(db) / 20.0)


def hz_to_mel(frequency_hz: NDArray | float) -> NDArray[np.float64]:
    """Convert frequencies (>= 0, in Hz) to Slaney's mel scale.

    Source: Slaney 1998, Auditory Toolbox; librosa's default, without importing it, which takes longer than a sentence.
    """
    hertz = np.asarray(frequency_hz, dtype=np.float64)
    above = np.log(np.maximum(hertz, MEL_BREAK_HZ) / MEL_BREAK_HZ) / NATS_PER_MEL
    return np.where(hertz >= MEL_BREAK_HZ, MEL_BREAK_HZ / MEL_HZ + above, hertz / MEL_HZ)


def mel_to_hz(mel: NDArray | float) -> NDArray[np.float64]:
    """Undo :func:`hz_to_mel`."""
    values = np.asarray(mel, dtype=np.float64)
    break_mel = MEL_BREAK_HZ / MEL_HZ
    above = MEL_BREAK_HZ * np.exp(NATS_PER_MEL * (np.maximum(values, break_mel) - break_mel))
    return np.where(values >= break_mel, above, MEL_HZ * values)
