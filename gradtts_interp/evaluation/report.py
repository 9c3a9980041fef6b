"""One self-contained HTML page of a run: tables, pictures and players, with nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gradtts_interp.audio import read_audio
from gradtts_interp.config import MelConfig
from gradtts_interp.evaluation.run import Record
from gradtts_interp.evaluation.signal import Signal
from gradtts_interp.evaluation.tables import mean_with_interval, number
from gradtts_interp.files import write_text
from gradtts_interp.pitch.contour import Contour, median_f0_hz
from gradtts_interp.plots import drawing

TEMPLATE = Path(__file__).with_name("report.html")
SHOWN = "shown"
AUDIO_RATE_HZ = MelConfig().sample_rate_hz
Picture = tuple[str, str, Figure]
"""Heading, what is seen in a sentence or two, and the picture."""


def shown_row(
    title: str, text: str, label: str, wav: str | Path, *, contour: Contour, pictures: Sequence[str | Path] = ()
) -> dict[str, Any]:
    """A row of a record that is no measure: something to listen to, and to look at, in the report.

    Args:
        title: Heading of the utterance, which has other rows too.
        text: The sentence.
        label: What is heard.
        wav: The sound; it and pictures are named by paths relative to the folder of the run.
        contour: Its contour, whose median stands beside it.
        pictures: Paths of PNGs.

    Returns:
        The row.
    """
    median_hz = median_f0_hz(contour)
    note = "unvoiced" if median_hz is None else f"median F0 {median_hz:.0f} Hz"
    paths = [str(path) for path in pictures]
    return {"hidden": SHOWN, "title": title, "text": text, "label": label, "wav": str(wav), "note": note, "png": paths}


def shown_in(records: Sequence[Record]) -> dict[str, list[dict[str, Any]]]:
    """Rows of :func:`shown_row` by their title."""
    examples: dict[str, list[dict[str, Any]]] = {}
    for row in (row for record in records for row in record.rows if row.get("hidden") == SHOWN):
        examples.setdefault(row["title"], []).append(row)
    return examples


def write_report(path: str | Path, **page: Any) -> Path:
    """Write the page; the file appears whole or not at all. All text is escaped, pictures and audio are data URIs.

    Args:
        path: Where to write, in the folder of the run.
        **page: ``title``; ``facts``, by name: date, command, machine, n; ``tables``; ``examples``, as of
            :func:`shown_in`; ``failures``, items with the reason; ``notes``. And what there is of: ``summary`` (what
            was found) and ``weak`` (what is weak), in sentences; ``pictures`` of the whole run, each a :data:`Picture`.

    Returns:
        The path.

    Raises:
        InputError: Audio that cannot be read.
    """
    path = Path(path)

    def sound(wav: str) -> str:
        return drawing.audio_uri(read_audio(path.parent / wav, AUDIO_RATE_HZ).numpy(), AUDIO_RATE_HZ)

    def image(png: str) -> str:
        return drawing.data_uri("image/png", (path.parent / png).read_bytes())

    world = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    world.filters["number"] = number
    template = world.from_string(TEMPLATE.read_text(encoding="utf-8"))
    write_text(path, template.render(page, picture_uri=drawing.picture_uri, sound=sound, image=image))
    return path


# -- pictures: contours with phones, mels with the share map, curves of a sweep ---------------------------------------

COLOURS = (drawing.BLUE, drawing.VERMILION, drawing.GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#8A6D00", drawing.BLACK)
DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)))
"""More curves than colours are told apart by their dashes."""
ASKED = "asked for"
_DASHED = {"color": "0.25", "linestyle": (0, (4, 2)), "linewidth": 1.8, "zorder": 5}
STYLES: dict[str, dict[str, Any]] = {
    ASKED: _DASHED,
    "reference": _DASHED,
    "blend": {"color": drawing.BLACK, "linewidth": 2.4, "zorder": 4},
    "synthesis": {"color": drawing.VERMILION, "linewidth": 2.0, "zorder": 4},
    "A": {"color": drawing.BLUE, "linewidth": 1.5, "zorder": 3},
    "B": {"color": drawing.VERMILION, "linewidth": 1.5, "zorder": 3},
}
WIDTH_INCHES = 11.0
SHORTEST_NAMED_SECONDS = 0.03


def asked_contour(a: Contour, b: Contour, share: NDArray[Any]) -> Contour:
    """What was asked for: log-F0 and level between A and B (T,) by the mean share of each frame.

    Args:
        a: Contour of style A.
        b: Contour of style B, same frames.
        share: Share of B (M, T).

    Returns:
        The contour, voiced where both are.
    """
    frames = min(len(a), len(b), share.shape[1])
    weight = share[:, :frames].mean(0)
    f0_hz = a.f0_hz[:frames] ** (1 - weight) * b.f0_hz[:frames] ** weight
    level_db = (1 - weight) * a.energy_db[:frames] + weight * b.energy_db[:frames]
    return Contour(f0_hz, a.voiced[:frames] & b.voiced[:frames], level_db, a.frame_rate_hz)


def utterance_figure(
    signals: Mapping[str, Signal],
    config: MelConfig,
    share: NDArray[Any] | None = None,
    *,
    phones: Sequence[tuple[str, float, float]] = (),
    asked: Contour | None = None,
) -> Figure:
    """Draw F0 and level of some recordings over time with phones, and below them their mels and the share map.

    Args:
        signals: Recordings by role, as in :data:`STYLES`; on one frame grid, or each on its own time.
        config: Mel contract.
        share: Share of B that was asked for (M, T), of a blend of A and B; left out when None.
        phones: Phones with start and end in seconds.
        asked: Contour that was asked for; of a blend, that between A and B by its share if None.

    Returns:
        The figure.
    """
    contours = {role: signal.contour for role, signal in signals.items()}
    if share is not None:
        contours[ASKED] = asked or asked_contour(contours["A"], contours["B"], share)
    count = len(signals) + (share is not None)
    heights = [2.8, 1.6, *([1.75] * count)]
    figure = drawing.new_figure(WIDTH_INCHES, sum(heights) + 0.6)
    rows = figure.subplots(len(heights), 1, height_ratios=heights, sharex=True)
    _draw_contours(rows[0], rows[1], contours)
    for name, start, end in phones:
        for axes in rows[:2]:
            axes.axvline(start, color="0.85", linewidth=0.7, zorder=1)
        if any(map(str.isalpha, name)) and end - start > SHORTEST_NAMED_SECONDS:
            drawing.write_above(rows[0], name.rstrip("012"), (start + end) / 2, 2, fontsize=7, color="0.3")
    top = max(float(signal.mel.max()) for signal in signals.values())
    planes = {
        role: ((s.mel - top) * drawing.DB_PER_NAT, "magma", (-drawing.DYNAMIC_RANGE_DB, 0.0))
        for role, s in signals.items()
    }
    if share is not None:
        planes["share of B that was asked for"] = share, "cividis", (0.0, 1.0)
    for axes, (title, (plane, colours, limits)) in zip(rows[2:], planes.items(), strict=True):
        image = drawing.draw_plane(axes, plane, config, colours, limits)
        axes.set_title(title, fontsize=drawing.NORMAL, loc="left", parse_math=False)
        figure.colorbar(image, ax=axes, pad=0.01, aspect=12).ax.tick_params(labelsize=drawing.SMALL)
    for axes in rows:
        axes.tick_params(labelsize=drawing.SMALL)
        axes.yaxis.label.set_size(drawing.SMALL)
    rows[0].set_xlim(0, max(map(len, contours.values())) / config.frame_rate_hz)
    rows[-1].set_xlabel("Time (s)", fontsize=drawing.NORMAL)
    return figure


def _draw_contours(f0_axes: Axes, level_axes: Axes, contours: Mapping[str, Contour]) -> None:
    """F0, with gaps where it is unvoiced, and level."""
    voiced = [drawing.draw_f0(f0_axes, contour, label=role, **STYLES[role]) for role, contour in contours.items()]
    for role, contour in contours.items():
        times = drawing.centres_seconds(len(contour), contour.frame_rate_hz)
        level_axes.plot(times, contour.energy_db, **STYLES[role])
    drawing.scale_f0(f0_axes, np.concatenate(voiced))
    f0_axes.set_ylabel("F0 (Hz)")
    drawing.legend_above(f0_axes, 5, height=1.09)
    level_axes.set_ylabel("Level (dB)")
    level_axes.grid(True, axis="y", color="0.9", linewidth=0.8)


Curves = Mapping[str, Mapping[str, Mapping[float, Sequence[float]]]]
"""By measure (a panel each), condition (a line each) and weight: one realised share per utterance."""


def sweep_figure(curves: Curves) -> Figure:
    """Draw realised share against weight, with 95 % bootstrap intervals over utterances.

    Args:
        curves: Realised shares at each weight.

    Returns:
        The figure; the dotted diagonal is what was asked for.
    """
    figure = drawing.new_figure(WIDTH_INCHES, 4.4)
    panels = figure.subplots(1, max(1, len(curves)), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(name for lines in curves.values() for name in lines))
    for axes, (measure, lines) in zip(panels, curves.items(), strict=False):
        axes.plot([0, 1], [0, 1], color="0.3", linestyle=":", linewidth=1.6, zorder=5, label=ASKED)
        for name, points in lines.items():
            turn, colour = divmod(names.index(name), len(COLOURS))
            _draw_curve(axes, name, points, COLOURS[colour], DASHES[turn % len(DASHES)])
        axes.set_title(measure, fontsize=drawing.NORMAL, loc="left")
        axes.set_xlabel("weight asked for", fontsize=drawing.NORMAL)
        drawing.scale_share(axes, "")
        axes.set_ylim(-0.3, 1.3)
        axes.set_xlim(-0.02, 1.02)
        axes.tick_params(labelsize=drawing.SMALL)
    panels[0].set_ylabel("realised share of B", fontsize=drawing.NORMAL)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=drawing.SMALL)
    return figure


def _draw_curve(axes: Axes, name: str, points: Mapping[float, Sequence[float]], colour: str, dash: Any) -> None:
    """Draw means with a band; the default condition is the thick one."""
    places = sorted(x for x in points if len(points[x]))
    found = [mean_with_interval(points[x]) for x in places]
    look = {"linestyle": dash, "color": colour, "linewidth": 2.6 if name == "default" else 1.3}
    mean, low, high = ([interval[part] for interval in found] for part in ("mean", "low", "high"))
    axes.plot(places, mean, marker="o", markersize=3, label=name, **look)
    axes.fill_between(places, low, high, color=colour, alpha=0.1, linewidth=0)
