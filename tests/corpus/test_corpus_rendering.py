from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from refusing import refused

from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.rendering import LEVEL_DB, render
from gradtts_interp.pitch.contour import extract_contour, frame_energy_db, prosody_vector

CONFIG = MelConfig()
TOKENS = (" ", "DH", "AH0", " ", "K", "AE1", "T", " ", "S", "AH0", "N", "EY1", "ER0", ".")
RAMP = ((0.0, 0.0), (0.2, 0.0), (0.8, 1.0), (1.0, 1.0))
STEP = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (1.0, 1.0))


@pytest.fixture(scope="module")
def other(plain):
    return replace(plain, timbre=(1.0, 0.0, 0.0, 0.0, 0.0), f0_level_hz=220.0, f0_spread=0.05)


@pytest.fixture(scope="module")
def say(teacher):
    """Render the sentence in a style, or between two."""
    return partial(render, teacher, TOKENS)


@pytest.mark.parametrize("formant", [0.93, 1.0, 1.07])
@pytest.mark.parametrize("level_hz", [95.0, 210.0])
def test_level_and_spread_are_exact_and_heard(say, plain, level_hz, formant):
    speech = say(replace(plain, f0_level_hz=level_hz, formant=formant))
    log_f0 = np.log(speech.f0_hz[speech.voiced])
    assert np.exp(log_f0.mean()) == pytest.approx(level_hz, rel=0.02)
    assert log_f0.std() == pytest.approx(plain.f0_spread, abs=0.01)
    heard = extract_contour(speech.audio, CONFIG)
    both = heard.voiced & speech.voiced
    assert both.sum() > 0.8 * speech.voiced.sum()
    assert np.median(np.abs(1200 * np.log2(heard.f0_hz[both] / speech.f0_hz[both]))) < 25


def test_level_of_speech_is_what_was_asked_for(say, plain):
    for energy_db in (-4.0, 0.0, 3.0):
        speech = say(replace(plain, energy_db=energy_db))
        contour = extract_contour(speech.audio, CONFIG)
        assert prosody_vector(contour)[2] == pytest.approx(LEVEL_DB + energy_db, abs=0.1)
    assert np.abs(say(replace(plain, energy_db=40.0)).audio).max() <= 0.98 + 1e-9


def test_rate_scales_the_length(say, plain):
    slow, usual, fast = (say(replace(plain, rate=r)).durations[1:-1].sum() for r in (0.8, 1, 1.25))
    assert usual / slow == pytest.approx(0.8, rel=0.1) and usual / fast == pytest.approx(1.25, rel=0.1)


def test_formants_move_without_pitch_or_length(say, plain):
    def centroid_hz(audio):
        power = np.abs(np.fft.rfft(audio)) ** 2
        hz = np.fft.rfftfreq(len(audio), 1 / 22050)
        near = (hz > 400) & (hz < 1600)
        return (hz * power)[near].sum() / power[near].sum()

    low, high = (say(replace(plain, formant=f, f0_level_hz=90.0)) for f in (0.93, 1.07))
    assert centroid_hz(high.audio) / centroid_hz(low.audio) == pytest.approx(1.07 / 0.93, rel=0.05)
    assert abs(low.durations.sum() - high.durations.sum()) <= 12


def test_constant_share_is_one_render_in_the_mixed_style(say, teacher, plain, other, monkeypatch):
    styles, real = [], type(teacher).speak
    monkeypatch.setattr(type(teacher), "speak", lambda self, *said: styles.append(said[1]) or real(self, *said))
    speech = say(plain, b=other, share=((0.0, 0.25), (1.0, 0.25)))
    assert len(styles) == 1
    np.testing.assert_allclose(styles[0][0, :2], [0.25, 0.75])
    level_hz = np.exp(np.log(speech.f0_hz[speech.voiced]).mean())
    assert level_hz == pytest.approx(150**0.75 * 220**0.25, rel=0.02)


def test_blend_at_its_ends_is_the_single_style(say, plain, other):
    quick = replace(other, rate=1.25)
    for share, alone in ((0.0, plain), (1.0, quick)):
        blend = say(plain, b=quick, share=((0.0, share), (1.0, share)))
        np.testing.assert_array_equal(blend.audio, say(alone).audio)


def test_a_moving_share_goes_from_one_render_to_the_other_without_a_dip(say, plain, other):
    flat = replace(plain, f0_level_hz=220.0, f0_spread=0.05)
    ramp = say(flat, b=other, share=RAMP)
    ends = [say(flat, b=other, share=((0.0, s), (1.0, s))) for s in (0.0, 1.0)]
    fifth = len(ramp.audio) // 5
    np.testing.assert_allclose(ramp.audio[:fifth], ends[0].audio[:fifth], atol=0.03)
    np.testing.assert_allclose(ramp.audio[-fifth:], ends[1].audio[-fifth:], atol=0.03)
    levels = [frame_energy_db(s.audio, CONFIG)[ramp.voiced][5:-5] for s in (ramp, *ends)]
    assert (levels[0] - np.minimum(levels[1], levels[2])).min() > -3


def test_contour_follows_a_step(say, plain, other):
    step = say(plain, b=other, share=STEP)
    half, voiced = len(step.f0_hz) // 2, step.voiced
    log_f0 = np.log(step.f0_hz)
    assert np.exp(log_f0[half:][voiced[half:]].mean() - log_f0[:half][voiced[:half]].mean()) > 1.3
    np.testing.assert_array_equal(step.share > 0.5, np.arange(len(step.share)) >= half)


def test_what_cannot_be_rendered_is_named(say, teacher, plain, other, monkeypatch):
    refused(
        lambda b: say(plain, b=b, share=RAMP),
        (None, "with one style; expected a second one"),
        (replace(other, formant=1.07), "between formants 1 and 1.07; expected the same"),
    )
    monkeypatch.setattr(type(teacher), "contours", lambda *told: (np.zeros(2 * int(told[-1].sum())),) * 2)
    refused(say, (plain, "no voiced frame was predicted"))
