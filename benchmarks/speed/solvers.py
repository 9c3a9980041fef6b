"""Part (a): how far each solver is from the converged mel, and what it costs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

from benchmarks.speed.measure import timed
from benchmarks.speed.setup import BRIEF, SHORT, SpeedSetup
from gradtts_interp.diffusion import diffusers_adapter
from gradtts_interp.diffusion.diffusers_adapter import evaluation_times
from gradtts_interp.diffusion.schedule import LinearSchedule, log_snr, time_of_log_snr
from gradtts_interp.models.precision import bf16_is_fast
from gradtts_interp.sampling import CONVERGED_STEPS, DEFAULT_SOLVER

REFERENCE_STEPS = 1000
TEXTS = (SHORT, BRIEF)
ERROR, SECONDS, TIMES = "mel error / A-B distance, %", "seconds", "times faster than Euler 100"
LAST_TIME = 0.01


def even_log_snr(steps: int, schedule: LinearSchedule) -> list[float]:
    """Even steps of log-SNR from 1 to ``LAST_TIME``."""
    first, last = log_snr(1.0, schedule), log_snr(LAST_TIME, schedule)
    return [1.0] + [time_of_log_snr(first + (last - first) * i / (steps - 1), schedule) for i in range(1, steps)]


def by_karras(steps: int, schedule: LinearSchedule) -> list[float]:
    """Even steps of (noise / signal) ** (1 / 7) from 1 to ``LAST_TIME`` (Karras et al. 2022, equation 5)."""
    first, last = (math.exp(-log_snr(t, schedule) / 7) for t in (1.0, LAST_TIME))
    places = [first + (last - first) * i / (steps - 1) for i in range(1, steps)]
    return [1.0] + [time_of_log_snr(-7 * math.log(place), schedule) for place in places]


def by_power(power: float, steps: int, schedule: LinearSchedule) -> list[float]:
    """Times (1 - i / steps) ** power."""
    return [(1 - i / steps) ** power for i in range(steps)]


SPACINGS: dict[str, Callable[[int, LinearSchedule], list[float]]] = {
    "ours": evaluation_times,
    "even log-SNR": even_log_snr,
    "Karras": by_karras,
    "power 1.5": partial(by_power, 1.5),
    "even time": partial(by_power, 1.0),
}


@dataclass(frozen=True)
class Case:
    """One way to solve."""

    solver: str
    steps: int
    arithmetic: str = "fp32"
    spacing: str = "ours"
    mechanisms: tuple[str, ...] | None = None

    def row(self) -> dict[str, Any]:
        """What the table says of it."""
        spacing = self.spacing if self.solver in ("dpm++", "unipc") else None
        row = {"solver": self.solver, "steps": self.steps, "arithmetic": self.arithmetic, "spacing": spacing}
        return row | {"two styles by": ", ".join(self.mechanisms) if self.mechanisms else None}


EULER_100 = Case("euler", 100)
MIX_100 = Case("euler", 100, mechanisms=("score",))


def cases(setup: SpeedSetup) -> list[Case]:
    """What is measured; the plain baseline, a score mix of two styles by Euler, first."""
    if setup.quick:
        few = [Case("unipc", n) for n in (8, CONVERGED_STEPS)] + [Case("unipc", 12, spacing="Karras")]
        return [MIX_100, EULER_100, *few, *[Case("unipc", CONVERGED_STEPS, "bf16")] * bf16_is_fast(setup.tts.device)]
    found = [MIX_100, *(Case("euler", n) for n in (10, 20, 50, 100)), Case("euler_maruyama", 100), Case("ml", 100)]
    found += [Case(solver, n) for solver in ("dpm++", "unipc") for n in (6, 8, 10, 12, 14, 16, 18, 20, 24, 28)]
    found += [Case("unipc", n, spacing=name) for n in (12, 20) for name in SPACINGS if name != "ours"]
    if bf16_is_fast(setup.tts.device):
        found += [Case(DEFAULT_SOLVER, n, "bf16") for n in (16, 18, 20, 24)]
    return found


def _solve(setup: SpeedSetup, case: Case, text: str, durations: list[int]) -> tuple[Any, float]:
    """The mel, and seconds."""
    setup.tts.accelerate(case.arithmetic)
    mels: list[Any] = []
    options = {"mechanisms": case.mechanisms, "num_inference_steps": case.steps, "solver": case.solver}
    with mock.patch.object(diffusers_adapter, "evaluation_times", SPACINGS[case.spacing]):
        timing = timed(lambda: mels.append(setup.mel(text, durations=durations, **options)), runs=1, warm_up=0)
    setup.tts.accelerate("fp32")
    return mels[0], timing.best


def solvers(setup: SpeedSetup) -> list[dict[str, Any]]:
    """Mean absolute mel error against the first row's, over the distance of A and B; and seconds, without vocoder."""
    found: dict[Case, list[tuple[float, float]]] = defaultdict(list)
    truth = Case("unipc", 60) if setup.quick else Case("euler", REFERENCE_STEPS)
    for text in TEXTS[:1] if setup.quick else TEXTS:
        durations = setup.prepare([text]).durations[0].tolist()
        plain = {"durations": durations, "num_inference_steps": CONVERGED_STEPS, "solver": DEFAULT_SOLVER}
        a, b = (setup.mel(text, styles=style, **plain) for style in "ab")  # warm-up, too
        reference, seconds = _solve(setup, truth, text, durations)
        found[truth].append((0.0, seconds))
        for case in cases(setup):
            mel, seconds = _solve(setup, case, text, durations)
            error = math.nan if case.mechanisms else float((mel - reference).abs().mean() / (a - b).abs().mean())
            found[case].append((error, seconds))
    means = {case: [sum(values) / len(values) for values in zip(*both, strict=True)] for case, both in found.items()}
    base = means[EULER_100][1]
    return [
        case.row()
        | {
            ERROR: None if math.isnan(error) else round(100 * error, 3),
            SECONDS: round(seconds, 3),
            TIMES: round(base / seconds, 2),
        }
        for case, (error, seconds) in means.items()
    ]
