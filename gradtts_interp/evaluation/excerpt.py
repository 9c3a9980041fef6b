"""What a report shows of one utterance, kept in a file until the report is written."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.speech import Speech

Phones = tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Excerpt:
    """One utterance of a report.

    Attributes:
        name: What it is, such as ``"A: speaker 12"``.
        audio: Samples (N,).
        mel: Log-mel (M, T).
        contour: Contour (T,).
        mel_config: Mel contract.
        phones: Phones with start and end in seconds.
        share: Share of B that was asked for (M, T), where it is a blend.
        attention: Attention mass of each style by site, where it was recorded.
    """

    name: str
    audio: NDArray[np.float32]
    mel: NDArray[np.float32]
    contour: Contour
    mel_config: MelConfig
    phones: Phones = field(default=())
    share: NDArray[np.float32] | None = None
    attention: dict[str, dict[str, Any]] | None = None

    def save(self, path: str | Path) -> None:
        """Write the excerpt as ``.npz``; the file appears whole or not at all."""
        arrays: dict[str, Any] = {
            "audio": self.audio.astype(np.float32),
            "mel": self.mel.astype(np.float16),
            "f0_hz": self.contour.f0_hz,
            "voiced": self.contour.voiced,
            "energy_db": self.contour.energy_db.astype(np.float32),
            "header": np.array(json.dumps({"name": self.name, "phones": self.phones})),
        }
        if self.share is not None:
            arrays["share"] = self.share.astype(np.float16)
        for site, found in (self.attention or {}).items():
            arrays[f"{site}:mass"] = np.asarray(found["mass"], dtype=np.float16)
            arrays[f"{site}:cell"] = np.asarray(found["cell"])
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, **arrays)

    @classmethod
    def load(cls, path: str | Path, mel_config: MelConfig) -> Excerpt:
        """Read what :meth:`save` wrote.

        Args:
            path: The file.
            mel_config: Mel contract it was made with.

        Returns:
            The excerpt.

        Raises:
            InputError: The file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
            header = json.loads(str(arrays["header"]))
            parts = {name: arrays[name] for name in ("f0_hz", "voiced", "energy_db")}
            sites = [name.removesuffix(":mass") for name in arrays if name.endswith(":mass")]
            return cls(
                name=header["name"],
                audio=arrays["audio"],
                mel=arrays["mel"].astype(np.float32),
                contour=Contour(frame_rate_hz=mel_config.frame_rate_hz, **parts),
                mel_config=mel_config,
                phones=tuple((str(n), float(s), float(e)) for n, s, e in header["phones"]),
                share=arrays["share"].astype(np.float32) if "share" in arrays else None,
                attention={s: {"mass": arrays[f"{s}:mass"], "cell": arrays[f"{s}:cell"]} for s in sites} or None,
            )
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(f"{path} cannot be read as an excerpt of an utterance: {error}") from error


def folder_name(name: str) -> str:
    """The name of an item as that of a folder: separators and the like become ``_``."""
    plain = re.sub(r"[^\w.-]+", "_", name)
    return plain if plain.strip(".") else "_"


def excerpt_of_speech(speech: Speech, name: str) -> Excerpt:
    """What a report shows of a rendered utterance; a share beside it where it is a blend."""
    phones = tuple(phone for phone in speech.phoneme_times if phone[0])
    return Excerpt(
        name, speech.audio, speech.mel, speech.contour, speech.mel_config, phones, speech.share, speech.attention
    )


def frames_of_phones(phones: Sequence[tuple[str, float, float]], frame_rate_hz: float) -> list[tuple[str, slice]]:
    """Frames of each phone, by the nearest frame edge."""
    return [(name, slice(round(start * frame_rate_hz), round(end * frame_rate_hz))) for name, start, end in phones]
