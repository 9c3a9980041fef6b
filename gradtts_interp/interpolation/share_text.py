"""Shares as they are written on the command line: curves, words, bands, and one for each dimension."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.shares import DIMENSIONS, Share
from gradtts_interp.pitch.masks import BANDS_HZ

STYLES = {"a": 0.0, "b": 1.0}
FIRST_WORD = 1  # people count from 1
_RANGE_OF_WORDS = re.compile(r"(\d+)(?:-(\d+))?")
_RANGE_OF_HZ = re.compile(r"(\d+\.?\d*)-(\d+\.?\d*)")


def parse_curve(text: str) -> Share:
    """Read a curve, ``"0:0,0.4:0,0.6:1,1:1"``; times as in :data:`~gradtts_interp.interpolation.shares.Time`."""
    example = "0:0,0.5:1, 0.3s:0,1.2s:1 or w2:a,w3:b"
    points = [(part, time.strip(), _share(share)) for part, time, share in _parts(text)]
    for part, time, share in points:
        if not time or share is None:
            _refuse("curve", text, part, "time:share", example)
    return shares.curve([(time, share) for _, time, share in points if share is not None])


def parse_words(text: str, *, base: Share | None = None) -> Share:
    """Read shares of words, ``"2-4:b,6:0.5"``, counted from 1; others follow ``base``, or are A's if None."""
    ranges: dict[range | int, float] = {}
    seen: list[tuple[int, int]] = []
    for part, chosen, written in _parts(text):
        found, share = _RANGE_OF_WORDS.fullmatch(chosen.strip()), _share(written)
        if found is None or share is None:
            _refuse("words", text, part, "words:share", "2-4:b,6:0.5")
        first, last = int(found[1]), int(found[2] or found[1])
        if not FIRST_WORD <= first <= last:
            raise InputError(f"words {text!r}: {chosen} is no range of words; expected such as 2-4, from {FIRST_WORD}")
        if any(first <= end and start <= last for start, end in seen):
            raise InputError(f"words {text!r}: {chosen} was given twice; expected each word once")
        seen.append((first, last))
        ranges[range(first, last + 1) if last > first else first] = share
    return shares.words(ranges, base=base, first=FIRST_WORD)


def parse_bands(text: str) -> Share:
    """Read shares of bands, by edges in Hz or by name, ``"0-400:a,f3-f4:b"``; what lies in none is A's."""
    ranges: dict[str | tuple[float, float], float] = {}
    for part, chosen, written in _parts(text):
        chosen, share = chosen.strip().lower(), _share(written)
        if not chosen or share is None:
            _refuse("bands", text, part, "band:share", "0-400:a,400-8000:b or f0:a,f1-f2:b")
        found = _RANGE_OF_HZ.fullmatch(chosen)
        band = (float(found[1]), float(found[2])) if found else chosen
        if isinstance(band, tuple) and not band[0] < band[1]:
            raise InputError(f"bands {text!r}: {chosen} Hz; expected a lower edge below the upper one")
        if band in ranges:
            raise InputError(f"bands {text!r}: {chosen} was given twice; expected each band once")
        ranges[band] = share
    return shares.spectrum(ranges)


def parse_dimensions(texts: Sequence[str], *, base: Share | None = None) -> Share:
    """Read shares of single dimensions, such as ``["pitch=0.5", "timbre=0:a,1:b"]``.

    Args:
        texts: ``dimension=share``, where a share is a number, ``a``, ``b``, a curve, or bands for the timbre.
        base: Share of the other dimensions; they are A's if None.

    Returns:
        The share.

    Raises:
        InputError: A part cannot be read, a dimension is unknown or given twice, or ``base`` masks the references.
    """
    given: dict[str, Share] = {}
    for text in texts:
        name, _, written = (part.strip() for part in text.partition("="))
        if name not in DIMENSIONS or not written:
            example = f"pitch=0.5 or timbre=0:a,1:b, with one of {', '.join(DIMENSIONS)}"
            raise InputError(f"{text!r} is not dimension=share; expected such as {example}")
        if name in given:
            raise InputError(f"{name} was given twice; expected each dimension once")
        given[name] = _parse_any(name, written)
    return shares.dimensions(base, **given)


def _parse_any(dimension: str, text: str) -> Share:
    """A number, a letter, bands or a curve; which of them it is can be seen from its first part."""
    number = _share(text)
    if number is not None:
        return shares.constant(number)
    first = next(_parts(text))[1].strip().lower()
    if first not in BANDS_HZ and not _RANGE_OF_HZ.fullmatch(first):
        return parse_curve(text)
    if dimension != "timbre":
        raise InputError(f"{dimension}={text}: expected a number or a curve over time; only timbre has bands")
    return parse_bands(text)


def _parts(text: str) -> Iterator[tuple[str, str, str]]:
    """Each part of a list, and what stands before and after its last colon."""
    for part in text.split(","):
        before, _, after = part.rpartition(":")
        yield part, before, after


def _share(text: str) -> float | None:
    """Share of B: ``a``, ``b`` or a number; None for anything else."""
    text = text.strip().lower()
    if text in STYLES:
        return STYLES[text]
    try:
        return float(text)
    except ValueError:
        return None


def _refuse(kind: str, text: str, part: str, form: str, example: str) -> NoReturn:
    raise InputError(f"{kind} {text!r}: {part!r} is not {form}; expected such as {example}")
