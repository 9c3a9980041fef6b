"""What every sampler has in common: its signature, its checks, its noise."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Protocol

import torch
from torch import Tensor

from gradtts_interp.diffusion.schedule import LinearSchedule
from gradtts_interp.errors import InputError

Score = Callable[[Tensor, Tensor], Tensor]
"""From a noisy mel (B, M, T) and its time (B,) to the score (B, M, T)."""

Callback = Callable[[int, float, Tensor], Tensor | None]
"""Called after each step with its index, the time reached, and the mel there; may return a mel to go on with."""

Generators = torch.Generator | list[torch.Generator]
"""One source of randomness for the batch, or one for each item."""


class Sampler(Protocol):
    """The contract: one reverse diffusion from t = 1 to t = 0, differentiable, arguments left as they are."""

    def __call__(
        self,
        score: Score,
        schedule: LinearSchedule,
        noise: Tensor,
        mu: Tensor,
        mask: Tensor,
        steps: int,
        *,
        callback: Callback | None = None,
        generator: Generators | None = None,
    ) -> Tensor:
        """Turn noise into a mel.

        Args:
            score: From a noisy mel (B, M, T) and its time (B,) to the score (B, M, T).
            schedule: Noise schedule that the score was trained with.
            noise: Start minus ``mu``, already divided by the temperature, (B, M, T).
            mu: Prior mean, (B, M, T).
            mask: 1 at valid frames, (B, 1, T).
            steps: Number of steps, each one evaluation of ``score``; at least 1.
            callback: Called after each step as ``callback(step, t, x)``, where ``t`` is the time reached (0 after the
                last step); the tensor it returns replaces ``x``, None leaves it.
            generator: Randomness of stochastic samplers; one, or a list with one for each item.

        Returns:
            Mel at t = 0, (B, M, T); 0 outside the mask.

        Raises:
            InputError: ``steps`` is not a whole number of at least 1, or shapes do not belong together.
        """
        ...


def check_steps(steps: int) -> None:
    """Raise unless ``steps`` is a whole number of at least 1."""
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1:
        raise InputError(f"steps: expected a whole number of at least 1, got {steps!r}")


def start(noise: Tensor, mu: Tensor, mask: Tensor, steps: int) -> Tensor:
    """Check the arguments of a sampler and return its mel at t = 1, (B, M, T)."""
    check_steps(steps)
    if noise.shape != mu.shape or mask.shape != (mu.shape[0], 1, mu.shape[-1]):
        raise InputError(
            "expected noise and mu (B, M, T) and mask (B, 1, T), "
            f"got {tuple(noise.shape)}, {tuple(mu.shape)} and {tuple(mask.shape)}"
        )
    return (mu + noise) * mask


def after_step(callback: Callback | None, step: int, t: float, x: Tensor) -> tuple[Tensor, bool]:
    """Tell the callback; return the mel to go on with, and whether the callback replaced it."""
    replacement = None if callback is None else callback(step, t, x)
    return (x, False) if replacement is None else (replacement, True)


def batch_time(t: float, x: Tensor) -> Tensor:
    """One time for the whole batch of ``x``, (B,)."""
    return torch.full((x.shape[0],), t, dtype=x.dtype, device=x.device)


def standard_noise(like: Tensor, generator: Generators | None = None) -> Tensor:
    """Draw standard normal noise that depends on the generator alone, not on padding or device.

    Each item takes one seed from its generator, whatever its length, and draws its frames in order of time from that
    seed on the CPU. So an item's first frames get the same noise whatever padding follows them (for M a multiple of 16,
    the block of torch's generator): a batch with one generator for each item equals its single items.

    Args:
        like: Tensor (B, M, T) whose shape, device and dtype the noise takes.
        generator: One, or a list with one for each item; the global one when None.

    Returns:
        Noise (B, M, T).

    Raises:
        InputError: A list that does not hold one generator for each item.
    """
    batch, bins, frames = like.shape
    sources = generator if isinstance(generator, list) else [generator] * batch
    if len(sources) != batch:
        raise InputError(f"expected one generator for each of {batch} items, got {len(sources)}")
    items = [torch.randn(frames, bins, generator=_child(source)) for source in sources]
    return torch.stack(items).transpose(1, 2).to(device=like.device, dtype=like.dtype)


def _child(generator: torch.Generator | None) -> torch.Generator:
    """A CPU generator seeded by one draw from another (the global one when None)."""
    device = "cpu" if generator is None else generator.device
    seed = torch.randint(2**62, (), generator=generator, device=device)
    return torch.Generator().manual_seed(int(seed))
