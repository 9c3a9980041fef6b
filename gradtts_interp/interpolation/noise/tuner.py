"""Doing a noise tuning: looks through the network, steps along the gradient, and the account of both."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gradtts_interp.diffusion.samplers import Sampler, Score, batch_time, sampler_by_name
from gradtts_interp.diffusion.schedule import LinearSchedule, noise_level, signal
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.attention import AllSeenError, masses_observed
from gradtts_interp.interpolation.mechanisms import Shares, StyleReading
from gradtts_interp.interpolation.noise import Maps, NoiseTuning, NoiseWindow, TuningStep, TuningTrace
from gradtts_interp.interpolation.noise.objectives import OBJECTIVES, Goal, Mass, Value, f0_bins_of
from gradtts_interp.interpolation.shares import PitchRegion, Share
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.sampling import SamplingOptions

logger = logging.getLogger(__name__)

SHORT_SOLVER, SHORT_SOLVER_STEPS = "unipc", 8
"""Of target ``initial``; only the steps down to the window are taken."""

TINY = 1e-12
LEAST_GAIN = 1e-6
"""A step must lower the loss by more than this, or it is not taken."""
PATIENCE = 3
"""After so many steps in vain in a row an item is left alone for the rest of the window."""
ENOUGH = -0.9
"""An item whose loss is no more than this is as it was wished, and stays where it is."""


class Measurement(NamedTuple):
    """What is seen at one place, off the graph.

    Attributes:
        value: The objective.
        mass: Attention mass by site.
        gradient: Of the loss (B, M, T); None where it was not asked for.
    """

    value: Value
    mass: Mass
    gradient: Tensor | None

    @property
    def loss(self) -> Tensor:
        """Of each item (B,)."""
        return self.value[0]


Measure = Callable[[Tensor], tuple[Value, Mass]]
"""From a residual (B, M, T), the noisy mel minus its mean, to the objective and the mass seen, on the graph."""


class NoiseTuner:
    """Tunes the noise of one sampling run: :meth:`begin` before the sampler starts, :meth:`after_step` after each step.

    Args:
        tuning: Windows and rules.
        share: Where each style is to be followed.

    Raises:
        InputError: There is no share.
    """

    def __init__(self, tuning: NoiseTuning, share: Share | None) -> None:
        if share is None:
            raise InputError("noise tuning: expected a share, which says where each style is to be followed")
        self.tuning, self.pitch, self.trace = tuning, share.region or PitchRegion(), TuningTrace()
        self._visits: dict[float, list[tuple[int, int]]] = {}

    # -- what a sampling run calls ------------------------------------------------------------------------------

    def begin(
        self,
        noise: Tensor,
        model: GradTTS,
        score: Score,
        options: SamplingOptions,
        *,
        mu: Tensor,
        mask: Tensor,
        readings: Sequence[StyleReading],
        shares: Shares,
        key_sets: Tensor,
        another: Callable[[], Tensor] | None = None,
    ) -> Tensor:
        """Tune the noise a sampler is about to start from; padding is left as it is.

        Args:
            noise: Standard normal noise (B, M, T).
            model: The network.
            score: The sampler's score.
            options: The sampler that will run.
            mu: Mean of the diffusion (B, M, T).
            mask: 1 on frames of the utterances (B, 1, T), 0 on padding.
            readings: How the model reads each style.
            shares: Their shares.
            key_sets: Of :func:`~gradtts_interp.interpolation.noise.objectives.style_key_sets` (S, n, 2).
            another: Draws further noises for a pool.

        Returns:
            Noise to start from (B, M, T).
        """
        self._model, self._score, self._temperature = model, score, options.temperature
        # What decides is how far the mel is moved, of which a hotter noise is a smaller part.
        self._reach = options.temperature / SamplingOptions.temperature
        self._mu, self._mask, self._sets = mu, mask, key_sets
        self._goals = [self._goal(window, shares, readings) for window in self.tuning.windows]
        self._descents = [Descent(window, noise, self._reach) for window in self.tuning.windows]
        self._spent = torch.zeros_like(noise[:, :1, :1])
        self._visits = self._plan_visits(options)
        self._note_missed()
        pool = [noise, *(another() for _ in range(self.tuning.pool - 1) if another is not None)]
        noise = self._best(pool)
        start = noise * mask / self._temperature
        tuned = self._tune_at(1.0, start)
        return torch.where((mask > 0) & (tuned != start), tuned * self._temperature, noise)

    def after_step(self, t: float, x: Tensor) -> Tensor | None:
        """Tune the noisy mel (B, M, T) a sampler has reached at time t; None where there is nothing to change."""
        if t not in self._visits:
            return None
        before = x - self._mu
        after = self._tune_at(t, before)
        moved = (after != before).flatten(1).any(1)[:, None, None]
        # Multistep solvers forget their history when the mel is replaced: not without need.
        return torch.where(moved, (self._mu + after) * self._mask, x) if moved.any() else None

    # -- what is wanted -----------------------------------------------------------------------------------------

    def _goal(self, window: NoiseWindow, shares: Shares, readings: Sequence[StyleReading]) -> Goal:
        f0_bins = None if window.by_attention else f0_bins_of(readings, self._model.settings.mel)
        timbre, pitch = shares.timbre.clamp(0, 1), shares.pitch.clamp(0, 1)
        # By pitch the map picks bins of the target; of keys, all but the pitch are the last style's.
        return Goal(window.region, self._mask, 1 - pitch if shares.by_pitch else timbre, pitch, f0_bins)

    def _plan_visits(self, options: SamplingOptions) -> dict[float, list[tuple[int, int]]]:
        """At which times which windows make how many steps: those of an initial noise are all made at t = 1."""
        schedule = self._model.schedule
        if self.tuning.target == "latent":
            _, passed = solver_times(sampler_by_name(options.solver), schedule, options.steps)
            return plan_visits(self.tuning.windows, [1.0, *passed])
        evaluated, _ = solver_times(sampler_by_name(SHORT_SOLVER), schedule, SHORT_SOLVER_STEPS)
        reached = [i for i, window in enumerate(self.tuning.windows) if any(window.holds(t) for t in evaluated)]
        return {1.0: [(i, self.tuning.windows[i].steps) for i in reached if self.tuning.windows[i].steps > 0]}

    def _note_missed(self) -> None:
        visited = {i for pairs in self._visits.values() for i, _ in pairs}
        notes = tuple(
            f"noise window {i}: no step of the solver falls into ({w.t_from:g}, {w.t_to:g}]; use more steps"
            for i, w in enumerate(self.tuning.windows)
            if w.steps > 0 and i not in visited
        )
        for note in notes:
            logger.warning(note)
        self.trace = replace(self.trace, notes=notes)

    # -- the pool and the two targets ---------------------------------------------------------------------------

    def _best(self, noises: Sequence[Tensor]) -> Tensor:
        """Of several noises (B, M, T) take for each item the one whose losses at t = 1 have the least sum."""
        if len(noises) == 1:
            return noises[0]
        losses = []
        with weights_frozen(self._model):
            for noise in noises:
                start, found = noise * self._mask / self._temperature, torch.zeros_like(noise[:, 0, 0])
                for window in range(len(self.tuning.windows)):
                    with self._watching(window):
                        found = found + self._measured(start, self._measure_at(window, 1.0), with_gradient=False).loss
                losses.append(found)
        best = torch.stack(losses).argmin(0)
        return torch.stack(list(noises))[best, torch.arange(len(best), device=best.device)]

    def _tune_at(self, t: float, residual: Tensor) -> Tensor:
        for window, count in self._visits.get(t, ()):
            start, initial = residual, self.tuning.target == "initial"
            measure = self._measure_through_solver(window) if initial else self._measure_at(window, t)
            residual = self._descend(window, count, start, measure, t)
            self._spent = self._spent + moved_part(residual, start)
        return residual

    def _measure_at(self, window: int, t: float) -> Measure:
        """What measures a residual (B, M, T) by a window's objective at a time."""

        def measure(residual: Tensor) -> tuple[Value, Mass]:
            x = (self._mu + residual) * self._mask
            score, mass = self._network(x, t)
            return self._value(window, score, mass, x, t), mass

        return measure

    def _measure_through_solver(self, window: int) -> Measure:
        """What measures a residual at t = 1 by what the network shows in a window when a short solver starts there."""
        spec, sampler = self.tuning.windows[window], sampler_by_name(SHORT_SOLVER)

        def measure(residual: Tensor) -> tuple[Value, Mass]:
            seen: list[tuple[Value, Mass]] = []

            def score(x: Tensor, times: Tensor) -> Tensor:
                t = float(times[0])
                if t <= spec.t_from:
                    raise AllSeenError
                answer, mass = self._network(x, t)
                assert answer is not None
                if spec.holds(t):
                    seen.append((self._value(window, answer, mass, x, t), mass))
                return answer

            with suppress(AllSeenError):
                sampler(score, self._model.schedule, residual, self._mu, self._mask, SHORT_SOLVER_STEPS)
            loss, inside, outside = (torch.stack(parts).mean(0) for parts in zip(*[v for v, _ in seen], strict=True))
            return (loss, inside, outside), seen[-1][1]

        return measure

    # -- looking and stepping -----------------------------------------------------------------------------------

    def _network(self, x: Tensor, t: float) -> tuple[Tensor | None, Mass]:
        """Score and mass of one evaluation, on the graph; no score where the observer has ended it."""

        def evaluate(x: Tensor) -> tuple[Tensor | None, Mass]:
            score = None
            with suppress(AllSeenError):
                score = self._score(x, batch_time(t, x))
            return score, self._take_masses()

        if self.tuning.target == "initial" and torch.is_grad_enabled():
            # Made anew in the backward pass, so that memory is that of one evaluation.
            return checkpoint(evaluate, x, use_reentrant=False, preserve_rng_state=False)
        return evaluate(x)

    def _value(self, window: int, score: Tensor | None, mass: Mass, x: Tensor, t: float) -> Value:
        clean, schedule = None, self._model.schedule
        if score is not None:
            clean = self._mu + (x - self._mu + noise_level(t, schedule) ** 2 * score) / signal(t, schedule)
            clean = self._model.denormalise(self._model.from_diffusion(clean, self._mu))
        return OBJECTIVES[self.tuning.windows[window].objective](mass, clean, self._goals[window])

    def _measured(self, place: Tensor, measure: Measure, *, with_gradient: bool) -> Measurement:
        place, gradient = place.detach().requires_grad_(with_gradient), None
        with torch.set_grad_enabled(with_gradient):
            value, mass = measure(place)
            if with_gradient:
                (gradient,) = torch.autograd.grad(value[0].sum(), place)
                gradient = torch.nan_to_num(gradient * self._mask, 0.0, 0.0, 0.0)
        loss, inside, outside = (x.detach() for x in value)
        return Measurement((loss, inside, outside), {site: m.detach() for site, m in mass.items()}, gradient)

    def _descend(self, window: int, count: int, start: Tensor, measure: Measure, t: float) -> Tensor:
        """Take up to ``count`` steps from a residual, as far as what is left of ``max_move`` goes."""
        place, bound = start, (self._reach * self.tuning.max_move - self._spent).clamp_min(0)
        if self._out_of_time():
            return place
        descent = self._descents[window]
        with weights_frozen(self._model), self._watching(window):
            began = time.perf_counter()
            here = self._measured(place, measure, with_gradient=True)
            self.trace.before.setdefault(window, self._maps(here))
            for left in range(count, 0, -1):
                if not descent.wants(here.loss).any():
                    break
                assert here.gradient is not None
                there_at = descent.step(place, here.gradient, here.loss, start, bound)
                there = self._measured(there_at, measure, with_gradient=left > 1)
                taken = descent.accept(here.loss, there.loss)
                place = torch.where(taken[:, None, None], there_at, place)
                seconds = time.perf_counter() - began
                began += seconds
                self._note(window, t, here, there, taken, self._spent + moved_part(place, start), seconds)
                here = _merged(taken, there, here)
                if self._out_of_time():
                    break
            self.trace.after[window] = self._maps(here)
        return place

    @contextmanager
    def _watching(self, window: int) -> Iterator[None]:
        by_attention = self.tuning.windows[window].by_attention
        # A latent's mass is all that an attention objective reads; a solver needs the score to go on.
        stop = self.tuning.target == "latent" and by_attention
        sites = self._model.attention_sites if by_attention else ()
        with masses_observed(self._model, sites, self._sets, len(self._mu), stop=stop) as self._take_masses:
            yield

    def _out_of_time(self) -> bool:
        budget = self.tuning.budget_seconds
        if budget is not None and self.trace.seconds >= budget:
            self.trace = replace(self.trace, stopped="seconds")
        return self.trace.stopped != "done"

    # -- the account --------------------------------------------------------------------------------------------

    def _note(
        self, window: int, t: float, here: Measurement, there: Measurement, taken: Tensor, moved: Tensor, seconds: float
    ) -> None:
        assert here.gradient is not None
        spec, norms, (losses, inside, outside) = self.tuning.windows[window], item_norm(here.gradient), here.value
        values = self._mask.sum((1, 2)) * self._mu.shape[1]  # a likely noise's squared norm
        steps = [
            TuningStep(
                item=i,
                window=window,
                objective=spec.objective,
                t=t,
                step=self._descents[window].count - 1,
                loss=float(losses[i]),
                loss_after=float(there.loss[i]),
                mass_in=float(inside[i]),
                mass_out=float(outside[i]),
                gradient_norm=float(norms[i]),
                move=float(moved[i]),
                kl=float(moved[i] ** 2 * values[i] / 2),
                taken=bool(taken[i]),
                seconds=seconds,
            )
            for i in range(len(taken))
        ]
        self.trace = replace(self.trace, steps=(*self.trace.steps, *steps), seconds=self.trace.seconds + seconds)

    def _maps(self, measured: Measurement) -> Maps:
        sites = self._model.attention_sites
        return {
            site: {"mass": mass.sum(2).cpu().numpy(), "cell": sites[site].cell} for site, mass in measured.mass.items()
        }


def plan_visits(windows: Sequence[NoiseWindow], times: Sequence[float]) -> dict[float, list[tuple[int, int]]]:
    """Spread each window's steps evenly over the times it holds.

    Args:
        windows: Windows.
        times: Falling times at which a noisy mel is known.

    Returns:
        For each time with something to do: pairs (window, steps).
    """
    visits: dict[float, list[tuple[int, int]]] = {}
    for i, window in enumerate(windows):
        held = [t for t in times if window.holds(t)]
        for j, t in enumerate(held):
            # Rounded up, so that the earliest times, where most is still open, get theirs first.
            count = -(-(j + 1) * window.steps // len(held)) - -(-j * window.steps // len(held))
            if count > 0:
                visits.setdefault(t, []).append((i, count))
    return visits


def solver_times(sampler: Sampler, schedule: LinearSchedule, steps: int) -> tuple[list[float], list[float]]:
    """Times at which a sampler evaluates the score, and times it passes after its steps; it is run on zeros."""
    evaluated: list[float] = []
    passed: list[float] = []

    def score(x: Tensor, t: Tensor) -> Tensor:
        evaluated.append(float(t[0]))
        return -x

    def note(step: int, t: float, x: Tensor) -> None:
        passed.append(t)

    nothing, generator = torch.zeros(1, 16, 1), torch.Generator().manual_seed(0)
    sampler(score, schedule, nothing, nothing, torch.ones(1, 1, 1), steps, callback=note, generator=generator)
    return evaluated, [t for t in passed if t > 0]


@contextmanager
def weights_frozen(model: torch.nn.Module) -> Iterator[None]:
    """No weight asks for a gradient inside; each is as it was afterwards."""
    asked = [p for p in model.parameters() if p.requires_grad]
    for parameter in asked:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asked:
            parameter.requires_grad_(True)


def _merged(taken: Tensor, there: Measurement, here: Measurement) -> Measurement:
    """What was measured at each item's place: there where its step was taken, else here."""

    def pick(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(taken.reshape(-1, *[1] * (new.dim() - 1)), new, old)

    both = there.gradient is not None and here.gradient is not None
    return Measurement(
        tuple(map(pick, there.value, here.value)),  # type: ignore[arg-type]
        {site: pick(there.mass[site], old) for site, old in here.mass.items()},
        pick(there.gradient, here.gradient) if both else None,  # type: ignore[arg-type]
    )


# -- how a noise is moved: along a normalised gradient, along its shell, and never farther than a bound ---------------

# A noise of d numbers lies close to the shell of radius sqrt(d). A gradient step leaves the shell, and many steps in
# one direction give a noise the network never met: speech loses its voicing. So each move ends on the shell again,
# within a cap around where it began.


def item_norm(x: Tensor) -> Tensor:
    """Euclidean norm of each item of (B, M, T), as (B, 1, 1)."""
    return x.flatten(1).norm(dim=1)[:, None, None]


def moved_part(x: Tensor, anchor: Tensor) -> Tensor:
    """Distance between ``x`` and ``anchor`` (B, M, T), as a part of the anchor's norm, (B, 1, 1)."""
    return item_norm(x - anchor) / item_norm(anchor).clamp_min(1e-6)


def within_move(x: Tensor, anchor: Tensor, bound: Tensor) -> Tensor:
    """Bring a noise to the shell of where it began, and keep it near.

    Args:
        x: Moved noise (B, M, T), 0 on padding.
        anchor: Noise before (B, M, T).
        bound: Largest distance as a part of the anchor's norm, (B, 1, 1).

    Returns:
        ``x`` on the shell where it is near enough, else the nearest point on its way there, turned about the origin.
    """
    radius = item_norm(anchor).clamp_min(TINY)
    x = x * (radius / item_norm(x).clamp_min(TINY))
    across = x - anchor * ((x * anchor).flatten(1).sum(1)[:, None, None] / radius.square())
    across = across / item_norm(across).clamp_min(TINY)
    # A chord of length bound * radius is seen from the origin under this angle.
    angle = 2 * torch.asin((bound / 2).clamp(max=1.0))
    edge = anchor * torch.cos(angle) + across * radius * torch.sin(angle)
    return torch.where(item_norm(x - anchor) > bound * radius, edge, x)


class Descent:
    """Steps of one window's items along the gradient: halved after a step in vain, and none after too many of them.

    Args:
        window: Gives the length of a step.
        like: Noise of the batch (B, M, T).
        reach: Factor on it.
    """

    def __init__(self, window: NoiseWindow, like: Tensor, reach: float = 1.0) -> None:
        self.rate = torch.full_like(like[:, 0, 0], reach * window.learning_rate)
        self.vain = torch.zeros_like(self.rate, dtype=torch.long)
        self.active = torch.ones_like(self.rate, dtype=torch.bool)
        self.count = 0

    def wants(self, loss: Tensor) -> Tensor:
        """Which items (B,) go on, from their losses (B,)."""
        return self.active & (loss > ENOUGH)

    def step(self, place: Tensor, gradient: Tensor, loss: Tensor, anchor: Tensor, bound: Tensor) -> Tensor:
        """Where to go from ``place`` (B, M, T), within ``bound`` of ``anchor``: against the gradient, normalised."""
        size = (self.rate * self.wants(loss))[:, None, None] * item_norm(anchor)
        return within_move(place - gradient / item_norm(gradient).clamp_min(TINY) * size, anchor, bound)

    def accept(self, before: Tensor, after: Tensor) -> Tensor:
        """Which items' steps are taken (B,), from the losses before and after (B,)."""
        tried = self.wants(before)
        taken = tried & (before - after > LEAST_GAIN)
        self.vain = torch.where(taken, 0, self.vain + tried)
        self.rate = torch.where(taken | ~tried, self.rate, self.rate / 2)
        self.active = self.active & (self.vain < PATIENCE)
        self.count += 1
        return taken
