"""A corpus in memory: the manifest of ``gradtts-interp corpus build`` and its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.plan import load_entries
from gradtts_interp.corpus.speakers import EMOTIONS as DEMO_EMOTIONS
from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import Contour, prosody_vector
from gradtts_interp.text.official import SYMBOL_TO_ID, ids_of

EMOTIONS = tuple(DEMO_EMOTIONS)


@dataclass(frozen=True)
class StyleRef:
    """A style by its factors: whose voice, and which manner of pitch, rate and energy."""

    voice: str
    pitch: str

    @property
    def speaker(self) -> int:
        """Number of the speaker whose voice this is, -1 for an unnamed voice."""
        return int(self.voice[1:]) if self.voice.startswith("s") else -1

    @property
    def emotion_name(self) -> str:
        """Name of the emotion, empty where the manner has none."""
        return self.pitch.partition("-")[2]

    @property
    def emotion(self) -> NDArray[np.float32]:
        """One-hot emotion vector, all zero where the model has no such name."""
        return np.array([float(self.emotion_name == e) for e in EMOTIONS], dtype=np.float32)


@dataclass(frozen=True)
class Item:
    """One utterance with its features.

    Attributes:
        id: Name in the manifest.
        kind: ``bank``, ``grid``, ``blend`` or ``test``; ``filelist`` for a recording of one's own.
        split: ``train``, ``valid`` or ``test``.
        text: What is said.
        ids: Token ids (L,).
        durations: Frames of each token (L,); sums to T.
        mel: Log-mel (M, T) as float16.
        contour: F0, voicing and level of each frame (T,).
        prosody: Prosody vector (4,), see :func:`~gradtts_interp.pitch.contour.prosody_vector`.
        styles: One style, or two for a blend.
        share: Share of the second style (T,), for a blend.
    """

    id: str
    kind: str
    split: str
    text: str
    ids: NDArray[np.int64]
    durations: NDArray[np.int64]
    mel: NDArray[np.float16]
    contour: Contour
    prosody: NDArray[np.float32]
    styles: tuple[StyleRef, ...]
    share: NDArray[np.float32] | None

    @property
    def frames(self) -> int:
        """Mel frames (T)."""
        return self.mel.shape[1]


def load_items(
    folder: str | Path,
    splits: Sequence[str] = ("train",),
    *,
    kinds: Sequence[str] = ("bank", "grid", "blend", "test"),
    add_blank: bool = False,
) -> list[Item]:
    """Read the items of a built corpus.

    Args:
        folder: Folder with ``manifest.jsonl`` and ``features/``.
        splits: Splits to read.
        kinds: Kinds to read.
        add_blank: Whether blanks are interspersed between tokens (durations must then fit).

    Returns:
        Items in the order of the manifest.

    Raises:
        InputError: No manifest, a damaged line, or a missing feature file, named.
    """
    folder = Path(folder)
    items = []
    entries = [e for e in load_entries(folder) if e["split"] in splits and e["kind"] in kinds]
    for entry in tqdm(entries, desc="corpus", unit="item"):
        try:
            items.append(_read_item(folder, entry, add_blank))
        except Exception as error:  # a damaged file can fail anywhere in the readers of zip and npy
            name = entry.get("id")
            raise InputError(f"{folder}, item {name}: {error!r}; expected an item of the corpus builder") from error
    return items


def symbols_of(tokens: Sequence[str]) -> tuple[str, ...]:
    """Names of the manifest's tokens in the symbol table: phones carry an ``@`` there."""
    return tuple(token if token in SYMBOL_TO_ID and not token.isalnum() else f"@{token}" for token in tokens)


def read_features(file: Path, frame_rate_hz: float) -> dict[str, Any]:
    """Read what the features of a recording, as the corpus builder and the cache of filelists write them, tell of it.

    Args:
        file: Their ``.npz``.
        frame_rate_hz: Frames per second of the contour.

    Returns:
        Fields ``mel``, ``contour`` and ``prosody`` of an :class:`Item`.
    """
    with np.load(file) as found:
        contour = Contour(found["f0_hz"], found["voiced"].astype(bool), found["energy_db"], frame_rate_hz)
        return {"mel": found["mel"], "contour": contour, "prosody": prosody_vector(contour)}


def _read_item(folder: Path, entry: dict, add_blank: bool) -> Item:
    file, blend = folder / "features" / f"{entry['id']}.npz", entry["kind"] == "blend"
    with np.load(file) as stored:
        durations = stored["durations"].astype(np.int64)
        share = stored["share"].astype(np.float32) if blend else None
    return Item(
        **read_features(file, MelConfig().frame_rate_hz),
        id=entry["id"],
        kind=entry["kind"],
        split=entry["split"],
        text=entry["text"],
        ids=np.asarray(ids_of(symbols_of(entry["tokens"]), add_blank), dtype=np.int64),
        durations=durations,
        styles=tuple(StyleRef(e["voice"], e["pitch"]) for e in ([entry["a"], entry["b"]] if blend else [entry])),
        share=share,
    )
