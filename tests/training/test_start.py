"""Fine-tuning starts from a checkpoint's weights and adds rows for new speakers."""

import dataclasses

import pytest
import torch
from tiny import TINY, TINY_FRAME, tiny_model

from gradtts_interp.checkpoints import save_model
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.training import state
from gradtts_interp.training.start import (
    OPEN_GATE,
    SPEAKERS,
    add_pitch,
    add_speakers,
    model_from_checkpoint,
    n_speakers,
    renew_score_network,
)


@pytest.mark.parametrize("settings", [TINY, TINY_FRAME], ids=["token", "frame"])
def test_new_speakers_follow_those_of_the_checkpoint(settings, tmp_path):
    known = tiny_model(settings)
    save_model(known, tmp_path, dtype=torch.float32)
    model = add_speakers(model_from_checkpoint(tmp_path), 3)
    assert model.training
    tables = [name for name in SPEAKERS if name in known.state_dict()]
    assert len(tables) == (2 if settings.prior == "frame" else 1)
    for table in tables:
        rows, before = model.state_dict()[table], known.state_dict()[table]
        assert n_speakers(model) == n_speakers(known) + 3 == len(rows)
        assert torch.equal(rows[: len(before)], before)
        assert torch.allclose(rows[len(before) :], before.mean(0))
    others = {name: value for name, value in known.state_dict().items() if name not in SPEAKERS}
    assert all(torch.equal(model.state_dict()[name], value) for name, value in others.items())


def test_a_pitch_predictor_added_to_a_checkpoint_changes_nothing_yet(tmp_path):
    plain = dataclasses.replace(TINY, style=dataclasses.replace(TINY.style, pitch=False))
    save_model(tiny_model(plain), tmp_path, dtype=torch.float32)
    known = model_from_checkpoint(tmp_path).eval()
    grown = add_pitch(known).eval()
    assert grown.settings.style.pitch and add_pitch(grown) is grown
    x, mask, t = torch.randn(1, 80, 16), torch.ones(1, 1, 16), torch.tensor([0.4])
    prosody = torch.randn(1, 7, 16)
    ids, pooled = torch.tensor([[70, 80]]), torch.randn(1, 16)
    with torch.no_grad():
        before = known.score(x, mask, x, t, prosody=prosody[:, :5])
        assert torch.equal(before, grown.eval().score(x, mask, x, t, prosody=prosody))
        for one, other in zip(
            *(m.eval().read_text(ids, torch.tensor([2]), pooled) for m in (known, grown)), strict=True
        ):
            assert torch.equal(one, other)


def test_a_score_network_begins_anew_around_a_prior_that_stays():
    known = tiny_model(TINY_FRAME)
    changes = ["dec_dim=24", "patch=4", "sites=mid+up0", "heads=4", "residual_std=0.3"]
    model = renew_score_network(known, changes)
    assert model.training and (model.settings.dec_dim, model.settings.patch) == (24, 4)
    assert model.settings.residual_std == 0.3 and list(model.attention_sites) == ["mid", "up0"]
    assert model.settings.prior_width == TINY_FRAME.prior_width
    for name, value in known.state_dict().items():
        assert name.startswith("decoder.") or torch.equal(model.state_dict()[name], value), name
    assert all((site.gate == OPEN_GATE).all() for site in model.decoder.estimator.style_attn.values())
    same = renew_score_network(known, [])
    assert same.settings == known.settings
    assert not torch.equal(same.decoder.estimator.final_conv.weight, known.decoder.estimator.final_conv.weight)


@pytest.mark.parametrize("written", ["dec_dim=wide", "depth=3", "patch", "residual_std=x"])
def test_a_score_network_of_no_such_shape_is_refused(written):
    with pytest.raises(InputError, match=f"score network '{written}': expected name=value, with a name of dec_dim"):
        renew_score_network(tiny_model(TINY_FRAME), [written])


def test_a_prior_alone_gets_the_score_network_that_is_asked_for():
    alone = tiny_model(dataclasses.replace(TINY_FRAME, dec_dim=0))
    assert renew_score_network(alone, ["dec_dim=16"]).settings.dec_dim == 16
    with pytest.raises(InputError, match="a prior alone: expected dec_dim=48"):
        renew_score_network(alone, ["patch=2"])
    with pytest.raises(InputError, match="around a frame prior only; this model has none"):
        renew_score_network(tiny_model(), [])
    with pytest.raises(InputError, match="dec_dim 0 is no score network"):
        tiny_model(dataclasses.replace(TINY, dec_dim=0))


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
    with pytest.raises(CheckpointError, match=r"nowhere.*no such folder"):
        model_from_checkpoint(tmp_path / "nowhere")
    save_model(tiny_model(dataclasses.replace(TINY, style=None)), tmp_path)
    with pytest.raises(CheckpointError, match="reads no styles"):
        model_from_checkpoint(tmp_path)
