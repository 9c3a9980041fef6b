"""The training loop: it learns, stops, resumes exactly, refuses other settings, and gives up on noise."""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_corpus import MIX, TINY, fake_items
from safetensors.torch import load_file

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.training import loop
from gradtts_interp.training.data import Corpus
from gradtts_interp.training.loop import LOSSES, Progress, Trainer, rate_factor
from gradtts_interp.training.mix import Mixer
from gradtts_interp.training.start import PARTS, SCORE
from gradtts_interp.training.state import checkpoints


def weights(trainer):
    return [p.detach().clone() for p in [*trainer.loss_module.parameters(), *trainer.ema.shadow_params]]


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("only", "adversarial", "keep_mean"),
    [("", 0.0, False), ("prior", 0.1, False), (SCORE, 0.1, False), (SCORE, 0.0, True)],
)
def test_stopped_and_resumed_equals_uninterrupted(make_model, mixer, config, tmp_path, only, adversarial, keep_mean):
    config = dataclasses.replace(config, only=only, adversarial=adversarial, keep_mean=keep_mean)
    whole = Trainer(make_model(), mixer, config, tmp_path / "whole")
    whole.train()
    often = dataclasses.replace(config, save_every_seconds=0.0)
    first = Trainer(make_model(), mixer, often, tmp_path / "parts")
    for _ in range(2):
        first._step()
        first.progress.step += 1
    first.save()
    second = Trainer(make_model(seed=9), mixer, config, tmp_path / "parts")
    assert second.progress.step == 2
    last = second.train()
    assert last.name == "step_0000004"
    assert equal(weights(whole), weights(second))
    states = [t.optimiser.state_dict()["state"] for t in (whole, second)]
    assert all(torch.equal(states[0][i]["exp_avg_sq"], states[1][i]["exp_avg_sq"]) for i in states[0])
    if adversarial:
        with pytest.raises(CheckpointError, match="adversarial = 0.1, now 0.2"):
            Trainer(make_model(), mixer, dataclasses.replace(config, adversarial=0.2), tmp_path / "parts")
    if keep_mean:
        with pytest.raises(CheckpointError, match="keep_mean = True, now False"):
            Trainer(make_model(), mixer, dataclasses.replace(config, keep_mean=False), tmp_path / "parts")


def test_a_mean_is_kept_by_a_score_network_that_is_trained_alone(make_model, mixer, config, tmp_path):
    with pytest.raises(InputError, match="keep mean, with prior trained: expected --only score"):
        Trainer(make_model(), mixer, dataclasses.replace(config, only="prior", keep_mean=True), tmp_path)


@pytest.mark.parametrize("buckets", [1, 3])
def test_workers_draw_what_is_drawn_without_them(make_model, mixer, config, tmp_path, buckets):
    config = dataclasses.replace(config, mix=dataclasses.replace(config.mix, length_buckets=buckets), accumulate=2)
    mixer = Mixer(mixer.corpus, config.mix, MelConfig())
    ahead = Trainer(make_model(), mixer, dataclasses.replace(config, workers=2), tmp_path).draws
    for first in (0, 4):
        drawn = itertools.islice(ahead.stream(first), 4)
        for step, parts in enumerate(drawn, first):
            for (batch, noise), (expected, its_noise) in zip(parts, ahead.of_step(step), strict=True):
                assert torch.equal(batch.mel, expected.mel)
                assert torch.equal(batch.reference_mask, expected.reference_mask)
                assert torch.equal(noise.noise, its_noise.noise)
                assert torch.equal(noise.t, its_noise.t)


def test_loss_falls_on_one_batch(make_model, config, tmp_path, monkeypatch):
    mixer = Mixer(Corpus(fake_items()), MIX, MelConfig())
    batch = mixer.batch(0, 4)
    monkeypatch.setattr(mixer, "batch", lambda *_, **__: batch)
    trainer = Trainer(make_model(), mixer, dataclasses.replace(config, learning_rate=3e-3, steps=30), tmp_path)
    before = trainer.validate()
    trainer.train()
    after = trainer.validate()
    assert after["valid/prior"] < 0.8 * before["valid/prior"]
    assert after["valid/diffusion"] < 0.9 * before["valid/diffusion"]
    assert after["valid/duration"] < before["valid/duration"]


def test_a_signal_saves_and_ends_the_run(make_model, mixer, config, tmp_path, monkeypatch):
    trainer = Trainer(make_model(), mixer, dataclasses.replace(config, steps=50), tmp_path)
    step = trainer._step

    def step_and_signal(draws):
        if trainer.progress.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(draws)

    monkeypatch.setattr(trainer, "_step", step_and_signal)
    before = signal.getsignal(signal.SIGTERM)
    path = trainer.train()
    assert trainer.stopped_by == signal.SIGTERM
    assert path.name == "step_0000002" and checkpoints(tmp_path) == [path]
    assert signal.getsignal(signal.SIGTERM) is before


def test_left_overs_are_ignored_and_two_checkpoints_kept(make_model, mixer, config, tmp_path):
    (tmp_path / ".step_0000099.tmp").mkdir(parents=True)
    (tmp_path / "step_0000098").mkdir()
    trainer = Trainer(make_model(), mixer, config, tmp_path)
    assert trainer.progress.step == 0
    for _ in range(3):
        trainer.progress.step += 1
        trainer.save()
    assert [p.name for p in checkpoints(tmp_path)] == ["step_0000002", "step_0000003"]
    assert not list(tmp_path.glob(".*.tmp"))


def test_other_settings_are_refused_by_name(make_model, mixer, config, tmp_path):
    Trainer(make_model(), mixer, config, tmp_path).save()
    settings = (tmp_path / "settings.json").read_text()
    wider = dataclasses.replace(TINY, style=dataclasses.replace(TINY.style, patch_bins=4))
    with pytest.raises(CheckpointError, match=r"trained with model.style.patch_bins = 8, now 4"):
        Trainer(make_model(settings=wider), mixer, config, tmp_path)
    with pytest.raises(CheckpointError, match="trained with batch_size = 4, now 2"):
        Trainer(make_model(), mixer, dataclasses.replace(config, batch_size=2), tmp_path)
    mix = dataclasses.replace(MIX, null=0.5)
    with pytest.raises(CheckpointError, match=r"trained with mix.null = 0.1, now 0.5"):
        Trainer(make_model(), mixer, dataclasses.replace(config, mix=mix), tmp_path)
    assert (tmp_path / "settings.json").read_text() == settings
    faster = dataclasses.replace(config, learning_rate=1e-3, steps=99)
    assert Trainer(make_model(), mixer, faster, tmp_path).progress.step == 0
    assert json.loads((tmp_path / "train.json").read_text())["steps"] == 99


def test_a_damaged_checkpoint_is_named(make_model, mixer, config, tmp_path):
    path = Trainer(make_model(), mixer, config, tmp_path).save()
    (path / "ema.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match=r"ema.safetensors cannot be read.*remove step_0000000"):
        Trainer(make_model(), mixer, config, tmp_path)


def test_losses_that_are_not_finite_are_skipped_then_end_the_run(make_model, mixer, config, tmp_path, monkeypatch):
    trainer = Trainer(make_model(), mixer, dataclasses.replace(config, steps=100), tmp_path)
    trainer._step()
    before = weights(trainer)
    with torch.no_grad():
        normal = trainer.model.settings
        monkeypatch.setattr(trainer.model, "settings", dataclasses.replace(normal, mel_std=float("nan")))
    assert "gradient" not in trainer._step() and trainer.failures == 1
    assert equal(before, weights(trainer))
    monkeypatch.setattr(trainer.model, "settings", normal)
    trainer._step()
    assert trainer.failures == 0
    monkeypatch.setattr(trainer.model, "settings", dataclasses.replace(normal, mel_std=float("nan")))
    monkeypatch.setattr(loop, "PATIENCE", 3)
    with pytest.raises(InputError, match="3 steps in a row.*without a finite loss.*lower learning rate than 0.0006"):
        trainer.train()


def test_log_goes_on_without_repeating_steps(make_model, mixer, config, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    Trainer(make_model(), mixer, dataclasses.replace(config, steps=2), tmp_path).train()
    with open(tmp_path / "log.jsonl", "a") as log:
        log.write('{"step": 3, "seconds": 9}\n{"step": 4, "sec')
    Trainer(make_model(), mixer, config, tmp_path).train()
    rows = log_of(tmp_path)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert {"rate", "duration", "prior", "diffusion", "gradient", "gate/mid"} <= set(rows[-1])
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_validation_is_fixed_and_leaves_no_trace(make_model, mixer, config, tmp_path):
    trainer = Trainer(make_model(), mixer, config, tmp_path)
    trainer._step()
    before = weights(trainer)
    first, second = trainer.validate(), trainer.validate()
    assert first == second and set(first) == {f"valid/{k}" for k in (*LOSSES, "residual", "swapped")}
    assert equal(before, weights(trainer))


def test_sample_is_written_and_its_failure_only_logged(make_model, mixer, config, tmp_path, monkeypatch, caplog):
    trainer = Trainer(make_model(), mixer, dataclasses.replace(config, steps=1, sample_every=1), tmp_path)
    trainer.train()
    picture = tmp_path / "samples" / "step_0000001.png"
    assert picture.read_bytes()[:4] == b"\x89PNG"
    monkeypatch.setattr(loop, "write_sample", lambda *_, **__: 1 / 0)
    before = weights(trainer)
    assert trainer.sample() is None
    assert "no sample at step 1: ZeroDivisionError" in caplog.text
    assert equal(before, weights(trainer))


def test_rate_rises_then_falls(config):
    config = dataclasses.replace(config, steps=100, warmup_steps=10, final_rate=0.1)
    factors = [rate_factor(Progress(step), config) for step in range(101)]
    assert factors[0] < 0.11 and max(factors) == pytest.approx(factors[9], abs=0.02)
    assert factors[100] == pytest.approx(0.1)
    timed = dataclasses.replace(config, seconds=10.0, warmup_steps=1)
    assert rate_factor(Progress(5, seconds=10.0), timed) == pytest.approx(0.1)


def test_batch_that_cannot_be_divided(make_model, mixer, config, tmp_path, monkeypatch):
    from accelerate import Accelerator

    monkeypatch.setattr(Accelerator, "num_processes", property(lambda _: 3))
    with pytest.raises(InputError, match="batch size 4 cannot be divided among 3 processes"):
        Trainer(make_model(), mixer, config, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_processes_equal_one(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import dataclasses, json, sys, torch
            sys.path[:0] = {[str(folder) for folder in Path(__file__).parents[:2]]!r}
            import fake_corpus
            from gradtts_interp.config import MelConfig
            from gradtts_interp.models.grad_tts import GradTTS
            from gradtts_interp.training import loop
            from gradtts_interp.training.data import Corpus
            from gradtts_interp.training.mix import Mixer

            loop.LOG_EVERY = 1
            torch.set_num_threads(1)
            torch.manual_seed(0)
            model = GradTTS(dataclasses.replace(fake_corpus.TINY, enc_dropout=0.0).to_dict())
            for module in model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0  # the contour predictor's: processes would drop other values than one alone
            mixer = Mixer(Corpus(fake_corpus.fake_items()), fake_corpus.MIX, MelConfig())
            config = loop.TrainConfig(batch_size=4, steps=3, warmup_steps=1, mixed_precision="no", mix=fake_corpus.MIX,
                                      validate_every=3, sample_every=0)
            trainer = loop.Trainer(model, mixer, config, sys.argv[1])
            trainer.train()
            """
        )
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    single, double = tmp_path / "single", tmp_path / "double"
    subprocess.run([sys.executable, script, single], check=True, env=environment, timeout=1500)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*launch, script, double], check=True, env=environment, timeout=1500)
    first, second = log_of(single), log_of(double)
    assert [row["step"] for row in first] == [row["step"] for row in second]
    for row, (one, two) in enumerate(zip(first, second, strict=True)):
        # The first step differs by rounding alone; Adam's sign-like first updates then make small gradients count.
        for name, tolerance in (
            ("duration", 1e-5),
            ("prior", 1e-5),
            ("diffusion", 1e-5),
            ("pitch", 1e-5),
            ("gradient", 1e-3),
        ):
            expected = pytest.approx(two.get(name, 0.0), rel=tolerance if row == 0 else 1e-2)
            assert one.get(name, 0.0) == expected, (row, name)
    assert first[-1]["valid/diffusion"] == pytest.approx(second[-1]["valid/diffusion"], rel=1e-3)
    found = [load_file(p / "step_0000003" / "model.safetensors") for p in (single, double)]
    apart = sum(float((value - found[1][name]).square().sum()) for name, value in found[0].items())
    assert apart**0.5 < 1e-2 * sum(float(v.square().sum()) for v in found[0].values()) ** 0.5


def test_parts_of_a_batch_add_up_to_its_gradient(make_model, mixer, config, tmp_path):
    """Without dropout; masked means of unequal lengths are the whole difference."""
    quiet = dataclasses.replace(TINY, enc_dropout=0.0)
    trainers = []
    for parts in (1, 2):
        settings = dataclasses.replace(config, accumulate=parts, learning_rate=1e-3)
        trainer = Trainer(make_model(settings=quiet), mixer, settings, tmp_path / str(parts))
        trainer.values = trainer._step()
        trainers.append(trainer)
    for name in ("diffusion", "prior", "gradient"):
        assert trainers[1].values[name] == pytest.approx(trainers[0].values[name], rel=0.1)
    with pytest.raises(InputError, match="batch size 4 cannot be divided among 1 processes, 3 parts each"):
        Trainer(make_model(), mixer, dataclasses.replace(config, accumulate=3), tmp_path / "3")


@pytest.mark.parametrize("only", sorted(PARTS))
def test_parts_trained_alone_leave_all_else_as_it_was(only, make_model, mixer, config, tmp_path):
    model = make_model()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    trainer = Trainer(model, mixer, dataclasses.replace(config, only=only, learning_rate=1e-2), tmp_path)
    values = trainer._step()
    changed = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith(PARTS[only]) for name in changed)
    assert values["diffusion"] == 0 and values["duration"] > 0
    trainer.progress.step = 1
    trainer.save()
    resumed = Trainer(make_model(1), mixer, dataclasses.replace(config, only=only), tmp_path)
    assert resumed.progress.step == 1 and torch.isfinite(torch.tensor(resumed._step()["duration"]))
    with pytest.raises(CheckpointError, match="only"):
        Trainer(make_model(), mixer, config, tmp_path)


def test_rows_of_speakers_who_are_not_in_the_corpus_stay_bit_for_bit(make_model, mixer, config, tmp_path):
    model = make_model()
    rows = model.style_encoder.timbre.speakers.weight
    before = rows.detach().clone()
    mix = dataclasses.replace(MIX, drop_name=0.0)
    spoken = {style.speaker for item in mixer.corpus.items for style in item.styles if style.speaker >= 0}
    absent = max(spoken)
    items = [item for item in mixer.corpus.items if all(style.speaker != absent for style in item.styles)]
    others = Mixer(Corpus(items), mix, MelConfig())
    settings = dataclasses.replace(config, only="speakers", learning_rate=1e-2, steps=3)
    Trainer(model, others, settings, tmp_path).train()
    moved = (rows != before).any(1)
    assert moved[sorted(spoken - {absent})].any() and not moved[absent]


def test_the_score_network_is_trained_around_a_prior_that_stays(make_model, mixer, config, tmp_path):
    model = make_model()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    trainer = Trainer(model, mixer, dataclasses.replace(config, only=SCORE, learning_rate=1e-2), tmp_path)
    values = trainer._step()
    changed = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert changed and not any(name.startswith(PARTS["prior"]) for name in changed)
    assert any(name.startswith("decoder.") for name in changed) and values["diffusion"] > 0


def test_a_frame_prior_learns_alone_and_reads_its_references(make_model, config, tmp_path):
    """All have one F0, so that the reference alone tells whose mel it is."""
    items = [dataclasses.replace(item, f0_hz=np.full_like(item.f0_hz, 150.0)) for item in fake_items()]
    settings = dataclasses.replace(config, learning_rate=1e-2, steps=60, only="prior", batch_size=8)
    trainer = Trainer(make_model(), Mixer(Corpus(items), MIX, MelConfig()), settings, tmp_path)
    before = trainer.validate()
    trainer.train()
    after = trainer.validate()
    for name in ("prior", "duration", "pitch", "alignment"):
        assert after[f"valid/{name}"] < 0.9 * before[f"valid/{name}"], name
    assert after["valid/swapped"] > 1.05 * after["valid/prior"] and after["valid/diffusion"] == 0


def test_only_parts_that_there_are_can_be_trained_alone(make_model, mixer, config, tmp_path):
    with pytest.raises(InputError, match="'gates' to be trained alone: expected one of durations, pitch, prosody"):
        Trainer(make_model(), mixer, dataclasses.replace(config, only="gates"), tmp_path)
