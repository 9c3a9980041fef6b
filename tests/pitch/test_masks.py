"""Masks of pitch and of bands: exact filter centres, harmonics, widths, voicing."""

from __future__ import annotations

import numpy as np
import pytest

from gradtts_interp.config import MelConfig
from gradtts_interp.pitch.masks import band_mask, filter_centres_hz, nearest_bin, pitch_mask

MEL = MelConfig()
CENTRES = filter_centres_hz(MEL)


@pytest.mark.parametrize("harmonics", [1, 3])
@pytest.mark.parametrize("width", [0, 2])
def test_marked_bins_are_those_of_the_multiples(harmonics, width):
    f0_hz = np.array([180.0, 250.0, 200.0])
    mask = pitch_mask(f0_hz, np.array([True, True, False]), MEL, harmonics=harmonics, width_bins=width)
    for frame in range(2):
        wanted = set()
        for k in range(1, harmonics + 1):
            middle = int(np.abs(CENTRES - k * f0_hz[frame]).argmin())
            wanted |= set(range(max(0, middle - width), middle + width + 1))
        assert set(np.flatnonzero(mask[:, frame])) == wanted
    assert mask[:, 2].sum() == 0


def test_multiples_above_the_mel_are_left_out():
    mask = pitch_mask(np.array([5000.0]), np.array([True]), MEL, harmonics=3, width_bins=0)
    assert np.flatnonzero(mask[:, 0]).tolist() == [int(nearest_bin(np.array([5000.0]), MEL)[0])]


def test_a_band_holds_its_lower_edge_and_not_its_upper():
    mask = band_mask(CENTRES[3], CENTRES[6], 2, MEL)
    assert np.flatnonzero(mask[:, 1]).tolist() == [3, 4, 5] and mask.shape == (80, 2)
