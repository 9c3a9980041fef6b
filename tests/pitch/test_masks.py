"""Masks of pitch and of bands: exact filter centres, harmonics, widths, voicing."""

from __future__ import annotations

import numpy as np

from gradtts_interp.config import MelConfig
from gradtts_interp.pitch.masks import band_mask, filter_centres_hz, nearest_bin, pitch_mask

MEL = MelConfig()
CENTRES = filter_centres_hz(MEL)


def test_multiples_above_the_mel_are_left_out():
    mask = pitch_mask(np.array([5000.0]), np.array([True]), MEL, harmonics=3, width_bins=0)
    assert np.flatnonzero(mask[:, 0]).tolist() == [int(nearest_bin(np.array([5000.0]), MEL)[0])]


def test_a_band_holds_its_lower_edge_and_not_its_upper():
    mask = band_mask(CENTRES[3], CENTRES[6], 2, MEL)
    assert np.flatnonzero(mask[:, 1]).tolist() == [3, 4, 5] and mask.shape == (80, 2)
