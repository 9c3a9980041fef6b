"""Layers that compute what torch's own do, in less time on a CPU.

On a GPU, and where a graph is traced or compiled, all are torch's own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

BY_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
"""That operator is torch's own and not public: where it is missing, layers are torch's."""
LARGEST_EXPONENT = 20.0
"""Beyond it tanh(softplus(x)) is 1 in float32."""
QUERIES_AT_ONCE = 512
"""Of attention in bf16."""


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
    """x tanh(softplus(x)), by one exponential in place of three functions."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply to each number."""
        return _Mish.apply(input) if at_once(input) else functional.mish(input)


class _Mish(torch.autograd.Function):
    """With e = exp(x) and n = e + e^2 / 2, tanh(log(1 + e)) = n / (n + 1), of derivative (e + e^2) / (n + 1)^2."""

    @staticmethod
    def forward(ctx: Any, input: Tensor) -> Tensor:
        ctx.save_for_backward(input)
        x, e, n = _exponentials(input)
        return n.div_(torch.add(n, 1, out=e)).mul_(x).to(input.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, e, n = _exponentials(*ctx.saved_tensors)
        part = (n + 1).reciprocal_()
        return e.addcmul_(e, e).mul_(x).mul_(part).add_(n).mul_(part).mul_(gradient).to(gradient.dtype)


def _exponentials(input: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The numbers x in float32 or wider, e, and n."""
    x = input.to(torch.promote_types(input.dtype, torch.float32))
    e = x.clamp(max=LARGEST_EXPONENT).exp_()
    return x, e, torch.addcmul(e, e, e, value=0.5)


def unless_whole(mask: Tensor | None) -> Tensor | None:
    """A mask, or None where it hides nothing, so that nothing need be multiplied by it.

    Args:
        mask: 1 where something counts, of any shape.

    Returns:
        The mask or None; on a GPU, where looking costs more than multiplying, the mask.
    """
    return None if mask is not None and at_once(mask) and bool(mask.all()) else mask


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Set to 0, in the numbers that ``x`` is given in, what a mask of :func:`unless_whole` hides."""
    return x if mask is None else x * mask.to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float | None = None) -> Tensor:
    """Attention of all heads.

    Torch's fused kernel gains nothing from bf16 on a CPU. Products do, of one item and some queries at a time: larger
    maps outgrow the cache.

    Args:
        q: Queries (B, heads, Q, d).
        k: Keys (B, heads, S, d).
        v: Values (B, heads, S, d).
        bias: Added to the logits, (B, 1, Q or 1, S).
        scale: Of the logits; that of the width d if None.

    Returns:
        Answers (B, heads, Q, d).
    """
    if not (q.dtype == torch.bfloat16 and at_once(q)):
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)
    bias = bias.expand(*q.shape[:3], -1)
    q = q * (q.shape[-1] ** -0.5 if scale is None else scale)
    answers = []
    for some, added in zip(q.split(QUERIES_AT_ONCE, dim=2), bias.split(QUERIES_AT_ONCE, dim=2), strict=True):
        items = zip(added, some, k.transpose(2, 3), v, strict=True)
        answers.append(
            torch.stack([torch.baddbmm(b, x, keys).softmax(dim=-1) @ values for b, x, keys, values in items])
        )
    return torch.cat(answers, dim=2)
