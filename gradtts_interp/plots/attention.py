"""Pictures of attention: what phonemes look at, by layer and diffusion time; and how tuning the noise has moved it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.attention import AttentionMaps
from gradtts_interp.interpolation.noise import TuningStep, TuningTrace
from gradtts_interp.plots import drawing

MOST_PHONEMES = 8
MOST_INTERVALS = 4
Attention = dict[str, dict[str, Any]]
WINDOW_COLOURS = (drawing.BLUE, drawing.VERMILION, drawing.GREEN, "#CC79A7", "#56B4E9", "#E69F00")
PANEL_INCHES = 1.5


def plot_phonemes(
    maps: AttentionMaps,
    path: str | Path | None = None,
    *,
    phonemes: Sequence[int] | None = None,
    site: str | None = None,
) -> Figure:
    """Draw where phonemes look: one row for each, one column for each reference.

    Args:
        maps: What was recorded.
        path: Where to write a picture; not written when None.
        phonemes: Numbers of phonemes; up to eight, evenly over the sentence, if None.
        site: Name of one layer; the mean over all if None.

    Returns:
        The figure: references in grey, attention in red on one scale, and the sum on each reference.

    Raises:
        InputError: There is no such phoneme or site, or ``path`` cannot be written.
    """
    chosen = _evenly(_spoken(maps), MOST_PHONEMES) if phonemes is None else list(phonemes)
    figure, grid = _grid(maps, len(chosen), 1)
    for phoneme, axes in zip(chosen, grid, strict=True):
        _draw(axes, maps, [maps.of(i, phoneme=phoneme, site=site) for i in range(len(axes))])
        name = f"{maps.phonemes[phoneme].removeprefix('@')}  ({phoneme})"
        axes[0].set_ylabel(name, fontsize=drawing.SMALL, rotation=0, ha="right", va="center")
    return _finish(figure, grid, maps, f"Where phonemes look (attention; {site or 'all layers'}, all times)", path)


def plot_layers(maps: AttentionMaps, path: str | Path | None = None) -> Figure:
    """Draw where phonemes look by layer and diffusion time: one row for each layer, references side by side.

    Args:
        maps: What was recorded.
        path: Where to write a picture; not written when None.

    Returns:
        The figure, with up to four intervals of time from noise to speech.

    Raises:
        InputError: ``path`` cannot be written.
    """
    chosen, styles = _spoken(maps), len(maps.references)
    intervals = _evenly([i for i, count in enumerate(maps.evaluations) if count], MOST_INTERVALS)
    figure, grid = _grid(maps, len(maps.planes), len(intervals))
    for axes, site in zip(grid, maps.planes, strict=True):
        for column, interval in enumerate(intervals):
            looks = ([maps.of(i, phoneme=p, site=site, interval=interval) for p in chosen] for i in range(styles))
            _draw(axes[column * styles :], maps, [np.mean(planes, axis=0) for planes in looks])
        axes[0].set_ylabel(site, fontsize=drawing.SMALL)
    for first, interval in zip(grid[-1][::styles], intervals, strict=True):
        start, stop = maps.time_edges[interval : interval + 2]
        first.set_xlabel(f"t {start:.2g} to {stop:.2g}", fontsize=drawing.SMALL)
    return _finish(figure, grid, maps, "Where the sentence looks, by layer and diffusion time", path)


def attention_figure(attention: Mapping[str, Mapping[str, Any]], seconds: float) -> Figure:
    """Draw the attention mass on B at every site.

    Args:
        attention: As in :attr:`gradtts_interp.speech.Speech.attention`.
        seconds: Length of the utterance.

    Returns:
        The figure: a heat map for each site, mean over heads and steps.
    """
    figure = drawing.new_figure(11.0, 1.2 * len(attention) + 0.5)
    rows = figure.subplots(len(attention), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (site, found) in zip(rows, attention.items(), strict=True):
        plane = np.asarray(found["mass"][-1], dtype=np.float64)
        extent = (0.0, seconds, 0.0, plane.shape[0])
        image = axes.imshow(plane, extent=extent, vmin=0.0, vmax=1.0, cmap="cividis", **drawing.PLANE)
        axes.set_title(
            f"{site}: {plane.mean():.2f} of the mass on B", fontsize=drawing.SMALL, loc="left", parse_math=False
        )
        axes.set_yticks([])
        axes.tick_params(labelsize=drawing.SMALL)
    rows[-1].set_xlabel("Time (s)", fontsize=drawing.NORMAL)
    figure.colorbar(image, ax=list(rows), label="attention mass on B", fraction=0.03).ax.tick_params(
        labelsize=drawing.SMALL
    )
    return figure


def _spoken(maps: AttentionMaps) -> list[int]:
    """Phonemes that have a sound: no silences and punctuation."""
    spoken = [i for i, name in enumerate(maps.phonemes) if name.startswith("@") and np.ptp(maps.spans[i])]
    return spoken or list(range(len(maps.phonemes)))


def _evenly(values: Sequence[int], most: int) -> list[int]:
    """At most so many of some values, evenly spread."""
    places = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return [values[i] for i in places]


def _grid(maps: AttentionMaps, rows: int, groups: int) -> tuple[Figure, list[list[Axes]]]:
    columns = groups * len(maps.references)
    width = 12.0 if groups == 1 else max(12.0, 2.2 * columns)
    figure = drawing.new_figure(width, 1.1 + 1.25 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in axes]


def _draw(places: Sequence[Axes], maps: AttentionMaps, planes: Sequence[NDArray]) -> None:
    """Attention over each reference mel in grey; opacity is attention, on one scale, and the note its sum."""
    brightest = max(1e-12, *(plane.max() for plane in planes))
    for axes, mel, plane in zip(places, maps.references, planes, strict=False):
        axes.imshow(mel, cmap="gray", **drawing.PLANE)
        fine = np.kron(plane, np.ones(maps.patch))[: mel.shape[0], : mel.shape[1]]
        opacity = np.clip(fine / brightest, 0.0, 1.0)
        axes.imshow(np.ones_like(fine), cmap="autumn", vmin=1.0, vmax=2.0, alpha=opacity, **drawing.PLANE)
        look: dict[str, Any] = {"ha": "right", "va": "top", "fontsize": drawing.SMALL, "color": "white"}
        axes.text(0.99, 0.96, f"{100 * plane.sum():.0f} %", transform=axes.transAxes, **look)
        axes.set(xticks=[], yticks=[])


def _finish(figure: Figure, grid: list[list[Axes]], maps: AttentionMaps, title: str, path: str | Path | None) -> Figure:
    for i, axes in enumerate(grid[0]):
        style = i % len(maps.references)
        name = Path(maps.styles[style]).name if len(grid[0]) == len(maps.references) else ""
        axes.set_title(f"{chr(ord('A') + style)} {name}".strip(), fontsize=drawing.SMALL, parse_math=False)
    figure.suptitle(title, fontsize=drawing.LARGE)
    return drawing.save_figure(figure, path)


# -- tuning of the noise ----------------------------------------------------------------------------------------------


def plot_tuning(
    trace: TuningTrace,
    path: str | Path | None = None,
    *,
    before: Attention | None = None,
    after: Attention | None = None,
) -> Figure:
    """Draw the account of one line's noise tuning.

    Args:
        trace: The account, :attr:`gradtts_interp.speech.Speech.tuning`.
        path: Where to write a picture; not written when None.
        before: Attention by site of the same line without tuning, :attr:`gradtts_interp.speech.Speech.attention`; that
            of the first look of each window if None.
        after: The same with tuning; that of the last look of each window if None.

    Returns:
        The figure: loss, what is as wished, and move for each step; below, the mass on B at each attention site.

    Raises:
        InputError: The trace has no step, or the two hold different sites.
    """
    if not trace.steps:
        raise InputError("plot of a noise tuning: no step was made; expected at least one")
    before = _of_windows(trace.before) if before is None else before
    after = _of_windows(trace.after) if after is None else after
    if set(before) != set(after):
        raise InputError(f"attention before at {sorted(before)} but after at {sorted(after)}; expected the same sites")
    figure = drawing.new_figure(12.0, 5.6 + PANEL_INCHES * len(before))
    heights = [5.0, max(PANEL_INCHES * len(before), 0.1)]
    top, maps = figure.subfigures(2, 1, height_ratios=heights)  # type: ignore[misc]
    panels = top.subplots(3, 1, sharex=True)
    for axes, (label, value) in zip(panels, _CURVES.items(), strict=True):
        _draw_steps(axes, trace.steps, label, value)
    panels[-1].set_xlabel("gradient step", fontsize=drawing.NORMAL)
    drawing.legend_above(panels[0], 4)
    if before:
        _draw_maps(maps, before, after)
    return drawing.save_figure(figure, path)


def _of_windows(maps: Mapping[int, Attention]) -> Attention:
    return {f"window {window}, {site}": found for window, of in maps.items() for site, found in of.items()}


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
    axes.set_ylabel(label, fontsize=drawing.NORMAL)
    axes.tick_params(labelsize=drawing.SMALL)
    axes.grid(True, color="0.88", linewidth=0.8)


def _draw_maps(figure: Any, before: Attention, after: Attention) -> None:
    """Mass on B at each attention site."""
    grid = figure.subplots(len(before), 2, squeeze=False, sharex="row", sharey="row")
    for row, site in zip(grid, before, strict=True):
        planes: list[NDArray[Any]] = [found[site]["mass"][1] for found in (before, after)]
        top = max(float(p.max()) for p in planes)
        for axes, plane, name in zip(row, planes, ("before", "after"), strict=True):
            image = axes.imshow(plane, origin="lower", aspect="auto", cmap="magma", vmin=0, vmax=top)
            axes.set_title(f"{site}, {name}: mean {plane.mean():.3f}", fontsize=drawing.SMALL)
            axes.tick_params(labelsize=drawing.SMALL)
        figure.colorbar(image, ax=list(row)).ax.tick_params(labelsize=drawing.SMALL)
