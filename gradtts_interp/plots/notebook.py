"""What a notebook shows of speech and styles: a picture and a player, all inside the page."""

from __future__ import annotations

import html

import numpy as np
from matplotlib.figure import Figure

from gradtts_interp.config import MelConfig
from gradtts_interp.plots.drawing import audio_uri, draw_plane, picture_uri, scale_f0
from gradtts_interp.plots.speech import plot_speech
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style


def html_of_speech(speech: Speech) -> str:
    """Show an utterance: text, player, mel, F0 and share.

    Args:
        speech: The utterance.

    Returns:
        HTML that needs no other file.
    """
    notes = "".join(f"<br><small>{html.escape(note)}</small>" for note in speech.notes)
    sound = audio_uri(speech.audio, speech.mel_config.sample_rate_hz)
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
    figure = Figure(figsize=(6.0, 3.6), dpi=100, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    draw_plane(top, style.mel, config, "magma", (float(style.mel.max()) - 9.0, float(style.mel.max())))
    if style.contour is not None:
        contour = style.contour
        times = (np.arange(len(contour)) + 0.5) / contour.frame_rate_hz
        bottom.plot(times, np.where(contour.voiced, contour.f0_hz, np.nan), color="black")
        scale_f0(bottom, contour.f0_hz[contour.voiced])
    bottom.set_ylabel("F0 (Hz)")
    bottom.set_xlabel("Time (s)")
    return figure


def _image(figure: Figure) -> str:
    return f'<img style="max-width:100%" src="{picture_uri(figure)}">'
