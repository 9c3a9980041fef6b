"""What noise tuning asks for: small functions from what a network evaluation showed to a loss for each item.

Two families of one signature. The first reads *attention mass*, the second the *predicted clean mel*, so that tuning by
attention can be compared with tuning by outcome.

A softmax row sums to 1. A loss that picks query rows and adds up all their keys is therefore a constant whose gradient
is rounding noise; every loss here picks **keys**. Queries only ever get a weight, and a row's keys are never added up.

Two planes, never mixed up: *keys* lie on the reference plane (M, K); *queries* lie on the target plane (M, T) and keep
their place, (B, H, W) at each site.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.attention import KEY_REGIONS
from gradtts_interp.interpolation.conditioning import region_mask
from gradtts_interp.interpolation.mechanisms import LOW_BAND_BINS
from gradtts_interp.interpolation.shares import PitchRegion
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.style_context import pool_plane
from gradtts_interp.pitch.masks import pitch_mask
from gradtts_interp.styles import Style

REGIONS: tuple[str, ...] = ("pitch", "rest", "whole")
OUTSIDE_WEIGHT = 0.2
"""Factor on the mass outside (gamma)."""
OUTCOME_SCALE = 0.1  # so that losses of both families are about one


@dataclass(frozen=True)
class Goal:
    """What one window wants, for a batch.

    Attributes:
        style: Number of the style that is asked for.
        region: Its keys that count: inside its pitch mask on the *reference* plane, the rest, or all.
        mask: Real frames of the *target* (B, 1, T).
        share: Shares of all styles in the timbre on the *target* plane (B, n, M, T), None for a single style.
        pitch_share: The same in the pitch.
        f0_bins: Bins of the style's F0 laid over the *target* (B, M, T), for an objective on the clean mel.
    """

    style: int
    region: str
    mask: Tensor
    share: Tensor | None = None
    pitch_share: Tensor | None = None
    f0_bins: Tensor | None = None

    def keys_of(self, mass: Tensor) -> Tensor:
        """Mass of the region's keys of each style (B, n, ...) from that of pitch and rest (B, n, 2, ...)."""
        return mass.sum(2) if self.region == "whole" else mass[:, :, REGIONS.index(self.region)]


Mass = Mapping[str, Tensor]
"""For each site the attention mass (B, n, 2, H, W) of n styles' keys, inside their pitch mask and not, mean over heads;
the four or more sets sum to 1 at each position."""

Value = tuple[Tensor, Tensor, Tensor]
"""The loss of each item, and the two parts it is made of, inside and outside, each (B,)."""

Objective = Callable[[Mass, Tensor | None, Goal], Value]
"""From attention mass, the predicted clean log-mel (B, M, T) where it is known, and a goal."""


def mass_in(mass: Mass, clean: Tensor | None, goal: Goal) -> Value:
    """Draw attention to the keys of a style's region.

    Outside are the style's other keys and the other styles' keys of the same region; the other styles' other keys are
    neither: A's pitch does not forbid B's voice.
    """
    found = _mean_mass(mass, goal)
    inside, outside = _own_and_others(found, goal)
    if goal.region != "whole":
        outside = outside + found[:, goal.style, 1 - REGIONS.index(goal.region)]
    return OUTSIDE_WEIGHT * outside - inside, inside, outside


def mass_share(mass: Mass, clean: Tensor | None, goal: Goal) -> Value:
    """Bring each position's mass of each style to its share, whatever the share: mean squared distance.

    Nothing moves where attention already obeys, as under shares of 0 and 1.
    """
    losses, insides = [], []
    for found in mass.values():
        of_styles = found.sum(2)
        queries, share = _queries_and_share(goal, of_styles, goal.share)
        losses.append(((of_styles - share).square().sum(1) * queries).sum((1, 2)))
        insides.append((torch.minimum(of_styles, share).sum(1) * queries).sum((1, 2)))
    loss, inside = torch.stack(losses).mean(0), torch.stack(insides).mean(0)
    return loss, inside, 1 - inside


def mass_follow(mass: Mass, clean: Tensor | None, goal: Goal) -> Value:
    """Of the mass on all styles' keys of a region, what goes to styles that are not to be followed there.

    The share of a style says how much it is followed, that of the pitch on keys inside the pitch masks and that of the
    timbre on the others: mass of a style of share 1 lowers the loss, mass of one of share 0 raises it by as much. Both
    regions count alike, though far more mass goes to the rest.
    """
    wanted = {"pitch": goal.pitch_share, "rest": goal.share}
    regions = wanted if goal.region == "whole" else (goal.region,)
    losses, insides = [], []
    for found in mass.values():
        for region in regions:
            of_styles = found[:, :, REGIONS.index(region)]
            of_styles = of_styles / of_styles.sum(1, keepdim=True).clamp_min(1e-6)
            queries, share = _queries_and_share(goal, of_styles, wanted[region])
            losses.append((((1 - 2 * share) * of_styles).sum(1) * queries).sum((1, 2)))
            insides.append(((share * of_styles).sum(1) * queries).sum((1, 2)))
    loss, inside = torch.stack(losses).mean(0), torch.stack(insides).mean(0)
    return loss, inside, loss + inside


def f0_position(mass: Mass, clean: Tensor | None, goal: Goal) -> Value:
    """Put the energy of the F0 band on the style's F0, its contour laid over the target's frames.

    The loss is minus the log of the part of the band's energy on those bins, mean over voiced frames.
    """
    assert clean is not None and goal.f0_bins is not None
    f0_bins = goal.f0_bins[:, :LOW_BAND_BINS]
    counted = goal.mask[:, 0] * (f0_bins.sum(1) > 0)
    part = (clean[:, :LOW_BAND_BINS].softmax(1) * f0_bins).sum(1)
    frames = counted.sum(1).clamp_min(1)
    inside = (part * counted).sum(1) / frames
    return (-(part + 1e-6).log() * counted).sum(1) / frames * OUTCOME_SCALE, inside, 1 - inside


OBJECTIVES: dict[str, Objective] = {
    "mass_in": mass_in,
    "mass_share": mass_share,
    "mass_follow": mass_follow,
    "f0_position": f0_position,
}
ATTENTION_OBJECTIVES = ("mass_in", "mass_share", "mass_follow")


def _mean_mass(mass: Mass, goal: Goal) -> Tensor:
    """Mass of each style's pitch keys and other keys (B, n, 2), mean over queries, then over sites."""
    sites = []
    for found in mass.values():
        queries, _ = _queries_and_share(goal, found[:, :, 0], None)
        sites.append((found * queries[:, None, None]).sum((-2, -1)))
    return torch.stack(sites).mean(0)


def _own_and_others(mass: Tensor, goal: Goal) -> tuple[Tensor, Tensor]:
    """Mass (B,) on the region's keys of the style, and of all other styles, from that of all keys (B, n, 2)."""
    of_styles = goal.keys_of(mass)
    own = of_styles[:, goal.style]
    return own, of_styles.sum(1) - own


def _queries_and_share(goal: Goal, mass: Tensor, share: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weight of each position (B, H, W), which sums to 1 over an item's own frames, and a share as ``mass`` has it."""
    height, width = mass.shape[-2:]
    weight = pool_plane(goal.mask[:, :, None].expand(-1, -1, height, -1), height, width)[:, 0].to(mass)
    share = torch.ones_like(mass) if share is None else pool_plane(share, height, width).to(mass)
    return weight / weight.sum((1, 2), keepdim=True).clamp_min(1e-6), share


# -- references on both planes -----------------------------------------------------------------------------------------


def style_key_sets(model: GradTTS, styles: Sequence[Style], sizes: Sequence[int], pitch: PitchRegion) -> Tensor:
    """Key sets of several styles side by side.

    Args:
        model: The model whose style encoder cuts a reference into tokens.
        styles: n styles with a reference.
        sizes: Tokens of each.
        pitch: What counts as pitch on the reference plane.

    Returns:
        (S, n, 2) in [0, 1] with S = sum of sizes: by how much of its area each token lies inside its own style's pitch
        mask, and by how much not; 0 for tokens of other styles. Those of speaker and emotion are not.

    Raises:
        InputError: A style has no reference, or the model no style encoder.
    """
    if model.style_encoder is None:
        raise InputError("noise tuning: this checkpoint has no style attention")
    rows = []
    for i, (style, size) in enumerate(zip(styles, sizes, strict=True)):
        if style.contour is None:
            raise InputError(f"style {style.name}: noise tuning needs a reference with an F0 contour")
        plane = region_mask(style.contour, pitch, model.settings.mel)
        area = model.style_encoder.tokens_of_mask(torch.from_numpy(plane)[None].to(model.device))[0]
        area = functional.pad(area, (0, size - area.shape[0]))
        row = area.new_zeros(size, len(styles), KEY_REGIONS)
        row[:, i] = torch.stack([area, 1 - area], dim=-1)
        rows.append(row)
    return torch.cat(rows)


def f0_bins_on_target(style: Style, lengths: Tensor, frames: int, *, mel: MelConfig, pitch: PitchRegion) -> Tensor:
    """Lay a reference's F0 over target frames, linearly from start to end: it says other words.

    Args:
        style: A style with a reference.
        lengths: Frames of each line (B,).
        frames: Frames of the padded batch (T).
        mel: Mel contract.
        pitch: What counts as pitch.

    Returns:
        Bins of its F0 (B, M, T), 0 where it is unvoiced and on padding.

    Raises:
        InputError: The style has no reference.
    """
    contour = style.contour
    if contour is None:
        raise InputError(f"style {style.name}: an objective on the clean mel needs a reference, and it has none")
    rows = []
    for length in lengths.tolist():
        at = ((np.arange(length) + 0.5) / length * len(contour)).astype(int).clip(0, len(contour) - 1)
        mask = pitch_mask(
            contour.f0_hz[at], contour.voiced[at], mel, harmonics=pitch.harmonics, width_bins=pitch.width_bins
        )
        rows.append(functional.pad(torch.from_numpy(mask), (0, frames - length)))
    return torch.stack(rows).to(lengths.device)
