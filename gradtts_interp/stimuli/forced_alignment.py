"""Forced alignment: when a recording says each phone of its text, found by the model, or read from a TextGrid."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.audio import Source, read_recording
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.contours import align_dtw, require_same_phones, spoken_phones
from gradtts_interp.evaluation.textgrid import read_phones, require_same_end
from gradtts_interp.interpolation.conditioning import read_style
from gradtts_interp.interpolation.mechanisms import make_plan
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.pitch.contour import second_opinion
from gradtts_interp.styles import SHORTEST_REFERENCE_SECONDS, Style, style_of_samples
from gradtts_interp.text.frontend import TokenizedText
from gradtts_interp.text.ssml import tokenize_line

logger = logging.getLogger(__name__)

EXPECTED = "ARPAbet phones of the text, in which a word may be written as its phones, such as {DH IY0}"
ROUNDS = 2
CEPSTRAL_COEFFICIENTS = 20
LEVEL_WEIGHT = 0.3
"""Of the level beside the shape of the spectrum."""
DELTA_WEIGHT, DELTA_FRAMES = 2.0, 5
"""Where the spectrum moves, there are the edges of phones."""

NOISE_QUANTILE = 0.1
"""Of a bin of the log-mel: what lies below it counts as equal, so that the noise of a room is no speech."""


@torch.no_grad()
def align_recording(
    tts: GradTTSInterpPipeline,
    recording: Source,
    text: str,
    *,
    textgrid: str | Path | None = None,
    tier: str | None = None,
    sample_rate_hz: int | None = None,
) -> Style:
    """Find when a recording says each token of its text.

    Without a TextGrid the model says the text in the recording's own style, by its prior alone, and its frames are
    warped onto those of the recording; a second time with the durations that this gave.

    Args:
        tts: The pipeline that will say the text with this prosody.
        recording: Speech, silence around it included: as for
            :meth:`~gradtts_interp.pipeline.GradTTSInterpPipeline.style`.
        text: What it says, as it will be given to the pipeline.
        textgrid: TextGrid of the recording, with ARPAbet phones such as MFA's ``english_us_arpa`` gives (extra
            ``eval``); the model aligns if None.
        tier: Name of the tier of phones; found by its usual names if None.
        sample_rate_hz: Rate of samples; a file tells its own.

    Returns:
        The recording as a style whose phoneme times are known: ``tts(text, other_style, prosody=...)`` speaks with its
        durations, F0 and energy.

    Raises:
        InputError: The recording cannot be read, has no voiced frame or fewer frames than the text has tokens; the
            TextGrid is not one, lacks the tier, is longer or shorter, or has other phones than the text; or the
            checkpoint reads no references.

    Source: of alignment by warping onto a synthesis, Malfrere and Dutoit 1997.
    """
    settings = tts.model.settings
    if not tts.model.has_style or settings.add_blank:
        raise InputError("alignment: this checkpoint reads no recordings; expected one with a style encoder, no blanks")
    found = read_recording(
        recording,
        settings.mel.sample_rate_hz,
        minimum_seconds=SHORTEST_REFERENCE_SECONDS,
        source_rate_hz=sample_rate_hz,
        whole=True,
    )
    style = style_of_samples(found.audio, settings.mel, name=found.name)
    assert style.mel is not None and style.contour is not None
    contour, pitch = second_opinion(found.audio.numpy(), style.contour, settings.mel)
    frames, style = style.mel.shape[1], replace(style, contour=contour)
    line = tokenize_line(tts.frontend, text)[0]
    if frames < len(line.ids):
        raise InputError(
            f"{found.name}: {frames} frames for a text of {len(line.ids)} tokens; expected a frame or more for each"
        )
    if textgrid is not None:
        seconds = len(found.audio) / settings.mel.sample_rate_hz
        edges = _edges_of_textgrid(line, textgrid, tier, name=found.name, seconds=seconds) * settings.mel.frame_rate_hz
    else:
        edges = _edges_by_warping(tts, line, style)
    durations = _whole_durations(edges, frames)
    notes = (*found.notes, *(f"{found.name}: {note}" for note in pitch))
    style = replace(style, tokens=line.tokens, durations=tuple(durations.tolist()), notes=notes)
    for note in style.notes:
        logger.warning("%s", note)
    return style


def _whole_durations(edges: NDArray[Any], frames: int) -> NDArray[np.int64]:
    """Whole frames (L,) that sum to ``frames``, from edges between tokens (L - 1,); each at least 1, as in training."""
    inner = np.rint(edges).astype(np.int64)
    places = np.arange(1, len(inner) + 1)
    inner = np.maximum.accumulate(np.maximum(inner, 1) - places) + places
    inner = np.minimum(inner, frames - len(inner) - 1 + places)
    return np.diff(inner, prepend=0, append=frames)


# -- by the model -----------------------------------------------------------------------------------------------------


def _edges_by_warping(tts: GradTTSInterpPipeline, line: TokenizedText, style: Style) -> NDArray[np.float64]:
    """Frame in the recording at which each token but the first begins (L - 1,)."""
    assert style.mel is not None
    model, mel = tts.model, torch.from_numpy(style.mel)
    floor = mel.quantile(NOISE_QUANTILE, dim=1, keepdim=True)
    recorded = _spectral_shape(tts, mel.maximum(floor))
    prepared = tts.prepare([line], [style], None)
    durations = prepared.durations
    for _ in range(ROUNDS):
        frames = int(durations.sum())
        reading = read_style(model, prepared.encoded[0], durations, frames)
        said = model.denormalise(make_plan([reading], None, ()).mu)[0, :, :frames].cpu()
        heard, recording = align_dtw(_spectral_shape(tts, said.maximum(floor)), recorded)
        # Where in the recording each frame of the rendering lies, on average.
        place = np.bincount(heard, recording) / np.bincount(heard)
        ends = durations[0].cumsum(0)[:-1].cpu().numpy()
        edges = (place[ends - 1] + place[ends]) / 2 + 0.5
        durations = torch.from_numpy(_whole_durations(edges, style.mel.shape[1]))[None].to(durations)
    return edges


def _spectral_shape(tts: GradTTSInterpPipeline, mel: torch.Tensor) -> NDArray[Any]:
    """Mel-cepstrum of a log-mel (M, T) and how it moves, (2 x 20, T)."""
    import librosa

    cepstrum = librosa.feature.mfcc(S=tts.model.normalise(mel).numpy(), n_mfcc=CEPSTRAL_COEFFICIENTS)
    cepstrum[0] *= LEVEL_WEIGHT
    moving = librosa.feature.delta(cepstrum, width=DELTA_FRAMES, mode="nearest")
    return np.concatenate([cepstrum, DELTA_WEIGHT * moving])


# -- by a TextGrid ----------------------------------------------------------------------------------------------------


def _edges_of_textgrid(
    line: TokenizedText, path: str | Path, tier: str | None, *, name: str, seconds: float
) -> NDArray[np.float64]:
    """Second at which each token but the first begins (L - 1,); silences share what lies between two phones."""
    intervals = read_phones(path, tier)
    require_same_end(intervals, path, recording=name, seconds=seconds)
    said = [index for index, token in enumerate(line.tokens) if token[-1].isalnum()]
    phones = spoken_phones(intervals)
    wanted = spoken_phones([(line.tokens[i], 0.0, 0.0) for i in said])
    require_same_phones(wanted, phones, expected=f"{path} to have the {EXPECTED}")
    starts, ends = np.full(len(line.tokens), np.nan), np.full(len(line.tokens), np.nan)
    starts[said], ends[said] = [start for _, start, _ in phones], [end for _, _, end in phones]
    # An edge is known where a phone begins or ends; two silences in a row share theirs evenly.
    edges = np.where(np.isnan(starts[1:]), ends[:-1], starts[1:])
    known = np.flatnonzero(~np.isnan(edges))
    return np.interp(np.arange(len(edges)), known, edges[known], left=0.0, right=seconds)
