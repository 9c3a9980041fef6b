"""A training learns, stops anywhere, and goes on as if it had not stopped."""

import copy
import dataclasses
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from refusing import refused

from gradtts_interp.audio import log_mel
from gradtts_interp.config import MelConfig
from gradtts_interp.training.vocoder_command import read_contour
from hifigan import HarmonicConfig
from hifigan.data import Corpus
from hifigan.generator import to_fused
from hifigan.train import LOG_FILE, STATE_FILE, Trainer, share_of_budget

COMMAND = Path(__file__).parents[2] / "hifi-gan" / "train.py"


def make(config, recordings, *, steps, mels=None):
    contour_of = partial(read_contour, config=MelConfig()) if isinstance(config.generator, HarmonicConfig) else None
    shortest = config.segment + 1024
    corpus = Corpus(recordings, sample_rate_hz=22050, shortest=shortest, mels=mels, contour_of=contour_of)
    mel = partial(log_mel, config=MelConfig())
    return Trainer(config, corpus, mel_function=mel, budget=(steps, None))


def weights(trainer):
    parts = (trainer.generator, trainer.averaged, trainer.judges)
    return [value for part in parts for value in part.state_dict().values()]


@pytest.mark.parametrize("kind", ["tiny", "tiny_harmonic"])
def test_resumed_equals_uninterrupted(kind, recordings, tmp_path, request):
    tiny = request.getfixturevalue(kind)
    whole = make(tiny, recordings, steps=4)
    reports = [whole.step() for _ in range(4)]
    assert "discriminators" not in reports[1]
    assert {"discriminators", "adversarial", "features"} <= set(reports[2])
    first = make(tiny, recordings, steps=4)
    for _ in range(3):
        first.step()
    first.save(tmp_path)
    second = make(tiny, recordings, steps=4)
    second.load(tmp_path)
    assert second.step_number == 3
    assert second.step() == reports[3]
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(second), strict=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == [STATE_FILE, "wavs"]


def test_mel_distance_falls_on_a_tiny_corpus_and_begins_alike_in_bfloat16(tiny, recordings):
    config = dataclasses.replace(tiny, spectral_rate=3e-3, spectral_share=0.7, mel_noise=0.0)
    trainer = make(config, recordings, steps=60)
    before = trainer.validate()
    reports = [trainer.step() for _ in range(60)]
    assert trainer.validate()["mel_l1"] < 0.75 * before["mel_l1"]
    assert reports[-1]["mel"] < 0.6 * reports[0]["mel"]
    assert reports[-1]["discriminators"] < reports[42]["discriminators"]
    rough = make(dataclasses.replace(config, bfloat16=True), recordings, steps=60).step()
    assert rough["mel"] == pytest.approx(reports[0]["mel"], rel=0.15) and rough["mel"] != reports[0]["mel"]


def test_a_trained_generator_can_be_started_from(tiny, recordings):
    source, further = make(tiny, recordings, steps=4), make(dataclasses.replace(tiny, seed=5), recordings, steps=4)
    source.step()
    mel = torch.randn(1, 80, 8, generator=torch.Generator().manual_seed(0))
    wanted = source.generator(mel)
    fused = copy.deepcopy(source.generator.state_dict())
    assert not torch.allclose(further.generator(mel), wanted, atol=1e-4)
    for state in (fused, to_fused(fused)):
        further.start_from(state)
        assert torch.allclose(further.generator(mel), wanted, atol=1e-6)
        assert torch.allclose(further.averaged(mel), wanted, atol=1e-6)
    assert further.step()["skipped"] == 0
    broken = {name: value for name, value in to_fused(fused).items() if name != "ups.1.bias"}
    narrow = {**to_fused(fused), "conv_pre.weight": torch.zeros(1, 80, 7)}
    told = r"conv_pre.weight is \(1, 80, 7\), expected \(16, 80, 7\)"
    refused(further.start_from, (broken, "ups.1.bias is nothing, expected"), (narrow, told), error=ValueError)


@pytest.mark.parametrize("kind", ["tiny", "tiny_harmonic"])
def test_a_share_of_the_batch_is_given_predicted_mels(kind, recordings, tmp_path, request):
    (tmp_path / "mels").mkdir()
    for name in "012":
        np.save(tmp_path / "mels" / f"{name}.npy", np.full((80, 86), -3.0))
    config = dataclasses.replace(request.getfixturevalue(kind), batch=4, predicted_share=0.75, mel_noise=0.0)
    trainer = make(config, recordings, mels=tmp_path / "mels", steps=2)
    audio, contour, mels = trainer._batch()
    frames = config.segment // 256
    assert audio.shape == (4, config.segment) and mels.shape == (4, 80, frames)
    assert [bool((plane == -3).all()) for plane in mels] == [False, True, True, True]
    assert (contour is None) == (kind == "tiny") and (contour is None or contour.shape == (4, 2, frames))
    assert trainer.step()["skipped"] == 0


def test_harmonic_source_learns_level_and_pitch(tiny_harmonic, recordings):
    config = dataclasses.replace(tiny_harmonic, spectral_share=1.0)
    trainer = make(config, recordings, steps=60)
    before = trainer.validate()
    reports = [trainer.step() for _ in range(60)]
    after = trainer.validate()
    assert after["mel_l1"] < 0.8 * before["mel_l1"] and after["stft"] < before["stft"]
    assert after["pitch_cents"] < 0.2 * before["pitch_cents"]
    assert {"mel", "stft", "pitch", "voicing", "skipped"} == set(reports[-1])


def test_mel_weighs_less_late(tiny_harmonic, recordings):
    config = dataclasses.replace(tiny_harmonic, spectral_share=0.0, mel_weight=1000.0, late_mel_weight=0.0)
    trainer = make(config, recordings, steps=4)
    reports = [trainer.step() for _ in range(4)]
    assert [report["mel"] != 0 for report in reports] == [True, True, False, False]


def test_not_finite_losses_are_skipped_then_end_the_training(tiny, recordings):
    trainer = make(dataclasses.replace(tiny, patience=3), recordings, steps=10)
    trainer.step()
    before = [value.clone() for value in weights(trainer)]
    mel = trainer.mel
    trainer.mel = lambda audio: mel(audio) * float("nan")
    assert trainer.step()["skipped"] == 1
    assert all(torch.equal(a, b) for a, b in zip(before, weights(trainer), strict=True))
    trainer.mel = mel
    assert trainer.step()["skipped"] == 0
    trainer.mel = lambda audio: mel(audio) * float("nan")
    with pytest.raises(FloatingPointError, match="3 steps in a row"):
        for _ in range(3):
            trainer.step()


def test_run_saves_logs_and_ends(tiny, recordings, tmp_path):
    trainer = make(tiny, recordings, steps=4)
    saved = []
    trainer.run(tmp_path / "run", save_every_seconds=0, on_save=lambda _, found: saved.append(found))
    lines = [json.loads(line) for line in (tmp_path / "run" / LOG_FILE).read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert [line["validation"] for line in lines] == saved
    state = torch.load(tmp_path / "run" / STATE_FILE, weights_only=True)
    assert state["step"] == 4
    stopped = make(tiny, recordings, steps=9)

    def stop(step, _):
        stopped.stopping = step == 2

    stopped.run(tmp_path, on_step=stop)
    resumed = make(dataclasses.replace(tiny, batch=1, spectral_rate=1e-3), recordings, steps=9)
    resumed.load(tmp_path)
    assert resumed.step_number == 2 and resumed.step()["skipped"] == 0


def test_budget_is_the_first_to_come():
    for budget, used in (((10, None), (5, 1e9)), ((None, 10.0), (10**9, 5.0)), ((10, 10.0), (2, 5.0))):
        assert share_of_budget(budget, *used) == 0.5
    assert share_of_budget((10, None), 20, 0.0) == 1
    refused(share_of_budget, ((None, None), 0, 0.0, "needs a number of steps or seconds"), error=ValueError)


def test_what_does_not_fit_is_named(tiny, recordings, tmp_path):
    wrong, told = dataclasses.replace(tiny, segment=2000), "segment 2000 is no multiple of the hop 256"
    refused(partial(make, steps=1), (wrong, recordings, told), error=ValueError)
    make(tiny, recordings, steps=1).save(tmp_path)
    other = make(dataclasses.replace(tiny, divisor=16), recordings, steps=1)
    refused(other.load, (tmp_path, "saved with divisor = 32, now 16"), error=ValueError)


@pytest.mark.slow
@pytest.mark.parametrize("config", ["demo", "harmonic"])
def test_command_trains_resumes_and_exports(config, recordings, tmp_path):
    from gradtts_interp.vocoder import Vocoder

    arguments = ["--wavs", recordings, "--out", tmp_path / "run", "--batch", "2", "--segment", "4096"]
    arguments += ["--config", config]
    for steps in ("2", "3"):
        done = subprocess.run([sys.executable, COMMAND, *arguments, "--steps", steps], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "resumed at step 2" in done.stderr
    audio = Vocoder.from_pretrained(tmp_path / "run" / "vocoder")(torch.zeros(80, 4), MelConfig())
    assert audio.shape == (1024,)


def test_command_names_a_missing_corpus_and_budget(tmp_path):
    arguments = [sys.executable, COMMAND, "--wavs", tmp_path / "none", "--out", tmp_path / "run"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2 and "give a budget" in done.stderr
    done = subprocess.run([*arguments, "--steps", "1"], capture_output=True, text=True)
    assert done.returncode == 2 and "no such folder or manifest" in done.stderr
