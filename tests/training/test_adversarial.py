"""A discriminator of mels beside a frame prior: whose weights it moves, by how much, and that a run resumes it."""

import copy
import dataclasses

import pytest
import torch

from gradtts_interp.diffusion.schedule import noise_level
from gradtts_interp.errors import InputError
from gradtts_interp.training.loop import Trainer
from gradtts_interp.training.losses import (
    Cropper,
    adversarial_losses,
    answer_of_score_network,
    draw_diffusion,
    read_references,
    training_losses,
)
from hifigan.discriminators import PictureDiscriminator


def judge_of_mels(seed=0):
    torch.manual_seed(seed)
    return PictureDiscriminator(4)


def test_each_loss_moves_its_own_weights_alone():
    judge, real = judge_of_mels(), torch.randn(2, 80, 40)
    fake = torch.zeros_like(real, requires_grad=True)
    one = torch.tensor(0.2)
    for_model, own = adversarial_losses(judge, real, fake, distance=one, weight=0.1)
    for_model.backward(retain_graph=True)
    assert fake.grad.abs().max() > 0 and all(p.grad is None for p in judge.parameters())
    fake.grad = None
    own.backward()
    assert fake.grad is None and all(p.grad.abs().max() > 0 for p in judge.parameters())


def test_the_feature_distance_has_the_size_of_the_distance_and_scores_that_of_the_weight():
    judge, real, fake = judge_of_mels(), torch.randn(2, 80, 40), torch.zeros(2, 80, 40)
    found = [
        float(adversarial_losses(judge, real, fake, distance=torch.tensor(d), weight=w)[0])
        for d, w in ((0.2, 0.0), (0.4, 0.0), (0.2, 1.0))
    ]
    assert found[0] == pytest.approx(0.2, rel=1e-4) and found[1] == pytest.approx(0.4, rel=1e-4)
    scores = judge(fake[:, None])[0].detach()
    assert found[2] - found[0] == pytest.approx(float((1 - scores).square().mean()), rel=1e-3)


def test_the_score_network_is_judged_by_the_clean_mel_it_sees(make_model, mixer):
    """Where its answer is exact, the clean mel is the target; where it is not, the discriminator's loss reaches it."""
    model = make_model()
    batch, diffusion = mixer.batch(0, 4), draw_diffusion(0, 0, size=4, shape=(80, 64))
    exact = copy.deepcopy(model)
    noise = diffusion.noise
    exact.score = lambda x, mask, mu, t, **_: -noise / noise_level(t, exact.schedule)[:, None, None]
    mel = model.normalise(batch.mel)[..., :64]
    mel = torch.nn.functional.pad(mel, (0, 64 - mel.shape[2]))
    _, context, prosody = read_references(model, batch)
    crop = Cropper(torch.arange(64).expand(4, -1))
    read = (diffusion, crop.context(context), crop(prosody))
    error, clean = answer_of_score_network(
        exact, *read, target=mel, mean=torch.zeros_like(mel), mask=torch.ones_like(mel[:, :1])
    )
    torch.testing.assert_close(clean, mel, atol=2e-3, rtol=0)
    assert error.max() < 1e-6
    losses = training_losses(model, batch, diffusion, discriminator=judge_of_mels(), weight=0.1)
    losses.adversarial.backward()
    reached = [p.grad is not None and p.grad.abs().max() > 0 for p in model.decoder.parameters()]
    assert sum(reached) > 0.5 * len(reached)


def test_a_discriminator_needs_a_part_that_is_trained_alone(make_model, mixer, config, tmp_path):
    config = dataclasses.replace(config, adversarial=0.1)
    with pytest.raises(InputError, match=r"adversarial 0.1: expected --only prior or --only score"):
        Trainer(make_model(), mixer, config, tmp_path)
