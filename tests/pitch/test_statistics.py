"""Pitch in a few numbers."""

import numpy as np
import pytest

from gradtts_interp.pitch.contour import Contour, f0_statistics, thirds


def contour(f0_hz, voiced):
    f0_hz = np.asarray(f0_hz, np.float32)
    return Contour(f0_hz, np.asarray(voiced, bool), np.zeros(len(f0_hz), np.float32), 86.13)


def test_median_range_and_voicing_read_voiced_frames_only():
    f0_hz = np.r_[np.full(50, 100.0), np.full(50, 200.0), np.full(100, 999.0)]
    found = f0_statistics(contour(f0_hz, np.arange(200) < 100))
    assert found.median_hz == pytest.approx(150)
    assert found.range_semitones == pytest.approx(12)
    assert found.voiced_share == 0.5
    part = f0_statistics(contour(f0_hz, np.arange(200) < 100), slice(0, 50))
    assert part.to_dict() == {"median_hz": 100.0, "range_semitones": 0.0, "voiced_share": 1.0}


def test_nothing_voiced_has_no_level():
    found = f0_statistics(contour(np.full(9, 150.0), np.zeros(9)))
    assert found.to_dict() == {"median_hz": None, "range_semitones": None, "voiced_share": 0.0}


@pytest.mark.parametrize("frames", [1, 2, 3, 10, 100])
def test_thirds_cover_every_frame_once(frames):
    parts = thirds(frames)
    assert [i for part in parts for i in range(frames)[part]] == list(range(frames))
    assert max(part.stop - part.start for part in parts) - min(part.stop - part.start for part in parts) <= 1
