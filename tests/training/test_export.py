"""From a run to a folder that the pipeline loads."""

import argparse
import dataclasses
import json

import numpy as np
import pytest
import torch
from fake_corpus import CONFIG, TINY, fake_item
from refusing import refused

from gradtts_interp.checkpoints import load_model
from gradtts_interp.config import MelConfig, ModelConfig
from gradtts_interp.errors import CheckpointError
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.styles import StyleBank
from gradtts_interp.training import export
from gradtts_interp.training.data import StyleRef
from gradtts_interp.training.loop import Trainer


@pytest.fixture
def export_run(make_model, mixer, corpus_folder, tmp_path):
    """Function that exports a run of one step with more options; gives the folder of the checkpoint."""
    trainer = Trainer(make_model(), mixer, CONFIG, tmp_path / "run")
    trainer.step = 1
    trainer.save()

    def export_with(*options):
        parser = argparse.ArgumentParser()
        export.add_arguments(parser)
        words = ["--run", tmp_path / "run", "--corpus", corpus_folder, "--vocoder", tmp_path / "voc"]
        assert export.run(parser.parse_args([str(w) for w in (*words, "--out", tmp_path / "out", *options)])) == 0
        return tmp_path / "out"

    return export_with


def test_exported_folder_holds_averaged_weights_styles_and_vocoder(export_run, tmp_path):
    out = export_run("--formant-emphasis", 1.25, "--temperature", 2.0)
    averaged, step = export.averaged_model(tmp_path / "run")
    assert step == 1 and not averaged.training and averaged.settings == ModelConfig.from_dict(TINY.to_dict())
    loaded = load_model(out / "model")
    assert loaded.settings == dataclasses.replace(averaged.settings, formant_emphasis=1.25, temperature=2.0)
    for name, value in averaged.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name].float(), value, atol=2e-3)  # stored in half precision
    index = json.loads((out / export.INDEX).read_text())
    assert index["step"] == 1 and (out / index["vocoder"]).resolve() == (tmp_path / "voc").resolve()
    bank = StyleBank.load(out / "styles", MelConfig())
    assert sorted(bank.styles) == [(0, "happy"), (0, "neutral"), (1, "neutral")]
    assert bank.styles[0, "neutral"].mel.shape == (80, 50)  # 40 and 50 frames in train; 50 in valid is not looked at
    assert bank.styles[1, "neutral"].emotion.tolist() == [1.0, 0, 0, 0, 0]
    refused(export_run, ("--formant-emphasis", 3.0, "formant_emphasis 3.0: expected 0 to 2"))


def test_bank_prefers_an_utterance_whose_f0_is_skewed_as_usual_and_has_the_mean_of_all_numbers():
    def utterance(frames, low):
        f0_hz = np.where(np.arange(frames) % 10 < low, 100.0, 200.0).astype(np.float32)
        contour = Contour(
            f0_hz, np.ones(frames, bool), np.full(frames, -frames / 10, np.float32), MelConfig().frame_rate_hz
        )
        item = fake_item(0, (StyleRef("s0", "s0-sad"),))
        return dataclasses.replace(item, mel=np.zeros((80, frames), np.float16), contour=contour)

    heard = [utterance(260, 2), utterance(200, 5), utterance(350, 5), utterance(260, 8)]
    (style,) = export.bank_of_items(heard, first=3).styles.values()
    assert style.mel.shape == (80, 200) and (style.speaker, style.name) == (3, "speaker 3 sad")
    assert style.prosody[2] == pytest.approx(-26.75, abs=0.01)  # the level of all, not that of the chosen one


def test_what_cannot_be_exported_is_named(export_run, corpus_folder, tmp_path):
    missing = tmp_path, "no checkpoint; expected the folder of a training run"
    refused(export.averaged_model, missing, error=CheckpointError)
    manifest = corpus_folder / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"bank"', '"grid"'))
    refused(export_run, ("no items of named speakers",))
