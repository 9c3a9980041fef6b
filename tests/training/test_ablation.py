"""The arms of the ablation differ in what they say they differ, and in nothing else."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.ablation.arms import ARMS, ArmMixer, model_of, reads_style  # noqa: E402
from benchmarks.ablation.run import Size, page  # noqa: E402
from gradtts_interp.training.mix import KINDS  # noqa: E402

CROP = 16


def batch_of(corpus, arm):
    config = replace(arm.mix(CROP, CROP), drop_tokens=1.0 if arm.masks else 0.0)
    return ArmMixer(corpus, arm, config).batch(0, 24)


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_an_arm_draws_what_it_says(corpus, arm):
    mix = arm.mix(CROP, CROP)
    assert mix.matched + mix.dual + mix.blend == pytest.approx(1)
    assert (mix.dual > 0, mix.blend > 0) == (arm.dual, arm.blends)
    batch = batch_of(corpus, arm)
    kinds = {KINDS[k] for k in batch.kind.tolist()}
    assert kinds == {"matched", *(["dual"] * arm.dual), *(["blend"] * arm.blends)}
    assert bool((batch.prosody != 0).any()) == arm.prosody
    first = batch.reference_mask[0][:, :, : int(batch.reference_lengths.min())]
    assert bool((first == 1).all()) != arm.masks


def test_each_arm_adds_one_part():
    parts = [[arm.dual, arm.masks, arm.blends, arm.prosody, arm.pitch] for arm in ARMS]
    assert [sum(p) for p in parts] == [0, 1, 2, 3, 4, 5]


def test_models_share_the_body_and_the_fresh_weights(make_model):
    body = make_model(seed=5)
    models = {arm.name: model_of(arm, body).state_dict() for arm in ARMS}
    known = body.state_dict()
    for state in models.values():
        assert all(torch.equal(state[name], known[name]) for name in state if not reads_style(name))
        assert not torch.equal(state["style_encoder.patches.weight"], known["style_encoder.patches.weight"])
        first = models["matched only"]["style_encoder.patches.weight"]
        assert torch.equal(state["style_encoder.patches.weight"], first)


def test_without_prosody_its_numbers_have_no_effect(make_model):
    mel, lengths = torch.randn(1, 80, 16), torch.tensor([16])
    for arm in (ARMS[0], ARMS[-1]):
        model = model_of(arm, make_model()).eval()
        assert (model.decoder.estimator.prosody_mlp is not None) == arm.prosody
        one, other = (model.style_encoder(mel, lengths, prosody=torch.full((1, 5), x)).pooled for x in (0.0, 1.0))
        assert torch.equal(one, other) != arm.prosody


def test_the_page_says_how_small_the_trainings_were():
    row = {"condition": "x", "item": "sweep/0", "sweep: F0 R2": 0.5}
    row |= {"F0 curve": [0.1] * 10 + [None], "envelope curve": [0.0] * 11}
    result = {"rows": [row], "size": Size(steps=7).__dict__, "training seconds": 3.0}
    result |= {"date": "d", "commit": "c", "weights": "w", "machine": "m"}
    text = page({"matched only": result})
    assert "each arm 7 steps" in text and "| matched only | 0.5 [0.5, 0.5] |" in text and "0.10 | - |" in text
