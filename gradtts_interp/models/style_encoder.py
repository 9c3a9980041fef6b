"""From a reference log-mel to style tokens whose place on the reference plane is known, and to one pooled style."""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.alignment import sequence_mask
from gradtts_interp.config import StyleConfig
from gradtts_interp.models.layers import ConvNeXtBlock, Linear, Mish
from gradtts_interp.models.style_attention import LOG_ZERO, StyleContext, context_of

ROLES = {"whole": 0, "pitch": 1, "rest": 2}
NAMED_IN = {"whole": (True, True), "pitch": (False, True), "rest": (True, False)}
"""Whether speaker and emotion are told of a reference in each role: the manner goes with the pitch."""
TIMBRE_KERNEL, TIMBRE_LAYERS = 5, 3


class TimbreEncoder(nn.Module):
    """Blocks over the frames of a reference, then mean and spread over those that tell most.

    What a mask hides is zero on the way in, and the mask is read beside the mel, so that nothing hidden leaks. Mean and
    spread of the mel itself go straight to the answer, which is linear in what was pooled: through a hidden layer,
    which died, every reference gave the same vector after some hundred steps of training.

    Args:
        n_mels: Mel bins (M).
        width: Channels of the blocks.
        channels: Width of the answer (E).
        n_speakers: Rows of the speaker table; 0 for none.
        emotion_dim: Size of an emotion vector; 0 for none.

    Source: of the pooling, Okabe et al. 2018, "Attentive statistics pooling for deep speaker embedding".
    """

    def __init__(self, n_mels: int, width: int, channels: int, *, n_speakers: int, emotion_dim: int) -> None:
        super().__init__()
        self.mel = Linear(2 * n_mels, width)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(width, kernel=TIMBRE_KERNEL, layers=TIMBRE_LAYERS) for _ in range(TIMBRE_LAYERS)
        )
        self.norm = nn.LayerNorm(width)
        self.weight = Linear(width, width)
        self.pool = Linear(2 * width, channels)
        self.spectrum = Linear(2 * n_mels, channels)
        self.speakers = nn.Embedding(n_speakers, channels) if n_speakers else None
        self.emotion = Linear(emotion_dim, channels, bias=False) if emotion_dim else None

    def forward(
        self,
        mel: Tensor,
        lengths: Tensor,
        *,
        mask: Tensor | None = None,
        speaker: Tensor | None = None,
        emotion: Tensor | None = None,
    ) -> Tensor:
        """Pool references.

        Args:
            mel: Normalised reference log-mels (B, M, K).
            lengths: Valid frames of each (B,).
            mask: How much of each point of the reference plane may be read, (B, M, K) in [0, 1]; None for all.
            speaker: Row of the speaker table (B,), -1 where unknown.
            emotion: Emotion vectors (B, E), all zero where unknown.

        Returns:
            Pooled styles (B, channels).
        """
        inside = sequence_mask(lengths, max_length=mel.shape[2])[:, None].to(mel.dtype)
        readable = inside.expand_as(mel) if mask is None else mask * inside
        x, valid = torch.cat([mel * readable, readable], dim=1).transpose(1, 2), inside.transpose(1, 2)
        h = self.mel(x) * valid
        for block in self.blocks:
            h = block(h, valid)
        h = self.norm(h)
        logits = self.weight(functional.gelu(h)).float().masked_fill(valid == 0, -1e4)
        weight = logits.softmax(dim=1)
        pooled = self.pool(_mean_and_spread(h, weight))
        share = readable / readable.sum(2, keepdim=True).clamp_min(1e-6)
        pooled = pooled + self.spectrum(_mean_and_spread(mel.transpose(1, 2), share.transpose(1, 2)))
        if self.speakers is not None and speaker is not None:
            pooled = pooled + self.speakers(speaker.clamp_min(0)) * (speaker >= 0).to(pooled.dtype)[:, None]
        if self.emotion is not None and emotion is not None:
            pooled = pooled + self.emotion(emotion)
        return pooled


def _mean_and_spread(x: Tensor, weight: Tensor) -> Tensor:
    """Mean and spread of x (B, T, C) under weights (B, T, C) that sum to 1 over T, (B, 2 C)."""
    mean = (x * weight).sum(1)
    spread = ((x - mean[:, None]).square() * weight).sum(1).clamp_min(1e-4).sqrt()
    return torch.cat([mean, spread], dim=-1)


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
        timbre_width: Channels of the :class:`TimbreEncoder` that the pooled style comes from.
    """

    def __init__(self, config: StyleConfig, *, n_mels: int, pooled_channels: int, timbre_width: int) -> None:
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
        names = {"n_speakers": config.n_speakers, "emotion_dim": config.emotion_dim}
        self.timbre = TimbreEncoder(n_mels, timbre_width, pooled_channels, **names)

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
    ) -> tuple[StyleContext, Tensor]:
        """Encode references.

        Args:
            mel: Normalised reference log-mels (B, M, K).
            lengths: Valid frames of each (B,).
            mask: How much of each point of the reference plane may be read, (B, M, K) in [0, 1].
            role: ``whole``, or ``pitch`` / ``rest`` where the reference serves for that part only; or the
                numbers of roles (B,), see :data:`ROLES`.
            speaker: Row of the speaker table (B,), -1 where unknown.
            emotion: Emotion vectors (B, E), all zero where unknown.

        Returns:
            Tokens (B, S, D), patches frequency-major, then speaker and emotion; and the pooled styles (B, E), a
            summary for the prior.
        """
        pb, pf = self.config.patch_bins, self.config.patch_frames
        inside = sequence_mask(lengths, max_length=mel.shape[2])[:, None].to(mel.dtype)
        reference = mel
        mel = functional.pad(mel * inside, (0, -mel.shape[2] % pf, 0, -mel.shape[1] % pb))
        patches = rearrange(mel, "b (f pb) (k pk) -> b f k (pb pk)", pb=pb, pk=pf)
        tokens = self.patches(patches) + self.bins.weight[None, :, None]
        tokens = rearrange(self.residues(tokens), "b f k d -> b (f k) d")
        legible = inside.expand(-1, self.bins.num_embeddings * pb, -1)
        legible = legible if mask is None else legible * functional.pad(mask, (0, 0, 0, -mask.shape[1] % pb))
        weight = self.tokens_of_mask(legible)
        if isinstance(role, str):
            role = torch.full((mel.shape[0],), ROLES[role], device=mel.device)
        tokens = tokens + self.roles(role)[:, None]
        for extra, known in self._vectors(mel.shape[0], speaker, emotion):
            tokens = torch.cat([tokens, extra[:, None]], dim=1)
            weight = torch.cat([weight, known[:, None].to(weight.dtype)], dim=1)
        pooled = self.timbre(reference, lengths, mask=mask, speaker=speaker, emotion=emotion)
        return context_of(tokens, weight), pooled

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

    def null_style(self, batch: int) -> StyleContext:
        """The style of nobody: one learnt token (B, 1, D), read when the style is dropped."""
        return context_of(repeat(self.null, "d -> b 1 d", b=batch), self.null.new_ones(batch, 1))

    def drop(self, styles: list[StyleContext], dropped: Tensor) -> list[StyleContext]:
        """Replace the tokens of some items by those of the null style.

        Args:
            styles: n styles; the null token is appended to each.
            dropped: (B,) bool.

        Returns:
            n styles; dropped items may read the null token only, the others all but it.
        """
        null, dropped = self.null_style(len(dropped)), dropped[:, None]
        kept = []
        for style in styles:
            own, of_null = (
                style.log_weight.masked_fill(dropped, LOG_ZERO),
                null.log_weight.masked_fill(~dropped, LOG_ZERO),
            )
            tokens, weight = torch.cat([style.tokens, null.tokens], dim=1), torch.cat([own, of_null], dim=1)
            kept.append(StyleContext(tokens, weight, torch.cat([style.owner, null.owner])))
        return kept
