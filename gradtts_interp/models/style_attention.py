"""Style cross-attention: mel positions ask, style tokens answer; processors as in diffusers say how."""

from __future__ import annotations

import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.models.layers import Linear
from gradtts_interp.models.style_context import StyleContext

POSITION_WIDTH = 32
LARGEST_PART = 2**23
"""Numbers of an attention map that are built at once: 32 MiB."""
ALIGNED_WIDTH = 8
"""Head widths that the fused kernels of a GPU take are multiples of this."""


def axis_code(length: int, cell: float, width: int, device: torch.device) -> Tensor:
    """Sinusoidal code (length, width) of positions that are ``cell`` mel bins or frames wide."""
    centres = (torch.arange(length, device=device, dtype=torch.float32) + 0.5) * cell
    rates = torch.exp(torch.linspace(0.0, -math.log(400.0), width // 2, device=device))
    angles = centres[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def plane_code(height: int, width: int, cell: float, device: torch.device) -> Tensor:
    """Position code (height * width, 2 * POSITION_WIDTH) of a plane, frequency-major.

    Args:
        height: Frequency positions.
        width: Time positions.
        cell: Mel bins and frames under one position.
        device: Where to make it.

    Returns:
        Codes in the original mel bins and frames, so that all sites share one coordinate system.
    """
    frequency = axis_code(height, cell, POSITION_WIDTH, device)
    time = axis_code(width, cell, POSITION_WIDTH, device)
    return torch.cat([frequency[:, None].expand(-1, width, -1), time[None].expand(height, -1, -1)], dim=-1).flatten(
        0, 1
    )


class Attention(nn.Module):
    """Projections of an attention layer under the names that diffusers gives them, and the processor that uses them.

    Importing diffusers' own takes longer than speaking a sentence.

    Args:
        channels: Width of the queries and of the answer (C).
        style_width: Width of the tokens (D).
        heads: Number of heads.
        head_width: Width of each.
    """

    def __init__(self, channels: int, style_width: int, *, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = Linear(channels, heads * head_width, bias=False)
        self.to_k = Linear(style_width, heads * head_width, bias=False)
        self.to_v = Linear(style_width, heads * head_width, bias=False)
        # A bias would reach positions that may read nothing.
        self.to_out = nn.ModuleList([Linear(heads * head_width, channels, bias=False)])
        self.processor: Any = StyleAttnProcessor()

    def forward(self, queries: Tensor, tokens: Tensor, bias: Tensor, context: StyleContext) -> Tensor:
        """Attend as the processor does.

        Args:
            queries: Mel positions (B, Q, C).
            tokens: Style tokens (B, S, D).
            bias: Added to the logits, (B, Q or 1, S).
            context: The styles that are read.

        Returns:
            Answers (B, Q, C).
        """
        return self.processor(self, queries, tokens, bias, context)


class StyleCrossAttention(nn.Module):
    """One attention site. Starts as the identity: its gate is zero.

    Queries are normalised per position before attention (so padding cannot reach them), contexts are blended
    by logit bias, and the residual is added once.
    """

    def __init__(self, channels: int, style_width: int, *, heads: int, cell: float) -> None:
        super().__init__()
        self.cell = cell
        self.norm = nn.LayerNorm(channels)
        self.position = Linear(2 * POSITION_WIDTH, channels)
        self.attn = Attention(channels, style_width, heads=heads, head_width=max(channels // heads, 16))
        self.gate = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, mask: Tensor, context: StyleContext) -> Tensor:
        """Add what the styles say to a plane.

        Args:
            x: Plane (B, C, F, T).
            mask: (B, 1, 1, T), 0 on padding.
            context: Tokens and shares.

        Returns:
            Plane (B, C, F, T).
        """
        height, width = x.shape[2:]
        bias, answered = context.once(("bias", height, width), lambda: context.site_bias(height, width))
        queries = self.norm(rearrange(x, "b c f t -> b (f t) c"))
        queries = queries + context.once(
            (self, height, width), lambda: self.position(plane_code(height, width, self.cell, x.device).to(x.dtype))
        )
        answer = self.attn(queries, context.tokens, bias, context)
        answer = rearrange(answer * answered * self.gate, "b (f t) c -> b c f t", f=height)
        return x + answer * mask


def project(
    attn: Attention,
    hidden_states: Tensor,
    encoder_hidden_states: Tensor,
    context: StyleContext,
    *,
    width: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values as (B, heads, positions, head width); keys and values are made once per utterance.

    Args:
        attn: The layer.
        hidden_states: Mel positions (B, Q, C).
        encoder_hidden_states: Style tokens (B, S, D).
        context: The styles that are read.
        width: Width that keys and values are padded to by zeros; theirs if None.

    Returns:
        The three.
    """

    def keys_and_values() -> tuple[Tensor, Tensor]:
        k = rearrange(attn.to_k(encoder_hidden_states), "b s (h d) -> b h s d", h=attn.heads)
        v = rearrange(attn.to_v(encoder_hidden_states), "b s (h d) -> b h s d", h=attn.heads)
        if width is None:
            return k, v
        return functional.pad(k, (0, width - k.shape[-1])), functional.pad(v, (0, width - v.shape[-1]))

    q = rearrange(attn.to_q(hidden_states), "b q (h d) -> b h q d", h=attn.heads)
    if encoder_hidden_states is not context.tokens:
        return q, *keys_and_values()
    return q, *context.once((attn, width), keys_and_values)


def finish(attn: Attention, heads_out: Tensor) -> Tensor:
    """Merge heads (B, heads, Q, d) and project to (B, Q, C)."""
    merged = rearrange(heads_out, "b h q d -> b q (h d)")
    return attn.to_out[0](merged)


class StyleAttnProcessor:
    """Fused attention; builds no map. The default."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor,
        context: StyleContext,
    ) -> Tensor:
        """Attend from (B, Q, C) to (B, S, D) with logit bias ``attention_mask`` (B, Q or 1, S); answer (B, Q, C)."""
        q, k, v = project(attn, hidden_states, encoder_hidden_states, context)
        mask = attention_mask[:, None].to(q.dtype)
        return finish(attn, functional.scaled_dot_product_attention(q, k, v, attn_mask=mask))


class AttentionMapProcessor:
    """Builds the attention maps, some queries at a time, and hands each part to ``record``, off the graph.

    ``record(weights, queries, positions, context)`` gets weights (B, heads, some queries, S), the slice of queries they
    belong to, the number of all queries, and the context that was read.
    """

    def __init__(self, record) -> None:
        self.record = record

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor,
        context: StyleContext,
    ) -> Tensor:
        """Attend as :class:`StyleAttnProcessor` does, and record the map."""
        q, k, v = project(attn, hidden_states, encoder_hidden_states, context)
        batch, heads, positions, width = q.shape
        mask = attention_mask[:, None].to(q.dtype).expand(-1, -1, positions, -1)
        some = max(1, LARGEST_PART // (batch * heads * k.shape[2]))
        answers = []
        for start in range(0, positions, some):
            part = slice(start, min(start + some, positions))
            logits = q[:, :, part] @ k.transpose(2, 3) / math.sqrt(width) + mask[:, :, part]
            weights = logits.float().softmax(dim=-1).to(v.dtype)
            self.record(weights.detach(), part, positions, context)
            answers.append(weights @ v)
        return finish(attn, torch.cat(answers, dim=2))


class AttentionMassProcessor:
    """Fused attention that also returns the mass on chosen keys, without building the map.

    The key sets ride along as extra value columns: softmax(QK) [V | sets] gives answer and mass in one product,
    differentiable and with O(S) memory per query. Queries and keys get as many columns of zeros, since the fused
    kernels take one width for all three, and without them torch builds the map.
    """

    def __init__(self, key_sets, record) -> None:
        self.key_sets = key_sets
        self.record = record

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor,
        context: StyleContext,
    ) -> Tensor:
        """Attend as :class:`StyleAttnProcessor` does, and record the mass (B, heads, Q, sets), on the graph."""
        sets, head_width = self.key_sets(context), attn.to_v.out_features // attn.heads  # sets (B, S, n)
        used = head_width + sets.shape[-1]
        width = used if hidden_states.device.type == "cpu" else -(-used // ALIGNED_WIDTH) * ALIGNED_WIDTH
        q, k, values = project(attn, hidden_states, encoder_hidden_states, context, width=width)
        q = functional.pad(q, (0, width - head_width))
        values[..., head_width:used] = sets[:, None]  # into the room that is made for them once
        mask, scale = attention_mask[:, None].to(q.dtype), head_width**-0.5
        out = functional.scaled_dot_product_attention(q, k, values, attn_mask=mask, scale=scale)
        self.record(out[..., head_width:used])
        answer = out[..., :head_width]
        return finish(attn, answer)
