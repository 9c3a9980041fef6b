"""Flags that several commands share: models and styles, how A and B are blended, and pitch.

The share of B is a product: what follows time (or is the same everywhere) times what follows frequency. Flags that
contradict each other, or cannot be read, give one clear error.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any

from gradtts_interp.diffusion.samplers import SAMPLERS
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.contours import energy_errors, f0_errors, on_same_frames
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.asked_pitch import PitchRequest, lay_pitch
from gradtts_interp.interpolation.shares import (
    DIMENSIONS,
    SHARE_LIMITS,
    Layout,
    Share,
    parse_bands,
    parse_curve,
    parse_dimensions,
    parse_words,
)
from gradtts_interp.job import speakers_of
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.pitch.masks import BANDS_HZ
from gradtts_interp.sampling import CONVERGED_STEPS, DEFAULT_SOLVER, DEFAULT_STEPS, OFFICIAL_SOLVER, OFFICIAL_STEPS
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style

LARGEST_WHOLE = 2**31 - 1
MODES = ("time", "frequency", "mix", "none")
EVEN = 0.5
_SHIFT = re.compile(r"\s*(\d+)(?:-(\d+))?\s*:\s*([+-]?\d*\.?\d+)\s*st\s*")


# -- numbers, and tables that are printed ------------------------------------------------------------------------------


def number_type(kind: type, expected: str, low: float, high: float) -> Callable[[str], Any]:
    """Type of a flag that holds a number.

    Args:
        kind: ``int`` or ``float``.
        expected: What is expected, for the message.
        low: Smallest number.
        high: Largest number.

    Returns:
        The type, as argparse takes it.
    """

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: expected {expected}")
        return value

    return read


index = number_type(int, "a whole number from 0", 0, LARGEST_WHOLE)
count = number_type(int, "a whole number of at least 1", 1, LARGEST_WHOLE)
not_negative = number_type(float, "a number of at least 0", 0.0, 1e300)
positive = number_type(float, "a number above 0", 1e-9, 1e300)
share_number = number_type(float, "a number from 0 to 1, or beyond from {} to {}".format(*SHARE_LIMITS), *SHARE_LIMITS)


def steps(text: str) -> int:
    """A number of steps; 0 is said on purpose."""
    return 0 if text == "0" else count(text)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells in columns of equal width."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


# -- models, styles, sampler ------------------------------------------------------------------------------------------


def speakers(text: str) -> int | tuple[int, ...]:
    """Type of a flag that names a speaker, or several for their average."""
    try:
        return speakers_of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_checkpoint(group: argparse._ActionsContainer) -> None:
    """Declare the flags of the model, and of the device that it works on."""
    add = group.add_argument
    text = (
        "folder of a checkpoint, or an official Grad-TTS .pt file (default: $GRADTTS_INTERP_CHECKPOINT, else "
        "checkpts/demo)"
    )
    add("-c", "--checkpoint", metavar="PATH", help=text)
    text = (
        "hifigan (the checkpoint's), griffin-lim, or the path of a vocoder: a folder, or an official generator file "
        "(default: the checkpoint's; griffin-lim for official .pt files)"
    )
    add("--vocoder", metavar="NAME", help=text)
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")


def add_styles(group: argparse._ActionsContainer) -> None:
    """Declare the flags that name styles A and B."""
    add = group.add_argument
    add("-s", "--speaker", type=speakers, metavar="N", help="speaker of style A from 0; 3,7 or 0-15: their average")
    add(
        "-s2",
        "--speaker2",
        type=speakers,
        metavar="N",
        help="likewise of style B (default: A alone, where one style will do)",
    )
    add("--reference", metavar="WAV", help="recording of style A, 0.5 s or longer, instead of a speaker")
    add("--reference2", metavar="WAV", help="recording of style B, 0.5 s or longer")
    add("--emotion", metavar="NAME", help="emotion of the speaker of A (default: neutral)")
    add("--emotion2", metavar="NAME", help="emotion of the speaker of B (default: neutral)")


def add_sampler(group: argparse._ActionsContainer) -> None:
    """Declare the flags of the sampler and of its noise."""
    add = group.add_argument
    text = (
        f"steps of the sampler (default: {DEFAULT_STEPS} of {DEFAULT_SOLVER}, {CONVERGED_STEPS} where the noise "
        f"decides or the prior is of tokens; {OFFICIAL_STEPS} of other solvers); 0 speaks the prior mean, which a "
        "checkpoint with a frame prior can"
    )
    add("-t", "--timesteps", type=steps, metavar="N", help=text)
    text = f"sampler (default: {OFFICIAL_SOLVER} where -t is given, as in Grad-TTS; else {DEFAULT_SOLVER})"
    add("--solver", choices=tuple(SAMPLERS), help=text)
    add("--seed", type=index, default=0, metavar="N", help="start of each sentence's noise (default: %(default)s)")


# -- who speaks where -------------------------------------------------------------------------------------------------


def add_blend_arguments(group: argparse._ArgumentGroup) -> None:
    """Declare the flags that say who speaks where."""
    add = group.add_argument
    add(
        "--mode",
        choices=MODES,
        help="time: from A to B along the sentence; frequency: pitch of one, voice of the other, or --bands; mix: the "
        "same share everywhere; none: A alone (default: none with one style; frequency with --bands alone; mix with "
        "--share alone; else time)",
    )
    text = "share of B in mode mix, 0 to 1 (default: 0.5; 0 with --share)"
    add("--weight", type=share_number, metavar="W", help=text)
    add(
        "--share",
        action="append",
        metavar="DIMENSION=W",
        help=f"share of B in one dimension of speech, of {', '.join(DIMENSIONS)}; repeatable: pitch=0.5, "
        "energy=0:a,1:b as in --curve, timbre=f1-f2:b as in --bands; the other dimensions follow the mode",
    )
    add(
        "--curve",
        metavar="T:W,...",
        help="share of B over time in mode time, as times and shares, such as 0:0,0.4:0,0.6:1,1:1; a time is relative "
        "(0 to 1), in seconds (0.5s) or in words (w2 is the start of word 2, w2.5 its middle); a share is 0 to 1, a or "
        f"b, or beyond to exaggerate, from {SHARE_LIMITS[0]} to {SHARE_LIMITS[1]} (default: a ramp, 0.2:0,0.8:1)",
    )
    add(
        "--words",
        metavar="N-M:W,...",
        help="share of B in words, counted from 1, such as 2-4:b,6:0.5; the other words follow --curve, or --weight in "
        "mode mix, and are A's without them; 3:+2st shifts the pitch of word 3 by two semitones",
    )
    bands = ", ".join(f"{name} ({low:g}-{high:g})" for name, (low, high) in BANDS_HZ.items())
    add(
        "--bands",
        metavar="HZ-HZ:W,...",
        help=f"share of B in frequency bands, such as 0-400:a,400-8000:b or by name, f0:a,f1-f2:b; names are {bands} "
        "Hz; all else is A's. In modes time and mix, the share there is multiplied by it",
    )
    text = "style that gives the pitch in mode frequency; the other gives the voice (default: a)"
    add("--pitch-from", choices=("a", "b"), help=text)
    text = "multiples 1 to N of F0 that count as pitch in mode frequency (default: 1)"
    add("--harmonics", type=count, metavar="N", help=text)
    text = "mel bins on each side of F0 and its multiples that count as pitch in mode frequency (default: 1)"
    add("--pitch-width", type=index, metavar="BINS", help=text)


def mode_of(args: argparse.Namespace) -> str:
    """The mode asked for, or what the other flags imply."""
    if args.mode is not None:
        return args.mode
    if args.speaker2 is None and args.reference2 is None:
        return "none"
    if args.curve is not None or args.words is not None:
        return "time"
    return "frequency" if args.bands is not None else "mix" if args.share is not None else "time"


def blend_conflicts(args: argparse.Namespace, mode: str) -> dict[str, Any]:
    """Messages about flags that contradict each other, and whether each applies."""
    of_pitch = {"--pitch-from": args.pitch_from, "--harmonics": args.harmonics, "--pitch-width": args.pitch_width}
    name = next((name for name, value in of_pitch.items() if value is not None), "")
    bands, share = args.bands is not None, args.share is not None
    return {
        "--weight: it belongs to --mode mix": args.weight is not None and mode != "mix",
        "--curve: it belongs to --mode time": args.curve is not None and mode != "time",
        "--words: it belongs to --mode time or mix": args.words is not None and mode not in ("time", "mix"),
        "--bands: it needs two styles; give -s2/--speaker2 or --reference2": bands and mode == "none",
        "--share: it needs two styles; give -s2/--speaker2 or --reference2": share and mode == "none",
        "--share and --mode frequency: the pitch of one and the voice of the other is --share timbre=b or "
        "--share pitch=b; give --mode mix": share and mode == "frequency" and not bands,
        f"{name}: it belongs to --mode frequency": name and mode != "frequency",
        f"{name} and --bands: give one; bands in Hz have no pitch to follow": name and bands,
    }


def share_of(args: argparse.Namespace) -> Share | None:
    """The share of B that flags describe.

    Args:
        args: Flags of :func:`add_blend_arguments`.

    Returns:
        The share; None for a single style.

    Raises:
        InputError: The mode is unknown, a weight, share, curve, words or bands cannot be read, or ``--share`` does not
            go with the mode.
    """
    mode, base = mode_of(args), None
    if mode not in MODES:
        raise InputError(f"mode {mode!r}: expected one of {', '.join(MODES)}")
    if mode == "none":
        return None
    by_band = None if args.bands is None else _named("--bands", parse_bands, args.bands)
    if mode == "frequency":
        pitch = shares.pitch(args.harmonics or 1, 1 if args.pitch_width is None else args.pitch_width)
        blend = by_band or (~pitch if args.pitch_from == "b" else pitch)
    else:
        if mode == "mix":
            usual = EVEN if args.share is None else 0.0
            base = _named("--weight", shares.constant, usual if args.weight is None else args.weight)
        elif args.curve is not None:
            base = _named("--curve", parse_curve, args.curve)
        elif args.words is None:
            base = shares.ramp()
        timed = base if args.words is None else _named("--words", lambda text: parse_words(text, base=base), args.words)
        assert timed is not None
        blend = timed if by_band is None else timed * by_band
    return blend if args.share is None else _named("--share", lambda t: parse_dimensions(t, base=blend), args.share)


def _named(flag: str, read: Callable[[Any], Share], value: Any) -> Share:
    """Read the value of a flag; an error names the flag."""
    try:
        return read(value)
    except InputError as error:
        raise InputError(f"{flag}: {error}") from error


# -- pitch: asked for in a file or by word, copied from a recording ----------------------------------------------------


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
    if args.copy is None:
        given = [name for name in ("textgrid", "tier") if getattr(args, f"copy_{name}") is not None]
        return {f"--copy-{name}: it belongs to --copy": True for name in given}
    return {
        "--copy: it says one sentence; give --text once": args.text is None or len(args.text) > 1,
        "--copy-tier: it belongs to --copy-textgrid": args.copy_tier is not None and args.copy_textgrid is None,
        "--copy and --length-scale: durations are the recording's; give a --copy-weight below 1, or one of them": (
            args.length_scale != 1 and args.copy_weight == 1
        ),
    }


def copied_recording(args: argparse.Namespace, pipeline: GradTTSInterpPipeline) -> Style | None:
    """The recording that the flags name, aligned with the sentence; None where they name none."""
    if args.copy is None:
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
    pair = on_same_frames(style.contour, realised)
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
