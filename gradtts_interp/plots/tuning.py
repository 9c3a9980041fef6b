"""Pictures of a noise tuning: the loss step by step, and where attention lay before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.noise.settings import TuningStep, TuningTrace
from gradtts_interp.plots.drawing import BLUE, NORMAL, PIXELS_PER_INCH, SMALL, VERMILION, save_figure

Attention = dict[str, dict[str, Any]]
WINDOW_COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
PANEL_INCHES = 1.5


def plot_tuning(
    trace: TuningTrace, before: Attention, after: Attention, path: str | Path | None = None, *, style: int = 1
) -> Figure:
    """Draw the account of one line's noise tuning.

    Args:
        trace: The account, :attr:`gradtts_interp.speech.Speech.tuning`.
        before: Attention by site of the same line without tuning, :attr:`gradtts_interp.speech.Speech.attention`; or
            of a window, as in :attr:`~gradtts_interp.interpolation.noise.settings.TuningTrace.before`.
        after: The same with tuning.
        path: Where to write a picture; not written when None.
        style: Number of the style whose mass is drawn, 1 for B.

    Returns:
        The figure: loss, what is as wished, and move for each step; below, one row for each attention site.

    Raises:
        InputError: The trace has no step, or the two hold different sites.
    """
    if not trace.steps:
        raise InputError("plot of a noise tuning: no step was made; expected at least one")
    if set(before) != set(after):
        raise InputError(f"attention before at {sorted(before)} but after at {sorted(after)}; expected the same sites")
    figure = Figure(figsize=(12.0, 5.6 + PANEL_INCHES * len(before)), dpi=PIXELS_PER_INCH, layout="constrained")
    heights = [5.0, max(PANEL_INCHES * len(before), 0.1)]
    top, maps = figure.subfigures(2, 1, height_ratios=heights)  # type: ignore[misc]
    panels = top.subplots(3, 1, sharex=True)
    for axes, (label, value) in zip(panels, _CURVES.items(), strict=True):
        _draw_steps(axes, trace.steps, label, value)
    panels[-1].set_xlabel("gradient step", fontsize=NORMAL)
    panels[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, frameon=False, fontsize=SMALL)
    if before:
        _draw_maps(maps, before, after, style)
    if path is not None:
        save_figure(figure, path)
    return figure


def plot_tuning_windows(trace: TuningTrace, path: str | Path | None = None) -> Figure:
    """Draw a tuning with the attention of its own first and last look, window by window.

    Args:
        trace: The account of one line.
        path: Where to write a picture; not written when None.

    Returns:
        As of :func:`plot_tuning`; a row for each attention site of each window.
    """
    before, after = (
        {f"window {w}, {site}": m for w, of in maps.items() for site, m in of.items()}
        for maps in (trace.before, trace.after)
    )
    return plot_tuning(trace, before, after, path)


_CURVES = {
    "loss": lambda s: s.loss_after if s.taken else s.loss,
    "as wished": lambda s: s.mass_in,
    "move / norm": lambda s: s.move,
}


def _draw_steps(axes: Axes, steps: tuple[TuningStep, ...], label: str, value: Any) -> None:
    """One curve for each window; losses start before the first step."""
    number = np.arange(len(steps))
    for window, colour in zip(sorted({s.window for s in steps}), WINDOW_COLOURS, strict=False):
        chosen = [i for i, s in enumerate(steps) if s.window == window]
        first = steps[chosen[0]]
        name = f"window {window}: {first.objective}"
        axes.plot(number[chosen], [value(steps[i]) for i in chosen], "o-", color=colour, markersize=4, label=name)
        vain = [i for i in chosen if not steps[i].taken]
        axes.plot(number[vain], [value(steps[i]) for i in vain], "x", color="0.4", markersize=8)
    axes.set_ylabel(label, fontsize=NORMAL)
    axes.tick_params(labelsize=SMALL)
    axes.grid(True, color="0.88", linewidth=0.8)


def _draw_maps(figure: Any, before: Attention, after: Attention, style: int) -> None:
    grid = figure.subplots(len(before), 2, squeeze=False, sharex="row", sharey="row")
    for row, site in zip(grid, before, strict=True):
        planes: list[NDArray[Any]] = [found[site]["mass"][style] for found in (before, after)]
        top = max(float(p.max()) for p in planes)
        for axes, plane, name in zip(row, planes, ("before", "after"), strict=True):
            image = axes.imshow(plane, origin="lower", aspect="auto", cmap="magma", vmin=0, vmax=top)
            axes.set_title(f"{site}, {name}: mean {plane.mean():.3f}", fontsize=SMALL)
            axes.tick_params(labelsize=SMALL)
        figure.colorbar(image, ax=list(row)).ax.tick_params(labelsize=SMALL)
