"""Errors of contours whose errors are known, and laws that hold for any contour."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.contours import contour_errors, correlation, duration_errors, speaking_rate_hz
from gradtts_interp.pitch.contour import Contour, fill_unvoiced

RATE = 22050 / 256
NONE = ("f0_rms_cents", "f0_mean_cents", "f0_correlation", "gpe", "octave")


def contour(f0_hz, voiced=None, energy_db=None, rate=RATE):
    f0_hz = np.asarray(f0_hz, dtype=np.float32)
    voiced = np.ones(len(f0_hz), dtype=bool) if voiced is None else np.asarray(voiced)
    energy_db = np.full(len(f0_hz), -20.0) if energy_db is None else energy_db
    return Contour(f0_hz, voiced, np.asarray(energy_db, dtype=np.float32), rate)


def walk(seed, frames=200):
    """A contour that moves slowly, as speech does."""
    rng = np.random.default_rng(seed)
    log_f0 = np.log(150) + np.convolve(rng.normal(0, 0.1, frames + 8), np.ones(9) / 3, "valid")
    voiced = np.convolve(rng.normal(size=frames + 20), np.ones(21), "valid") > -2
    return contour(np.exp(log_f0), voiced, -30 + rng.normal(0, 5, frames))


def scaled(given, ratio):
    return dataclasses.replace(given, f0_hz=given.f0_hz * np.float32(ratio))


def test_itself_is_without_error():
    found = contour_errors(walk(0), walk(0))
    assert found.f0_rms_cents == found.f0_mean_cents == found.gpe == found.octave == found.vde == found.ffe == 0
    assert found.f0_correlation == pytest.approx(1) and found.energy_correlation == pytest.approx(1)
    assert found.energy_rmse_db == 0 and found.coverage == 1
    assert found.frames == 200 and 0 < found.both_voiced < 200


def test_octave_up_is_1200_cents_and_gross():
    found = contour_errors(walk(0), scaled(walk(0), 2))
    assert found.f0_rms_cents == pytest.approx(1200) and found.f0_mean_cents == pytest.approx(1200)
    assert found.gpe == found.octave == 1 and found.f0_correlation == pytest.approx(1)
    assert contour_errors(scaled(walk(0), 2), walk(0)).f0_mean_cents == pytest.approx(-1200)


def test_three_semitones_are_300_cents_and_no_octave():
    found = contour_errors(walk(0), scaled(walk(0), 2 ** (3 / 12)))
    assert found.f0_rms_cents == pytest.approx(300, abs=0.01) and found.f0_correlation == pytest.approx(1)
    assert found.gpe == 0 and found.octave == 0  # 18.9 % off
    assert contour_errors(walk(0), scaled(walk(0), 2 ** (4 / 12))).gpe == 1  # 26 % off


def test_one_nat_is_1731_cents():
    assert contour_errors(walk(0), scaled(walk(0), np.e)).f0_mean_cents == pytest.approx(1731.2, abs=0.1)


def test_counts_of_a_small_case_by_hand():
    reference = contour([100.0] * 10, [1, 1, 1, 1, 1, 1, 0, 0, 0, 0] == np.ones(10))
    synthesis = contour([100, 130, 200, 110, 100, 100, 100, 100, 100, 100], np.arange(10) != 5)
    found = contour_errors(reference, synthesis)
    assert found.both_voiced == 5 and found.coverage == pytest.approx(5 / 6)
    assert found.gpe == pytest.approx(2 / 5) and found.octave == pytest.approx(1 / 5)
    assert found.vde == pytest.approx(5 / 10) and found.ffe == pytest.approx(7 / 10)


def test_level_does_not_see_gain_and_is_bounded():
    level = np.array([-20.0, -30, -25, -40, -20])
    a, louder = contour([100.0] * 5, energy_db=level), contour([100.0] * 5, energy_db=level + 6)
    found = contour_errors(a, louder)
    assert found.energy_rmse_db == pytest.approx(0, abs=1e-5) and found.energy_correlation == pytest.approx(1)
    bumped = contour([100.0] * 5, energy_db=level + [0, 0, 0, 0, 5])
    assert contour_errors(a, bumped).energy_rmse_db == pytest.approx(2)  # 5 dB in one of five frames, less the mean
    silent = [contour([100.0] * 3, energy_db=[-10, -12, floor]) for floor in (-70, -80)]
    assert contour_errors(*silent).energy_rmse_db == 0


@pytest.mark.parametrize("which", [0, 1])
def test_without_voiced_frames_nothing_is_said_of_pitch(which):
    pair = [walk(0), walk(1)]
    pair[which] = dataclasses.replace(pair[which], voiced=np.zeros(200, dtype=bool))
    found = contour_errors(*pair)
    assert found.both_voiced == 0 and [getattr(found, name) for name in NONE] == [None] * len(NONE)
    assert found.coverage == (None if which == 0 else 0) and found.vde == found.ffe > 0


def test_what_stands_still_has_no_correlation():
    flat = contour([120.0] * 20)
    assert contour_errors(flat, scaled(flat, 1.1)).f0_correlation is None
    assert contour_errors(flat, flat).energy_correlation is None
    assert correlation(np.arange(2.0), np.arange(2.0)) is None


def test_values_are_plain_json():
    found = contour_errors(walk(0), walk(1)).to_dict()
    assert json.loads(json.dumps(found)) == found and found["frames"] == 200


def test_contours_that_cannot_be_compared_are_refused():
    with pytest.raises(InputError, match="200 and 150 frames; align them first"):
        contour_errors(walk(0), walk(0, 150))
    with pytest.raises(InputError, match="86.13.* and 100 frames per second"):
        contour_errors(walk(0), dataclasses.replace(walk(0), frame_rate_hz=100.0))
    with pytest.raises(InputError, match="without frames"):
        contour_errors(contour([]), contour([]))
    with pytest.raises(InputError, match="synthesis has levels that are NaN"):
        contour_errors(walk(0), dataclasses.replace(walk(0), energy_db=np.full(200, np.nan, dtype=np.float32)))
    with pytest.raises(InputError, match="F0 that is not finite"):
        contour([100.0, np.nan])
    with pytest.raises(InputError, match="2 and 3 values"):
        correlation(np.zeros(2), np.zeros(3))


@st.composite
def pairs(draw):
    """Any two contours of one length."""
    frames = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    odds = draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    spread = draw(st.sampled_from([0.0, 0.05, 0.8]))
    found = []
    for _ in range(2):
        voiced = rng.random(frames) < odds
        f0_hz = fill_unvoiced(150 * np.exp(rng.normal(0, spread, frames)), voiced)
        found.append(contour(f0_hz, voiced, rng.uniform(-80, 0, frames)))
    return found


@settings(max_examples=150, deadline=None)
@given(pairs(), st.floats(0.5, 2))
def test_laws_of_any_pair(pair, ratio):
    found = contour_errors(*pair)
    gross = 0 if found.gpe is None else found.gpe
    assert found.ffe == pytest.approx(found.vde + found.both_voiced / found.frames * gross)
    rates = [found.gpe, found.octave, found.vde, found.ffe, found.coverage]
    assert all(0 <= rate <= 1 for rate in rates if rate is not None)
    assert all(-1 <= r <= 1 for r in (found.f0_correlation, found.energy_correlation) if r is not None)
    assert all(np.isfinite(value) for value in found.to_dict().values() if value is not None)
    back = contour_errors(*pair[::-1])
    assert back.vde == found.vde and back.f0_correlation == pytest.approx(found.f0_correlation, abs=1e-9)
    if found.both_voiced:
        assert back.f0_mean_cents == pytest.approx(-found.f0_mean_cents, abs=1e-6)
        assert abs(found.f0_mean_cents) <= found.f0_rms_cents + 1e-9
        moved = contour_errors(pair[0], scaled(pair[1], ratio))
        assert moved.f0_mean_cents - found.f0_mean_cents == pytest.approx(1200 * np.log2(ratio), abs=0.01)
        assert moved.f0_correlation == pytest.approx(found.f0_correlation, abs=1e-3)


def test_unrelated_contours_do_not_correlate():
    found = [contour_errors(walk(2 * i), walk(2 * i + 1)).f0_correlation for i in range(40)]
    assert abs(np.mean(found)) < 0.08 and max(np.abs(found)) < 0.7
    level = [contour_errors(walk(2 * i), walk(2 * i + 1)).energy_correlation for i in range(40)]
    assert abs(np.mean(level)) < 0.05


WORD = [("", 0.0, 0.2), ("HH", 0.2, 0.3), ("AH0", 0.3, 0.4), ("sil", 0.4, 0.6), ("L", 0.6, 0.7), ("OW1", 0.7, 1.0)]


def test_durations():
    assert duration_errors(WORD, WORD).to_dict() == {"duration_ms": 0, "rate_ratio": 1, "phones": 4}
    slower = [(label, 2 * start, 2 * end) for label, start, end in WORD]
    found = duration_errors(WORD, slower)
    assert found.duration_ms == pytest.approx((100 + 100 + 100 + 300) / 4)
    assert found.rate_ratio == pytest.approx(0.5)
    assert speaking_rate_hz(WORD) == pytest.approx(4 / 0.8)


def test_other_phones_have_a_rate_but_no_duration_error():
    found = duration_errors(WORD, [("K", 0.0, 0.1), ("AE1", 0.1, 0.2)])
    assert found.duration_ms is None and found.rate_ratio == pytest.approx(2.0)
    stressed = [(label.replace("0", "2"), start, end) for label, start, end in WORD]
    assert duration_errors(WORD, stressed).duration_ms == 0


def test_phones_that_cannot_be_measured_are_refused():
    with pytest.raises(InputError, match="no phone among 2 intervals"):
        duration_errors([("", 0, 1), (",", 1, 2)], WORD)
    with pytest.raises(InputError, match="'K' from 1 to 1 s; expected an end after its start"):
        duration_errors(WORD, [("K", 1.0, 1.0)])
    with pytest.raises(InputError, match="'K' from nan"):
        duration_errors(WORD, [("K", float("nan"), 1.0)])
