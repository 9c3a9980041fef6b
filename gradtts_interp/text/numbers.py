"""Numbers as English words, without hyphens or commas, so that every word is in the dictionary."""

from __future__ import annotations

import re
from functools import lru_cache

import inflect

_engine = inflect.engine()
LONGEST_READ_AS_NUMBER = 15
"""Integers of more digits are read digit by digit."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FRACTIONS = {"2": "half", "3": "third", "4": "quarter", "5": "fifth", "6": "sixth", "7": "seventh", "8": "eighth",
              "10": "tenth", "16": "sixteenth"}  # fmt: skip
_FIRST_YEAR, _LAST_YEAR = 1100, 2099


@lru_cache(maxsize=4096)
def cardinal(digits: str) -> str:
    """Read an integer: ``"1234"`` -> ``"one thousand two hundred thirty four"``.

    Args:
        digits: Digits 0-9 only. More than 15, or a leading zero (``"007"``), is read digit by digit.

    Returns:
        Words in lower case.
    """
    if len(digits) > LONGEST_READ_AS_NUMBER or (len(digits) > 1 and digits[0] == "0"):
        return spell_digits(digits)
    return _plain(_engine.number_to_words(str(int(digits)), andword=""))


def spell_digits(digits: str) -> str:
    """Read digits one by one: ``"007"`` -> ``"zero zero seven"``."""
    return " ".join(DIGITS[int(digit)] for digit in digits)


@lru_cache(maxsize=4096)
def ordinal(digits: str) -> str:
    """Read an ordinal: ``"21"`` -> ``"twenty first"``; beyond 15 digits the digits and then ``th``."""
    if len(digits) > LONGEST_READ_AS_NUMBER:
        return spell_digits(digits) + " th"
    return _plain(_engine.number_to_words(_engine.ordinal(str(int(digits))), andword=""))


def year(digits: str) -> str:
    """Read a four-digit year: 1987 "nineteen eighty seven", 1905 "nineteen oh five", 2005 "two thousand five".

    Args:
        digits: Digits 0-9 only.

    Returns:
        Words in lower case; what is no year between 1100 and 2099 is read as a cardinal.
    """
    value = int(digits) if len(digits) == 4 else 0
    if not _FIRST_YEAR <= value <= _LAST_YEAR or 2000 <= value <= 2009:
        return cardinal(digits)
    century, rest = divmod(value, 100)
    if rest == 0:
        return f"{cardinal(str(century))} hundred"
    return f"{cardinal(str(century))} {'oh ' if rest < 10 else ''}{cardinal(str(rest))}"


def decimal(text: str) -> str:
    """Read a decimal: ``"3.14"`` -> ``"three point one four"``; ``"1.2.3"`` reads each further part as a number."""
    whole, *parts = text.split(".")
    words = cardinal(whole) if whole else "zero"
    if len(parts) == 1:
        return f"{words} point {spell_digits(parts[0])}"
    return " point ".join([words, *(cardinal(part) for part in parts)])


def number(text: str) -> str:
    """Read an integer or decimal as a quantity; thousands separators are allowed."""
    plain = text.replace(",", "")
    return decimal(plain) if "." in plain else cardinal(plain)


def plural(word: str) -> str:
    """Return the plural of a number word or unit: ``"eighty"`` -> ``"eighties"``."""
    return f"{word[:-1]}ies" if re.search("[^aeiou]y$", word) else f"{word}s" if not word.endswith("x") else f"{word}es"


def fraction(numerator: str, denominator: str) -> str:
    """Read a fraction: 1/2 "one half", 3/4 "three quarters", 2/3 "two thirds"; 24/7 and 9/11 as two numbers."""
    if denominator not in _FRACTIONS or len(numerator) > 1:
        return f"{cardinal(numerator)} {cardinal(denominator)}"
    name = _FRACTIONS[denominator]
    several = "halves" if name == "half" else f"{name}s"
    return f"{cardinal(numerator)} {name if numerator == '1' else several}"


def _plain(words: str | list[str]) -> str:
    return re.sub(r"[\s,-]+", " ", str(words)).strip()
