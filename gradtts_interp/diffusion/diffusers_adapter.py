"""Solvers of diffusers on the residual x - mu, in the continuous time of Grad-TTS.

The residual follows the plain variance-preserving process, epsilon = -noise_level(t) * score, so every solver written
for that process applies. A scheduler of diffusers reads its place from ``sigmas`` (noise over signal), which we set
from our own schedule; its table of training steps is not used, hence no time is rounded to a grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gradtts_interp.diffusion.contract import Callback, Generators, Score, after_step, batch_time, start
from gradtts_interp.diffusion.schedule import LinearSchedule, log_snr, noise_level, time_of_log_snr

if TYPE_CHECKING:
    from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler

TIME_POWER = 1.5
FEW_STEPS = 5
SOLVER_ORDER = 2


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


def dpm_solver(
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
    """Follow the probability-flow ODE by DPM-Solver++ 2M (see `contract.Sampler`); nothing is random.

    Source: Lu et al. 2022, "DPM-Solver++", algorithm 2, as in diffusers.
    """
    return _solve(_dpm_scheduler, score, schedule, start(noise, mu, mask, steps), mu, mask, steps, callback)


def unipc(
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
    """Follow the probability-flow ODE by UniPC of order 2 (see `contract.Sampler`); nothing is random.

    With a ``start_time`` below 1, ``mu + noise`` is a mel noised up to that time, and the same steps lie below it.

    Source: Zhao et al. 2023, "UniPC: a unified predictor-corrector framework", as in diffusers.
    """
    x = start(noise, mu, mask, steps)
    return _solve(_unipc_scheduler, score, schedule, x, mu, mask, steps, callback, start_time=start_time)


def _dpm_scheduler() -> DPMSolverMultistepScheduler:
    """DPM-Solver++ 2M whose last step, to noise 0, is of first order."""
    from diffusers import DPMSolverMultistepScheduler  # here, since it imports scipy's statistics

    return DPMSolverMultistepScheduler(solver_order=SOLVER_ORDER, lower_order_final=True, final_sigmas_type="zero")


def _unipc_scheduler() -> UniPCMultistepScheduler:
    """UniPC whose last step, to noise 0, is of first order."""
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler(solver_order=SOLVER_ORDER, lower_order_final=True, final_sigmas_type="zero")


def _solve(
    make_scheduler: Callable[[], Any],
    score: Score,
    schedule: LinearSchedule,
    x: Tensor,
    mu: Tensor,
    mask: Tensor,
    steps: int,
    callback: Callback | None,
    *,
    start_time: float = 1.0,
) -> Tensor:
    """Run a multistep scheduler from ``x`` (B, M, T) at a time to t = 0; a replaced mel starts its history anew."""
    times = [start_time * t for t in evaluation_times(steps, schedule)]
    scheduler = _place(make_scheduler(), times, schedule)
    for step, t in enumerate(times):
        epsilon = -noise_level(t, schedule) * score(x, batch_time(t, x))
        residual = scheduler.step(epsilon, scheduler.timesteps[0], x - mu, return_dict=False)[0]
        rest = times[step + 1 :]
        x, replaced = after_step(callback, step, rest[0] if rest else 0.0, (mu + residual) * mask)
        if replaced and rest:
            scheduler = _place(make_scheduler(), rest, schedule)
    return x


def _place(scheduler: Any, times: list[float], schedule: LinearSchedule) -> Any:
    """Put a scheduler on our times: noise over signal at each of them, then 0."""
    scheduler.set_timesteps(len(times))
    scheduler.sigmas = torch.tensor([math.exp(-log_snr(t, schedule)) for t in times] + [0.0])
    scheduler.timesteps = torch.arange(len(times), 0, -1)
    scheduler.set_begin_index(0)
    return scheduler
