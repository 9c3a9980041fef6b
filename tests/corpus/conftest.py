"""A voice-like signal for tests without flite, and its analysis."""

import numpy as np
import pytest

from gradtts_interp.corpus.speakers import Factors
from gradtts_interp.corpus.world import WorldFeatures, analyse

RATE = 22050


def voice_like(*, f0_hz: float = 150.0, seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """Pulses with a slow pitch movement through two formants, between two short silences."""
    samples = int(seconds * RATE)
    time = np.arange(samples) / RATE
    f0 = f0_hz * np.exp(0.1 * np.sin(2 * np.pi * 2.5 * time))
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    audio = np.zeros(samples)
    for k in range(1, int(7000 / f0_hz)):
        hz = k * f0_hz
        level = np.exp(-(((hz - 600) / 250) ** 2)) + 0.6 * np.exp(-(((hz - 1800) / 300) ** 2)) + 0.01
        audio += level * np.sin(k * phase)
    audio[: RATE // 10] *= 0
    audio[-RATE // 10 :] *= 0
    audio += 1e-4 * np.random.default_rng(seed).normal(size=samples)
    return 0.2 * audio / np.abs(audio).max()


@pytest.fixture(scope="session")
def make_voice():
    return voice_like


@pytest.fixture(scope="session")
def features() -> WorldFeatures:
    return analyse(voice_like(), "slt")


@pytest.fixture(scope="session")
def other_features() -> WorldFeatures:
    return analyse(voice_like(f0_hz=100.0, seconds=1.2, seed=1), "rms")


@pytest.fixture
def plain() -> Factors:
    return Factors("slt", warp=1.0, f0_level_hz=150.0, f0_range=0.5, rate=1.0, energy_db=0.0)
