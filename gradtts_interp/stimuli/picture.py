"""One picture of a whole continuum: its pitch, its envelopes, and what was realised of what was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradtts_interp.evaluation.metric_rows import SHARES
from gradtts_interp.plots.drawing import BLUE, GREEN, NORMAL, PIXELS_PER_INCH, SMALL, VERMILION, save_figure, scale_f0
from gradtts_interp.stimuli.continuum import Continuum

COLOURS = dict(zip((*SHARES, "rate"), (BLUE, GREEN, VERMILION, "#CC79A7"), strict=True))


def plot_continuum(continuum: Continuum, path: str | Path | None = None) -> Figure:
    """Draw a continuum.

    Args:
        continuum: The continuum.
        path: Where to write a picture, by its suffix; not written when None.

    Returns:
        The figure: F0 of all steps over time, their mean envelopes, and realised over asked share.
    """
    figure = Figure(figsize=(14, 4.2), dpi=PIXELS_PER_INCH, layout="constrained")
    pitch, envelope, realised = figure.subplots(1, 3, width_ratios=[1.6, 1, 1])
    colours = colormaps["cividis"](np.linspace(0, 0.95, len(continuum.steps)))
    for step, colour in zip(continuum.steps, colours, strict=True):
        contour = step.signal.contour
        seconds = (np.arange(len(contour)) + 0.5) / contour.frame_rate_hz
        pitch.plot(seconds, np.where(contour.voiced, contour.f0_hz, np.nan), color=colour, linewidth=1.2)
        voiced = contour.voiced[: step.signal.envelope.shape[1]]
        if voiced.any():
            envelope.plot(step.signal.envelope[:, : len(voiced)][:, voiced].mean(1), color=colour, linewidth=1.2)
    sung = [step.signal.contour.f0_hz[step.signal.contour.voiced] for step in continuum.steps]
    scale_f0(pitch, np.concatenate(sung))
    _label(pitch, "F0 of each step, A dark to B light", "Time (s)", "F0 (Hz)")
    _label(envelope, "Mean envelope of voiced frames", "Mel band", "Level (dB)")
    _draw_realised(realised, continuum)
    if path is not None:
        save_figure(figure, path)
    return figure


def _draw_realised(axes: Axes, continuum: Continuum) -> None:
    asked = [step.share for step in continuum.steps]
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, linestyle="--")
    for name, colour in COLOURS.items():
        found = [step.realised[name] for step in continuum.steps]
        if any(x is not None for x in found) and (name != "rate" or continuum.of == "rate"):
            values = [np.nan if x is None else x for x in found]
            axes.plot(asked, values, "o-", color=colour, label=name, markersize=4, linewidth=1)
    title = "Realised share of B"
    if continuum.equalised is not None:
        title += f"; {continuum.equalised} equal to {continuum.error:.3f}"
    _label(axes, title, f"Asked share of B ({continuum.of})", "")
    if len(axes.lines) > 1:
        axes.legend(fontsize=SMALL)


def _label(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set_title(title, fontsize=NORMAL)
    axes.set_xlabel(across, fontsize=NORMAL)
    axes.set_ylabel(up, fontsize=NORMAL)
    axes.tick_params(labelsize=SMALL, which="both")
