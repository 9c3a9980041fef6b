"""The text processing of the official Grad-TTS, for its checkpoints: same ids for the same text.

Written to reproduce its ids, oddities included: text before inline phones is spelled in letters, a word with attached
punctuation is not looked up, unknown characters vanish (here with a warning).
"""

from __future__ import annotations

import re

from anyascii import anyascii

from gradtts_interp.text.characters import TABLES
from gradtts_interp.text.lexicon import Lexicon
from gradtts_interp.text.numbers import LONGEST_NAMED, number_words, ordinal_words
from gradtts_interp.text.symbols import PAD, SPACE, SYMBOL_TO_ID

_INLINE = re.compile(r"(.*?)\{(.+?)\}(.*)")
_ASCII: dict[str, str] = TABLES["official characters"]
"""Where the official transliteration differs from anyascii, among characters that English text has."""


Piece = tuple[str, tuple[str, ...]]
"""One stretch of the official token sequence, a dictionary word, spelled text, inline phones or a space; its tokens."""


def to_ascii(text: str) -> str:
    """Transliterate as the official cleaners do; emoji and other pictures vanish."""
    return "".join(
        char if char.isascii() else _ASCII.get(char, "" if ord(char) >= 0x1F000 else anyascii(char)) for char in text
    )


def clean(text: str) -> str:
    """Apply the official ``english_cleaners``: ASCII, lower case, numbers, abbreviations, single spaces.

    Args:
        text: Any text.

    Returns:
        Cleaned text; spaces at the ends stay.

    Source: Tacotron's cleaners, as Grad-TTS uses them.
    """
    text = expand_numbers(to_ascii(text).lower())
    for short, long in TABLES["official abbreviations"].items():
        text = re.sub(rf"\b{short}\.", long, text)
    return re.sub(r"\s+", " ", text)


def expand_numbers(text: str) -> str:
    """Expand numbers as the official cleaners do: separators, pounds, dollars, decimals, ordinals, integers.

    Args:
        text: Lower-case ASCII text.

    Returns:
        Text without digits, except in numbers of more than 36 digits, which the official code cannot say either.
    """
    text = re.sub("[0-9][0-9,]+[0-9]", lambda match: match[0].replace(",", ""), text)
    text = re.sub("£([0-9,]*[0-9]+)", r"\1 pounds", text)
    text = re.sub(r"\$([0-9.,]*[0-9]+)", _dollars, text)
    text = re.sub(r"[0-9]+\.[0-9]+", lambda match: match[0].replace(".", " point "), text)
    text = re.sub("([0-9]+)(?:st|nd|rd|th)", _ordinal, text)
    return re.sub("[0-9]+", _integer, text)


def _dollars(match: re.Match[str]) -> str:
    parts = match[1].replace(",", "").split(".")
    if len(parts) > 2:
        return f"{match[1]} dollars"
    dollars, cents = (int(part or "0") for part in (*parts, "")[:2])
    named = [f"{value} {unit if value == 1 else unit + 's'}" for value, unit in ((dollars, "dollar"), (cents, "cent"))]
    return ", ".join(name for name, value in zip(named, (dollars, cents), strict=True) if value) or "zero dollars"


def _integer(match: re.Match[str]) -> str:
    value = int(match[0])
    if not 1000 < value < 3000:
        return _words(str(value))
    if value == 2000:
        return "two thousand"
    if 2000 < value < 2010:
        return f"two thousand {_words(str(value % 100), andword='and')}"
    if value % 100 == 0:
        return f"{_words(str(value // 100), andword='and')} hundred"
    century, rest = divmod(value, 100)
    return f"{number_words(str(century))} {'oh ' if rest < 10 else ''}{number_words(str(rest))}"


def _words(digits: str, *, andword: str = "") -> str:
    return number_words(digits, andword=andword) if len(digits.lstrip("0")) <= LONGEST_NAMED else digits


def _ordinal(match: re.Match[str]) -> str:
    digits = match[1]
    return ordinal_words(digits, andword="and") if len(digits.lstrip("0")) <= LONGEST_NAMED else match[0]


def pieces_of(text: str, lexicon: Lexicon) -> tuple[list[Piece], list[str]]:
    """Change text to the official token sequence.

    Args:
        text: One line, perhaps with inline ``{HH AH0 L OW1}``.
        lexicon: Dictionary for the words after the last inline phones.

    Returns:
        Pieces in order, without the trailing space, and what was left out because no symbol exists for it.
    """
    pieces: list[Piece] = []
    lost: list[str] = []
    while text and (match := _INLINE.match(text)):
        pieces += _spell(clean(match[1]), lost)
        inline = _keep(["@" + phone for phone in match[2].split()], lost)
        pieces += [("{" + match[2] + "}", inline)] if inline else []
        text = match[3]
    if text:
        for word in clean(text).split(" "):
            found = lexicon.lookup(word)
            if found:
                pieces.append((word, tuple("@" + phone for phone in found[0])))
            elif word.startswith("{"):
                lost.append(word)
            else:
                pieces += _spell(word, lost)
            pieces.append((SPACE, (SPACE,)))
    if pieces and pieces[-1][1] == (SPACE,):
        pieces.pop()
    return pieces, lost


def _spell(text: str, lost: list[str]) -> list[Piece]:
    return [(part, _keep(part, lost)) for part in re.findall(" |[^ ]+", text)]


def _keep(symbols: str | list[str], lost: list[str]) -> tuple[str, ...]:
    known = [symbol for symbol in symbols if symbol in SYMBOL_TO_ID and symbol != PAD]
    lost += [symbol for symbol in symbols if symbol not in known]
    return tuple(known)
