"""What noise tuning asks for: small functions from what a network evaluation showed to a loss for each item.

Two families of one signature. The first reads *attention mass*, the second the *predicted clean mel*, so that tuning by
attention can be compared with tuning by outcome.

A softmax row sums to 1. A loss that picks query rows and adds up all their keys is therefore a constant whose gradient
is rounding noise; every loss here picks **keys**. Queries only ever get a weight, and a row's keys are never added up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gradtts_interp.models.style_context import pool_plane

Region = Literal["pitch", "rest", "whole"]
REGIONS: tuple[str, ...] = ("pitch", "rest", "whole")
KEY_REGIONS = 2  # keys are kept apart as pitch (0) and rest (1)
OUTCOME_SCALE = 0.1  # one neper of level is a loss of 0.1, so that both families have losses of about one


@dataclass(frozen=True)
class StyleOutcome:
    """What one style's reference looks like on the frames of the target.

    Attributes:
        level: Log level of the reference's frames (B, T), natural.
        low_level: The same of the F0 band.
        pitch: Bins of its F0 on the *target* plane (B, M, T).
        voiced: (B, 1, T), 1 where the reference is voiced.
    """

    level: Tensor
    low_level: Tensor
    pitch: Tensor
    voiced: Tensor


@dataclass(frozen=True)
class Goal:
    """What one window wants, for a batch.

    Attributes:
        style: Number of the style that is asked for.
        region: Its keys that count: inside its pitch mask on the *reference* plane, the rest, or all.
        outside_weight: Factor on the mass outside (gamma).
        sites: Weight of each attention site.
        mask: Real frames of the *target* (B, 1, T).
        share: Shares of all styles on the *target* plane (B, n, M, T), None for a single style.
        queries: ``"all"``, or ``"share"``: queries count by the style's share.
        low_bins: Mel bins below this one are the F0 band.
        outcomes: The references on the target's frames, one for each style; may be empty for attention mass.
    """

    style: int
    region: str
    outside_weight: float
    sites: Mapping[str, float]
    mask: Tensor
    share: Tensor | None = None
    queries: str = "all"
    low_bins: int = 11
    outcomes: tuple[StyleOutcome, ...] = ()


@dataclass(frozen=True)
class Observation:
    """What one network evaluation showed.

    Attributes:
        mass: For each site the attention mass (B, n, 2, H, W) of n styles' keys, inside their pitch mask and not, mean
            over heads; the four or more sets sum to 1 at each position.
        clean: Predicted clean log-mel (B, M, T), natural; None where only attention is looked at.
    """

    mass: Mapping[str, Tensor]
    clean: Tensor | None

    @property
    def mel(self) -> Tensor:
        """The clean log-mel, where it was looked at."""
        if self.clean is None:
            raise ValueError("an objective on the clean mel, of an evaluation that was ended before it was known")
        return self.clean


@dataclass(frozen=True)
class ObjectiveValue:
    """A loss for each item, and the two parts it is made of, each (B,)."""

    loss: Tensor
    inside: Tensor
    outside: Tensor


Objective = Callable[[Observation, Goal], ObjectiveValue]


def mass_in(seen: Observation, goal: Goal) -> ObjectiveValue:
    """Draw attention to the keys of a style's region.

    Outside are the style's other keys and the other styles' keys of the same region; the other styles' other keys are
    neither: A's pitch does not forbid B's voice.
    """
    own, others = _own_and_others(seen, goal)
    if goal.region == "whole":
        return _objective_value(own.sum(1), others.sum(1), goal.outside_weight)
    wanted = REGIONS.index(goal.region)
    return _objective_value(own[:, wanted], own[:, 1 - wanted] + others[:, wanted], goal.outside_weight)


def mass_out(seen: Observation, goal: Goal) -> ObjectiveValue:
    """Drive attention from the keys of a style's region to the style's other keys."""
    own, others = _own_and_others(seen, goal)
    if goal.region == "whole":
        return _objective_value(others.sum(1), own.sum(1), 1.0, inside_weight=goal.outside_weight)
    unwanted = REGIONS.index(goal.region)
    return _objective_value(own[:, 1 - unwanted], own[:, unwanted], 1.0, inside_weight=goal.outside_weight)


def mass_both(seen: Observation, goal: Goal) -> ObjectiveValue:
    """A style's region in and the other styles' same region out, at once and with equal weight."""
    own, others = _own_and_others(seen, goal)
    if goal.region == "whole":
        return _objective_value(own.sum(1), others.sum(1), 1.0)
    wanted = REGIONS.index(goal.region)
    return _objective_value(own[:, wanted], others[:, wanted], 1.0)


def mass_share(seen: Observation, goal: Goal) -> ObjectiveValue:
    """Bring each position's mass of each style to its share, whatever the share: mean squared distance.

    Nothing moves where attention already obeys, as under shares of 0 and 1.
    """
    loss: Tensor | float = 0.0
    inside: Tensor | float = 0.0
    for site, weight in goal.sites.items():
        mass = seen.mass[site].sum(2)
        height, width = mass.shape[-2:]
        wanted = torch.ones_like(mass) if goal.share is None else pool_plane(goal.share, height, width).to(mass)
        queries = _query_weight(goal, height, width, everywhere=True).to(mass)
        loss = loss + weight * ((mass - wanted).square().sum(1) * queries).sum((1, 2))
        inside = inside + weight * (torch.minimum(mass, wanted).sum(1) * queries).sum((1, 2))
    return ObjectiveValue(loss, inside, 1 - inside)  # type: ignore[arg-type, operator]


def mass_follow(seen: Observation, goal: Goal) -> ObjectiveValue:
    """Of each position's mass on the keys of a region, what goes to styles that are not to be followed there.

    The share of a style says how much it is followed: mass of a style of share 1 lowers the loss, mass of one of share
    0 raises it by as much.
    """
    loss: Tensor | float = 0.0
    inside: Tensor | float = 0.0
    for site, weight in goal.sites.items():
        mass = seen.mass[site]
        mass = mass.sum(2) if goal.region == "whole" else mass[:, :, REGIONS.index(goal.region)]
        height, width = mass.shape[-2:]
        share = torch.ones_like(mass) if goal.share is None else pool_plane(goal.share, height, width).to(mass)
        queries = weight * _query_weight(goal, height, width, everywhere=True).to(mass)
        loss = loss + (((1 - 2 * share) * mass).sum(1) * queries).sum((1, 2))
        inside = inside + ((share * mass).sum(1) * queries).sum((1, 2))
    return ObjectiveValue(loss, inside, loss + inside)  # type: ignore[arg-type, operator]


def f0_position(seen: Observation, goal: Goal) -> ObjectiveValue:
    """Put the energy of the F0 band on the style's F0, its contour laid over the target's frames.

    The loss is minus the log of the part of the band's energy on those bins, mean over voiced frames.
    """
    style = goal.outcomes[goal.style]
    band = seen.mel[:, : goal.low_bins]
    pitch = style.pitch[:, : goal.low_bins]
    counted = goal.mask[:, 0] * style.voiced[:, 0] * (pitch.sum(1) > 0)
    part = (band.softmax(1) * pitch).sum(1)
    inside = _mean_over(part, counted)
    return ObjectiveValue(_mean_over(-(part + 1e-6).log(), counted) * OUTCOME_SCALE, inside, 1 - inside)


def f0_band(seen: Observation, goal: Goal) -> ObjectiveValue:
    """Bring the level contour of the F0 band to the style's: mean squared distance."""
    level = seen.mel[:, : goal.low_bins].logsumexp(1)
    return _contour_distance(level, goal.outcomes[goal.style].low_level, goal)


def energy(seen: Observation, goal: Goal) -> ObjectiveValue:
    """Bring the level contour to the style's: mean squared distance."""
    return _contour_distance(seen.mel.logsumexp(1), goal.outcomes[goal.style].level, goal)


OBJECTIVES: dict[str, Objective] = {
    "mass_in": mass_in,
    "mass_out": mass_out,
    "mass_both": mass_both,
    "mass_share": mass_share,
    "mass_follow": mass_follow,
    "f0_position": f0_position,
    "f0_band": f0_band,
    "energy": energy,
}
ATTENTION_OBJECTIVES = ("mass_in", "mass_out", "mass_both", "mass_share", "mass_follow")


def _objective_value(
    inside: Tensor, outside: Tensor, outside_weight: float, *, inside_weight: float = 1.0
) -> ObjectiveValue:
    return ObjectiveValue(outside_weight * outside - inside_weight * inside, inside, outside)


def _own_and_others(seen: Observation, goal: Goal) -> tuple[Tensor, Tensor]:
    """Mass of the style's keys and of all others' (B, 2): pitch and rest, mean over queries, then over sites."""
    total: Tensor | float = 0.0
    for site, weight in goal.sites.items():
        mass = seen.mass[site]
        queries = _query_weight(goal, *mass.shape[-2:]).to(mass)
        total = total + weight * (mass * queries[:, None, None]).sum((-2, -1))
    own = total[:, goal.style]  # type: ignore[index]
    return own, total.sum(1) - own  # type: ignore[union-attr]


def _query_weight(goal: Goal, height: int, width: int, *, everywhere: bool = False) -> Tensor:
    """Weight of each position of a site (B, H, W), summing to 1 over an item's own frames."""
    frames = goal.mask.shape[-1]
    plane = goal.mask[:, :, None].expand(-1, -1, height, frames)
    weight = pool_plane(plane, height, width)[:, 0]
    if goal.queries == "share" and goal.share is not None and not everywhere:
        weight = weight * pool_plane(goal.share, height, width)[:, goal.style]
    return weight / weight.sum((1, 2), keepdim=True).clamp_min(1e-6)


def _contour_distance(level: Tensor, wanted: Tensor, goal: Goal) -> ObjectiveValue:
    distance = _mean_over((level - wanted).square(), goal.mask[:, 0])
    return ObjectiveValue(distance * OUTCOME_SCALE, torch.zeros_like(distance), distance.sqrt())


def _mean_over(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of (B, T) over the frames that count."""
    return (values * counted).sum(1) / counted.sum(1).clamp_min(1)
