"""Samplers of one contract (:func:`sample`): the official ones, maximum likelihood, and diffusers' solvers.

On the residual x - mu the process is the plain variance-preserving one, epsilon = -noise_level(t) * score, so every
solver written for that process applies. A scheduler of diffusers reads its place from ``sigmas`` (noise over signal),
which we set from our own schedule; its table of training steps is not used, hence no time is rounded to a grid.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from gradtts_interp.diffusion.schedule import (
    LinearSchedule,
    beta,
    log_snr,
    noise_level,
    schedule_below,
    signal,
    time_of_log_snr,
)
from gradtts_interp.errors import InputError

TIME_POWER = 1.5
FEW_STEPS = 5

Score = Callable[[Tensor, Tensor], Tensor]
"""From a noisy mel (B, M, T) and its time (B,) to the score (B, M, T)."""

Callback = Callable[[int, float, Tensor], Tensor | None]
"""Called after each step with its index, the time reached, and the mel there; may return a mel to go on with."""

Generators = torch.Generator | list[torch.Generator]
"""One source of randomness for the batch, or one for each item."""


def check_steps(steps: int) -> None:
    """Raise unless ``steps`` is a whole number of at least 1."""
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1:
        raise InputError(f"steps: expected a whole number of at least 1, got {steps!r}")


def sample(
    solver: str,
    score: Score,
    schedule: LinearSchedule,
    noise: Tensor,
    mu: Tensor,
    mask: Tensor,
    steps: int,
    *,
    callback: Callback | None = None,
    generator: Generators | None = None,
    start_time: float = 1.0,
) -> Tensor:
    """Turn noise into a mel by one reverse diffusion, differentiable; arguments are left as they are.

    Args:
        solver: A key of :data:`STEPS` or :data:`SCHEDULERS`.
        score: From a noisy mel (B, M, T) and its time (B,) to the score (B, M, T).
        schedule: Noise schedule that the score was trained with.
        noise: Start minus ``mu``, already divided by the temperature, (B, M, T).
        mu: Prior mean, (B, M, T).
        mask: 1 at valid frames, (B, 1, T).
        steps: Number of steps, each one evaluation of ``score``; at least 1.
        callback: Called after each step as ``callback(step, t, x)``, where ``t`` is the time reached (0 after the
            last step); the tensor it returns replaces ``x``, None leaves it.
        generator: Randomness of stochastic samplers; one, or a list with one for each item.
        start_time: In (0, 1]: below 1, ``mu + noise`` is a mel noised up to that time, and all steps lie below it.

    Returns:
        Mel at t = 0, (B, M, T); 0 outside the mask.

    Source: Meng et al. 2022, "SDEdit", for the start below 1.

    Raises:
        InputError: ``steps`` is not a whole number of at least 1, or shapes do not belong together.
    """
    check_steps(steps)
    if noise.shape != mu.shape or mask.shape != (mu.shape[0], 1, mu.shape[-1]):
        raise InputError(
            "expected noise and mu (B, M, T) and mask (B, 1, T), "
            f"got {tuple(noise.shape)}, {tuple(mu.shape)} and {tuple(mask.shape)}"
        )
    x = (mu + noise) * mask
    if start_time < 1:
        schedule = schedule_below(start_time, schedule)
        score, callback = _score_below(score, start_time), _callback_below(callback, start_time)
    if solver in SCHEDULERS:
        times = evaluation_times(steps, schedule)
        return _look_back(SCHEDULERS[solver], x, score, schedule, mu, mask, times, callback)
    for step in range(steps):
        x = STEPS[solver](x, score, schedule, mu, step, steps, generator) * mask
        x, _ = _after_step(callback, step, (steps - step - 1) / steps, x)
    return x


def steps_from(start_time: float, steps: int) -> int:
    """As many steps as a way of ``steps`` from time 1 has below ``start_time``, at least 2."""
    return max(2, round(start_time * steps))


def _score_below(score: Score, end: float) -> Score:
    """Score at a part of the way from time ``end`` down."""
    return lambda x, t: score(x, end * t)


def _callback_below(callback: Callback | None, end: float) -> Callback | None:
    """A callback that is told times, not parts of the way from time ``end`` down."""
    return None if callback is None else lambda step, t, x: callback(step, end * t, x)


def _after_step(callback: Callback | None, step: int, t: float, x: Tensor) -> tuple[Tensor, bool]:
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


# -- one step after the other ------------------------------------------------------------------------------------------


def euler(
    x: Tensor, score: Score, schedule: LinearSchedule, mu: Tensor, step: int, steps: int, generator: Generators | None
) -> Tensor:
    """Follow the probability-flow ODE by Euler steps, the score taken at each interval's middle.

    ``generator`` is not used: nothing is random.

    Source: Popov et al. 2021, "Grad-TTS", section 2.2; the midpoints are those of its published inference.
    """
    t = (steps - step - 0.5) / steps
    return x - 0.5 * (mu - x - score(x, batch_time(t, x))) * beta(t, schedule) / steps


def euler_maruyama(
    x: Tensor, score: Score, schedule: LinearSchedule, mu: Tensor, step: int, steps: int, generator: Generators | None
) -> Tensor:
    """Follow the reverse SDE by Euler-Maruyama steps, the score taken at each interval's middle.

    Source: Popov et al. 2021, "Grad-TTS", section 2.2; the midpoints are those of its published inference.
    """
    t = (steps - step - 0.5) / steps
    drift = (0.5 * (mu - x) - score(x, batch_time(t, x))) * beta(t, schedule)
    return x - drift / steps - standard_noise(x, generator) * math.sqrt(beta(t, schedule) / steps)


def maximum_likelihood(
    x: Tensor, score: Score, schedule: LinearSchedule, mu: Tensor, step: int, steps: int, generator: Generators | None
) -> Tensor:
    """Follow the reverse SDE by the steps under which forward paths are likeliest.

    Source: Popov et al. 2022, "Diffusion-based voice conversion with fast maximum likelihood sampling scheme",
    section 3 and theorem 1, on the residual x - mu.
    """
    t, s = (steps - step) / steps, (steps - step - 1) / steps
    keep, push, spread = _maximum_likelihood_factors(t, s, schedule)
    x_s = mu + keep * (x - mu) + push * score(x, batch_time(t, x))
    return x_s + spread * standard_noise(x, generator) if spread > 0 else x_s


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


# -- solvers of diffusers, which look back -----------------------------------------------------------------------------


def evaluation_times(steps: int, schedule: LinearSchedule) -> list[float]:
    """Times at which the multistep solvers evaluate the score, falling from 1; from the last one a step leads to 0.

    With many steps they are even in log-SNR, where these solvers' error is smallest. But with 4 to 8 such steps the
    first ones leave t = 1 so fast that a small error of the score grows many times over; times falling as
    (1 - i / steps) ** 1.5 are safe there. So up to 5 steps are these, and more steps a mean of both in log-SNR,
    with weight (5 / steps) ** 1.5 on these. On a three-mode toy, with a score off by 0 to 10 % of its scale, the error
    falls with every step added from 4 to 20 (tests). The last time, about steps ** -1.5, draws nearer to 0 as there
    are more steps.

    Args:
        steps: Number of evaluations.
        schedule: Noise schedule.

    Returns:
        ``steps`` falling times in (0, 1].
    """
    careful = min(1.0, (FEW_STEPS / steps) ** TIME_POWER)
    first, last = log_snr(1.0, schedule), log_snr(0.5 * steps**-1.5, schedule)
    times = [1.0]
    for i in range(1, steps):
        even = first + (last - first) * i / (steps - 1)
        by_power = log_snr((1 - i / steps) ** TIME_POWER, schedule)
        times.append(time_of_log_snr(careful * by_power + (1 - careful) * even, schedule))
    return times


def _look_back(
    kind: str,
    x: Tensor,
    score: Score,
    schedule: LinearSchedule,
    mu: Tensor,
    mask: Tensor,
    times: list[float],
    callback: Callback | None,
) -> Tensor:
    """Follow the probability-flow ODE by a scheduler of diffusers; a replaced mel starts its history anew."""
    scheduler = _scheduler(kind, times, schedule)
    for step, t in enumerate(times):
        epsilon = -noise_level(t, schedule) * score(x, batch_time(t, x))
        residual = scheduler.step(epsilon, scheduler.timesteps[0], x - mu, return_dict=False)[0]
        rest = times[step + 1 :]
        x, replaced = _after_step(callback, step, rest[0] if rest else 0.0, (mu + residual) * mask)
        if replaced and rest:
            scheduler = _scheduler(kind, rest, schedule)
    return x


def _scheduler(kind: str, times: list[float], schedule: LinearSchedule) -> Any:
    """A scheduler of diffusers on our times, of second order but for the last step, to noise 0."""
    import diffusers  # here, since its schedulers import scipy's statistics

    scheduler = getattr(diffusers, kind)(solver_order=2, lower_order_final=True, final_sigmas_type="zero")
    scheduler.set_timesteps(len(times))
    # Noise over signal at each of the times, then 0.
    scheduler.sigmas = torch.tensor([math.exp(-log_snr(t, schedule)) for t in times] + [0.0])
    scheduler.timesteps = torch.arange(len(times), 0, -1)
    scheduler.set_begin_index(0)
    return scheduler


Step = Callable[[Tensor, Score, LinearSchedule, Tensor, int, int, "Generators | None"], Tensor]
"""From the mel before a step to the mel after it; of the steps from t = 1 to 0, which are equally long, its number."""

STEPS: dict[str, Step] = {"euler": euler, "euler_maruyama": euler_maruyama, "ml": maximum_likelihood}

SCHEDULERS = {"dpm++": "DPMSolverMultistepScheduler", "unipc": "UniPCMultistepScheduler"}
"""Those of diffusers, which need about ten steps where the others need a hundred; nothing in them is random.

DPM-Solver++ 2M (Lu et al. 2022, "DPM-Solver++", algorithm 2), and UniPC of order 2 (Zhao et al. 2023, "UniPC: a unified
predictor-corrector framework").
"""

Sampler = Callable[..., Tensor]
""":func:`sample` with its solver chosen."""

SAMPLERS: dict[str, Sampler] = {name: functools.partial(sample, name) for name in (*STEPS, *SCHEDULERS)}


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
