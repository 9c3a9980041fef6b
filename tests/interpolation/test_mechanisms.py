"""Mechanisms and scores: what a plan reads, where a share takes hold, gradients, guidance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from refusing import refused
from tiny import TINY_OFFICIAL, A, B, tiny_model

from gradtts_interp.interpolation.asked_pitch import AskedPitch
from gradtts_interp.interpolation.conditioning import KEPT_READINGS, encode_styles, pad_ids, read_style
from gradtts_interp.interpolation.mechanisms import (
    MECHANISMS,
    Plan,
    Shares,
    StyleReading,
    make_plan,
    make_score,
    plan_evaluations,
)
from gradtts_interp.interpolation.shares import PitchRegion
from gradtts_interp.models.estimator import RegionGroupNorm, SelfAttention
from gradtts_interp.models.pitch_predictor import ENERGY_FLOOR
from gradtts_interp.models.style_attention import context_of

FRAMES = 192
ALL = tuple(MECHANISMS)
UNTIMED = (torch.zeros(1, 1, 1), torch.ones(1, 1, 1))  # log durations and mask, which plans do not read


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def readings(model):
    return readings_of(model)


@torch.no_grad()
def readings_of(model, styles=(A, B), **options):
    """The same text in each style."""
    encoded = encode_styles(model, pad_ids([tuple(range(70, 86))], model.device), list(styles), **options)
    return [read_style(model, e, torch.full((1, 16), FRAMES // 16), FRAMES) for e in encoded]


def test_who_gives_the_pitch_has_the_contour_that_it_has_alone(model):
    """What the region of A's pitch leaves of A's reference says little of A; what attention reads is that region."""
    crossed, alone = (readings_of(model, pitch=pitch)[0] for pitch in (PitchRegion(), None))
    assert torch.equal(crossed.contour, alone.contour)
    assert not torch.equal(crossed.tokens.log_weight, alone.tokens.log_weight)


def shares_of(weight: torch.Tensor) -> Shares:
    """Shares of two styles from B's (M, T)."""
    plane = torch.stack([1 - weight, weight])[None]
    return Shares(plane, plane, plane, plane, plane.mean((2, 3)))


SECOND_HALF = (torch.arange(FRAMES) >= FRAMES // 2).float().expand(80, -1).contiguous()
HIGH_HALF = (torch.arange(80) >= 40).float()[:, None].expand(-1, FRAMES).contiguous()
WHOLE = torch.ones(1, 1, FRAMES)


NOISY = torch.randn(1, 80, FRAMES, generator=torch.Generator().manual_seed(5))


def score_of(model, plan: Plan, *, guidance: float = 0.0, x: torch.Tensor = NOISY):
    return make_score(model, plan, WHOLE, guidance=guidance)(x, torch.tensor([0.5]))


@torch.no_grad()
def nearness(model, readings, weight, mechanisms):
    """By how much the blend's score is nearer to the style of each place: to A where ``weight`` (M, T) is 0, to B."""
    blend = score_of(model, make_plan(readings, shares_of(weight), mechanisms))
    far = [(blend - score_of(model, make_plan([r], None, ()))).abs() for r in readings]
    places = zip((1 - weight, weight), far, reversed(far), strict=True)
    return [float((others * here).sum() / (own * here).sum()) for here, own, others in places]


@pytest.mark.parametrize(
    ("mechanisms", "weight", "least"),
    [
        (ALL, SECOND_HALF, 2),
        (("score",), SECOND_HALF, 2),
        (("prior", "prosody", "attention"), SECOND_HALF, 2),
        (("score",), HIGH_HALF, 1e4),
    ],
)
def test_a_share_localises(model, readings, mechanisms, weight, least):
    """In its own half a style is at least twice as near as the other one; a frequency share of scores is exact.

    The two halves of a random network differ so much in voicing that the statistics of its group norms, which run over
    all frames, reach further than in a trained one.
    """
    assert min(nearness(model, readings, weight, mechanisms)) >= least


@pytest.fixture
def without_global_parts(monkeypatch):
    """Silence what ties all positions together in any Grad-TTS: statistics of group norms, linear attention."""
    monkeypatch.setattr(RegionGroupNorm, "forward", lambda self, x, region=None: 0.5 * x)
    monkeypatch.setattr(SelfAttention, "forward", lambda self, x, region: x)


def alone(readings, part: str):
    """Two readings that differ in one part only; of the tokens, in what the score network or the prior reads."""
    a, b = readings
    return [a, replace(a, **{part: getattr(b, part)})]


@pytest.mark.usefixtures("without_global_parts")
@pytest.mark.parametrize(
    ("mechanism", "part", "weight", "least"),
    [
        ("attention", "tokens", SECOND_HALF, 10),
        ("prior", "pooled", SECOND_HALF, 10),
        ("prosody", "prosody", SECOND_HALF, 10),
        ("prosody", "contour", SECOND_HALF, 10),
        ("attention", "tokens", HIGH_HALF, 4),
        ("prior", "pooled", HIGH_HALF, 4),
    ],
)
def test_each_mechanism_localises_in_time_or_bins_but_for_global_statistics(
    model, readings, mechanism, part, weight, least
):
    assert min(nearness(model, alone(readings, part), weight, [mechanism])) >= least


def test_plans_of_each_mechanism(readings):
    shares = shares_of(torch.full((80, FRAMES), 0.25))
    a, b = readings
    of_a, of_b = (make_plan([style], None, ()).mu for style in readings)
    base = make_plan(readings, shares, ())
    assert torch.equal(base.mu, of_a) and len(base.branches) == 1 and base.branches[0].context.n_styles == 1
    prior = make_plan(readings, shares, ["prior"])
    mixed = replace(a, pooled=0.75 * a.pooled + 0.25 * b.pooled)
    torch.testing.assert_close(prior.mu, make_plan([mixed], None, ()).mu)
    assert prior.branches[0].mu is prior.mu and prior.branches[0].context.n_styles == 1
    prosody = make_plan(readings, shares, ["prosody"]).branches[0].prosody
    torch.testing.assert_close(prosody[0, :4, 0], 0.75 * a.prosody[0, :4] + 0.25 * b.prosody[0, :4])
    assert (prosody[0, 4] == 1).all()
    of_second = shares_of(torch.ones(80, FRAMES)).timbre
    asked = make_plan(readings, replace(shares, energy=of_second), ["prosody"]).branches[0].prosody
    energy = (b.prosody[:, 2, None] + b.contour[:, 2]).clamp_min(ENERGY_FLOOR)
    torch.testing.assert_close(asked[:, 7], energy)  # all of B's; pitch and voicing still by their own share
    assert torch.equal(asked[:, 5:7], prosody[:, 5:7])
    attention = make_plan(readings, shares, ["attention"])
    assert attention.branches[0].context.n_styles == 2 and torch.equal(attention.mu, of_a)
    score = make_plan(readings, shares, ["score"])
    assert [float(branch.weight[0, 0, 0]) for branch in score.branches] == [0.75, 0.25]
    assert torch.equal(score.branches[0].mu, of_a) and torch.equal(score.branches[1].mu, of_b)


def test_by_pitch_the_first_style_gives_the_pitch(readings):
    weight = torch.ones(80, FRAMES)
    weight[3:6] = 0
    of_a = shares_of(torch.zeros(80, FRAMES)).pitch
    by_pitch = replace(shares_of(weight), pitch=of_a, energy=of_a, rate=of_a, by_pitch=True)
    plan = make_plan(readings, by_pitch, ["prosody", "attention"])
    assert plan.branches[0].context.share is None and plan.branches[0].context.n_styles == 2  # keys alone decide
    torch.testing.assert_close(plan.branches[0].prosody[0, :4, 0], readings[0].prosody[0, :4])
    assert plan.branches[0].voice == 1


def test_envelope_and_level_are_blended_at_their_own_pitch():
    """Of readings whose mean is their own envelope plus a level, so that the answer is known."""
    bins, frames = torch.arange(80.0)[:, None], 8
    tilts = {0: 0.0 * bins.expand(-1, frames), 1: torch.cos(torch.pi * (bins + 0.5) / 80).expand(-1, frames)}
    voiced = (torch.arange(frames) > 1).float()

    def reading(number: int) -> StyleReading:
        contour = torch.stack([torch.zeros(frames), voiced, torch.zeros(frames)])[None]
        return StyleReading(
            *UNTIMED, tokens=context_of(torch.zeros(1, 1, 4), torch.ones(1, 1)),
            pooled=torch.full((1, 2), float(number)),
            prosody=torch.tensor([[float(number), 0, 0, 0, 1]]), contour=contour,
            mean=lambda x, prosody, first_frame: tilts[0] + (tilts[1] - tilts[0]) * x[:, :1].square() + prosody[:, 6:7],
            envelope=lambda mel, f0_hz, of_powers: mel, level=lambda mel: mel.mean(1, keepdim=True),
        )  # fmt: skip

    styles = [reading(0), reading(1)]
    even = torch.full((1, 2, 80, frames), 0.5)
    half = Shares(even, even, even, even, torch.full((1, 2), 0.5))
    usual = make_plan(styles, half, ["prior", "prosody"]).mu
    given = make_plan(styles, half, ["prior", "prosody", "envelope"]).mu
    torch.testing.assert_close(usual, 0.25 * tilts[1][None] + 0.5)  # half the pooled style is a quarter of the tilt
    torch.testing.assert_close(given[..., 2:], (0.5 * tilts[1][None] + 0.5)[..., 2:])
    torch.testing.assert_close(given[..., :2], usual[..., :2])  # unvoiced: no envelope of its own
    of_b = torch.stack([0 * even[:, 0], 2 * even[:, 1]], dim=1)
    louder = make_plan(styles, replace(half, energy=of_b), ["prior", "prosody", "envelope"]).mu
    torch.testing.assert_close(louder, given + 0.5)  # the level of B, who is at 1
    high = replace(half, energy=of_b * (bins >= 40))  # in some bins alone: the level is left
    torch.testing.assert_close(make_plan(styles, high, ["prior", "prosody", "envelope"]).mu, given)
    by_pitch = replace(half, by_pitch=True, energy=of_b, mean=torch.tensor([[0.0, 1.0]]))
    swapped = make_plan(styles, by_pitch, ["prosody", "envelope"]).mu
    torch.testing.assert_close(swapped.mean(1), torch.full((1, frames), 0.5))  # that of the pitch it has
    torch.testing.assert_close(swapped[..., 2:].diff(dim=1), tilts[1].diff(dim=0)[None, :, 2:])


def test_three_styles_blend_as_well(model, readings):
    third = [*readings, readings[0]]
    plane = torch.full((1, 3, 80, FRAMES), 1 / 3)
    with torch.no_grad():
        three = score_of(model, make_plan(third, Shares(plane, plane, plane, plane, plane.mean((2, 3))), ALL))
        two = score_of(model, make_plan(readings, shares_of(torch.full((80, FRAMES), 1 / 3)), ALL))
    torch.testing.assert_close(three, two, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mechanisms", [ALL, ("score",), ("attention",)], ids="+".join)
def test_gradient_flows_through_the_score(model, readings, mechanisms):
    x = NOISY.clone().requires_grad_()
    weight = SECOND_HALF.clone().requires_grad_()
    score_of(model, make_plan(readings, shares_of(0.2 + 0.6 * weight), mechanisms), x=x).square().sum().backward()
    assert x.grad.norm() > 1e-3 and torch.isfinite(x.grad).all()
    assert weight.grad.norm() > 1e-6 and torch.isfinite(weight.grad).all()


@torch.no_grad()
def test_guidance_moves_away_from_the_null_style(model, readings):
    plan = make_plan(readings[:1], None, ())
    tokens, contour = model.style_encoder.null_style(1), torch.zeros(1, 3, FRAMES)
    null = StyleReading(
        *UNTIMED, tokens, torch.zeros(1, 16), torch.zeros(1, 5), mean=lambda *_, **__: plan.mu, contour=contour
    )
    conditional, unconditional = score_of(model, plan), score_of(model, make_plan([null], None, ()))
    assert (conditional - unconditional).abs().max() > 1e-2
    assert torch.equal(score_of(model, plan, guidance=0.0), conditional)
    expected = conditional + 2 * (conditional - unconditional)
    torch.testing.assert_close(score_of(model, plan, guidance=2.0), expected, atol=1e-4, rtol=1e-4)


def test_what_a_checkpoint_cannot_do():
    official = tiny_model(replace(TINY_OFFICIAL, n_spks=2))
    reading = StyleReading(*UNTIMED, mu=torch.zeros(1, 80, FRAMES), plane=torch.zeros(1, 80, FRAMES))
    shares = shares_of(SECOND_HALF)
    refused(
        lambda name: make_plan([reading, reading], shares, [name]),
        ("prosody", "mechanism 'prosody': this checkpoint .*; choose among prior, score"),
        ("attention", "mechanism 'attention': this checkpoint .*; choose among prior, score"),
        ("envelope", "mechanism 'envelope': this checkpoint .*; choose among prior, score"),
        ("warp", "mechanism 'warp': expected one of prior, prosody, attention, score"),
    )
    refused(
        lambda guidance: make_score(official, make_plan([reading], None, ()), WHOLE, guidance=guidance),
        (1.0, "no null style"),
        *((guidance, "guidance .*: expected a number >= 0") for guidance in (-1.0, float("nan"), float("inf"))),
    )


def test_styles_must_hold_what_the_model_reads(model):
    refused(
        readings_of,
        (model, [replace(A, name="bare", mel=None)], "style bare: this checkpoint reads references"),
        (model, [replace(A, emotion=np.zeros(7))], r"emotion vector \(7,\); expected \(2,\)"),
    )


def encoded(model, *styles, **options):
    return list(encode_styles(model, pad_ids([(70, 71)], model.device), list(styles), **options))


def test_the_tokens_of_a_style_are_kept_while_the_weights_stay():
    model = tiny_model()
    with torch.no_grad():
        first, again = ([e.tokens.tokens for e in encoded(model, A, B)] for _ in range(2))
        assert all(x.data_ptr() == y.data_ptr() for x, y in zip(first, again, strict=True))
        assert not torch.equal(*first)
        model.style_encoder.patches.weight.data.add_(0.1)  # as averaged weights are put in place
        assert not torch.equal(encoded(model, A)[0].tokens.tokens, first[0])
        for style in (*(replace(A, name=f"{number}") for number in range(20)), A):
            encoded(model, style)
    assert len(model.style_encoder.known) <= KEPT_READINGS
    assert encoded(model, A)[0].tokens.tokens.requires_grad  # made anew where gradients are asked for


@torch.no_grad()
def test_who_gives_the_pitch_brings_the_emotion_and_who_gives_the_rest_the_speaker(model):
    """As tokens, which come last; the prior reads all of both."""
    for styles in ([A, B], [B, A]):
        read, alone = encoded(model, *styles, pitch=PitchRegion()), encoded(model, *styles)
        assert [e.tokens.log_weight[0, -2:].exp().tolist() for e in read] == [[0, 1], [1, 0]]
        assert torch.equal(read[1].pooled, alone[1].pooled)


def test_an_energy_that_is_asked_for_comes_before_that_of_the_styles():
    readings = tuple(readings_of(tiny_model()))
    still = np.zeros(FRAMES)
    asked = AskedPitch(None, still, None, energy_db=still, weight=0.25)
    alike = shares_of(SECOND_HALF)
    energy_alone = replace(alike, pitch=alike.pitch.flip(1), timbre=alike.timbre.flip(1))
    for request, left in ((asked, 0.75), (replace(asked, energy_db=None), 1.0), (None, 1.0)):
        plan = plan_evaluations(readings, energy_alone, ("prosody", "envelope"), [request])
        torch.testing.assert_close(plan.branches[0].levels.sum(1), torch.full((1, FRAMES), left))
    # One share for all: pitch and timbre bring the level with them.
    assert not plan_evaluations(readings, alike, ("prosody", "envelope")).branches[0].levels.any()
