"""From a reference log-mel to one vector of whose voice it is and in which manner it speaks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.alignment import sequence_mask
from gradtts_interp.models.convnext import ConvNeXtBlock
from gradtts_interp.models.layers import Linear

KERNEL = 5
LAYERS = 3


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
        self.blocks = nn.ModuleList(ConvNeXtBlock(width, kernel=KERNEL, layers=LAYERS) for _ in range(LAYERS))
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
