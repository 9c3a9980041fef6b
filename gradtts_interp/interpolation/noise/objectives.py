"""What noise tuning asks for: small functions from what a network evaluation showed to a loss for each item.

Two of one signature: *attention* reads whose keys are attended to, *outcome* whose F0 the predicted clean mel has.

A softmax row sums to 1. A loss that picks query rows and adds up all their keys is therefore a constant whose gradient
is rounding noise; every loss here picks **keys**. Queries only ever get a weight, and a row's keys are never added up.

Two planes, never mixed up: *keys* lie on the reference plane (M, K); *queries* lie on the target plane (M, T) and keep
their place, (B, H, W) at each site.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.attention import KEY_REGIONS
from gradtts_interp.interpolation.conditioning import region_mask
from gradtts_interp.interpolation.mechanisms import LOW_BAND_BINS, StyleReading, single
from gradtts_interp.interpolation.shares import PitchRegion
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.pitch_predictor import PITCH_FROM, asked_f0_hz
from gradtts_interp.models.style_attention import pool_plane
from gradtts_interp.pitch.masks import pitch_mask
from gradtts_interp.styles import Style

REGIONS: tuple[str, ...] = ("pitch", "rest", "whole")


@dataclass(frozen=True)
class Goal:
    """What one window wants, for a batch.

    Attributes:
        region: Keys that count: those inside their style's pitch mask on the *reference* plane, the rest, or both.
        mask: Real frames of the *target* (B, 1, T).
        timbre: Shares of the styles in the timbre on the *target* plane (B, n, M, T).
        pitch: The same in the pitch.
        f0_bins: Bins of each style's F0 over the *target* (B, n, M, T), for the outcome.
    """

    region: str
    mask: Tensor
    timbre: Tensor
    pitch: Tensor
    f0_bins: Tensor | None = None


Mass = Mapping[str, Tensor]
"""For each site the attention mass (B, n, 2, H, W) of n styles' keys, inside their pitch mask and not, mean over heads;
the four or more sets sum to 1 at each position."""

Value = tuple[Tensor, Tensor, Tensor]
"""The loss of each item, and the two parts it is made of, inside and outside, each (B,)."""

Objective = Callable[[Mass, Tensor | None, Goal], Value]
"""From attention mass, the predicted clean log-mel (B, M, T) where it is known, and a goal."""


def attention(mass: Mass, clean: Tensor | None, goal: Goal) -> Value:
    """Of the mass on all styles' keys of a region, what goes to styles that are not to be followed there.

    The share of a style says how much it is followed, that of the pitch on keys inside the pitch masks and that of the
    timbre on the others: mass of a style of share 1 lowers the loss, mass of one of share 0 raises it by as much. Both
    regions count alike, though far more mass goes to the rest.
    """
    found = [
        _followed(part, share, _weight(goal, part))
        for of_site in mass.values()
        for part, share in zip(of_site.unbind(2), (goal.pitch, goal.timbre), strict=True)
    ]
    chosen = slice(None) if goal.region == "whole" else slice(REGIONS.index(goal.region), None, 2)
    loss, inside = (torch.stack(parts[chosen]).mean(0) for parts in zip(*found, strict=True))
    return loss, inside, loss + inside


def outcome(mass: Mass, clean: Tensor | None, goal: Goal) -> Value:
    """Of the energy that the predicted mel has on the styles' F0, what lies on one that is not to be followed."""
    assert clean is not None and goal.f0_bins is not None
    band = clean[:, :LOW_BAND_BINS].softmax(1)[:, None] * goal.f0_bins[:, :, :LOW_BAND_BINS]
    part = band.sum(2, keepdim=True)  # (B, n, 1, T)
    counted = goal.mask[:, None] * (goal.f0_bins.sum((1, 2), keepdim=True) > 0)
    loss, inside = _followed(part, goal.pitch, _weight(replace(goal, mask=counted[:, 0]), part))
    return loss, inside, loss + inside


OBJECTIVES: dict[str, Objective] = {"attention": attention, "outcome": outcome}


def _followed(part: Tensor, share: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Unwanted less wanted, and wanted, of what each style has (B, n, H, W), as parts of what all have, weighted."""
    part = part / part.sum(1, keepdim=True).clamp_min(1e-6)
    share = pool_plane(share, *part.shape[-2:]).to(part)
    return tuple((x.sum(1) * weight).sum((1, 2)) for x in ((1 - 2 * share) * part, share * part))  # type: ignore[return-value]


def _weight(goal: Goal, part: Tensor) -> Tensor:
    """Weight of each position (B, H, W), which sums to 1 over an item's own frames."""
    height, width = part.shape[-2:]
    weight = pool_plane(goal.mask[:, :, None].expand(-1, -1, height, -1), height, width)[:, 0].to(part)
    return weight / weight.sum((1, 2), keepdim=True).clamp_min(1e-6)


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
        InputError: A style has no reference.
    """
    assert model.style_encoder is not None
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


def f0_bins_of(readings: Sequence[StyleReading], mel: MelConfig) -> Tensor:
    """Bins of the F0 that each of n styles would have on the target (B, n, M, T), 0 where it is unvoiced."""
    rows = []
    for i in range(len(readings)):
        prosody = single(tuple(readings), i).prosody
        assert prosody is not None
        voiced, f0_hz = prosody[:, PITCH_FROM] > 0.5, asked_f0_hz(prosody[:, PITCH_FROM + 1])
        found = [pitch_mask(f.cpu().numpy(), v.cpu().numpy(), mel) for f, v in zip(f0_hz, voiced, strict=True)]
        rows.append(torch.from_numpy(np.stack(found)).to(prosody))
    return torch.stack(rows, dim=1)
