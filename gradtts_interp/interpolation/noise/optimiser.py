"""How a noise is moved: along a normalised gradient, along its shell, and never farther than a bound.

A noise of *d* numbers lies close to the shell of radius sqrt(d). A gradient step leaves the shell, and many steps in
one direction give a noise the network never met: speech loses its voicing. So each move ends on the shell again, within
a cap around where it began.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gradtts_interp.interpolation.noise.settings import NoiseWindow

TINY = 1e-12
LEAST_GAIN = 1e-6
"""A step must lower the loss by more than this, or it is not taken."""
PATIENCE = 3
"""After so many steps in vain in a row an item is left alone for the rest of the window."""
ENOUGH = -0.9
"""An item whose loss is no more than this is as it was wished, and stays where it is."""


def item_norm(x: Tensor) -> Tensor:
    """Euclidean norm of each item of (B, M, T), as (B, 1, 1)."""
    return x.flatten(1).norm(dim=1)[:, None, None]


def moved_part(x: Tensor, anchor: Tensor) -> Tensor:
    """Distance between ``x`` and ``anchor`` (B, M, T), as a part of the anchor's norm, (B, 1, 1)."""
    return item_norm(x - anchor) / item_norm(anchor).clamp_min(1e-6)


def within_move(x: Tensor, anchor: Tensor, bound: Tensor) -> Tensor:
    """Bring a noise to the shell of where it began, and keep it near.

    Args:
        x: Moved noise (B, M, T), 0 on padding.
        anchor: Noise before (B, M, T).
        bound: Largest distance as a part of the anchor's norm, (B, 1, 1).

    Returns:
        ``x`` on the shell where it is near enough, else the nearest point on its way there, turned about the origin.
    """
    radius = item_norm(anchor).clamp_min(TINY)
    x = x * (radius / item_norm(x).clamp_min(TINY))
    across = x - anchor * ((x * anchor).flatten(1).sum(1)[:, None, None] / radius.square())
    across = across / item_norm(across).clamp_min(TINY)
    # A chord of length bound * radius is seen from the origin under this angle.
    angle = 2 * torch.asin((bound / 2).clamp(max=1.0))
    edge = anchor * torch.cos(angle) + across * radius * torch.sin(angle)
    return torch.where(item_norm(x - anchor) > bound * radius, edge, x)


class Descent:
    """Steps of one window's items along the gradient: halved after a step in vain, and none after too many of them.

    Args:
        window: Gives the length of a step.
        like: Noise of the batch (B, M, T).
    """

    def __init__(self, window: NoiseWindow, like: Tensor) -> None:
        self.rate = torch.full_like(like[:, 0, 0], window.learning_rate)
        self.vain = torch.zeros_like(self.rate, dtype=torch.long)
        self.active = torch.ones_like(self.rate, dtype=torch.bool)
        self.count = 0

    def wants(self, loss: Tensor) -> Tensor:
        """Which items (B,) go on, from their losses (B,)."""
        return self.active & (loss > ENOUGH)

    def step(self, place: Tensor, gradient: Tensor, loss: Tensor, anchor: Tensor, bound: Tensor) -> Tensor:
        """Where to go from ``place`` (B, M, T), within ``bound`` of ``anchor``: against the gradient, normalised."""
        size = (self.rate * self.wants(loss))[:, None, None] * item_norm(anchor)
        return within_move(place - gradient / item_norm(gradient).clamp_min(TINY) * size, anchor, bound)

    def accept(self, before: Tensor, after: Tensor) -> Tensor:
        """Which items' steps are taken (B,), from the losses before and after (B,)."""
        tried = self.wants(before)
        taken = tried & (before - after > LEAST_GAIN)
        self.vain = torch.where(taken, 0, self.vain + tried)
        self.rate = torch.where(taken | ~tried, self.rate, self.rate / 2)
        self.active = self.active & (self.vain < PATIENCE)
        self.count += 1
        return taken
