"""The U-Net that estimates the score: Grad-TTS exactly, plus style attention and per-frame prosody.

Its building blocks work on planes (B, C, frequency, time).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.config import ModelConfig, StyleConfig
from gradtts_interp.models.layers import Linear, Mish, at_once, eager_on_cpu, hiding_part, masked, unless_whole
from gradtts_interp.models.pitch_predictor import PITCH_CHANNELS, PITCH_FROM, PITCH_PLANES, PitchPlanes
from gradtts_interp.models.style_attention import StyleContext, StyleCrossAttention

WIDTH_FACTORS = (1, 2, 4)
PROSODY_PLANES = 4


def time_code(t: Tensor, width: int, scale: float) -> Tensor:
    """Sinusoidal code (B, width) of diffusion times (B,)."""
    half = width // 2
    step = math.log(10000.0) / (half - 1)
    rates = torch.exp(torch.arange(half, device=t.device, dtype=t.dtype) * -step)
    angles = scale * t[:, None] * rates[None, :]
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
        h = convolution(x)
        # Of planes of many channels in bf16, torch's norm is five times as slow on a CPU as of float32.
        return activation(norm(h.float() if at_once(h) else h, region)).to(h.dtype)


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
        rows = plane.transpose(1, 2)
        in_rows = rows.is_contiguous()  # the memory order of bf16, in which the answer is wanted too
        k = to_k @ plane if in_rows else functional.conv2d(x, to_k[..., None, None]).flatten(2)
        if region is not None:
            inside = region.expand(-1, -1, x.shape[2], -1).flatten(2) > 0
            k = k.masked_fill(~inside, torch.finfo(k.dtype).min)
        read = rearrange(k.softmax(dim=-1) @ rows, "b (h d) c -> b h c d", h=self.heads)
        context = rearrange(to_v, "(h e) c -> h e c", h=self.heads) @ read
        out = rearrange(self.to_out.weight, "o (h e) 1 1 -> h o e", h=self.heads) @ context
        matrix, bias = rearrange(out, "b h o d -> b o (h d)") @ to_q, self.to_out.bias
        assert bias is not None
        if in_rows:
            return torch.baddbmm(bias, rows, matrix.transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])
        return torch.baddbmm(bias[:, None], matrix, plane).view_as(x)


class SelfAttention(nn.Module):
    """The self-attention of Grad-TTS: linear attention, times a learnt scalar that starts at zero, and a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fn: Any = nn.ModuleDict({"fn": LinearAttention(channels)})
        self.fn.g = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, region: Tensor | None) -> Tensor:
        """Attend over the plane (B, C, F, T) inside ``region`` (B, 1, 1, T), and add the plane."""
        # A scalar of no dimension is not rounded to the answer's bf16, and does not turn the answer into float32.
        return self.fn.fn(x, region) * self.fn.g[0] + x


def resampling(conv: nn.Module) -> nn.Sequential:
    """A convolution that halves or doubles both axes of a plane, under its official name."""
    return nn.Sequential(OrderedDict(conv=conv))


def fold(x: Tensor, patch: int) -> Tensor:
    """Fold patch x patch points of a plane (B, C, M, T) into channels."""
    return functional.pixel_unshuffle(x, patch) if patch > 1 else x


def unfold(x: Tensor, patch: int) -> Tensor:
    """Undo :func:`fold`."""
    return functional.pixel_shuffle(x, patch) if patch > 1 else x


class Estimator(nn.Module):
    """Score network over mel planes. Parameters shared with Grad-TTS carry the official names."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim, self.patch = config.dec_dim, config.patch
        self.has_speaker = config.n_spks > 1
        if self.has_speaker:
            wide = config.spk_emb_dim * 4
            self.spk_mlp = nn.Sequential(Linear(config.spk_emb_dim, wide), Mish(), Linear(wide, config.n_feats))
        self.time_code = partial(time_code, width=dim, scale=config.pe_scale)
        self.mlp = nn.Sequential(Linear(dim, dim * 4), Mish(), Linear(dim * 4, dim))
        points = self.patch**2
        widths = [(3 if self.has_speaker else 2) * points, *(dim * f for f in WIDTH_FACTORS)]
        self.downs = nn.ModuleList(
            nn.ModuleList(
                [
                    ResnetBlock(into, out, time_width=dim),
                    ResnetBlock(out, out, time_width=dim),
                    SelfAttention(out),
                    resampling(nn.Conv2d(out, out, 3, 2, 1)) if i < len(WIDTH_FACTORS) - 1 else nn.Identity(),
                ]
            )
            for i, (into, out) in enumerate(zip(widths[:-1], widths[1:], strict=True))
        )
        self.mid_block1 = ResnetBlock(widths[-1], widths[-1], time_width=dim)
        self.mid_attn = SelfAttention(widths[-1])
        self.mid_block2 = ResnetBlock(widths[-1], widths[-1], time_width=dim)
        self.ups = nn.ModuleList(
            nn.ModuleList(
                [
                    ResnetBlock(out * 2, into, time_width=dim),
                    ResnetBlock(into, into, time_width=dim),
                    SelfAttention(into),
                    resampling(nn.ConvTranspose2d(into, into, 4, 2, 1)),
                ]
            )
            for into, out in reversed(list(zip(widths[1:-1], widths[2:], strict=True)))
        )
        self.final_block = Block(dim, dim)
        self.final_conv = nn.Conv2d(dim, points, 1)
        self._add_style(config.style, widths, config)

    def _add_style(self, style: StyleConfig | None, widths: list[int], config: ModelConfig) -> None:
        """Make the parts the official network does not have; each starts as the identity."""
        self.style_attn = nn.ModuleDict()
        if style is None:
            return
        dim, middle, top = widths[1:]
        shapes = {"down0": (dim, 1), "down1": (middle, 2), "down2": (top, 4)}
        shapes |= {"mid": (top, 4), "up0": (middle, 4), "up1": (dim, 2)}
        for site in style.sites:
            channels, cell = shapes[site]
            self.style_attn[site] = StyleCrossAttention(
                channels, style.width, heads=style.heads, cell=float(cell * self.patch)
            )
        self.prosody_mlp = nn.Sequential(Linear(PITCH_FROM, 256), Mish(), Linear(256, PROSODY_PLANES * config.n_feats))
        self.prosody_conv = nn.Conv2d(PROSODY_PLANES * self.patch**2, dim, 1, bias=False)
        nn.init.zeros_(self.prosody_conv.weight)
        self.pitch_planes = PitchPlanes(config.mel)
        self.pitch_conv = nn.Conv2d(PITCH_PLANES * self.patch**2, dim, 1, bias=False)
        nn.init.zeros_(self.pitch_conv.weight)

    @property
    def frame_multiple(self) -> int:
        """The number of frames must be a multiple of this."""
        return self.patch * 2 ** (len(WIDTH_FACTORS) - 1)

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        mu: Tensor,
        t: Tensor,
        speaker: Tensor | None = None,
        *,
        context: StyleContext | None = None,
        prosody: Tensor | None = None,
        region: Tensor | None = None,
    ) -> Tensor:
        """Estimate from a noisy mel.

        Args:
            x: Noisy mel (B, M, T), T a multiple of ``frame_multiple``.
            mask: (B, 1, T), 0 on padding.
            mu: Prior mean (B, M, T).
            t: Diffusion time (B,) in (0, 1].
            speaker: Official speaker embedding (B, E), or a plane (B, M, T) that is already mapped and blended.
            context: Style tokens and shares; None for none.
            prosody: What is asked of each frame (B, 8, T), see
                :func:`~gradtts_interp.models.pitch_predictor.asked_prosody`; its energy is the frame prior's alone.
                None for none.
            region: (B, 1, T), 1 on the frames that exist when the item is alone; None counts padding into
                statistics as the official network does.

        Returns:
            The network's answer (B, M, T): the score, or minus the noise, as the model's ``prediction`` says.
        """
        time = self.mlp(self.time_code(t))
        planes = [mu, x] if not self.has_speaker else [mu, x, self.speaker_plane(speaker, x.shape[-1])]
        h = fold(torch.stack(planes, dim=1), self.patch)
        masks, regions = (self._of_levels(frames) for frames in (mask, region))
        if eager_on_cpu(h):
            masks = [None if level is None else hiding_part(level) for level in masks]
        hidden = []
        for level, (resnet1, resnet2, attend, down) in enumerate(self.downs):
            h = resnet1(h, masks[level], time, regions[level])
            if level == 0 and prosody is not None:
                h = h + self._prosody(prosody, masks[level], context, like=h)
            h = attend(resnet2(h, masks[level], time, regions[level]), regions[level])
            h = self._style(f"down{level}", h, masks[level], context)
            hidden.append(h)
            h = down(masked(h, masks[level]))
        h = self.mid_attn(self.mid_block1(h, masks[-1], time, regions[-1]), regions[-1])
        h = self._style("mid", h, masks[-1], context)
        h = self.mid_block2(h, masks[-1], time, regions[-1])
        for level, (resnet1, resnet2, attend, up) in enumerate(self.ups):
            level_mask, level_region = masks.pop(), regions.pop()
            h = resnet1(torch.cat([h, hidden.pop()], dim=1), level_mask, time, level_region)
            h = attend(resnet2(h, level_mask, time, level_region), level_region)
            h = self._style(f"up{level}", h, level_mask, context)
            h = up(masked(h, level_mask))
        h = masked(self.final_block(masked(h, masks[0]), regions[0]), masks[0])
        return unfold(self.final_conv(h), self.patch).squeeze(1) * mask

    def speaker_plane(self, speaker: Tensor | None, frames: int) -> Tensor:
        """Map a speaker embedding (B, E) to its input plane (B, M, T); a plane passes unchanged."""
        if speaker is None:
            raise ValueError("this model has several speakers: a speaker embedding is needed")
        if speaker.dim() == 3:
            return speaker
        return self.spk_mlp(speaker)[:, :, None].expand(-1, -1, frames)

    def _of_levels(self, frames: Tensor | None) -> list[Tensor | None]:
        """A mask of frames (B, 1, T) at each level (B, 1, 1, T at it); None where it hides nothing."""
        steps = (self.patch * 2**level for level in range(len(WIDTH_FACTORS)))
        return [unless_whole(None if frames is None else frames[:, None, :, ::step]) for step in steps]

    def _style(self, site: str, h: Tensor, mask: Tensor | None, context: StyleContext | None) -> Tensor:
        if context is None or site not in self.style_attn:
            return h
        return self.style_attn[site](h, mask, context)

    def _prosody(self, prosody: Tensor, mask: Tensor | None, context: StyleContext | None, *, like: Tensor) -> Tensor:
        """What is asked of each frame as a plane (B, C, F, T), in the memory order of another; with a context, once."""

        def make() -> Tensor:
            planes = self.prosody_mlp(prosody[:, :PITCH_FROM].transpose(1, 2))
            batch, frames, _ = planes.shape
            planes = planes.view(batch, frames, PROSODY_PLANES, -1).permute(0, 2, 3, 1)
            pitch = self.pitch_planes(prosody[:, PITCH_FROM : PITCH_FROM + PITCH_CHANNELS])
            plane = self.prosody_conv(fold(planes, self.patch)) + self.pitch_conv(fold(pitch, self.patch))
            in_rows = like.is_contiguous(memory_format=torch.channels_last)
            order = torch.channels_last if in_rows else torch.contiguous_format
            return masked(plane, mask).contiguous(memory_format=order)

        return make() if context is None else context.once(("prosody", prosody), make)
