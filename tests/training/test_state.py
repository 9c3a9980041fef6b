"""Fine-tuning starts from a checkpoint's weights and adds rows for new speakers."""

import dataclasses

import torch
from refusing import refused
from tiny import TINY, TINY_OFFICIAL, tiny_model

from gradtts_interp.checkpoints import save_model
from gradtts_interp.errors import CheckpointError
from gradtts_interp.training import state
from gradtts_interp.training.state import (
    OPEN_GATE,
    PARTS,
    SPEAKERS,
    add_speakers,
    model_from_checkpoint,
    n_speakers,
    parameters_to_train,
    renew_score_network,
)


def test_new_speakers_follow_those_of_the_checkpoint(tmp_path):
    known = tiny_model()
    save_model(known, tmp_path, dtype=torch.float32)
    model = add_speakers(model_from_checkpoint(tmp_path), 3)
    assert model.training
    for table in SPEAKERS:
        rows, before = model.state_dict()[table], known.state_dict()[table]
        assert n_speakers(model) == n_speakers(known) + 3 == len(rows)
        assert torch.equal(rows[: len(before)], before)
        assert torch.allclose(rows[len(before) :], before.mean(0))
    others = {name: value for name, value in known.state_dict().items() if name not in SPEAKERS}
    assert all(torch.equal(model.state_dict()[name], value) for name, value in others.items())


def test_a_score_network_begins_anew_around_a_prior_that_stays():
    known = tiny_model()
    changes = ["dec_dim=24", "patch=4", "sites=mid+up0", "heads=4", "residual_std=0.3"]
    model = renew_score_network(known, changes)
    assert model.training and (model.settings.dec_dim, model.settings.patch) == (24, 4)
    assert model.settings.residual_std == 0.3 and list(model.attention_sites) == ["mid", "up0"]
    assert model.settings.prior_width == TINY.prior_width
    for name, value in known.state_dict().items():
        assert name.startswith("decoder.") or torch.equal(model.state_dict()[name], value), name
    assert all((site.gate == OPEN_GATE).all() for site in model.decoder.estimator.style_attn.values())
    same = renew_score_network(known, [])
    assert same.settings == known.settings
    assert not torch.equal(same.decoder.estimator.final_conv.weight, known.decoder.estimator.final_conv.weight)


def test_a_prior_alone_gets_the_score_network_that_is_asked_for():
    alone = tiny_model(dataclasses.replace(TINY, dec_dim=0))
    assert renew_score_network(alone, ["dec_dim=16"]).settings.dec_dim == 16
    refused(
        renew_score_network,
        (alone, ["patch=2"], "a prior alone: expected dec_dim=48"),
        (alone, ["depth=3"], "score network 'depth=3': expected name=value, with a name of dec_dim"),
    )
    refused(tiny_model, (dataclasses.replace(TINY_OFFICIAL, dec_dim=0), "dec_dim 0 is no score network"))


def test_a_part_that_the_model_lacks_cannot_be_trained_alone():
    nobody = dataclasses.replace(TINY, style=dataclasses.replace(TINY.style, n_speakers=0))
    for only, settings in (("speakers", nobody), ("pitch", TINY_OFFICIAL)):
        message = f"part '{only}' to be trained alone: this model has none; expected one with weights {PARTS[only][0]}"
        refused(parameters_to_train, (tiny_model(settings), only, message))


def test_a_run_may_be_started_from_another_runs_averaged_weights(tmp_path):
    known = tiny_model()
    weights = state.plain(known.state_dict())
    averaged = {name: value + 1 if value.is_floating_point() else value for name, value in weights.items()}
    values = {"step": 3, "settings": known.settings.to_dict()}
    state.write(tmp_path / "step_0000003", {"model": weights, "ema": averaged}, {}, values)
    model = model_from_checkpoint(tmp_path)
    assert model.training
    assert all(torch.equal(value, averaged[name]) for name, value in model.state_dict().items())


def test_what_no_run_can_start_from_is_named(tmp_path):
    save_model(tiny_model(TINY_OFFICIAL), tmp_path)
    missing, official = (tmp_path / "nowhere", r"nowhere.*no such folder"), (tmp_path, "reads no styles")
    refused(model_from_checkpoint, missing, official, error=CheckpointError)
