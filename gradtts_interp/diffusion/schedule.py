"""The noise schedule of Grad-TTS as pure functions of diffusion time.

With the residual r = x - mu the process is variance preserving: r_t = signal(t) r_0 + noise_level(t) z, z ~ N(0, I).
Time runs from 0 (data) to 1 (noise). Rates and levels take a float or a tensor of times and answer in kind.

Source: Popov et al. 2021, "Grad-TTS", section 2; Lu et al. 2022, "DPM-Solver", for the log signal-to-noise ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from gradtts_interp.errors import InputError

Time = TypeVar("Time", float, Tensor)


@dataclass(frozen=True)
class LinearSchedule:
    """Noise rate rising linearly with time.

    Attributes:
        beta_min: Rate at t = 0, above 0.
        beta_max: Rate at t = 1, at least ``beta_min``.
    """

    beta_min: float = 0.05
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        """Refuse rates that do not turn data into noise."""
        if not 0 < self.beta_min <= self.beta_max < math.inf:
            raise InputError(
                f"expected 0 < beta_min <= beta_max, got beta_min={self.beta_min}, beta_max={self.beta_max}"
            )


def schedule_below(end: float, schedule: LinearSchedule) -> LinearSchedule:
    """Noise schedule of the way from time ``end`` to 0 as a whole way of its own, with times divided by ``end``."""
    return LinearSchedule(end * schedule.beta_min, end * beta(end, schedule))


def beta(t: Time, schedule: LinearSchedule) -> Time:
    """Noise rate at time t; the derivative of `integral`."""
    return schedule.beta_min + (schedule.beta_max - schedule.beta_min) * t


def integral(t: Time, schedule: LinearSchedule) -> Time:
    """Integral of the noise rate from 0 to t."""
    return schedule.beta_min * t + 0.5 * (schedule.beta_max - schedule.beta_min) * t * t


def signal(t: Time, schedule: LinearSchedule) -> Time:
    """Factor on the residual left at time t: 1 at t = 0, near 0 at t = 1."""
    exponent = -0.5 * integral(t, schedule)
    return torch.exp(exponent) if isinstance(exponent, Tensor) else math.exp(exponent)


def noise_level(t: Time, schedule: LinearSchedule) -> Time:
    """Standard deviation of the noise at time t: 0 at t = 0, near 1 at t = 1."""
    exponent = -integral(t, schedule)
    return torch.sqrt(-torch.expm1(exponent)) if isinstance(exponent, Tensor) else math.sqrt(-math.expm1(exponent))


def log_snr(t: float, schedule: LinearSchedule) -> float:
    """Half the log signal-to-noise ratio, log(signal / noise_level), falling with t; infinite at t = 0.

    This is the lambda of DPM-Solver.
    """
    area = integral(t, schedule)
    return -0.5 * math.log(math.expm1(area)) if area > 0 else math.inf


def time_of_log_snr(value: float, schedule: LinearSchedule) -> float:
    """Time at which `log_snr` takes a value; its exact inverse on (0, 1]."""
    area = max(-2.0 * value, 0.0) + math.log1p(math.exp(-abs(2.0 * value)))
    slope = schedule.beta_max - schedule.beta_min
    root = (schedule.beta_min**2 + 2.0 * slope * area) ** 0.5
    return 2.0 * area / (schedule.beta_min + root)


def diffuse(x0: Tensor, mu: Tensor, t: Tensor, noise: Tensor, schedule: LinearSchedule) -> Tensor:
    """Draw a noisy mel from the forward process.

    Args:
        x0: Clean mel, (B, M, T).
        mu: Prior mean, (B, M, T).
        t: Diffusion time in (0, 1], (B,).
        noise: Standard normal, (B, M, T).
        schedule: Noise schedule.

    Returns:
        Mel at time t, (B, M, T). Padded frames hold noise too: multiply by the mask before the network.

    Source: Grad-TTS, section 2.1.
    """
    t = t[:, None, None]
    return mu + (x0 - mu) * signal(t, schedule) + noise * noise_level(t, schedule)
