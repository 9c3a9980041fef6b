"""Pitch on the command line: a contour from a file, shifts of words, and the contour that was realised as a file."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.contours import f0_errors
from gradtts_interp.interpolation.asked_pitch import PitchRequest, lay_pitch
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.pitch.files import PitchCurve, curve_of_contour, read_pitch, write_pitch
from gradtts_interp.speech import Speech

FORMATS = ("csv", "PitchTier", "npy", "npz")
_SHIFT = re.compile(r"\s*(\d+)(?:-(\d+))?\s*:\s*([+-]?\d*\.?\d+)\s*st\s*")


def add_asking(group: argparse._ArgumentGroup) -> None:
    """Declare the flag that asks for a contour; shifts of words stand in ``--words``."""
    group.add_argument(
        "--pitch-file",
        metavar="FILE",
        help="F0 of every sentence, in place of the style's own: .csv with time_s and f0_hz, or semitones against the "
        "style; Praat's .PitchTier; .npy or .npz",
    )


def add_writing(group: argparse._ArgumentGroup) -> None:
    """Declare the flag that writes the contour of each sentence."""
    group.add_argument("--write-pitch", choices=FORMATS, help="also write the realised F0, such as sample_0.csv")


def split_words(text: str | None) -> tuple[str | None, dict[int | range, float]]:
    """Take the shifts of pitch out of ``--words``.

    Args:
        text: Such as ``"2-4:b,3:+2st"``; parts that end in ``st`` are shifts, all others are shares.

    Returns:
        The shares alone, None where there are none, and the semitones of words, counted from 0.

    Raises:
        InputError: A shift cannot be read, or a word is shifted twice.
    """
    shares: list[str] = []
    shifts: dict[int | range, float] = {}
    seen: set[int] = set()
    for part in [] if text is None else text.split(","):
        if not part.rstrip().lower().endswith("st"):
            shares.append(part)
            continue
        found = _SHIFT.fullmatch(part.lower())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if found is None or not 1 <= first <= last:
            raise InputError(f"--words: {part.strip()!r} is no shift of words; expected such as 3:+2st or 2-4:-1.5st")
        words = range(first - 1, last)
        if seen & set(words):
            raise InputError(f"--words: word {min(seen & set(words)) + 1} is shifted twice; expected each word once")
        seen |= set(words)
        shifts[words] = float(found[3])
    return ",".join(shares) or None, shifts


def pitch_request(path: str | None, shifts: dict[int | range, float]) -> PitchRequest | None:
    """What the flags ask of the pitch, None where they ask nothing."""
    curve = None if path is None else read_pitch(path)
    return PitchRequest(curve, shifts) if curve is not None or shifts else None


def pitch_report(request: PitchRequest | None, speech: Speech) -> dict[str, Any]:
    """How far the pitch that was realised is from a contour in Hz that was asked for; nothing for shifts alone.

    Args:
        request: What was asked for.
        speech: What was rendered.

    Returns:
        ``{"asked_pitch": errors}``, or nothing.
    """
    if request is None or request.curve is None or request.curve.unit != "hz":
        return {}
    realised, words = speech.contour, tuple((first, stop) for _, first, stop in speech.words)
    laid = lay_pitch(request, Layout(len(realised), speech.mel_config, words=words))
    assert laid.f0_hz is not None
    said = realised.voiced if laid.voiced is None else laid.voiced
    asked = Contour(laid.f0_hz.astype("float32"), said, realised.energy_db, realised.frame_rate_hz)
    return {"asked_pitch": f0_errors(asked, realised)}


def write_realised(speech: Speech, stem: Path, kind: str) -> Path:
    """Write the F0 of an utterance beside its other files."""
    path = stem.with_suffix(f".{kind}")
    curve: PitchCurve = curve_of_contour(speech.contour)
    write_pitch(path, curve)
    return path
