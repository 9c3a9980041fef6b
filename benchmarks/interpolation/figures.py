"""Figures of the study, of its results alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.interpolation.report import chosen
from benchmarks.interpolation.tasks import DEFAULTS, RAMPS, SWAPS, TENTHS
from gradtts_interp.evaluation.grid import FREQUENCY, MIX, TIME
from gradtts_interp.interpolation.noise import NOISE

MEASURES = {"f0": "F0", "energy": "level", "envelope": "envelope"}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#888888", "#F0E442")
Results = dict[str, Any]


def ramp(results: Results) -> Figure:
    """Realised share along the sentence, against the ramp that was asked for."""
    figure, panels = _panels("place in the sentence", "realised share of B")
    places = (np.arange(TENTHS) + 0.5) / TENTHS
    for axes, (key, _) in zip(panels, MEASURES.items(), strict=True):
        for condition, colour in zip(RAMPS, COLOURS, strict=False):
            courses = [row[f"{key} course"] for row in chosen(results, TIME, condition)]
            _line(axes, places, _means(courses), condition, colour)
        asked = [row["asked course"] for row in chosen(results, TIME, DEFAULTS)]
        _line(axes, places, _means(asked), "asked", "black", style="--")
    _legend(figure, panels)
    return figure


def sweep(results: Results) -> Figure:
    """Realised share against the weight, the same everywhere."""
    figure, panels = _panels("weight", "realised share of B")
    rows = [row for row in results["rows"] if row["table"] == MIX]
    weights = sorted({row["weight"] for row in rows})
    for axes, (key, _) in zip(panels, MEASURES.items(), strict=True):
        for condition, colour in zip(dict.fromkeys(row["condition"] for row in rows), COLOURS, strict=False):
            own = [row for row in rows if row["condition"] == condition]
            curves = [[[r[f"{key}_share"] for r in own if r["weight"] == w] for w in weights]]
            values = [_mean([x for x in c if x is not None]) for c in curves[0]]
            _line(axes, weights, values, condition, colour)
        axes.plot([0, 1], [0, 1], "--", color="black", linewidth=1)
    _legend(figure, panels)
    return figure


def swap(results: Results) -> Figure:
    """Each pair's distance of F0 to A and to B, and of the envelope."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    names = [name for name in SWAPS if chosen(results, FREQUENCY, name)]
    for axes, (key, unit) in zip(figure.subplots(1, 2), (("F0", "cents"), ("envelope", "dB")), strict=True):
        for side, colour, shift in (("A", COLOURS[0], -0.15), ("B", COLOURS[1], 0.15)):
            for i, name in enumerate(names):
                found = [row[f"{key} to {side}"] for row in chosen(results, FREQUENCY, name)]
                values = [v for v in found if v is not None]
                label = f"to {side}" if i == 0 else None
                axes.plot(np.full(len(values), i + shift), values, ".", color=colour, alpha=0.5, label=label)
                axes.plot(i + shift, _mean(values), "_", color=colour, markersize=18, markeredgewidth=2.5)
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_ylabel(f"distance of {key} ({unit})")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
    return figure


def tuning(results: Results) -> Figure:
    """Attention on A's pitch at each evaluation of the sampler, with and without tuned noise."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    conditions = (f"attention + {NOISE}", f"{DEFAULTS} + {NOISE}")
    for axes, condition in zip(figure.subplots(1, 2, sharey=True), conditions, strict=True):
        for key, label, colour in (("", "untuned", COLOURS[0]), (", tuned", "tuned", COLOURS[1])):
            runs = [np.array(row[f"mass by time{key}"]) for row in chosen(results, FREQUENCY, condition)]
            for run in runs:
                axes.plot(run[:, 0], run[:, 1], color=colour, alpha=0.25, linewidth=0.8)
            if runs:
                mean = np.mean(runs, axis=0)
                axes.plot(mean[:, 0], mean[:, 1], "o-", color=colour, label=label)
        axes.set_title(condition)
        axes.set_xlabel("diffusion time t (1 is noise)")
        axes.invert_xaxis()
        axes.set_ylim(bottom=0)
        if axes.lines:
            axes.legend(frameon=False)
    figure.supylabel("attention mass on A's pitch")
    return figure


FIGURES: dict[str, Callable[[Results], Figure]] = {"ramp": ramp, "sweep": sweep, "swap": swap, "tuning": tuning}


def _panels(x: str, y: str) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    panels = list(figure.subplots(1, len(MEASURES), sharex=True, sharey=True))
    for axes, name in zip(panels, MEASURES.values(), strict=True):
        axes.set_title(name)
        axes.set_xlabel(x)
        axes.grid(True, color="0.9")
    panels[0].set_ylabel(y)
    return figure, panels


def _line(axes: Axes, x: Any, y: Any, label: str, colour: str, *, style: str = "-") -> None:
    if len(y):
        axes.plot(x, y, style, color=colour, label=label, marker=None if style == "--" else ".")


def _legend(figure: Figure, panels: list[Axes]) -> None:
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _means(courses: list[list[float | None]]) -> list[float]:
    """Mean over utterances at each place, of those that could be measured there."""
    return [_mean([value for value in place if value is not None]) for place in zip(*courses, strict=True)]
