"""Fine-tuning starts from a checkpoint's weights and adds rows for new speakers."""

import dataclasses

import pytest
import torch
from tiny import TINY, TINY_FRAME, tiny_model

from gradtts_interp.checkpoints import save_model
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.training.start import SPEAKERS, add_pitch, add_score, model_from_checkpoint, n_speakers


def test_a_run_starts_from_the_weights_of_a_checkpoint(tmp_path):
    known = tiny_model()
    save_model(known, tmp_path, dtype=torch.float32)
    model = model_from_checkpoint(tmp_path)
    assert model.training
    for name, value in known.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize("settings", [TINY, TINY_FRAME], ids=["token", "frame"])
def test_new_speakers_follow_those_of_the_checkpoint(settings, tmp_path):
    known = tiny_model(settings)
    save_model(known, tmp_path, dtype=torch.float32)
    model = model_from_checkpoint(tmp_path, new_speakers=3)
    tables = [name for name in SPEAKERS if name in known.state_dict()]
    assert len(tables) == (2 if settings.prior == "frame" else 1)
    for table in tables:
        rows, before = model.state_dict()[table], known.state_dict()[table]
        assert n_speakers(model) == n_speakers(known) + 3 == len(rows)
        assert torch.equal(rows[: len(before)], before)
        assert torch.allclose(rows[len(before) :], before.mean(0))
    others = {name: value for name, value in known.state_dict().items() if name not in SPEAKERS}
    assert all(torch.equal(model.state_dict()[name], value) for name, value in others.items())


def test_a_model_without_styles_is_refused(tmp_path):
    save_model(tiny_model(dataclasses.replace(TINY, style=None)), tmp_path)
    with pytest.raises(CheckpointError, match="reads no styles"):
        model_from_checkpoint(tmp_path)


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere.*no such folder"):
        model_from_checkpoint(tmp_path / "nowhere")


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
        for one, other in zip(*(m.eval().encode(ids, torch.tensor([2]), pooled) for m in (known, grown)), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("dim", [0, 8])
def test_a_score_network_of_another_size_stands_on_the_same_prior(dim):
    known = tiny_model(dataclasses.replace(TINY_FRAME, dec_dim=dim))
    grown = add_score(known, "dim=16,patch=1,sites=mid+up0")
    assert (grown.settings.dec_dim, grown.settings.patch, grown.settings.style.sites) == (16, 1, ("mid", "up0"))
    assert set(grown.attention_sites) == {"mid", "up0"} and grown.training
    for name, value in known.state_dict().items():
        if not name.startswith("decoder."):
            assert torch.equal(grown.state_dict()[name], value), name
    assert add_score(known, "dim=8").settings.style == known.settings.style


@pytest.mark.parametrize("written", ["48", "dim=x", "width=48", "dim=8,sites=nowhere"])
def test_a_score_network_must_be_written_right(written):
    with pytest.raises(InputError, match=r"score network .*: expected such as dim=48,patch=2"):
        add_score(tiny_model(TINY_FRAME), written)


def test_a_score_network_needs_a_frame_prior_and_a_prior_alone_a_frame():
    with pytest.raises(InputError, match="to a model with a frame prior only"):
        add_score(tiny_model(TINY), "dim=8")
    with pytest.raises(InputError, match="dec_dim 0 is no score network"):
        tiny_model(dataclasses.replace(TINY, dec_dim=0))
