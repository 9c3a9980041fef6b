"""``gradtts-interp filelist``: filelists for training from public corpora as they lie on disk."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gradtts_interp.errors import InputError
from gradtts_interp.files import read_text, write_text
from gradtts_interp.training.filelist import NEUTRAL

logger = logging.getLogger(__name__)


class LabelledRecording(NamedTuple):
    """One recording of a corpus.

    Attributes:
        path: Audio file.
        text: What is said.
        speaker: Name of the speaker in the corpus.
        emotion: Name of the emotion, in lower case.
    """

    path: Path
    text: str
    speaker: str
    emotion: str = NEUTRAL


def ljspeech(folder: Path) -> Iterator[LabelledRecording]:
    """``metadata.csv`` with lines ``id|text|normalised text``, audio in ``wavs/``; one speaker."""
    for line in _lines(folder / "metadata.csv"):
        fields = line.split("|")
        if len(fields) >= 2:
            yield LabelledRecording(folder / "wavs" / f"{fields[0]}.wav", fields[-1] or fields[1], "LJ")


def libritts(folder: Path) -> Iterator[LabelledRecording]:
    """``[subset/]speaker/chapter/id.wav`` with ``id.normalized.txt`` beside it."""
    for text in sorted(folder.rglob("*.normalized.txt")):
        path = text.with_name(text.name.removesuffix(".normalized.txt") + ".wav")
        yield LabelledRecording(path, " ".join(_lines(text)), text.parent.parent.name)


def vctk(folder: Path) -> Iterator[LabelledRecording]:
    """``txt/p225/p225_001.txt``; ``wav48_silence_trimmed/p225/p225_001_mic1.flac`` or ``wav48/p225/p225_001.wav``."""
    for text in sorted((folder / "txt").glob("*/*.txt")):
        speaker, name = text.parent.name, text.stem
        places = [folder / "wav48_silence_trimmed" / speaker / f"{name}_mic{i}.flac" for i in (1, 2)]
        places += [folder / part / speaker / f"{name}.wav" for part in ("wav48", "wav48_silence_trimmed")]
        yield LabelledRecording(next((p for p in places if p.is_file()), places[0]), " ".join(_lines(text)), speaker)


def esd(folder: Path) -> Iterator[LabelledRecording]:
    """``0011/0011.txt`` with lines ``id, text, emotion`` between tabs; audio in ``0011/Happy/[train/]id.wav``."""
    for table in sorted(folder.glob("*/*.txt")):
        if table.stem != table.parent.name:
            continue
        audio = {path.stem: path for path in sorted(table.parent.rglob("*.wav"))}
        for line in _lines(table, ("utf-16", "gbk")):  # some tables of ESD are not in UTF-8
            fields = [field.strip() for field in line.split("\t")]
            if len(fields) == 3:
                path = audio.get(fields[0], table.parent / fields[2] / f"{fields[0]}.wav")
                yield LabelledRecording(path, fields[1], table.stem, fields[2].lower())


LAYOUTS: dict[str, Callable[[Path], Iterator[LabelledRecording]]] = {
    "ljspeech": ljspeech,
    "libritts": libritts,
    "vctk": vctk,
    "esd": esd,
}


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
    recordings = [r for r in LAYOUTS[layout](folder) if r.text.strip()]
    there = [r for r in recordings if r.path.is_file()]
    if not there:
        expected = LAYOUTS[layout].__doc__
        raise InputError(
            f"{folder}: none of {len(recordings)} transcribed recordings has its audio; expected {expected}"
        )
    if len(there) < len(recordings):
        missing = len(recordings) - len(there)
        logger.warning("%s: %d transcribed recordings have no audio and are left out", folder, missing)
    speakers = {name: i for i, name in enumerate(sorted({r.speaker for r in there}))}
    apart = set(np.linspace(0, len(there) - 1, round(valid_share * len(there))).round().astype(int).tolist())
    parts: dict[str, list[str]] = {"train": [], "valid": []}
    for place, recording in enumerate(there):
        parts["valid" if place in apart else "train"].append(_line(recording, speakers, out))
    written = {f"{name}.txt": "".join(f"{line}\n" for line in lines) for name, lines in parts.items()}
    written["speakers.json"] = json.dumps(speakers, indent=1, ensure_ascii=False) + "\n"
    for name, text in written.items():
        write_text(out / name, text)
    counts = (len(parts["train"]), len(parts["valid"]), len(speakers), out)
    logger.info("%d lines for training, %d for validation, %d speakers, in %s", *counts)
    return speakers


def _line(recording: LabelledRecording, speakers: dict[str, int], out: Path) -> str:
    path = os.path.relpath(recording.path.resolve(), out.resolve())
    text = " ".join(recording.text.replace("|", " ").split())
    return f"{path}|{text}|{speakers[recording.speaker]}|{recording.emotion}"


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
