"""What all pictures share: colours, scales, planes over time and frequency, and how a figure is written.

Pictures and sound inside a page are data URIs, so that nothing has to be fetched.

Only matplotlib's object interface is used, so no window, backend or global setting is touched.
"""

from __future__ import annotations

import base64
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.files import atomic_path
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.pitch.masks import filter_centres_hz

# Okabe and Ito's colours, which all kinds of colour vision tell apart.
BLUE, VERMILION, BLACK, GREEN = "#0072B2", "#D55E00", "#000000", "#009E73"
DB_PER_NAT = 20.0 / np.log(10.0)
DYNAMIC_RANGE_DB = 75.0
FREQUENCY_TICKS_HZ = (100, 400, 800, 1500, 3000, 6000)
F0_TICKS_HZ = (50, 60, 70, 80, 90, 100, 120, 140, 160, 180, 200, 240, 280, 320, 360, 400, 450, 500, 600)
PIXELS_PER_INCH = 100
PLANE: dict[str, Any] = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
"""How every plane over time is drawn."""
SMALL, NORMAL, LARGE = 9, 10, 12


def save_figure(figure: Figure, path: str | Path | None) -> Figure:
    """Write a figure; the file appears whole or not at all.

    Args:
        figure: The figure.
        path: Where to write; the suffix names the format. Not written when None.

    Returns:
        The figure.

    Raises:
        InputError: ``path`` cannot be written.
    """
    if path is not None:
        with atomic_path(path) as temporary:
            _write(figure, temporary)
    return figure


def picture_uri(figure: Figure) -> str:
    """A figure as a lossless WebP in a data URI: every browser shows it, and it is much smaller than a PNG."""
    stream = io.BytesIO()
    _write(figure, stream, format="webp", pil_kwargs={"lossless": True})
    return data_uri("image/webp", stream.getvalue())


def _write(figure: Figure, where: Path | io.BytesIO, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a title may hold any script
        figure.savefig(where, dpi=figure.dpi, **options)


def audio_uri(audio: NDArray[Any], sample_rate_hz: int) -> str:
    """Samples as FLAC in a data URI, which browsers play.

    Args:
        audio: Finite samples (N,); beyond [-1, 1] they are clipped.
        sample_rate_hz: Their rate.

    Returns:
        The data URI.
    """
    stream = io.BytesIO()
    soundfile.write(stream, np.clip(audio, -1, 1), sample_rate_hz, format="FLAC", subtype="PCM_16")
    return data_uri("audio/flac", stream.getvalue())


def data_uri(mime: str, content: bytes) -> str:
    """A file as a data URI."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """An empty figure that lays itself out."""
    return Figure(figsize=(width_inches, height_inches), dpi=PIXELS_PER_INCH, layout="constrained")


def centres_seconds(frames: int, frame_rate_hz: float) -> NDArray[np.float64]:
    """Time of each frame's centre, (T,) in seconds."""
    return (np.arange(frames, dtype=np.float64) + 0.5) / frame_rate_hz


def draw_f0(axes: Axes, contour: Contour, **line: Any) -> NDArray[Any]:
    """Draw F0 over seconds with gaps where it is unvoiced; its voiced values in Hz come back."""
    f0_hz = np.where(contour.voiced, contour.f0_hz, np.nan)
    axes.plot(centres_seconds(len(contour), contour.frame_rate_hz), f0_hz, **line)
    return contour.f0_hz[contour.voiced]


def legend_above(axes: Axes, columns: int, *, height: float = 1.0) -> None:
    """Put a legend over axes, at their left, from a height on (1 is their upper edge)."""
    look: dict[str, Any] = {"ncols": columns, "frameon": False, "fontsize": SMALL, "borderaxespad": 0.1}
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, height), **look)


def draw_plane(axes: Axes, plane: NDArray[Any], config: MelConfig, colours: str, limits: tuple[float, float]) -> Any:
    """Draw (M, T) with seconds across and the filters' centre frequencies upwards."""
    bins, frames = plane.shape
    extent = (0.0, frames / config.frame_rate_hz, -0.5, bins - 0.5)
    image = axes.imshow(plane, extent=extent, cmap=colours, vmin=limits[0], vmax=limits[1], **PLANE)
    centres = filter_centres_hz(config)
    ticks = [f for f in FREQUENCY_TICKS_HZ if centres[0] <= f <= centres[-1]]
    axes.set_yticks(np.interp(ticks, centres, np.arange(bins)), [f"{f:g}" for f in ticks])
    axes.set_ylabel("Frequency (Hz)", fontsize=NORMAL)
    return image


def write_above(axes: Axes, text: str, seconds: float, points: float, **look: Any) -> None:
    """Write text over a time, so many points above the axes."""
    look |= {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    axes.annotate(text, (seconds, 1.0), xytext=(0, points), ha="center", va="bottom", parse_math=False, **look)


def scale_f0(axes: Axes, f0_hz: NDArray[Any]) -> None:
    """Give axes a logarithmic F0 scale that holds these values in Hz."""
    low, high = (float(f0_hz.min()), float(f0_hz.max())) if len(f0_hz) else (80.0, 300.0)
    low, high = low / 1.06, high * 1.06
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    inside = [f for f in F0_TICKS_HZ if low <= f <= high]
    step = max(1, len(inside) // 7)
    axes.set_yticks(inside[::step], [f"{f:g}" for f in inside[::step]])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(True, color="0.88", linewidth=0.8)


def label_axes(axes: Axes, title: str, across: str, up: str) -> None:
    """Say what axes show, and what lies across and upwards."""
    axes.set_title(title, fontsize=NORMAL)
    axes.set_xlabel(across, fontsize=NORMAL)
    axes.set_ylabel(up, fontsize=NORMAL)
    axes.tick_params(labelsize=SMALL, which="both")


def scale_share(axes: Axes, label: str) -> None:
    """Give axes the scale of shares of B."""
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0.0, 0.5, 1.0], ["0 (A)", "0.5", "1 (B)"])
    axes.set_ylabel(label, fontsize=NORMAL)
    axes.grid(True, color="0.88", linewidth=0.8)
