"""How a noise is moved: along a normalised gradient, along its shell, and never farther than a bound.

A noise of *d* numbers lies close to the shell of radius sqrt(d). A gradient step leaves the shell, and many steps in
one direction give a noise the network never met: speech loses its voicing. So each move ends on the shell again, within
a cap around where it began.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

BETAS = (0.9, 0.99)
TINY = 1e-12


def item_norm(x: Tensor) -> Tensor:
    """Euclidean norm of each item of (B, M, T), as (B, 1, 1)."""
    return x.flatten(1).norm(dim=1)[:, None, None]


def to_shell(x: Tensor, anchor: Tensor) -> Tensor:
    """Scale ``x`` (B, M, T) to the norm of ``anchor``."""
    return x * (item_norm(anchor) / item_norm(x).clamp_min(TINY))


def within_move(x: Tensor, anchor: Tensor, bound: Tensor, *, shell: bool) -> Tensor:
    """Keep a noise near where it began.

    Args:
        x: Moved noise (B, M, T), 0 on padding.
        anchor: Noise before (B, M, T).
        bound: Largest distance as a part of the anchor's norm, (B, 1, 1).
        shell: Whether to stay on the anchor's shell, turning about the origin; else along the straight line.

    Returns:
        ``x`` itself where it is near enough (brought to the shell if asked), else the nearest point on its way.
    """
    if not shell:
        far = item_norm(x - anchor) / (bound * item_norm(anchor)).clamp_min(TINY)
        return anchor + (x - anchor) / far.clamp_min(1.0)
    x, radius = to_shell(x, anchor), item_norm(anchor).clamp_min(TINY)
    across = x - anchor * ((x * anchor).flatten(1).sum(1)[:, None, None] / radius.square())
    across = across / item_norm(across).clamp_min(TINY)
    # A chord of length bound * radius is seen from the origin under this angle.
    angle = 2 * torch.asin((bound / 2).clamp(max=1.0))
    edge = anchor * torch.cos(angle) + across * radius * torch.sin(angle)
    return torch.where(item_norm(x - anchor) > bound * radius, edge, x)


@dataclass
class Sgd:
    """Step of a fixed length against the gradient, as a part of the noise's norm."""

    def __call__(self, gradient: Tensor, size: Tensor) -> Tensor:
        """Displacement (B, M, T) of norm ``size`` (B, 1, 1)."""
        return -gradient / item_norm(gradient).clamp_min(TINY) * size


@dataclass
class Adam:
    """Adam on the normalised gradient; its first step has the same length as that of :class:`Sgd`.

    Source: Kingma and Ba 2015, algorithm 1.
    """

    count: int = 0
    moments: list[Tensor] = field(default_factory=list)

    def __call__(self, gradient: Tensor, size: Tensor) -> Tensor:
        """Displacement (B, M, T) of about norm ``size`` (B, 1, 1)."""
        gradient = gradient / item_norm(gradient).clamp_min(TINY)
        powers = (gradient, gradient.square())
        old = self.moments or [torch.zeros_like(gradient)] * len(powers)
        self.moments = [m * b + p * (1 - b) for m, p, b in zip(old, powers, BETAS, strict=True)]
        self.count += 1
        mean, square = (m / (1 - b**self.count) for m, b in zip(self.moments, BETAS, strict=True))
        points = (gradient != 0).flatten(1).sum(1)[:, None, None].clamp_min(1)
        return -mean / (square.sqrt() + 1e-8 / math.sqrt(gradient[0].numel())) * size / points.sqrt()


OPTIMISERS: dict[str, type[Sgd] | type[Adam]] = {"sgd": Sgd, "adam": Adam}
