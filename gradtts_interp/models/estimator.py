"""The U-Net that estimates the score: Grad-TTS exactly, plus style attention and per-frame prosody."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gradtts_interp.config import ModelConfig, StyleConfig
from gradtts_interp.models.blocks import (
    Block,
    Downsample,
    ResnetBlock,
    TimePosition,
    Upsample,
    attention_block,
    fold,
    unfold,
)
from gradtts_interp.models.layers import Linear, Mish, masked, unless_whole
from gradtts_interp.models.pitch_predictor import PITCH_CHANNELS, PITCH_FROM, PITCH_PLANES, PitchPlanes
from gradtts_interp.models.style_attention import StyleContext, StyleCrossAttention

WIDTH_FACTORS = (1, 2, 4)
PROSODY_PLANES = 4


class Estimator(nn.Module):
    """Score network over mel planes. Parameters shared with Grad-TTS carry the official names."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim, self.patch = config.dec_dim, config.patch
        self.has_speaker = config.n_spks > 1
        if self.has_speaker:
            wide = config.spk_emb_dim * 4
            self.spk_mlp = nn.Sequential(Linear(config.spk_emb_dim, wide), Mish(), Linear(wide, config.n_feats))
        self.time_pos_emb = TimePosition(dim, scale=config.pe_scale)
        self.mlp = nn.Sequential(Linear(dim, dim * 4), Mish(), Linear(dim * 4, dim))
        points = self.patch**2
        widths = [(3 if self.has_speaker else 2) * points, *(dim * f for f in WIDTH_FACTORS)]
        self.downs = nn.ModuleList(
            nn.ModuleList(
                [
                    ResnetBlock(into, out, time_width=dim),
                    ResnetBlock(out, out, time_width=dim),
                    attention_block(out),
                    Downsample(out) if i < len(WIDTH_FACTORS) - 1 else nn.Identity(),
                ]
            )
            for i, (into, out) in enumerate(zip(widths[:-1], widths[1:], strict=True))
        )
        self.mid_block1 = ResnetBlock(widths[-1], widths[-1], time_width=dim)
        self.mid_attn = attention_block(widths[-1])
        self.mid_block2 = ResnetBlock(widths[-1], widths[-1], time_width=dim)
        self.ups = nn.ModuleList(
            nn.ModuleList(
                [
                    ResnetBlock(out * 2, into, time_width=dim),
                    ResnetBlock(into, into, time_width=dim),
                    attention_block(into),
                    Upsample(into),
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
        time = self.mlp(self.time_pos_emb(t))
        planes = [mu, x] if not self.has_speaker else [mu, x, self.speaker_plane(speaker, x.shape[-1])]
        h = fold(torch.stack(planes, dim=1), self.patch)
        masks, regions = (self._of_levels(frames) for frames in (mask, region))
        hidden = []
        for level, (resnet1, resnet2, attend, down) in enumerate(self.downs):
            h = resnet1(h, masks[level], time, regions[level])
            if level == 0 and prosody is not None:
                h = h + masked(self._prosody(prosody), masks[level])
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
        kept = unless_whole(frames)
        steps = (self.patch * 2**level for level in range(len(WIDTH_FACTORS)))
        return [None if kept is None else kept[:, None, :, ::step] for step in steps]

    def _style(self, site: str, h: Tensor, mask: Tensor | None, context: StyleContext | None) -> Tensor:
        if context is None or site not in self.style_attn:
            return h
        return self.style_attn[site](h, mask, context)

    def _prosody(self, prosody: Tensor) -> Tensor:
        planes = self.prosody_mlp(prosody[:, :PITCH_FROM].transpose(1, 2))
        batch, frames, _ = planes.shape
        planes = planes.view(batch, frames, PROSODY_PLANES, -1).permute(0, 2, 3, 1)
        pitch = self.pitch_planes(prosody[:, PITCH_FROM : PITCH_FROM + PITCH_CHANNELS])
        return self.prosody_conv(fold(planes, self.patch)) + self.pitch_conv(fold(pitch, self.patch))
