"""The WORLD swap: A's pitch on B's sound."""

import numpy as np
import pytest
from refusing import refused
from scipy.ndimage import binary_erosion

from gradtts_interp.config import MelConfig
from gradtts_interp.evaluation.signal import envelope_distance, log_envelope, power_envelope
from gradtts_interp.pitch.contour import Contour, extract_contour
from gradtts_interp.pitch.world import world_morph, world_shift, world_swap

CONFIG = MelConfig()
SAMPLES = CONFIG.hop_samples * 120


def envelope_of(audio, contour):
    return log_envelope(power_envelope(audio, contour, CONFIG), CONFIG)


def vowel(f0_hz: np.ndarray, formants: tuple[float, ...]) -> np.ndarray:
    """Harmonics of a moving F0 (N,) under bell-shaped formants, silent at both ends."""
    phase = 2 * np.pi * np.cumsum(f0_hz) / CONFIG.sample_rate_hz
    audio = np.zeros(len(f0_hz))
    for k in range(1, 40):
        level = sum(np.exp(-0.5 * ((k * f0_hz - f) / 150.0) ** 2) for f in formants) + 0.01
        audio += level * np.cos(k * phase) * (k * f0_hz < 7000)
    gate = (np.arange(len(audio)) > 4000) & (np.arange(len(audio)) < len(audio) - 4000)
    return (0.1 * audio * gate).astype(np.float32)


A = vowel(np.linspace(180.0, 240.0, SAMPLES), (700.0, 1200.0, 2500.0))
B = vowel(np.full(SAMPLES, 120.0), (350.0, 2100.0, 2900.0))
CONTOURS = extract_contour(A, CONFIG), extract_contour(B, CONFIG)


def heard(audio: np.ndarray, iterations: int):
    """Contour of a sound, frames where it and A and B are surely voiced, and how far its envelope is from A's and B's.

    A window over the edge of the sound has no pitch of its own.
    """
    assert audio.shape == A.shape and audio.dtype == np.float32
    found = extract_contour(audio, CONFIG)
    sure = binary_erosion(found.voiced & CONTOURS[0].voiced & CONTOURS[1].voiced, iterations=iterations)
    assert sure.sum() > 60
    *of_both, own = (envelope_of(x, c) for x, c in zip((A, B, audio), (*CONTOURS, found), strict=True))
    return found.f0_hz, sure, lambda frames: [envelope_distance(own, other, frames) for other in of_both]


def test_swap_has_the_pitch_of_a_and_the_envelope_of_b():
    f0_hz, sure, distances = heard(world_swap(B, CONTOURS[1], CONTOURS[0], CONFIG), 2)
    cents = 1200 * np.log2(f0_hz[sure] / CONTOURS[0].f0_hz[sure])
    assert np.abs(np.median(cents)) < 5 and np.abs(cents).max() < 40
    to_a, to_b = distances(sure)
    assert to_b < 0.4 * to_a


def test_a_morph_goes_from_a_to_b():
    weight = np.clip((np.arange(len(CONTOURS[0])) - 40) / 40, 0, 1)
    f0_hz, sure, distances = heard(world_morph(A, CONTOURS[0], B, CONTOURS[1], weight, CONFIG), 3)
    wanted = CONTOURS[0].f0_hz ** (1 - weight) * CONTOURS[1].f0_hz ** weight
    assert np.abs(1200 * np.log2(f0_hz[sure] / wanted[sure])).max() < 50
    for end, (near, far) in ((0, (0, 1)), (1, (1, 0))):
        found = distances(sure & (weight == end))
        assert found[near] < 0.3 * found[far]


@pytest.mark.parametrize("semitones", [6.0, -6.0])
def test_a_shift_moves_the_pitch_and_not_the_envelope(semitones):
    f0_hz, sure, distances = heard(world_shift(B, CONTOURS[1], semitones, CONFIG), 3)
    assert np.median(12 * np.log2(f0_hz[sure] / CONTOURS[1].f0_hz[sure])) == pytest.approx(semitones, abs=0.1)
    assert distances(sure)[1] < 3


def test_other_durations_and_silence_are_named():
    for frames, message in ((10, "A has 10 frames"), (120, "A is nowhere voiced")):
        silent = Contour(np.full(frames, 99.0), np.zeros(frames, bool), np.full(frames, -80.0), CONFIG.frame_rate_hz)
        refused(world_swap, (B, CONTOURS[1], silent, CONFIG, message))
