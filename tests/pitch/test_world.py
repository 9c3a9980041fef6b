"""The WORLD swap: A's pitch on B's sound."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
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


def test_swap_has_the_pitch_of_a_and_the_envelope_of_b():
    a = vowel(np.linspace(180.0, 240.0, SAMPLES), (700.0, 1200.0, 2500.0))
    b = vowel(np.full(SAMPLES, 120.0), (350.0, 2100.0, 2900.0))
    contour_a, contour_b = extract_contour(a, CONFIG), extract_contour(b, CONFIG)
    swapped = world_swap(b, contour_b, contour_a, CONFIG)
    assert swapped.shape == b.shape and swapped.dtype == np.float32
    found = extract_contour(swapped, CONFIG)
    both = contour_a.voiced & contour_b.voiced & found.voiced
    both = binary_erosion(both, iterations=2)  # a window over the edge of the sound has no pitch of its own
    assert both.sum() > 60
    cents = 1200 * np.log2(found.f0_hz[both] / contour_a.f0_hz[both])
    assert np.abs(np.median(cents)) < 5 and np.abs(cents).max() < 40
    envelopes = [envelope_of(x, c) for x, c in ((a, contour_a), (b, contour_b), (swapped, found))]
    to_a, to_b = (envelope_distance(envelopes[2], e, both) for e in envelopes[:2])
    assert to_b < 0.4 * to_a


def test_a_morph_goes_from_a_to_b():
    a = vowel(np.full(SAMPLES, 200.0), (700.0, 1200.0, 2500.0))
    b = vowel(np.full(SAMPLES, 120.0), (350.0, 2100.0, 2900.0))
    contours = [extract_contour(x, CONFIG) for x in (a, b)]
    weight = np.clip((np.arange(len(contours[0])) - 40) / 40, 0, 1)
    morph = world_morph(a, contours[0], b, contours[1], weight, CONFIG)
    found = extract_contour(morph, CONFIG)
    sure = binary_erosion(contours[0].voiced & contours[1].voiced & found.voiced, iterations=3)
    assert sure.sum() > 60 and morph.shape == a.shape
    wanted = 200.0 ** (1 - weight) * 120.0**weight
    assert np.abs(1200 * np.log2(found.f0_hz[sure] / wanted[sure])).max() < 50
    to = [envelope_of(x, c) for x, c in ((a, contours[0]), (b, contours[1]), (morph, found))]
    begin, end = sure & (weight == 0), sure & (weight == 1)
    assert envelope_distance(to[2], to[0], begin) < 0.3 * envelope_distance(to[2], to[1], begin)
    assert envelope_distance(to[2], to[1], end) < 0.3 * envelope_distance(to[2], to[0], end)


@pytest.mark.parametrize("semitones", [6.0, -6.0])
def test_a_shift_moves_the_pitch_and_not_the_envelope(semitones):
    a = vowel(np.full(SAMPLES, 160.0), (700.0, 1200.0, 2500.0))
    contour = extract_contour(a, CONFIG)
    shifted = world_shift(a, contour, semitones, CONFIG)
    found = extract_contour(shifted, CONFIG)
    both = binary_erosion(contour.voiced & found.voiced, iterations=3)
    assert np.median(12 * np.log2(found.f0_hz[both] / contour.f0_hz[both])) == pytest.approx(semitones, abs=0.1)
    envelopes = [envelope_of(x, c) for x, c in ((a, contour), (shifted, found))]
    assert envelope_distance(*envelopes, both) < 3


def silence(frames: int) -> Contour:
    return Contour(
        f0_hz=np.full(frames, 100.0, dtype=np.float32),
        voiced=np.zeros(frames, dtype=bool),
        energy_db=np.full(frames, -80.0, dtype=np.float32),
        frame_rate_hz=CONFIG.frame_rate_hz,
    )


def test_other_durations_and_silence_are_named():
    b = vowel(np.full(SAMPLES, 120.0), (500.0,))
    contour = extract_contour(b, CONFIG)
    with pytest.raises(InputError, match="A has 10 frames"):
        world_swap(b, contour, silence(10), CONFIG)
    with pytest.raises(InputError, match="A is nowhere voiced"):
        world_swap(b, contour, silence(len(contour)), CONFIG)
