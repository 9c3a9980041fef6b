"""What cross-attention reads: the tokens of one or several styles, and who may read which.

Two planes are kept apart on purpose. *Keys* live on the reference plane (M, K): a mask there says which part
of a reference may be read at all. *Queries* live on the target plane (M, T): a share there says how much of
each style is read at each mel bin and frame. Both enter the logits as logarithms, so that a share of 0 is a
hard mask, equal shares are an even prior, and shares that sum to 1 blend without ever adding two residuals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gradtts_interp.errors import InputError

LOG_ZERO = -1e4  # exp() of it is exactly 0 in fp32 and bf16, and it stays finite when added twice


def safe_log(x: Tensor) -> Tensor:
    """Logarithm with :data:`LOG_ZERO` for 0."""
    return torch.where(x > 0, x.clamp_min(1e-30).log(), torch.full_like(x, LOG_ZERO))


@dataclass(frozen=True)
class StyleTokens:
    """Tokens of one style per item.

    Attributes:
        tokens: (B, S, D).
        weight: (B, S) in [0, 1]: 0 for padding, else how much of the token may be read.
        pooled: (B, D) summary of the style for the text encoder.
    """

    tokens: Tensor
    weight: Tensor
    pooled: Tensor


@dataclass(frozen=True)
class StyleContext:
    """Tokens of n styles side by side, with the shares of the target plane.

    Attributes:
        tokens: (B, S, D), styles one after the other.
        log_weight: (B, S), logarithm of how much of each key may be read.
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

    def expand(self, batch: int) -> StyleContext:
        """Repeat a context of one item for ``batch`` items."""
        if self.tokens.shape[0] == batch:
            return self
        if self.tokens.shape[0] != 1:
            raise InputError(f"style context holds {self.tokens.shape[0]} items; expected 1 or {batch}")
        share = None if self.share is None else self.share.expand(batch, -1, -1, -1)
        return replace(
            self,
            tokens=self.tokens.expand(batch, -1, -1),
            log_weight=self.log_weight.expand(batch, -1),
            share=share,
        )

    def site_bias(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Logit bias of one attention site, and which of its queries have any key.

        Args:
            height: Frequency positions of the site.
            width: Time positions of the site.

        Returns:
            Bias (B, Q, S) or (B, 1, S) with Q = height * width, frequency-major, and a mask (B, Q, 1) or
            (B, 1, 1) that is 0 for a query that may read nothing.
        """
        readable = self.log_weight > LOG_ZERO / 2
        if self.share is None:
            return self.log_weight[:, None, :], readable.any(-1)[:, None, None].to(self.log_weight.dtype)
        share = pool_plane(self.share, height, width).flatten(2)
        if share.shape[1] == len(self.owner):
            bias = safe_log(share).transpose(1, 2) + self.log_weight[:, None, :]
            return bias.clamp_min(LOG_ZERO), (share.sum(1) > 0).to(bias.dtype)[..., None]
        present = torch.stack([(readable & (self.owner == i)).any(-1) for i in range(share.shape[1])], dim=1)
        share = share * present[:, :, None]
        # A style without keys gives its share away, or the query would read nothing for no reason.
        bias = safe_log(share)[:, self.owner].transpose(1, 2) + self.log_weight[:, None, :]
        return bias.clamp_min(LOG_ZERO), (share.sum(1) > 0).to(bias.dtype)[..., None]


def pool_plane(plane: Tensor, height: int, width: int) -> Tensor:
    """Area-average planes (B, n, M, T) to (B, n, height, width)."""
    if plane.shape[-2:] == (height, width):
        return plane
    factor = plane.shape[-2] // height
    if plane.shape[-2:] == (height * factor, width * factor):
        return functional.avg_pool2d(plane, factor)  # the same, and ONNX has it for any length
    return functional.adaptive_avg_pool2d(plane, (height, width))


def join(styles: list[StyleTokens], share: Tensor | None = None) -> StyleContext:
    """Put the tokens of several styles side by side.

    Args:
        styles: n styles, each (B, S_i, D).
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
        log_weight=safe_log(torch.cat([s.weight for s in styles], dim=1)),
        owner=owner,
        share=share,
    )
