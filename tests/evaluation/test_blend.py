"""Blend metrics on contours and envelopes whose share is known."""

import numpy as np
import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.blend import (
    SHARE_LIMITS,
    RealisedShare,
    control_error,
    linearity,
    monotonicity,
    realised_envelope_share,
    realised_f0_share,
)
from gradtts_interp.pitch.contour import Contour

FRAMES = 40


def contour(f0_hz, voiced=None):
    f0_hz = np.broadcast_to(np.asarray(f0_hz, dtype=np.float32), FRAMES)
    voiced = np.ones(FRAMES, dtype=bool) if voiced is None else voiced
    return Contour(f0_hz=f0_hz, voiced=voiced, energy_db=np.full(FRAMES, -20.0, dtype=np.float32), frame_rate_hz=86.0)


A, B = contour(100.0), contour(200.0)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_blends_in_log_frequency_realise_their_share(share):
    realised = realised_f0_share(A, B, contour(100.0 * 2**share))
    assert realised.measured.all() and np.allclose(realised.share, share, atol=1e-6)
    assert realised.mean() == pytest.approx(share, abs=1e-6)


def test_a_ramp_is_followed_frame_by_frame():
    ramp = np.linspace(0, 1, FRAMES)
    realised = realised_f0_share(A, B, contour(100.0 * 2**ramp))
    assert np.allclose(realised.share, ramp, atol=1e-5)
    assert control_error(realised, ramp) < 1e-5
    assert control_error(realised, 1 - ramp) > 0.5
    assert realised.mean(slice(0, 20)) < 0.3 < 0.7 < realised.mean(slice(20, None))


def test_swapping_styles_complements_the_share():
    blend = contour(130.0)
    there, back = realised_f0_share(A, B, blend), realised_f0_share(B, A, blend)
    assert np.allclose(there.share + back.share, 1, atol=1e-6)


def test_only_frames_where_all_are_voiced_and_apart_are_measured():
    voiced = np.arange(FRAMES) % 2 == 0
    realised = realised_f0_share(A, contour(200.0, voiced), contour(150.0))
    assert np.array_equal(realised.measured, voiced)
    assert np.isnan(realised.share[~voiced]).all()
    near = realised_f0_share(A, contour(102.0), contour(101.0))  # 34 cents apart
    assert not near.measured.any() and np.isnan(near.mean()) and np.isnan(control_error(near, np.zeros(FRAMES)))


def test_shares_are_clipped():
    assert realised_f0_share(A, B, contour(1000.0)).mean() == SHARE_LIMITS[1]
    assert realised_f0_share(A, B, contour(10.0)).mean() == SHARE_LIMITS[0]


def test_envelope_share_is_the_projection():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 8, FRAMES))
    active = np.arange(FRAMES) > 3
    for share in (0.0, 0.3, 1.0):
        realised = realised_envelope_share(a, b, (1 - share) * a + share * b, active)
        assert np.array_equal(realised.measured, active) and np.allclose(realised.share[active], share)
    way, aside = np.eye(3)[0][:, None], np.eye(3)[1][:, None]
    realised = realised_envelope_share(0 * way, way, 0.5 * way + 7 * aside, np.ones(1, dtype=bool))
    assert realised.mean() == pytest.approx(0.5)  # what is across the way does not count
    assert not realised_envelope_share(a, a, b, active).measured.any()


def test_monotonicity_and_linearity():
    weights = np.linspace(0, 1, 11)
    assert monotonicity(weights, weights**3) == pytest.approx(1)
    assert monotonicity(weights, -weights) == pytest.approx(-1)
    assert linearity(weights, weights) == pytest.approx(1)
    assert linearity(weights, (weights > 0.5).astype(float)) < 0.8
    assert linearity(weights, 1 - weights) < 0  # a falling line is not the line asked for


def test_lengths_must_agree():
    short = Contour(A.f0_hz[:5], A.voiced[:5], A.energy_db[:5], 86.0)
    with pytest.raises(InputError, match="frames differ: 40, 40, 5"):
        realised_f0_share(A, B, short)
    with pytest.raises(InputError, match="expected equal frames"):
        realised_envelope_share(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 4)), np.ones(3, dtype=bool))
    with pytest.raises(InputError, match="frames differ: 2, 3"):
        control_error(RealisedShare(np.zeros(2), np.ones(2, dtype=bool)), np.zeros(3))
    with pytest.raises(InputError, match="frames differ"):
        monotonicity(np.zeros(2), np.zeros(3))
    with pytest.raises(InputError, match="frames differ"):
        linearity(np.zeros(2), np.zeros(3))
