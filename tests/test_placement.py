"""Tokens, words and references on the frames of an utterance; SSML and pitch carried out there and in the pipeline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from refusing import refused
from tiny import TINY_OFFICIAL, tiny_style
from tiny import tiny_pipeline as make_pipeline

from gradtts_interp import pipeline as module
from gradtts_interp.alignment import warp_frames
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.asked_pitch import PitchRequest
from gradtts_interp.pitch.files import PitchCurve
from gradtts_interp.pitch.masks import nearest_bin
from gradtts_interp.placement import (
    frames_of_reference,
    layout_of,
    paced,
    pitch_requests,
    shares_of_tokens,
    with_gain,
)
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.text.ssml import Manner, tokenize_line

MEL = MelConfig()
A, B = tiny_style(1, f0_hz=110.0), tiny_style(2, frames=41, f0_hz=220.0)
QUICK = {"num_inference_steps": 2, "seed": 3}
RATE = MEL.frame_rate_hz
LAYOUTS = {
    "demo": TextFrontend(add_blank=False, word_boundaries=False),
    "boundaries": TextFrontend(add_blank=False),
    "official": TextFrontend(add_blank=True),
}


def test_warping_is_linear_inside_each_token():
    assert warp_frames([2, 4, 1], [2, 4, 1]).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert warp_frames([2, 4, 1], [4, 2, 0]).tolist() == [0, 0, 1, 1, 3, 5]
    assert warp_frames([2, 0, 1], [1, 3, 1]).tolist() == [1, 2, 2, 2, 2]  # a skipped token takes the next frame
    told = "expected the same tokens, with frames"
    refused(warp_frames, ([1, 2], [1], told), ([0, 0], [1, 1], told))


@pytest.fixture(scope="module")
def text(tiny_pipeline):
    return tiny_pipeline.frontend("A calm day.")


def test_the_mask_follows_the_phonemes_of_a_rendered_reference(text):
    """Each phoneme of the reference has a pitch of its own; it is found on that phoneme of the target."""
    size = len(text.ids)
    style = tiny_style(1, frames=4 * size)
    f0_hz = np.repeat(np.linspace(100, 400, size), 4).astype(np.float32)
    contour = replace(style.contour, f0_hz=f0_hz, voiced=np.ones(4 * size, dtype=bool))
    style = replace(style, contour=contour, tokens=text.names, durations=(4,) * size)
    target = [8 if i < size // 2 else 2 for i in range(size)]
    layout = layout_of(text, target, style, MEL)
    np.testing.assert_array_equal(layout.f0_hz, np.repeat(f0_hz[::4], target))
    weight = shares.pitch(width_bins=0).render(layout).timbre
    np.testing.assert_array_equal(weight.argmin(0), nearest_bin(layout.f0_hz, MEL))


def test_a_reference_of_other_words_is_carried_over_in_proportion(text):
    style = tiny_style(1, frames=30)
    durations = [5] * len(text.ids)
    linear = frames_of_reference(text, durations, style)
    assert len(linear) == sum(durations) and linear[0] == 0 and linear[-1] == 29 and (np.diff(linear) >= 0).all()
    other = replace(style, tokens=("@AA1",), durations=(30,))
    np.testing.assert_array_equal(frames_of_reference(text, durations, other), linear)


def test_a_rendered_utterance_is_a_style_with_times(tiny_pipeline, text, monkeypatch):
    speech = tiny_pipeline("A calm day.", tiny_style(1), num_inference_steps=1, seed=0)
    time = np.arange(len(speech.audio)) / MEL.sample_rate_hz
    voiced = replace(speech, audio=(0.3 * np.sin(2 * np.pi * 150 * time)).astype(np.float32))
    style = voiced.as_style()
    assert style.tokens == speech.tokens == text.names
    assert sum(style.durations) == len(style.contour) and "A calm day." in style.name
    again = tiny_pipeline("A calm day.", style, tiny_style(2), share=shares.pitch(), num_inference_steps=1, seed=0)
    assert again.share.min() == 0


def test_each_token_has_the_mean_share_of_its_frames():
    weights = [np.array([0, 0, 1, 1, 0.5, 0.5]), np.array([1.0, 0.0])]
    found = shares_of_tokens(weights, torch.tensor([[2, 0, 2, 1, 1, 0], [1, 1, 0, 0, 0, 0]]))
    expected = [[0, 1, 1, 0.5, 0.5, 0.5], [1, 0, 0, 0, 0, 0]]  # a token of no frame has the share where it lies
    np.testing.assert_allclose(found[:, 1], expected)
    np.testing.assert_allclose(found.sum(1), 1)


# -- what SSML and pitch ask for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("frontend", LAYOUTS.values(), ids=LAYOUTS)
def test_rates_and_pauses_change_their_own_tokens_alone(frontend):
    def paced_frames(line, each=4):
        """The text, its durations before and after, and the ids of some of its tokens."""
        text, said = tokenize_line(frontend, line)
        before = [each] * len(text.ids)
        ids = slice if not frontend.add_blank else lambda first, stop: slice(2 * first + 1, 2 * stop + 1)
        return text, before, paced(before, text, said, frame_rate_hz=RATE), ids

    text, before, after, ids = paced_frames("<speak>go <prosody rate='50%'>down</prosody> now</speak>")
    word = ids(text.words[1][1], text.words[2][1])
    assert sum(after[word]) == 2 * sum(before[word])
    assert after[: word.start] == before[: word.start] and after[word.stop :] == before[word.stop :]
    text, before, after, ids = paced_frames("<speak>go <break time='500ms'/> down</speak>")
    pause = ids(text.words[0][2], text.words[1][1])
    assert sum(after[pause]) == round(0.5 * RATE)
    assert after[: pause.start] == before[: pause.start] and after[pause.stop :] == before[pause.stop :]
    text, _, after, ids = paced_frames("<speak><prosody rate='400%'>go down</prosody></speak>", each=1)
    assert min(after[ids(text.words[0][1], text.words[1][2])]) == 1  # no phone is lost


def test_a_pause_needs_a_token():
    text, _ = tokenize_line(LAYOUTS["official"], "<speak>go</speak>")
    refused(
        lambda index: paced([4] * len(text.ids), text, ([Manner()], {index: 0.1}), frame_rate_hz=RATE),
        (0, "pause before the first word: .* no silence there"),
        (1, "pause after word 1: .* no silence there"),
    )


def test_requests_of_argument_and_ssml_add_up():
    curve = PitchCurve(np.array([0.1]), np.array([100.0]))
    said = [Manner(semitones=2.0), Manner()], {}
    first, second = pitch_requests(PitchRequest(curve, {range(0, 2): 1.0}), [said, None])
    assert first.words == {0: 3.0, 1: 1.0} and second.words == {0: 1.0, 1: 1.0} and first.curve is curve
    assert pitch_requests(None, [None, ([Manner()], {})]) == [None, None]
    assert pitch_requests([curve, None], [None, None])[0].curve is curve
    refused(pitch_requests, ([curve], [None, None], "pitch of 1 lines was given for 2 lines"))


def test_a_gain_is_smooth_and_right():
    gain = np.array([0.0] * 20 + [np.nan] * 5 + [-6.0] * 20)
    found = with_gain(np.ones(45 * 256, np.float32), gain, hop_samples=256)
    assert found[2560] == pytest.approx(1, abs=1e-4) and found[-2560] == pytest.approx(10 ** (-6 / 20), abs=1e-4)
    assert np.abs(np.diff(found)).max() < 1e-3


class TestPipeline:
    def test_a_batch_of_ssml_and_plain_lines_equals_the_single_ones(self, tiny_pipeline):
        lines = ["Go.", "<speak>go <prosody rate='50%' pitch='+4st'>down</prosody><break time='200ms'/> now</speak>"]
        both = tiny_pipeline(lines, A, B, share=shares.ramp(), **QUICK)
        for line, speech in zip(lines, both, strict=True):
            alone = tiny_pipeline(line, A, B, share=shares.ramp(), **QUICK)
            np.testing.assert_allclose(alone.mel, speech.mel, atol=2e-4)
        assert both[1].text == lines[1] and both[1].settings["pitch"] == [{"curve": None, "words": {"2": 4.0}}]

    def test_what_is_asked_is_what_the_network_is_shown(self, tiny_pipeline, monkeypatch):
        seen = []

        def spy(model, plan, mask, **options):
            seen.append(plan.branches[0].prosody.clone())
            return make(model, plan, mask, **options)

        make = module.make_score
        monkeypatch.setattr(module, "make_score", spy)
        plain = tiny_pipeline("Go down.", A, **QUICK)
        shifted = tiny_pipeline("Go down.", A, pitch=PitchRequest(words={1: 12.0}), **QUICK)
        _, first, stop = plain.words[1]
        moved = (seen[1] - seen[0])[0, 6]
        expected = torch.zeros_like(moved)
        expected[first:stop] = float(np.log(2) / 0.35)
        assert torch.allclose(moved, expected, atol=1e-5) and torch.equal(seen[0][:, :6], seen[1][:, :6])
        assert plain.durations.tolist() == shifted.durations.tolist()

    def test_a_curve_is_heard(self, tiny_pipeline):
        times, sung = np.array([0.0, 0.1]), np.ones(2, dtype=bool)
        curves = [PitchCurve(times, np.full(2, hz), "hz", sung) for hz in (100.0, 300.0)]
        low, high = (tiny_pipeline("Go.", A, pitch=curve, **QUICK) for curve in curves)
        assert np.abs(low.mel - high.mel).max() > 0.1

    def test_durations_that_are_given_are_not_paced_again(self, tiny_pipeline):
        line = "<speak><prosody rate='50%'>go down</prosody></speak>"
        once = tiny_pipeline(line, A, **QUICK)
        again = tiny_pipeline(line, A, durations=[once.durations.tolist()], **QUICK)
        assert once.durations.tolist() == again.durations.tolist()
        assert once.durations.sum() > tiny_pipeline("Go down.", A, **QUICK).durations.sum()

    def test_volume_changes_the_samples_of_its_word(self, tiny_pipeline):
        loud = tiny_pipeline("Go down.", A, **QUICK)
        soft = tiny_pipeline("<speak>Go <prosody volume='-12dB'>down</prosody>.</speak>", A, **QUICK)
        np.testing.assert_array_equal(loud.mel, soft.mel)
        _, first, stop = soft.words[1]
        middle = slice((first + stop) // 2 * 256 - 256, (first + stop) // 2 * 256 + 256)
        heard = np.abs(loud.audio[middle]) > 1e-6
        assert (soft.audio[middle][heard] / loud.audio[middle][heard]).max() < 0.5

    def test_a_checkpoint_without_a_contour_says_so(self):
        with pytest.raises(InputError, match="shown no pitch contour"):
            make_pipeline(TINY_OFFICIAL)("Go.", pitch=PitchRequest(words={0: 1.0}), **QUICK)
