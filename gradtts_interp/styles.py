"""Speaking styles: from a recording, or from the bank that comes with a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.audio import Source, log_mel, read_recording
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.files import read_json, read_safetensors, write_json, write_safetensors
from gradtts_interp.pitch.contour import (
    Contour,
    extract_contour,
    prosody_vector,
    same_fields,
    second_opinion,
)

logger = logging.getLogger(__name__)

SHORTEST_REFERENCE_SECONDS = 0.5
LONGEST_REFERENCE_SECONDS = 8.0


@dataclass(frozen=True, eq=False)
class Style:
    """A speaking style; two are equal where all they hold is.

    Attributes:
        name: For plots and settings.
        speaker: Row of the checkpoint's speaker table, None for a recording.
        emotion: Emotion vector (E,), None where unknown.
        mel: Reference log-mel (M, K), None for official checkpoints, whose styles are speakers only.
        contour: Contour of the reference (K frames).
        prosody: Prosody vector (4,), see :func:`~gradtts_interp.pitch.contour.prosody_vector`.
        tokens: What the reference says, where that is known, such as for one that was rendered; see
            :meth:`gradtts_interp.speech.Speech.as_style`.
        durations: Frames of each of its tokens; they sum to K.
        notes: What a user should know of the recording, such as clipping or a pitch that is hard to read.
        parts: Styles of which this is the average, by :func:`average_style`; without one of its own otherwise.
    """

    name: str
    speaker: int | None = None
    emotion: NDArray[np.float32] | None = None
    mel: NDArray[np.float32] | None = None
    contour: Contour | None = None
    prosody: NDArray[np.float32] | None = None
    tokens: tuple[str, ...] | None = None
    durations: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    parts: tuple[Style, ...] = ()

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other) if isinstance(other, Style) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.name, self.speaker, self.contour, self.notes))

    def __repr__(self) -> str:
        if self.contour is None:
            return f"Style({self.name!r})"
        level = float(np.exp(self.prosody[0])) if self.prosody is not None else float("nan")
        seconds = len(self.contour) / self.contour.frame_rate_hz
        return f"Style({self.name!r}, F0 {level:.0f} Hz, {seconds:.1f} s)"


def style_of_audio(source: Source, config: MelConfig, *, sample_rate_hz: int | None = None) -> Style:
    """Read a recording as a style.

    It is prepared by :func:`~gradtts_interp.audio.read_recording`. What is odd about it stands in the style's notes,
    and is logged as warnings.

    Args:
        source: Speech in any common format: the path of a file, an open file, or samples with their rate.
        config: Mel contract of the model.
        sample_rate_hz: Rate of samples; a file tells its own.

    Returns:
        The style of the :data:`LONGEST_REFERENCE_SECONDS` seconds with the most speech.

    Raises:
        InputError: The recording cannot be read, is too short, silent, or has no voiced frame.
    """
    recording = read_recording(
        source,
        config.sample_rate_hz,
        minimum_seconds=SHORTEST_REFERENCE_SECONDS,
        longest_seconds=LONGEST_REFERENCE_SECONDS,
        source_rate_hz=sample_rate_hz,
    )
    contour, odd = second_opinion(recording.audio.numpy(), extract_contour(recording.audio, config), config)
    notes = (*recording.notes, *(f"{recording.name}: {note}" for note in odd))
    style = _style_of_contour(recording.audio, contour, config, recording.name, notes)
    for note in style.notes:
        logger.warning("%s", note)
    return style


def style_of_samples(audio: torch.Tensor, config: MelConfig, *, name: str) -> Style:
    """Make a style of samples as they stand, each frame of them, such as of speech that was rendered.

    Args:
        audio: Samples (N,) at ``config.sample_rate_hz``.
        config: Mel contract of the model.
        name: Name of the style.

    Returns:
        The style.

    Raises:
        InputError: The samples have no voiced frame.
    """
    return _style_of_contour(audio, extract_contour(audio, config), config, name)


def _style_of_contour(
    audio: torch.Tensor, contour: Contour, config: MelConfig, name: str, notes: tuple[str, ...] = ()
) -> Style:
    if not contour.voiced.any():
        known = f" ({'; '.join(notes)})" if notes else ""
        raise InputError(f"{name}: no voiced frame was found; expected speech as a style reference{known}")
    prosody = prosody_vector(contour)
    return Style(name=name, mel=log_mel(audio, config).numpy(), contour=contour, prosody=prosody, notes=notes)


def average_style(styles: Sequence[Style]) -> Style:
    """The average of styles: half-way between all of them in pitch, energy, rate and voice.

    It has no recording of its own. What the networks read of each style is averaged, see
    :func:`~gradtts_interp.interpolation.conditioning.encode_styles`.

    Args:
        styles: At least 2, none of them an average.

    Returns:
        A style that is used like any other.

    Raises:
        InputError: Fewer than 2 styles, or one of them is an average itself.
    """
    styles = tuple(styles)
    if len(styles) < 2 or any(style.parts for style in styles):
        raise InputError(f"average of {len(styles)} styles; expected at least 2, none of them an average itself")
    prosody = [style.prosody for style in styles if style.prosody is not None]
    mean = np.mean(prosody, axis=0).astype(np.float32) if len(prosody) == len(styles) else None
    notes = tuple(note for style in styles for note in style.notes)
    return Style(f"average of {', '.join(s.name for s in styles)}", prosody=mean, notes=notes, parts=styles)


class StyleBank:
    """Named styles of a checkpoint: one short reference for each speaker and emotion."""

    FILE = "styles.safetensors"
    INDEX = "styles.json"

    def __init__(self, styles: dict[tuple[int, str], Style], emotions: tuple[str, ...]) -> None:
        self.styles, self.emotions = styles, emotions

    @property
    def speakers(self) -> list[int]:
        """Numbers of the speakers, rising."""
        return sorted({speaker for speaker, _ in self.styles})

    def style(self, speaker: int, emotion: str = "neutral") -> Style:
        """Style of a speaker.

        Args:
            speaker: Its number.
            emotion: Name of the emotion.

        Returns:
            The style.

        Raises:
            InputError: The checkpoint has no such speaker, or no such emotion.
        """
        if speaker not in self.speakers:
            raise InputError(f"speaker {speaker}: this checkpoint has speakers {_ranges(self.speakers)}")
        if (speaker, emotion) not in self.styles:
            known = [e for s, e in self.styles if s == speaker]
            raise InputError(f"emotion {emotion!r} of speaker {speaker}: expected one of {', '.join(known)}")
        return self.styles[speaker, emotion]

    def save(self, folder: str | Path) -> None:
        """Write the bank into a checkpoint folder."""
        tensors, entries = {}, []
        for (speaker, emotion), style in self.styles.items():
            assert style.mel is not None and style.contour is not None
            key = f"{speaker}-{emotion}"
            entries.append({"speaker": speaker, "emotion": emotion, "key": key})
            tensors[f"{key}.mel"] = torch.from_numpy(style.mel).half().contiguous()
            tensors[f"{key}.f0_hz"] = torch.from_numpy(style.contour.f0_hz).float()
            tensors[f"{key}.voiced"] = torch.from_numpy(style.contour.voiced).to(torch.uint8)
            tensors[f"{key}.energy_db"] = torch.from_numpy(style.contour.energy_db).half()
            for name, vector in (("prosody", style.prosody), ("emotion", style.emotion)):
                if vector is not None:
                    tensors[f"{key}.{name}"] = torch.from_numpy(vector).float()
        write_safetensors(Path(folder) / self.FILE, tensors)
        write_json(Path(folder) / self.INDEX, {"emotions": self.emotions, "styles": entries})

    @classmethod
    def load(cls, folder: str | Path, config: MelConfig) -> StyleBank:
        """Read the bank of a checkpoint folder.

        Args:
            folder: Where :meth:`save` wrote it.
            config: Mel contract of the model.

        Returns:
            The bank.

        Raises:
            CheckpointError: Its files are missing or do not fit together.
        """
        folder = Path(folder)
        try:
            index, tensors = read_json(folder / cls.INDEX), read_safetensors(folder / cls.FILE)
            emotions = tuple(index["emotions"])
            styles = {
                (e["speaker"], e["emotion"]): _style_of_tensors(e, tensors, emotions, config) for e in index["styles"]
            }
        except Exception as error:
            raise CheckpointError(f"{folder}: the style bank cannot be read: {error}") from error
        return cls(styles, emotions)


def _style_of_tensors(entry: dict, tensors: dict, emotions: tuple[str, ...], config: MelConfig) -> Style:
    key, speaker, emotion = entry["key"], entry["speaker"], entry["emotion"]
    names = ("mel", "f0_hz", "voiced", "energy_db", "prosody")
    mel, f0_hz, voiced, energy_db, prosody = (tensors[f"{key}.{name}"].float().numpy() for name in names)
    one_of_all = torch.tensor([float(other == emotion) for other in emotions], dtype=torch.float32)
    vector = tensors.get(f"{key}.emotion", one_of_all).numpy()  # of styles without a vector of their own
    contour = Contour(f0_hz, voiced > 0, energy_db, config.frame_rate_hz)
    return Style(f"speaker {speaker} {emotion}", speaker, vector, mel, contour, prosody)


def _ranges(numbers: list[int]) -> str:
    if not numbers:
        return "none"
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))
