"""When the noise is tuned: the times a solver passes, and how a window's steps are spread over them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gradtts_interp.diffusion.contract import Sampler
from gradtts_interp.diffusion.schedule import LinearSchedule
from gradtts_interp.interpolation.noise import NoiseWindow


def plan_visits(windows: Sequence[NoiseWindow], times: Sequence[float]) -> dict[float, tuple[tuple[int, int], ...]]:
    """Spread each window's steps evenly over the times it holds.

    Args:
        windows: Windows.
        times: Falling times at which a noisy mel is known.

    Returns:
        For each time with something to do: pairs (window, steps).
    """
    visits: dict[float, tuple[tuple[int, int], ...]] = {}
    for i, window in enumerate(windows):
        held = [t for t in times if window.holds(t)]
        for j, t in enumerate(held):
            # Rounded up, so that the earliest times, where most is still open, get theirs first.
            count = -(-(j + 1) * window.steps // len(held)) - -(-j * window.steps // len(held))
            if count > 0:
                visits[t] = (*visits.get(t, ()), (i, count))
    return visits


def solver_times(sampler: Sampler, schedule: LinearSchedule, steps: int) -> tuple[list[float], list[float]]:
    """Times at which a sampler evaluates the score, and times it passes after its steps; it is run on zeros."""
    evaluated: list[float] = []
    passed: list[float] = []

    def score(x: Tensor, t: Tensor) -> Tensor:
        evaluated.append(float(t[0]))
        return -x

    nothing = torch.zeros(1, 16, 1)
    generator = torch.Generator().manual_seed(0)
    sampler(
        score,
        schedule,
        nothing,
        nothing,
        torch.ones(1, 1, 1),
        steps,
        callback=lambda _, t, x: passed.append(t),
        generator=generator,
    )
    return evaluated, [t for t in passed if t > 0]
