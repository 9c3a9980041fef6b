"""Blend metrics on contours and envelopes whose share is known."""

import dataclasses

import numpy as np
import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.blend import (
    SHARE_LIMITS,
    RealisedShare,
    control_error,
    lag_ms,
    leakage,
    linearity,
    monotonicity,
    realised_energy_share,
    realised_envelope_share,
    realised_f0_share,
    seam,
    selectivity,
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


@pytest.mark.filterwarnings("error")
def test_a_sweep_that_stands_still_has_no_monotonicity_and_no_linearity():
    weights = np.linspace(0, 1, 11)
    rounding = 0.3 + 1e-16 * np.arange(11)
    for shares in (np.zeros(11), np.full(11, 0.3), rounding, np.where(weights > 0.5, np.nan, weights)):
        assert np.isnan(monotonicity(weights, shares)) and np.isnan(linearity(weights, shares))
    assert np.isnan(monotonicity(np.full(11, 0.5), weights))  # nothing else was asked for
    assert np.isnan(monotonicity(weights[:1], weights[:1])) and np.isnan(linearity(weights[:1], weights[:1]))


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


RATE = 22050 / 256


@pytest.mark.parametrize("late", [-6, 0, 9])
@pytest.mark.parametrize("ramp", [(0.0, 1.0), (0.3, 0.7)])
def test_lag_is_how_much_later_the_share_moves(late, ramp):
    t = np.arange(160)
    wanted = np.clip((t / 159 - ramp[0]) / (ramp[1] - ramp[0]), 0, 1)
    found = wanted[np.clip(t - late, 0, 159)]
    # A line from end to end correlates with itself at every lag: only its held ends tell, so noise hides them.
    noise = np.random.default_rng(0).normal(0, 0.03 * (ramp[0] > 0), 160)
    realised = RealisedShare(found + noise, np.random.default_rng(1).random(160) > 0.3)
    assert lag_ms(realised, wanted, RATE) == pytest.approx(late / RATE * 1000, abs=2.5 / RATE * 1000)


def test_lag_of_what_does_not_move_is_not_a_number():
    share = RealisedShare(np.linspace(0, 1, 50), np.ones(50, dtype=bool))
    assert np.isnan(lag_ms(share, np.full(50, 0.5), RATE))
    assert np.isnan(lag_ms(RealisedShare(np.full(50, 0.5), np.ones(50, dtype=bool)), np.linspace(0, 1, 50), RATE))
    assert np.isnan(lag_ms(RealisedShare(share.share, np.zeros(50, dtype=bool)), np.linspace(0, 1, 50), RATE))


def test_energy_share_follows_the_level_in_decibels():
    a, b = contour(np.full(40, 100.0)), contour(np.full(40, 200.0))
    b = dataclasses.replace(b, energy_db=a.energy_db + 6.0)
    blend = dataclasses.replace(a, energy_db=a.energy_db + 1.5)
    share = realised_energy_share(a, b, blend)
    assert share.measured.all() and share.mean() == pytest.approx(0.25)
    assert not realised_energy_share(a, dataclasses.replace(a, energy_db=a.energy_db + 0.5), blend).measured.any()


def test_leakage_is_measured_where_nothing_was_asked_for():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 80, 30))
    wanted = np.concatenate([np.zeros(15), np.ones(15)])
    blend = np.where(wanted > 0, b, a)
    assert leakage(a, b, blend, wanted) == 0
    assert leakage(a, b, b, wanted) == pytest.approx(1)
    assert leakage(a, b, a + 0.25 * (b - a), wanted) == pytest.approx(0.25)
    assert np.isnan(leakage(a, b, blend, np.ones(30)))
    bands = np.zeros((80, 30))
    bands[40:] = 1
    assert leakage(a, b, np.where(bands > 0, b, a), bands) == 0


def test_a_hard_cut_has_a_seam_and_a_glide_has_none():
    ripple = 0.1 * np.sin(np.arange(60))[None] * np.ones((80, 1))
    a, b, t = ripple - 3.0, ripple + 3.0, np.linspace(0, 1, 60)
    inside = (np.arange(60) > 20) & (np.arange(60) < 40)
    cut = np.where(np.arange(60) < 30, a, b)
    assert seam(a, b, cut, inside) > 20
    assert seam(a, b, a, inside) == pytest.approx(1)
    assert seam(a, b, a + t * (b - a), inside) < 3
    assert np.isnan(seam(a, b, cut, np.zeros(60, dtype=bool)))


def test_selectivity_is_the_unwanted_per_wanted_movement():
    assert selectivity(0.8, 0.2) == pytest.approx(0.25)
    assert selectivity(0.8, -0.2) == pytest.approx(0.25)
    assert np.isnan(selectivity(0.0, 0.2))
