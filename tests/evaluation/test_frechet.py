"""Fréchet distance: known Gaussians, and real numbers >= 0 where covariances are singular."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.frechet import diversity, frechet_distance

RANDOM = np.random.default_rng(0)


def with_moments(values, mean, deviations):
    """Values (n, D) made to have exactly a mean and a diagonal covariance."""
    centred = values - values.mean(0)
    q, _ = np.linalg.qr(centred)
    return q * np.sqrt(len(values) - 1) * np.asarray(deviations) + mean


def test_gaussians_of_known_moments():
    a = with_moments(RANDOM.normal(size=(200, 3)), 0.0, [1, 2, 3])
    b = with_moments(RANDOM.normal(size=(300, 3)), np.array([1.0, 0, 2]), [2, 2, 1])
    found = frechet_distance(a, b)
    assert found.means == pytest.approx(5)
    assert found.covariances == pytest.approx(1 + 0 + 4)  # squared differences of deviations that share their axes
    assert (found.n_reference, found.n_other, found.dimensions, found.singular) == (200, 300, 3, False)
    json.dumps(found.to_dict(), allow_nan=False)


def test_it_is_the_textbook_formula():
    from scipy.linalg import sqrtm

    a, b = RANDOM.normal(size=(80, 6)) @ RANDOM.normal(size=(6, 6)), RANDOM.normal(size=(90, 6)) + 1
    s, t = np.cov(a.T), np.cov(b.T)
    wanted = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(s + t - 2 * np.real(sqrtm(s @ t)))
    assert frechet_distance(a, b).distance == pytest.approx(wanted)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(2, 12), st.integers(2, 12), st.integers(1, 20), st.sampled_from([1e-8, 1, 1e6])
)
def test_real_symmetric_and_not_negative_on_singular_covariances(seed, n, m, dimensions, scale):
    random = np.random.default_rng(seed)
    direction = random.normal(size=(1, dimensions))
    a = scale * (random.normal(size=(n, 1)) * direction + 1e-9 * random.normal(size=(n, dimensions)))
    b = scale * random.normal(size=(m, 1)) * direction
    there, back = frechet_distance(a, b), frechet_distance(b, a)
    assert isinstance(there.distance, float) and np.isfinite(there.distance) and there.distance >= 0
    assert there.distance == pytest.approx(back.distance, rel=1e-6, abs=1e-9 * scale**2)
    assert frechet_distance(a, a).distance <= 1e-9 * max(1.0, float(np.square(a).sum()))
    assert there.singular == (min(n, m) <= dimensions)


def test_a_shift_of_all_is_its_square_and_a_turn_changes_nothing():
    a, b = RANDOM.normal(size=(40, 5)), 2 * RANDOM.normal(size=(50, 5))
    turn, _ = np.linalg.qr(RANDOM.normal(size=(5, 5)))
    plain = frechet_distance(a, b)
    assert frechet_distance(a, a + 3).distance == pytest.approx(45)
    assert frechet_distance(a @ turn, b @ turn).distance == pytest.approx(plain.distance)


def test_diversity_is_the_mean_distance_of_pairs():
    points = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    assert diversity(points) == {"diversity": pytest.approx(10 / 3), "n_embeddings": 3}
    assert diversity(np.ones((5, 4)))["diversity"] == 0
    assert diversity(np.ones((1, 4))) == {"diversity": None, "n_embeddings": 1}


def test_bad_embeddings_are_named():
    a = np.zeros((4, 3))
    with pytest.raises(InputError, match="3 and 2 dimensions"):
        frechet_distance(a, np.zeros((4, 2)))
    with pytest.raises(InputError, match=r"\(1, 3\); expected \(n, D\) with n >= 2"):
        frechet_distance(a[:1], a)
    with pytest.raises(InputError, match="not finite"):
        frechet_distance(a, a * np.nan)
    with pytest.raises(InputError, match=r"\(0, 3\)"):
        diversity(a[:0])
    with pytest.raises(InputError, match=r"\(3,\)"):
        diversity(np.zeros(3))
