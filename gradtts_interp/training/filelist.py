"""Users' own recordings: filelists ``path|text|speaker[|emotion]``, as Grad-TTS has them, and cached features."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from gradtts_interp.audio import log_mel, read_recording
from gradtts_interp.config import MelConfig, ModelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path, read_text
from gradtts_interp.pitch.contour import extract_contour, normalise_prosody, prosody_vector
from gradtts_interp.text.frontend import TextFrontend, TokenizedText
from gradtts_interp.training.data import EMOTIONS, Features, Item, StyleRef, read_features

logger = logging.getLogger(__name__)

HIGHEST_SPEAKER = 9999
NEUTRAL = "neutral"
PREPARATION = 2
"""Counts how recordings are prepared and measured, so that features cached by an earlier way are made anew."""

Read = TypeVar("Read")


@dataclass(frozen=True)
class Line:
    """One line of a filelist: a recording, what is said, by which speaker and in which manner."""

    path: Path
    text: str
    speaker: int
    emotion: str


def load_filelist(path: str | Path, settings: ModelConfig, *, cache: str | Path, split: str = "train") -> list[Item]:
    """Read a filelist and the features of its recordings.

    Durations are unknown and stay 0: training finds them by monotonic alignment search. A line that cannot be used
    is skipped with a warning that names it.

    Args:
        path: Filelist; paths in it are relative to its folder.
        settings: Settings of the model, for the tokens and the mel contract.
        cache: Folder where features are kept for the next time.
        split: Split the items get.

    Returns:
        Items in the order of the list.

    Raises:
        InputError: The file is missing, no text, or no line of it can be used.
    """
    path = Path(path)
    frontend = TextFrontend(add_blank=settings.add_blank, word_boundaries=settings.word_boundaries)
    items = _usable(path, lambda line, number: _item(line, frontend, settings.mel, Path(cache), f"{number}", split))
    strange = sorted({i.styles[0].pitch.partition("-")[2] for i in items} - set(EMOTIONS))
    if strange:
        logger.warning("%s: emotions %s have no name in the model; their recordings alone tell them", path, strange)
    return items


def parse_line(row: str, folder: Path) -> Line:
    """Read one line.

    Args:
        row: ``path|text|speaker[|emotion]``.
        folder: Folder that the path is relative to.

    Returns:
        The line.

    Raises:
        InputError: Another number of fields, an empty one, or a speaker that is no number from 0 to 9999.
    """
    fields = [field.strip() for field in row.split("|")]
    if len(fields) not in (3, 4) or not all(fields[:3]):
        raise InputError(
            f"{row[:80]!r} has {len(fields)} field{'s' * (len(fields) != 1)}; expected path|text|speaker[|emotion]"
        )
    name, text, speaker = fields[:3]
    if not (speaker.isascii() and speaker.isdigit() and int(speaker) <= HIGHEST_SPEAKER):
        raise InputError(f"speaker {speaker[:20]!r}; expected a number from 0 to {HIGHEST_SPEAKER}")
    emotion = fields[3] if len(fields) == 4 and fields[3] else NEUTRAL
    return Line(folder / name, text, int(speaker), emotion)


def recordings(path: str | Path, mel: MelConfig, *, cache: str | Path) -> list[tuple[Line, Features]]:
    """Lines of a filelist with the features of their recordings; what cannot be used is skipped with a warning.

    Args:
        path: Filelist; paths in it are relative to its folder.
        mel: Mel contract of the model.
        cache: Folder where features are kept.

    Returns:
        Each usable line and its features, in the order of the list.

    Raises:
        InputError: The file is missing, no text, or no line of it can be used.
    """
    return _usable(Path(path), lambda line, _: (line, cached_features(line.path, mel, Path(cache))))


def _usable(path: Path, read: Callable[[Line, int], Read]) -> list[Read]:
    """What ``read`` gives for each line and its number; lines that cannot be used are skipped with a warning."""
    lines = read_text(path, expected="a filelist with lines path|text|speaker").split("\n")
    rows = [(n, row) for n, row in enumerate(lines, start=1) if row.strip()]
    found: list[Read] = []
    last_error = "the file is empty"
    for number, row in tqdm(rows, desc=path.name, unit="item"):
        try:
            found.append(read(parse_line(row, path.parent), number))
        except InputError as error:
            last_error = f"line {number}: {error}"
            logger.warning("%s, line %d is skipped: %s", path, number, error)
    if not found:
        raise InputError(f"{path}: none of {len(rows)} lines can be used; the last error: {last_error}")
    if len(found) < len(rows):
        logger.warning("%s: %d of %d lines are skipped", path, len(rows) - len(found), len(rows))
    return found


def _item(
    line: Line, frontend: Callable[[str], TokenizedText], mel: MelConfig, cache: Path, number: str, split: str
) -> Item:
    ids = np.asarray(frontend(line.text).ids, dtype=np.int64)
    features = cached_features(line.path, mel, cache)
    frames = features.mel.shape[1]
    if frames < len(ids):
        raise InputError(f"{line.path}: {frames} frames for {len(ids)} tokens; expected a frame or more for each token")
    return Item(
        id=f"{line.path.stem}-{number}",
        kind="filelist",
        split=split,
        text=line.text,
        ids=ids,
        durations=np.zeros(len(ids), dtype=np.int64),
        mel=features.mel,
        f0_hz=features.contour.f0_hz,
        voiced=features.contour.voiced,
        energy_db=features.contour.energy_db,
        prosody=normalise_prosody(prosody_vector(features.contour)),
        styles=(StyleRef(f"s{line.speaker}", f"s{line.speaker}-{line.emotion}"),),
        share=None,
    )


def cached_features(path: Path, mel: MelConfig, cache: Path) -> Features:
    """Features of a recording, computed once for each state of the file and mel contract.

    Args:
        path: Any audio file.
        mel: The mel contract.
        cache: Folder of the cache.

    Returns:
        Its features.

    Raises:
        InputError: The recording is missing, no audio, too short, or silent.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such audio file")
    state = path.stat()
    key = f"{path.resolve()} {state.st_size} {state.st_mtime_ns} {mel} {PREPARATION}"
    file = cache / f"{path.stem[:40]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if not file.is_file():
        recording = read_recording(path, mel.sample_rate_hz)
        for note in recording.notes:
            logger.warning("%s", note)
        audio = recording.audio
        contour = extract_contour(audio, mel)
        plane = log_mel(audio, mel).numpy().astype(np.float16)
        with atomic_path(file) as temporary:
            np.savez(temporary, mel=plane, f0_hz=contour.f0_hz, voiced=contour.voiced, energy_db=contour.energy_db)
    return read_features(file, mel.frame_rate_hz)
