"""Envelopes see vowels, and neither level nor pitch."""

import numpy as np
import pytest
from scipy.signal import lfilter

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.envelope import BANDS, envelope_distance, log_envelope
from gradtts_interp.pitch.contour import Contour

CONFIG = MelConfig()
FRAMES = 40
VOWELS_HZ = {"a": (800, 1200, 2500), "i": (300, 2300, 3000)}


def vowel(name, f0_hz):
    """Pulses through formant resonators, and their exact contour."""
    rate = CONFIG.sample_rate_hz
    phase = np.arange(FRAMES * CONFIG.hop_samples) * f0_hz / rate
    audio = (np.floor(phase) > np.floor(phase - f0_hz / rate)).astype(float)
    for formant_hz in VOWELS_HZ[name]:
        radius, angle = np.exp(-np.pi * 90 / rate), 2 * np.pi * formant_hz / rate
        audio = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], audio)
    contour = Contour(
        f0_hz=np.full(FRAMES, f0_hz, dtype=np.float32),
        voiced=np.ones(FRAMES, dtype=bool),
        energy_db=np.full(FRAMES, -20.0, dtype=np.float32),
        frame_rate_hz=CONFIG.frame_rate_hz,
    )
    return 0.3 * audio / np.abs(audio).max(), contour


def envelope(name, f0_hz, gain=1.0):
    audio, contour = vowel(name, f0_hz)
    return log_envelope(gain * audio, contour, CONFIG)


MIDDLE = (np.arange(FRAMES) > 4) & (np.arange(FRAMES) < FRAMES - 4)


def test_shape_level_and_identity():
    found = envelope("a", 120.0)
    assert found.shape == (BANDS, FRAMES) and np.allclose(found.mean(0), 0)
    assert envelope_distance(found, found, MIDDLE) == 0


def test_gain_changes_nothing():
    assert envelope_distance(envelope("a", 120.0), envelope("a", 120.0, gain=0.25), MIDDLE) < 0.05


def test_vowels_differ_more_than_pitches():
    base = envelope("a", 120.0)
    pitch = envelope_distance(base, envelope("a", 170.0), MIDDLE)
    sound = envelope_distance(base, envelope("i", 120.0), MIDDLE)
    assert sound > 3 * pitch and sound > 3


def test_only_active_frames_count():
    a = np.zeros((BANDS, FRAMES))
    b = a.copy()
    b[:, 0] = 5.0
    assert envelope_distance(a, b, np.arange(FRAMES) > 0) == 0
    assert envelope_distance(a, b, np.arange(FRAMES) == 0) == pytest.approx(5.0)
    assert np.isnan(envelope_distance(a, b, np.zeros(FRAMES, dtype=bool)))


def test_shapes_must_agree():
    with pytest.raises(InputError, match=r"envelopes \(2, 3\) and \(2, 4\), frames \(3,\): expected equal frames"):
        envelope_distance(np.zeros((2, 3)), np.zeros((2, 4)), np.ones(3, dtype=bool))
