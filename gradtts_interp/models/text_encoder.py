"""Grad-TTS text encoder: phoneme ids to mel means and log-durations.

Module names are those of the official state dict (``encoder.*``), so its weights load as they are.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gradtts_interp.alignment import sequence_mask
from gradtts_interp.config import ModelConfig
from gradtts_interp.errors import InputError

MASKED_LOGIT = -1e4
PRENET_LAYERS = 3
PRENET_KERNEL = 5
PRENET_DROPOUT = 0.5
DURATION_KERNEL = 3


class ChannelNorm(nn.Module):
    """Layer normalisation over the channel axis of (B, C, L)."""

    def __init__(self, channels: int, eps: float = 1e-4) -> None:
        super().__init__()
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each position of ``x`` (B, C, L)."""
        variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + self.eps) * self.gamma[:, None] + self.beta[:, None]


class ConvReluNorm(nn.Module):
    """Convolutions with a residual around them all; the identity before training."""

    def __init__(self, channels: int, kernel: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=kernel // 2) for _ in range(layers)
        )
        self.norm_layers = nn.ModuleList(ChannelNorm(channels) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.proj = nn.Conv1d(channels, channels, 1)
        for parameter in self.proj.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Filter ``x`` (B, C, L) inside ``mask`` (B, 1, L)."""
        y = x
        for conv, norm in zip(self.conv_layers, self.norm_layers, strict=True):
            y = self.dropout(torch.relu(norm(conv(y * mask))))
        return (x + self.proj(y)) * mask


class RelativeAttention(nn.Module):
    """Self-attention with learnt embeddings of the offsets -window..window, shared by the heads.

    Source: Shaw et al. 2018, "Self-Attention with Relative Position Representations"; Glow-TTS's form of it.
    """

    def __init__(self, channels: int, heads: int, window: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.conv_q = nn.Conv1d(channels, channels, 1)
        self.conv_k = nn.Conv1d(channels, channels, 1)
        self.conv_v = nn.Conv1d(channels, channels, 1)
        self.conv_o = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout)
        width = channels // heads
        self.emb_rel_k = nn.Parameter(torch.randn(1, 2 * window + 1, width) * width**-0.5)
        self.emb_rel_v = nn.Parameter(torch.randn(1, 2 * window + 1, width) * width**-0.5)
        for conv in (self.conv_q, self.conv_k, self.conv_v):
            nn.init.xavier_uniform_(conv.weight)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Attend within ``x`` (B, D, L); ``mask`` (B, 1, L) hides padded keys."""
        query, key, value = (self._split(conv(x)) for conv in (self.conv_q, self.conv_k, self.conv_v))
        query = query / math.sqrt(query.shape[-1])
        offset, near = self._offsets(x.shape[-1], x.device)
        by_offset = (query @ self.emb_rel_k[0].T).gather(-1, offset.expand(query.shape[0], query.shape[1], -1, -1))
        logits = query @ key.transpose(-1, -2) + by_offset * near
        weights = self.dropout(logits.masked_fill(mask.unsqueeze(1) == 0, MASKED_LOGIT).softmax(dim=-1))
        context = weights @ value + self._weight_by_offset(weights) @ self.emb_rel_v[0]
        return self.conv_o(context.transpose(-1, -2).flatten(1, 2))

    def _split(self, x: Tensor) -> Tensor:
        """(B, D, L) to (B, heads, L, D / heads)."""
        return x.unflatten(1, (self.heads, -1)).transpose(-1, -2)

    def _offsets(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Row of the offset table for each (query, key), and whether the offset is inside the window; both (L, L)."""
        position = torch.arange(length, device=device)
        offset = position[None, :] - position[:, None] + self.window
        return offset.clamp(0, 2 * self.window), (offset >= 0) & (offset <= 2 * self.window)

    def _weight_by_offset(self, weights: Tensor) -> Tensor:
        """Attention (B, heads, L, L) read along the diagonals of the window: (B, heads, L, 2 window + 1)."""
        length = weights.shape[-1]
        padded = nn.functional.pad(weights, (self.window, self.window))
        query = torch.arange(length, device=weights.device)[:, None]
        key = query + torch.arange(2 * self.window + 1, device=weights.device)
        return padded.gather(-1, key.expand(*weights.shape[:2], -1, -1))


class Transformer(nn.Module):
    """Post-norm layers of relative attention and of two convolutions with a ReLU between them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels, layers, dropout = config.n_enc_channels, range(config.n_enc_layers), config.enc_dropout
        inner, kernel, padding = config.filter_channels, config.enc_kernel, config.enc_kernel // 2
        self.attn_layers = nn.ModuleList(
            RelativeAttention(channels, config.n_heads, config.window_size, dropout) for _ in layers
        )
        self.norm_layers_1 = nn.ModuleList(ChannelNorm(channels) for _ in layers)
        self.ffn_layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "conv_1": nn.Conv1d(channels, inner, kernel, padding=padding),
                    "conv_2": nn.Conv1d(inner, channels, kernel, padding=padding),
                }
            )
            for _ in layers
        )
        self.norm_layers_2 = nn.ModuleList(ChannelNorm(channels) for _ in layers)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Encode ``x`` (B, D, L) inside ``mask`` (B, 1, L)."""
        layers: Any = zip(self.attn_layers, self.norm_layers_1, self.ffn_layers, self.norm_layers_2, strict=True)
        for attention, norm_1, convs, norm_2 in layers:
            x = x * mask
            x = norm_1(x + self.dropout(attention(x, mask)))
            hidden = self.dropout(torch.relu(convs["conv_1"](x * mask)))
            x = norm_2(x + self.dropout(convs["conv_2"](hidden * mask) * mask))
        return x * mask


class DurationPredictor(nn.Module):
    """Log of each token's duration in frames."""

    def __init__(self, channels: int, inner_channels: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.conv_1 = nn.Conv1d(channels, inner_channels, kernel, padding=kernel // 2)
        self.norm_1 = ChannelNorm(inner_channels)
        self.conv_2 = nn.Conv1d(inner_channels, inner_channels, kernel, padding=kernel // 2)
        self.norm_2 = ChannelNorm(inner_channels)
        self.proj = nn.Conv1d(inner_channels, 1, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Predict (B, 1, L) from ``x`` (B, D, L) inside ``mask`` (B, 1, L)."""
        x = self.dropout(self.norm_1(torch.relu(self.conv_1(x * mask))))
        x = self.dropout(self.norm_2(torch.relu(self.conv_2(x * mask))))
        return self.proj(x * mask) * mask


class TextEncoder(nn.Module):
    """Token ids to the mean of the mel prior and the log-duration of each token.

    Args:
        config: Shape of the model; ``n_enc_channels`` and its neighbours are used.

    Raises:
        InputError: The width does not divide among the heads.

    Source: Popov et al. 2021, "Grad-TTS", section 3.3; Kim et al. 2020, "Glow-TTS", appendix A.1.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels = config.n_enc_channels
        if channels % config.n_heads:
            raise InputError(f"text-encoder width {channels} must be a multiple of its {config.n_heads} heads")
        self.emb = nn.Embedding(config.n_vocab, channels)
        nn.init.normal_(self.emb.weight, 0.0, channels**-0.5)
        self.prenet = ConvReluNorm(channels, PRENET_KERNEL, PRENET_LAYERS, PRENET_DROPOUT)
        self.encoder = Transformer(config)
        self.proj_m = nn.Conv1d(channels, config.n_feats, 1)
        self.proj_w = DurationPredictor(channels, config.filter_channels_dp, DURATION_KERNEL, config.enc_dropout)

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode a padded batch of token ids; what is padded never changes the rest.

        Args:
            ids: Token ids in [0, n_vocab), (B, L).
            lengths: Valid tokens of each item, (B,).

        Returns:
            Prior mean of each token (B, M, L), log-durations in frames (B, 1, L), which send no gradient into the
            encoder, and mask, 1 on tokens (B, 1, L).
        """
        x = self.emb(ids).transpose(1, 2) * math.sqrt(self.emb.embedding_dim)
        mask = sequence_mask(lengths, max_length=ids.shape[1]).unsqueeze(1).to(x.dtype)
        x = self.encoder(self.prenet(x, mask), mask)
        return self.proj_m(x) * mask, self.proj_w(x.detach(), mask), mask
