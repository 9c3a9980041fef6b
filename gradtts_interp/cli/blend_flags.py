"""How A and B are blended: from flags to a mode and a share, with one clear error for those that contradict.

The share of B is a product: what follows time (or is the same everywhere) times what follows frequency.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from gradtts_interp.cli.text import count, index, share_number
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.share_text import parse_bands, parse_curve, parse_dimensions, parse_words
from gradtts_interp.interpolation.shares import DIMENSIONS, SHARE_LIMITS, Share
from gradtts_interp.pitch.masks import BANDS_HZ

MODES = ("time", "frequency", "mix", "none")
EVEN = 0.5


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


SHARE_FLAGS = ("weight", "share", "curve", "words", "bands", "pitch_from", "harmonics", "pitch_width")


def share_of(
    mode: str,
    *,
    weight: float | None = None,
    share: Sequence[str] | None = None,
    curve: str | None = None,
    words: str | None = None,
    bands: str | None = None,
    pitch_from: str | None = None,
    harmonics: int | None = None,
    pitch_width: int | None = None,
) -> Share | None:
    """The share of B that flags, or the fields of the app, describe.

    Args:
        mode: One of :data:`MODES`.
        weight: Share everywhere, for mode mix; one half if None, or 0 with ``share``.
        share: Shares of single dimensions; the others follow the mode.
        curve: Share over time, for mode time; a ramp if None.
        words: Shares of single words.
        bands: Shares of frequency bands.
        pitch_from: Style that gives the pitch in mode frequency, ``a`` or ``b``.
        harmonics: Multiples of F0 that count as pitch.
        pitch_width: Mel bins on each side of them.

    Returns:
        The share; None for a single style.

    Raises:
        InputError: A weight, share, curve, words or bands cannot be read, or ``share`` does not go with the mode.
    """
    if mode == "none":
        return None
    by_band = None if bands is None else _named("--bands", parse_bands, bands)
    base: Share | None
    if mode == "frequency":
        pitch = shares.pitch(harmonics or 1, 1 if pitch_width is None else pitch_width)
        blend = by_band or (~pitch if pitch_from == "b" else pitch)
    else:
        if mode == "mix":
            usual = EVEN if share is None else 0.0
            base = _named("--weight", shares.constant, usual if weight is None else weight)
        elif curve is not None:
            base = _named("--curve", parse_curve, curve)
        else:
            base = None if words is not None else shares.ramp()
        timed = base if words is None else _named("--words", lambda text: parse_words(text, base=base), words)
        assert timed is not None
        blend = timed if by_band is None else timed * by_band
    return blend if share is None else _named("--share", lambda texts: parse_dimensions(texts, base=blend), share)


def _named(flag: str, read: Callable[[Any], Share], value: Any) -> Share:
    """Read the value of a flag; an error names the flag."""
    try:
        return read(value)
    except InputError as error:
        raise InputError(f"{flag}: {error}") from error
