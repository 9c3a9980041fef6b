"""A corpus in memory: the manifest of ``gradtts-interp corpus build`` and its features."""

from __future__ import annotations

from collections import defaultdict
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
from gradtts_interp.pitch.contour import Contour, normalise_prosody, prosody_vector
from gradtts_interp.text.symbols import SYMBOL_TO_ID, ids_of

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
    def emotion(self) -> NDArray[np.float32]:
        """One-hot emotion vector, all zero where the manner has no name."""
        name = self.pitch.partition("-")[2]
        return np.array([float(name == e) for e in EMOTIONS], dtype=np.float32)


@dataclass(frozen=True)
class Item:
    """One utterance with its features.

    Attributes:
        id: Name in the manifest.
        kind: ``bank``, ``grid``, ``blend`` or ``test``.
        split: ``train``, ``valid`` or ``test``.
        text: What is said.
        ids: Token ids (L,).
        durations: Frames of each token (L,); sums to T.
        mel: Log-mel (M, T) as float16.
        f0_hz: (T,).
        voiced: (T,) bool.
        energy_db: Level of each frame in dB re full scale (T,).
        prosody: Normalised prosody vector (4,).
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
    f0_hz: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    energy_db: NDArray[np.float32]
    prosody: NDArray[np.float32]
    styles: tuple[StyleRef, ...]
    share: NDArray[np.float32] | None

    @classmethod
    def of(cls, features: Features, **others: Any) -> Item:
        """Join features with the other fields."""
        contour = features.contour
        return cls(
            mel=features.mel,
            f0_hz=contour.f0_hz,
            voiced=contour.voiced,
            energy_db=contour.energy_db,
            prosody=normalise_prosody(prosody_vector(contour)),
            **others,
        )

    @property
    def frames(self) -> int:
        """Mel frames (T)."""
        return self.mel.shape[1]


@dataclass(frozen=True)
class Features:
    """What training reads of a recording: log-mel (M, T) and its contour (T,)."""

    mel: NDArray[np.float16]
    contour: Contour


class Corpus:
    """Items of one split, indexed by voice, by manner of pitch, and by both."""

    def __init__(self, items: list[Item], *, minimum_frames: int = 0) -> None:
        self.items = [item for item in items if item.frames >= minimum_frames]
        if not self.items:
            raise InputError(f"corpus: none of {len(items)} items has {minimum_frames} frames or more")
        self.by_voice: dict[str, list[Item]] = defaultdict(list)
        self.by_pitch: dict[str, list[Item]] = defaultdict(list)
        self.by_style: dict[StyleRef, list[Item]] = defaultdict(list)
        for item in self.items:
            if len(item.styles) == 1:
                self.by_voice[item.styles[0].voice].append(item)
                self.by_pitch[item.styles[0].pitch].append(item)
                self.by_style[item.styles[0]].append(item)
        self.singles = [item for item in self.items if len(item.styles) == 1]
        self.blends = [
            item for item in self.items if len(item.styles) == 2 and all(self.by_style.get(s) for s in item.styles)
        ]

    @property
    def has_duals(self) -> bool:
        """Whether pitch and voice of some item can be read from two other items."""
        pitches, voices = defaultdict(set), defaultdict(set)
        for style in self.by_style:
            pitches[style.voice].add(style.pitch)
            voices[style.pitch].add(style.voice)
        return any(len(voices[s.pitch]) > 1 and len(pitches[s.voice]) > 1 for s in self.by_style)


def load_items(folder: str | Path, splits: tuple[str, ...] = ("train",), *, add_blank: bool = False) -> list[Item]:
    """Read the items of a built corpus.

    Args:
        folder: Folder with ``manifest.jsonl`` and ``features/``.
        splits: Splits to read.
        add_blank: Whether blanks are interspersed between tokens (durations must then fit).

    Returns:
        Items in the order of the manifest.

    Raises:
        InputError: No manifest, a damaged line, or a missing feature file, named.
    """
    folder = Path(folder)
    items = []
    entries = [e for e in load_entries(folder) if e.get("split") in splits]
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


def read_features(file: Path, frame_rate_hz: float) -> Features:
    """Features of an utterance, as this cache and the corpus builder write them.

    Args:
        file: Their ``.npz``.
        frame_rate_hz: Frames per second of the contour.

    Returns:
        The features.
    """
    with np.load(file) as found:
        contour = Contour(
            f0_hz=found["f0_hz"],
            voiced=found["voiced"].astype(bool),
            energy_db=found["energy_db"],
            frame_rate_hz=frame_rate_hz,
        )
        return Features(found["mel"], contour)


def _read_item(folder: Path, entry: dict, add_blank: bool) -> Item:
    file, blend = folder / "features" / f"{entry['id']}.npz", entry["kind"] == "blend"
    features = read_features(file, MelConfig().frame_rate_hz)
    with np.load(file) as stored:
        durations = stored["durations"].astype(np.int64)
        share = stored["share"].astype(np.float32) if blend else None
    return Item.of(
        features,
        id=entry["id"],
        kind=entry["kind"],
        split=entry["split"],
        text=entry["text"],
        ids=np.asarray(ids_of(symbols_of(entry["tokens"]), add_blank), dtype=np.int64),
        durations=durations,
        styles=tuple(StyleRef(e["voice"], e["pitch"]) for e in ([entry["a"], entry["b"]] if blend else [entry])),
        share=share,
    )
