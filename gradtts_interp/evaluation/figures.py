"""Pictures of a report: contours with phones, mel planes with the share map, attention, curves of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gradtts_interp.evaluation.bootstrap import mean_with_interval
from gradtts_interp.evaluation.excerpt import Excerpt, frames_of_phones
from gradtts_interp.plots.drawing import (
    BLACK,
    BLUE,
    DB_PER_NAT,
    DYNAMIC_RANGE_DB,
    GREEN,
    NORMAL,
    PIXELS_PER_INCH,
    SMALL,
    VERMILION,
    centres_seconds,
    draw_plane,
    scale_f0,
    scale_share,
)

COLOURS = (BLUE, VERMILION, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#8A6D00", BLACK)
DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)))
"""More curves than colours are told apart by their dashes."""
STYLES: dict[str, dict[str, Any]] = {
    "reference": {"color": "0.25", "linestyle": (0, (4, 2)), "linewidth": 1.8, "zorder": 5},
    "blend": {"color": BLACK, "linewidth": 2.4, "zorder": 4},
    "synthesis": {"color": VERMILION, "linewidth": 2.0, "zorder": 4},
    "A": {"color": BLUE, "linewidth": 1.5, "zorder": 3},
    "B": {"color": VERMILION, "linewidth": 1.5, "zorder": 3},
}
WIDTH_INCHES = 11.0


@dataclass(frozen=True)
class Trace:
    """A contour to draw.

    Attributes:
        role: One of :data:`STYLES`, which decides how it is drawn.
        label: Its name in the legend.
        f0_hz: (T,), NaN where unvoiced.
        energy_db: (T,), None where it has none.
    """

    role: str
    label: str
    f0_hz: NDArray[np.floating[Any]]
    energy_db: NDArray[np.floating[Any]] | None = None


def trace_of(excerpt: Excerpt, role: str, label: str | None = None) -> Trace:
    """Contour of an excerpt, with gaps where it is unvoiced."""
    contour = excerpt.contour
    f0_hz = np.where(contour.voiced, contour.f0_hz, np.nan)
    return Trace(role, label or excerpt.name, f0_hz, contour.energy_db)


def asked_trace(a: Excerpt, b: Excerpt, share: NDArray[Any], label: str = "asked for") -> Trace:
    """What was asked for: log-F0 and level between A and B by the mean share of each frame.

    Args:
        a: Style A (T,).
        b: Style B, same frames.
        share: Share of B (M, T).
        label: Its name.

    Returns:
        A dashed trace, voiced where both are.
    """
    frames = min(len(a.contour), len(b.contour), share.shape[1])
    weight = share[:, :frames].mean(0)
    first, second = a.contour, b.contour
    log_f0 = (1 - weight) * np.log(first.f0_hz[:frames]) + weight * np.log(second.f0_hz[:frames])
    voiced = first.voiced[:frames] & second.voiced[:frames]
    energy = (1 - weight) * first.energy_db[:frames] + weight * second.energy_db[:frames]
    return Trace("reference", label, np.where(voiced, np.exp(log_f0), np.nan), energy)


def contour_figure(traces: Sequence[Trace], excerpt: Excerpt) -> Figure:
    """Draw F0 and level over time with phones, and the mean F0 of each phone.

    Args:
        traces: Contours on one frame grid.
        excerpt: Whose phones and frame grid are used.

    Returns:
        The figure; without phones its lowest panel is left out.
    """
    phones = frames_of_phones(excerpt.phones, excerpt.mel_config.frame_rate_hz)
    heights = [2.8, 1.6] + ([2.1] if phones else [])
    figure = _figure(sum(heights) + 0.6)
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    panels[1].sharex(panels[0])
    _draw_f0(panels[0], traces, excerpt)
    _draw_energy(panels[1], traces, excerpt)
    for axes in panels[:2]:
        _draw_phones(axes, excerpt, named=axes is panels[0])
        axes.set_xlim(0, max(len(t.f0_hz) for t in traces) / excerpt.mel_config.frame_rate_hz)
    if phones:
        _draw_phone_means(panels[2], traces, phones)
    return figure


def planes_figure(excerpts: Sequence[Excerpt], share: NDArray[Any] | None) -> Figure:
    """Draw mels one above the other on one scale, and the share map below.

    Args:
        excerpts: Utterances on one frame grid.
        share: Share of B (M, T), left out when None.

    Returns:
        The figure.
    """
    count = len(excerpts) + (share is not None)
    figure = _figure(1.75 * count + 0.4)
    rows = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    top = max(float(excerpt.mel.max()) for excerpt in excerpts)
    for axes, excerpt in zip(rows, excerpts, strict=False):
        level_db = (excerpt.mel - top) * DB_PER_NAT
        image = draw_plane(axes, level_db, excerpt.mel_config, "magma", (-DYNAMIC_RANGE_DB, 0.0))
        axes.set_title(excerpt.name, fontsize=NORMAL, loc="left", parse_math=False)
        _bar(figure, image, axes, "dB")
    if share is not None:
        image = draw_plane(rows[-1], share, excerpts[0].mel_config, "cividis", (0.0, 1.0))
        rows[-1].set_title("share of B that was asked for", fontsize=NORMAL, loc="left")
        _bar(figure, image, rows[-1], "share")
    for axes in rows:
        axes.tick_params(labelsize=SMALL)
        axes.yaxis.label.set_size(SMALL)
    rows[-1].set_xlabel("Time (s)", fontsize=NORMAL)
    return figure


def attention_figure(attention: Mapping[str, Mapping[str, Any]], seconds: float) -> Figure:
    """Draw the attention mass on B at every site.

    Args:
        attention: As in :attr:`gradtts_interp.speech.Speech.attention`.
        seconds: Length of the utterance.

    Returns:
        The figure: a heat map for each site, mean over heads and steps.
    """
    figure = _figure(1.2 * len(attention) + 0.5)
    rows = figure.subplots(len(attention), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (site, found) in zip(rows, attention.items(), strict=True):
        plane = np.asarray(found["mass"][-1], dtype=np.float64)
        image = axes.imshow(
            plane,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            extent=(0.0, seconds, 0.0, plane.shape[0]),
            cmap="cividis",
            vmin=0.0,
            vmax=1.0,
        )
        axes.set_title(f"{site}: {plane.mean():.2f} of the mass on B", fontsize=SMALL, loc="left", parse_math=False)
        axes.set_yticks([])
        axes.tick_params(labelsize=SMALL)
    rows[-1].set_xlabel("Time (s)", fontsize=NORMAL)
    figure.colorbar(image, ax=list(rows), label="attention mass on B", fraction=0.03).ax.tick_params(labelsize=SMALL)
    return figure


Curves = Mapping[str, Mapping[str, Mapping[float, Sequence[float]]]]
"""By measure (a panel each), condition (a line each) and place on the x axis: one realised share per utterance."""


def sweep_figure(curves: Curves) -> Figure:
    """Draw realised share against weight, with 95 % bootstrap intervals over utterances.

    Args:
        curves: Realised shares at each weight.

    Returns:
        The figure; the dotted diagonal is what was asked for.
    """
    return _curves_figure(curves, {0.0: [0.0], 1.0: [1.0]}, "weight asked for")


def course_figure(curves: Curves, asked: Mapping[float, Sequence[float]]) -> Figure:
    """Draw realised share against relative time, with 95 % bootstrap intervals over utterances.

    Args:
        curves: Realised shares at each relative time.
        asked: Shares asked for at each relative time.

    Returns:
        The figure; dotted is what was asked for.
    """
    return _curves_figure(curves, asked, "relative time")


def _curves_figure(curves: Curves, asked: Mapping[float, Sequence[float]], label: str) -> Figure:
    figure = Figure(figsize=(WIDTH_INCHES, 4.4), dpi=PIXELS_PER_INCH, layout="constrained")
    panels = figure.subplots(1, max(1, len(curves)), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(name for lines in curves.values() for name in lines))
    wanted = sorted(asked)
    for axes, (measure, lines) in zip(panels, curves.items(), strict=False):
        means = [np.mean(asked[x]) for x in wanted]
        axes.plot(wanted, means, color="0.3", linestyle=":", linewidth=1.6, zorder=5, label="asked for")
        for name, points in lines.items():
            turn, colour = divmod(names.index(name), len(COLOURS))
            _draw_curve(axes, name, points, COLOURS[colour], DASHES[turn % len(DASHES)])
        axes.set_title(measure, fontsize=NORMAL, loc="left")
        axes.set_xlabel(label, fontsize=NORMAL)
        scale_share(axes, "")
        axes.set_ylim(-0.3, 1.3)
        axes.set_xlim(-0.02, 1.02)
        axes.tick_params(labelsize=SMALL)
    panels[0].set_ylabel("realised share of B", fontsize=NORMAL)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=SMALL)
    return figure


def _draw_curve(axes: Axes, name: str, points: Mapping[float, Sequence[float]], colour: str, dash: Any) -> None:
    """Draw means with a band; the default condition is the thick one."""
    places = sorted(x for x in points if len(points[x]))
    found = [mean_with_interval(points[x]) for x in places]
    thick = 2.6 if name == "default" else 1.3
    means = [f.mean for f in found]
    axes.plot(places, means, marker="o", linestyle=dash, color=colour, label=name, markersize=3, linewidth=thick)
    axes.fill_between(places, [f.low for f in found], [f.high for f in found], color=colour, alpha=0.1, linewidth=0)


# -- panels ---------------------------------------------------------------------------------------------------------


def _figure(height: float) -> Figure:
    return Figure(figsize=(WIDTH_INCHES, height), dpi=PIXELS_PER_INCH, layout="constrained")


def _bar(figure: Figure, image: Any, axes: Axes, label: str) -> None:
    bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=12)
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)


def _draw_f0(axes: Axes, traces: Sequence[Trace], excerpt: Excerpt) -> None:
    for trace in traces:
        times = centres_seconds(len(trace.f0_hz), excerpt.mel_config)
        axes.plot(times, trace.f0_hz, label=trace.label, **STYLES[trace.role])
    seen = np.concatenate([t.f0_hz[np.isfinite(t.f0_hz)] for t in traces])
    scale_f0(axes, seen)
    axes.set_ylabel("F0 (Hz)", fontsize=NORMAL)
    axes.tick_params(labelsize=SMALL, labelbottom=False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.09), ncols=5, frameon=False, fontsize=SMALL, borderaxespad=0.1)


def _draw_energy(axes: Axes, traces: Sequence[Trace], excerpt: Excerpt) -> None:
    for trace in traces:
        if trace.energy_db is not None:
            axes.plot(centres_seconds(len(trace.energy_db), excerpt.mel_config), trace.energy_db, **STYLES[trace.role])
    axes.set_ylabel("Level (dB)", fontsize=NORMAL)
    axes.set_xlabel("Time (s)", fontsize=NORMAL)
    axes.tick_params(labelsize=SMALL)
    axes.grid(True, axis="y", color="0.9", linewidth=0.8)


def _draw_phones(axes: Axes, excerpt: Excerpt, *, named: bool) -> None:
    for name, start, end in excerpt.phones:
        axes.axvline(start, color="0.85", linewidth=0.7, zorder=1)
        if named and end - start > 0.03:
            middle = (start + end) / 2
            axes.annotate(
                _phone_name(name),
                (middle, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=7,
                color="0.3",
                parse_math=False,
            )


def _draw_phone_means(axes: Axes, traces: Sequence[Trace], phones: Sequence[tuple[str, slice]]) -> None:
    """Geometric mean of F0 over the voiced frames of each phone; phones without any leave a gap."""
    spoken = [(name, part) for name, part in phones if any(np.isfinite(t.f0_hz[part]).any() for t in traces)]
    values = []
    for trace in traces:
        means = [_geometric_mean(trace.f0_hz[part]) for _, part in spoken]
        line = {**STYLES[trace.role], "linewidth": 1.2, "marker": "o", "markersize": 4}
        axes.plot(np.arange(len(spoken)), means, **line)
        values.append(np.array(means, dtype=np.float64))
    seen = np.concatenate(values) if values else np.empty(0)
    scale_f0(axes, seen[np.isfinite(seen)])
    axes.set_xticks(np.arange(len(spoken)), [_phone_name(name) for name, _ in spoken], fontsize=7)
    axes.set_ylabel("mean F0 (Hz)", fontsize=NORMAL)
    axes.set_xlabel("voiced phones, in order", fontsize=NORMAL)
    axes.tick_params(axis="y", labelsize=SMALL)


def _geometric_mean(f0_hz: NDArray[Any]) -> float:
    found = f0_hz[np.isfinite(f0_hz)]
    return float(np.exp(np.log(found).mean())) if len(found) else float("nan")


def _phone_name(name: str) -> str:
    return name.removeprefix("@").rstrip("012")
