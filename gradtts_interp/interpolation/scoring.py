"""From a plan to the score function a sampler calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gradtts_interp.diffusion.samplers import Score
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.mechanisms import Branch, Plan
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.style_attention import LOG_ZERO, StyleContext, join


def make_score(
    model: GradTTS, plan: Plan, mask: Tensor, *, region: Tensor | None = None, guidance: float = 0.0
) -> Score:
    """Close over everything but the noisy mel and the time.

    Args:
        model: The network.
        plan: What each evaluation reads.
        mask: 1 on frames of the utterance (B, 1, T), 0 on padding.
        region: 1 on frames that exist when the item is alone (B, 1, T); None when all do.
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
        branches.append(_null_branch(model, plan))
    weights = [b.weight for b in plan.branches]
    stacked = _stack(branches)
    assert stacked.mu is not None, "a plan of plan_evaluations has no prior means yet"
    mu, count = stacked.mu, len(branches)

    def repeat(x: Tensor) -> Tensor:
        return x.repeat(count, *[1] * (x.dim() - 1))

    mask, region = repeat(mask), None if region is None else repeat(region)
    told = {"context": stacked.context, "prosody": stacked.prosody, "region": region}

    def score(x: Tensor, t: Tensor) -> Tensor:
        noisy, times, kept = repeat(x), repeat(t), len(plan.branches)
        answers = model.score(noisy, mask, mu, times, stacked.speaker, **told).chunk(count)  # type: ignore[arg-type]
        conditional = answers[0]
        if kept > 1:
            parts = [a * w for a, w in zip(answers[:kept], weights, strict=True)]  # type: ignore[operator]
            conditional = sum(parts[1:], start=parts[0])
        if guidance > 0:
            conditional = conditional + guidance * (conditional - answers[-1])
        return conditional

    return score


def _null_branch(model: GradTTS, plan: Plan) -> Branch:
    """The same prior, with the style of nobody."""
    branch = plan.branches[0]
    if model.style_encoder is None:
        raise InputError("guidance: this checkpoint has no null style; leave guidance at 0")
    prosody = None if branch.prosody is None else torch.zeros_like(branch.prosody)
    context = join([model.style_encoder.null_style(len(plan.mu))])
    return replace(branch, context=context, prosody=prosody, weight=None, mu=plan.mu)


def _stack(branches: list[Branch]) -> Branch:
    """All branches in one batch, branch-major."""
    if len(branches) == 1:
        return branches[0]

    def cat(values: list[Tensor | None]) -> Tensor | None:
        return None if values[0] is None else torch.cat(values)  # type: ignore[arg-type]

    names = ("mu", "prosody", "speaker")
    planes: dict[str, Any] = {name: cat([getattr(branch, name) for branch in branches]) for name in names}
    return replace(branches[0], context=stack_contexts([b.context for b in branches]), **planes)


def stack_contexts(contexts: list[StyleContext | None]) -> StyleContext | None:
    """Put contexts in one batch, padding keys to the longest.

    A context without shares lets keys alone decide, whoever owns them, so it can go with one that has shares.
    """
    if any(c is None for c in contexts):
        return None
    known: list[StyleContext] = [c for c in contexts if c is not None]
    leader = max(known, key=lambda c: (c.share is not None, c.tokens.shape[1]))
    keys = max(c.tokens.shape[1] for c in known)
    assert all(c.share is None or torch.equal(c.owner, leader.owner) for c in known), "shares of different keys"
    share = None
    if leader.share is not None:
        share = torch.cat([torch.ones_like(leader.share) if c.share is None else c.share for c in known])
    return StyleContext(
        tokens=torch.cat([functional.pad(c.tokens, (0, 0, 0, keys - c.tokens.shape[1])) for c in known]),
        log_weight=torch.cat(
            [functional.pad(c.log_weight, (0, keys - c.log_weight.shape[1]), value=LOG_ZERO) for c in known]
        ),
        owner=functional.pad(leader.owner, (0, keys - len(leader.owner))),
        share=share,
    )
