"""Any Unicode text to ASCII and the few signs that have a name, before anything is read.

What is lost or changed on the way is named in a warning, except what sounds the same: accents, quotes, dashes.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anyascii import anyascii

TABLES: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "readings.json").read_text(encoding="utf-8"))
"""How abbreviations, units, money, signs and the like are read, by what they are."""
JOINER = "\u2060"
"""Stands between letters that are named one by one, so that AM the initialism is not taken for a shouted "am"."""
CURRENCIES = "$£€¥₹₩₽₺₪₫฿₱₦₴₿"
"""Signs of money that the normaliser reads; ¢ is a unit after a number."""
SIGNS: dict[str, str] = TABLES["signs"]
"""Names of signs that stand alone; several read otherwise beside numbers."""
_SAME: dict[str, str] = TABLES["same characters"]
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-", strict=True))
_SPEAKABLE = re.compile(r"[A-Za-z0-9]")
_GREEK = re.compile(r"(?<![\u0370-\u03ff])[\u0391-\u03a9\u03b1-\u03c9](?![\u0370-\u03ff])")


def to_plain(text: str) -> tuple[str, tuple[str, ...]]:
    """Bring text into ASCII plus :data:`SIGNS`, single Greek letters and the en dash.

    Superscripts become ``^2``, vulgar fractions `` 7/8``.

    Args:
        text: Any Unicode text.

    Returns:
        The text, and a warning for each other script that was transliterated and each character that has no sound.
    """
    text = unicodedata.normalize("NFC", text)
    text = re.sub(f"[{''.join(_SUPERSCRIPTS)}]+", _superscript, text)
    text = re.sub(r"(?<=\w)[·⋅∙](?=\w)", "×", text)
    for written, sign in (("<=", "≤"), (">=", "≥"), ("!=", "≠"), (" -> ", " → "), ("+/-", "±"), ("+-", "±")):
        text = text.replace(written, sign)
    text = re.sub("(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))", ",", text)
    text = re.sub("(?<=[0-9])--(?=[0-9])", "\u2013", text)
    text = re.sub("(?<=[0-9]) ?Å(?![a-z])", " angstroms", text)
    single_greek = {match.start() for match in _GREEK.finditer(text)}
    found = [(char, "") if i in single_greek else _plain_character(char) for i, char in enumerate(text)]
    warnings = dict.fromkeys(warning for _, warning in found if warning)
    return re.sub(" +", " ", "".join(plain for plain, _ in found)), tuple(warnings)


def alternatives(words: Iterable[str]) -> str:
    """Words as a pattern, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def greek_name(letter: str) -> str:
    """Name of a Greek letter: ``α`` -> ``alpha``."""
    return unicodedata.name(letter).split()[-1].lower().replace("lamda", "lambda")


def named(char: str) -> str:
    """A character as warnings show it, with its code point."""
    return f"{char!r} (U+{ord(char):04X})"


def initialism(letters: str) -> str:
    """Mark letters as named one by one: ``p.m.`` -> P, :data:`JOINER`, M."""
    return JOINER.join(letter.upper() for letter in letters if letter.isalpha())


def _superscript(match: re.Match[str]) -> str:
    digits = "".join(_SUPERSCRIPTS[char] for char in match[0])
    before = match.string[match.start() - 1] if match.start() else " "
    # After a figure or a letter it is a power; after a stop or a quotation mark, the number of a note.
    return f"^{digits}" if before.isalnum() or before in ")]" else f" {digits}"


def _plain_character(char: str) -> tuple[str, str]:
    if char in _SAME:
        return _SAME[char], ""
    if char in SIGNS or (char.isascii() and char.isprintable()):
        return char, ""
    if char.isspace():
        return " ", ""
    category = unicodedata.category(char)
    folded = unicodedata.normalize("NFKC", char)
    if folded != char and char not in "™℠" and not folded.isspace():
        fraction = "\u2044" in folded
        pieces = [_plain_character(part) for part in folded]
        plain = "".join(piece for piece, _ in pieces)
        return (f" {plain} " if fraction else plain), next((warning for _, warning in pieces if warning), "")
    if category in ("Mn", "Cf"):
        return "", "" if category == "Cf" else f"{named(char)} has no sound of its own and is left out"
    plain = anyascii(char)
    if category[0] in "CS" or not plain.strip() or (category[0] != "P" and not _SPEAKABLE.search(plain)):
        return " ", f"{named(char)} has no spoken form and is left out"
    foreign = category[0] == "L" and not unicodedata.name(char, "").startswith(("LATIN", "FULLWIDTH LATIN"))
    return plain, f"{named(char)} is transliterated to {plain!r}" if foreign else ""
