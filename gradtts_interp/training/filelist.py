"""Users' own recordings: filelists ``path|text|speaker[|emotion]``, as Grad-TTS has them, and cached features.

``gradtts-interp filelist`` makes them of public corpora as they lie on disk.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from gradtts_interp.audio import log_mel, read_recording
from gradtts_interp.config import MelConfig, ModelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path, read_text, write_json, write_text
from gradtts_interp.pitch.contour import extract_contour
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.training.data import EMOTIONS, Item, StyleRef, read_features

logger = logging.getLogger(__name__)

HIGHEST_SPEAKER = 9999
NEUTRAL = "neutral"
PREPARATION = 2
"""Counts how recordings are prepared and measured, so that features cached by an earlier way are made anew."""


class Line(NamedTuple):
    """One recording, as a line of a filelist.

    Attributes:
        path: Audio file.
        text: What is said.
        speaker: Number of the speaker; before the lists are written, name in the corpus.
        emotion: Name of the emotion, in lower case.
    """

    path: Path
    text: str
    speaker: str
    emotion: str = NEUTRAL


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
    lines = read_text(path, expected="a filelist with lines path|text|speaker").split("\n")
    rows = [(n, row) for n, row in enumerate(lines, start=1) if row.strip()]
    items: list[Item] = []
    last_error = "the file is empty"
    for number, row in tqdm(rows, desc=path.name, unit="item"):
        try:
            item = _item(parse_line(row, path.parent), frontend, settings.mel, Path(cache))
            items.append(replace(item, id=f"{item.id}-{number}", split=split))
        except InputError as error:
            last_error = f"line {number}: {error}"
            logger.warning("%s, line %d is skipped: %s", path, number, error)
    if not items:
        raise InputError(f"{path}: none of {len(rows)} lines can be used; the last error: {last_error}")
    if len(items) < len(rows):
        logger.warning("%s: %d of %d lines are skipped", path, len(rows) - len(items), len(rows))
    strange = sorted({i.styles[0].emotion_name for i in items} - set(EMOTIONS))
    if strange:
        logger.warning("%s: emotions %s have no name in the model; their recordings alone tell them", path, strange)
    return items


def _item(line: Line, frontend: TextFrontend, mel: MelConfig, cache: Path) -> Item:
    ids = np.asarray(frontend(line.text).ids, dtype=np.int64)
    features = cached_features(line.path, mel, cache)
    frames = features["mel"].shape[1]
    if frames < len(ids):
        raise InputError(f"{line.path}: {frames} frames for {len(ids)} tokens; expected a frame or more for each token")
    return Item(
        **features,
        id=line.path.stem,
        kind="filelist",
        split="train",
        text=line.text,
        ids=ids,
        durations=np.zeros(len(ids), dtype=np.int64),
        styles=(StyleRef(f"s{line.speaker}", f"s{line.speaker}-{line.emotion}"),),
        share=None,
    )


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
    return Line(folder / name, text, str(int(speaker)), emotion)


def cached_features(path: Path, mel: MelConfig, cache: Path) -> dict[str, Any]:
    """Features of a recording, computed once for each state of the file and mel contract.

    Args:
        path: Any audio file.
        mel: The mel contract.
        cache: Folder of the cache.

    Returns:
        Fields of an item, see :func:`~gradtts_interp.training.data.read_features`.

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


# -- public corpora ---------------------------------------------------------------------------------------------------


def ljspeech(folder: Path) -> Iterator[Line]:
    """``metadata.csv`` with lines ``id|text|normalised text``, audio in ``wavs/``; one speaker."""
    for line in _lines(folder / "metadata.csv"):
        fields = line.split("|")
        if len(fields) >= 2:
            yield Line(folder / "wavs" / f"{fields[0]}.wav", fields[-1] or fields[1], "LJ")


def libritts(folder: Path) -> Iterator[Line]:
    """``[subset/]speaker/chapter/id.wav`` with ``id.normalized.txt`` beside it."""
    for text in sorted(folder.rglob("*.normalized.txt")):
        path = text.with_name(text.name.removesuffix(".normalized.txt") + ".wav")
        yield Line(path, " ".join(_lines(text)), text.parent.parent.name)


def vctk(folder: Path) -> Iterator[Line]:
    """``txt/p225/p225_001.txt``; ``wav48_silence_trimmed/p225/p225_001_mic1.flac`` or ``wav48/p225/p225_001.wav``."""
    for text in sorted((folder / "txt").glob("*/*.txt")):
        speaker, name = text.parent.name, text.stem
        places = [folder / "wav48_silence_trimmed" / speaker / f"{name}_mic{i}.flac" for i in (1, 2)]
        places += [folder / part / speaker / f"{name}.wav" for part in ("wav48", "wav48_silence_trimmed")]
        yield Line(next((p for p in places if p.is_file()), places[0]), " ".join(_lines(text)), speaker)


def esd(folder: Path) -> Iterator[Line]:
    """``0011/0011.txt`` with lines ``id, text, emotion`` between tabs; audio in ``0011/Happy/[train/]id.wav``."""
    for table in sorted(folder.glob("*/*.txt")):
        if table.stem != table.parent.name:
            continue
        audio = {path.stem: path for path in sorted(table.parent.rglob("*.wav"))}
        for line in _lines(table, ("utf-16", "gbk")):  # some tables of ESD are not in UTF-8
            fields = [field.strip() for field in line.split("\t")]
            if len(fields) == 3:
                path = audio.get(fields[0], table.parent / fields[2] / f"{fields[0]}.wav")
                yield Line(path, fields[1], table.stem, fields[2].lower())


LAYOUTS: dict[str, Callable[[Path], Iterator[Line]]] = {f.__name__: f for f in (ljspeech, libritts, vctk, esd)}


def write_filelists(folder: str | Path, layout: str, out: str | Path, *, valid_share: float = 0.02) -> dict[str, int]:
    """Write ``train.txt``, ``valid.txt`` and ``speakers.json`` for a corpus; recordings without audio are left out.

    Args:
        folder: The corpus.
        layout: A key of :data:`LAYOUTS`.
        out: Folder to write into; paths in the lists are relative to it.
        valid_share: Share of the recordings set apart, every n-th of the list.

    Returns:
        Number of each speaker by name.

    Raises:
        InputError: The layout is unknown, the folder missing, or not one recording with text and audio is in it.
    """
    folder, out = Path(folder), Path(out)
    if layout not in LAYOUTS or not 0 <= valid_share < 1:
        raise InputError(
            f"layout {layout!r}, valid share {valid_share}; expected {', '.join(LAYOUTS)}, and 0 to below 1"
        )
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a corpus laid out as {layout}")
    transcribed = [line for line in LAYOUTS[layout](folder) if line.text.strip()]
    there = [line for line in transcribed if line.path.is_file()]
    if not there:
        found = f"none of {len(transcribed)} transcribed recordings has its audio"
        raise InputError(f"{folder}: {found}; expected {LAYOUTS[layout].__doc__}")
    if len(there) < len(transcribed):
        missing = len(transcribed) - len(there)
        logger.warning("%s: %d transcribed recordings have no audio and are left out", folder, missing)
    speakers = {name: i for i, name in enumerate(sorted({line.speaker for line in there}))}
    apart = set(np.linspace(0, len(there) - 1, round(valid_share * len(there))).round().astype(int).tolist())
    parts: dict[str, list[str]] = {"train": [], "valid": []}
    for place, line in enumerate(there):
        path, text = os.path.relpath(line.path.resolve(), out.resolve()), " ".join(line.text.replace("|", " ").split())
        row = f"{path}|{text}|{speakers[line.speaker]}|{line.emotion}\n"
        parts["valid" if place in apart else "train"].append(row)
    for name, rows in parts.items():
        write_text(out / f"{name}.txt", "".join(rows))
    write_json(out / "speakers.json", speakers)
    counts = (len(parts["train"]), len(parts["valid"]), len(speakers), out)
    logger.info("%d lines for training, %d for validation, %d speakers, in %s", *counts)
    return speakers


def _lines(path: Path, others: Sequence[str] = ()) -> list[str]:
    """Lines of a text that are not empty."""
    text = read_text(path, expected="transcripts of a corpus", others=others)
    return [line for line in text.split("\n") if line.strip()]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("corpus", help="folder of the corpus")
    parser.add_argument("--layout", required=True, choices=sorted(LAYOUTS), help="how it is laid out")
    parser.add_argument("--out", default=".", help="folder of train.txt, valid.txt and speakers.json")
    parser.add_argument("--valid-share", type=float, default=0.02, help="share set apart for validation, 0 to 1")


def run(args: argparse.Namespace) -> int:
    """Write the lists; return exit status 0."""
    write_filelists(args.corpus, args.layout, args.out, valid_share=args.valid_share)
    return 0
