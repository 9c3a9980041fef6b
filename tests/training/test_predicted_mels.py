"""Mels as the model makes them, frame for frame those of recordings, and pictures of them."""

import dataclasses

import numpy as np
import pytest
import torch
from fake_corpus import MIX, STYLES, TINY, fake_item, fake_items
from matplotlib.image import imread
from refusing import refused
from speaking import RATE_HZ, harmonic_tone

from gradtts_interp.audio import write_wav
from gradtts_interp.checkpoints import save_model
from gradtts_interp.cli.main import main
from gradtts_interp.config import MelConfig
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.training.mix import KINDS, Mixer
from gradtts_interp.training.predicted_mels import Sampled, draw, predict_mels, sample_draws


def run(*words):
    return main(["predict-mels", *map(str, words)])


def distance(model, mixer, **options):
    pairs = list(predict_mels(model, fake_items(), **options))  # blends have two styles and are left out
    assert sorted(item.id for item, _ in pairs) == sorted(item.id for item in mixer.singles)
    assert all(mel.shape == item.mel.shape and mel.dtype == np.float16 for item, mel in pairs)
    return float(np.mean([np.abs(mel - item.mel).mean() for item, mel in pairs]))


def test_little_noise_leaves_the_recording_and_much_does_not(make_model, mixer):
    model = make_model().eval()
    near, far = (distance(model, mixer, steps=2, start_time=t) for t in (0.01, 1.0))
    assert near < 0.15 and far > 3 * near
    near, far = (distance(model, mixer, steps=0, start_time=t) for t in (0.01, 1.0))
    assert near == far


def test_durations_are_the_targets_and_order_changes_no_mel(make_model, mixer, monkeypatch):
    model, asked, score = make_model().eval(), [], GradTTS.score
    monkeypatch.setattr(
        GradTTS, "score", lambda self, x, mask, *a, **k: asked.append(mask.sum((1, 2))) or score(self, x, mask, *a, **k)
    )
    items = mixer.singles[:4]
    one, other = (dict((i.id, m) for i, m in predict_mels(model, some, steps=1)) for some in (items, items[::-1]))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert sorted(asked[0].tolist()) == sorted(float(item.frames) for item in items)


def test_settings_that_cannot_be_are_refused(make_model):
    wrong = ({"start_time": 0.0}, {"start_time": 1.5}, {"steps": -1}, {"batch_size": 0})
    refused(
        lambda options: next(predict_mels(make_model(), fake_items(), **options)),
        *((options, r"expected a time in \(0, 1\], steps from 0 and batches from 1") for options in wrong),
    )


def test_command_writes_a_mel_for_each_recording_and_only_what_is_missing(make_model, corpus_folder, tmp_path, capsys):
    save_model(make_model(), tmp_path / "model")
    out = tmp_path / "mels"
    words = ["--checkpoint", tmp_path / "model", "--corpus", corpus_folder, "--out", out, "--steps", 1]
    assert run(*words, "--limit", 0) == 2
    assert "limit 0: expected 1 or more" in capsys.readouterr().err and not out.exists()
    assert run(*words, "--limit", 2) == 0
    first = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert len(first) == 2
    assert run(*words) == 0
    assert sorted(path.name for path in out.iterdir()) == [f"bank-{i}.npy" for i in range(4)]
    assert all((out / name).stat().st_mtime_ns == when for name, when in first.items())
    assert np.load(out / "bank-3.npy", allow_pickle=False).shape == (80, 70)


def test_command_takes_a_filelist(make_model, tmp_path):
    save_model(make_model(settings=dataclasses.replace(TINY, add_blank=False)), tmp_path / "model")
    for name, hz in (("x", 120), ("y", 150)):
        write_wav(tmp_path / f"{name}-1.wav", harmonic_tone(hz), RATE_HZ)
    (tmp_path / "list.txt").write_text("x-1.wav|Say a word.|0\ny-1.wav|Say it again.|0\n")
    words = ["--checkpoint", tmp_path / "model", "--filelist", tmp_path / "list.txt"]
    assert run(*words, "--out", tmp_path / "mels", "--steps", 1) == 0
    assert sorted(path.name for path in (tmp_path / "mels").glob("*.npy")) == ["x-1.npy", "y-1.npy"]


def test_each_kind_is_sampled_and_measured(make_model, mixer):
    model = make_model().eval()
    processors = model.attn_processors
    found = sample_draws(model, mixer, steps=2)
    assert tuple(s.kind for s in found) == KINDS
    for sample in found:
        frames = sample.target.shape[1]
        assert sample.mel.shape == sample.share.shape == (80, frames) and np.isfinite(sample.mel).all()
        assert sample.f0_target.shape == sample.f0_sample.shape == (frames,)
        assert np.isnan(sample.f0_target).any() and np.nanmin(sample.f0_target) >= 100
        assert np.allclose(sample.mass.sum(0), 1, atol=1e-3)
    matched, dual, blend = found
    assert matched.mass[1].max() < 1e-6 and matched.share.max() == 0
    assert dual.share.min() == 0 and dual.share.mean() > 0.9
    assert np.ptp(blend.share) > 0.9
    assert np.corrcoef(blend.mass[1].mean(0), blend.share.mean(0))[0, 1] > 0.9
    assert model.attn_processors == processors
    again = sample_draws(model, mixer, steps=2)
    assert np.array_equal(found[2].mel, again[2].mel)


def test_no_steps_show_the_means_of_a_frame_prior_and_missing_kinds_are_left_out(make_model):
    alone = Mixer([fake_item(i, (STYLES[0],)) for i in range(3)], MIX, MelConfig())
    (found,) = sample_draws(make_model().eval(), alone, steps=0)
    assert found.kind == "matched" and np.isfinite(found.mel).all() and found.mass.max() == 0
    assert np.isnan(found.figures()["sample/matched/mass_on_a"])


def test_figures_of_a_sample_tell_pitch_share_and_attention():
    plane, voiced = np.zeros((80, 8), dtype=np.float32), np.full(8, 150.0, dtype=np.float32)
    levels = (float(np.log(100.0)), float(np.log(225.0)))
    mass = np.stack([plane + 0.7, plane + 0.4])
    sample = Sampled("blend", plane, plane, plane + 0.25, mass, voiced, 2 * voiced, levels)
    found = sample.figures()
    assert found["sample/blend/f0_error"] == pytest.approx(12)
    assert found["sample/blend/share_wanted"] == pytest.approx(0.25)
    assert found["sample/blend/share_realised"] == pytest.approx(np.log(3.0) / np.log(2.25))
    assert (found["sample/blend/mass_on_a"], found["sample/blend/mass_on_b"]) == pytest.approx((0.7, 0.4))
    silent = dataclasses.replace(sample, f0_sample=np.full(8, np.nan), levels=(5.0, 5.01))
    assert np.isnan(silent.figures()["sample/blend/f0_error"]) and "sample/blend/share_wanted" not in silent.figures()


def test_half_precision_and_wild_mels_are_drawn(make_model, mixer, tmp_path):
    model = make_model().eval()
    with torch.no_grad():
        model.frame_prior.out.bias.fill_(1e3)
    with torch.autocast("cpu", torch.bfloat16):
        found = sample_draws(model, mixer, steps=1)
    draw(found).savefig(tmp_path / "sample.png", dpi=20)
    assert np.ptp(imread(tmp_path / "sample.png")) > 0.8
