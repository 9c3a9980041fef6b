"""Contour errors on contours whose errors are known, and their laws on random ones."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusing import called, refused

from gradtts_interp.evaluation import contours
from gradtts_interp.pitch.contour import ENERGY_FLOOR_DB, Contour

RATE = 22050 / 256


def contour(f0_hz, voiced=None, energy_db=-20.0, rate=RATE):
    f0_hz = np.asarray(f0_hz, dtype=np.float32)
    voiced = np.ones(len(f0_hz), dtype=bool) if voiced is None else np.asarray(voiced, dtype=bool)
    energy = np.broadcast_to(np.asarray(energy_db, dtype=np.float32), f0_hz.shape).copy()
    return Contour(f0_hz, voiced, energy, rate)


def wave(frames=120, seed=0):
    random = np.random.default_rng(seed)
    return 150 * np.exp(0.2 * np.sin(np.linspace(0, 6, frames)) + 0.02 * random.normal(size=frames))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.floats(0.0, 2.0), st.floats(0, 1))
def test_ffe_is_voicing_errors_and_the_gross_errors_of_voiced_frames(frames, seed, spread, share_voiced):
    random = np.random.default_rng(seed)
    f0_hz = 150 * np.exp(spread * random.uniform(-1, 1, (2, frames)))
    pair = [contour(values, random.random(frames) < share_voiced) for values in f0_hz]
    f0, voicing = contours.f0_errors(*pair), contours.voicing_errors(*pair)
    assert voicing["ffe"] == pytest.approx(voicing["vde"] + f0["n_f0"] / voicing["n_frames"] * (f0["gpe"] or 0))


@pytest.mark.parametrize(
    ("ratio", "gross", "octave"),
    [(2.0, 1, 1), (0.5, 1, 1), (2 ** (3 / 12), 0, 0), (np.e, 1, 0), (1.21, 1, 0), (1.19, 0, 0), (0.81, 0, 0)],
)
def test_a_factor_is_so_many_cents_whatever_the_pitch(ratio, gross, octave):
    found = contours.f0_errors(contour(wave()), contour(wave() * ratio))
    cents = 1200 * np.log2(ratio)
    assert found["f0_mean_cents"] == pytest.approx(cents, abs=0.01)
    assert found["f0_rms_cents"] == pytest.approx(abs(cents), abs=0.01)
    assert (found["gpe"], found["octave"]) == (gross, octave) and found["f0_correlation"] == pytest.approx(1)
    assert (found["f0_rms_octaves_apart_cents"] is None) == bool(octave)
    still = contour(np.full(120, 150.0))
    assert contours.f0_errors(contour(wave()), still)["f0_correlation"] is None


def test_octave_errors_are_counted_apart_and_correlation_is_of_log_f0():
    other = wave() * 2 ** (50 / 1200)
    other[:30] *= 2
    found = contours.f0_errors(contour(wave()), contour(other))
    assert found["octave"] == 0.25 and found["gpe"] == 0.25
    assert found["f0_rms_octaves_apart_cents"] == pytest.approx(50, abs=0.01) and found["f0_rms_cents"] > 600
    f0_hz = np.exp(np.linspace(np.log(80), np.log(400), 60))  # twice as far in octaves is a line in log-F0 alone
    assert contours.f0_errors(contour(f0_hz), contour(f0_hz**2 / 100))["f0_correlation"] == pytest.approx(1, abs=1e-9)


def test_only_frames_where_both_are_voiced_count():
    voiced = np.arange(120) < 60
    other = wave()
    other[60:] = 900.0
    found = contours.f0_errors(contour(wave()), contour(other, voiced))
    assert found["n_f0"] == 60 and found["coverage"] == 0.5 and found["f0_rms_cents"] == 0
    assert contours.voicing_errors(contour(wave()), contour(other, voiced))["vde"] == 0.5


def test_a_gain_changes_no_level_error_and_a_shape_does():
    level = 10 * np.sin(np.arange(120) / 5) - 30
    a = contour(wave(), energy_db=level)
    found = contours.energy_errors(a, contour(wave(), energy_db=level - 6))
    assert found["energy_rmse_db"] == pytest.approx(0, abs=1e-5) and found["energy_correlation"] == pytest.approx(1)
    wiggle = np.where(np.arange(120) % 2, 3.0, -3.0)
    other = contour(wave(), energy_db=level + wiggle)
    assert contours.energy_errors(a, other)["energy_rmse_db"] == pytest.approx(3, abs=1e-4)
    silent = contours.energy_errors(a, contour(wave(), energy_db=ENERGY_FLOOR_DB))
    assert silent["n_energy"] == 0 and silent["energy_rmse_db"] is None


def test_all_unvoiced_gives_no_value_and_no_frame():
    a, none = contour(wave()), contour(wave(), np.zeros(120))
    found = contours.f0_errors(a, none)
    assert found["n_f0"] == 0 and found["coverage"] == 0 and found["f0_rms_cents"] is None and found["gpe"] is None
    assert contours.f0_errors(none, a)["coverage"] is None
    assert contours.voicing_errors(a, none) == contours.voicing_errors(none, a)
    assert contours.voicing_errors(none, none)["ffe"] == 0


def test_what_cannot_be_compared_is_named():
    refused(
        called,
        (contours.f0_errors, contour(wave()), contour(wave(119)), "frames differ: 120, 119"),
        (contours.voicing_errors, contour([]), contour([]), "frames differ: 0, 0"),
        (contours.energy_errors, contour(wave()), contour(wave(), rate=62.5), "frame rates 86.1328 and 62.5 Hz"),
        (contours.align_frames, 10, 12, "frames differ: 10, 12"),
        (contours.align_frames, 0, 0, "frames differ: 0, 0"),
        (contours.align_dtw, np.zeros((1, 5)), np.zeros((1, 5)), "aligns anything"),
        (contours.align_dtw, np.zeros((2, 10_000)), np.zeros((2, 10_000)), "too long to warp"),
    )


def test_durations():
    found = contours.duration_errors([0.1, 0.2, 0.1], [0.12, 0.15, 0.1])
    assert found["duration_ms"] == pytest.approx((20 + 50) / 3) and found["n_phones"] == 3
    assert found["reference_rate_hz"] == pytest.approx(7.5) and found["rate_ratio"] == pytest.approx(0.4 / 0.37)
    assert contours.duration_errors([0.1], [0.1])["duration_ms"] == 0
    assert contours.duration_errors([0.0], [0.0])["rate_ratio"] is None


# -- alignment --------------------------------------------------------------------------------------------------------


def test_frames_belong_to_themselves_and_phones_anchor_a_stretch():
    assert np.array_equal(contours.align_frames(10, 11), [np.arange(10)] * 2)
    a = [("AH0", 0.0, 0.5), ("", 0.5, 0.6), ("T", 0.6, 1.0)]
    b = [("ah", 0.0, 1.0), ("t", 1.0, 1.4)]
    found = contours.align_phones(a, b, frame_rate_hz=100.0, frames=(100, 140))
    assert np.array_equal(found[0], np.arange(100))
    assert np.abs(found[1][:50] - 2 * np.arange(50)).max() <= 1
    assert np.abs(found[1][50:60] - 100).max() <= 1  # the pause that is not there is squeezed
    assert np.abs(found[1][60:] - np.arange(100, 140)).max() <= 1
    same = contours.align_phones(a, a, frame_rate_hz=100.0, frames=(100, 100))
    assert np.array_equal(*same)


def test_phones_that_differ_are_named_and_pauses_and_stress_are_none():
    one, two = ("AH", 0.0, 0.5), ("T", 0.5, 1.0)
    refused(
        partial(contours.align_phones, frame_rate_hz=100.0, frames=(100, 100)),
        ([one, two], [one, ("AH", 0.5, 1.0)], "phone 2 is T in the reference and AH in the other"),
        ([one, two], [one], "2 phones in the reference and 1 in the other"),
        ([("sil", 0, 1)], [one], "0 phones in the reference and 1 in the other"),
    )
    phones = [("@AH0", 0, 1), ("", 1, 2), (",", 2, 3), ("sp", 3, 4), ("SIL", 4, 5), ("t", 5, 6)]
    assert [name for name, _, _ in contours.spoken_phones(phones)] == ["AH", "T"]


def test_warping_finds_a_known_warp():
    features = np.cumsum(np.random.default_rng(0).normal(size=(10, 200)), axis=1)  # every moment has its own
    warp = np.rint(199 * (np.linspace(0, 1, 260) ** 1.5)).astype(int)
    found = contours.align_dtw(features, features[:, warp])
    assert found[0][0] == found[1][0] == 0
    assert found[0][-1] == 199 and found[1][-1] == 259
    assert (np.diff(found[0]) >= 0).all() and (np.diff(found[1]) >= 0).all()
    assert np.abs(warp[found[1]] - found[0]).max() <= 1
    f0_hz = 150 * np.exp(0.3 * np.sin(np.arange(200) / 15))
    read = contours.at_frames(contour(f0_hz, f0_hz > 160, -f0_hz), found[0])
    assert np.array_equal(read.f0_hz, np.float32(f0_hz[found[0]])) and np.array_equal(read.energy_db, -read.f0_hz)
    assert np.array_equal(read.voiced, read.f0_hz > 160)
