"""How the noise becomes a mel: the options of a synthesis, and where its randomness comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import torch

from gradtts_interp.diffusion.samplers import SCHEDULERS, check_steps, sampler_by_name
from gradtts_interp.errors import InputError

OFFICIAL_STEPS, OFFICIAL_SOLVER = 50, "euler"
DEFAULT_STEPS, DEFAULT_SOLVER = 2, "unipc"
"""Used when nothing is said, with models of styles: the fewest steps at which no measure is worse than with 100 Euler,
see ``benchmarks/steps.py`` and the model card, and what is heard is a sample; one step gives the prior mean again."""
CONVERGED_STEPS = 18
"""Used where the noise decides, and with official files: as near to the converged mel as 100 Euler steps. Over the
distance of two styles' mels 0.58 % (Euler 100: 0.56 %, 16 steps: 0.81 %; docs/scale.rst)."""


def choose_sampler(steps: int | None, solver: str | None, *, converged: bool) -> tuple[int, str]:
    """Fill in what was not said: steps alone mean Euler's, as in Grad-TTS; a solver alone has its own usual steps.

    Args:
        steps: Steps, or None.
        solver: Name of a sampler, or None.
        converged: Whether the sample is to follow its noise all the way, by default.

    Returns:
        Steps and solver.
    """
    if solver is None and steps is None:
        return CONVERGED_STEPS if converged else DEFAULT_STEPS, DEFAULT_SOLVER
    if solver is None:
        return steps, OFFICIAL_SOLVER  # type: ignore[return-value]
    if steps is None:
        steps = CONVERGED_STEPS if solver in SCHEDULERS else OFFICIAL_STEPS
    return steps, solver


@dataclass(frozen=True)
class SamplingOptions:
    """How the noise becomes a mel. Pipeline, commands, app, evaluation and benchmarks take their defaults from here.

    Attributes:
        steps: Network evaluations (for one branch); 0 gives the prior mean.
        solver: Name in :data:`~gradtts_interp.diffusion.samplers.SAMPLERS`.
        guidance: 0 is off; see :func:`~gradtts_interp.interpolation.mechanisms.make_score`.
        temperature: Divides the initial noise, as in Grad-TTS.
        length_scale: Factor on durations; above 1 is slower.
    """

    steps: int = DEFAULT_STEPS
    solver: str = DEFAULT_SOLVER
    guidance: float = 0.0
    temperature: float = 1.5
    length_scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what no sampler can do."""
        if isinstance(self.steps, bool) or self.steps != 0:
            check_steps(self.steps)
        sampler_by_name(self.solver)
        if not 0 < self.temperature < float("inf"):
            raise InputError(f"temperature {self.temperature}: expected a number > 0")


def generators_of(
    size: int, seed: int | None, generator: torch.Generator | Sequence[torch.Generator] | None
) -> list[torch.Generator]:
    """Sources of randomness, one for each line.

    Args:
        size: Lines.
        seed: Each line's own source starts from it.
        generator: Instead of a seed: one for all lines, or one for each.

    Returns:
        ``size`` generators.

    Raises:
        InputError: Both or neither are given, the seed is no whole number, or the numbers of lines differ.
    """
    if generator is not None and seed is not None:
        raise InputError("give a seed or a generator, not both")
    if seed is not None:
        if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed < 2**63:
            raise InputError(f"seed {seed!r}: expected a whole number from 0 to 2**63 - 1")
        return [torch.Generator().manual_seed(int(seed)) for _ in range(size)]
    if isinstance(generator, torch.Generator):
        return [generator] * size
    if generator is None or len(generator) != size:
        raise InputError(f"{0 if generator is None else len(generator)} generators were given for {size} lines")
    return list(generator)


def length_batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Divide lines into batches of like length, so that little is computed on padding; single lines keep their order.

    Args:
        lengths: Length of each line, in any unit.
        size: Lines in a batch at most.

    Returns:
        Batches of indices, the longest first; each line is in one.
    """
    if size == 1:
        return [[i] for i in range(len(lengths))]
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    return [order[start : start + size] for start in range(0, len(order), size)]
