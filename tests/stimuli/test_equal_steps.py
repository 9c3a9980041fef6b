"""Steps of equal realised distance: the inverse of a curve whose inverse is known."""

import numpy as np
import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.stimuli.continuum import shares_for_equal_steps

EVEN = np.linspace(0, 1, 11)


@pytest.mark.parametrize("curve", [lambda w: w, np.square, np.sqrt, lambda w: 0.1 + 0.7 * np.sin(w * np.pi / 2)])
def test_a_known_curve_is_inverted(curve):
    found = shares_for_equal_steps(EVEN, curve(EVEN), 11)
    assert found[0] == 0 and found[-1] == 1 and (np.diff(found) > 0).all()
    realised = curve(found)
    assert np.abs(realised - np.linspace(realised[0], realised[-1], 11)).max() < 0.02


def test_a_curve_that_falls_for_a_moment_still_rises():
    realised = np.array([0, 0.1, 0.3, 0.25, 0.5, 0.9, 1.0])
    found = shares_for_equal_steps(np.linspace(0, 1, 7), realised, 5)
    assert (np.diff(found) > 0).all() and found[2] == pytest.approx(0.667, abs=0.02)


def test_the_order_of_the_points_does_not_matter():
    order = np.random.default_rng(0).permutation(11)
    np.testing.assert_allclose(
        shares_for_equal_steps(EVEN[order], EVEN[order] ** 2, 7), shares_for_equal_steps(EVEN, EVEN**2, 7)
    )


@pytest.mark.parametrize(
    ("asked", "realised", "steps", "message"),
    [
        ([0, 1], [0, 1], 1, "1 steps of 2 points; expected at least 2 of both"),
        ([0], [0], 3, "3 steps of 1 points"),
        ([0, 1], [0, np.nan], 3, "not finite"),
        ([0, 0.5, 1], [1, 0.5, 0], 3, r"does not rise from A to B \(1.000 to 0.000\)"),
    ],
)
def test_errors(asked, realised, steps, message):
    with pytest.raises(InputError, match=message):
        shares_for_equal_steps(asked, realised, steps)
