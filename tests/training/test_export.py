"""From a run to a folder that the pipeline loads."""

import argparse
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_corpus import TINY

from gradtts_interp.checkpoints import load_model
from gradtts_interp.config import MelConfig, ModelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.styles import StyleBank
from gradtts_interp.training import export
from gradtts_interp.training.loop import Trainer


@pytest.fixture
def run_folder(make_model, mixer, config, tmp_path):
    trainer = Trainer(make_model(), mixer, config, tmp_path / "run")
    trainer._step()
    trainer.progress.step = 1
    trainer.save()
    return tmp_path / "run"


def arguments(run_folder, corpus_folder, tmp_path):
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    values = ["--run", run_folder, "--corpus", corpus_folder, "--vocoder", tmp_path / "voc", "--out", tmp_path / "out"]
    return parser.parse_args([str(v) for v in values])


def test_exported_folder_holds_averaged_weights_styles_and_vocoder(run_folder, corpus_folder, tmp_path, make_model):
    assert export.run(arguments(run_folder, corpus_folder, tmp_path)) == 0
    out = tmp_path / "out"
    averaged, step = export.averaged_model(run_folder)
    assert step == 1 and not averaged.training and averaged.settings == ModelConfig.from_dict(TINY.to_dict())
    loaded = load_model(out / "model")
    for name, value in averaged.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name].float(), value, atol=2e-3)  # stored in half precision
    index = json.loads((out / export.INDEX).read_text())
    assert index["step"] == 1 and (out / index["vocoder"]).resolve() == (tmp_path / "voc").resolve()
    bank = StyleBank.load(out / "styles", MelConfig())
    assert sorted(bank.styles) == [(0, "happy"), (0, "neutral"), (1, "neutral")]


def test_emphasis_of_formants_and_temperature_are_exported(run_folder, corpus_folder, tmp_path):
    args = arguments(run_folder, corpus_folder, tmp_path)
    args.formant_emphasis, args.temperature = 1.25, 2.0
    export.run(args)
    loaded = load_model(tmp_path / "out" / "model")
    assert (loaded.settings.formant_emphasis, loaded.settings.temperature) == (1.25, 2.0)
    averaged, _ = export.averaged_model(run_folder)
    for name, value in averaged.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name].float(), value, atol=2e-3)
    args.formant_emphasis = 3.0
    with pytest.raises(InputError, match="formant_emphasis 3.0: expected 0 to 2"):
        export.run(args)


def test_bank_takes_the_training_utterance_nearest_to_the_typical_length(corpus_folder, make_model):
    bank = export.bank_of_corpus(corpus_folder, make_model())
    assert bank.styles[0, "neutral"].mel.shape == (80, 50)  # 40 and 50 frames in train; 50 in valid is not looked at
    assert bank.styles[1, "neutral"].emotion.tolist() == [1.0, 0, 0, 0, 0]


def test_bank_prefers_an_utterance_whose_f0_is_skewed_as_usual():
    def utterance(frames, low):
        f0_hz = np.where(np.arange(frames) % 10 < low, 100.0, 200.0).astype(np.float32)
        contour = Contour(f0_hz, np.ones(frames, bool), np.full(frames, -20, np.float32), MelConfig().frame_rate_hz)
        return SimpleNamespace(mel=np.zeros((80, frames)), contour=contour)

    heard = [utterance(260, 2), utterance(200, 5), utterance(350, 5), utterance(260, 8)]
    assert export.bank_of_recordings({(0, "sad"): heard}).styles[0, "sad"].mel.shape == (80, 200)


def test_prosody_of_the_bank_is_the_mean_over_a_speaker_and_emotion(corpus_folder, make_model):
    path = corpus_folder / "features" / "bank-0.npz"
    with np.load(path) as found:
        features = dict(found)
    before = export.bank_of_corpus(corpus_folder, make_model()).styles[0, "neutral"].prosody
    np.savez(path, **{**features, "f0_hz": features["f0_hz"] * 2})
    after = export.bank_of_corpus(corpus_folder, make_model()).styles[0, "neutral"].prosody
    assert after[0] - before[0] == pytest.approx(np.log(2) / 2, abs=1e-3)  # one of two utterances is an octave higher


def test_run_without_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint; expected the folder of a training run"):
        export.averaged_model(tmp_path)


def test_corpus_without_speakers(corpus_folder, make_model):
    lines = [json.loads(line) for line in (corpus_folder / "manifest.jsonl").read_text().splitlines()]
    lines = [{**line, "kind": "grid"} for line in lines]
    (corpus_folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(InputError, match="no items of named speakers"):
        export.bank_of_corpus(corpus_folder, make_model())
