"""Doing a noise tuning: looks through the network, steps along the gradient, and the account of both."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gradtts_interp.diffusion.contract import Sampler, batch_time
from gradtts_interp.diffusion.samplers import sampler_by_name
from gradtts_interp.diffusion.schedule import noise_level, signal
from gradtts_interp.interpolation.key_sets import AllSeenError, MassObserver
from gradtts_interp.interpolation.noise import NoiseTuning, NoiseWindow
from gradtts_interp.interpolation.noise_moves import OPTIMISERS, item_norm, within_move
from gradtts_interp.interpolation.noise_trace import Maps, TuningStep, TuningTrace
from gradtts_interp.interpolation.noise_visits import plan_visits, solver_times
from gradtts_interp.interpolation.objectives import OBJECTIVES, REGIONS, Goal, ObjectiveValue, Observation
from gradtts_interp.interpolation.scoring import Score
from gradtts_interp.models.grad_tts import GradTTS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuningProblem:
    """What is being sampled.

    Attributes:
        model: The network.
        score: Score of a noisy mel, differentiable.
        mu: Mean of the diffusion (B, M, T).
        mask: Real frames (B, 1, T).
        sets: Key sets (S, n, 2), None where no objective reads attention.
        temperature: Divides the initial noise.
    """

    model: GradTTS
    score: Score
    mu: Tensor
    mask: Tensor
    sets: Tensor | None
    temperature: float


@dataclass(frozen=True)
class Measurement:
    """The objective at one place, off the graph, with the gradient of the loss there and the mass seen."""

    value: ObjectiveValue
    gradient: Tensor | None
    mass: dict[str, Tensor]

    @property
    def loss(self) -> Tensor:
        """Loss of each item (B,)."""
        return self.value.loss


Measure = Callable[[Tensor], tuple[ObjectiveValue, dict[str, Tensor]]]
"""From a place (B, M, T), a residual or a noise, to the objective and the mass seen, on the graph."""


class _SeenEnoughError(Exception):
    """Ends a short solver once it has passed the window."""


class NoiseTuner:
    """Tunes the noise of one sampling run.

    Made by :class:`~gradtts_interp.interpolation.noise_run.TuningRun`. :meth:`begin` is to be called with the noise
    before the sampler starts, :meth:`after_step` as its callback.
    """

    def __init__(
        self,
        problem: TuningProblem,
        tuning: NoiseTuning,
        windows: Sequence[NoiseWindow],
        goals: Sequence[Goal],
        *,
        sampler: Sampler,
        steps: int,
    ) -> None:
        self.problem, self.tuning, self.windows, self.goals = problem, tuning, tuple(windows), goals
        _, passed = solver_times(sampler, problem.model.schedule, steps)
        self.visits = plan_visits(self.windows, [1.0, *passed]) if tuning.target == "latent" else {}
        self._spent = torch.zeros(len(problem.mu), 1, 1, device=problem.mu.device)
        self._records: list[TuningStep] = []
        self._before: dict[int, Maps] = {}
        self._after: dict[int, Maps] = {}
        self._gradients, self._seconds, self._stopped = 0, 0.0, "done"
        self._descents = [Descent(w, tuning, len(problem.mu), problem.mu) for w in self.windows]
        self._notes = self._missed()

    # -- what a sampler calls -----------------------------------------------------------------------------------

    def choose(self, noises: Sequence[Tensor]) -> Tensor:
        """Of several noises (B, M, T) take for each item the one whose losses at t = 1 have the least sum."""
        if len(noises) == 1:
            return noises[0]
        losses: list[Tensor] = []
        with weights_frozen(self.problem.model):
            for noise in noises:
                start, found = noise * self.problem.mask / self.problem.temperature, noise.new_zeros(len(noise))
                for window in range(len(self.windows)):
                    with self._watching(window):
                        found = found + self._measured(start, self._measure_at(window, 1.0), with_gradient=False).loss
                losses.append(found)
        best = torch.stack(losses).argmin(0)
        return torch.stack(list(noises))[best, torch.arange(len(best), device=best.device)]

    def begin(self, noise: Tensor) -> Tensor:
        """Tune the noise (B, M, T) the sampler starts from; padding is left as it is."""
        mask, heat = self.problem.mask, self.problem.temperature
        if self.tuning.target == "initial":
            tuned = self._tune_initial(noise * mask)
            return torch.where(mask > 0, tuned, noise)
        start = noise * mask / heat
        tuned = self._tune_at(1.0, start)
        return torch.where((mask > 0) & (tuned != start), tuned * heat, noise)

    def after_step(self, t: float, x: Tensor) -> Tensor | None:
        """Tune the noisy mel (B, M, T) at time t; None where no window holds that time."""
        if t not in self.visits:
            return None
        before = x - self.problem.mu
        after = self._tune_at(t, before)
        moved = (after != before).flatten(1).any(1)[:, None, None]
        # Multistep solvers forget their history when the mel is replaced: not without need.
        return torch.where(moved, (self.problem.mu + after) * self.problem.mask, x) if moved.any() else None

    @property
    def trace(self) -> TuningTrace:
        """The account so far."""
        return TuningTrace(
            tuple(self._records), self._stopped, self._seconds, self._before, self._after, tuple(self._notes)
        )

    # -- the two targets ----------------------------------------------------------------------------------------

    def _tune_at(self, t: float, residual: Tensor) -> Tensor:
        for window, count in self.visits.get(t, ()):
            start = residual
            bound = (self.tuning.max_move - self._spent).clamp_min(0)
            residual = self._descend(window, count, start, start, bound, self._measure_at(window, t), t)
            self._spent = self._spent + item_norm(residual - start) / item_norm(start).clamp_min(1e-6)
        return residual

    def _measure_at(self, window: int, t: float) -> Measure:
        """What measures a residual (B, M, T) by a window's objective at a time."""

        def measure(place: Tensor) -> tuple[ObjectiveValue, dict[str, Tensor]]:
            x = (self.problem.mu + place) * self.problem.mask
            score, mass = self._network(x, t)
            return self._objective_value(window, score, mass, x, t), mass

        return measure

    def _tune_initial(self, noise: Tensor) -> Tensor:
        start, sampler = noise, sampler_by_name(self.tuning.solver)
        bound = torch.full_like(self._spent, self.tuning.max_move)
        for window, spec in enumerate(self.windows):
            if not self._times_in(spec):
                continue

            def measure(place: Tensor, window: int = window) -> tuple[ObjectiveValue, dict[str, Tensor]]:
                return self._through_solver(sampler, window, place)

            noise = self._descend(window, spec.steps, noise, start, bound, measure, 1.0)
        return noise

    def _through_solver(self, sampler: Sampler, window: int, noise: Tensor) -> tuple[ObjectiveValue, dict[str, Tensor]]:
        """Judge what the network shows in a window when a short solver starts from a noise; mean over its times."""
        problem, spec = self.problem, self.windows[window]
        seen: list[tuple[ObjectiveValue, dict[str, Tensor]]] = []

        def score(x: Tensor, times: Tensor) -> Tensor:
            t = float(times[0])
            if t <= spec.t_from:
                raise _SeenEnoughError
            answer, mass = self._network(x, t)
            assert answer is not None
            if spec.holds(t):
                seen.append((self._objective_value(window, answer, mass, x, t), mass))
            return answer

        start = noise * problem.mask / problem.temperature
        try:
            sampler(score, problem.model.schedule, start, problem.mu, problem.mask, self.tuning.solver_steps)
        except _SeenEnoughError:
            pass
        parts = [torch.stack([getattr(j, name) for j, _ in seen]).mean(0) for name in ("loss", "inside", "outside")]
        return ObjectiveValue(*parts), seen[-1][1]

    # -- looking and stepping -----------------------------------------------------------------------------------

    def _network(self, x: Tensor, t: float) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Score and mass of one evaluation, on the graph; no score where the observer has ended it."""
        sites = self._observer.sites
        if self._observer.stop:
            with suppress(AllSeenError):
                self.problem.score(x, batch_time(t, x))
            return None, self._observer.take()

        def evaluate(x: Tensor) -> tuple[Tensor, ...]:
            score = self.problem.score(x, batch_time(t, x))
            mass = self._observer.take()
            return (score, *[mass[s] for s in sites])

        if self.tuning.checkpointing and self.tuning.target == "initial" and torch.is_grad_enabled():
            score, *masses = checkpoint(evaluate, x, use_reentrant=False, preserve_rng_state=False)
        else:
            score, *masses = evaluate(x)
        return score, dict(zip(sites, masses, strict=True))

    def _objective_value(
        self, window: int, score: Tensor | None, mass: dict[str, Tensor], x: Tensor, t: float
    ) -> ObjectiveValue:
        model, mu = self.problem.model, self.problem.mu
        clean = None
        if score is not None:
            clean = mu + (x - mu + noise_level(t, model.schedule) ** 2 * score) / signal(t, model.schedule)
        seen = Observation(mass, None if clean is None else model.denormalise(clean))
        return OBJECTIVES[self.windows[window].objective](seen, self.goals[window])

    def _measured(self, place: Tensor, measure: Measure, *, with_gradient: bool) -> Measurement:
        place = place.detach().requires_grad_(with_gradient)
        with torch.set_grad_enabled(with_gradient):
            value, mass = measure(place)
            gradient = None
            if with_gradient:
                (gradient,) = torch.autograd.grad(value.loss.sum(), place)
                gradient = torch.nan_to_num(gradient * self.problem.mask, 0.0, 0.0, 0.0)
        parts = [x.detach() for x in (value.loss, value.inside, value.outside)]
        return Measurement(ObjectiveValue(*parts), gradient, {site: m.detach() for site, m in mass.items()})

    def _descend(
        self, window: int, count: int, place: Tensor, anchor: Tensor, bound: Tensor, measure: Measure, t: float
    ) -> Tensor:
        """Take up to ``count`` steps from ``place``, within ``bound`` of ``anchor``."""
        if self._out_of_budget():
            return place
        descent = self._descents[window]
        with weights_frozen(self.problem.model), self._watching(window):
            began = time.perf_counter()
            here = self._measured(place, measure, with_gradient=True)
            self._before.setdefault(window, self._maps(window, here))
            for left in range(count, 0, -1):
                there_at = within_move(
                    place + descent.displacement(here, anchor), anchor, bound, shell=self.tuning.shell
                )
                there = self._measured(there_at, measure, with_gradient=left > 1)
                taken = descent.accept(here, there)
                place = torch.where(taken[:, None, None], there_at, place)
                self._gradients += 1
                seconds = time.perf_counter() - began
                began, self._seconds = began + seconds, self._seconds + seconds
                self._note(window, t, here, there, taken, self._moved(place, anchor), seconds)
                here = _merge(taken, there, here)
                if not descent.active.any() or self._out_of_budget():
                    break
            self._after[window] = self._maps(window, here)
        return place

    @contextmanager
    def _watching(self, window: int) -> Iterator[None]:
        sets = self.problem.sets if self.problem.sets is not None else self.problem.mu.new_zeros(0, 1, 2)
        # A latent's mass is all that an attention objective reads; a solver needs the score to go on.
        stop = self.tuning.target == "latent" and self.windows[window].by_attention
        sites = tuple(self.goals[window].sites)
        with MassObserver(self.problem.model, sites, sets, len(self.problem.mu), stop=stop) as self._observer:
            yield

    def _out_of_budget(self) -> bool:
        budget = self.tuning
        if budget.budget_steps is not None and self._gradients >= budget.budget_steps:
            self._stopped = "steps"
        elif budget.budget_seconds is not None and self._seconds >= budget.budget_seconds:
            self._stopped = "seconds"
        return self._stopped != "done"

    # -- the account --------------------------------------------------------------------------------------------

    def _moved(self, place: Tensor, anchor: Tensor) -> Tensor:
        return (self._spent + item_norm(place - anchor) / item_norm(anchor).clamp_min(1e-6))[:, 0, 0]

    def _note(
        self, window: int, t: float, here: Measurement, there: Measurement, taken: Tensor, moved: Tensor, seconds: float
    ) -> None:
        assert here.gradient is not None
        found, after, norms = here.value, there.loss.tolist(), item_norm(here.gradient)[:, 0, 0].tolist()
        for i in range(len(norms)):
            step = TuningStep(
                item=i,
                window=window,
                objective=self.windows[window].objective,
                style=self.windows[window].style,
                t=t,
                step=self._descents[window].count - 1,
                loss=float(found.loss[i]),
                loss_after=after[i],
                mass_in=float(found.inside[i]),
                mass_out=float(found.outside[i]),
                gradient_norm=norms[i],
                move=float(moved[i]),
                taken=bool(taken[i]),
                seconds=seconds,
            )
            self._records.append(step)
            logger.debug("noise tuning: %s", step)

    def _maps(self, window: int, measured: Measurement) -> Maps:
        spec, maps = self.windows[window], {}
        for site, mass in measured.mass.items():
            own = mass[:, spec.style]
            plane = own.sum(1) if spec.region == "whole" else own[:, REGIONS.index(spec.region)]
            cell = self.problem.model.attention_sites[site].cell
            maps[site] = {"mass": plane.cpu().numpy(), "cell": cell}
        return maps

    def _times_in(self, window: NoiseWindow) -> list[float]:
        if self.tuning.target == "latent":
            return [t for t in self.visits if window.holds(t)]
        evaluated, _ = solver_times(
            sampler_by_name(self.tuning.solver), self.problem.model.schedule, self.tuning.solver_steps
        )
        return [t for t in evaluated if window.holds(t)]

    def _missed(self) -> list[str]:
        notes = [
            f"noise window {i}: no step of the solver falls into ({w.t_from:g}, {w.t_to:g}]; use more steps"
            for i, w in enumerate(self.windows)
            if w.steps > 0 and not self._times_in(w)
        ]
        for note in notes:
            logger.warning(note)
        return notes


class Descent:
    """Step lengths of one window's items: halved after a step in vain, and zero after too many of them."""

    def __init__(self, window: NoiseWindow, tuning: NoiseTuning, items: int, like: Tensor) -> None:
        self.early_stop, self.patience = tuning.early_stop, tuning.patience
        self.optimiser = OPTIMISERS[tuning.optimiser]()
        self.rate = torch.full((items,), float(window.learning_rate), device=like.device, dtype=like.dtype)
        self.vain = torch.zeros(items, dtype=torch.long, device=like.device)
        self.active = torch.ones(items, dtype=torch.bool, device=like.device)
        self.count = 0

    def displacement(self, here: Measurement, anchor: Tensor) -> Tensor:
        """Where to go from here (B, M, T)."""
        assert here.gradient is not None
        size = (self.rate * self.active)[:, None, None] * item_norm(anchor)
        return self.optimiser(here.gradient, size)

    def accept(self, here: Measurement, there: Measurement) -> Tensor:
        """Which items' steps lowered the loss enough to be taken (B,)."""
        taken = self.active & (here.loss - there.loss > self.early_stop)
        self.vain = torch.where(taken, 0, self.vain + 1)
        self.rate = torch.where(taken, self.rate, self.rate / 2)
        self.active = self.active & (self.vain < self.patience)
        self.count += 1
        return taken


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


def _merge(taken: Tensor, there: Measurement, here: Measurement) -> Measurement:
    """What was measured at each item's place: there where its step was taken, else here."""

    def pick(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(taken.reshape(-1, *[1] * (new.dim() - 1)), new, old)

    value = ObjectiveValue(
        pick(there.loss, here.loss),
        pick(there.value.inside, here.value.inside),
        pick(there.value.outside, here.value.outside),
    )
    gradient = here.gradient
    if there.gradient is not None and here.gradient is not None:
        gradient = pick(there.gradient, here.gradient)
    mass = {site: pick(there.mass[site], old) for site, old in here.mass.items()}
    return replace(here, value=value, gradient=gradient, mass=mass)
