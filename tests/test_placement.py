"""Where a reference's frames lie on an utterance: phoneme by phoneme, or in proportion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import tiny_style

from gradtts_interp.alignment import warp_frames
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation import shares
from gradtts_interp.pitch.masks import nearest_bin
from gradtts_interp.placement import frames_of_reference, layout_of, shares_of_tokens, token_names

MEL = MelConfig()


def test_warping_is_linear_inside_each_token():
    assert warp_frames([2, 4, 1], [2, 4, 1]).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert warp_frames([2, 4, 1], [4, 2, 0]).tolist() == [0, 0, 1, 1, 3, 5]
    assert warp_frames([2, 0, 1], [1, 3, 1]).tolist() == [1, 2, 2, 2, 2]  # a skipped token takes the next frame


@pytest.mark.parametrize(("source", "target"), [([1, 2], [1]), ([0, 0], [1, 1])])
def test_readings_that_do_not_correspond(source, target):
    with pytest.raises(InputError, match="expected the same tokens, with frames"):
        warp_frames(source, target)


@pytest.fixture(scope="module")
def text(tiny_pipeline):
    return tiny_pipeline.frontend("A calm day.")


def test_the_mask_follows_the_phonemes_of_a_rendered_reference(text):
    """Each phoneme of the reference has a pitch of its own; it is found on that phoneme of the target."""
    size = len(text.ids)
    style = tiny_style(1, frames=4 * size)
    f0_hz = np.repeat(np.linspace(100, 400, size), 4).astype(np.float32)
    contour = replace(style.contour, f0_hz=f0_hz, voiced=np.ones(4 * size, dtype=bool))
    style = replace(style, contour=contour, tokens=token_names(text, False), durations=(4,) * size)
    target = [8 if i < size // 2 else 2 for i in range(size)]
    layout = layout_of(text, target, style, MEL, False)
    np.testing.assert_array_equal(layout.f0_hz, np.repeat(f0_hz[::4], target))
    weight = shares.pitch(width_bins=0).render(layout).timbre
    np.testing.assert_array_equal(weight.argmin(0), nearest_bin(layout.f0_hz, MEL))


def test_a_reference_of_other_words_is_carried_over_in_proportion(text):
    style = tiny_style(1, frames=30)
    durations = [5] * len(text.ids)
    linear = frames_of_reference(text, durations, style, False)
    assert len(linear) == sum(durations) and linear[0] == 0 and linear[-1] == 29 and (np.diff(linear) >= 0).all()
    other = replace(style, tokens=("@AA1",), durations=(30,))
    np.testing.assert_array_equal(frames_of_reference(text, durations, other, False), linear)


def test_a_rendered_utterance_is_a_style_with_times(tiny_pipeline, text, monkeypatch):
    speech = tiny_pipeline("A calm day.", tiny_style(1), num_inference_steps=1, seed=0)
    time = np.arange(len(speech.audio)) / MEL.sample_rate_hz
    voiced = replace(speech, audio=(0.3 * np.sin(2 * np.pi * 150 * time)).astype(np.float32))
    style = voiced.as_style()
    assert style.tokens == speech.tokens == token_names(text, False)
    assert sum(style.durations) == len(style.contour) and "A calm day." in style.name
    again = tiny_pipeline("A calm day.", style, tiny_style(2), share=shares.pitch(), num_inference_steps=1, seed=0)
    assert again.share.min() == 0


def test_each_token_has_the_mean_share_of_its_frames():
    weights = [np.array([0, 0, 1, 1, 0.5, 0.5]), np.array([1.0, 0.0])]
    found = shares_of_tokens(weights, torch.tensor([[2, 0, 2, 1, 1, 0], [1, 1, 0, 0, 0, 0]]))
    expected = [[0, 1, 1, 0.5, 0.5, 0.5], [1, 0, 0, 0, 0, 0]]  # a token of no frame has the share where it lies
    np.testing.assert_allclose(found[:, 1], expected)
    np.testing.assert_allclose(found.sum(1), 1)
