"""Official Euler sampling of the official estimator, against golden numbers."""

import torch

from gradtts_interp.diffusion.samplers import sample
from gradtts_interp.diffusion.schedule import diffuse
from gradtts_interp.interpolation.mechanisms import Branch
from gradtts_interp.training.losses import answer_of_score_network


@torch.no_grad()
def test_euler_equals_official_sampling(golden):
    model, tensors = golden.model, golden.tensors
    mu, mask = tensors["mu"], tensors["mel_mask"]

    def score(x, t):
        return model.score(x, mask, mu, t, golden.speaker)

    lengths = sorted(int(name.removeprefix("euler_")) for name in tensors if name.startswith("euler_"))
    assert lengths
    for steps in lengths:
        mel = sample("euler", score, model.schedule, tensors["z"] - mu, mu, mask, steps)
        torch.testing.assert_close(mel, tensors[f"euler_{steps}"], atol=1e-3, rtol=0)


def test_diffuse_equals_official(golden):
    tensors = golden.tensors
    clean, mu, t, noise = (tensors[name] for name in ("x0", "mu", "t", "noise"))
    x_t = diffuse(clean, mu, t, noise, golden.model.schedule) * tensors["mel_mask"]
    torch.testing.assert_close(x_t, tensors["x_t"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_the_loss_of_training_equals_the_official(golden):
    model, tensors = golden.model, golden.tensors
    branch, mask = Branch(0, None, None, golden.speaker, mu=tensors["mu"]), tensors["mel_mask"]
    diffusion = tensors["t"], tensors["noise"]
    error, _ = answer_of_score_network(model, diffusion, branch, target=tensors["x0"], mask=mask)
    loss = (error * mask.sum((1, 2))).sum() / mask.sum()
    torch.testing.assert_close(loss, tensors["diffusion_loss"], atol=1e-4, rtol=0)
