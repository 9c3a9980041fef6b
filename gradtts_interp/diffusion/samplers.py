"""Samplers of one contract (`contract.Sampler`): the official ones, maximum likelihood, and diffusers' solvers."""

from __future__ import annotations

import math

from torch import Tensor

from gradtts_interp.diffusion.contract import (
    Callback,
    Generators,
    Sampler,
    Score,
    after_step,
    batch_time,
    standard_noise,
    start,
)
from gradtts_interp.diffusion.diffusers_adapter import dpm_solver, unipc
from gradtts_interp.diffusion.schedule import LinearSchedule, beta, noise_level, signal
from gradtts_interp.errors import InputError


def euler(
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
    """Follow the probability-flow ODE by Euler steps, the score taken at each interval's middle (see `Sampler`).

    ``generator`` is not used: nothing is random.

    Source: Popov et al. 2021, "Grad-TTS", section 2.2; the midpoints are those of its published inference.
    """
    x = start(noise, mu, mask, steps)
    for step in range(steps):
        t = (steps - step - 0.5) / steps
        slope = 0.5 * (mu - x - score(x, batch_time(t, x))) * beta(t, schedule)
        x = (x - slope / steps) * mask
        x, _ = after_step(callback, step, (steps - step - 1) / steps, x)
    return x


def euler_maruyama(
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
    """Follow the reverse SDE by Euler-Maruyama steps, the score taken at each interval's middle (see `Sampler`).

    Source: Popov et al. 2021, "Grad-TTS", section 2.2; the midpoints are those of its published inference.
    """
    x = start(noise, mu, mask, steps)
    for step in range(steps):
        t = (steps - step - 0.5) / steps
        drift = (0.5 * (mu - x) - score(x, batch_time(t, x))) * beta(t, schedule)
        kick = standard_noise(x, generator) * math.sqrt(beta(t, schedule) / steps)
        x = (x - drift / steps - kick) * mask
        x, _ = after_step(callback, step, (steps - step - 1) / steps, x)
    return x


def maximum_likelihood(
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
    """Follow the reverse SDE by the steps under which forward paths are likeliest (see `Sampler`).

    Source: Popov et al. 2022, "Diffusion-based voice conversion with fast maximum likelihood sampling scheme",
    section 3 and theorem 1, on the residual x - mu.
    """
    x = start(noise, mu, mask, steps)
    for step in range(steps):
        t, s = (steps - step) / steps, (steps - step - 1) / steps
        keep, push, spread = _maximum_likelihood_factors(t, s, schedule)
        x_s = mu + keep * (x - mu) + push * score(x, batch_time(t, x))
        if spread > 0:
            x_s = x_s + spread * standard_noise(x, generator)
        x, _ = after_step(callback, step, s, x_s * mask)
    return x


def _maximum_likelihood_factors(t: float, s: float, schedule: LinearSchedule) -> tuple[float, float, float]:
    """Factors on the residual, on the score and on the noise, for the step from t down to s.

    In the paper's letters, with gamma_{s,t} = exp(-1/2 integral of beta from s to t) and h = t - s:

    - residual: 1 + beta_t h (1/2 + omega*) = mu_{s,t} + nu_{s,t} / gamma_{0,t}
    - score: beta_t h (1 + kappa*) = nu_{s,t} (1 - gamma_{0,t}^2) / gamma_{0,t}
    - noise: sigma_{s,t}, where sigma_{s,t}^2 = (1 - gamma_{0,s}^2)(1 - gamma_{s,t}^2) / (1 - gamma_{0,t}^2)
    """
    gamma_0s, gamma_0t = signal(s, schedule), signal(t, schedule)
    gamma_st = gamma_0t / gamma_0s
    variance_0s, variance_0t = noise_level(s, schedule) ** 2, noise_level(t, schedule) ** 2
    variance_st = 1.0 - gamma_st**2
    mu_st = gamma_st * variance_0s / variance_0t
    nu_st = gamma_0s * variance_st / variance_0t
    return mu_st + nu_st / gamma_0t, nu_st * variance_0t / gamma_0t, math.sqrt(variance_0s * variance_st / variance_0t)


SAMPLERS: dict[str, Sampler] = {
    "euler": euler,
    "euler_maruyama": euler_maruyama,
    "ml": maximum_likelihood,
    "dpm++": dpm_solver,
    "unipc": unipc,
}


FAST_SOLVERS = frozenset({"dpm++", "unipc"})
"""Those that need about ten steps where the others need a hundred."""


def sampler_by_name(name: str) -> Sampler:
    """Look a sampler up.

    Args:
        name: A key of `SAMPLERS`.

    Returns:
        The sampler.

    Raises:
        InputError: No sampler has that name.
    """
    if name not in SAMPLERS:
        raise InputError(f"unknown solver {name!r}; expected one of {sorted(SAMPLERS)}")
    return SAMPLERS[name]
