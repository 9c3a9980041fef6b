"""Mechanism ``noise``: move the noise, and nothing else, until the network reads or says what a window asks for.

Here is how noise is tuned: windows of diffusion time, the rules of the move, how both are written, and the account.

A :class:`NoiseWindow` is a stretch of diffusion time with an objective; a :class:`NoiseTuning` is several of them with
the rules of the move. Target ``latent`` tunes the noisy mel at the times the sampler passes; target ``initial`` tunes
the noise at t = 1 through a short solver, so that its whole effect on later times counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from gradtts_interp.config import parse_settings, readers_of
from gradtts_interp.diffusion.samplers import check_steps
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.mechanisms import OPEN
from gradtts_interp.interpolation.noise.objectives import OBJECTIVES, REGIONS

Maps = dict[str, dict[str, Any]]
NOISE = "noise"
"""Name of the mechanism; it tunes what the sampler starts from, so it is no plan of network evaluations."""

TARGETS = ("latent", "initial")


def offer_of(offer: str, mechanisms: Sequence[str], tuning: NoiseTuning | None) -> str:
    """How styles are offered: openly where mechanism ``noise`` is asked for, by name or settings, else as said."""
    return OPEN if tuning is not None or NOISE in mechanisms else offer


def _require_above_0(what: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"{what} {value:g}; expected a number above 0")


def _require_one_of(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(f"{what} {value!r}; expected one of {', '.join(known)}")


@dataclass(frozen=True)
class NoiseWindow:
    """A stretch of diffusion time, and what is wanted there.

    Attributes:
        t_from: Lower end, not included; 0 is the clean mel.
        t_to: Upper end, included; 1 is noise.
        region: Keys on the reference planes that count: ``"pitch"``, ``"rest"`` or ``"whole"``.
        steps: Gradient steps in all, spread evenly over the times the sampler passes here; 0 only judges a pool.
        learning_rate: Length of one step as a part of the noise's norm at a temperature of 1.5; as long at others.
        objective: Name in :data:`~gradtts_interp.interpolation.noise.objectives.OBJECTIVES`.
    """

    t_from: float
    t_to: float
    region: str = "whole"
    steps: int = 4
    learning_rate: float = 0.03
    objective: str = "attention"

    def __post_init__(self) -> None:
        """Refuse what can never be a window."""
        if not 0 <= self.t_from < self.t_to <= 1:
            window = f"noise window from t {self.t_from:g} to {self.t_to:g}"
            raise InputError(f"{window}: expected 0 <= t_from < t_to <= 1, 1 being noise")
        if isinstance(self.steps, bool) or self.steps != 0:
            check_steps(self.steps)
        _require_above_0("noise window: learning rate", self.learning_rate)
        _require_one_of("noise window: region", self.region, REGIONS)
        _require_one_of("noise window: objective", self.objective, tuple(OBJECTIVES))

    @property
    def by_attention(self) -> bool:
        """Whether the objective reads attention mass (else the predicted clean mel)."""
        return self.objective == "attention"

    def holds(self, t: float) -> bool:
        """Whether a diffusion time lies in the window."""
        return self.t_from < t <= self.t_to


@dataclass(frozen=True)
class NoiseTuning:
    """How noise is tuned.

    Attributes:
        windows: Windows; one while it is open what is followed, if none is given.
        target: ``"latent"`` or ``"initial"``.
        pool: Noises to choose from: each is judged by one evaluation at t = 1, and of the best the tuning starts. With
            windows of 0 steps nothing else is done.
        max_move: Farthest that an item may move in all, likewise.
        budget_seconds: Wall-clock time, None for no limit; with it results depend on the machine.
    """

    windows: tuple[NoiseWindow, ...] = (NoiseWindow(0.8, 1.0),)
    target: str = "latent"
    pool: int = 1
    max_move: float = 0.3
    budget_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse settings that no tuning can follow."""
        if not self.windows:
            raise InputError("noise tuning: no window; expected at least one")
        _require_one_of("noise tuning: target", self.target, TARGETS)
        check_steps(self.pool)
        if not 0 < self.max_move <= 2:
            raise InputError(f"noise tuning: max_move {self.max_move:g}; expected above 0 and at most 2")
        if self.budget_seconds is not None:
            _require_above_0("noise tuning: budget_seconds", self.budget_seconds)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


# -- as it is written on the command line: target=initial, window=0.8-1:region=pitch ----------------------------------

WINDOW = "window"
_SPAN = re.compile(r"(\d*\.?\d+)-(\d*\.?\d+)")
_OF_TUNING = readers_of(NoiseTuning, ("target", "pool", "max_move", "budget_seconds"))
_OF_WINDOW = readers_of(NoiseWindow, ("region", "steps", "learning_rate", "objective"))


def parse_tuning(settings: Sequence[str]) -> NoiseTuning:
    """Read settings of a noise tuning.

    Args:
        settings: ``name=value`` each, names of :class:`NoiseTuning`; ``window`` may come several times, as ``FROM-TO``
            with ``:name=value`` of a :class:`NoiseWindow` behind it.

    Returns:
        The tuning; what is not named is as by default.

    Raises:
        InputError: A name or value is none of these.
    """
    spans = [setting.partition("=")[::2] for setting in settings]
    windows = tuple(_window(span) for name, span in spans if name.strip() == WINDOW)
    values = parse_settings(settings, {**_OF_TUNING, WINDOW: str}, "noise setting")
    if values.pop(WINDOW, None) is not None:
        values["windows"] = windows
    return NoiseTuning(**values)


def _window(written: str) -> NoiseWindow:
    span, *others = written.split(":")
    found = _SPAN.fullmatch(span.strip())
    if found is None:
        raise InputError(f"noise window {written!r}: expected such as 0.8-1 or 0.8-1:region=pitch:steps=6")
    return NoiseWindow(float(found[1]), float(found[2]), **parse_settings(others, _OF_WINDOW, "noise setting"))


# -- what was done -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TuningStep:
    """One gradient step of one item.

    Attributes:
        item: Line in the batch.
        window: Number of the window.
        objective: Its objective.
        t: Diffusion time of the tuned mel; 1 for the initial noise.
        step: Number of the step within the window, from 0.
        loss: Before the step.
        loss_after: At the place the step leads to; not below ``loss`` where the step was not taken.
        mass_in: Part of the attention mass, or of the outcome, that was as wished before the step.
        mass_out: The rest of it.
        gradient_norm: Euclidean norm of the loss's gradient, before it is normalised.
        move: Distance moved so far in all, as a part of the noise's norm; each move ends on the shell that it began on.
        kl: Kullback-Leibler divergence in nats of noise whose mean is moved so far from noise whose mean is not.
        taken: Whether the step was taken: a step that does not lower the loss is not, and the next is half as long.
        seconds: Wall-clock time of the step for the whole batch.
    """

    item: int
    window: int
    objective: str
    t: float
    step: int
    loss: float
    loss_after: float
    mass_in: float
    mass_out: float
    gradient_norm: float
    move: float
    kl: float
    taken: bool
    seconds: float


@dataclass(frozen=True)
class TuningTrace:
    """All steps of a tuning.

    Attributes:
        steps: In order.
        stopped: ``"done"``, or ``"seconds"`` where the budget ended the tuning before its windows did.
        seconds: Wall-clock time of the tuning.
        before: Attention mass of each style as first seen, by window and site: ``mass`` (n, H, W), which sums to 1
            over the styles, and ``cell``, the mel bins and frames under one position.
        after: The same as last seen.
        notes: What a reader should know, such as windows that no step of the sampler fell into.
    """

    steps: tuple[TuningStep, ...] = ()
    stopped: str = "done"
    seconds: float = 0.0
    before: dict[int, Maps] = field(default_factory=dict)
    after: dict[int, Maps] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def change(self, window: int) -> tuple[float, float] | None:
        """Mean mass of B in a window, as first seen and as last seen; None if the window was never visited."""
        if window not in self.before:
            return None
        first, last = (
            float(np.mean([m["mass"][-1].mean() for m in maps[window].values()] or [0.0]))
            for maps in (self.before, self.after)
        )
        return first, last

    def of_item(self, item: int, frames: int) -> TuningTrace:
        """The account of one line.

        Args:
            item: Its place in the batch.
            frames: Its mel frames (T).

        Returns:
            Its trace, with maps cut to its frames.
        """

        def cut(maps: Maps) -> Maps:
            widths = {site: -(-frames // int(m["cell"])) for site, m in maps.items()}
            return {site: m | {"mass": m["mass"][item, :, :, : widths[site]]} for site, m in maps.items()}

        before, after = ({w: cut(m) for w, m in maps.items()} for maps in (self.before, self.after))
        return replace(self, before=before, after=after, steps=tuple(s for s in self.steps if s.item == item))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the maps, as plain JSON values."""
        changes = {str(w): self.change(w) or () for w in self.before}
        return {
            "stopped": self.stopped,
            "seconds": round(self.seconds, 4),
            "mass_of_b": {w: [round(v, 6) for v in pair] for w, pair in changes.items()},
            "notes": list(self.notes),
            "steps": [asdict(s) for s in self.steps],
        }
