"""Trackers on signals whose F0 is known."""

import sys
from functools import partial

import numpy as np
import pytest
from refusing import refused

from gradtts_interp.config import MelConfig
from gradtts_interp.evaluation.signal import TRACKERS, track_f0

CONFIG = MelConfig()
RATE = CONFIG.sample_rate_hz
FRAMES = 50
EDGE = 8
CENTRES = ((np.arange(FRAMES) + 0.5) * CONFIG.hop_samples).astype(int)
T = np.arange(FRAMES * CONFIG.hop_samples) / RATE
GLIDE = 120 * 2 ** (T / T[-1])  # two octaves a second, about
# RMS in cents that each stays within: pYIN chooses among candidates a tenth of a semitone apart.
CLEAN = {"dio": 2.0, "harvest": 2.0, "pyin": 10.0, "praat": 3.0}
NOISY = {"dio": 12.0, "harvest": 6.0, "pyin": 12.0, "praat": 12.0}  # 10 dB


def harmonics(f0_hz, *, noise=0.0):
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE
    tone = 0.2 * sum(np.cos(k * phase) / k for k in range(1, 13))
    return tone + noise * tone.std() * np.random.default_rng(0).normal(size=len(tone))


def rms_cents(contour, f0_hz):
    chosen = contour.voiced.copy()
    chosen[:EDGE] = chosen[-EDGE:] = False
    assert chosen.sum() >= 0.9 * (FRAMES - 2 * EDGE)
    return np.sqrt(np.square(1200 * np.log2(contour.f0_hz / f0_hz[CENTRES]))[chosen].mean())


@pytest.mark.parametrize("method", TRACKERS)
def test_harmonic_tones_and_glides_within_stated_cents(method):
    for f0_hz in (np.full(len(T), 150.0), GLIDE, GLIDE[::-1]):
        contour = track_f0(harmonics(f0_hz), CONFIG, method)
        assert len(contour) == FRAMES and contour.frame_rate_hz == CONFIG.frame_rate_hz
        assert rms_cents(contour, f0_hz) < CLEAN[method]
    assert rms_cents(track_f0(harmonics(GLIDE, noise=10 ** (-10 / 20)), CONFIG, method), GLIDE) < NOISY[method]


@pytest.mark.parametrize("method", TRACKERS)
def test_silence_and_what_is_above_the_ceiling_is_unvoiced(method):
    contour = track_f0(np.zeros(len(T)), CONFIG, method)
    assert not contour.voiced.any() and (contour.f0_hz > 0).all() and len(contour) == FRAMES
    contour = track_f0(harmonics(np.full(len(T), 300.0)), CONFIG, method, floor_hz=70.0, ceiling_hz=200.0)
    assert not contour.voiced.any() or contour.f0_hz[contour.voiced].max() <= 205
    refused(track_f0, (np.zeros(0), CONFIG, method, r"shape \(0,\); expected samples \(N,\) with N >= 256"))


def test_bad_input_is_named(monkeypatch):
    tone = harmonics(GLIDE)
    refused(
        track_f0,
        (tone, CONFIG, "crepe", "'crepe'; expected one of dio, harvest, pyin, praat"),
        (tone * np.nan, CONFIG, "pyin", "all finite"),
        (np.stack([tone, tone]), CONFIG, r"shape \(2, "),
        (tone[:300], CONFIG, "praat", "Praat cannot track"),
    )
    refused(partial(track_f0, floor_hz=500, ceiling_hz=60), (tone, CONFIG, "range 500 to 60 Hz"))
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    refused(track_f0, (tone, CONFIG, "praat", r"pip install 'gradtts-interp\[eval\]"))
