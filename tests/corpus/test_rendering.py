import dataclasses

import numpy as np
import pytest

from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.rendering import Source, frame_durations, render, shape_log_f0
from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import extract_contour, frame_energy_db

CONFIG = MelConfig()
BOUNDARIES = np.array([0.05, 0.1, 0.3, 0.55, 0.9, 0.97])
OTHER_BOUNDARIES = np.array([0.05, 0.12, 0.5, 0.7, 1.1, 1.15])


def source(features, factors, **changes) -> Source:
    return Source(features, BOUNDARIES, dataclasses.replace(factors, **changes))


@pytest.fixture
def durations():
    return frame_durations(BOUNDARIES, rate=1.0, config=CONFIG)


def points(durations, points_of_time, values):
    return np.interp(np.linspace(0, 1, 2 * durations.sum() + 1), points_of_time, values)


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.3, 30.0])
def test_durations_follow_the_boundaries_with_a_frame_at_least(rate):
    boundaries = 0.2 + np.cumsum(np.r_[0, np.random.default_rng(0).uniform(0.001, 0.2, size=40)])
    durations = frame_durations(boundaries, rate=rate, config=CONFIG)
    assert durations.min() >= 1
    if rate < 2:
        ends = (boundaries[1:] - boundaries[0]) * CONFIG.frame_rate_hz / rate
        assert np.abs(np.cumsum(durations) - ends).max() < 2.0
        assert abs(durations.sum() - ends[-1]) <= 0.5


def test_short_tokens_push_only_their_neighbours():
    durations = frame_durations(np.array([0.0, 0.001, 0.002, 0.003, 0.5, 1.0]), rate=1.0, config=CONFIG)
    assert durations[:3].tolist() == [1, 1, 1]
    assert durations.sum() == round(CONFIG.frame_rate_hz)


def test_samples_are_whole_frames(features, plain, durations):
    speech = render(source(features, plain), durations)
    assert len(speech.audio) == durations.sum() * CONFIG.hop_samples
    assert len(speech.f0_hz) == len(speech.voiced) == durations.sum()


@pytest.mark.parametrize("level_hz", [90.0, 150.0, 280.0])
def test_pitch_is_what_was_asked_for_and_what_is_heard(features, plain, durations, level_hz):
    speech = render(source(features, plain, f0_level_hz=level_hz), durations)
    heard = extract_contour(speech.audio, CONFIG)
    both = heard.voiced & speech.voiced
    assert both.sum() > 0.8 * speech.voiced.sum()
    assert np.exp(np.log(speech.f0_hz[speech.voiced]).mean()) == pytest.approx(level_hz, rel=0.03)
    assert np.median(np.abs(1200 * np.log2(heard.f0_hz[both] / speech.f0_hz[both]))) < 15


def test_range_scales_the_contour_about_its_level(features, plain):
    narrow, wide = (shape_log_f0(features, dataclasses.replace(plain, f0_range=r))[features.voiced] for r in (0.5, 1.0))
    assert wide.std() == pytest.approx(2 * narrow.std(), rel=1e-6)
    assert narrow.mean() == pytest.approx(wide.mean()) == pytest.approx(np.log(150.0))


def test_energy_is_a_gain(features, plain, durations):
    quiet, loud = (render(source(features, plain, energy_db=e), durations).audio for e in (-5.0, 5.0))
    rise = frame_energy_db(loud, CONFIG) - frame_energy_db(quiet, CONFIG)
    np.testing.assert_allclose(rise[10:-10], 10.0, atol=0.2)


@pytest.mark.parametrize("warp", [0.85, 1.15])
def test_warp_moves_the_formant(features, plain, durations, warp):
    def formant_hz(audio):
        power = np.abs(np.fft.rfft(audio[4096:12288] * np.hanning(8192))) ** 2
        hz = np.fft.rfftfreq(8192, 1 / 22050)
        near = (hz > 1200) & (hz < 2500)
        return (hz * power)[near].sum() / power[near].sum()

    unmoved = formant_hz(render(source(features, plain), durations).audio)
    moved = formant_hz(render(source(features, plain, warp=warp), durations).audio)
    assert moved / unmoved == pytest.approx(warp, rel=0.03)


@pytest.mark.parametrize(("share", "side"), [(0.0, "a"), (1.0, "b")])
def test_blend_at_its_ends_is_the_single_style(features, other_features, plain, durations, share, side):
    a = source(features, plain)
    b = Source(other_features, OTHER_BOUNDARIES, dataclasses.replace(plain, base="rms", f0_level_hz=100.0, warp=0.9))
    blend = render(a, durations, b=b, share=np.full(2 * durations.sum() + 1, share))
    single = render({"a": a, "b": b}[side], durations)
    np.testing.assert_allclose(blend.audio, single.audio, atol=1e-9)
    np.testing.assert_array_equal(blend.voiced, single.voiced)


def test_half_way_pitch_is_the_geometric_mean_and_swapping_changes_nothing(features, plain, durations):
    a, b = source(features, plain, f0_level_hz=100.0), source(features, plain, f0_level_hz=256.0)
    half = np.full(2 * durations.sum() + 1, 0.5)
    blend, swapped = render(a, durations, b=b, share=half), render(b, durations, b=a, share=half)
    level_hz = np.exp(np.log(blend.f0_hz[blend.voiced]).mean())
    assert level_hz == pytest.approx(160.0, rel=0.03)
    np.testing.assert_allclose(blend.audio, swapped.audio, atol=1e-9)


def test_ramp_moves_pitch_over_time(features, plain, durations):
    a, b = (source(features, plain, f0_level_hz=hz, f0_range=0.0) for hz in (100.0, 200.0))
    ramp = points(durations, [0, 1], [0, 1])
    blend = render(a, durations, b=b, share=ramp)
    np.testing.assert_allclose(np.log2(blend.f0_hz / 100.0), ramp[1::2], atol=1e-5)


def test_voicing_is_that_of_the_larger_share(features, other_features, plain, durations):
    a = source(features, plain)
    b = Source(other_features, OTHER_BOUNDARIES, dataclasses.replace(plain, base="rms"))
    step = points(durations, [0, 0.5, 0.5, 1], [0.1, 0.1, 0.9, 0.9])
    blend, of_a, of_b = (render(a, durations, b=b, share=step), render(a, durations), render(b, durations))
    np.testing.assert_array_equal(blend.voiced, np.where(step[1::2] <= 0.5, of_a.voiced, of_b.voiced))


def test_audio_never_clips(features, plain, durations):
    assert np.abs(render(source(features, plain, energy_db=40.0), durations).audio).max() <= 0.98 + 1e-9


def test_rate_and_boundaries_are_checked():
    with pytest.raises(InputError, match="rate 0; expected > 0"):
        frame_durations(BOUNDARIES, rate=0, config=CONFIG)
    with pytest.raises(InputError, match="boundaries do not rise"):
        frame_durations(np.array([0.0, 0.2, 0.2]), rate=1.0, config=CONFIG)


def test_parts_that_do_not_fit_are_named(features, plain, durations):
    a = source(features, plain)
    with pytest.raises(InputError, match="5 tokens in a source; expected 4"):
        render(a, durations[:-1])
    with pytest.raises(InputError, match="needs both a second source and its share"):
        render(a, durations, b=a)
    with pytest.raises(InputError, match=r"share of shape \(3,\)"):
        render(a, durations, b=a, share=np.zeros(3))
    with pytest.raises(InputError, match=r"within \[0, 1\]"):
        render(a, durations, b=a, share=np.full(2 * durations.sum() + 1, 1.2))
