"""Blend metrics on contours and envelopes whose share is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusing import called, refused

from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.blend import (
    SHARE_LIMITS,
    control_error,
    lag_ms,
    leakage,
    linearity,
    measured,
    monotonicity,
    realised_energy_share,
    realised_envelope_share,
    realised_f0_share,
    seam,
    selectivity,
)
from gradtts_interp.evaluation.contours import at_frames
from gradtts_interp.evaluation.metric_rows import morph_measures
from gradtts_interp.pitch.contour import Contour

FRAMES = 40


def contour(f0_hz, voiced=None):
    f0_hz = np.broadcast_to(np.asarray(f0_hz, dtype=np.float32), FRAMES)
    voiced = np.ones(FRAMES, dtype=bool) if voiced is None else voiced
    return Contour(f0_hz=f0_hz, voiced=voiced, energy_db=np.full(FRAMES, -20.0, dtype=np.float32), frame_rate_hz=86.0)


A, B = contour(100.0), contour(200.0)


def test_a_ramp_is_followed_frame_by_frame_where_all_are_voiced_and_apart():
    ramp = np.linspace(0, 1, FRAMES)
    realised = realised_f0_share(A, B, contour(100.0 * 2**ramp))
    assert np.allclose(realised, ramp, atol=1e-5)
    assert control_error(realised, ramp) < 1e-5
    assert control_error(realised, 1 - ramp) > 0.5
    assert control_error(realised, ramp + (np.arange(FRAMES) % 2)) == pytest.approx(np.sqrt(0.5))  # not their mean
    assert realised[:20].mean() < 0.3 < 0.7 < realised[20:].mean()
    voiced = np.arange(FRAMES) % 2 == 0
    realised = realised_f0_share(A, contour(200.0, voiced), contour(150.0))
    assert np.array_equal(np.isfinite(realised), voiced) and len(measured(realised)) == 20
    assert np.isnan(realised_f0_share(A, B, contour(150.0, ~voiced))[voiced]).all()
    assert np.isnan(control_error(realised_f0_share(A, A, B), np.zeros(FRAMES)))
    limits = [realised_f0_share(A, B, contour(f0_hz))[0] for f0_hz in (25.0, 800.0)]
    assert tuple(limits) == SHARE_LIMITS == (-0.5, 1.5)


@pytest.mark.filterwarnings("error")
def test_monotonicity_and_linearity_of_a_sweep_that_moves():
    weights = np.linspace(0, 1, 11)
    assert monotonicity(weights, weights**3) == pytest.approx(1)
    assert monotonicity(weights, -weights) == pytest.approx(-1)
    assert linearity(weights, weights) == pytest.approx(1)
    assert linearity(weights, weights / 2) == pytest.approx(-2.5)  # no slope is fitted
    rounding = 0.3 + 1e-16 * np.arange(11)
    for shares in (np.zeros(11), np.full(11, 0.3), rounding, np.where(weights > 0.5, np.nan, weights)):
        assert np.isnan(monotonicity(weights, shares)) and np.isnan(linearity(weights, shares))
    assert np.isnan(monotonicity(np.full(11, 0.5), weights))  # nothing else was asked for
    assert np.isnan(monotonicity(weights[:1], weights[:1])) and np.isnan(linearity(weights[:1], weights[:1]))


def test_lengths_must_agree():
    refused(
        called,
        (realised_f0_share, A, B, at_frames(A, slice(5)), "frames differ: 40, 40, 5"),
        (realised_energy_share, A, B, at_frames(A, slice(5)), "frames differ: 40, 40, 5"),
        (realised_envelope_share, *np.zeros((2, 2, 3)), np.zeros((2, 4)), np.ones(3) > 0, "expected equal frames"),
        (control_error, np.zeros(2), np.zeros(3), "frames differ: 2, 3"),
    )


RATE = 22050 / 256


@pytest.mark.parametrize("late", [-6, 0, 9])
@pytest.mark.parametrize("ramp", [(0.0, 1.0), (0.3, 0.7)])
def test_lag_is_how_much_later_the_share_moves(late, ramp):
    t = np.arange(160)
    wanted = np.clip((t / 159 - ramp[0]) / (ramp[1] - ramp[0]), 0, 1)
    found = wanted[np.clip(t - late, 0, 159)]
    # A line from end to end correlates with itself at every lag: only its held ends tell, so noise hides them.
    noise = np.random.default_rng(0).normal(0, 0.03 * (ramp[0] > 0), 160)
    realised = np.where(np.random.default_rng(1).random(160) > 0.3, found + noise, np.nan)
    assert lag_ms(realised, wanted, RATE) == pytest.approx(late / RATE * 1000, abs=2.5 / RATE * 1000)
    still = np.full(160, 0.5)
    for pair in ((t / 159, still), (still, wanted), (np.nan * found, wanted)):
        assert np.isnan(lag_ms(*pair, RATE))


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
    assert seam(a, 3 * b, a, inside) == seam(3 * b, a, a, inside) == pytest.approx(1 / 2)  # the mean of 1 and 3
    assert seam(a, b, a + t * (b - a), inside) < 3
    assert np.isnan(seam(a, b, cut, np.zeros(60, dtype=bool)))


def test_selectivity_is_the_unwanted_per_wanted_movement():
    assert selectivity(0.8, 0.2) == selectivity(0.8, -0.2) == pytest.approx(0.25) and np.isnan(selectivity(0.0, 0.2))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(3, 40))
def test_envelopes_mixed_and_turned(seed, dimensions, frames):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, dimensions, frames))
    share = random.uniform(0, 1, frames)
    aside = random.normal(size=a.shape)
    aside -= (b - a) * (aside * (b - a)).sum(0) / np.square(b - a).sum(0)
    blend = (1 - share) * a + share * b + aside  # what is across the way does not count
    active = random.random(frames) < 0.8
    found = realised_envelope_share(a, b, blend, active)
    assert np.allclose(found[active], share[active])
    assert np.array_equal(np.isfinite(found), active) and np.isnan(realised_envelope_share(a, a, b, active)).all()
    turn, _ = np.linalg.qr(random.normal(size=(dimensions, dimensions)))
    turned = realised_envelope_share(turn @ a, turn @ b, turn @ blend, active)
    assert np.allclose(turned[active], found[active])


@pytest.mark.parametrize(("cents", "level_db", "counts"), [(50.5, 1.01, True), (49.5, 0.99, False)])
def test_a_way_of_50_cents_or_1_db_counts_and_a_shorter_one_does_not(cents, level_db, counts):
    assert np.isfinite(realised_f0_share(A, contour(100.0 * 2 ** (cents / 1200)), A)).all() == counts
    louder = dataclasses.replace(A, energy_db=A.energy_db + np.float32(level_db))
    assert np.isfinite(realised_energy_share(A, louder, A)).all() == counts


# -- morphs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def measures(monkeypatch):
    """Measures of morphs whose sounds are points of a plane."""
    monkeypatch.setattr(metric_rows, "cepstral_distance", lambda x, y: float(np.linalg.norm(np.subtract(x, y))))
    return lambda path, a=(0, 0), b=(1, 0): morph_measures(path, a, b)


@pytest.mark.parametrize(
    ("path", "faults"),
    [
        ([(0, 0), (0.25, 0), (0.5, 0), (0.75, 0), (1, 0)], {"correspondence": 0, "directness": 1, "smoothness": 0}),
        ([(0.1, 0), (0.5, 0), (0.7, 0)], {"correspondence": 0.2, "directness": 1}),
        ([(0, 0), (0.2, 0), (1, 0)], {"intermediateness": 0.2}),
        ([(0, 0), (0.2, 0), (0.4, 0), (1, 0)], {"intermediateness": 0.3}),
        ([(0, 0), (0.5, 0.5), (1, 0)], {"directness": 2**-0.5, "intermediateness": 0.5}),
        ([(0, 0), (0.25, 0), (1, 0)], {"smoothness": 0.5}),
    ],
)
def test_a_straight_even_path_is_perfect_and_each_fault_shows_in_its_own_measure(measures, path, faults):
    found = measures(path)
    assert {name: found[name] for name in faults} == pytest.approx(faults, abs=1e-9)


def test_what_is_no_morph(measures):
    refused(
        measures,
        ([(0, 0), (1, 0)], "a morph of 2 sounds; expected at least 3"),
        ([(0, 0), (0.5, 0), (1, 0)], (0, 0), (0, 0), "A and B at a distance of 0"),
        ([(0, 0), (0.5, 0), (0, 0)], "the ends of a morph at 0"),
    )
