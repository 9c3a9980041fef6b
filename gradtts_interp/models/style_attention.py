"""Style cross-attention: mel positions ask, style tokens answer; processors as in diffusers say how.

What is read are the tokens of one or several styles. Two planes are kept apart on purpose. *Keys* live on the reference
plane (M, K): a mask there says which part of a reference may be read at all. *Queries* live on the target plane (M, T):
a share there says how much of each style is read at each mel bin and frame. Both enter the logits as logarithms, so
that a share of 0 is a hard mask, equal shares are an even prior, and shares that sum to 1 blend without ever adding two
residuals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.errors import InputError
from gradtts_interp.models.layers import Linear, attend, by_products, masked

LOG_ZERO = -1e4  # exp() of it is exactly 0 in fp32 and bf16, and it stays finite when added twice
POSITION_WIDTH = 32
LARGEST_PART = 2**23
"""Numbers of an attention map that are built at once: 32 MiB."""
ALIGNED_WIDTH = 8
"""Head widths that the fused kernels of a GPU take are multiples of this."""
COLUMNS_MULTIPLE = 16
"""Columns that are added to queries and keys: as many numbers as a CPU multiplies at once."""


def safe_log(x: Tensor) -> Tensor:
    """Logarithm with :data:`LOG_ZERO` for 0."""
    return torch.where(x > 0, x.clamp_min(1e-30).log(), torch.full_like(x, LOG_ZERO))


Plane = tuple[int, int]
"""Frequency and time positions of an attention site."""


@dataclass(frozen=True)
class StyleContext:
    """Tokens of a style, or of n styles side by side with the shares of the target plane.

    Attributes:
        tokens: (B, S, D), styles one after the other.
        log_weight: (B, S), logarithm of how much of each key may be read: :data:`LOG_ZERO` for padding.
        owner: (S,) integer: the style each key belongs to.
        share: (B, n, M, T) shares that sum to 1 over n, or (B, S, M, T) of each key; None when keys alone decide.
        memo: What :meth:`once` made; a copy starts without it.
    """

    tokens: Tensor
    log_weight: Tensor
    owner: Tensor
    share: Tensor | None = None
    memo: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Make what is the same at every step of an utterance once; anew each time where gradients are asked for.

        Args:
            key: What it is; the numbers it is computed in are part of it.
            make: Makes it, of this context and of weights that do not change while the context lives.

        Returns:
            What ``make`` gave, now or before.
        """
        if torch.is_grad_enabled():
            return make()
        device = self.tokens.device.type
        key = (key, torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device))
        if key not in self.memo:
            self.memo[key] = make()
        return self.memo[key]

    @property
    def n_styles(self) -> int:
        """Number of styles."""
        return int(self.owner.max()) + 1

    def bias(self, height: int, width: int) -> Tensor:
        """What is added to the logits of one attention site, made once.

        Args:
            height: Frequency positions of the site.
            width: Time positions of the site.

        Returns:
            Bias (B, Q, S), or (B, 1, S) without shares, with Q = height * width, frequency-major.
        """
        if self.share is None:
            return self.log_weight[:, None, :]
        share = self._site_share(height, width)
        logs = safe_log(share) if self._share_of_keys else safe_log(share)[:, self.owner]
        return (logs.transpose(1, 2) + self.log_weight[:, None, :]).clamp_min(LOG_ZERO)

    def columns(self, height: int, width: int) -> tuple[Tensor, Tensor] | None:
        """The same bias as a product, for attention that has no room for a plane of it.

        Args:
            height: Frequency positions of the site.
            width: Time positions of the site.

        Returns:
            Columns of queries (B, Q, r) and of keys (B, S, r), some of them 0; None where shares are of single keys.
        """
        if self._share_of_keys:
            return None
        return self.once(("columns", height, width), lambda: self._columns(height, width))

    def _columns(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        queries = self.log_weight.new_ones(len(self.log_weight), height * width, 1)
        keys = self.log_weight[..., None]
        if self.share is not None:
            logs = safe_log(self._site_share(height, width))
            owners = functional.one_hot(self.owner, logs.shape[1]).to(keys)
            queries = torch.cat([queries, logs.transpose(1, 2)], dim=-1)
            keys = torch.cat([keys, owners.expand(len(keys), -1, -1)], dim=-1)
        room = -queries.shape[-1] % COLUMNS_MULTIPLE
        return functional.pad(queries, (0, room)), functional.pad(keys, (0, room))

    def answered(self, height: int, width: int) -> Tensor:
        """Which queries of a site have any key: (B, Q, 1) or (B, 1, 1), 0 for those that may read nothing."""
        return self.once(("answered", height, width), lambda: self._answered(height, width))

    def _answered(self, height: int, width: int) -> Tensor:
        if self.share is None:
            return self.readable.any(-1)[:, None, None].to(self.log_weight.dtype)
        return (self._site_share(height, width).sum(1) > 0).to(self.log_weight.dtype)[..., None]

    @property
    def _share_of_keys(self) -> bool:
        return self.share is not None and self.share.shape[1] == len(self.owner)

    @property
    def readable(self) -> Tensor:
        """Which keys may be read at all, bool (B, S)."""
        return self.log_weight > LOG_ZERO / 2

    def _site_share(self, height: int, width: int) -> Tensor:
        """Shares (B, n or S, Q) at a site."""
        assert self.share is not None
        share = pool_plane(self.share, height, width).flatten(2)
        if self._share_of_keys:
            return share
        # A style without keys gives its share away, or the query would read nothing for no reason.
        readable = self.readable
        present = torch.stack([(readable & (self.owner == i)).any(-1) for i in range(share.shape[1])], dim=1)
        return share * present[:, :, None]


def pool_plane(plane: Tensor, height: int, width: int) -> Tensor:
    """Area-average planes (B, n, M, T) to (B, n, height, width)."""
    if plane.shape[-2:] == (height, width):
        return plane
    factor = plane.shape[-2] // height
    if plane.shape[-2:] == (height * factor, width * factor):
        return functional.avg_pool2d(plane, factor)  # the same, and ONNX has it for any length
    return functional.adaptive_avg_pool2d(plane, (height, width))


def context_of(tokens: Tensor, weight: Tensor) -> StyleContext:
    """The context of one style from its tokens (B, S, D) and how much of each may be read (B, S), in [0, 1]."""
    return StyleContext(tokens, safe_log(weight), torch.zeros(weight.shape[1], dtype=torch.long, device=weight.device))


def join(styles: list[StyleContext], share: Tensor | None = None) -> StyleContext:
    """Put the tokens of several styles side by side.

    Args:
        styles: Contexts of n styles, each (B, S_i, D).
        share: Shares (B, n, M, T) of the target plane that sum to 1 over n, or None.

    Returns:
        Context with S = sum of S_i keys.

    Raises:
        InputError: Number of shares and styles differ.
    """
    if share is not None and share.shape[1] != len(styles):
        raise InputError(f"{share.shape[1]} shares were given for {len(styles)} styles")
    device = styles[0].tokens.device
    owner = torch.cat([torch.full((s.tokens.shape[1],), i, device=device) for i, s in enumerate(styles)])
    return StyleContext(
        tokens=torch.cat([s.tokens for s in styles], dim=1),
        log_weight=torch.cat([s.log_weight for s in styles], dim=1),
        owner=owner,
        share=share,
    )


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

    def forward(self, queries: Tensor, tokens: Tensor, context: StyleContext, plane: Plane) -> Tensor:
        """Attend as the processor does.

        Args:
            queries: Mel positions (B, Q, C).
            tokens: Style tokens (B, S, D).
            context: The styles that are read, and how much of each.
            plane: Frequency and time positions of the site, whose product is Q.

        Returns:
            Answers (B, Q, C).
        """
        return self.processor(self, queries, tokens, context, plane)


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

    def forward(self, x: Tensor, mask: Tensor | None, context: StyleContext) -> Tensor:
        """Add what the styles say to a plane.

        Args:
            x: Plane (B, C, F, T).
            mask: (B, 1, 1, T), 0 on padding; None where there is none.
            context: Tokens and shares.

        Returns:
            Plane (B, C, F, T).
        """
        height, width = x.shape[2:]
        queries = self.norm(rearrange(x, "b c f t -> b (f t) c"))
        queries = queries + context.once(
            (self, height, width), lambda: self.position(plane_code(height, width, self.cell, x.device).to(x.dtype))
        )
        answer = self.attn(queries, context.tokens, context, (height, width))
        answer = answer * context.answered(height, width).to(answer.dtype) * self.gate.to(answer.dtype)
        return x + masked(rearrange(answer, "b (f t) c -> b c f t", f=height), mask)


def project(
    attn: Attention, x: Tensor, tokens: Tensor, context: StyleContext, *, width: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values as (B, heads, positions, head width); keys and values are made once per utterance.

    Args:
        attn: The layer.
        x: Mel positions (B, Q, C).
        tokens: Style tokens (B, S, D).
        context: The styles that are read.
        width: Width that keys and values are padded to by zeros; theirs if None.

    Returns:
        The three.
    """

    def keys_and_values() -> tuple[Tensor, Tensor]:
        k = rearrange(attn.to_k(tokens), "b s (h d) -> b h s d", h=attn.heads)
        v = rearrange(attn.to_v(tokens), "b s (h d) -> b h s d", h=attn.heads)
        if width is None:
            return k, v
        return functional.pad(k, (0, width - k.shape[-1])), functional.pad(v, (0, width - v.shape[-1]))

    q = rearrange(attn.to_q(x), "b q (h d) -> b h q d", h=attn.heads)
    if tokens is not context.tokens:
        return q, *keys_and_values()
    return q, *context.once((attn, width), keys_and_values)


def attend_to_styles(
    q: Tensor, k: Tensor, v: Tensor, context: StyleContext, plane: Plane, scale: float | None = None
) -> Tensor:
    """Attention of all heads with the shares and weights of a context.

    Args:
        q: Queries (B, heads, Q, d).
        k: Keys (B, heads, S, d).
        v: Values (B, heads, S, e).
        context: The styles that are read, and how much of each.
        plane: Frequency and time positions of the site.
        scale: Of the logits; that of the width d if None.

    Returns:
        Answers (B, heads, Q, e).
    """
    columns = context.columns(*plane) if by_products(q) else None
    if columns is None:
        return attend(q, k, v, context.bias(*plane)[:, None].to(q.dtype), scale)
    q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
    heads = (-1, q.shape[1], -1, -1)
    q, k = (torch.cat([x, c[:, None].to(x.dtype).expand(heads)], -1) for x, c in zip((q, k), columns, strict=True))
    return attend(q, k, v, None, 1.0)


def finish(attn: Attention, heads_out: Tensor) -> Tensor:
    """Merge heads (B, heads, Q, d) and project to (B, Q, C)."""
    merged = rearrange(heads_out, "b h q d -> b q (h d)")
    return attn.to_out[0](merged)


class StyleAttnProcessor:
    """Fused attention; builds no map. The default."""

    def __call__(self, attn: Attention, x: Tensor, tokens: Tensor, context: StyleContext, plane: Plane) -> Tensor:
        """Attend from (B, Q, C) to (B, S, D) as the context says; answer (B, Q, C)."""
        return finish(attn, attend_to_styles(*project(attn, x, tokens, context), context, plane))


class AttentionMapProcessor:
    """Builds the attention maps, some queries at a time, and hands each part to ``record``, off the graph.

    ``record(weights, queries, positions, context)`` gets weights (B, heads, some queries, S), the slice of queries they
    belong to, the number of all queries, and the context that was read.
    """

    def __init__(self, record) -> None:
        self.record = record

    def __call__(self, attn: Attention, x: Tensor, tokens: Tensor, context: StyleContext, plane: Plane) -> Tensor:
        """Attend as :class:`StyleAttnProcessor` does, and record the map."""
        q, k, v = project(attn, x, tokens, context)
        batch, heads, positions, width = q.shape
        mask = context.bias(*plane)[:, None].to(q.dtype).expand(-1, -1, positions, -1)
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

    def __call__(self, attn: Attention, x: Tensor, tokens: Tensor, context: StyleContext, plane: Plane) -> Tensor:
        """Attend as :class:`StyleAttnProcessor` does, and record the mass (B, heads, Q, sets), on the graph."""
        sets, head_width = self.key_sets(context), attn.to_v.out_features // attn.heads  # sets (B, S, n)
        used = head_width + sets.shape[-1]
        width = used if x.device.type == "cpu" else -(-used // ALIGNED_WIDTH) * ALIGNED_WIDTH
        q, k, values = project(attn, x, tokens, context, width=width)
        q = functional.pad(q, (0, width - head_width))
        values[..., head_width:used] = sets[:, None]  # into the room that is made for them once
        out = attend_to_styles(q, k, values, context, plane, head_width**-0.5)
        self.record(out[..., head_width:used])
        answer = out[..., :head_width]
        return finish(attn, answer)
