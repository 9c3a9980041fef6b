"""Styles of recordings, and the bank of a checkpoint."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from refusing import refused
from safetensors.torch import load_file, save_file
from speaking import harmonic_tone
from tiny import EMOTIONS, tiny_bank, tiny_style

from gradtts_interp.audio import write_wav
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError
from gradtts_interp.styles import Style, StyleBank, average_style, style_of_audio, style_of_samples

MEL = MelConfig()


def test_a_recording_becomes_a_style(tmp_path):
    write_wav(tmp_path / "a.wav", harmonic_tone(150.0))
    style = style_of_audio(tmp_path / "a.wav", MEL)
    assert style.mel.shape == (80, 22050 // 256) and len(style.contour) == style.mel.shape[1]
    assert style.prosody.shape == (4,) and style.speaker is None and style.emotion is None
    assert np.exp(style.prosody[0]) == pytest.approx(150, rel=0.03)
    assert repr(Style("speaker 3", speaker=3)) == "Style('speaker 3')"
    assert "F0 15" in repr(style) and "1.0 s" in repr(style)


class TestBank:
    def test_styles_by_speaker_and_emotion(self):
        bank = tiny_bank()
        assert bank.speakers == [0, 2] and bank.emotions == EMOTIONS
        assert bank.style(0).name == "speaker 0 neutral" and bank.style(0, "happy").name == "speaker 0 happy"

        row = StyleBank({(s, "neutral"): tiny_style(s) for s in range(3)}, EMOTIONS)
        for bank, known in ((row, "0 to 2"), (StyleBank({}, EMOTIONS), "none")):
            refused(bank.style, (9, f"speaker 9: this checkpoint has speakers {known}"))

    def test_round_trip(self, tmp_path):
        bank = tiny_bank()
        mixed = np.array([0.25, 0.7], dtype=np.float32)  # an emotion need not be a one-hot
        bank.styles[0, "happy"] = replace(bank.styles[0, "happy"], emotion=mixed)
        bank.save(tmp_path / "styles")
        again = StyleBank.load(tmp_path / "styles", MEL)
        assert again.emotions == bank.emotions and list(again.styles) == list(bank.styles)
        for key, style in bank.styles.items():
            read = again.styles[key]  # mel and energy are kept in half precision
            np.testing.assert_allclose(read.contour.energy_db, style.contour.energy_db, atol=0.03)
            np.testing.assert_allclose(read.mel, style.mel, atol=0.01)
            contour = replace(read.contour, energy_db=style.contour.energy_db)
            assert replace(read, mel=style.mel, contour=contour) == style
        tensors = load_file(tmp_path / "styles" / StyleBank.FILE)  # banks without vectors give one-hots
        without = {name: value for name, value in tensors.items() if not name.endswith(".emotion")}
        save_file(without, tmp_path / "styles" / StyleBank.FILE)
        assert StyleBank.load(tmp_path / "styles", MEL).style(0, "happy").emotion.tolist() == [0.0, 1.0]

    def test_damaged_banks(self, tmp_path):
        unreadable = partial(refused, StyleBank.load, error=CheckpointError)
        unreadable((tmp_path, MEL, "the style bank cannot be read"))
        tiny_bank().save(tmp_path)
        index = json.loads((tmp_path / "styles.json").read_text())
        index["styles"].append({"speaker": 5, "emotion": "neutral", "key": "5-neutral"})
        (tmp_path / "styles.json").write_text(json.dumps(index))
        unreadable((tmp_path, MEL, "the style bank cannot be read.*5-neutral"))


def test_styles_are_equal_where_all_their_parts_are():
    style, same, other = tiny_style(1), tiny_style(1), tiny_style(2)
    assert style == same and hash(style) == hash(same) and len({style, same, other}) == 2
    assert style.contour == same.contour and hash(style.contour) == hash(same.contour)
    assert style != other and style.contour != other.contour and style != "a.wav" and style.contour != 3
    assert style != replace(style, mel=style.mel + 1e-3)
    assert style != replace(style, name="other") and style != replace(style, emotion=None)
    assert style != replace(style, prosody=style.prosody.astype(np.float64)[:3])
    assert pickle.loads(pickle.dumps(style)) == style


def test_samples_that_are_no_speech_keep_their_notes():
    rumour = 0.1 * torch.randn(22050, generator=torch.Generator().manual_seed(0))
    opposed, told = torch.stack([rumour, -rumour], 1), "no voiced frame was found.*channels 1 and 2 are in antiphase"
    refused(partial(style_of_samples, name="hiss"), (rumour, MEL, "hiss: no voiced frame was found"))
    refused(partial(style_of_audio, sample_rate_hz=22050), (opposed, MEL, told))


def test_an_average_is_half_way_in_prosody_and_knows_its_parts():
    a, b = tiny_style(1, f0_hz=100.0), tiny_style(2, f0_hz=200.0)
    average = average_style([a, b])
    assert average.parts == (a, b) and average.mel is None and average.name == f"average of {a.name}, {b.name}"
    np.testing.assert_allclose(average.prosody, (a.prosody + b.prosody) / 2, rtol=1e-6)
    assert average_style([Style("x", speaker=1), Style("y", speaker=2)]).prosody is None
    wrong = ([a], [average, a])
    refused(average_style, *((w, f"average of {len(w)} styles; expected at least 2, none of them") for w in wrong))
