"""Where pitch lives on a mel plane: masks of F0 and its harmonics, and of frequency bands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.audio import mel_edges_hz
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError

BANDS_HZ = {"f0": (0.0, 400.0), "f1-f2": (400.0, 2500.0), "f3-f4": (2500.0, 5000.0)}
"""Named bands: they touch and do not overlap, so each mel bin belongs to one at most. F1 of close vowels, about 300 Hz,
lies in the first; what is above the last, mostly friction, in none."""


def filter_centres_hz(config: MelConfig) -> NDArray[np.float64]:
    """Centre frequency of each mel filter, (M,) in Hz.

    The filters' edges are M + 2 points evenly spaced in mel; the centres are the inner ones. Taking the first M
    points instead would shift every mask by one bin.
    """
    return mel_edges_hz(config)[1:-1]


def nearest_bin(frequency_hz: NDArray, config: MelConfig) -> NDArray[np.int64]:
    """Mel bin whose filter centre is nearest to each frequency; same shape as ``frequency_hz``."""
    centres = filter_centres_hz(config)
    borders = (centres[1:] + centres[:-1]) / 2
    return np.searchsorted(borders, np.asarray(frequency_hz, dtype=np.float64))


def pitch_mask(
    f0_hz: NDArray, voiced: NDArray, config: MelConfig, *, harmonics: int = 1, width_bins: int = 1
) -> NDArray[np.float32]:
    """Mask of the mel bins of F0 and its harmonics.

    Args:
        f0_hz: (T,) in Hz.
        voiced: (T,) bool; unvoiced frames have no pitch and stay 0.
        config: Mel contract of the plane.
        harmonics: Multiples 1..harmonics of F0 are marked.
        width_bins: Bins marked on each side of the nearest one.

    Returns:
        (M, T), 1 on the marked bins, else 0.
    """
    bins = np.arange(config.n_mels)[:, None]
    mask = np.zeros((config.n_mels, len(f0_hz)), dtype=bool)
    for k in range(1, harmonics + 1):
        frequency = k * np.asarray(f0_hz, dtype=np.float64)
        marked = np.abs(bins - nearest_bin(frequency, config)[None]) <= width_bins
        mask |= marked & (np.asarray(voiced, dtype=bool) & (frequency <= config.fmax_hz))[None]
    return mask.astype(np.float32)


def band_mask(low_hz: float, high_hz: float, frames: int, config: MelConfig) -> NDArray[np.float32]:
    """Mask of the mel bins whose centres lie in ``[low_hz, high_hz)``.

    Args:
        low_hz: Lower edge of the band.
        high_hz: Upper edge of the band.
        frames: Mel frames (T).
        config: Mel contract of the plane.

    Returns:
        (M, T), 1 inside the band, else 0.

    Raises:
        InputError: The band is empty, negative, or holds no filter centre.
    """
    centres = filter_centres_hz(config)
    inside = (centres >= low_hz) & (centres < high_hz)
    if not 0 <= low_hz < high_hz or not inside.any():
        raise InputError(f"band {low_hz:g}-{high_hz:g} Hz holds no mel bin of 0-{config.fmax_hz:g} Hz")
    return np.repeat(inside[:, None], frames, axis=1).astype(np.float32)
