"""SSML's directions carried out on an utterance: durations, pitch and level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradtts_interp.config import ModelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.asked_pitch import AskedPitch, PitchRequest, copy_prosody, lay_pitch
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.pitch.files import PitchCurve
from gradtts_interp.placement import frames_of_reference, token_names, word_spans
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style
from gradtts_interp.text.frontend import TextFrontend, TokenizedText
from gradtts_interp.text.ssml import Directions, tokenize_line
from gradtts_interp.units import db_to_amplitude_ratio

SMOOTHING_FRAMES = 1.5

AskedOfLines = PitchRequest | PitchCurve | Sequence[PitchRequest | PitchCurve | None] | None
"""Pitch that is asked for: the same for all lines, or one of each line."""


def read_marked(
    frontend: TextFrontend, lines: Sequence[str], pitch: AskedOfLines
) -> tuple[list[TokenizedText], list[Directions | None], list[PitchRequest | None]]:
    """Change lines, plain or SSML, to tokens, with all that is asked of them.

    Args:
        frontend: Changes plain text to tokens.
        lines: The lines.
        pitch: What is asked of their pitch beside SSML; shifts of words add up.

    Returns:
        For each line its tokens, what SSML says of its words, and what is asked of its pitch.

    Raises:
        InputError: A line cannot be read, or there is not one request for each line.
    """
    marked = [tokenize_line(frontend, line) for line in lines]
    directions = [said for _, said in marked]
    return [text for text, _ in marked], directions, pitch_requests(pitch, directions)


def pace(
    frames: Tensor, texts: Sequence[TokenizedText], directions: Sequence[Directions | None], settings: ModelConfig
) -> Tensor:
    """Durations of a batch (B, L) at the rates and with the pauses that SSML asks for; see :func:`paced`."""
    answer = frames.clone()
    rate_hz, blank = settings.mel.frame_rate_hz, settings.add_blank
    for row, text, said in zip(answer, texts, directions, strict=True):
        if said is not None:
            found = paced(row.tolist(), text, said, blank=blank, frame_rate_hz=rate_hz)
            row[: len(found)] = torch.tensor(found, device=row.device)
    return answer


def paced(
    durations: Sequence[int], text: TokenizedText, directions: Directions, *, blank: bool, frame_rate_hz: float
) -> list[int]:
    """Durations at the rates and with the pauses that are asked for.

    Args:
        durations: Frames of each id of the text.
        text: The line.
        directions: What SSML says of its words.
        blank: Whether blanks stand between tokens; each belongs to the token before.
        frame_rate_hz: Frames per second.

    Returns:
        Frames of each id.

    Raises:
        InputError: A pause stands where the text layout has no token for it.
    """
    rates = np.ones(len(text.ids))
    edges = [*(word.token_start for word in text.words), len(text.tokens)]
    for i, manner in enumerate(directions.manners):  # a pause goes with the word before it
        rates[_ids(edges[i], edges[i + 1], blank)] = manner.rate
    frames = _at_rates(np.asarray(durations[: len(text.ids)], dtype=np.float64), rates)
    for index, seconds in directions.pauses.items():
        first = text.words[index - 1].token_stop if index else 0
        silent = np.arange(len(text.ids))[_ids(first, edges[index], blank)]
        if first == edges[index]:
            if seconds == 0:
                continue
            where = "before the first word" if index == 0 else f"after word {index}"
            raise InputError(f"pause {where}: this checkpoint's text layout has no silence there")
        frames[silent] = 0
        frames[silent[0]] = round(seconds * frame_rate_hz)
    return frames.tolist()


def _ids(first: int, stop: int, blank: bool) -> slice:
    """Ids of tokens ``first`` to ``stop``, with the blanks after them."""
    return slice(2 * first + 1, 2 * stop + 1) if blank else slice(first, stop)


def _at_rates(durations: NDArray[np.float64], rates: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole frames (L,) whose running sum follows that of ``durations / rates``; none becomes 0."""
    changed = rates != 1
    ends = np.rint(np.cumsum(durations / rates))
    scaled = np.diff(ends, prepend=0).astype(np.int64)
    kept = np.where(changed, np.maximum(scaled, 1), durations.astype(np.int64))
    return np.where(durations > 0, kept, 0)


def pitch_requests(pitch: AskedOfLines, directions: Sequence[Directions | None]) -> list[PitchRequest | None]:
    """What is asked of the pitch of each line, by argument and by SSML; shifts of words add up.

    Args:
        pitch: The same for all lines, or one of each line.
        directions: What SSML says, for each line.

    Returns:
        A request for each line, None where nothing is asked.

    Raises:
        InputError: There is not one request for each line.
    """
    given = list(pitch) if isinstance(pitch, Sequence) else [pitch] * len(directions)
    if len(given) != len(directions):
        raise InputError(f"pitch for {len(given)} lines was given for {len(directions)} lines")
    found: list[PitchRequest | None] = []
    for asked, said in zip(given, directions, strict=True):
        request = PitchRequest(asked) if isinstance(asked, PitchCurve) else asked or PitchRequest()
        words: dict[int | range, float] = {}
        if said is not None:
            words |= {i: manner.semitones for i, manner in enumerate(said.manners) if manner.semitones}
        for chosen, semitones in request.words.items():
            for index in [chosen] if isinstance(chosen, int) else chosen:
                words[index] = words.get(index, 0.0) + semitones
        found.append(PitchRequest(request.curve, words) if words or request.curve else None)
    return found


def lay_requests(
    requests: Sequence[PitchRequest | None],
    texts: Sequence[TokenizedText],
    durations: Tensor,
    settings: ModelConfig,
    *,
    prosody: Sequence[Style | None],
    weight: float,
) -> list[AskedPitch | None]:
    """Lay the requests of a batch on the frames of its lines.

    Args:
        requests: Of each line, or None.
        texts: The lines.
        durations: Frames of each id of each line (B, L).
        settings: Of the model: mel contract and text layout.
        prosody: A recording of each line whose F0 and energy are asked for, or None.
        weight: How much of them.

    Returns:
        Of each line, or None.

    Raises:
        InputError: There is no such word.
    """
    found: list[AskedPitch | None] = []
    for request, copied, text, row in zip(requests, prosody, texts, durations.tolist(), strict=True):
        if request is None and copied is None:
            found.append(None)
            continue
        words = tuple((s, e) for _, s, e in word_spans(text, row, settings.add_blank))
        asked = lay_pitch(request or PitchRequest(), Layout(sum(row), settings.mel, words=words))
        if copied is not None:
            asked = copy_prosody(
                asked, copied, frames_of_reference(text, row, copied, settings.add_blank), weight=weight
            )
        found.append(asked)
    return found


def copied_recordings(
    prosody: Style | Sequence[Style | None] | None,
    texts: Sequence[TokenizedText],
    *,
    weight: float,
    durations: Sequence[Sequence[int]] | None,
    blank: bool,
) -> list[Style | None]:
    """The recording of each line whose prosody is copied.

    Args:
        prosody: As for the pipeline.
        texts: The lines.
        weight: How much of it.
        durations: Those that are asked for otherwise.
        blank: Whether blanks stand between tokens.

    Returns:
        Of each line, or None.

    Raises:
        InputError: There is not one for each line, one does not say its line at known times, the weight leaves [0, 1],
            or durations are given as well.
    """
    if not 0 <= weight <= 1:
        raise InputError(f"prosody_weight {weight:g}: expected a number from 0 to 1")
    found = list(prosody) if isinstance(prosody, Sequence) else [prosody] * len(texts)
    if len(found) != len(texts):
        raise InputError(f"prosody of {len(found)} recordings was given for {len(texts)} lines")
    if durations is not None and any(found):
        raise InputError("durations and prosody both give durations; expected one of them")
    for style, text in zip(found, texts, strict=True):
        if style is not None and (style.durations is None or style.tokens != token_names(text, blank)):
            raise InputError(
                f"prosody of {style.name}: its phoneme times in {text.text!r} are not known; expected what "
                "stimuli.align_recording gives for this text"
            )
    return found


def copied_durations(durations: Tensor, prosody: Sequence[Style | None], weight: float) -> Tensor:
    """Durations (B, L) between the styles' own and those of recordings, blended in log, as between two styles."""
    answer = durations.clone()
    for row, style in zip(answer, prosody, strict=True):
        if style is not None and style.durations is not None:
            copied = torch.tensor(style.durations, device=row.device)
            row[: len(copied)] = (row[: len(copied)] ** (1 - weight) * copied**weight).round().long()
    return answer


def describe(request: PitchRequest | None) -> dict[str, Any] | None:
    """A request of :func:`pitch_requests` as plain JSON values, words counted from 1."""
    if request is None:
        return None
    curve = request.curve and {"points": len(request.curve.times_seconds), "unit": request.curve.unit}
    words = {i: semitones for i, semitones in request.words.items() if isinstance(i, int)}
    return {"curve": curve, "words": {str(i + 1): semitones for i, semitones in words.items()}}


def with_notes(speech: Speech, styles: Sequence[Style | None]) -> Speech:
    """The same with what is to be known of the recordings that it was made with."""
    return replace(speech, notes=(*speech.notes, *(note for style in styles if style for note in style.notes)))


def at_volume(speech: Speech, directions: Directions | None) -> Speech:
    """The same at the levels that SSML asks for, which change smoothly between words."""
    if directions is None or not any(manner.volume_db for manner in directions.manners):
        return speech
    hop, frames = speech.mel_config.hop_samples, len(speech.audio) // speech.mel_config.hop_samples
    level_db = np.full(frames, np.nan)
    for (_, first, stop), manner in zip(speech.words, directions.manners, strict=True):
        level_db[first:stop] = manner.volume_db
    return replace(speech, audio=with_gain(speech.audio, level_db, hop_samples=hop))


def with_gain(audio: NDArray[np.float32], gain_db: NDArray[np.float64], *, hop_samples: int) -> NDArray[np.float32]:
    """Samples (N,) under a gain per frame (T,) in dB, smoothed; frames of NaN follow their neighbours."""
    from scipy.ndimage import gaussian_filter1d

    known = np.flatnonzero(np.isfinite(gain_db))
    filled = np.interp(np.arange(len(gain_db)), known, gain_db[known])
    smooth = gaussian_filter1d(filled, SMOOTHING_FRAMES)
    centres = (np.arange(len(gain_db)) + 0.5) * hop_samples
    return (audio * db_to_amplitude_ratio(np.interp(np.arange(len(audio)), centres, smooth))).astype(np.float32)
