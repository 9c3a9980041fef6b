"""The picture of an utterance: what it shows, where, and how it is written."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.shares import ShareMap
from gradtts_interp.pitch.masks import filter_centres_hz
from gradtts_interp.plots.speech import plot_speech
from gradtts_interp.speech import Speech

MEL = MelConfig()
FRAMES = 172


def tone(f0_hz, frames=FRAMES, **changes):
    time = np.arange(frames * MEL.hop_samples) / MEL.sample_rate_hz
    wave = sum(np.sin(2 * np.pi * k * f0_hz * time) / k for k in range(1, 9))
    given = {
        "text": "one two", "audio": (0.2 * wave).astype(np.float32), "shares": None, "attention": None,
        "mel": np.linspace(-11, 0, MEL.n_mels * frames, dtype=np.float32).reshape(MEL.n_mels, frames),
        "durations": np.array([frames]), "tokens": ("@AH",), "noise": np.zeros((MEL.n_mels, frames), np.float32),
        "words": (("one", 0, frames // 2), ("two", frames // 2, frames)), "mel_config": MEL,
        "settings": {"styles": ["deep", "/far/away/high.wav"], "steps": 3, "solver": "euler", "seed": 7},
    }  # fmt: skip
    return Speech(**given | changes)


RAMP = np.repeat(np.linspace(0, 1, FRAMES, dtype=np.float32)[None], MEL.n_mels, axis=0)
EVERY = ShareMap(RAMP, RAMP, RAMP, RAMP)
"""One share for all dimensions."""


def panel(name, speech, **alone):
    """One panel of the picture of an utterance."""
    return {axes.get_ylabel(): axes for axes in plot_speech(speech, **alone).axes}[name]


def test_contours_have_names_medians_and_times_in_seconds():
    axes = panel("F0 (Hz)", tone(141.0, shares=EVERY), a=tone(100.0), b=tone(200.0))
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["A: deep (median 100 Hz)", "B: high.wav (median 200 Hz)", "blend (median 141 Hz)"]
    assert axes.get_yscale() == "log"
    for line, f0_hz in zip(axes.get_lines(), (100, 200, 141), strict=True):
        assert np.nanmedian(line.get_ydata()) == pytest.approx(f0_hz, rel=0.01)
        assert line.get_xdata()[0] == pytest.approx(0.5 * 256 / 22050)
    assert [line.get_linestyle() for line in axes.get_lines()] == ["--", "--", "-"]


def test_unvoiced_frames_are_gaps():
    audio = tone(150.0).audio.copy()
    audio[80 * 256 : 120 * 256] = 0
    f0_hz = panel("F0 (Hz)", tone(150.0, audio=audio)).get_lines()[0].get_ydata()
    assert np.isnan(f0_hz[90:110]).all() and not np.isnan(f0_hz[20:70]).any()
    legend = panel("F0 (Hz)", tone(150.0, audio=0 * audio)).get_legend()
    assert legend.get_texts()[0].get_text() == "deep (unvoiced)"


def test_frequency_ticks_stand_at_the_filters_of_their_frequency():
    axes = panel("Frequency (Hz)", tone(150.0))
    labels = [float(label.get_text()) for label in axes.get_yticklabels()]
    centres = filter_centres_hz(MEL)
    for tick, hz in zip(axes.get_yticks(), labels, strict=True):
        assert centres[round(tick)] == pytest.approx(hz, rel=0.2)
    assert axes.get_xlim() == pytest.approx((0, FRAMES * 256 / 22050))
    image = axes.get_images()[0].get_array()
    assert image.max() == 0 and image.min() == pytest.approx(-11 * 20 / np.log(10))


def test_each_dimension_that_has_a_share_of_its_own_has_a_line():
    still = np.full_like(RAMP, 1.5)
    axes = panel("Share of B", tone(150.0, shares=replace(EVERY, pitch=still)))
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    assert set(lines) == {"pitch", "timbre, energy, rate"}
    np.testing.assert_allclose(lines["pitch"], 1.5)
    assert axes.get_ylim()[1] > 1.5


def test_a_share_over_time_is_a_line_and_one_over_bins_a_map():
    line = panel("Share of B", tone(150.0, shares=EVERY)).get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), RAMP[0])
    plane = RAMP * (np.arange(MEL.n_mels) >= 10)[:, None]
    figure = plot_speech(tone(150.0, shares=replace(EVERY, timbre=plane)))
    drawn = [image.get_array() for axes in figure.axes for image in axes.get_images()]
    assert any(array.shape == plane.shape and np.allclose(array, plane) for array in drawn)


def test_attention_to_b_is_drawn_where_it_was_recorded():
    mass_b = np.repeat(np.linspace(0, 1, 43)[None], 20, axis=0)
    mass_b[:2] = 0.25
    attention = {"mid": {"mass": np.stack([1 - mass_b, mass_b]), "cell": 4.0}}
    axes = panel("Attention to B", tone(150.0, shares=EVERY, attention=attention))
    every, low, asked = axes.get_lines()
    assert every.get_ydata()[-1] == pytest.approx((18 + 2 * 0.25) / 20)
    assert low.get_ydata()[-1] == pytest.approx((8 * 0.25 + 3) / 11)
    np.testing.assert_allclose(asked.get_ydata(), RAMP[0], atol=1e-6)
    with pytest.raises(KeyError):
        panel("Attention to B", tone(150.0, shares=EVERY))


def test_words_stand_over_their_times_and_never_touch():
    top = plot_speech(tone(150.0)).axes[0]
    assert [text.get_text() for text in top.texts] == ["one", "two"]
    assert top.texts[0].xy[0] == pytest.approx(FRAMES / 4 * 256 / 22050)
    crowded = tone(150.0, words=tuple((f"extraordinary{i}", 4 * i, 4 * i + 4) for i in range(40)))
    figure = plot_speech(crowded)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert 10 < len(boxes) < 40 and 1 < len({round(box.y0) for box in boxes}) <= 4
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_the_title_names_text_styles_and_settings():
    figure = plot_speech(tone(150.0, text="costs $5 or $6", shares=EVERY))
    assert figure.get_suptitle() == "costs $5 or $6"
    assert figure.axes[0].get_title() == "A: deep → B: high.wav  ·  euler, 3 steps  ·  seed 7"


def test_a_picture_is_1200_pixels_wide_and_wider_for_long_speech(tmp_path):
    plot_speech(tone(150.0, text="什么 🙂"), tmp_path / "a.png")
    assert imread(tmp_path / "a.png").shape[1] == 1200
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    with pytest.raises(InputError, match="is a folder"):
        plot_speech(tone(150.0), tmp_path)
    assert plot_speech(tone(150.0, frames=1200)).get_figwidth() > 20
