"""From a reference log-mel to style tokens whose place on the reference plane is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.config import StyleConfig
from gradtts_interp.models.layers import Linear, Mish
from gradtts_interp.models.style_context import StyleTokens
from gradtts_interp.models.timbre_encoder import TimbreEncoder

ROLES = {"whole": 0, "pitch": 1, "rest": 2}
PROSODY_INPUT = 5  # four numbers and a flag that they are given


class Residue(nn.Module):
    """Normalise, widen, Mish, narrow, add: per token, so that a token knows its own patch only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.LayerNorm(width), Linear(width, 4 * width), Mish(), Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., D) to (..., D)."""
        return x + self.net(x)


class StyleEncoder(nn.Module):
    """Patches of a reference, one speaker token, one emotion token, and a learnt null token.

    No token looks beyond its own patch: a mask on the reference plane is then a mask on tokens, and nothing
    of what it hides leaks through a neighbour.

    Args:
        config: Shape.
        n_mels: Mel bins (M).
        pooled_channels: Width of the pooled style (E).
        timbre_width: Channels of the :class:`~gradtts_interp.models.timbre_encoder.TimbreEncoder` that the pooled style
            comes from, as a frame prior has it; 0: it is the mean of the patches and knows the prosody vector.
    """

    def __init__(self, config: StyleConfig, *, n_mels: int, pooled_channels: int, timbre_width: int = 0) -> None:
        super().__init__()
        self.config = config
        self.known: dict[Any, Any] = {}  # tokens of styles that were read before, see `interpolation.conditioning`
        width = config.width
        self.patches = Linear(config.patch_bins * config.patch_frames, width)
        self.bins = nn.Embedding(-(-n_mels // config.patch_bins), width)
        self.roles = nn.Embedding(len(ROLES), width)
        self.residues = nn.Sequential(Residue(width), Residue(width), nn.LayerNorm(width))
        self.speakers = nn.Embedding(config.n_speakers, width) if config.n_speakers else None
        self.emotion = Linear(config.emotion_dim, width) if config.emotion_dim else None
        self.null = nn.Parameter(torch.randn(width) * 0.02)
        self.null_pooled = nn.Parameter(torch.zeros(pooled_channels))
        self.timbre: TimbreEncoder | None = None
        if timbre_width:
            names = {"n_speakers": config.n_speakers, "emotion_dim": config.emotion_dim}
            self.timbre = TimbreEncoder(n_mels, timbre_width, pooled_channels, **names)
            return
        self.pool = Linear(width, pooled_channels)
        self.pool_prosody = Linear(PROSODY_INPUT, pooled_channels)
        self.pool_out = nn.Sequential(Mish(), Linear(pooled_channels, pooled_channels))

    def tokens_of_mask(self, mask: Tensor) -> Tensor:
        """Area-average a mask (B, M, K) of the reference plane to its tokens (B, S)."""
        pb, pf = self.config.patch_bins, self.config.patch_frames
        padded = functional.pad(mask, (0, -mask.shape[2] % pf, 0, -mask.shape[1] % pb))
        return reduce(padded, "b (f pb) (k pk) -> b (f k)", "mean", pb=pb, pk=pf)

    def forward(
        self,
        mel: Tensor,
        lengths: Tensor,
        *,
        mask: Tensor | None = None,
        role: str | Tensor = "whole",
        speaker: Tensor | None = None,
        emotion: Tensor | None = None,
        prosody: Tensor | None = None,
    ) -> StyleTokens:
        """Encode references.

        Args:
            mel: Normalised reference log-mels (B, M, K).
            lengths: Valid frames of each (B,).
            mask: How much of each point of the reference plane may be read, (B, M, K) in [0, 1].
            role: ``whole``, or ``pitch`` / ``rest`` where the reference serves for that part only; or the
                numbers of roles (B,), see :data:`ROLES`.
            speaker: Row of the speaker table (B,), -1 where unknown.
            emotion: Emotion vectors (B, E), all zero where unknown.
            prosody: Normalised prosody vectors with their flag, (B, 5); a timbre encoder does not read them.

        Returns:
            Tokens (B, S, D): patches frequency-major, then speaker and emotion.
        """
        pb, pf = self.config.patch_bins, self.config.patch_frames
        inside = (torch.arange(mel.shape[2], device=mel.device)[None] < lengths[:, None]).to(mel.dtype)[:, None]
        reference = mel
        mel = functional.pad(mel * inside, (0, -mel.shape[2] % pf, 0, -mel.shape[1] % pb))
        patches = rearrange(mel, "b (f pb) (k pk) -> b f k (pb pk)", pb=pb, pk=pf)
        tokens = self.patches(patches) + self.bins.weight[None, :, None]
        tokens = rearrange(self.residues(tokens), "b f k d -> b (f k) d")
        legible = inside.expand(-1, self.bins.num_embeddings * pb, -1)
        legible = legible if mask is None else legible * functional.pad(mask, (0, 0, 0, -mask.shape[1] % pb))
        weight = self.tokens_of_mask(legible)
        summary = (tokens * weight[..., None]).sum(1) / weight.sum(1, keepdim=True).clamp_min(1e-6)
        if isinstance(role, str):
            role = torch.full((mel.shape[0],), ROLES[role], device=mel.device)
        tokens = tokens + self.roles(role)[:, None]
        for extra, known in self._vectors(mel.shape[0], speaker, emotion):
            tokens = torch.cat([tokens, extra[:, None]], dim=1)
            weight = torch.cat([weight, known[:, None].to(weight.dtype)], dim=1)
            summary = summary + extra * known[:, None]
        if self.timbre is not None:
            pooled = self.timbre(reference, lengths, mask=mask, speaker=speaker, emotion=emotion)
        else:
            pooled = self.pool(summary)
            if prosody is not None:
                pooled = pooled + self.pool_prosody(prosody)
            pooled = self.pool_out(pooled)
        return StyleTokens(tokens=tokens, weight=weight, pooled=pooled)

    def _vectors(self, batch: int, speaker: Tensor | None, emotion: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """Speaker and emotion vectors (B, D) with a flag (B,) where they are known."""
        device, found = self.null.device, []
        if self.speakers is not None:
            row = torch.full((batch,), -1, device=device) if speaker is None else speaker
            found.append((self.speakers(row.clamp_min(0)), (row >= 0).to(self.null.dtype)))
        if self.emotion is not None:
            if emotion is None:
                emotion = torch.zeros(batch, self.config.emotion_dim, device=device, dtype=self.null.dtype)
            found.append((self.emotion(emotion), (emotion.abs().sum(-1) > 0).to(self.null.dtype)))
        return found

    def null_style(self, batch: int) -> StyleTokens:
        """The style of nobody: one learnt token (B, 1, D), read when the style is dropped."""
        return StyleTokens(
            tokens=repeat(self.null, "d -> b 1 d", b=batch),
            weight=torch.ones(batch, 1, device=self.null.device, dtype=self.null.dtype),
            pooled=repeat(self.null_pooled, "d -> b d", b=batch),
        )

    def drop(self, styles: list[StyleTokens], dropped: Tensor) -> list[StyleTokens]:
        """Replace the style of some items by the null style.

        Args:
            styles: n styles; the null token is appended to each.
            dropped: (B,) bool.

        Returns:
            n styles; dropped items may read the null token only, the others all but it.
        """
        batch = dropped.shape[0]
        null, keep = self.null_style(batch), (~dropped).to(styles[0].weight.dtype)[:, None]
        kept = []
        for style in styles:
            tokens, weight = style.tokens, style.weight * keep
            tokens = torch.cat([tokens, null.tokens], dim=1)
            weight = torch.cat([weight, (1 - keep)], dim=1)
            pooled = torch.where(dropped[:, None], null.pooled, style.pooled)
            kept.append(replace(style, tokens=tokens, weight=weight, pooled=pooled))
        return kept
