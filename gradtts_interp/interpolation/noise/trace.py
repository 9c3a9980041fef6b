"""The account of a noise tuning: each step with its loss, mass and move, and attention before and after."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

Maps = dict[str, dict[str, Any]]


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
        mass_in: Attention mass inside before the step; of outcome objectives see
            :mod:`gradtts_interp.interpolation.noise.objectives`.
        mass_out: The same outside.
        gradient_norm: Euclidean norm of the loss's gradient, before it is normalised.
        move: Distance moved so far in all, as a part of the noise's norm.
        taken: Whether the step was taken: a step that does not lower the loss is not, and the next is half as long.
        seconds: Wall-clock time of the step for the whole batch.
        style: Number of the style that the window asks for; 0 is A.
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
    taken: bool
    seconds: float
    style: int = 0


@dataclass(frozen=True)
class TuningTrace:
    """All steps of a tuning.

    Attributes:
        steps: In order.
        stopped: ``"done"``, or ``"seconds"`` where the budget ended the tuning before its windows did.
        seconds: Wall-clock time of the tuning.
        before: Attention mass inside as first seen, by window and site: ``mass`` (1, H, W) and ``cell``, the mel bins
            and frames under one position.
        after: The same as last seen.
        notes: What a reader should know, such as windows that no step of the sampler fell into.
    """

    steps: tuple[TuningStep, ...] = ()
    stopped: str = "done"
    seconds: float = 0.0
    before: dict[int, Maps] = field(default_factory=dict)
    after: dict[int, Maps] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def move(self) -> float:
        """Farthest that any item was moved, as a part of its noise's norm."""
        return max((s.move for s in self.steps), default=0.0)

    def change(self, window: int) -> tuple[float, float] | None:
        """Mean mass inside of a window, as first seen and as last seen; None if the window was never visited."""
        if window not in self.before:
            return None
        first, last = (
            float(np.mean([m["mass"].mean() for m in maps[window].values()] or [0.0]))
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
            return {
                site: m | {"mass": m["mass"][item : item + 1, :, : -(-frames // int(m["cell"]))]}
                for site, m in maps.items()
            }

        before, after = ({w: cut(m) for w, m in maps.items()} for maps in (self.before, self.after))
        return replace(self, steps=tuple(s for s in self.steps if s.item == item), before=before, after=after)

    def reversed_styles(self) -> TuningTrace:
        """The same with the two styles named in the opposite order."""
        return replace(self, steps=tuple(replace(step, style=1 - step.style) for step in self.steps))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the maps, as plain JSON values."""
        changes = {str(w): self.change(w) or () for w in self.before}
        return {
            "stopped": self.stopped,
            "seconds": round(self.seconds, 4),
            "mass_in": {w: [round(v, 6) for v in pair] for w, pair in changes.items()},
            "notes": list(self.notes),
            "steps": [asdict(s) for s in self.steps],
        }
