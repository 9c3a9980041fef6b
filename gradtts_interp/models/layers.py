"""Layers that the networks are made of. Those that torch has as well compute the same in less time on a CPU.

On a GPU, and where a graph is traced or compiled, these are torch's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

BY_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
"""That operator is torch's own and not public: where it is missing, layers are torch's."""
NUMBERS_AT_ONCE = 2**19
"""Of an activation."""
EXPANSION = 3
"""Of a :class:`ConvNeXtBlock`: how much wider it is inside."""
QUERIES_AT_ONCE = 320
"""Of attention in bf16, at most; more are taken in equal parts, whose maps the allocator keeps for the next."""


def at_once(x: Tensor) -> bool:
    """Whether a layer computes at once on a CPU: no graph is traced or compiled."""
    return x.device.type == "cpu" and not (torch.compiler.is_compiling() or torch.jit.is_tracing())


def eager_on_cpu(x: Tensor) -> bool:
    """Whether a layer computes at once on a CPU, and no gradient is asked for."""
    return at_once(x) and not torch.is_grad_enabled()


class Linear(nn.Linear):
    """A linear layer by oneDNN in float32.

    Torch multiplies by MKL, which leaves the AVX-512 units of an AMD processor idle: 106 GFLOP/s a core in place of
    240 (EPYC of family 26, 408 x 256 by 256 x 768, torch 2.11).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., C_in) to (..., C_out)."""
        plain = input.dtype == self.weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        if not (BY_ONEDNN and plain and eager_on_cpu(input) and input.numel()):
            return super().forward(input)
        return torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")


class Mish(nn.Mish):
    """x tanh(softplus(x)), by one sigmoid in place of an exponential, a logarithm and a tanh."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply to each number."""
        return _Mish.apply(input) if at_once(input) else functional.mish(input)


class _Mish(torch.autograd.Function):
    """With s = sigmoid(x), h = s - s^2 / 2 and r = 1 / (1 - h), tanh(softplus(x)) = hr, of derivative s (r - rs)^2.

    Torch's exponential is three times as slow as its sigmoid on an AMD processor, where MKL does without AVX-512.
    """

    @staticmethod
    def forward(ctx: Any, input: Tensor) -> Tensor:
        wide = torch.promote_types(input.dtype, torch.float32)
        answer = torch.empty_like(input)
        slope = torch.empty_like(input, dtype=wide) if ctx.needs_input_grad[0] else None
        for given, into, its in _in_parts(input, answer, slope):
            x = given.to(wide)
            s = x.sigmoid()
            h = torch.addcmul(s, s, s, value=-0.5)
            r = torch.sub(1, h).reciprocal_()
            h.mul_(r)
            if its is not None:
                torch.addcmul(h, torch.sub(1, s).mul_(r).square_(), s.mul_(x), out=its)
            if into.dtype == wide:
                torch.mul(h, x, out=into)
            else:
                into.copy_(h.mul_(x))  # torch multiplies into narrower numbers five times as slowly
        ctx.save_for_backward(slope)
        return answer

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        answer = torch.empty_like(gradient)
        for given, into, its in _in_parts(gradient, answer, slope):
            into.copy_(given.to(its.dtype) * its)
        return answer


def _in_parts(*planes: Tensor | None) -> Iterator[tuple[Any, ...]]:
    """Parts of planes of one shape, so small that what lies between the steps of a function stays in the cache."""
    first = planes[0]
    assert first is not None
    parts = max(1, -(-first.numel() // NUMBERS_AT_ONCE))
    return zip(*([None] * parts if plane is None else plane.chunk(parts) for plane in planes), strict=False)


def unless_whole(mask: Tensor | None) -> Tensor | None:
    """A mask, or None where it hides nothing, so that nothing need be multiplied by it.

    Args:
        mask: 1 where something counts, of any shape.

    Returns:
        The mask or None; on a GPU, where looking costs more than multiplying, the mask.
    """
    return None if mask is not None and at_once(mask) and bool(mask.all()) else mask


def hiding_part(mask: Tensor) -> Tensor:
    """The last frames of a mask (B, 1, 1, T), from the first that it hides of any item on."""
    return mask[..., int(mask.amin(0).sum()) :]


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Set to 0 what a mask hides.

    Args:
        x: Plane (B, C, F, T).
        mask: (B, 1, 1, T), or of the last frames alone, where the others are whole; None where it hides nothing.

    Returns:
        The plane in the numbers that it is given in; with a mask of the last frames, written over.
    """
    if mask is None:
        return x
    if mask.shape[-1] == x.shape[-1]:
        return x * mask.to(x.dtype)
    x[..., -mask.shape[-1] :].mul_(mask)
    return x


def by_products(q: Tensor) -> bool:
    """Whether :func:`attend` multiplies, where torch's fused kernel gains nothing from bf16."""
    return q.dtype == torch.bfloat16 and at_once(q)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, scale: float | None = None) -> Tensor:
    """Attention of all heads.

    In bf16 on a CPU by products of one item and some queries at a time: larger maps outgrow the cache.

    Args:
        q: Queries (B, heads, Q, d).
        k: Keys (B, heads, S, d).
        v: Values (B, heads, S, e); e is d where torch's fused kernel is to be used.
        bias: Added to the logits, (B, 1, Q or 1, S); None for nothing.
        scale: Of the logits; that of the width d if None.

    Returns:
        Answers (B, heads, Q, e).
    """
    if not by_products(q):
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)
    q = q if scale == 1 else q * (q.shape[-1] ** -0.5 if scale is None else scale)
    parts, answers = -(-q.shape[2] // QUERIES_AT_ONCE), []
    biases = [None] * len(q) if bias is None else list(bias.expand(*q.shape[:3], -1))
    for queries, keys, values, added in zip(q, k.transpose(2, 3), v, biases, strict=True):
        every = [None] * parts if added is None else added.chunk(parts, dim=1)
        each = zip(queries.chunk(parts, dim=1), every, strict=True)
        answers.append(torch.cat([_attend(some, keys, values, its) for some, its in each], dim=1))
    return torch.stack(answers)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    logits = q @ k if bias is None else torch.baddbmm(bias, q, k)
    return logits.softmax(dim=-1) @ v


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer normalisation, modulation by a style, two linear layers, and a skip.

    The frame prior and its neighbours are made of it: a frame costs little more than two matrix products, which is what
    a CPU does best. Nothing in it looks at the whole utterance, so padding cannot change what is inside.

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
