"""Building blocks of the Grad-TTS U-Net, over planes (B, C, frequency, time)."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.models.layers import Linear, Mish, eager_on_cpu, masked


class TimePosition(nn.Module):
    """Sinusoidal code of diffusion time."""

    def __init__(self, width: int, *, scale: float) -> None:
        super().__init__()
        self.width = width
        self.scale = scale

    def forward(self, t: Tensor) -> Tensor:
        """Code times (B,) as (B, width)."""
        half = self.width // 2
        step = math.log(10000.0) / (half - 1)
        rates = torch.exp(torch.arange(half, device=t.device, dtype=t.dtype) * -step)
        angles = self.scale * t[:, None] * rates[None, :]
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class RegionGroupNorm(nn.GroupNorm):
    """Group normalisation whose statistics may be taken over each item's own frames only.

    The official network counts padding into the statistics, so that a sentence sounds different in a
    padded batch than alone. With a ``region`` mask the result is that of the sentence alone.
    """

    def forward(self, x: Tensor, region: Tensor | None = None) -> Tensor:
        """Normalise (B, C, F, T); ``region`` (B, 1, 1, T) is 1 on the first frames, which count; None for all."""
        if region is None:
            return super().forward(x)
        if eager_on_cpu(x):
            normal = torch.zeros_like(x)
            for item, row, length in zip(x, normal, region.flatten(1).sum(1).int().tolist(), strict=True):
                row[..., :length] = super().forward(item[None, ..., :length])[0]
            return normal
        grouped = rearrange(x, "b (g c) f t -> b g c f t", g=self.num_groups)
        weight = region[:, None].to(x.dtype)
        count = weight.sum(dim=(2, 3, 4), keepdim=True) * grouped.shape[2] * grouped.shape[3]
        mean = (grouped * weight).sum(dim=(2, 3, 4), keepdim=True) / count
        centred = grouped - mean
        variance = (centred.square() * weight).sum(dim=(2, 3, 4), keepdim=True) / count
        normal = rearrange(centred * torch.rsqrt(variance + self.eps), "b g c f t -> b (g c) f t")
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


class Block(nn.Module):
    """Convolution, group normalisation, Mish."""

    def __init__(self, channels_in: int, channels_out: int, groups: int = 8) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, padding=1), RegionGroupNorm(groups, channels_out), Mish()
        )

    def forward(self, x: Tensor, region: Tensor | None) -> Tensor:
        """Map (B, C_in, F, T), 0 on padding, to (B, C_out, F, T), which is not."""
        convolution, norm, activation = self.block
        return activation(norm(convolution(x), region))


class ResnetBlock(nn.Module):
    """Two blocks with the diffusion time added between them, and a skip."""

    def __init__(self, channels_in: int, channels_out: int, *, time_width: int, groups: int = 8) -> None:
        super().__init__()
        self.mlp = nn.Sequential(Mish(), Linear(time_width, channels_out))
        self.block1 = Block(channels_in, channels_out, groups)
        self.block2 = Block(channels_out, channels_out, groups)
        self.res_conv = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None, time: Tensor, region: Tensor | None) -> Tensor:
        """Map (B, C_in, F, T) to (B, C_out, F, T) given the time code (B, time_width); mask (B, 1, 1, T) of frames."""
        x = masked(x, mask)
        h = self.block1(x, region) + self.mlp(time)[:, :, None, None]
        return masked(self.block2(masked(h, mask), region), mask) + self.res_conv(x)


class LinearAttention(nn.Module):
    """Attention with a softmax over keys only, linear in the number of positions.

    Its answer is linear in the queries and in the values, and both are linear in the plane: only the keys are made for
    each position, and the rest is one matrix for each item.
    """

    def __init__(self, channels: int, heads: int = 4, head_width: int = 32) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Conv2d(channels, heads * head_width * 3, 1, bias=False)
        self.to_out = nn.Conv2d(heads * head_width, channels, 1)

    def forward(self, x: Tensor, region: Tensor | None) -> Tensor:
        """Attend over the plane (B, C, F, T); frames outside ``region`` (B, 1, 1, T) get no weight."""
        to_q, to_k, to_v = self.to_qkv.weight.flatten(1).chunk(3)
        plane = x.flatten(2)
        k = functional.conv2d(x, to_k[..., None, None]).flatten(2)
        if region is not None:
            inside = region.expand(-1, -1, x.shape[2], -1).flatten(2) > 0
            k = k.masked_fill(~inside, torch.finfo(k.dtype).min)
        read = rearrange(k.softmax(dim=-1) @ plane.transpose(1, 2), "b (h d) c -> b h c d", h=self.heads)
        context = rearrange(to_v, "(h e) c -> h e c", h=self.heads) @ read
        out = rearrange(self.to_out.weight, "o (h e) 1 1 -> h o e", h=self.heads) @ context
        matrix = rearrange(out, "b h o d -> b o (h d)") @ to_q
        return torch.baddbmm(self.to_out.bias[:, None], matrix, plane).view_as(x)  # type: ignore[index]


class Rezero(nn.Module):
    """A function times a learnt scalar that starts at zero."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn
        self.g = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, region: Tensor | None) -> Tensor:
        """Scale the inner function's answer."""
        # A scalar of no dimension is not rounded to the answer's bf16, and does not turn the answer into float32.
        return self.fn(x, region) * self.g[0]


class Residual(nn.Module):
    """A function with its input added."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor, region: Tensor | None) -> Tensor:
        """Add the input to the inner function's answer."""
        return self.fn(x, region) + x


def attention_block(channels: int) -> Residual:
    """Residual, rezero, linear attention: the self-attention of Grad-TTS."""
    return Residual(Rezero(LinearAttention(channels)))


class Downsample(nn.Module):
    """Halve both axes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, T) to (B, C, F/2, T/2)."""
        return self.conv(x)


class Upsample(nn.Module):
    """Double both axes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels, channels, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, T) to (B, C, 2F, 2T)."""
        return self.conv(x)


def fold(x: Tensor, patch: int) -> Tensor:
    """Fold patch x patch points of a plane (B, C, M, T) into channels."""
    return functional.pixel_unshuffle(x, patch) if patch > 1 else x


def unfold(x: Tensor, patch: int) -> Tensor:
    """Undo :func:`fold`."""
    return functional.pixel_shuffle(x, patch) if patch > 1 else x
