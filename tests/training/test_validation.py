"""The picture of a validation sample."""

import dataclasses

import numpy as np
import pytest
import torch
from fake_corpus import MIX, STYLES, fake_item
from matplotlib.figure import Figure
from matplotlib.image import imread

from gradtts_interp.config import MelConfig
from gradtts_interp.training.data import Corpus
from gradtts_interp.training.mix import KINDS, Mixer
from gradtts_interp.training.validation import Sampled, draw, sample_draws, write_sample


def test_each_kind_is_sampled_and_measured(make_model, mixer):
    model = make_model().eval()
    processors = model.attn_processors
    found = sample_draws(model, mixer, steps=2)
    assert [s.kind for s in found] == [k for k, share in zip(KINDS, mixer.kind_shares, strict=True) if share]
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


def test_no_steps_show_the_means_of_a_frame_prior(make_model, mixer):
    found = sample_draws(make_model().eval(), mixer, steps=0)
    assert [s.kind for s in found] == [k for k, share in zip(KINDS, mixer.kind_shares, strict=True) if share]
    assert all(np.isfinite(s.mel).all() for s in found)
    assert all(s.mass.max() == 0 for s in found) and np.isnan(found[0].figures()["sample/matched/mass_on_a"])


def test_kinds_that_are_missing_are_left_out(make_model, tmp_path):
    alone = Mixer(Corpus([fake_item(i, (STYLES[0],)) for i in range(3)]), MIX, MelConfig())
    figures = write_sample(make_model().eval(), alone, tmp_path / "a" / "sample.png", title="step 1")
    assert np.ptp(imread(tmp_path / "a" / "sample.png")) > 0.8
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["sample.png"]
    assert "sample/matched/f0_error" in figures and not any("blend" in name for name in figures)


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


def test_half_precision_and_wild_mels_are_survived(make_model, mixer):
    model = make_model().eval()
    with torch.no_grad():
        model.frame_prior.out.bias.fill_(1e3)
    with torch.autocast("cpu", torch.bfloat16):
        found = sample_draws(model, mixer, steps=1)
    assert isinstance(draw(found), Figure)
