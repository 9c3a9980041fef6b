from dataclasses import replace

import numpy as np
import pytest

from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.rendering import LEVEL_DB, render
from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import extract_contour, frame_energy_db, prosody_vector

CONFIG = MelConfig()
TOKENS = (" ", "DH", "AH0", " ", "K", "AE1", "T", " ", "S", "AH0", "N", "EY1", "ER0", ".")
RAMP = ((0.0, 0.0), (0.2, 0.0), (0.8, 1.0), (1.0, 1.0))
STEP = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (1.0, 1.0))


@pytest.fixture(scope="module")
def script(teacher):
    return teacher.script(TOKENS)


@pytest.fixture(scope="module")
def other(plain):
    return replace(plain, timbre=(1.0, 0.0, 0.0, 0.0, 0.0), f0_level_hz=220.0, f0_spread=0.05)


def test_everything_lies_on_one_grid(teacher, script, plain):
    speech = render(teacher, script, plain)
    frames = int(speech.durations.sum())
    assert len(speech.durations) == len(TOKENS) and speech.durations.min() >= 1
    assert len(speech.audio) == frames * CONFIG.hop_samples
    assert len(speech.f0_hz) == len(speech.voiced) == len(speech.share) == frames
    assert not speech.share.any()


@pytest.mark.parametrize("formant", [0.93, 1.0, 1.07])
@pytest.mark.parametrize("level_hz", [95.0, 210.0])
def test_level_and_spread_are_exact_and_heard(teacher, script, plain, level_hz, formant):
    speech = render(teacher, script, replace(plain, f0_level_hz=level_hz, formant=formant))
    log_f0 = np.log(speech.f0_hz[speech.voiced])
    assert np.exp(log_f0.mean()) == pytest.approx(level_hz, rel=0.02)
    assert log_f0.std() == pytest.approx(plain.f0_spread, abs=0.01)
    heard = extract_contour(speech.audio, CONFIG)
    both = heard.voiced & speech.voiced
    assert both.sum() > 0.8 * speech.voiced.sum()
    assert np.median(np.abs(1200 * np.log2(heard.f0_hz[both] / speech.f0_hz[both]))) < 25


def test_level_of_speech_is_what_was_asked_for(teacher, script, plain):
    for energy_db in (-4.0, 0.0, 3.0):
        speech = render(teacher, script, replace(plain, energy_db=energy_db))
        contour = extract_contour(speech.audio, CONFIG)
        assert prosody_vector(contour)[2] == pytest.approx(LEVEL_DB + energy_db, abs=0.1)
    assert np.abs(render(teacher, script, replace(plain, energy_db=40.0)).audio).max() <= 0.98 + 1e-9


def test_rate_scales_the_length(teacher, script, plain):
    slow, usual, fast = (render(teacher, script, replace(plain, rate=r)).durations[1:-1].sum() for r in (0.8, 1, 1.25))
    assert usual / slow == pytest.approx(0.8, rel=0.1) and usual / fast == pytest.approx(1.25, rel=0.1)


def test_formants_move_without_pitch_or_length(teacher, script, plain):
    def centroid_hz(audio):
        power = np.abs(np.fft.rfft(audio)) ** 2
        hz = np.fft.rfftfreq(len(audio), 1 / 22050)
        near = (hz > 400) & (hz < 1600)
        return (hz * power)[near].sum() / power[near].sum()

    low, high = (render(teacher, script, replace(plain, formant=f, f0_level_hz=90.0)) for f in (0.93, 1.07))
    assert centroid_hz(high.audio) / centroid_hz(low.audio) == pytest.approx(1.07 / 0.93, rel=0.05)
    assert abs(low.durations.sum() - high.durations.sum()) <= 12


def test_constant_share_is_one_render_in_the_mixed_style(teacher, script, plain, other, monkeypatch):
    styles, real = [], type(teacher).speak
    monkeypatch.setattr(type(teacher), "speak", lambda self, *said: styles.append(said[1]) or real(self, *said))
    speech = render(teacher, script, plain, b=other, share=((0.0, 0.25), (1.0, 0.25)))
    assert len(styles) == 1
    np.testing.assert_allclose(styles[0][0, :2], [0.25, 0.75])
    level_hz = np.exp(np.log(speech.f0_hz[speech.voiced]).mean())
    assert level_hz == pytest.approx(150**0.75 * 220**0.25, rel=0.02)


def test_blend_at_its_ends_is_the_single_style(teacher, script, plain, other):
    for share, alone in ((0.0, plain), (1.0, other)):
        blend = render(teacher, script, plain, b=other, share=((0.0, share), (1.0, share)))
        np.testing.assert_array_equal(blend.audio, render(teacher, script, alone).audio)


def test_a_moving_share_goes_from_one_render_to_the_other_without_a_dip(teacher, script, plain, other):
    flat = replace(plain, f0_level_hz=220.0, f0_spread=0.05)
    ramp = render(teacher, script, flat, b=other, share=RAMP)
    ends = [render(teacher, script, flat, b=other, share=((0.0, s), (1.0, s))) for s in (0.0, 1.0)]
    fifth = len(ramp.audio) // 5
    np.testing.assert_allclose(ramp.audio[:fifth], ends[0].audio[:fifth], atol=0.03)
    np.testing.assert_allclose(ramp.audio[-fifth:], ends[1].audio[-fifth:], atol=0.03)
    levels = [frame_energy_db(s.audio, CONFIG)[ramp.voiced][5:-5] for s in (ramp, *ends)]
    assert (levels[0] - np.minimum(levels[1], levels[2])).min() > -3


def test_contour_follows_a_step(teacher, script, plain, other):
    step = render(teacher, script, plain, b=other, share=STEP)
    half, voiced = len(step.f0_hz) // 2, step.voiced
    first, second = (
        np.exp(np.log(f).mean()) for f in (step.f0_hz[:half][voiced[:half]], step.f0_hz[half:][voiced[half:]])
    )
    assert second / first > 1.3
    np.testing.assert_array_equal(step.share > 0.5, np.arange(len(step.share)) >= half)


def test_what_cannot_be_rendered_is_named(teacher, script, plain, other, monkeypatch):
    with pytest.raises(InputError, match="with one style; expected a second one"):
        render(teacher, script, plain, share=RAMP)
    with pytest.raises(InputError, match="between formants 1 and 1.07; expected the same"):
        render(teacher, script, plain, b=replace(other, formant=1.07), share=RAMP)
    found = teacher.contours(script, np.zeros((1, 11)), np.ones(len(script.symbols), dtype=int))
    monkeypatch.setattr(type(teacher), "contours", lambda *_: replace(found, f0_hz=0 * found.f0_hz))
    with pytest.raises(InputError, match="no voiced frame was predicted"):
        render(teacher, script, plain)
