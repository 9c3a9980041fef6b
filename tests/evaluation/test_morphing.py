"""SoundMorpher's criteria on paths of points, where each has a known answer."""

import numpy as np
import pytest
from speaking import RATE_HZ, harmonic_tone

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.morphing import (
    cepstral_distance,
    correspondence,
    directness,
    intermediateness,
    morph_measures,
    smoothness,
)
from gradtts_interp.evaluation.signal import Listener


def distance(x, y) -> float:
    return float(np.linalg.norm(np.asarray(x) - np.asarray(y)))


STRAIGHT = [(x, 0.0) for x in np.linspace(0, 1, 5)]


def test_a_straight_even_path_is_perfect():
    assert correspondence(STRAIGHT, STRAIGHT[0], STRAIGHT[-1], distance) == 0
    assert intermediateness(STRAIGHT, distance) == pytest.approx(0.5)
    assert directness(STRAIGHT, distance) == pytest.approx(1)
    assert smoothness(STRAIGHT, distance) == pytest.approx(0, abs=1e-9)


def test_each_fault_shows_in_its_own_measure():
    assert correspondence([(0.1, 0), (0.7, 0)], (0, 0), (1, 0), distance) == pytest.approx(0.2)
    assert intermediateness([(0, 0), (0.2, 0), (1, 0)], distance) == pytest.approx(0.2)
    assert intermediateness([(0, 0), (0.2, 0), (0.4, 0), (1, 0)], distance) == pytest.approx(0.3)
    assert directness([(0, 0), (0.5, 0.5), (1, 0)], distance) == pytest.approx(2**-0.5)
    assert smoothness([(0, 0), (0.25, 0), (1, 0)], distance) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda: correspondence([1.0], 0.0, 1.0, distance), "a morph of 1 sounds; expected at least 2"),
        (lambda: correspondence([0.0, 0.0], 0.0, 0.0, distance), "at a distance of 0; expected two sounds that differ"),
        (lambda: intermediateness([0.0, 1.0], distance), "a morph of 2 sounds; expected at least 3"),
        (lambda: intermediateness([0.0, 0.0, 0.0], distance), "middle equals both of its ends"),
        (lambda: smoothness([0.0, 0.0, 0.0], distance), "steps are all 0"),
        (lambda: directness([0.0, 0.0], distance), "at a distance of 0"),
    ],
)
def test_errors(measure, message):
    with pytest.raises(InputError, match=message):
        measure()


def test_of_sounds():
    mel = MelConfig()
    assert mel.sample_rate_hz == RATE_HZ
    low, high = (harmonic_tone(f0_hz, 0.3).numpy() for f0_hz in (150.0, 150.0))
    # The same harmonics, the second with a tilt: a half-tilted one lies in between.
    high = np.diff(high, prepend=0.0).astype(np.float32) * 8
    sounds = [low, (low + high) / 2, high]
    a, middle, b = (Listener(mel).hear(sound, "x") for sound in sounds)
    assert cepstral_distance(a, a) == 0 and cepstral_distance(a, b) == pytest.approx(cepstral_distance(b, a))
    found = morph_measures([a, middle, b], a, b)
    assert found["correspondence"] == 0 and 0.1 < found["intermediateness"] < 0.9 and 0 < found["directness"] <= 1
