"""Pictures of attention: which part of which reference a phoneme looks at, by phoneme, layer and diffusion time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gradtts_interp.interpolation.attention import AttentionMaps
from gradtts_interp.plots.drawing import LARGE, PIXELS_PER_INCH, SMALL, save_figure

MOST_PHONEMES = 8
MOST_INTERVALS = 4


def plot_phonemes(
    maps: AttentionMaps,
    path: str | Path | None = None,
    *,
    phonemes: Sequence[int] | None = None,
    site: str | None = None,
    interval: int | None = None,
) -> Figure:
    """Draw where phonemes look: one row for each, one column for each reference.

    Args:
        maps: What was recorded.
        path: Where to write a picture; not written when None.
        phonemes: Numbers of phonemes; up to eight, evenly over the sentence, if None.
        site: Name of one layer; the mean over all if None.
        interval: Number of one interval of diffusion time; the mean over evaluations if None.

    Returns:
        The figure: references in grey, attention in red on one scale, and the sum on each reference.

    Raises:
        InputError: There is no such phoneme, site or interval, or ``path`` cannot be written.
    """
    chosen = _evenly(_spoken(maps), MOST_PHONEMES) if phonemes is None else list(phonemes)
    planes = [[maps.of(i, phoneme=p, site=site, interval=interval) for i in _styles(maps)] for p in chosen]
    figure, grid = _grid(maps, len(chosen), 1)
    for row, (axes, own) in enumerate(zip(grid, planes, strict=True)):
        brightest = max(plane.max() for plane in own)
        for i, plane in enumerate(own):
            _draw(axes[i], maps, i, plane, brightest, f"{100 * plane.sum():.0f} %")
        name = maps.phonemes[chosen[row]].removeprefix("@")
        axes[0].set_ylabel(f"{name}  ({chosen[row]})", fontsize=SMALL, rotation=0, ha="right", va="center")
    where = "all layers" if site is None else site
    when = "all times" if interval is None else _interval_name(maps, interval)
    return _finish(figure, grid, maps, f"Where phonemes look (attention; {where}, {when})", path)


def plot_layers(
    maps: AttentionMaps, path: str | Path | None = None, *, phonemes: Sequence[int] | None = None
) -> Figure:
    """Draw where phonemes look by layer and diffusion time: one row for each layer, references side by side.

    Args:
        maps: What was recorded.
        path: Where to write a picture; not written when None.
        phonemes: Numbers of phonemes whose mean is drawn; all if None.

    Returns:
        The figure, with up to four intervals of time from noise to speech.

    Raises:
        InputError: There is no such phoneme, or ``path`` cannot be written.
    """
    chosen: Sequence[int] = _spoken(maps) if phonemes is None else list(phonemes)
    intervals = _evenly([i for i, count in enumerate(maps.evaluations) if count], MOST_INTERVALS)
    figure, grid = _grid(maps, len(maps.planes), len(intervals))
    for axes, site in zip(grid, maps.planes, strict=True):
        for column, interval in enumerate(intervals):
            own = [
                np.mean([maps.of(i, phoneme=p, site=site, interval=interval) for p in chosen], axis=0)
                for i in _styles(maps)
            ]
            brightest = max(plane.max() for plane in own)
            for i, plane in enumerate(own):
                place = axes[column * len(own) + i]
                _draw(place, maps, i, plane, brightest, f"{100 * plane.sum():.0f} %")
                if axes is grid[-1] and i == 0:
                    place.set_xlabel(_interval_name(maps, interval), fontsize=SMALL)
        axes[0].set_ylabel(site, fontsize=SMALL)
    return _finish(figure, grid, maps, "Where the sentence looks, by layer and diffusion time", path)


def _styles(maps: AttentionMaps) -> range:
    return range(len(maps.references))


def _spoken(maps: AttentionMaps) -> list[int]:
    """Phonemes that have a sound: no silences and punctuation."""
    spoken = [i for i, name in enumerate(maps.phonemes) if name.startswith("@") and np.ptp(maps.spans[i])]
    return spoken or list(range(len(maps.phonemes)))


def _evenly(values: Sequence[int], most: int) -> list[int]:
    """At most so many of some values, evenly spread."""
    places = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return [values[i] for i in places]


def _interval_name(maps: AttentionMaps, interval: int) -> str:
    start, stop = maps.time_edges[interval : interval + 2]
    return f"t {start:.2g} to {stop:.2g}"


def _grid(maps: AttentionMaps, rows: int, groups: int) -> tuple[Figure, list[list[Axes]]]:
    columns = groups * len(maps.references)
    width = 12.0 if groups == 1 else max(12.0, 2.2 * columns)
    figure = Figure(figsize=(width, 1.1 + 1.25 * rows), dpi=PIXELS_PER_INCH, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in axes]


def _draw(axes: Axes, maps: AttentionMaps, style: int, plane: NDArray, brightest: float, note: str) -> None:
    """Attention over a reference mel in grey; opacity is attention, on a scale from 0 to ``brightest``."""
    mel = maps.references[style]
    axes.imshow(mel, origin="lower", aspect="auto", cmap="gray", interpolation="nearest")
    fine = np.kron(plane, np.ones(maps.patch))[: mel.shape[0], : mel.shape[1]]
    opacity = np.clip(fine / max(brightest, 1e-12), 0.0, 1.0)
    axes.imshow(
        np.ones_like(fine),
        origin="lower",
        aspect="auto",
        cmap="autumn",
        vmin=1.0,
        vmax=2.0,
        alpha=opacity,
        interpolation="nearest",
    )
    axes.text(0.99, 0.96, note, transform=axes.transAxes, ha="right", va="top", fontsize=SMALL, color="white")
    axes.set_xticks([])
    axes.set_yticks([])


def _finish(figure: Figure, grid: list[list[Axes]], maps: AttentionMaps, title: str, path: str | Path | None) -> Figure:
    for i, axes in enumerate(grid[0]):
        style = i % len(maps.references)
        name = Path(maps.styles[style]).name if len(grid[0]) == len(maps.references) else ""
        axes.set_title(f"{chr(ord('A') + style)} {name}".strip(), fontsize=SMALL, parse_math=False)
    figure.suptitle(title, fontsize=LARGE)
    if path is not None:
        save_figure(figure, path)
    return figure
