"""Envelopes and mel-cepstra of known vowels, and trackers on signals whose F0 is known."""

import sys
from functools import partial

import numpy as np
import pytest
from refusing import refused

from gradtts_interp.config import MelConfig
from gradtts_interp.evaluation import signal
from gradtts_interp.pitch.contour import extract_contour

CONFIG = MelConfig()


def vowel(f0_hz: float, formants: tuple[float, ...] = (700.0, 1200.0, 2500.0), seconds: float = 0.7) -> np.ndarray:
    t = np.arange(int(seconds * CONFIG.sample_rate_hz)) / CONFIG.sample_rate_hz
    audio = np.zeros(len(t))
    for k in range(1, int(7000 / f0_hz)):
        level = sum(np.exp(-0.5 * ((k * f0_hz - f) / 200.0) ** 2) for f in formants) + 0.02
        audio += level * np.cos(2 * np.pi * k * f0_hz * t + k)
    noise = np.random.default_rng(0).normal(size=len(t))
    return 0.1 * audio / np.abs(audio).max() + 1e-4 * noise


def measured(audio: np.ndarray):
    contour = extract_contour(audio, CONFIG)
    power = signal.power_envelope(audio, contour, CONFIG)
    return contour, signal.mel_cepstrum(power), signal.log_envelope(power, CONFIG)


A, OTHER = vowel(120.0), vowel(120.0, (350.0, 2100.0, 2900.0))


def test_identity_is_zero_and_gain_changes_nothing():
    contour, cepstra, envelope = measured(A)
    active = signal.speech_frames(contour)
    assert active.sum() > 50 and cepstra.shape == (35, len(contour)) and envelope.shape == (signal.BANDS, len(contour))
    assert np.allclose(envelope.mean(0), 0)
    assert signal.mel_cepstral_distortion(cepstra, cepstra, active) == 0
    assert signal.envelope_distance(envelope, envelope, active) == 0
    for gain in (0.5, 0.03, 4.0):  # -6 dB is what one toolkit calls 4.3 dB of distortion
        quiet_contour, quiet, quiet_envelope = measured(gain * A)
        assert np.array_equal(signal.speech_frames(quiet_contour), active)
        assert signal.mel_cepstral_distortion(cepstra, quiet, active) < 0.01
        assert signal.envelope_distance(envelope, quiet_envelope, active) < 0.01
        assert np.allclose(quiet[0] - cepstra[0], np.log(gain), atol=0.01)  # all of the gain is in the level


def test_timbre_moves_both_more_than_pitch_does():
    contour, cepstra, envelope = measured(A)
    active = signal.speech_frames(contour)
    active[:4] = active[-4:] = False
    (_, higher, higher_envelope), (_, other, other_envelope) = measured(vowel(150.0)), measured(OTHER)
    pitch, timbre = (signal.mel_cepstral_distortion(cepstra, x, active) for x in (higher, other))
    assert timbre > 2 * pitch and timbre > 5
    pitch, timbre = (signal.envelope_distance(envelope, x, active) for x in (higher_envelope, other_envelope))
    assert timbre > 2 * pitch and timbre > 3


def test_only_active_frames_count_and_without_one_there_is_no_value():
    a, first = np.zeros((signal.BANDS, 40)), np.arange(40) == 0
    b = a + 5.0 * first
    assert signal.envelope_distance(a, b, ~first) == 0 and signal.envelope_distance(a, b, first) == pytest.approx(5.0)
    assert np.isnan(signal.envelope_distance(a, b, np.zeros(40, dtype=bool)))
    assert signal.mel_cepstral_distortion(a, b, np.zeros(40, dtype=bool)) is None


def test_no_warp_is_the_identity_and_the_distortion_is_the_log_spectrum_in_decibels(monkeypatch):
    assert np.allclose(signal.warping_matrix(40, 34, 0.0), np.eye(35, 40))
    powers = [signal.power_envelope(x, extract_contour(x, CONFIG), CONFIG) for x in (A, OTHER)]
    monkeypatch.setattr(signal, "MCD_ORDER", 512)
    monkeypatch.setattr(signal, "MCD_ALPHA", 0.0)
    cepstra = [signal.mel_cepstrum(power) for power in powers]
    a, b = (10 * np.log10(np.maximum(power, power.max(1, keepdims=True) * 1e-8)) for power in powers)
    difference = a - b
    whole = np.concatenate([difference, difference[:, -2:0:-1]], axis=1)  # both sides of the spectrum
    found = [signal.mel_cepstral_distortion(*cepstra, np.arange(len(whole)) == i) for i in range(20, 30)]
    assert found == pytest.approx(whole.std(1)[20:30], rel=0.01)


def test_warped_cepstrum_is_the_spectrum_on_the_bent_axis():
    alpha, omega = 0.45, np.linspace(0.1, 3.0, 50)
    cepstrum = np.array([0.3, 0.5, -0.2, 0.1])
    warped = signal.warping_matrix(4, 200, alpha) @ cepstrum
    bent = omega + 2 * np.arctan(alpha * np.sin(omega) / (1 - alpha * np.cos(omega)))
    there = np.cos(np.outer(omega, np.arange(4))) @ cepstrum
    assert np.allclose(np.cos(np.outer(bent, np.arange(201))) @ warped, there, atol=1e-9)


def test_silence_has_finite_spectra():
    silence = np.zeros(CONFIG.hop_samples * 20)
    contour, cepstra, envelope = measured(silence)
    assert np.isfinite(cepstra).all() and np.isfinite(envelope).all() and not signal.speech_frames(contour).any()
    assert np.isfinite(signal.envelope_distance(envelope, envelope, np.ones(20, dtype=bool)))


# -- trackers ----------------------------------------------------------------------------------------------------------

FRAMES = 50
EDGE = 8
CENTRES = ((np.arange(FRAMES) + 0.5) * CONFIG.hop_samples).astype(int)
T = np.arange(FRAMES * CONFIG.hop_samples) / CONFIG.sample_rate_hz
GLIDE = 120 * 2 ** (T / T[-1])  # two octaves a second, about
# RMS in cents that each stays within: pYIN chooses among candidates a tenth of a semitone apart.
CLEAN = {"dio": 2.0, "harvest": 2.0, "pyin": 10.0, "praat": 3.0}
NOISY = {"dio": 12.0, "harvest": 6.0, "pyin": 12.0, "praat": 12.0}  # 10 dB


def harmonics(f0_hz, *, noise=0.0):
    phase = 2 * np.pi * np.cumsum(f0_hz) / CONFIG.sample_rate_hz
    tone = 0.2 * sum(np.cos(k * phase) / k for k in range(1, 13))
    return tone + noise * tone.std() * np.random.default_rng(0).normal(size=len(tone))


def rms_cents(contour, f0_hz):
    chosen = contour.voiced.copy()
    chosen[:EDGE] = chosen[-EDGE:] = False
    assert chosen.sum() >= 0.9 * (FRAMES - 2 * EDGE)
    return np.sqrt(np.square(1200 * np.log2(contour.f0_hz / f0_hz[CENTRES]))[chosen].mean())


@pytest.mark.parametrize("method", signal.TRACKERS)
def test_harmonic_tones_and_glides_within_stated_cents(method):
    for f0_hz in (np.full(len(T), 150.0), GLIDE, GLIDE[::-1]):
        contour = signal.track_f0(harmonics(f0_hz), CONFIG, method)
        assert len(contour) == FRAMES and contour.frame_rate_hz == CONFIG.frame_rate_hz
        assert rms_cents(contour, f0_hz) < CLEAN[method]
    assert rms_cents(signal.track_f0(harmonics(GLIDE, noise=10 ** (-10 / 20)), CONFIG, method), GLIDE) < NOISY[method]


@pytest.mark.parametrize("method", signal.TRACKERS)
def test_silence_and_what_is_above_the_ceiling_is_unvoiced(method):
    contour = signal.track_f0(np.zeros(len(T)), CONFIG, method)
    assert not contour.voiced.any() and (contour.f0_hz > 0).all() and len(contour) == FRAMES
    contour = signal.track_f0(harmonics(np.full(len(T), 300.0)), CONFIG, method, floor_hz=70.0, ceiling_hz=200.0)
    assert not contour.voiced.any() or contour.f0_hz[contour.voiced].max() <= 205
    refused(signal.track_f0, (np.zeros(0), CONFIG, method, r"shape \(0,\); expected samples \(N,\) with N >= 256"))


def test_bad_input_is_named(monkeypatch):
    tone = harmonics(GLIDE)
    refused(
        signal.track_f0,
        (tone, CONFIG, "crepe", "'crepe'; expected one of dio, harvest, pyin, praat"),
        (tone * np.nan, CONFIG, "pyin", "all finite"),
        (np.stack([tone, tone]), CONFIG, r"shape \(2, "),
        (tone[:300], CONFIG, "praat", "Praat cannot track"),
    )
    refused(partial(signal.track_f0, floor_hz=500, ceiling_hz=60), (tone, CONFIG, "range 500 to 60 Hz"))
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    refused(signal.track_f0, (tone, CONFIG, "praat", r"pip install 'gradtts-interp\[eval\]"))
