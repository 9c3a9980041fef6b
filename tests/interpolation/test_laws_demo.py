"""Laws of blending on the shipped model: whatever its weights, few steps of a short text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gradtts_interp.evaluation.metric_rows import mean_shares
from gradtts_interp.evaluation.signal import Listener
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.noise import NoiseTuning, NoiseWindow

STRANGER = Path(__file__).parents[2] / "resources" / "references" / "foreign" / "slt.flac"
TEXT = "Good day."


@pytest.fixture(scope="module")
def styles(tts):
    return tts.style(speaker=12), tts.style(speaker=10)


def mel_of(tts, a, b=None, share=None, text=TEXT, **options):
    options = {"num_inference_steps": 4, "seed": 0, **options}
    return tts(text, a, b, share=share, **options).mel


def assert_same(one, other):
    assert one.shape == other.shape
    np.testing.assert_allclose(one, other, atol=2e-4, rtol=0)


def test_a_voice_keeps_its_envelope_at_anothers_pitch(tts, styles):
    """By the measure of the evaluation, on audio; by the network's own habit a voice changes with its pitch."""
    options, styles = {"num_inference_steps": 0, "seed": 0}, styles[::-1]  # a low voice at a high pitch
    swapped = tts(TEXT, *styles, share=shares.pitch(), **options)
    options["durations"] = [swapped.durations.tolist()]
    usual = tts(TEXT, *styles, share=shares.pitch(), mechanisms=("prosody", "attention"), **options)
    speeches = [*(tts(TEXT, style, **options) for style in styles), swapped, usual]
    listener = Listener(swapped.mel_config)
    a, b, with_it, without = (listener.hear(speech.audio, speech.text) for speech in speeches)
    kept, habit = (mean_shares(a, b, found) for found in (with_it, without))
    assert kept["envelope_share"] > 0.85 > habit["envelope_share"]
    assert abs(kept["f0_share"]) < 0.1


def test_the_average_of_two_voices_has_the_pitch_between_them(tts, styles):
    average = tts(TEXT, tts.style(speaker=(12, 10)), seed=0)
    listener = Listener(average.mel_config)
    low, high, between = (
        listener.hear(speech.audio, "").contour for speech in (*(tts(TEXT, style, seed=0) for style in styles), average)
    )
    levels = [float(np.log(c.f0_hz[c.voiced]).mean()) for c in (low, high, between)]
    assert levels[2] == pytest.approx((levels[0] + levels[1]) / 2, abs=0.06)


def voiced_mean(mel, contour):
    """Mean of the voiced frames of a log-mel (M,), without its level."""
    frames = min(mel.shape[1], len(contour))
    mean = mel[:, :frames][:, contour.voiced[:frames]].mean(1)
    return mean - mean.mean()


def test_a_recording_unknown_to_training_is_followed_in_its_spectrum(tts, styles):
    stranger = tts.style(STRANGER)
    wanted = voiced_mean(stranger.mel, stranger.contour)
    speech = tts(TEXT, stranger, num_inference_steps=0, seed=0)
    named = tts(TEXT, replace(stranger, speaker=0), num_inference_steps=0, seed=0)  # whose spectrum training knows
    near, far = (np.abs(voiced_mean(s.mel, s.contour) - wanted).mean() for s in (speech, named))
    assert near < 0.1 < far
    assert_same(mel_of(tts, stranger, stranger, shares.ramp(), num_inference_steps=0), speech.mel)
    for weight, style in ((0.0, stranger), (1.0, styles[0])):
        ends = mel_of(tts, stranger, styles[0], shares.constant(weight), num_inference_steps=0)
        assert_same(ends, mel_of(tts, style, num_inference_steps=0))


@pytest.mark.parametrize("objective", ["attention", "outcome"])
def test_the_noise_decides_whose_pitch_openly_offered_styles_have(tts, styles, objective):
    """One noise, tuned to either style."""
    tuning = NoiseTuning(windows=(NoiseWindow(0.8, 1.0, objective=objective),))
    options = {"offer": "open", "seed": 0, "num_inference_steps": 10, "solver": "unipc"}
    levels = []
    for weight in (0.0, 1.0):
        speech = tts(TEXT, *styles, share=shares.constant(weight), noise_tuning=tuning, **options)
        levels.append(np.median(speech.contour.f0_hz[speech.contour.voiced]))
    assert 12 * np.log2(levels[1] / levels[0]) > 12  # the styles are 13 semitones apart


@pytest.fixture(scope="module")
def realised(tts, styles):
    """Realised share of B by measure, of a share, spoken by the prior alone with the durations of the even blend."""
    text, options = "The old teacher drew a circle.", {"num_inference_steps": 0, "seed": 0}
    durations = [tts(text, *styles, share=shares.constant(0.5), **options).durations.tolist()]
    listener = Listener(tts.model.settings.mel)
    poles = [listener.hear(tts(text, style, durations=durations, **options).audio, style.name) for style in styles]

    def measure(share):
        speech = tts(text, *styles, share=share, durations=durations, **options)
        found = mean_shares(*poles, listener.hear(speech.audio, share.name))
        return [found[f"{name}_share"] for name in ("f0", "envelope", "energy")]

    return measure


@pytest.mark.parametrize(
    ("of", "f0", "envelope", "energy"),
    [
        # A mel bin sees single harmonics of 13 semitones more.
        *[({"pitch": w}, (w - 0.05, w + 0.05), (-0.45 * abs(w), 0.45 * abs(w)), None) for w in (-0.5, 0.5, 1.0, 1.5)],
        ({"timbre": 0.5}, (-0.05, 0.05), (0.25, 0.55), None),
        ({"energy": 1.0}, (-0.02, 0.02), (-0.05, 0.05), (0.05, np.inf)),
    ],
)
def test_a_share_moves_its_own_dimension_by_as_much_and_others_by_less(realised, of, f0, envelope, energy):
    for value, limits in zip(realised(shares.dimensions(**of)), (f0, envelope, energy), strict=True):
        assert limits is None or limits[0] < value < limits[1]


def test_a_share_of_the_rate_moves_durations_alone_and_follows_a_curve(tts, styles):
    text, options = "Nobody knew the name of the captain.", {"num_inference_steps": 0, "seed": 0}
    a, b = (tts(text, style, **options) for style in styles)
    totals = []
    for weight in (0.0, 0.5, 1.0):
        speech = tts(text, *styles, share=shares.dimensions(rate=weight), **options)
        totals.append(int(speech.durations.sum()))
        if weight == 0:
            assert_same(speech.mel, a.mel)
    assert totals[0] == a.durations.sum() and totals[2] == b.durations.sum() != totals[0]
    assert totals[1] == pytest.approx(np.sqrt(totals[0] * totals[2]), abs=2)
    late = tts(text, *styles, share=shares.dimensions(rate=shares.step(0.5)), **options).durations
    first, last = slice(0, len(late) // 3), slice(-(len(late) // 3), None)
    np.testing.assert_array_equal(late[first], a.durations[first])
    np.testing.assert_allclose(late[last], b.durations[last], atol=1)
