"""Styles that are offered openly: the mixture of all that a sentence would be in them, of which the noise chooses.

A *state* says whose pitch and whose voice are heard. In a state the mel is distributed as the model has it for that
pitch and that voice, and an open offer is the mixture of all states. The score of a mixture is the mean of its parts'
scores, each weighted by how probable its state is, given the noisy mel. That can be told: in each state the mel lies
around another prior mean, of which some is left at time t beneath noise of variance 1. At t = 1 next to nothing is, and
the noise that happens to be there tips the balance; from then on the choice is in the mel itself.

States follow each other over blocks of frames as in a hidden Markov model that seldom changes, so that a draw is mostly
of one style throughout, while a noise that is moved in one half alone lets both be heard.

Source: Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", appendix B.3, of the
    score of a mixture; Rabiner 1989, "A Tutorial on Hidden Markov Models", III.A, of forward and backward sweeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from gradtts_interp.diffusion.samplers import Score
from gradtts_interp.diffusion.schedule import signal
from gradtts_interp.interpolation.mechanisms import Branch, Plan, Shares, StyleReading, make_plan, make_score
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.style_attention import StyleContext, join

CROSSED = 0.2
"""Probability that pitch and voice are not of one style."""
SWITCH = 0.003
"""Probability that the state changes from one block to the next: in a tenth of sentences of three seconds."""
BLOCK_FRAMES = 8


@dataclass(frozen=True)
class Mixture:
    """All that a batch of sentences would be in the states of n styles, K = n * n.

    Attributes:
        mean: Mean of the states' prior means (B, M, T): that of the diffusion.
        means: Prior mean of each state less ``mean`` (B, K, M, T), normalised.
        spread: What the diffusion divides residuals by.
        prosody: What the network is told in each state (B, K, C, T).
        prior: Probability of each state (K,).
        pitch_of: Style that gives the pitch of each state (K, n), 0 or 1.
        voice_of: Style that gives its voice (K, n).
        context: Tokens of all styles.
        pitch_keys: How much of each token is pitch (S,), in [0, 1].
        mask: (B, 1, T), 1 on frames of the utterance.
    """

    mean: Tensor
    means: Tensor
    spread: float
    prosody: Tensor
    prior: Tensor
    pitch_of: Tensor
    voice_of: Tensor
    context: StyleContext
    pitch_keys: Tensor
    mask: Tensor

    def posterior(self, x: Tensor, left: Tensor) -> Tensor:
        """Probability of each state at each frame.

        Args:
            x: Noisy mel (B, M, T).
            left: What is left of the residual in it (B,), in [0, 1].

        Returns:
            (B, K, T), sums to 1 over K.
        """
        expected, frames = self.means * (left / self.spread)[:, None, None, None], x.shape[-1]
        values = ((x - self.mean)[:, None] - expected / 2) * expected * self.mask[:, None]
        likelihood = (
            functional.pad(values.sum(2), (0, -frames % BLOCK_FRAMES)).unflatten(-1, (-1, BLOCK_FRAMES)).sum(-1)
        )
        found = state_probabilities(likelihood, self.prior, SWITCH)
        return functional.interpolate(found, scale_factor=BLOCK_FRAMES, mode="linear")[..., :frames]

    def plan_at(self, probability: Tensor) -> Plan:
        """What the network reads where states have probabilities (B, K, T)."""
        share = torch.einsum("bkt,kn->bnt", probability, self.voice_of)[:, self.context.owner]
        pitch = torch.einsum("bkt,kn->bnt", probability, self.pitch_of)[:, self.context.owner]
        by_key = torch.lerp(share, pitch, self.pitch_keys[:, None])[:, :, None]
        branch = Branch(
            voice=0,
            context=replace(self.context, share=by_key),
            prosody=torch.einsum("bkt,bkct->bct", probability, self.prosody),
            speaker=None,
            mu=self.mean + torch.einsum("bkt,bkmt->bmt", probability, self.means),
        )
        return Plan((branch,), blended=frozenset({"attention"}))

    def outcome(self, x: Tensor) -> Plan:
        """What a clean mel (B, M, T), as the diffusion scales it, has become."""
        return self.plan_at(self.posterior(x, torch.ones_like(x[:, 0, 0])))


def state_probabilities(likelihood: Tensor, prior: Tensor, switch: float) -> Tensor:
    """Probability of each state of a Markov chain, given all that is seen.

    Args:
        likelihood: Log-likelihood of what is seen at each of N places in each of K states (B, K, N).
        prior: Probability of each state at any place (K,).
        switch: Probability that the state is drawn anew from one place to the next.

    Returns:
        (B, K, N), sums to 1 over K.
    """
    seen = (likelihood - likelihood.amax(1, keepdim=True)).exp()

    def expected(seen: Tensor) -> Tensor:
        """From all that was seen before each place."""
        state, found = prior.expand(seen.shape[:2]), []
        for here in seen.unbind(-1):
            found.append(state)
            state = state * here
            state = torch.lerp(state / state.sum(1, keepdim=True), prior, switch)
        return torch.stack(found, dim=-1)

    joint = expected(seen) * seen * expected(seen.flip(-1)).flip(-1) / prior[:, None]
    return joint / joint.sum(1, keepdim=True)


def mix_openly(model: GradTTS, styles: Sequence[StyleReading], pitch_keys: Tensor, mask: Tensor) -> Mixture:
    """Work out all states of n styles.

    Args:
        model: Model with a frame prior and style attention.
        styles: n readings for the same texts and durations.
        pitch_keys: How much of each of their tokens is pitch (S,).
        mask: (B, 1, T), 1 on frames of the utterance.

    Returns:
        The mixture.
    """
    count = len(styles)
    states = list(product(range(count), repeat=2))
    branches = [_state(styles, pitch, voice).branches[0] for pitch, voice in states]
    means = torch.stack([b.mu for b in branches], dim=1)  # type: ignore[misc]
    of_one, of_two = (1 - CROSSED) / count, CROSSED / (count * (count - 1))
    prior = means.new_tensor([of_one if pitch == voice else of_two for pitch, voice in states])
    mean = torch.einsum("bkmt,k->bmt", means, prior)
    hot = partial(functional.one_hot, num_classes=count)
    of_pitch, of_voice = (torch.tensor(numbers, device=mean.device) for numbers in zip(*states, strict=True))
    return Mixture(
        mean=mean,
        means=means - mean[:, None],
        spread=model.settings.residual_std,
        prosody=torch.stack([b.prosody for b in branches], dim=1),  # type: ignore[misc]
        prior=prior,
        pitch_of=hot(of_pitch).to(mean),
        voice_of=hot(of_voice).to(mean),
        context=join([style.tokens for style in styles]),  # type: ignore[misc]
        pitch_keys=pitch_keys,
        mask=mask,
    )


def _state(styles: Sequence[StyleReading], pitch: int, voice: int) -> Plan:
    """The pitch of one style with the voice of another, or of the same."""
    if pitch == voice:
        return make_plan((styles[pitch],), None, ())
    pair = (styles[pitch], styles[voice])
    size, frames = pair[0].logw.shape[0], pair[0].frames
    first = pair[0].logw.new_tensor([1.0, 0.0]).expand(size, 2)
    bins = pair[0].tokens.tokens.new_ones(1, 1, 1, frames)  # type: ignore[union-attr]
    of_pitch, of_voice = (part[..., None, None] * bins for part in (first, 1 - first))
    shares = Shares(of_voice, of_pitch, of_pitch, of_pitch, 1 - first, by_pitch=True)
    return make_plan(pair, shares, ("prior", "prosody", "envelope"))


def mixture_score(model: GradTTS, mixture: Mixture, *, region: Tensor | None = None, guidance: float = 0.0) -> Score:
    """The score of a mixture, of one network evaluation.

    The network is asked once, about the pitch and the voice that are expected: while much is undecided it adds next to
    nothing to the mean, and afterwards there is one state.

    Args:
        model: The network.
        mixture: The states.
        region: As of :func:`~gradtts_interp.interpolation.mechanisms.make_score`.
        guidance: The same.

    Returns:
        Function of a noisy mel (B, M, T) and times (B,), giving the score (B, M, T). It is differentiable.
    """

    def score(x: Tensor, t: Tensor) -> Tensor:
        left = signal(t, model.schedule)
        plan = mixture.plan_at(mixture.posterior(x, left))
        shift = plan.mu - mixture.mean
        # The diffusion of this mean: what is left of its distance to the mixture's is taken out of the residual.
        own = x + shift - left[:, None, None] * shift / mixture.spread
        return make_score(model, plan, mixture.mask, region=region, guidance=guidance)(own, t)

    return score
