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

import pytest
import torch
from fake_corpus import CONFIG, MIX, TINY, fake_items
from refusing import refused
from safetensors.torch import load_file

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.training import loop
from gradtts_interp.training.loop import LOSSES, Trainer, rate_factor
from gradtts_interp.training.mix import Mixer
from gradtts_interp.training.state import PARTS, SCORE, checkpoints


def weights(trainer):
    return [p.detach().clone() for p in [*trainer.loss_module.parameters(), *trainer.ema.shadow_params]]


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture
def make_trainer(make_model, mixer, tmp_path):
    """Function from changed settings to a trainer in a folder."""

    def make(*, model=None, mixer=mixer, folder="run", **changes):
        return Trainer(model or make_model(), mixer, dataclasses.replace(CONFIG, **changes), tmp_path / folder)

    return make


def step(trainer):
    """Make a step by hand, and count it."""
    values = trainer._step(trainer.draws.of_step(trainer.step))
    trainer.step += 1
    return values


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("only", "adversarial", "keep_mean"),
    [("", 0.0, False), ("prior", 0.1, False), (SCORE, 0.1, False), (SCORE, 0.0, True)],
)
def test_stopped_and_resumed_equals_uninterrupted(make_model, make_trainer, only, adversarial, keep_mean):
    setting = {"only": only, "adversarial": adversarial, "keep_mean": keep_mean}
    whole, first = make_trainer(folder="whole", **setting), make_trainer(**setting)
    whole.train()
    assert not keep_mean or not whole.loss_module.beginning.training  # no dropout in what is never trained
    for _ in range(2):
        step(first)
    first.save()
    second = make_trainer(model=make_model(seed=9), **setting)
    assert second.step == 2 and second.train().name == "step_0000004"
    assert equal(weights(whole), weights(second))
    states = [t.optimiser.state_dict()["state"] for t in (whole, second)]
    assert all(torch.equal(states[0][i]["exp_avg_sq"], states[1][i]["exp_avg_sq"]) for i in states[0])
    for name, value in setting.items():
        other = {"only": "pitch", "adversarial": 0.2, "keep_mean": False}[name]
        if value and value != other:
            with pytest.raises(CheckpointError, match=f"{name} = {value!r}, now {other!r}"):
                make_trainer(**({name: other} if name == "only" else {**setting, name: other}))


def test_settings_that_cannot_be_are_refused(make_trainer, monkeypatch):
    refused(
        lambda changes: make_trainer(**changes),
        ({"only": "prior", "keep_mean": True}, "keep mean, with prior trained: expected --only score"),
        ({"adversarial": 0.1}, "adversarial 0.1: expected --only prior or --only score"),
        ({"only": "gates"}, "'gates' to be trained alone: expected one of durations, pitch, prosody"),
        ({"accumulate": 3}, "batch size 4 cannot be divided among 1 processes, 3 parts each"),
    )
    monkeypatch.setattr(loop.Accelerator, "num_processes", property(lambda _: 3))
    refused(make_trainer, ("batch size 4 cannot be divided among 3 processes",))


@pytest.mark.parametrize("buckets", [1, 3])
def test_workers_draw_what_is_drawn_without_them(make_trainer, buckets):
    mix = dataclasses.replace(MIX, length_buckets=buckets)
    ahead = make_trainer(mixer=Mixer(fake_items(), mix, MelConfig()), mix=mix, accumulate=2, workers=2).draws
    for first in (0, 4):
        drawn = itertools.islice(ahead.stream(first), 4)
        for step, parts in enumerate(drawn, first):
            for (batch, noise), (expected, its_noise) in zip(parts, ahead.of_step(step), strict=True):
                assert torch.equal(batch.mel, expected.mel)
                assert torch.equal(batch.reference_mask, expected.reference_mask)
                assert equal(noise, its_noise)


def test_a_signal_saves_and_ends_the_run(make_trainer, monkeypatch):
    trainer = make_trainer(steps=50)
    usual = trainer._step

    def step_and_signal(draws):
        if trainer.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return usual(draws)

    monkeypatch.setattr(trainer, "_step", step_and_signal)
    before = signal.getsignal(signal.SIGTERM)
    path = trainer.train()
    assert trainer.stopped_by == signal.SIGTERM
    assert path.name == "step_0000002" and checkpoints(trainer.folder) == [path]
    assert signal.getsignal(signal.SIGTERM) is before


def test_left_overs_are_ignored_and_two_checkpoints_kept(make_trainer, tmp_path):
    (tmp_path / "run" / ".step_0000099.tmp").mkdir(parents=True)
    (tmp_path / "run" / "step_0000098").mkdir()
    trainer = make_trainer()
    assert trainer.step == 0
    for _ in range(3):
        trainer.step += 1
        path = trainer.save()
    assert [p.name for p in checkpoints(trainer.folder)] == ["step_0000002", "step_0000003"]
    assert not list(trainer.folder.glob(".*.tmp"))
    (path / "ema.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match=r"ema.safetensors is damaged.*remove step_0000003"):
        make_trainer()


def test_other_settings_are_refused_by_name(make_model, make_trainer):
    trainer = make_trainer()
    trainer.save()
    settings = (trainer.folder / "settings.json").read_text()
    wider = dataclasses.replace(TINY, style=dataclasses.replace(TINY.style, patch_bins=4))
    refused(
        lambda name, value: make_trainer(**{name: value}),
        ("model", make_model(settings=wider), r"trained with model.style.patch_bins = 8, now 4"),
        ("batch_size", 2, "trained with batch_size = 4, now 2"),
        ("mix", dataclasses.replace(MIX, null=0.5), r"trained with mix.null = 0.1, now 0.5"),
        error=CheckpointError,
    )
    assert (trainer.folder / "settings.json").read_text() == settings
    assert make_trainer(learning_rate=1e-3, steps=99).step == 0
    assert json.loads((trainer.folder / "train.json").read_text())["steps"] == 99


def test_losses_that_are_not_finite_are_skipped_then_end_the_run(make_trainer, monkeypatch):
    trainer = make_trainer(steps=100)
    step(trainer)
    before, normal = weights(trainer), trainer.model.settings
    trainer.model.settings = dataclasses.replace(normal, mel_std=float("nan"))
    assert "gradient" not in step(trainer) and trainer.failures == 1
    assert equal(before, weights(trainer))
    trainer.model.settings = normal
    step(trainer)
    assert trainer.failures == 0
    trainer.model.settings = dataclasses.replace(normal, mel_std=float("nan"))
    monkeypatch.setattr(loop, "PATIENCE", 3)
    with pytest.raises(InputError, match="3 steps in a row.*without a finite loss.*lower learning rate than 0.0006"):
        trainer.train()


def test_log_goes_on_without_repeating_steps(make_trainer, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    first = make_trainer(steps=2)
    first.train()
    with open(first.folder / "log.jsonl", "a") as log:
        log.write('{"step": 3, "seconds": 9}\n{"step": 4, "sec')
    make_trainer().train()
    rows = log_of(first.folder)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert {"rate", "duration", "prior", "diffusion", "gradient", "gate/mid"} <= set(rows[-1])
    assert list((first.folder / "tensorboard").glob("events*"))


def test_validation_is_fixed_and_leaves_no_trace(make_trainer):
    trainer = make_trainer()
    step(trainer)
    before = weights(trainer)
    first, second = trainer.validate(), trainer.validate()
    assert first == second and set(first) == {f"valid/{k}" for k in (*LOSSES, "residual", "swapped")}
    assert equal(before, weights(trainer))


def test_sample_is_written_and_its_failure_only_logged(make_trainer, monkeypatch, caplog):
    trainer = make_trainer(steps=1, sample_every=1)
    trainer.train()
    (picture,) = (trainer.folder / "samples").iterdir()
    assert picture.name == "step_0000001.png" and picture.read_bytes()[:4] == b"\x89PNG"
    assert "sample/matched/f0_error" in log_of(trainer.folder)[-1]
    monkeypatch.setattr(loop, "draw", lambda *_, **__: 1 / 0)
    before = weights(trainer)
    assert trainer.sample() is None
    assert "no sample at step 1: ZeroDivisionError" in caplog.text
    assert equal(before, weights(trainer))


def test_rate_rises_then_falls_and_a_run_ends_with_its_time(make_trainer):
    config = dataclasses.replace(CONFIG, steps=100, warmup_steps=10, final_rate=0.1)
    factors = [rate_factor(step, step / 100, config) for step in range(101)]
    assert factors[0] < 0.11 and max(factors) == pytest.approx(factors[9], abs=0.02)
    assert factors[100] == pytest.approx(0.1)
    timed = make_trainer(seconds=10.0, steps=100)
    timed.step, timed.seconds = 5, 5.0
    assert timed.done == 0.5
    timed.seconds = 11.0
    assert timed.done == 1.0 and timed.train() == timed.folder and timed.step == 5


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
            from gradtts_interp.training.mix import Mixer

            loop.LOG_EVERY = 1
            torch.set_num_threads(1)
            torch.manual_seed(0)
            model = GradTTS(dataclasses.replace(fake_corpus.TINY, enc_dropout=0.0).to_dict())
            for module in model.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0  # the contour predictor's: processes would drop other values than one alone
            mixer = Mixer(fake_corpus.fake_items(), fake_corpus.MIX, MelConfig())
            config = dataclasses.replace(fake_corpus.CONFIG, steps=3, validate_every=3)
            loop.Trainer(model, mixer, config, sys.argv[1]).train()
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
        for name in ("duration", "prior", "diffusion", "pitch", "gradient"):
            tolerance = 1e-3 if name == "gradient" else 1e-5
            expected = pytest.approx(two.get(name, 0.0), rel=tolerance if row == 0 else 1e-2)
            assert one.get(name, 0.0) == expected, (row, name)
    assert first[-1]["valid/diffusion"] == pytest.approx(second[-1]["valid/diffusion"], rel=1e-3)
    found = [load_file(p / "step_0000003" / "model.safetensors") for p in (single, double)]
    apart = sum(float((value - found[1][name]).square().sum()) for name, value in found[0].items())
    assert apart**0.5 < 1e-2 * sum(float(v.square().sum()) for v in found[0].values()) ** 0.5


def test_parts_of_a_batch_add_up_to_its_gradient(make_model, make_trainer):
    """Without dropout; masked means of unequal lengths are the whole difference."""
    quiet = dataclasses.replace(TINY, enc_dropout=0.0)
    trainers = [
        make_trainer(model=make_model(settings=quiet), folder=str(n), accumulate=n, learning_rate=1e-3) for n in (1, 2)
    ]
    drawn = [torch.cat([torch.cat([noise[0], batch.lengths]) for batch, noise in t.draws.of_step(0)]) for t in trainers]
    assert torch.equal(drawn[0].sort()[0], drawn[1].sort()[0])
    assert trainers[1].validate() == pytest.approx(trainers[0].validate(), rel=1e-4)  # a batch at once, in both
    whole, parts = map(step, trainers)
    for name in ("diffusion", "prior", "gradient"):
        assert parts[name] == pytest.approx(whole[name], rel=0.1)


@pytest.mark.parametrize("only", sorted([*PARTS, SCORE]))
def test_parts_trained_alone_leave_all_else_as_it_was(only, make_model, make_trainer):
    model = make_model()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    trainer = make_trainer(model=model, only=only, learning_rate=1e-2)
    values = step(trainer)
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    if only == SCORE:
        assert not any(name.startswith(PARTS["prior"]) for name in moved)
        assert any(name.startswith("decoder.") for name in moved) and values["diffusion"] > 0
    else:
        assert moved and all(name.startswith(PARTS[only]) for name in moved)
        assert values["diffusion"] == 0 and values["duration"] > 0


def test_rows_of_speakers_who_are_not_in_the_corpus_stay_bit_for_bit(make_model, make_trainer):
    model = make_model()
    rows = model.style_encoder.timbre.speakers.weight
    before, mix = rows.detach().clone(), dataclasses.replace(MIX, drop_name=0.0)
    items = [item for item in fake_items() if all(style.voice != "s1" for style in item.styles)]
    make_trainer(
        model=model, mixer=Mixer(items, mix, MelConfig()), mix=mix, only="speakers", learning_rate=1e-2, steps=3
    ).train()
    assert (rows != before).any(1).tolist() == [True, False]


def test_a_frame_prior_learns_alone_and_reads_its_references(make_trainer):
    """All have one F0, so that the reference alone tells whose mel it is."""
    items = fake_items()
    for item in items:
        item.contour.f0_hz[:] = 150.0
    mixer = Mixer(items, MIX, MelConfig())
    trainer = make_trainer(mixer=mixer, learning_rate=1e-2, steps=60, only="prior", batch_size=8)
    before = trainer.validate()
    trainer.train()
    after = trainer.validate()
    for name in ("prior", "duration", "pitch", "alignment"):
        assert after[f"valid/{name}"] < 0.9 * before[f"valid/{name}"], name
    assert after["valid/swapped"] > 1.05 * after["valid/prior"] and after["valid/diffusion"] == 0
