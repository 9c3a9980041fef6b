"""Speaking styles: from a recording, or from the bank that comes with a checkpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from gradtts_interp.audio import log_mel, read_audio, require_speech
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.pitch.contour import Contour, extract_contour, prosody_vector

SHORTEST_REFERENCE_SECONDS = 0.5
LONGEST_REFERENCE_SECONDS = 8.0


@dataclass(frozen=True)
class Style:
    """A speaking style.

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
    """

    name: str
    speaker: int | None = None
    emotion: NDArray[np.float32] | None = None
    mel: NDArray[np.float32] | None = None
    contour: Contour | None = None
    prosody: NDArray[np.float32] | None = None
    tokens: tuple[str, ...] | None = None
    durations: tuple[int, ...] | None = None

    def __repr__(self) -> str:
        if self.contour is None:
            return f"Style({self.name!r})"
        level = float(np.exp(self.prosody[0])) if self.prosody is not None else float("nan")
        seconds = len(self.contour) / self.contour.frame_rate_hz
        return f"Style({self.name!r}, F0 {level:.0f} Hz, {seconds:.1f} s)"


def style_of_audio(path: str | Path, config: MelConfig) -> Style:
    """Read a recording as a style.

    Args:
        path: Speech in any common format.
        config: Mel contract of the model.

    Returns:
        The style of its first :data:`LONGEST_REFERENCE_SECONDS` seconds.

    Raises:
        InputError: The file cannot be read, is too short, silent, or has no voiced frame.
    """
    audio = read_audio(path, config.sample_rate_hz, minimum_seconds=SHORTEST_REFERENCE_SECONDS)
    require_speech(audio, str(path))
    return style_of_samples(audio[: int(LONGEST_REFERENCE_SECONDS * config.sample_rate_hz)], config, name=str(path))


def style_of_samples(audio: torch.Tensor, config: MelConfig, *, name: str) -> Style:
    """Make a style of samples (N,) at ``config.sample_rate_hz``."""
    contour = extract_contour(audio.numpy(), config)
    if not contour.voiced.any():
        raise InputError(f"{name}: no voiced frame was found; expected speech as a style reference")
    return Style(name=name, mel=log_mel(audio, config).numpy(), contour=contour, prosody=prosody_vector(contour))


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
            if style.prosody is not None:
                tensors[f"{key}.prosody"] = torch.from_numpy(style.prosody).float()
        with atomic_path(Path(folder) / self.FILE) as temporary:
            save_file(tensors, temporary)
        with atomic_path(Path(folder) / self.INDEX) as temporary:
            temporary.write_text(json.dumps({"emotions": self.emotions, "styles": entries}, indent=1))

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
            index = json.loads((folder / cls.INDEX).read_text())
            tensors = load_file(folder / cls.FILE)
            emotions = tuple(index["emotions"])
            styles = {
                (e["speaker"], e["emotion"]): _style_of_tensors(e, tensors, emotions, config) for e in index["styles"]
            }
        except Exception as error:
            raise CheckpointError(f"{folder}: the style bank cannot be read: {error}") from error
        return cls(styles, emotions)


def _style_of_tensors(entry: dict, tensors: dict, emotions: tuple[str, ...], config: MelConfig) -> Style:
    key = entry["key"]
    contour = Contour(
        f0_hz=tensors[f"{key}.f0_hz"].numpy(),
        voiced=tensors[f"{key}.voiced"].numpy().astype(bool),
        energy_db=tensors[f"{key}.energy_db"].float().numpy(),
        frame_rate_hz=config.frame_rate_hz,
    )
    return Style(
        name=f"speaker {entry['speaker']} {entry['emotion']}",
        speaker=entry["speaker"],
        emotion=np.array([float(e == entry["emotion"]) for e in emotions], dtype=np.float32),
        mel=tensors[f"{key}.mel"].float().numpy(),
        contour=contour,
        prosody=tensors[f"{key}.prosody"].numpy() if f"{key}.prosody" in tensors else prosody_vector(contour),
    )


def _ranges(numbers: list[int]) -> str:
    if not numbers:
        return "none"
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))
