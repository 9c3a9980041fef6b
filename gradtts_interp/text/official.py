"""What the official Grad-TTS fixed: its 148 symbols, whose ids every model here shares, and its processing of text.

The processing is written to give the same ids for the same text, oddities included: text before inline phones is
spelled in letters, a word with attached punctuation is not looked up, unknown characters vanish (here with a warning).

Source: the symbol inventory that Tacotron, Glow-TTS and Grad-TTS share; the order is part of every official checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from anyascii import anyascii

from gradtts_interp.errors import InputError
from gradtts_interp.text.characters import TABLES
from gradtts_interp.text.numbers import LONGEST_NAMED, number_words, ordinal_words
from gradtts_interp.text.pronounce import CONSONANTS, VOWELS, Lexicon

PAD = "_"
SPACE = " "
PUNCTUATION = "!'(),.:;?"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ARPABET = tuple(sorted([*CONSONANTS, *VOWELS, *(vowel + stress for vowel in VOWELS for stress in "012")]))
"""The 84 phones of the inventory: consonants, and vowels with and without stress digit."""

SYMBOLS = (PAD, "-", *PUNCTUATION, SPACE, *LETTERS, *("@" + phone for phone in ARPABET))
"""All symbols; a phone's name is ``@`` + ARPAbet, so that phone ``@B`` and letter ``B`` differ."""
BLANK_ID = len(SYMBOLS)
"""Id that stands between all symbols (148)."""
N_VOCAB = len(SYMBOLS) + 1

SYMBOL_TO_ID = {symbol: index for index, symbol in enumerate(SYMBOLS)}

_NAMED = rf"(?<![0-9])0*[0-9]{{1,{LONGEST_NAMED}}}(?![0-9])"
_INLINE = re.compile(r"(.*?)\{(.+?)\}(.*)")
_ASCII: dict[str, str] = TABLES["official characters"]
"""Where the official transliteration differs from anyascii, among characters that English text has."""


Piece = tuple[str, tuple[str, ...]]
"""One stretch of the official token sequence, a dictionary word, spelled text, inline phones or a space; its tokens."""


def ids_of(tokens: Sequence[str], add_blank: bool = True) -> tuple[int, ...]:
    """Change symbol names to ids.

    Args:
        tokens: Symbol names, each one of ``SYMBOLS``.
        add_blank: Put the blank id before, between and after all symbols (2 * len + 1 ids).

    Returns:
        Ids in [0, ``N_VOCAB``).

    Raises:
        InputError: A token is not a symbol.

    Source: Grad-TTS section 4 (blank tokens as in Glow-TTS).
    """
    unknown = [token for token in tokens if token not in SYMBOL_TO_ID]
    if unknown:
        raise InputError(f"unknown symbol {unknown[0]!r}; expected one of the {len(SYMBOLS)} Grad-TTS symbols")
    ids = tuple(SYMBOL_TO_ID[token] for token in tokens)
    return (BLANK_ID, *(id_ for own in ids for id_ in (own, BLANK_ID))) if add_blank else ids


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
    text = re.sub(f"({_NAMED})(?:st|nd|rd|th)", lambda match: ordinal_words(match[1], andword="and"), text)
    return re.sub(_NAMED, _integer, text)


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
        return number_words(str(value))
    if value == 2000:
        return "two thousand"
    if 2000 < value < 2010:
        return f"two thousand {number_words(str(value % 100))}"
    if value % 100 == 0:
        return f"{number_words(str(value // 100))} hundred"
    century, rest = divmod(value, 100)
    return f"{number_words(str(century))} {'oh ' if rest < 10 else ''}{number_words(str(rest))}"


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
