"""References laid over the frames of a target, for losses on the predicted clean mel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.mechanisms import LOW_BAND_BINS
from gradtts_interp.interpolation.objectives import StyleOutcome
from gradtts_interp.interpolation.shares import PitchRegion
from gradtts_interp.pitch.masks import pitch_mask
from gradtts_interp.styles import Style


def style_outcomes(
    styles: Sequence[Style], lengths: Tensor, frames: int, *, mel: MelConfig, pitch: PitchRegion
) -> tuple[StyleOutcome, ...]:
    """Lay references over target frames, linearly from start to end: they say other words.

    Args:
        styles: n styles with a reference.
        lengths: Frames of each line (B,).
        frames: Frames of the padded batch (T).
        mel: Mel contract.
        pitch: What counts as pitch.

    Returns:
        One outcome for each style, 0 on padding.

    Raises:
        InputError: A style has no reference.
    """
    return tuple(_outcome(style, lengths, frames, mel, pitch) for style in styles)


def _outcome(style: Style, lengths: Tensor, frames: int, mel: MelConfig, pitch: PitchRegion) -> StyleOutcome:
    if style.mel is None or style.contour is None:
        raise InputError(f"style {style.name}: an objective on the clean mel needs a reference, and it has none")
    reference = torch.from_numpy(style.mel)
    level, low_level = reference.logsumexp(0), reference[:LOW_BAND_BINS].logsumexp(0)
    contour = style.contour
    rows = []
    for length in lengths.tolist():
        at = ((np.arange(length) + 0.5) / length * len(contour)).astype(int).clip(0, len(contour) - 1)
        mask = pitch_mask(
            contour.f0_hz[at], contour.voiced[at], mel, harmonics=pitch.harmonics, width_bins=pitch.width_bins
        )
        voiced = torch.from_numpy(contour.voiced[at]).float()
        rows.append((level[at], low_level[at], torch.from_numpy(mask), voiced[None]))
    padded = [torch.stack([_pad(part, frames) for part in parts]) for parts in zip(*rows, strict=True)]
    return StyleOutcome(*[p.to(lengths.device) for p in padded])


def _pad(x: Tensor, frames: int) -> Tensor:
    return torch.nn.functional.pad(x, (0, frames - x.shape[-1]))
