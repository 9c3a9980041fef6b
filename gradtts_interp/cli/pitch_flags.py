"""Pitch on the command line: from a file, by word, copied from a recording; and what was realised, as a file."""

from __future__ import annotations

import argparse
import re
from typing import Any

from gradtts_interp.cli.text import share_number
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.contours import energy_errors, f0_errors
from gradtts_interp.evaluation.time_alignment import align_frames
from gradtts_interp.interpolation.asked_pitch import PitchRequest, lay_pitch
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.pitch.files import read_pitch
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style

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


def add_copying(group: argparse._ArgumentGroup) -> None:
    """Declare the flags that copy the prosody of a recording."""
    add = group.add_argument
    text = (
        "recording of the sentence whose durations, F0 and energy are copied; it is aligned by the model; --pitch-file "
        "comes before its F0"
    )
    add("--copy", metavar="WAV", help=text)
    text = "TextGrid of that recording, of ARPAbet phones, instead of the model"
    add("--copy-textgrid", metavar="FILE", help=text)
    add("--copy-tier", metavar="NAME", help="tier of its phones (default: found by its usual names)")
    text = "how much is copied, from 0, the styles' own prosody, to 1 (default: %(default)s)"
    add("--copy-weight", type=share_number, default=1.0, metavar="W", help=text)


def copying_conflicts(args: argparse.Namespace) -> dict[str, bool]:
    """Messages about flags that contradict the copying of a recording, and whether each applies."""
    if getattr(args, "copy", None) is None:
        given = [name for name in ("textgrid", "tier") if getattr(args, f"copy_{name}", None) is not None]
        return {f"--copy-{given[0]}: it belongs to --copy": True} if given else {}
    return {
        "--copy: it says one sentence; give --text once": args.text is None or len(args.text) > 1,
        "--copy-tier: it belongs to --copy-textgrid": args.copy_tier is not None and args.copy_textgrid is None,
        "--copy and --length-scale: durations are the recording's; give a --copy-weight below 1, or one of them": (
            args.length_scale != 1 and args.copy_weight == 1
        ),
    }


def copied_recording(args: argparse.Namespace, pipeline: GradTTSInterpPipeline) -> Style | None:
    """The recording that the flags name, aligned with the sentence; None where they name none."""
    if getattr(args, "copy", None) is None:
        return None
    # Here, since a job that copies nothing need not wait for what stimuli are drawn with.
    from gradtts_interp.stimuli.forced_alignment import align_recording

    return align_recording(pipeline, args.copy, args.text[0], textgrid=args.copy_textgrid, tier=args.copy_tier)


def copy_report(style: Style | None, weight: float, speech: Speech) -> dict[str, Any]:
    """How far F0 and energy that were realised are from those of a recording that was copied whole.

    Args:
        style: The recording.
        weight: How much of it was copied; under 1, its frames are not those of the speech, and nothing is said.
        speech: What was rendered.

    Returns:
        ``{"copied_prosody": errors}``, or nothing.
    """
    if style is None or style.contour is None or weight < 1:
        return {}
    realised = speech.contour
    pair = align_frames(len(style.contour), len(realised)).read(style.contour, realised)
    return {"copied_prosody": {**f0_errors(*pair), **energy_errors(*pair)}}


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
