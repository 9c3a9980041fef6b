"""The block that the frame prior and its neighbours are made of: depthwise convolution, then two linear layers.

A frame costs little more than two matrix products, which is what a CPU does best. Nothing in it looks at the whole
utterance, so padding cannot change what is inside.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.models.layers import Linear

EXPANSION = 3


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer normalisation, modulation by a style, two linear layers, and a skip.

    Args:
        width: Channels.
        kernel: Frames that the convolution sees, odd.
        layers: Blocks of the network it stands in; the more, the less each says before training.
        style_channels: Width of the style that scales and shifts the normalised channels; 0 for none.

    Source: Liu et al. 2022, "A ConvNet for the 2020s"; of the modulation, Perez et al. 2018, "FiLM".
    """

    def __init__(self, width: int, *, kernel: int, layers: int, style_channels: int = 0) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.film = Linear(style_channels, 2 * width) if style_channels else None
        self.widen = Linear(width, EXPANSION * width)
        self.narrow = Linear(EXPANSION * width, width)
        with torch.no_grad():
            self.narrow.weight.div_(layers**0.5)
        if self.film is not None:
            nn.init.normal_(self.film.weight, std=0.05)
            nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, mask: Tensor, style: Tensor | None = None) -> Tensor:
        """Filter a sequence.

        Args:
            x: Sequence (B, T, C), 0 on padding.
            mask: 1 on what is valid (B, T, 1).
            style: (B, T, E), or (B, 1, E) where it does not move; None for a block without modulation.

        Returns:
            (B, T, C), 0 on padding.
        """
        # A plane of height 1 in channels-last order is the fast way to a depthwise convolution on a CPU.
        plane = x.transpose(1, 2).unsqueeze(2)
        weight, bias = self.depthwise.weight.unsqueeze(2), self.depthwise.bias
        h = functional.conv2d(plane, weight, bias, padding=(0, weight.shape[-1] // 2), groups=weight.shape[0])
        h = self.norm(h.squeeze(2).transpose(1, 2))
        if self.film is not None:
            scale, shift = self.film(style).chunk(2, dim=-1)
            h = h * (1 + scale) + shift
        return x + self.narrow(functional.gelu(self.widen(h))) * mask
