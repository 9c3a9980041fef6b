"""Mechanism ``noise``: move the noise, and nothing else, until the network reads or says what a window asks for.

A :class:`NoiseWindow` is a stretch of diffusion time with an objective; a :class:`NoiseTuning` is several of them with
the rules of the move. Target ``latent`` tunes the noisy mel at the times the sampler passes; target ``initial`` tunes
the noise at t = 1 through a short solver, so that its whole effect on later times counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gradtts_interp.diffusion.contract import check_steps
from gradtts_interp.diffusion.samplers import sampler_by_name
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.noise_moves import OPTIMISERS
from gradtts_interp.interpolation.objectives import ATTENTION_OBJECTIVES, OBJECTIVES, REGIONS

NOISE = "noise"
"""Name of the mechanism; it tunes what the sampler starts from, so it is no plan of network evaluations."""

TARGETS = ("latent", "initial")
QUERIES = ("all", "share")
DETERMINISTIC_SOLVERS = ("euler", "dpm++", "unipc")


def _require(what: str, value: float, *, above: float | None = None, least: float | None = None) -> None:
    low, word = (above, "above") if above is not None else (least, "at least")
    assert low is not None
    if not math.isfinite(value) or value < low or (above is not None and value == low):
        raise InputError(f"{what} {value:g}; expected a number {word} {low:g}")


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{what} {value!r}; expected one of {', '.join(known)}")


@dataclass(frozen=True)
class NoiseWindow:
    """A stretch of diffusion time, and what is wanted there.

    Attributes:
        t_from: Lower end, not included; 0 is the clean mel.
        t_to: Upper end, included; 1 is noise.
        style: Number of the style that is asked for; 0 is A.
        region: Its keys on the reference plane: ``"pitch"``, ``"rest"`` or ``"whole"``.
        steps: Gradient steps in all, spread evenly over the times the sampler passes here; 0 only judges a pool.
        learning_rate: Length of one step as a part of the noise's norm.
        objective: Name in :data:`~gradtts_interp.interpolation.objectives.OBJECTIVES`.
        outside_weight: Factor on the mass outside (gamma).
        queries: ``"all"``, or ``"share"``: positions of the target count by their share of the style.
        sites: Weight of each attention site that counts; None for all alike.
    """

    t_from: float
    t_to: float
    style: int = 0
    region: str = "whole"
    steps: int = 4
    learning_rate: float = 0.05
    objective: str = "mass_in"
    outside_weight: float = 0.2
    queries: str = "all"
    sites: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        """Refuse what can never be a window."""
        if not 0 <= self.t_from < self.t_to <= 1:
            raise InputError(
                f"noise window from t {self.t_from:g} to {self.t_to:g}: expected 0 <= t_from < t_to <= 1, 1 being noise"
            )
        if isinstance(self.style, bool) or not isinstance(self.style, int) or self.style < 0:
            raise InputError(f"noise window: style {self.style!r}; expected a number from 0, which is A")
        if isinstance(self.steps, bool) or self.steps != 0:
            check_steps(self.steps)
        _require("noise window: learning rate", self.learning_rate, above=0)
        _require("noise window: outside weight", self.outside_weight, least=0)
        _one_of("noise window: region", self.region, REGIONS)
        _one_of("noise window: objective", self.objective, tuple(OBJECTIVES))
        _one_of("noise window: queries", self.queries, QUERIES)
        if self.sites is not None:
            if not self.sites:
                raise InputError("noise window: no attention site; expected at least one, or None for all")
            for site, weight in self.sites.items():
                _require(f"noise window: weight of site {site!r}", weight, above=0)

    @property
    def by_attention(self) -> bool:
        """Whether the objective reads attention mass (else the predicted clean mel)."""
        return self.objective in ATTENTION_OBJECTIVES

    def holds(self, t: float) -> bool:
        """Whether a diffusion time lies in the window."""
        return self.t_from < t <= self.t_to

    def site_weights(self, known: tuple[str, ...]) -> dict[str, float]:
        """Weights of sites that sum to 1.

        Args:
            known: The model's sites.

        Returns:
            Weight by site; empty for an objective that reads no attention.

        Raises:
            InputError: A site is not the model's, or it has none.
        """
        if not self.by_attention:
            return {}
        if not known:
            raise InputError(f"noise window: objective {self.objective!r}, but this checkpoint has no style attention")
        chosen = self.sites or dict.fromkeys(known, 1.0)
        for site in chosen:
            _one_of("noise window: attention site", site, known)
        return {site: weight / sum(chosen.values()) for site, weight in chosen.items()}


WINDOWS_BY_PITCH = (NoiseWindow(0.8, 1.0, style=0, region="pitch", steps=6),)
"""A's pitch while the coarse course is decided."""

WINDOWS_BY_PITCH_AND_REST = (
    NoiseWindow(0.8, 1.0, style=0, region="pitch"),
    NoiseWindow(0.6, 0.8, style=1, region="rest"),
)
"""A's pitch, then B's rest. They compete: one row's mass sums to 1, and B's rest has most of it without tuning."""

WINDOWS_BY_SHARE = (
    NoiseWindow(0.8, 1.0, objective="mass_share"),
    NoiseWindow(0.6, 0.8, objective="mass_share"),
)
"""Attention goes where the share map says."""


WINDOWS_OPEN = (NoiseWindow(0.8, 1.0, objective="mass_follow", steps=8),)
"""Styles that are offered openly: each is followed where its share says, while it is still open which one is."""

WINDOWS_OPEN_BY_PITCH = (
    NoiseWindow(0.8, 1.0, style=0, region="pitch", objective="mass_both"),
    NoiseWindow(0.8, 1.0, style=1, region="rest", objective="mass_both"),
)
"""The same for A's pitch with B's voice: A's pitch keys against B's, and B's other keys against A's."""


@dataclass(frozen=True)
class NoiseTuning:
    """How noise is tuned.

    Attributes:
        windows: Windows, None for those that suit the share: :data:`WINDOWS_BY_PITCH` or :data:`WINDOWS_BY_SHARE`, and
            :data:`WINDOWS_OPEN_BY_PITCH` or :data:`WINDOWS_OPEN` where styles are offered openly.
        target: ``"latent"`` or ``"initial"``.
        pool: Noises to choose from: each is judged by one evaluation at t = 1, and of the best the tuning starts; 1
            takes what is drawn. With windows of 0 steps nothing else is done.
        optimiser: ``"sgd"`` or ``"adam"``, both on normalised gradients.
        shell: Whether each move ends on the noise's shell.
        max_move: Farthest that an item may move in all, as a part of its noise's norm.
        early_stop: A step must lower the loss by more than this, or it is not taken and the next is half as long;
            after ``patience`` of these in a row the item is left alone for the rest of the window.
        patience: See ``early_stop``.
        solver: Short solver of target ``initial``; one without randomness.
        solver_steps: Its steps from t = 1 to 0; only those down to the window are taken.
        checkpointing: Whether target ``initial`` recomputes evaluations in the backward pass: memory of one
            evaluation instead of all.
        budget_steps: Gradient steps in all, None for no limit.
        budget_seconds: Wall-clock time, None for no limit; with it results depend on the machine.
    """

    windows: tuple[NoiseWindow, ...] | None = None
    target: str = "latent"
    pool: int = 1
    optimiser: str = "sgd"
    shell: bool = True
    max_move: float = 0.3
    early_stop: float = 1e-6
    patience: int = 3
    solver: str = "unipc"
    solver_steps: int = 8
    checkpointing: bool = True
    budget_steps: int | None = None
    budget_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse settings that no tuning can follow."""
        if self.windows is not None and not self.windows:
            raise InputError("noise tuning: no window; expected at least one, or None for the defaults")
        _one_of("noise tuning: target", self.target, TARGETS)
        _one_of("noise tuning: optimiser", self.optimiser, tuple(OPTIMISERS))
        _one_of("noise tuning: solver", self.solver, DETERMINISTIC_SOLVERS)
        sampler_by_name(self.solver)
        check_steps(self.solver_steps)
        check_steps(self.patience)
        check_steps(self.pool)
        if not 0 < self.max_move <= 2:
            raise InputError(f"noise tuning: max_move {self.max_move:g}; expected above 0 and at most 2")
        _require("noise tuning: early_stop", self.early_stop, least=0)
        if self.budget_steps is not None:
            check_steps(self.budget_steps)
        if self.budget_seconds is not None:
            _require("noise tuning: budget_seconds", self.budget_seconds, above=0)

    def windows_for(self, *, styles: int, by_pitch: bool, openly: bool = False) -> tuple[NoiseWindow, ...]:
        """Windows for a number of styles.

        Args:
            styles: Number of styles (n).
            by_pitch: Whether the first style gives pitch and the last the rest.
            openly: Whether styles are offered openly.

        Returns:
            The windows, or the defaults.

        Raises:
            InputError: A window asks for a style that is not there.
        """
        usual = (WINDOWS_BY_SHARE, WINDOWS_BY_PITCH, WINDOWS_OPEN, WINDOWS_OPEN_BY_PITCH)
        windows = self.windows or usual[2 * openly + by_pitch]
        for window in windows:
            if window.style >= styles:
                raise InputError(f"noise window: style {window.style}; expected 0 to {styles - 1}")
        return windows

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)
