"""A second reading of pitch by another method, to find where the first one is not to be trusted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.audio import without_rumble
from gradtts_interp.config import MelConfig
from gradtts_interp.pitch.contour import Contour, loud_frames, refine_f0, without_slips

FLOOR_HZ, CEILING_HZ = 60.0, 500.0
"""Where the first reading searches."""

WIDE_FLOOR_HZ, WIDE_CEILING_HZ = 35.0, 1200.0
FRAME_SAMPLES = 2048
RESOLUTION_SEMITONES = 0.5
GROSS_LOG_F0 = 0.2
LARGEST_GROSS_SHARE = 0.2
FEWEST_FRAMES = 10


def second_opinion(audio: NDArray[Any], contour: Contour, config: MelConfig) -> tuple[Contour, tuple[str, ...]]:
    """Compare a contour with what pYIN reads from the same samples in a wider range.

    Where readings differ by more than a fifth in more than a fifth of the frames that both call voiced, it is mostly
    DIO that reads octaves, on creaky and deep voices. Of 218 recordings of the demo corpus, whose contours are known,
    eight were such: DIO was wrong in 20 to 75 % of these frames, pYIN in 8 % at most.

    Args:
        audio: Samples (N,) at ``config.sample_rate_hz``.
        contour: What :func:`~gradtts_interp.pitch.contour.extract_contour` read, (T,).
        config: The mel contract.

    Returns:
        The contour, with pYIN's pitch and voicing where the readings differ in this way and its pitch lies in the range
        that is searched; and a note for this, or for a voice outside that range. Contour and no note where pYIN hears
        too little to say anything.

    Source: Mauch and Dixon 2014, pYIN.
    """
    f0_hz = np.pad(wide_f0(audio, config), (0, len(contour)))[: len(contour)]
    heard = (f0_hz > 0) & loud_frames(audio, config)[: len(contour)]
    if heard.sum() < FEWEST_FRAMES:
        return contour, ()
    median_hz = float(np.median(f0_hz[heard]))
    both = heard & contour.voiced
    apart = np.abs(np.log(contour.f0_hz[both] / f0_hz[both])) > GROSS_LOG_F0
    # Where the voice lies outside, the first reading finds little, or an octave of it.
    little = both.sum() < heard.sum() / 3
    differ = both.sum() >= FEWEST_FRAMES and float(apart.mean()) > LARGEST_GROSS_SHARE
    if not FLOOR_HZ <= median_hz <= CEILING_HZ:
        outside = f"outside the {FLOOR_HZ:.0f} to {CEILING_HZ:.0f} Hz that are read"
        return contour, ((f"its F0 is about {median_hz:.0f} Hz, {outside}",) if little or differ else ())
    if not differ:
        return contour, ()
    first_hz = float(np.median(contour.f0_hz[both]))
    share = f"{100 * float(apart.mean()):.0f} % of the voiced frames"
    note = f"two readers of pitch differ in {share} (medians {first_hz:.0f} and {median_hz:.0f} Hz); the second is used"
    voiced = without_slips(f0_hz, heard & (f0_hz >= FLOOR_HZ) & (f0_hz <= CEILING_HZ))
    pitch_hz = refine_f0(audio, np.where(f0_hz > 0, f0_hz, median_hz), voiced, config)
    return replace(contour, f0_hz=pitch_hz, voiced=voiced), (note,)


def wide_f0(audio: NDArray[Any], config: MelConfig) -> NDArray[np.float64]:
    """Track F0 by pYIN from 35 to 1200 Hz.

    Args:
        audio: Samples (N,) at ``config.sample_rate_hz``.
        config: The mel contract, whose frame centres are used.

    Returns:
        F0 (T,) in Hz, 0 where unvoiced.
    """
    import librosa

    half = (FRAME_SAMPLES - config.hop_samples) // 2  # so that the windows' centres are the mel frames'
    f0_hz, voiced, _ = librosa.pyin(
        np.pad(without_rumble(audio, config.sample_rate_hz), (half, half + config.hop_samples)),
        fmin=WIDE_FLOOR_HZ,
        fmax=WIDE_CEILING_HZ,
        sr=config.sample_rate_hz,
        frame_length=FRAME_SAMPLES,
        hop_length=config.hop_samples,
        resolution=RESOLUTION_SEMITONES,
        center=False,
    )
    return np.where(voiced, f0_hz, 0.0)[: len(audio) // config.hop_samples]
