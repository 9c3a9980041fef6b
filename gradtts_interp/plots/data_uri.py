"""Pictures and sound inside a page: data URIs, so that nothing has to be fetched."""

from __future__ import annotations

import base64
import io
import warnings
from typing import Any

import numpy as np
import soundfile
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gradtts_interp.errors import InputError

AUDIO_FORMATS = {"flac": ("FLAC", "PCM_16", "audio/flac"), "ogg": ("OGG", "VORBIS", "audio/ogg")}


def picture_uri(figure: Figure) -> str:
    """A figure as a lossless WebP in a data URI: every browser shows it, and it is much smaller than a PNG."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # labels may hold any script
        figure.savefig(stream, format="webp", dpi=figure.dpi, pil_kwargs={"lossless": True})
    return _uri("image/webp", stream.getvalue())


def audio_uri(audio: NDArray[Any], sample_rate_hz: int, *, audio_format: str = "flac") -> str:
    """Samples as a data URI that browsers play.

    Args:
        audio: Samples (N,); beyond [-1, 1] they are clipped.
        sample_rate_hz: Their rate.
        audio_format: ``"flac"`` (lossless) or ``"ogg"`` (a fifth of the size).

    Returns:
        The data URI.

    Raises:
        InputError: There are no samples, some are not finite, or the format is unknown.
    """
    if audio_format not in AUDIO_FORMATS:
        raise InputError(f"audio format {audio_format!r}; expected one of {', '.join(AUDIO_FORMATS)}")
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
        raise InputError(f"audio of shape {samples.shape} for a report; expected finite samples (N,)")
    container, subtype, mime = AUDIO_FORMATS[audio_format]
    stream = io.BytesIO()
    soundfile.write(stream, samples.clip(-1, 1), sample_rate_hz, format=container, subtype=subtype)
    return _uri(mime, stream.getvalue())


def _uri(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
