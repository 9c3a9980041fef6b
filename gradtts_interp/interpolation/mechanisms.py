"""Mechanisms: where in the model a share map takes hold.

A :class:`Plan` says what the network evaluations of a sampling step read. It starts with the dominant style alone, the
one with the larger mean share (of equals, one that does not depend on their order), so that a share of 0 or 1 gives a
single style exactly, whichever mechanisms are used.

Each mechanism is a function from a plan to a plan; :data:`MECHANISMS` names them. The prior means come last, when it
is known what else each evaluation reads: those of a frame prior depend on its pitch and energy. Of a plan,
:func:`make_score` makes the score function that a sampler calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gradtts_interp.diffusion.samplers import Score
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.asked_pitch import AskedPitch, ask_pitch
from gradtts_interp.models.grad_tts import GradTTS, lifter
from gradtts_interp.models.pitch_predictor import PITCH_CHANNELS, PITCH_FROM, asked_f0_hz, asked_prosody
from gradtts_interp.models.style_attention import LOG_ZERO, StyleContext, join

LOW_BAND_BINS = 11  # mel bins whose centres lie below about 400 Hz: where F0 is

ENVELOPE_QUEFRENCIES = (1, 20)  # tilt and formants, without the level
WHOLE_QUEFRENCIES = (1, 40)
"""Where each frame has the envelope of one style: that of a mix, read so finely, would be rough."""

BY_SHARE, OPEN = "share", "open"
OFFERS = (BY_SHARE, OPEN)
"""How styles are offered: each where its share says, or all alike, so that the noise decides."""


@dataclass(frozen=True)
class StyleReading:
    """One style as the networks read it, for a batch of texts, and from ``mu`` on laid out over the target's frames.

    Attributes:
        logw: Log durations (B, 1, L).
        mask: (B, 1, L).
        tokens: Style tokens, None for a model without style attention.
        pooled: Their summary for the prior (B, E), or None.
        prosody: Normalised prosody with its flag (B, 5), or None.
        means: Prior mean per token (B, M, L); None with a frame prior.
        speaker: Official speaker embedding (1, E), or None.
        hidden: Of a frame prior: hidden states of the texts (B, D, L), the same for all styles.
        skew: Of a frame prior: that of the reference's F0 (B,), see :func:`~gradtts_interp.pitch.contour.f0_skew`.
        spectrum: Mean and spread (2, M) of the voiced frames of a recording that training did not know; None for named
            speakers and without a frame prior.
        mu: Prior mean (B, M, T); None with a frame prior, whose mean depends on the prosody asked for.
        plane: Official speaker plane (B, M, T), or None.
        contour: Of a frame prior: predicted shape of the pitch, its voicing, and energy (B, 3, T).
        spoken: Of a frame prior: voicing (0 or 1), log-F0 and energy of a recording of these very frames (B, 3, T), in
            the units of the prosody vector, in place of a predicted contour; in training alone.
        mean: Of a frame prior: from a pooled style per frame (B, E, T) and the prosody asked for (B, 8, T) to the prior
            mean of these texts (B, M, T), whatever the style; of some frames with the first of them as ``first_frame``.
        envelope: Of a frame prior: from a mean (B, M, T) and F0 in Hz (B, T) to the spectral envelope (B, M, T), as
            :meth:`~gradtts_interp.models.pitch_predictor.PitchPlanes.envelope` reads it.
        level: Of a frame prior: from a mean (B, M, T) to the level of its frames (B, 1, T), in the same unit.
        towards: Factor and summand (B, M, 1) that bring means of voiced frames to ``spectrum``, or None.
    """

    logw: Tensor
    mask: Tensor
    tokens: StyleContext | None = None
    pooled: Tensor | None = None
    prosody: Tensor | None = None
    means: Tensor | None = None
    speaker: Tensor | None = None
    hidden: Tensor | None = None
    skew: Tensor | None = None
    spectrum: Tensor | None = None
    mu: Tensor | None = None
    plane: Tensor | None = None
    contour: Tensor | None = None
    spoken: Tensor | None = None
    mean: Callable[..., Tensor] | None = None
    envelope: Callable[..., Tensor] | None = None
    level: Callable[[Tensor], Tensor] | None = None
    towards: tuple[Tensor, Tensor] | None = None

    @property
    def frames(self) -> int:
        """Frames of the target (T)."""
        laid_out = (self.mu, self.contour, self.spoken)
        return next(plane.shape[-1] for plane in laid_out if plane is not None)


@dataclass(frozen=True)
class Shares:
    """Shares of n styles on the target plane, in each dimension.

    Attributes:
        timbre: (B, n, M, T), sums to 1 over n.
        pitch: Likewise; so are the others.
        energy: Of the level.
        rate: Of the rate.
        mean: Mean share of each style in the timbre over each item's own frames (B, n).
        by_pitch: One style gives pitch, another the rest: references are masked, and no query has a share. Of each item
            (B,) in a batch of the training mix.
    """

    timbre: Tensor
    pitch: Tensor
    energy: Tensor
    rate: Tensor
    mean: Tensor
    by_pitch: bool | Tensor = False

    def dominant(self, rank: Tensor) -> Shares:
        """The same, with everything given to each item's largest mean share.

        Args:
            rank: (B, n); of styles with equal shares the one with the largest rank is taken.

        Returns:
            Shares of 0 and 1 that are the same at all bins and frames.
        """
        equals = self.mean >= self.mean.amax(1, keepdim=True) - 1e-6
        best = rank.masked_fill(~equals, -torch.inf).argmax(1)
        hard = functional.one_hot(best, self.mean.shape[1]).to(self.timbre.dtype)
        plane = hard[:, :, None, None].expand_as(self.timbre)
        return Shares(plane, plane, plane, plane, hard)

    def prosody_shares(self) -> Tensor:
        """Shares of the four prosody numbers per frame, (B, n, 4, T)."""
        low = self.pitch[:, :, :LOW_BAND_BINS].mean(2, keepdim=True).expand(-1, -1, 2, -1)  # level and range of F0
        return torch.cat([low, self.energy.mean(2, keepdim=True), self.rate.mean(2, keepdim=True)], dim=2)


@dataclass(frozen=True)
class Branch:
    """What one network evaluation reads, and how much its score counts.

    Attributes:
        voice: Number of the style whose prior mean the network is shown, or the shares (B, n, M, T) of all.
        context: Style tokens, or None.
        prosody: Prosody per frame (B, 8, T), or None.
        speaker: Speaker plane (B, M, T), or None.
        weight: Share of its score (B, M, T), or None for all.
        mu: The prior mean (B, M, T); None until the plan is complete.
        envelopes: Shares (B, n, M, T) by which the prior mean has the envelopes of the styles, or None.
        levels: Shares (B, n, T) by which it has their levels; given with ``envelopes``. They sum to 1, or to less where
            the level stays, or a part of it is asked for otherwise.
    """

    voice: int | Tensor
    context: StyleContext | None
    prosody: Tensor | None
    speaker: Tensor | None
    weight: Tensor | None = None
    mu: Tensor | None = None
    envelopes: Tensor | None = None
    levels: Tensor | None = None


@dataclass(frozen=True)
class Plan:
    """The network evaluations of one sampling step.

    Attributes:
        branches: Evaluations; their scores are added by weight.
        blended: Parts that are blended already, so that ``score`` does not take them apart again.
    """

    branches: tuple[Branch, ...]
    blended: frozenset[str] = frozenset()

    def told(self, part: str, **values: Any) -> Plan:
        """The plan with what a mechanism tells each evaluation."""
        branches = tuple(replace(branch, **values) for branch in self.branches)
        return replace(self, branches=branches, blended=self.blended | {part})

    @cached_property
    def mu(self) -> Tensor:
        """Mean of the diffusion (B, M, T): under scores that were learnt around different means, the blend of those."""
        parts: list[Tensor] = []
        for branch in self.branches:
            assert branch.mu is not None, "a plan of plan_evaluations has no prior means yet"
            parts.append(branch.mu if branch.weight is None else branch.mu * branch.weight)
        return sum(parts[1:], start=parts[0])

    @cached_property
    def pitch(self) -> Tensor | None:
        """Voicing (0 or 1) and normalised log-F0 that are asked for (B, 2, T); None where no contour is."""
        asked = [b.prosody for b in self.branches if b.prosody is not None]
        if not asked:
            return None
        pitch = [p[:, PITCH_FROM : PITCH_FROM + PITCH_CHANNELS] for p in asked]
        if len(pitch) == 1:
            return pitch[0]
        low = [b.weight[:, :LOW_BAND_BINS].mean(1, keepdim=True) for b in self.branches]  # type: ignore[index]
        blend = sum(p * w for p, w in zip(pitch, low, strict=True))
        return torch.cat([(blend[:, :1] > 0.5).to(blend.dtype), blend[:, 1:]], dim=1)  # type: ignore[index,union-attr]


Mechanism = Callable[[Plan, "tuple[StyleReading, ...]", Shares], Plan]


def single(styles: tuple[StyleReading, ...], number: int = 0) -> Branch:
    """A branch that reads one style alone."""
    reading = styles[number]
    return Branch(
        voice=number,
        context=None if reading.tokens is None else join([reading.tokens]),
        prosody=None if reading.prosody is None else _prosody_per_frame((reading,), None),
        speaker=reading.plane,
    )


def _shaped_mean(styles: tuple[StyleReading, ...], branch: Branch, frames: slice) -> Tensor:
    """The mean of some frames with the envelopes and the levels that the styles have at their own pitch.

    Where a style of some share is unvoiced, there is no pitch of its own to read an envelope at, and that stays.
    """
    mu = mean_of_frames(styles, branch, frames)
    if branch.envelopes is None or branch.levels is None:
        return mu
    assert branch.prosody is not None
    whole = bool(((branch.envelopes == 0) | (branch.envelopes == 1)).all())
    envelopes, levels = branch.envelopes[..., frames], branch.levels[..., None, frames]
    asked = branch.prosody[..., frames]
    read, level = styles[0].envelope, styles[0].level
    assert read is not None and level is not None

    def envelope_of(mel: Tensor, prosody: Tensor) -> Tensor:
        return read(mel, asked_f0_hz(prosody[:, PITCH_FROM + 1]), of_powers=whole)

    change, voiced, gain = -envelope_of(mu, asked), asked[:, PITCH_FROM] > 0, torch.zeros_like(mu[:, :1])
    levelled = bool(levels.any())
    for style, shape, loud in zip(styles, envelopes.unbind(1), levels.unbind(1), strict=True):
        if not (shape.any() or loud.any()):
            continue
        mean = mean_of_frames((style,), single((style,)), frames)
        own = _prosody_per_frame((style,), None)[..., frames]
        change = change + shape * envelope_of(mean, own)
        voiced = voiced & ((own[:, PITCH_FROM] > 0) | (shape == 0).all(1))
        gain = gain + loud * level(mean) if levelled else gain
    shaped = mu + lifter(change, *(WHOLE_QUEFRENCIES if whole else ENVELOPE_QUEFRENCIES)) * voiced[:, None]
    return shaped + gain - levels.sum(1) * level(shaped) if levelled else shaped


def part_of_plan(plan: Plan, styles: tuple[StyleReading, ...], frames: slice, *, margin: int = 0) -> Plan:
    """Cut some frames out of a plan that has no prior means yet, and compute those.

    Args:
        plan: What :func:`plan_evaluations` gave.
        styles: The readings that it was given.
        frames: Start and stop of the frames.
        margin: Frames on each side that a mean depends on.

    Returns:
        The plan of these frames, with the means that they have in the whole.
    """
    wide = slice(max(0, frames.start - margin), frames.stop + margin)
    inner = slice(frames.start - wide.start, frames.stop - wide.start)

    def cut(plane: Tensor | None) -> Tensor | None:
        return None if plane is None else plane[..., frames]

    branches = []
    for branch in plan.branches:
        mu, context = _shaped_mean(styles, branch, wide)[..., inner], branch.context
        context = None if context is None else replace(context, share=cut(context.share))
        planes: dict[str, Any] = {name: cut(getattr(branch, name)) for name in ("prosody", "speaker", "weight")}
        branches.append(replace(branch, mu=mu, context=context, **planes))
    return replace(plan, branches=tuple(branches))


def mean_of_frames(styles: tuple[StyleReading, ...], branch: Branch, frames: slice) -> Tensor:
    """Prior mean of some frames of a branch, nearer to the styles that are recordings unknown to training."""
    mu = _predicted_mean(styles, branch, frames)
    if all(style.towards is None for style in styles) or branch.prosody is None:
        return mu
    voice, change = branch.voice, torch.zeros_like(mu)
    for i, style in enumerate(styles):
        share: Tensor | float = float(voice == i) if isinstance(voice, int) else voice[:, i, :, frames]
        if style.towards is not None:
            factor, summand = style.towards
            change = change + share * (factor * mu + summand - mu)
    return mu + change * (branch.prosody[:, PITCH_FROM, frames] > 0)[:, None]


def _predicted_mean(styles: tuple[StyleReading, ...], branch: Branch, frames: slice) -> Tensor:
    """Prior mean of some frames of a branch, as the networks give it.

    Means of tokens are mixed by bin and frame. A frame prior is asked once, for pooled styles that are mixed frame by
    frame, so that formants glide instead of two sets fading into each other; where shares differ over the bins, once
    for each style, and the answers are mixed. All of them have the pitch and the energy of the branch.
    """
    voice, read = branch.voice, styles[0].mean
    if read is None:
        if isinstance(voice, int):
            return styles[voice].mu[..., frames]  # type: ignore[index]
        return _weighted([s.mu[..., frames] for s in styles], voice[..., frames])  # type: ignore[index]
    assert branch.prosody is not None
    read = partial(read, prosody=branch.prosody[..., frames], first_frame=frames.start or 0)
    pooled = [s.pooled[..., None] for s in styles]  # type: ignore[index]
    if isinstance(voice, int):
        return read(pooled[voice])
    level = (voice == voice[:, :, :1]).flatten(1).all(1)
    voice = voice[..., frames]
    mixed = _weighted(pooled, voice[:, :, :1])
    if level.all():
        return read(mixed)
    # An item whose shares are the same at all bins is mixed as it is alone, whatever else is in the batch.
    each = [torch.where(level[:, None, None], mixed, p) for p in pooled]
    return _weighted([read(p) for p in each], voice)


def _prosody_per_frame(styles: tuple[StyleReading, ...], shares: Tensor | None) -> Tensor:
    """Prosody of n styles under shares (B, n, 4, T), or of one style without any; level and range are numbers.

    The pitch contour is blended like its level: shapes without height are mixed, then set to the blended level and
    range, so that half-way between two voices lies at the geometric mean of their F0 everywhere.
    """
    frames, spoken = styles[0].frames, styles[0].spoken
    numbers = [s.prosody[:, :4, None].expand(-1, -1, frames) for s in styles]  # type: ignore[index]
    contours: list[Tensor] = [s.contour for s in styles]  # type: ignore[misc]
    flag = torch.stack([s.prosody[:, 4] for s in styles]).amin(0)[:, None, None].expand(-1, 1, frames)  # type: ignore[index]
    if shares is None:
        return asked_prosody(numbers[0], flag, contours[0])
    parts = [n * w for n, w in zip(numbers, shares.unbind(1), strict=True)]
    if spoken is not None:
        return torch.cat([sum(parts[1:], start=parts[0]), flag, spoken], dim=1)
    # Shape and voicing go by the share of the F0 level, energy by its own.
    shapes = [c * w[:, [0, 0, 2]] for c, w in zip(contours, shares.unbind(1), strict=True)]
    return asked_prosody(sum(parts[1:], start=parts[0]), flag, sum(shapes[1:], start=shapes[0]))


def prior(plan: Plan, styles: tuple[StyleReading, ...], shares: Shares) -> Plan:
    """Blend the prior means, and the official speaker planes, per bin and frame."""
    speaker = None
    if styles[0].plane is not None:
        speaker = _weighted([s.plane for s in styles], shares.timbre)  # type: ignore[misc]
    return plan.told("prior", voice=shares.timbre, speaker=speaker)


def prosody(plan: Plan, styles: tuple[StyleReading, ...], shares: Shares) -> Plan:
    """Blend the prosody vectors and the predicted pitch contours, numerically per frame."""
    if any(s.prosody is None for s in styles):
        raise InputError("mechanism 'prosody': this checkpoint reads no prosody vector; choose among prior, score")
    return plan.told("prosody", prosody=_prosody_per_frame(styles, shares.prosody_shares()))


def attention(plan: Plan, styles: tuple[StyleReading, ...], shares: Shares) -> Plan:
    """Let every position read the tokens of all styles, by logit bias: one evaluation for all styles.

    Nothing can be read less than not at all: a share beyond 0 or 1 reads as 0 or 1.
    """
    if any(s.tokens is None for s in styles):
        raise InputError("mechanism 'attention': this checkpoint has no style attention; choose among prior, score")
    tokens: list[StyleContext] = [s.tokens for s in styles]  # type: ignore[misc]
    if shares.by_pitch is True:
        return plan.told("attention", context=join(tokens))
    share = shares.timbre.clamp(0, 1)
    if isinstance(shares.by_pitch, Tensor):
        share = torch.where(shares.by_pitch[:, None, None, None], 1.0, share)
    return plan.told("attention", context=join(tokens, share))


def envelope(plan: Plan, styles: tuple[StyleReading, ...], shares: Shares) -> Plan:
    """Give the prior mean the envelopes and the levels that the styles have at their own pitch, blended in log.

    A mixed style has formants between those of two styles, and a voice at another's pitch has other formants and
    another level than at its own: both sound natural, and neither is at its share of the way from A to B. This puts it
    there: envelopes by the share of the timbre, levels by that of the energy, where it is the same at all bins and not
    that of pitch and timbre as well, which bring most of the level with them.

    Source: Kawahara and Matsui 2003, "Auditory morphing based on an elastic perceptual distance metric in an
        interference-free time-frequency representation", of blending envelopes apart from F0.
    """
    if styles[0].envelope is None:
        raise InputError("mechanism 'envelope': this checkpoint has no frame prior; choose among prior, score")
    # A style that is heard in some bins alone keeps its level there.
    even = (shares.energy == shares.energy[:, :, :1]).all(2).all(1, keepdim=True)
    apart = ((shares.energy != shares.timbre) | (shares.energy != shares.pitch)).flatten(1).any(1)[:, None, None]
    plane, levels = shares.timbre, shares.energy[:, :, 0] * (even & apart)
    if shares.by_pitch:
        # The voice keeps the level that it has at this pitch: with the other's it is liked less (docs, "blending").
        voice = functional.one_hot(shares.mean.argmax(1), plane.shape[1]).to(plane)
        plane, levels = voice[:, :, None, None].expand_as(plane), torch.zeros_like(levels)
    return plan.told("envelope", envelopes=plane, levels=levels)


def score(plan: Plan, styles: tuple[StyleReading, ...], shares: Shares) -> Plan:
    """Evaluate the network once per style and blend the scores; parts already blended stay so."""
    kept = plan.branches[0]
    parts = {"voice": "prior", "speaker": "prior", "context": "attention", "prosody": "prosody"}
    blended = {name: getattr(kept, name) for name, by in parts.items() if by in plan.blended}
    branches = [replace(single(styles, i), **blended, weight=shares.timbre[:, i]) for i in range(len(styles))]
    # A style that nobody hears is not evaluated: 0 and 1 then cost one evaluation and equal the single style exactly.
    heard = [b for b in branches if b.weight is not None and bool(b.weight.any())]
    branches = [replace(heard[0], weight=None)] if len(heard) == 1 else heard
    return replace(plan, branches=tuple(branches), blended=plan.blended | {"score"})


MECHANISMS: dict[str, Mechanism] = {
    "prior": prior,
    "prosody": prosody,
    "attention": attention,
    "score": score,
    "envelope": envelope,
}


def make_plan(
    styles: Iterable[StyleReading],
    shares: Shares | None,
    mechanisms: Iterable[str],
    asked: Sequence[AskedPitch | None] = (),
) -> Plan:
    """Plan the network evaluations for styles under shares.

    Args:
        styles: n readings for the same texts and durations.
        shares: Shares of n styles; None for a single style.
        mechanisms: Names in :data:`MECHANISMS`; their order does not matter.
        asked: Pitch of each item in place of what the styles would have, or None for an item.

    Returns:
        The plan.

    Raises:
        InputError: An unknown mechanism, or one the model has no part for.
    """
    styles = tuple(styles)
    plan = plan_evaluations(styles, shares, mechanisms, asked)
    return replace(plan, branches=tuple(replace(b, mu=_shaped_mean(styles, b, slice(None))) for b in plan.branches))


def plan_evaluations(
    styles: tuple[StyleReading, ...],
    shares: Shares | None,
    mechanisms: Iterable[str],
    asked: Sequence[AskedPitch | None] = (),
) -> Plan:
    """Plan as :func:`make_plan` does, but leave the prior means out, which cost most; the same arguments.

    Args:
        styles: As there.
        shares: As there.
        mechanisms: As there.
        asked: As there.

    Returns:
        The plan.

    Raises:
        InputError: As there.
    """
    wanted = set(mechanisms)
    unknown = sorted(wanted - set(MECHANISMS))
    if unknown:
        raise InputError(f"mechanism {unknown[0]!r}: expected one of {', '.join(MECHANISMS)}")
    if shares is None:
        return _with_pitch(Plan((single(styles),)), asked)
    rank = torch.stack([_fingerprint(s) for s in styles], dim=1)
    plan = _dominant_plan(styles, shares.dominant(rank))
    for name, mechanism in MECHANISMS.items():
        if name in wanted:
            plan = mechanism(plan, styles, shares)
    return _with_pitch(plan, asked)


def _with_pitch(plan: Plan, asked: Sequence[AskedPitch | None]) -> Plan:
    """The plan with the pitch and energy that are asked for, whoever's they would be."""
    if not asked:
        return plan
    rest = [1.0 if item is None or item.energy_db is None else 1.0 - item.weight for item in asked]

    def tell(branch: Branch) -> Branch:
        levels = None if branch.levels is None else branch.levels * branch.levels.new_tensor(rest)[:, None, None]
        return replace(branch, prosody=ask_pitch(branch.prosody, asked), levels=levels)

    return replace(plan, branches=tuple(tell(b) for b in plan.branches))


def _dominant_plan(styles: tuple[StyleReading, ...], hard: Shares) -> Plan:
    """The plan that reads each item's dominant style alone."""
    if (hard.mean == hard.mean[:1]).all():
        return Plan((single(styles, int(hard.mean[0].argmax())),))
    return Plan((read_together(styles, hard),))


def read_together(styles: tuple[StyleReading, ...], shares: Shares) -> Branch:
    """One evaluation that reads all styles under their shares, in every part that the model has; training's only one.

    Args:
        styles: n readings for the same texts and durations.
        shares: Of each.

    Returns:
        The evaluation, without its prior mean.
    """
    plan = prior(Plan((Branch(0, None, None, None),)), styles, shares)
    if styles[0].prosody is not None:
        plan = prosody(plan, styles, shares)
    if styles[0].tokens is not None:
        plan = attention(plan, styles, shares)
    return plan.branches[0]


def _fingerprint(reading: StyleReading) -> Tensor:
    """A number (B,) of what a style is, so that a tie between styles does not depend on their order."""
    total = torch.zeros(()) if reading.mu is None else reading.mu.float().sum((1, 2))
    plane = None if reading.plane is None else reading.plane[..., 0]
    for part in (plane, reading.pooled, reading.prosody):
        if part is not None:
            total = total + part.float().sum(1)
    return total.detach()


def _weighted(planes: list[Tensor], shares: Tensor) -> Tensor:
    """Sum of planes (B, M, T) by shares (B, n, M, T)."""
    return sum(p * shares[:, i] for i, p in enumerate(planes))  # type: ignore[return-value]


# -- from a plan to the score function that a sampler calls ------------------------------------------------------------


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
    context = model.style_encoder.null_style(len(plan.mu))
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
