"""Numbers as English words, without hyphens or commas, so that every word is in the dictionary."""

from __future__ import annotations

import re
from functools import lru_cache

from gradtts_interp.errors import InputError

LONGEST_NAMED = 36
"""Digits of the longest number that has a name here."""
LONGEST_READ_AS_NUMBER = 15
"""Integers of more digits are read digit by digit, unless they are written in groups (up to 36 digits)."""
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ("", *"thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion "
           "decillion".split())  # fmt: skip
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
             "twelve": "twelfth"}  # fmt: skip
_NO_FRACTIONS = frozenset({("24", "7"), ("9", "11"), ("7", "11"), ("50", "50"), ("20", "20")})
"""Two numbers rather than a part of something."""


def number_words(digits: str, *, andword: str = "") -> str:
    """Write an integer out: ``"1234"`` -> ``"one thousand, two hundred thirty-four"``.

    Args:
        digits: Digits 0-9 only, below 10 ** 36.
        andword: What stands between the hundreds and the rest, ``"and"`` or nothing.

    Returns:
        Words with hyphens, and commas after thousands, millions and so on.

    Raises:
        InputError: The number has no name here.
    """
    plain = digits.lstrip("0") or "0"
    if len(plain) > LONGEST_NAMED:
        raise InputError(f"a number of {len(plain)} digits; expected at most {LONGEST_NAMED}")
    groups = [int(plain[max(end - 3, 0) : end]) for end in range(len(plain), 0, -3)]
    scaled = [(value, scale) for value, scale in zip(groups, _SCALES, strict=False) if value]
    named = [f"{_below_thousand(value, andword)} {scale}".strip() for value, scale in reversed(scaled)]
    if len(named) > 1 and 0 < groups[0] < 100:
        return " ".join(part for part in (", ".join(named[:-1]), andword, named[-1]) if part)
    return ", ".join(named) or "zero"


def ordinal_words(digits: str, *, andword: str = "") -> str:
    """Write an ordinal out: ``"21"`` -> ``"twenty-first"``; arguments as for :func:`number_words`."""
    words = number_words(digits, andword=andword)
    last = re.split("[ -]", words)[-1]
    return words.removesuffix(last) + (_ORDINALS.get(last) or re.sub("y$", "ie", last) + "th")


def _below_thousand(value: int, andword: str = "") -> str:
    hundreds, rest = divmod(value, 100)
    tens, ones = divmod(rest, 10)
    below = _ONES[rest] if rest < 20 else _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    if not hundreds:
        return below
    return " ".join(word for word in (_ONES[hundreds], "hundred", *((andword, below) if rest else ())) if word)


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
    return _plain(number_words(digits))


def spell_digits(digits: str) -> str:
    """Read digits one by one: ``"007"`` -> ``"zero zero seven"``."""
    return " ".join(_ONES[int(digit)] for digit in digits)


@lru_cache(maxsize=4096)
def ordinal(digits: str) -> str:
    """Read an ordinal: ``"21"`` -> ``"twenty first"``; beyond 15 digits the digits and then ``th``."""
    if len(digits) > LONGEST_READ_AS_NUMBER:
        return spell_digits(digits) + " th"
    return _plain(ordinal_words(digits))


def year(digits: str) -> str:
    """Read a four-digit year: 1987 "nineteen eighty seven", 1905 "nineteen oh five", 2005 "two thousand five".

    Args:
        digits: Digits 0-9 only.

    Returns:
        Words in lower case; what is no year between 1100 and 2099 is read as a cardinal.
    """
    spoken_in_pairs = re.fullmatch("1[1-9][0-9]{2}|20[1-9][0-9]", digits)
    return pairs(digits) if spoken_in_pairs else cardinal(digits)


def decimal(text: str) -> str:
    """Read a decimal: ``"3.14"`` -> ``"three point one four"``; ``"1.2.3"`` reads each further part as a number."""
    whole, *parts = text.split(".")
    words = cardinal(whole) if whole else ""
    if len(parts) == 1:
        return f"{words} point {spell_digits(parts[0])}".strip()
    return " point ".join([words, *(cardinal(part) for part in parts)])


def number(text: str) -> str:
    """Read an integer or decimal as a quantity; thousands separators are allowed."""
    plain = text.replace(",", "")
    if "." in plain:
        return decimal(plain)
    if "," in text and LONGEST_READ_AS_NUMBER < len(plain) <= LONGEST_NAMED and plain[0] != "0":
        return _plain(number_words(plain))
    return cardinal(plain)


def pairs(digits: str) -> str:
    """Read the number of a house or an early year: ``"123"`` -> "one twenty three", ``"708"`` -> "seven oh eight"."""
    head, tail = digits[:-2], digits[-2:]
    if len(digits) not in (3, 4) or digits[0] == "0" or not digits[1:].strip("0"):
        return cardinal(digits)
    return f"{cardinal(head)} {'hundred' if tail == '00' else two_digits(tail)}"


def two_digits(digits: str) -> str:
    """Read the end of a year or the minutes of a time: ``"05"`` -> "oh five", ``"45"`` -> "forty five"."""
    return f"oh {cardinal(digits[1])}" if digits[0] == "0" else cardinal(digits)


def plural(word: str) -> str:
    """Return the plural of a number word or unit: ``"eighty"`` -> ``"eighties"``."""
    if re.search("[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search("(?:[sxz]|[cs]h)$", word) else f"{word}s"


def fraction(over: str, under: str) -> str:
    """Read a fraction: 1/2 "one half", 3/4 "three quarters", 5/16 "five sixteenths"; 24/7 and 9/11 as two numbers."""
    if (over, under) in _NO_FRACTIONS:
        return f"{cardinal(over)} {cardinal(under)}"
    if int(under) < 2 or under[0] == "0":
        return f"{cardinal(over)} over {cardinal(under)}"
    name = {"2": "half", "4": "quarter"}.get(under) or ordinal(under)
    return f"{cardinal(over)} {name if over == '1' else 'halves' if name == 'half' else f'{name}s'}"


def mixed(whole: str, over: str, under: str) -> str:
    """Read a mixed number: ``("2", "1", "2")`` -> ``"two and a half"``; without a whole, the fraction alone."""
    part = fraction(over, under)
    if not whole:
        return part
    article = "an" if re.match("one [aeiou]", part) else "a"
    return f"{cardinal(whole)} and {part if over != '1' else re.sub('^one', article, part)}"


def _plain(words: str) -> str:
    return re.sub(r"[\s,-]+", " ", words)
