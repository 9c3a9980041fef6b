"""From a plan to the score function a sampler calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.mechanisms import Branch, Plan
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.style_context import StyleContext, join

Score = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Frames:
    """Which frames of a padded batch are real.

    Attributes:
        mask: (B, 1, T), 1 on frames of the utterance.
        region: (B, 1, T), 1 on frames that exist when the item is alone; None when all do.
    """

    mask: Tensor
    region: Tensor | None = None


def make_score(model: GradTTS, plan: Plan, frames: Frames, *, guidance: float = 0.0) -> Score:
    """Close over everything but the noisy mel and the time.

    Args:
        model: The network.
        plan: What each evaluation reads.
        frames: Real frames of the batch.
        guidance: Classifier-free guidance: 0 is the conditional score, above 0 moves away from the null style.

    Returns:
        Function of a noisy mel (B, M, T) and times (B,), giving the score (B, M, T). It is differentiable.

    Raises:
        InputError: Guidance is negative or not finite, or asked of a model without styles.
    """
    if not 0 <= guidance < float("inf"):
        raise InputError(f"guidance {guidance}: expected a number >= 0; 0 is off")
    branches = list(plan.branches)
    if guidance > 0:
        branches.append(_null_branch(model, plan.branches[0]))
    weights = [b.weight for b in plan.branches]
    if any(w is None for w in weights) and len(weights) > 1:
        raise ValueError("several branches need a weight each")
    stacked = _stack(branches)
    count = len(branches)

    def repeat(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.repeat(count, *[1] * (x.dim() - 1))

    mask, region = repeat(frames.mask), repeat(frames.region)

    def score(x: Tensor, t: Tensor) -> Tensor:
        answers = model.score(
            repeat(x),
            mask,
            stacked.mu,
            repeat(t),
            stacked.speaker,
            context=stacked.context,
            prosody=stacked.prosody,
            region=region,
        ).chunk(count)
        kept = len(plan.branches)
        conditional = answers[0]
        if kept > 1:
            conditional = sum(a * w for a, w in zip(answers[:kept], weights, strict=True))  # type: ignore[assignment, operator]
        if guidance > 0:
            conditional = conditional + guidance * (conditional - answers[-1])
        return conditional

    return score


def _null_branch(model: GradTTS, branch: Branch) -> Branch:
    """The same prior, with the style of nobody."""
    if model.style_encoder is None:
        raise InputError("guidance: this checkpoint has no null style; leave guidance at 0")
    prosody = None if branch.prosody is None else torch.zeros_like(branch.prosody)
    context = join([model.style_encoder.null_style(branch.mu.shape[0])])
    return Branch(mu=branch.mu, context=context, prosody=prosody, speaker=branch.speaker)


def _stack(branches: list[Branch]) -> Branch:
    """All branches in one batch, branch-major."""
    if len(branches) == 1:
        return branches[0]

    def cat(values: list[Tensor | None]) -> Tensor | None:
        return None if values[0] is None else torch.cat(values)  # type: ignore[arg-type]

    return Branch(
        mu=torch.cat([b.mu for b in branches]),
        context=stack_contexts([b.context for b in branches]),
        prosody=cat([b.prosody for b in branches]),
        speaker=cat([b.speaker for b in branches]),
    )


def stack_contexts(contexts: list[StyleContext | None]) -> StyleContext | None:
    """Contexts of different styles in one batch: keys are padded, owners and shares are made to fit."""
    if any(c is None for c in contexts):
        return None
    known: list[StyleContext] = [c for c in contexts if c is not None]
    styles = sum(c.n_styles for c in known)
    parts, first, start = [], 0, 0
    keys = sum(c.tokens.shape[1] for c in known)
    owner = torch.cat([c.owner + sum(d.n_styles for d in known[:i]) for i, c in enumerate(known)])
    with_share = next((c.share for c in known if c.share is not None), None)
    for c in known:
        batch, size, width = c.tokens.shape
        tokens = c.tokens.new_zeros(batch, keys, width)
        tokens[:, start : start + size] = c.tokens
        log_weight = c.log_weight.new_full((batch, keys), -1e4)
        log_weight[:, start : start + size] = c.log_weight
        share = None
        if with_share is not None:
            share = with_share.new_ones(batch, styles, *with_share.shape[2:])
            if c.share is not None:
                share[:, first : first + c.n_styles] = c.share
        parts.append((tokens, log_weight, share))
        start, first = start + size, first + c.n_styles
    tokens, log_weight, shares = zip(*parts, strict=True)
    return StyleContext(
        tokens=torch.cat(tokens),
        log_weight=torch.cat(log_weight),
        owner=owner,
        share=None if with_share is None else torch.cat(shares),  # type: ignore[arg-type]
    )
