"""Pitch and energy that a user asks for, in place of the style's own: from a file, by word, or of a recording."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradtts_interp.alignment import token_mean
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.models.pitch_predictor import ENERGY_FLOOR, PITCH_CHANNELS, PITCH_FROM
from gradtts_interp.pitch.contour import PROSODY_MEAN, PROSODY_STD
from gradtts_interp.pitch.files import LARGEST_SHIFT_SEMITONES, PitchCurve
from gradtts_interp.styles import Style

NATS_PER_SEMITONE = math.log(2.0) / 12
ENERGY_ROW = PITCH_FROM + PITCH_CHANNELS
LEVEL, RATE = 2, 3
"""Rows of the prosody that hold the numbers of energy and syllable rate."""


@dataclass(frozen=True)
class PitchRequest:
    """What is asked of the pitch of one line.

    Attributes:
        curve: F0 over time; the style's own where None.
        words: Semitones by which a word, or a range of words, counted from 0, is shifted beside that.
    """

    curve: PitchCurve | None = None
    words: Mapping[int | range, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse shifts that are no shifts."""
        for semitones in self.words.values():
            if not abs(semitones) <= LARGEST_SHIFT_SEMITONES:
                most = f"at most {LARGEST_SHIFT_SEMITONES:g} up or down"
                raise InputError(f"shift of {semitones:g} semitones; expected {most}")


@dataclass(frozen=True)
class AskedPitch:
    """A request on the frames of an utterance.

    Attributes:
        log_f0: Natural logarithm of F0 in Hz (T,), None where the style's own stays.
        shift: Added to log-F0 (T,).
        voiced: Voicing (T,), None where the style's own stays.
        energy_db: Level above the utterance's (T,), None where the style's own stays.
        rate_hz: Syllables per second, None where the style's own stay.
        weight: How much of log-F0, energy and rate is what is asked for, and not the style's own; from one half on,
            voicing is as well.
    """

    log_f0: NDArray[np.float64] | None
    shift: NDArray[np.float64]
    voiced: NDArray[np.bool_] | None
    energy_db: NDArray[np.float64] | None = None
    rate_hz: float | None = None
    weight: float = 1.0

    @property
    def f0_hz(self) -> NDArray[np.float64] | None:
        """The F0 that is asked for (T,), where it does not depend on the style."""
        return None if self.log_f0 is None else np.exp(self.log_f0 + self.shift)


def lay_pitch(request: PitchRequest, layout: Layout) -> AskedPitch:
    """Lay a request on the frames of an utterance.

    Args:
        request: What is asked for.
        layout: The utterance: its frames (T) and words.

    Returns:
        The request per frame.

    Raises:
        InputError: The utterance has no such word.
    """
    shift, log_f0, voiced = np.zeros(layout.frames), None, None
    for chosen, semitones in request.words.items():
        for index in [chosen] if isinstance(chosen, int) else chosen:
            if not 0 <= index < len(layout.words):
                raise InputError(f"pitch of word {index + 1}: the sentence has words 1 to {len(layout.words)}")
            shift[slice(*layout.words[index])] += semitones * NATS_PER_SEMITONE
    if request.curve is not None:
        values, voiced = request.curve.on_frames(layout.frames, layout.mel.frame_rate_hz)
        if request.curve.unit == "hz":
            log_f0 = np.log(values)
        else:
            shift += values * NATS_PER_SEMITONE
    return AskedPitch(log_f0, shift, voiced)


def copy_prosody(asked: AskedPitch, style: Style, at: NDArray[np.int64], *, weight: float) -> AskedPitch:
    """Ask for the F0, the voicing and the energy of a recording.

    F0 moves within a token; energy is the mean of each token, as predicted ones are. The level of the whole says how
    near the microphone was, so it stays the style's.

    Args:
        asked: What else is asked for; F0 in Hz, and its voicing, come before those of the recording.
        style: The recording (K frames), with the durations of its tokens.
        at: Its frame that corresponds to each frame of the utterance (T,).
        weight: How much of it, in [0, 1].

    Returns:
        The request per frame.

    Raises:
        InputError: The recording has no contour or no durations.
    """
    if style.contour is None or style.prosody is None or style.durations is None:
        raise InputError(f"prosody of {style.name}: it has no contour or no durations; expected an aligned recording")
    contour, energy_db = style.contour, torch.from_numpy(style.contour.energy_db.astype(np.float64))
    of_tokens = token_mean(energy_db[None, : sum(style.durations)], torch.tensor([style.durations]))[0].numpy()
    return replace(
        asked,
        log_f0=np.log(contour.f0_hz[at].astype(np.float64)) if asked.log_f0 is None else asked.log_f0,
        voiced=contour.voiced[at] if asked.voiced is None else asked.voiced,
        energy_db=of_tokens[at] - float(style.prosody[LEVEL]),
        rate_hz=float(style.prosody[RATE]),
        weight=weight,
    )


def ask_pitch(prosody: Tensor | None, asked: Sequence[AskedPitch | None]) -> Tensor | None:
    """Put the pitch that is asked for into what the networks are told per frame.

    Where F0 is given in Hz, the prosody vector's level and range are set to those of the contour as well, so that the
    two do not contradict each other; a shift of some words leaves them.

    Args:
        prosody: What they would be told of B items (B, 8, T), see
            :func:`~gradtts_interp.models.pitch_predictor.asked_prosody`; None for a model that is told nothing.
        asked: For each item, or None.

    Returns:
        The prosody with other pitch, of the same shape; the same where nothing is asked.

    Raises:
        InputError: The model is shown no contour.
    """
    if all(item is None for item in asked):
        return prosody
    if prosody is None:
        raise InputError("pitch: this checkpoint is shown no pitch contour, so none can be asked for")
    return torch.stack([p if item is None else _asked_rows(p, item) for p, item in zip(prosody, asked, strict=True)])


def _asked_rows(prosody: Tensor, asked: AskedPitch) -> Tensor:
    """Prosody (8, T') of one item with the pitch of its first T frames replaced."""
    frames, flag = len(asked.shift), PITCH_FROM - 1
    answer = prosody.clone()
    voiced, log_f0 = answer[PITCH_FROM, :frames], answer[PITCH_FROM + 1, :frames]
    if asked.voiced is not None and asked.weight >= 0.5:
        voiced.copy_(torch.from_numpy(asked.voiced).to(voiced) * answer[flag, :frames])
    if asked.log_f0 is not None:
        log_f0.lerp_(torch.from_numpy((asked.log_f0 - PROSODY_MEAN[0]) / PROSODY_STD[0]).to(log_f0), asked.weight)
    if asked.energy_db is not None:
        energy, above = answer[ENERGY_ROW, :frames], torch.from_numpy(asked.energy_db / PROSODY_STD[LEVEL]).to(answer)
        energy.lerp_((answer[LEVEL, :frames] + above).clamp_min(ENERGY_FLOOR), asked.weight)
    if asked.rate_hz is not None:
        answer[RATE].lerp_(answer.new_tensor((asked.rate_hz - PROSODY_MEAN[RATE]) / PROSODY_STD[RATE]), asked.weight)
    log_f0 += torch.from_numpy(asked.shift / PROSODY_STD[0]).to(log_f0)
    if asked.log_f0 is not None and bool((voiced > 0).any()):
        sung = log_f0[voiced > 0]
        answer[0, :] = sung.mean()
        answer[1, :] = (sung.std(correction=0) * float(PROSODY_STD[0]) - float(PROSODY_MEAN[1])) / float(PROSODY_STD[1])
    return answer
