"""A continuum on disk: a wav and a TextGrid of each step, a table, a picture, and all settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gradtts_interp.audio import write_wav
from gradtts_interp.errors import InputError, import_extra
from gradtts_interp.evaluation.metric_rows import SHARES
from gradtts_interp.evaluation.speakers import pitch_and_formants
from gradtts_interp.evaluation.tables import write_csv
from gradtts_interp.evaluation.textgrid import to_textgrid, write_textgrid
from gradtts_interp.files import write_json
from gradtts_interp.pitch.contour import f0_statistics
from gradtts_interp.plots.drawing import (
    BLUE,
    GREEN,
    SMALL,
    VERMILION,
    draw_f0,
    label_axes,
    new_figure,
    save_figure,
    scale_f0,
)
from gradtts_interp.stimuli.continuum import CONTINUA, SPOKEN, Continuum, Stimulus
from gradtts_interp.units import db_to_amplitude_ratio

TABLE, PICTURE, SETTINGS = "stimuli.csv", "continuum.png", "continuum.json"
HIGHEST_PEAK = 0.99
LOUDNESS_LIMITS = (-60.0, -5.0)
FORMANTS = 3
COLOURS = dict(zip((*SHARES, "rate"), (BLUE, GREEN, VERMILION, "#CC79A7"), strict=True))


def save_continuum(
    continuum: Continuum, folder: str | Path, *, loudness: float | None = None, equal_length: bool = False
) -> Path:
    """Write a continuum.

    Args:
        continuum: What :func:`~gradtts_interp.stimuli.continuum.make_continuum` made.
        folder: Where to write ``step_00.wav``, ``step_00.TextGrid`` and so on, ``stimuli.csv``, ``continuum.png`` and
            ``continuum.json``; made if missing.
        loudness: Bring each file to this loudness, LUFS; where one would clip, all are made softer alike.
        equal_length: Fill shorter files up with silence at their end.

    Returns:
        The table.

    Raises:
        InputError: The loudness cannot be had, or nothing can be written.
    """
    folder = Path(folder)
    rate = continuum.steps[0].speech.mel_config.sample_rate_hz
    sounds = [step.speech.audio for step in continuum.steps]
    if equal_length:
        longest = max(map(len, sounds))
        sounds = [np.pad(sound, (0, longest - len(sound))) for sound in sounds]
    if loudness is not None:
        sounds = equally_loud(sounds, rate, loudness)
    digits = max(2, len(str(len(sounds) - 1)))
    rows = []
    for i, (step, sound) in enumerate(zip(continuum.steps, sounds, strict=True)):
        path = folder / f"step_{i:0{digits}d}.wav"
        write_wav(path, torch.from_numpy(sound), rate)
        write_textgrid(path.with_suffix(".TextGrid"), to_textgrid(step.speech), seconds=len(sound) / rate)
        rows.append(_row(continuum, i, step, sound, path.name))
    write_csv(folder / TABLE, rows)
    plot_continuum(continuum, folder / PICTURE)
    settings = {
        "text": continuum.text,
        "of": continuum.of,
        "a": continuum.a.name,
        "b": continuum.b.name,
        "equalised": continuum.equalised,
        "largest_distance_from_equal_spacing": continuum.error,
        "loudness_lufs": loudness,
        "equal_length": equal_length,
        "durations": "the same in all steps" if continuum.of != "rate" else "from A's own to B's own",
        "rendering": continuum.steps[0].speech.settings,
    }
    write_json(folder / SETTINGS, settings)
    return folder / TABLE


def _row(continuum: Continuum, i: int, step: Stimulus, sound: NDArray[np.float32], name: str) -> dict[str, Any]:
    """One row of the table; what cannot be measured is empty."""
    rate = step.speech.mel_config.sample_rate_hz
    pitch = f0_statistics(step.signal.contour)
    formants: list[int | None]
    try:
        formants = [round(float(f)) for f in pitch_and_formants(sound, rate)[1][:FORMANTS]]
    except InputError:
        formants = [None] * FORMANTS
    lufs = loudness_lufs(sound, rate)
    return {
        "file": name,
        "step": i,
        "of": continuum.of,
        "share": round(step.share, 6),
        **{
            f"asked_{dimension}": round(step.share, 6) if dimension in CONTINUA[continuum.of][0] else 0
            for dimension in (*SPOKEN, "rate")
        },
        **{f"realised_{k}": None if v is None else round(v, 4) for k, v in step.realised.items()},
        "f0_median_hz": pitch["median_hz"],
        "f0_range_semitones": pitch["range_semitones"],
        "level_lufs": None if lufs is None else round(lufs, 2),
        "seconds": round(len(sound) / rate, 4),
        **{f"f{n}_hz": formant for n, formant in enumerate(formants, 1)},
        "a": continuum.a.name,
        "b": continuum.b.name,
        "seed": step.speech.settings["seed"],
        "solver": step.speech.settings["solver"],
        "sampler_steps": step.speech.settings["steps"],
        "text": continuum.text,
    }


def loudness_lufs(sound: NDArray[np.float32], sample_rate_hz: int) -> float | None:
    """Loudness of samples (N,) by ITU-R BS.1770; None for silence or less than a gating block of 0.4 s.

    Args:
        sound: Samples, full scale at 1.
        sample_rate_hz: Their rate.

    Returns:
        Loudness in LUFS.

    Raises:
        InputError: The library that measures it is not installed.
    """
    pyloudnorm = import_extra("pyloudnorm", "loudness needs pyloudnorm", "stimuli")
    if len(sound) < 0.4 * sample_rate_hz or not np.any(sound):
        return None
    found = float(pyloudnorm.Meter(sample_rate_hz).integrated_loudness(np.asarray(sound, dtype=np.float64)))
    return found if np.isfinite(found) else None


def equally_loud(sounds: list[NDArray[np.float32]], sample_rate_hz: int, loudness: float) -> list[NDArray[np.float32]]:
    """Bring sounds to one loudness; where one would clip, all are made softer by the same factor.

    Args:
        sounds: Samples, each (N,).
        sample_rate_hz: Their rate.
        loudness: In LUFS.

    Returns:
        Samples, each (N,).

    Raises:
        InputError: The loudness is out of range, or a sound is silent or too short to have one.
    """
    low, high = LOUDNESS_LIMITS
    if not low <= loudness <= high:
        raise InputError(f"loudness {loudness:g} LUFS; expected {low:g} to {high:g}")
    louder = []
    for i, sound in enumerate(sounds):
        found = loudness_lufs(sound, sample_rate_hz)
        if found is None:
            raise InputError(f"step {i}: no loudness; expected at least 0.4 s that are not silent")
        louder.append(sound * np.float32(db_to_amplitude_ratio(loudness - found)))
    peak = max(float(np.abs(sound).max()) for sound in louder)
    return [sound * np.float32(min(1.0, HIGHEST_PEAK / peak)) for sound in louder]


def plot_continuum(continuum: Continuum, path: str | Path | None = None) -> Figure:
    """Draw a continuum.

    Args:
        continuum: The continuum.
        path: Where to write a picture, by its suffix; not written when None.

    Returns:
        The figure: F0 of all steps over time, their mean envelopes, and realised over asked share.
    """
    figure = new_figure(14, 4.2)
    pitch, envelope, realised = figure.subplots(1, 3, width_ratios=[1.6, 1, 1])
    colours = colormaps["cividis"](np.linspace(0, 0.95, len(continuum.steps)))
    sung = []
    for step, colour in zip(continuum.steps, colours, strict=True):
        sung.append(draw_f0(pitch, step.signal.contour, color=colour, linewidth=1.2))
        voiced = step.signal.contour.voiced[: step.signal.envelope.shape[1]]
        if voiced.any():
            envelope.plot(step.signal.envelope[:, : len(voiced)][:, voiced].mean(1), color=colour, linewidth=1.2)
    scale_f0(pitch, np.concatenate(sung))
    label_axes(pitch, "F0 of each step, A dark to B light", "Time (s)", "F0 (Hz)")
    label_axes(envelope, "Mean envelope of voiced frames", "Mel band", "Level (dB)")
    _draw_realised(realised, continuum)
    return save_figure(figure, path)


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
    label_axes(axes, title, f"Asked share of B ({continuum.of})", "")
    if len(axes.lines) > 1:
        axes.legend(fontsize=SMALL)
