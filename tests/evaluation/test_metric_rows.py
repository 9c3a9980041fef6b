"""Rows of measures: SoundMorpher's criteria on paths of points, where each has a known answer."""

import numpy as np
import pytest
from speaking import harmonic_tone

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.metric_rows import cepstral_distance, morph_measures
from gradtts_interp.evaluation.signal import Listener


def measures(path, a=(0, 0), b=(1, 0)):
    return morph_measures(path, a, b, lambda x, y: float(np.linalg.norm(np.asarray(x) - np.asarray(y))))


def test_a_straight_even_path_is_perfect():
    found = measures([(x, 0.0) for x in np.linspace(0, 1, 5)])
    perfect = {"correspondence": 0, "intermediateness": 0.5, "directness": 1, "smoothness": 0}
    assert found == {name: pytest.approx(value, abs=1e-9) for name, value in perfect.items()}


@pytest.mark.parametrize(
    ("path", "measure", "value"),
    [
        ([(0.1, 0), (0.5, 0), (0.7, 0)], "correspondence", 0.2),
        ([(0, 0), (0.2, 0), (1, 0)], "intermediateness", 0.2),
        ([(0, 0), (0.2, 0), (0.4, 0), (1, 0)], "intermediateness", 0.3),
        ([(0, 0), (0.5, 0.5), (1, 0)], "directness", 2**-0.5),
        ([(0, 0), (0.25, 0), (1, 0)], "smoothness", 0.5),
    ],
)
def test_each_fault_shows_in_its_own_measure(path, measure, value):
    assert measures(path)[measure] == pytest.approx(value)


@pytest.mark.parametrize(
    ("path", "b", "message"),
    [
        ([(0, 0), (1, 0)], (1, 0), "a morph of 2 sounds; expected at least 3"),
        ([(0, 0), (0.5, 0), (1, 0)], (0, 0), "A and B at a distance of 0"),
        ([(0, 0), (0.5, 0), (0, 0)], (1, 0), "the ends of a morph at 0"),
    ],
)
def test_what_is_no_morph(path, b, message):
    with pytest.raises(InputError, match=message):
        measures(path, b=b)


def test_of_sounds():
    low = harmonic_tone(150.0, 0.3).numpy()
    # The same harmonics with a tilt: a half-tilted one lies in between.
    high = np.diff(low, prepend=0.0).astype(np.float32) * 8
    a, middle, b = (Listener(MelConfig()).hear(sound, "x") for sound in (low, (low + high) / 2, high))
    assert cepstral_distance(a, a) == 0 and cepstral_distance(a, b) == pytest.approx(cepstral_distance(b, a))
    found = morph_measures([a, middle, b], a, b)
    assert found["correspondence"] == 0 and 0.1 < found["intermediateness"] < 0.9 and 0 < found["directness"] <= 1
