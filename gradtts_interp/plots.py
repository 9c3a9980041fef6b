"""Pictures of an utterance: mel, F0 contours, share map and attention over one time axis.

Only matplotlib's object interface is used, so no window, backend or global setting is touched.
"""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.files import atomic_path
from gradtts_interp.interpolation.attention_record import mass_over_time
from gradtts_interp.interpolation.mechanisms import LOW_BAND_BINS
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.pitch.masks import filter_centres_hz
from gradtts_interp.pitch.statistics import f0_statistics
from gradtts_interp.speech import Speech

# Okabe and Ito's colours, which all kinds of colour vision tell apart.
BLUE, VERMILION, BLACK, GREEN = "#0072B2", "#D55E00", "#000000", "#009E73"
DB_PER_NAT = 20.0 / np.log(10.0)
DYNAMIC_RANGE_DB = 75.0
FREQUENCY_TICKS_HZ = (100, 400, 800, 1500, 3000, 6000)
F0_TICKS_HZ = (50, 60, 70, 80, 90, 100, 120, 140, 160, 180, 200, 240, 280, 320, 360, 400, 450, 500, 600)
PIXELS_PER_INCH = 100
WIDTH_INCHES = 12.0
SECONDS_IN_WIDTH = 7.0
WIDEST_INCHES = 60.0
MARGIN_INCHES = 1.6
LETTER_INCHES = 0.085
WORD_ROWS = 4
ROW_POINTS = 13
SMALL, NORMAL, LARGE = 9, 10, 12


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
    panels = _panels(speech)
    heights = [_height(panel, speech, rows) for panel in panels]
    figure = Figure(figsize=(_width(speech), sum(heights) + 1.0), dpi=PIXELS_PER_INCH, layout="constrained")
    grid = figure.add_gridspec(len(panels), 2, height_ratios=heights, width_ratios=[1, 0.012])
    top: Axes | None = None
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(grid[i, 0], sharex=top)
        top = top or axes
        colours = panel(axes, speech, a, b)
        if colours is not None:
            image, label = colours
            bar = figure.colorbar(image, cax=figure.add_subplot(grid[i, 1]))
            bar.set_label(label, fontsize=SMALL)
            bar.ax.tick_params(labelsize=SMALL)
        axes.tick_params(labelsize=SMALL, labelbottom=i == len(panels) - 1)
        axes.set_xlim(0, _frames(speech) / speech.mel_config.frame_rate_hz)
    axes.set_xlabel("Time (s)", fontsize=NORMAL)
    assert top is not None
    _draw_words(top, words, speech)
    letters = int(13 * figure.get_figwidth())
    title = textwrap.shorten(speech.text, int(1.5 * letters), placeholder=" …")
    figure.suptitle("\n".join(textwrap.wrap(title, int(0.75 * letters))), fontsize=LARGE, parse_math=False)
    settings = "\n".join(textwrap.wrap(_settings_line(speech), letters, break_long_words=False))
    top.set_title(settings, fontsize=SMALL, pad=ROW_POINTS * rows + 10, parse_math=False)
    if path is not None:
        save_figure(figure, path)
    return figure


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure; the file appears whole or not at all.

    Args:
        figure: The figure.
        path: Where to write; the suffix names the format.
    """
    with warnings.catch_warnings(), atomic_path(path) as temporary:
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a title may hold any script
        figure.savefig(temporary, dpi=figure.dpi)


def _panels(speech: Speech) -> list[Any]:
    panels = [_draw_mel, _draw_f0]
    if speech.share is not None:
        panels.append(_draw_share_line if _constant_over_bins(speech.share) else _draw_share_map)
    if speech.attention:
        panels.append(_draw_attention)
    return panels


def _height(panel: Any, speech: Speech, rows: int) -> float:
    """Height of a panel in inches; the mel's has room for the words above it."""
    inches = {_draw_mel: 2.9 + 0.2 * rows, _draw_f0: 2.4, _draw_share_line: 1.1, _draw_share_map: 2.0}
    return inches.get(panel, 1.5)


def _frames(speech: Speech) -> int:
    return speech.mel.shape[1]


def _width(speech: Speech) -> float:
    return float(np.clip(WIDTH_INCHES * speech.seconds / SECONDS_IN_WIDTH, WIDTH_INCHES, WIDEST_INCHES))


def _constant_over_bins(share: NDArray[np.float32]) -> bool:
    return bool(np.ptp(share, axis=0).max() < 1e-6)


def centres_seconds(frames: int, config: MelConfig) -> NDArray[np.float64]:
    """Time of each frame's centre, (T,) in seconds."""
    return (np.arange(frames, dtype=np.float64) + 0.5) / config.frame_rate_hz


# -- panels ---------------------------------------------------------------------------------------------------------


def _draw_mel(axes: Axes, speech: Speech, a: Speech | None, b: Speech | None) -> tuple[Any, str]:
    level_db = speech.mel * DB_PER_NAT
    level_db = level_db - level_db.max()
    image = draw_plane(axes, level_db, speech.mel_config, "magma", (-DYNAMIC_RANGE_DB, 0.0))
    return image, "dB re maximum"


def _draw_f0(axes: Axes, speech: Speech, a: Speech | None, b: Speech | None) -> None:
    name_a, name_b = _style_names(speech)
    seen: list[NDArray[Any]] = []
    alone = speech.share is None
    for other, name, colour in ((a, f"A: {name_a}", BLUE), (b, f"B: {name_b}", VERMILION)):
        if other is not None:
            seen.append(_draw_contour(axes, other, name, color=colour, linestyle=(0, (4, 2)), zorder=3))
    seen.append(_draw_contour(axes, speech, name_a if alone else "blend", color=BLACK, linewidth=2.6))
    scale_f0(axes, np.concatenate(seen))
    axes.set_ylabel("F0 (Hz)", fontsize=NORMAL)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, fontsize=SMALL, borderaxespad=0.1)


def _draw_share_line(axes: Axes, speech: Speech, a: Speech | None, b: Speech | None) -> None:
    assert speech.share is not None
    times = centres_seconds(_frames(speech), speech.mel_config)
    axes.fill_between(times, speech.share[0], color=GREEN, alpha=0.25, linewidth=0)
    axes.plot(times, speech.share[0], color=GREEN, linewidth=2)
    scale_share(axes, "Share of B")


def _draw_share_map(axes: Axes, speech: Speech, a: Speech | None, b: Speech | None) -> tuple[Any, str]:
    assert speech.share is not None
    return draw_plane(axes, speech.share, speech.mel_config, "cividis", (0.0, 1.0)), "Share of B"


def _draw_attention(axes: Axes, speech: Speech, a: Speech | None, b: Speech | None) -> None:
    assert speech.attention is not None
    frames, config = _frames(speech), speech.mel_config
    times = centres_seconds(frames, config)
    low_hz = filter_centres_hz(config)[LOW_BAND_BINS - 1]
    last = next(iter(speech.attention.values()))["mass"].shape[0] - 1
    every = mass_over_time(speech.attention, last, frames, n_mels=config.n_mels)
    low = mass_over_time(speech.attention, last, frames, bins=slice(0, LOW_BAND_BINS), n_mels=config.n_mels)
    axes.plot(times, every, color=VERMILION, linewidth=2, label="all bins")
    axes.plot(times, low, color=BLUE, linewidth=1.5, linestyle=(0, (4, 2)), label=f"F0 region, up to {low_hz:.0f} Hz")
    if speech.share is not None:
        mean = speech.share.mean(0)
        axes.plot(times, mean, color="0.45", linewidth=1.2, linestyle=":", label="share asked for")
    scale_share(axes, "Attention to B")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, fontsize=SMALL, borderaxespad=0.1)


# -- parts of panels ------------------------------------------------------------------------------------------------


def draw_plane(axes: Axes, plane: NDArray[Any], config: MelConfig, colours: str, limits: tuple[float, float]) -> Any:
    """Draw (M, T) with seconds across and the filters' centre frequencies upwards."""
    bins, frames = plane.shape
    image = axes.imshow(
        plane,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0.0, frames / config.frame_rate_hz, -0.5, bins - 0.5),
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
    )
    centres = filter_centres_hz(config)
    ticks = [f for f in FREQUENCY_TICKS_HZ if centres[0] <= f <= centres[-1]]
    axes.set_yticks(np.interp(ticks, centres, np.arange(bins)), [f"{f:g}" for f in ticks])
    axes.set_ylabel("Frequency (Hz)", fontsize=NORMAL)
    return image


def _draw_contour(axes: Axes, speech: Speech, name: str, **line: Any) -> NDArray[Any]:
    """Draw one contour with gaps where it is unvoiced; its voiced values in Hz come back."""
    contour: Contour = speech.contour
    median_hz = f0_statistics(contour).median_hz
    label = f"{name} (median {median_hz:.0f} Hz)" if median_hz else f"{name} (unvoiced)"
    f0_hz = np.where(contour.voiced, contour.f0_hz, np.nan)
    axes.plot(centres_seconds(len(contour), speech.mel_config), f0_hz, label=label, **line)
    return contour.f0_hz[contour.voiced]


def scale_f0(axes: Axes, f0_hz: NDArray[Any]) -> None:
    """Give axes a logarithmic F0 scale that holds these values in Hz."""
    low, high = (float(f0_hz.min()), float(f0_hz.max())) if len(f0_hz) else (80.0, 300.0)
    low, high = low / 1.06, high * 1.06
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    inside = [f for f in F0_TICKS_HZ if low <= f <= high]
    step = max(1, len(inside) // 7)
    axes.yaxis.set_major_locator(FixedLocator(inside[::step]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, color="0.88", linewidth=0.8)


def scale_share(axes: Axes, label: str) -> None:
    """Give axes the scale of shares of B."""
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0.0, 0.5, 1.0], ["0 (A)", "0.5", "1 (B)"])
    axes.set_ylabel(label, fontsize=NORMAL)
    axes.grid(True, color="0.88", linewidth=0.8)


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
        if 0 < frame < _frames(speech):
            axes.axvline(frame / rate, color="white", linewidth=0.7, alpha=0.6)
    for text, start, stop, row in words:
        axes.annotate(
            text,
            ((start + stop) / 2 / rate, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3 + ROW_POINTS * row),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=SMALL,
            parse_math=False,
        )


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
    names = [_short(name) for name in speech.settings.get("styles", [])]
    return (*names, "", "")[0], (*names, "", "")[1]


def _short(name: str, length: int = 40) -> str:
    name = Path(name).name if "/" in name else name
    return name if len(name) <= length else name[: length - 1] + "…"
