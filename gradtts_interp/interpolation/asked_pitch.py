"""Pitch that a user asks for, in place of what the style would have: a contour from a file, shifts of words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.models.pitch_predictor import PITCH_CHANNELS, PITCH_FROM
from gradtts_interp.pitch.contour import PROSODY_MEAN, PROSODY_STD
from gradtts_interp.pitch.files import LARGEST_SHIFT_SEMITONES, PitchCurve

NATS_PER_SEMITONE = math.log(2.0) / 12


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
                raise InputError(
                    f"shift of {semitones:g} semitones; expected at most {LARGEST_SHIFT_SEMITONES:g} up or down"
                )


@dataclass(frozen=True)
class AskedPitch:
    """A request on the frames of an utterance.

    Attributes:
        log_f0: Natural logarithm of F0 in Hz (T,), None where the style's own stays.
        shift: Added to log-F0 (T,).
        voiced: Voicing (T,), None where the style's own stays.
    """

    log_f0: NDArray[np.float64] | None
    shift: NDArray[np.float64]
    voiced: NDArray[np.bool_] | None

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


def ask_pitch(prosody: Tensor | None, asked: Sequence[AskedPitch | None]) -> Tensor | None:
    """Put the pitch that is asked for into what the networks are told per frame.

    Where F0 is given in Hz, the prosody vector's level and range are set to those of the contour as well, so that the
    two do not contradict each other; a shift of some words leaves them.

    Args:
        prosody: What they would be told of B items (B, n, T), see
            :func:`~gradtts_interp.models.pitch_predictor.asked_prosody`; None for a model that is told nothing.
        asked: For each item, or None.

    Returns:
        The prosody with other pitch, of the same shape; the same where nothing is asked.

    Raises:
        InputError: The model is shown no contour.
    """
    if all(item is None for item in asked):
        return prosody
    if prosody is None or prosody.shape[1] < PITCH_FROM + PITCH_CHANNELS:
        raise InputError("pitch: this checkpoint is shown no pitch contour, so none can be asked for")
    return torch.stack([p if item is None else _asked_rows(p, item) for p, item in zip(prosody, asked, strict=True)])


def _asked_rows(prosody: Tensor, asked: AskedPitch) -> Tensor:
    """Prosody (n, T') of one item with the pitch of its first T frames replaced."""
    frames, flag = len(asked.shift), PITCH_FROM - 1
    answer = prosody.clone()
    voiced, log_f0 = answer[PITCH_FROM, :frames], answer[PITCH_FROM + 1, :frames]
    if asked.voiced is not None:
        voiced.copy_(torch.from_numpy(asked.voiced).to(voiced) * answer[flag, :frames])
    if asked.log_f0 is not None:
        log_f0.copy_(torch.from_numpy((asked.log_f0 - PROSODY_MEAN[0]) / PROSODY_STD[0]))
    log_f0 += torch.from_numpy(asked.shift / PROSODY_STD[0]).to(log_f0)
    if asked.log_f0 is not None and bool((voiced > 0).any()):
        sung = log_f0[voiced > 0]
        answer[0, :] = sung.mean()
        answer[1, :] = (sung.std(correction=0) * float(PROSODY_STD[0]) - float(PROSODY_MEAN[1])) / float(PROSODY_STD[1])
    return answer
