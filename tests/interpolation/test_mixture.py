"""The mixture that an open offer is: its weights, its score, and what the network is told of it."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from tiny import A, B

from gradtts_interp.diffusion.schedule import signal
from gradtts_interp.interpolation.conditioning import read_style
from gradtts_interp.interpolation.mixture import BLOCK_FRAMES, mix_openly, mixture_score, state_probabilities

SWITCH = 0.1


def mixture_of(pipeline, frames=2 * BLOCK_FRAMES):
    text = pipeline.frontend("Go.")
    durations = [[frames // len(text.ids)] * len(text.ids)]
    durations[0][-1] += frames - sum(durations[0])
    with torch.no_grad():
        prepared = pipeline.prepare([text], [A, B], None, offer="open", durations=durations)
        readings = [read_style(pipeline.model, e, prepared.durations, frames) for e in prepared.encoded]
        keys = torch.linspace(0, 1, sum(e.tokens.tokens.shape[1] for e in prepared.encoded))
        return mix_openly(pipeline.model, readings, keys, torch.ones(1, 1, frames))


@pytest.mark.parametrize("states", [1, 3])
def test_probabilities_are_those_of_all_ways_through_the_states(states):
    generator = torch.Generator().manual_seed(0)
    likelihood = torch.randn(2, states, 4, generator=generator) * 3
    prior = torch.rand(states, generator=generator)
    prior = prior / prior.sum()
    change = (1 - SWITCH) * torch.eye(states) + SWITCH * prior
    found = torch.zeros_like(likelihood)
    for way in product(range(states), repeat=4):
        chance = prior[way[0]] * torch.stack([change[i, j] for i, j in zip(way[:-1], way[1:], strict=True)]).prod()
        weight = chance * likelihood[:, way, range(4)].sum(1).exp()
        for place, state in enumerate(way):
            found[:, state, place] += weight
    expected = found / found.sum(1, keepdim=True)
    torch.testing.assert_close(state_probabilities(likelihood, prior, SWITCH), expected)


def test_what_is_seen_plainly_is_known_and_keeps_its_gradient():
    likelihood = torch.tensor([[[0.0, 900.0, 0.0], [900.0, 0.0, 0.0]]], requires_grad=True)
    found = state_probabilities(likelihood, torch.tensor([0.5, 0.5]), 0.01)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[0, :, :2], torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    found.sum().backward()
    assert torch.isfinite(likelihood.grad).all()


def test_a_state_is_recognised_by_its_own_mel(tiny_pipeline):
    mixture = mixture_of(tiny_pipeline)
    mixture_scale = 100.0  # random weights tell styles little apart
    for state, residual in enumerate((mixture.means / mixture.spread).unbind(1)):
        x = mixture.mean + residual * mixture_scale
        best = mixture.posterior(x, torch.ones(1)).argmax(1)
        assert (best == state).float().mean() > 0.9
    even = mixture.posterior(mixture.mean, torch.zeros(1))
    torch.testing.assert_close(even, mixture.prior[None, :, None].expand_as(even))
    torch.testing.assert_close(mixture.prior.sum(), torch.tensor(1.0))


def test_the_score_is_the_gradient_of_the_density_of_the_mixture(tiny_pipeline, monkeypatch):
    """Of one block, with a network that answers for the distribution around each mean exactly."""
    mixture = mixture_of(tiny_pipeline, frames=BLOCK_FRAMES)
    monkeypatch.setattr(tiny_pipeline.model, "score", lambda x, mask, mu, t, *_, **__: -(x - mu))
    t = torch.tensor([0.4])
    x = (mixture.mean + torch.randn(mixture.mean.shape, generator=torch.Generator().manual_seed(1))).requires_grad_()
    centres = mixture.means / mixture.spread * signal(0.4, tiny_pipeline.model.schedule)
    squares = ((x - mixture.mean)[:, None] - centres).square().sum((2, 3))
    density = (mixture.prior.log() - squares / 2).logsumexp(1).sum()
    (expected,) = torch.autograd.grad(density, x)
    found = mixture_score(tiny_pipeline.model, mixture)(x, t)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_where_a_state_is_sure_the_network_reads_that_pitch_and_that_voice(tiny_pipeline):
    mixture = mixture_of(tiny_pipeline)
    for state, (pitch, voice) in enumerate(product(range(2), repeat=2)):
        sure = torch.zeros(1, 4, mixture.mean.shape[-1])
        sure[:, state] = 1
        (branch,) = mixture.plan_at(sure).branches
        torch.testing.assert_close(branch.mu, mixture.mean + mixture.means[:, state])
        torch.testing.assert_close(branch.prosody, mixture.prosody[:, state])
        owner, keys = branch.context.owner, mixture.pitch_keys
        expected = (owner == voice) * (1 - keys) + (owner == pitch) * keys
        torch.testing.assert_close(branch.context.share[0, :, 0, 0], expected)
    torch.testing.assert_close(mixture.plan_at(mixture.prior[None, :, None].expand(1, 4, 16)).mu, mixture.mean)
