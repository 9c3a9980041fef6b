"""Alignment of utterances whose warp is known."""

import numpy as np
import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.contours import align_dtw, align_frames, align_phones, along, f0_errors, spoken_phones
from gradtts_interp.pitch.contour import Contour

RATE = 100.0


def contour(f0_hz, rate=RATE):
    f0_hz = np.asarray(f0_hz, dtype=np.float32)
    return Contour(f0_hz, np.ones(len(f0_hz), dtype=bool), np.full(len(f0_hz), -20, dtype=np.float32), rate)


def slow_features(frames, seed):
    """Features (10, T) that wander, so that every moment has a spectrum of its own."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(10, frames)), axis=1)


def test_frames_belong_to_themselves():
    found = align_frames(10, 11)
    assert np.array_equal(found[0], np.arange(10)) and len(found[1]) == 10
    with pytest.raises(InputError, match="frames differ: 10, 12"):
        align_frames(10, 12)
    with pytest.raises(InputError, match="frames differ: 0, 0"):
        align_frames(0, 0)


def test_phones_anchor_a_stretch():
    a = [("AH0", 0.0, 0.5), ("", 0.5, 0.6), ("T", 0.6, 1.0)]
    b = [("ah", 0.0, 1.0), ("t", 1.0, 1.4)]
    found = align_phones(a, b, frame_rate_hz=RATE, reference_frames=100, other_frames=140)
    assert np.array_equal(found[0], np.arange(100))
    assert np.abs(found[1][:50] - 2 * np.arange(50)).max() <= 1
    assert np.abs(found[1][50:60] - 100).max() <= 1  # the pause that is not there is squeezed
    assert np.abs(found[1][60:] - np.arange(100, 140)).max() <= 1
    moved = 120 * np.exp(0.3 * np.sin(np.arange(140) / 20))
    reference, other = along(found, contour(moved[found[1]]), contour(moved))
    assert f0_errors(reference, other)["f0_rms_cents"] == 0
    same = align_phones(a, a, frame_rate_hz=RATE, reference_frames=100, other_frames=100)
    assert np.array_equal(*same)


def test_phones_that_differ_are_named():
    options = {"frame_rate_hz": RATE, "reference_frames": 100, "other_frames": 100}
    one, two = ("AH", 0.0, 0.5), ("T", 0.5, 1.0)
    with pytest.raises(InputError, match="phone 2 is T in the reference and AH in the other"):
        align_phones([one, two], [one, ("AH", 0.5, 1.0)], **options)
    with pytest.raises(InputError, match="has 2 phones and the other 1"):
        align_phones([one, two], [one], **options)
    with pytest.raises(InputError, match="0 and 1 phones"):
        align_phones([("sil", 0, 1)], [one], **options)
    with pytest.raises(InputError, match="times of the other do not rise"):
        align_phones([one, two], [("AH", 0.5, 1.0), ("T", 0.0, 0.5)], **options)
    with pytest.raises(InputError, match="times of the reference do not rise"):
        align_phones([("AH", 0.0, np.nan)], [one], **options)
    with pytest.raises(InputError, match="hold no frame"):
        align_phones([("AH", 5.0, 6.0)], [one], **options)


def test_pauses_and_stress_are_no_phones():
    phones = [("@AH0", 0, 1), ("", 1, 2), (",", 2, 3), ("sp", 3, 4), ("SIL", 4, 5), ("t", 5, 6)]
    assert [name for name, _, _ in spoken_phones(phones)] == ["AH", "T"]


def test_warping_finds_a_known_warp():
    features = slow_features(200, 0)
    warp = np.rint(199 * (np.linspace(0, 1, 260) ** 1.5)).astype(int)
    found = align_dtw(features, features[:, warp])
    assert found[0][0] == found[1][0] == 0
    assert found[0][-1] == 199 and found[1][-1] == 259
    assert (np.diff(found[0]) >= 0).all() and (np.diff(found[1]) >= 0).all()
    assert np.abs(warp[found[1]] - found[0]).max() <= 1
    f0 = 150 * np.exp(0.3 * np.sin(np.arange(200) / 15))
    assert f0_errors(*along(found, contour(f0), contour(f0[warp])))["f0_rms_cents"] < 25


def test_contours_are_read_through_the_path_so_unrelated_ones_stay_unrelated():
    """Warping on F0 itself turned r = -0.15 into +0.56; spectra know nothing of F0, so r stays about 0."""
    r = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        features = slow_features(400, seed)
        warp = np.sort(random.integers(0, 400, 400))
        a, b = (150 * np.exp(0.1 * random.normal(size=400)) for _ in range(2))
        found = align_dtw(features, features[:, warp])
        r.append(f0_errors(*along(found, contour(a), contour(b)))["f0_correlation"])
    assert abs(np.mean(r)) < 0.1 and np.abs(r).max() < 0.25


def test_what_cannot_be_warped_is_named():
    with pytest.raises(InputError, match="aligns anything"):
        align_dtw(np.zeros((1, 5)), np.zeros((1, 5)))
    with pytest.raises(InputError, match=r"expected \(D, T\)"):
        align_dtw(np.zeros((3, 5)), np.zeros((4, 5)))
    with pytest.raises(InputError, match=r"expected \(D, T\)"):
        align_dtw(np.zeros((3, 0)), np.zeros((3, 5)))
    with pytest.raises(InputError, match="not finite"):
        align_dtw(np.full((3, 5), np.nan), np.zeros((3, 5)))
    with pytest.raises(InputError, match="too long to warp"):
        align_dtw(np.zeros((2, 10_000)), np.zeros((2, 10_000)))
    path = np.array([0, 5]), np.array([0, 1])
    with pytest.raises(InputError, match="does not fit the reference of 3 frames"):
        along(path, contour(np.full(3, 100.0)), contour(np.full(3, 100.0)))
    index = np.arange(3)
    with pytest.raises(InputError, match="frame rates"):
        along((index, index), contour(np.full(3, 100.0)), contour(np.full(3, 100.0), 86.0))
