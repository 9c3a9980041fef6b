"""Official Euler sampling of the official estimator, against golden numbers."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from gradtts_interp.config import ModelConfig
from gradtts_interp.diffusion.samplers import sample
from gradtts_interp.diffusion.schedule import LinearSchedule, diffuse
from gradtts_interp.models.estimator import Estimator
from gradtts_interp.training.losses import Diffusion, answer_of_score_network

ESTIMATOR_PREFIX = "decoder.estimator."


@pytest.fixture(scope="module")
def golden(golden_dir: Path):
    return load_file(golden_dir / "grad_tts_tensors.safetensors")


@pytest.fixture(scope="module")
def config(golden_dir: Path):
    return ModelConfig.from_dict(json.loads((golden_dir / "grad_tts.json").read_text())["config"])


@pytest.fixture(scope="module")
def schedule(config):
    return LinearSchedule(config.beta_min, config.beta_max)


@pytest.fixture(scope="module")
def official_score(golden_dir: Path, golden, config):
    """Score of the golden network for the golden speakers, as a function of (x, mask, mu, t)."""
    weights = load_file(golden_dir / "grad_tts_weights.safetensors")
    estimator = Estimator(config).eval()
    own = {k.removeprefix(ESTIMATOR_PREFIX): v for k, v in weights.items() if k.startswith(ESTIMATOR_PREFIX)}
    estimator.load_state_dict(own)
    speaker = weights["spk_emb.weight"][golden["speaker_id"]] if config.n_spks > 1 else None

    def score(x, mask, mu, t):
        with torch.no_grad():
            return estimator(x, mask, mu, t, speaker)

    return score


def test_euler_equals_official_sampling(golden, official_score, schedule):
    mu, mask = golden["mu"], golden["mel_mask"]
    lengths = sorted(int(name.removeprefix("euler_")) for name in golden if name.startswith("euler_"))
    assert lengths
    for steps in lengths:
        mel = sample("euler", lambda x, t: official_score(x, mask, mu, t), schedule, golden["z"] - mu, mu, mask, steps)
        torch.testing.assert_close(mel, golden[f"euler_{steps}"], atol=1e-3, rtol=0)


def test_diffuse_equals_official(golden, schedule):
    x_t = diffuse(golden["x0"], golden["mu"], golden["t"], golden["noise"], schedule) * golden["mel_mask"]
    torch.testing.assert_close(x_t, golden["x_t"], atol=1e-4, rtol=0)


def test_the_loss_of_training_equals_the_official(golden, official_score, schedule, config):
    model = SimpleNamespace(
        schedule=schedule,
        settings=config,
        score=lambda x, mask, mu, t, **_: official_score(x, mask, mu, t),
        to_diffusion=lambda mel, mu: mel,
        from_diffusion=lambda x, mu: x,
    )
    diffusion, mask = Diffusion(golden["t"], golden["noise"]), golden["mel_mask"]
    error, _ = answer_of_score_network(model, diffusion, None, None, target=golden["x0"], mean=golden["mu"], mask=mask)
    loss = (error * mask.sum((1, 2))).sum() / mask.sum()
    torch.testing.assert_close(loss, golden["diffusion_loss"], atol=1e-4, rtol=0)
