"""Pictures of an utterance: mel, F0 contours, share map and attention over one time axis; what a notebook shows."""

from __future__ import annotations

import html
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.interpolation.attention import mass_plane
from gradtts_interp.interpolation.mechanisms import LOW_BAND_BINS
from gradtts_interp.pitch.contour import median_f0_hz
from gradtts_interp.pitch.masks import filter_centres_hz
from gradtts_interp.plots import drawing
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style

WIDTH_INCHES = 12.0
SECONDS_IN_WIDTH = 7.0
WIDEST_INCHES = 60.0
MARGIN_INCHES = 1.6
LETTER_INCHES = 0.085
LONGEST_NAME = 40
WORD_ROWS = 4
ROW_POINTS = 13


def plot_speech(
    speech: Speech, path: str | Path | None = None, *, a: Speech | None = None, b: Speech | None = None
) -> Figure:
    """Draw an utterance.

    Args:
        speech: The utterance; its share and attention are drawn where it has them.
        path: Where to write a picture (png, svg or pdf, by its suffix); not written when None.
        a: The same text in style A alone, for its F0 contour.
        b: The same text in style B alone.

    Returns:
        The figure, 1200 pixels wide for up to 7 seconds and wider for more.

    Raises:
        InputError: ``path`` cannot be written.
    """
    words, rows = _word_rows(speech)
    panels, heights = zip(*_panels(speech, rows), strict=True)
    figure = drawing.new_figure(_width(speech), sum(heights) + 1.0)
    grid = figure.add_gridspec(len(panels), 2, height_ratios=heights, width_ratios=[1, 0.012])
    top: Axes | None = None
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(grid[i, 0], sharex=top)
        top = top or axes
        colours = panel(axes, speech, a, b)
        if colours is not None:
            image, label = colours
            bar = figure.colorbar(image, cax=figure.add_subplot(grid[i, 1]))
            bar.set_label(label, fontsize=drawing.SMALL)
            bar.ax.tick_params(labelsize=drawing.SMALL)
        axes.tick_params(labelsize=drawing.SMALL, labelbottom=i == len(panels) - 1)
        axes.set_xlim(0, speech.mel.shape[1] / speech.mel_config.frame_rate_hz)
    axes.set_xlabel("Time (s)", fontsize=drawing.NORMAL)
    assert top is not None
    _draw_words(top, words, speech)
    letters = int(13 * figure.get_figwidth())
    title = textwrap.shorten(speech.text, int(1.5 * letters), placeholder=" …")
    figure.suptitle("\n".join(textwrap.wrap(title, int(0.75 * letters))), fontsize=drawing.LARGE, parse_math=False)
    settings = "\n".join(textwrap.wrap(_settings_line(speech), letters, break_long_words=False))
    top.set_title(settings, fontsize=drawing.SMALL, pad=ROW_POINTS * rows + 10, parse_math=False)
    return drawing.save_figure(figure, path)


def _panels(speech: Speech, rows: int) -> list[tuple[Any, float]]:
    """What draws each panel, and its height in inches; the mel's has room for rows of words above it."""
    panels: list[tuple[Any, float]] = [(_draw_mel, 2.9 + 0.2 * rows), (_draw_f0, 2.4)]
    if speech.shares is not None:
        over_bins = np.ptp(speech.shares.timbre, axis=0).max() >= 1e-6
        if over_bins:
            panels.append((_draw_share_map, 2.0))
        if not over_bins or speech.shares.region is None and len(_share_lines(speech)) > 1:
            panels.append((_draw_share_line, 1.1))
    return panels + ([(_draw_attention, 1.5)] if speech.attention else [])


def _width(speech: Speech) -> float:
    return float(np.clip(WIDTH_INCHES * speech.seconds / SECONDS_IN_WIDTH, WIDTH_INCHES, WIDEST_INCHES))


# -- panels ---------------------------------------------------------------------------------------------------------


def _draw_mel(axes: Axes, speech: Speech, a: Speech | None, b: Speech | None) -> tuple[Any, str]:
    level_db = speech.mel * drawing.DB_PER_NAT
    level_db = level_db - level_db.max()
    image = drawing.draw_plane(axes, level_db, speech.mel_config, "magma", (-drawing.DYNAMIC_RANGE_DB, 0.0))
    return image, "dB re maximum"


def _draw_f0(axes: Axes, speech: Speech, a: Speech | None, b: Speech | None) -> None:
    name_a, name_b = _style_names(speech)
    seen: list[NDArray[Any]] = []
    alone = speech.share is None and b is None
    for other, name, colour in ((a, f"A: {name_a}", drawing.BLUE), (b, f"B: {name_b}", drawing.VERMILION)):
        if other is not None:
            seen.append(_draw_contour(axes, other, name, color=colour, linestyle=(0, (4, 2)), zorder=3))
    seen.append(_draw_contour(axes, speech, name_a if alone else "blend", color=drawing.BLACK, linewidth=2.6))
    drawing.scale_f0(axes, np.concatenate(seen))
    axes.set_ylabel("F0 (Hz)", fontsize=drawing.NORMAL)
    drawing.legend_above(axes, 3)


def _draw_share_line(axes: Axes, speech: Speech, a: Speech | None, b: Speech | None) -> None:
    times = drawing.centres_seconds(speech.mel.shape[1], speech.mel_config.frame_rate_hz)
    lines = _share_lines(speech)
    colours = (drawing.GREEN, drawing.BLUE, drawing.VERMILION, drawing.BLACK)
    for (name, share), colour in zip(lines.items(), colours, strict=False):
        axes.plot(times, share, color=colour, linewidth=2, label=name)
    if len(lines) == 1:
        axes.fill_between(times, share, color=drawing.GREEN, alpha=0.25, linewidth=0)
    else:
        drawing.legend_above(axes, 4)
    drawing.scale_share(axes, "Share of B")
    every = np.stack(list(lines.values()))
    axes.set_ylim(min(-0.04, every.min() - 0.04), max(1.04, every.max() + 0.04))


def _share_lines(speech: Speech) -> dict[str, NDArray[np.float64]]:
    """Shares over time (T,) that differ, by the dimensions that they are of; at most four."""
    assert speech.shares is not None
    lines: dict[str, NDArray[np.float64]] = {}
    for name, plane in speech.shares.planes.items():
        share = plane.mean(0, dtype=np.float64)
        same = next((names for names, line in lines.items() if np.array_equal(line, share)), None)
        lines[name if same is None else f"{same}, {name}"] = share if same is None else lines.pop(same)
    return lines


def _draw_share_map(axes: Axes, speech: Speech, a: Speech | None, b: Speech | None) -> tuple[Any, str]:
    assert speech.share is not None
    return drawing.draw_plane(axes, speech.share, speech.mel_config, "cividis", (0.0, 1.0)), "Share of B"


def _draw_attention(axes: Axes, speech: Speech, a: Speech | None, b: Speech | None) -> None:
    assert speech.attention is not None
    frames, config = speech.mel.shape[1], speech.mel_config
    times = drawing.centres_seconds(frames, config.frame_rate_hz)
    low_hz = filter_centres_hz(config)[LOW_BAND_BINS - 1]
    last = next(iter(speech.attention.values()))["mass"].shape[0] - 1
    mass = mass_plane(speech.attention, last, frames, n_mels=config.n_mels)
    low = mass[:LOW_BAND_BINS].mean(0)
    axes.plot(times, mass.mean(0), color=drawing.VERMILION, linewidth=2, label="all bins")
    region = f"F0 region, up to {low_hz:.0f} Hz"
    axes.plot(times, low, color=drawing.BLUE, linewidth=1.5, linestyle=(0, (4, 2)), label=region)
    if speech.share is not None:
        mean = speech.share.mean(0)
        axes.plot(times, mean, color="0.45", linewidth=1.2, linestyle=":", label="share asked for")
    drawing.scale_share(axes, "Attention to B")
    drawing.legend_above(axes, 3)


def _draw_contour(axes: Axes, speech: Speech, name: str, **line: Any) -> NDArray[Any]:
    """Draw one contour, with its median in the legend; its voiced values in Hz come back."""
    contour = speech.contour
    median_hz = median_f0_hz(contour)
    label = f"{name} (median {median_hz:.0f} Hz)" if median_hz else f"{name} (unvoiced)"
    return drawing.draw_f0(axes, contour, label=label, **line)


# -- words and title ------------------------------------------------------------------------------------------------


def _word_rows(speech: Speech) -> tuple[list[tuple[str, int, int, int]], int]:
    """Words with a row each, so that no two touch; those that fit in no row are left out."""
    seconds_per_inch = speech.seconds / (_width(speech) - MARGIN_INCHES)
    ends = [-np.inf] * WORD_ROWS
    placed = []
    for text, start, stop in speech.words:
        middle = (start + stop) / 2 / speech.mel_config.frame_rate_hz
        half = (len(text) + 1) * LETTER_INCHES * seconds_per_inch / 2
        row = next((r for r, end in enumerate(ends) if middle - half >= end), None)
        if row is not None:
            ends[row] = middle + half
            placed.append((text, start, stop, row))
    return placed, 1 + max((row for *_, row in placed), default=-1)


def _draw_words(axes: Axes, words: list[tuple[str, int, int, int]], speech: Speech) -> None:
    rate = speech.mel_config.frame_rate_hz
    for frame in sorted({edge for _, start, stop in speech.words for edge in (start, stop)}):
        if 0 < frame < speech.mel.shape[1]:
            axes.axvline(frame / rate, color="white", linewidth=0.7, alpha=0.6)
    for text, start, stop, row in words:
        points = 3 + ROW_POINTS * row
        drawing.write_above(axes, text, (start + stop) / 2 / rate, points, fontsize=drawing.SMALL)


def _settings_line(speech: Speech) -> str:
    settings = speech.settings
    names = " → ".join(f"{letter}: {name}" for letter, name in zip("AB", _style_names(speech), strict=False) if name)
    parts = [names, settings.get("share"), " + ".join(settings.get("mechanisms") or ())]
    parts += [f"{settings['solver']}, {settings['steps']} steps"] if "solver" in settings else []
    parts += [f"guidance {settings['guidance']:g}"] if settings.get("guidance") else []
    parts += [f"{name} {settings[name]}" for name in ("temperature", "seed") if settings.get(name) is not None]
    return "  ·  ".join(part for part in parts if part)


def _style_names(speech: Speech) -> tuple[str, str]:
    """Names of A and B; a recording is known by its file's name."""
    names = [Path(name).name if "/" in name else name for name in speech.settings.get("styles", [])]
    short = [name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…" for name in names]
    return (*short, "", "")[0], (*short, "", "")[1]


# -- in a notebook: a picture and a player, all inside the page -------------------------------------------------------


def html_of_speech(speech: Speech) -> str:
    """Show an utterance: text, player, mel, F0 and share.

    Args:
        speech: The utterance.

    Returns:
        HTML that needs no other file.
    """
    notes = "".join(f"<br><small>{html.escape(note)}</small>" for note in speech.notes)
    sound = drawing.audio_uri(speech.audio, speech.mel_config.sample_rate_hz)
    return (
        f"<div><b>{html.escape(speech.text)}</b> · {speech.seconds:.2f} s{notes}<br>"
        f'<audio controls preload="metadata" src="{sound}"></audio><br>{_image(plot_speech(speech))}</div>'
    )


def html_of_style(style: Style) -> str:
    """Show a style: its name and, where it has them, the reference's mel and F0.

    Args:
        style: The style.

    Returns:
        HTML that needs no other file.
    """
    title = f"<div><b>{html.escape(style.name)}</b> <code>{html.escape(repr(style))}</code>"
    return title + (f"<br>{_image(_figure_of_style(style))}</div>" if style.mel is not None else "</div>")


def _figure_of_style(style: Style) -> Figure:
    assert style.mel is not None
    config = MelConfig(n_mels=style.mel.shape[0])
    figure = drawing.new_figure(6.0, 3.6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    drawing.draw_plane(top, style.mel, config, "magma", (float(style.mel.max()) - 9.0, float(style.mel.max())))
    if style.contour is not None:
        drawing.scale_f0(bottom, drawing.draw_f0(bottom, style.contour, color="black"))
    bottom.set_ylabel("F0 (Hz)")
    bottom.set_xlabel("Time (s)")
    return figure


def _image(figure: Figure) -> str:
    return f'<img style="max-width:100%" src="{drawing.picture_uri(figure)}">'
