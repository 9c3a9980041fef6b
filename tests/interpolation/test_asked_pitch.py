"""Pitch that is asked for reaches the network's prosody rows, and nothing else."""

import numpy as np
import pytest
import torch
from refusing import called, refused

from gradtts_interp.config import MelConfig
from gradtts_interp.interpolation.asked_pitch import PitchRequest, ask_pitch, lay_pitch
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.pitch.contour import PROSODY_MEAN, PROSODY_STD
from gradtts_interp.pitch.files import PitchCurve

LAYOUT = Layout(12, MelConfig(), words=((2, 5), (6, 10)))
RATE = LAYOUT.mel.frame_rate_hz


def prosody(frames: int = 16) -> torch.Tensor:
    """Of two items; their first ten frames are voiced at 150 Hz."""
    found = torch.zeros(2, 8, frames)
    found[:, 4] = 1
    found[:, 5:6, :10] = 1
    return found


def hz(row: torch.Tensor) -> np.ndarray:
    return np.exp(row.numpy() * PROSODY_STD[0] + PROSODY_MEAN[0])


def test_words_are_shifted_and_others_stay():
    asked = lay_pitch(PitchRequest(words={0: 12.0, range(1, 2): -12.0}), LAYOUT)
    before = prosody()
    after = ask_pitch(before, [None, asked])
    assert torch.equal(after[0], before[0])
    found = hz(after[1, 6])
    np.testing.assert_allclose(found[2:5], 300, rtol=1e-5)
    np.testing.assert_allclose(found[6:10], 75, rtol=1e-5)
    np.testing.assert_allclose(found[[0, 1, 5, *range(10, 16)]], 150, rtol=1e-5)
    assert torch.equal(after[1, :6], before[1, :6])
    assert not before[:, 6].any(), "the prosody that was given is changed"


def test_hz_replace_the_pitch_and_set_level_and_range():
    voiced = np.array([True] * 5 + [False])
    curve = PitchCurve((np.arange(6) * 2 + 1.0) / RATE, np.array([100.0, 120, 140, 160, 180, 100]), "hz", voiced)
    asked = lay_pitch(PitchRequest(curve, {1: 2.0}), LAYOUT)
    after = ask_pitch(prosody(), [asked, None])[0]
    np.testing.assert_allclose(hz(after[6, :12]), asked.f0_hz, rtol=1e-5)
    assert after[5, :12].tolist() == asked.voiced.astype(float).tolist() and after[5, 12:].tolist() == [0] * 4
    log_f0 = np.log(asked.f0_hz[asked.voiced])
    level = after[0, 0].item() * PROSODY_STD[0] + PROSODY_MEAN[0]
    spread = after[1, 0].item() * PROSODY_STD[1] + PROSODY_MEAN[1]
    assert level == pytest.approx(log_f0.mean(), abs=1e-4) and spread == pytest.approx(log_f0.std(), abs=1e-4)


def test_semitones_over_time_are_added_to_the_style_s_own():
    curve = PitchCurve(np.array([0.0, 1.0]), np.array([3.0, 3.0]), "semitones")
    asked = lay_pitch(PitchRequest(curve), LAYOUT)
    assert asked.f0_hz is None and asked.voiced is None
    after = ask_pitch(prosody(), [asked, asked])
    np.testing.assert_allclose(hz(after[1, 6, :12]), 150 * 2 ** (3 / 12), rtol=1e-5)


def test_errors():
    asked = lay_pitch(PitchRequest(words={0: 1.0}), LAYOUT)
    refused(
        called,
        (lay_pitch, PitchRequest(words={2: 1.0}), LAYOUT, "pitch of word 3: the sentence has words 1 to 2"),
        (PitchRequest, None, {0: 50.0}, "shift of 50 semitones; expected at most 36"),
        (ask_pitch, None, [asked, None], "this checkpoint is shown no pitch contour"),
    )
    assert ask_pitch(None, [None]) is None
