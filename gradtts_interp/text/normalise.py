"""Written English to words and punctuation, for the default mode of the frontend.

``RULES`` is the whole behaviour: an ordered table of (pattern, replacement). Letters that are to be named one by one
come out joined by hyphens (``F-B-I``); everything else that is spoken comes out as words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from anyascii import anyascii

from gradtts_interp.text import numbers

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
_MONTH = "|".join(MONTHS)
_NUMBER = r"[0-9][0-9,]*(?:\.[0-9]+)?"
_SCALE = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "t": "trillion"}
_CURRENCY = {"$": ("dollar", "cent"), "£": ("pound", "pence"), "€": ("euro", "cent"), "¥": ("yen", "")}
_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "Gen": "General",
    "Sen": "Senator", "Rep": "Representative", "Gov": "Governor", "Capt": "Captain", "Lt": "Lieutenant",
    "Col": "Colonel", "Sgt": "Sergeant", "Rev": "Reverend", "Hon": "Honorable", "Maj": "Major", "Mt": "Mount",
    "Ft": "Fort", "Drs": "Doctors",
}  # fmt: skip
_SHORT = {
    "Jr": "Junior", "Sr": "Senior", "vs": "versus", "etc": "et cetera", "approx": "approximately", "dept": "department",
    "est": "established", "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation", "Co": "Company",
    "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Esq": "Esquire", "Jan": "January", "Feb": "February",
    "Aug": "August", "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip
_SHORT_OF_LOWER = {short.lower(): full for short, full in _SHORT.items()}
_NUMBERED = {"No": "number", "no": "number", "Nos": "numbers", "Fig": "figure", "fig": "figure", "Vol": "volume",
             "vol": "volume", "p": "page", "pp": "pages", "Ch": "chapter", "ch": "chapter"}  # fmt: skip
_UNITS = {
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "m": "meter", "kg": "kilogram", "mg": "milligram",
    "g": "gram", "lb": "pound", "lbs": "pound", "oz": "ounce", "ft": "foot", "mi": "mile", "ml": "milliliter",
    "l": "liter", "ms": "millisecond", "s": "second", "min": "minute", "h": "hour", "hr": "hour", "hrs": "hour",
    "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "dB": "decibel", "KB": "kilobyte",
    "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte", "W": "watt", "kW": "kilowatt",
    "V": "volt", "mph": "mile per hour", "km/h": "kilometer per hour", "°C": "degree Celsius",
    "°F": "degree Fahrenheit", "°": "degree",
}  # fmt: skip
_SYMBOLS = {
    "%": "percent", "&": "and", "@": "at", "+": "plus", "=": "equals", "#": "number", "°": "degrees", "×": "times",
    "÷": "divided by", "<": "less than", ">": "greater than", "$": "dollars", "£": "pounds", "€": "euros", "¥": "yen",
    "¢": "cents", "©": "copyright", "®": "", "™": "",
}  # fmt: skip
_VULGAR = {"¼": " 1/4", "½": " 1/2", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "…": "... ", "—": " - ", "–": "-",
           "―": " - "}  # fmt: skip
_KEPT = frozenset(_SYMBOLS)
_SPEAKABLE = re.compile(r"[A-Za-z0-9]")


def to_plain(text: str) -> tuple[str, tuple[str, ...]]:
    """Bring text into ASCII plus the signs that the rules know.

    Args:
        text: Any Unicode text.

    Returns:
        The text, and a warning for each other script that was transliterated and each character that has no sound.
    """
    warnings: dict[str, None] = {}
    characters: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        plain, warning = _plain_character(char)
        characters.append(plain)
        if warning:
            warnings[warning] = None
    return "".join(characters), tuple(warnings)


def _plain_character(char: str) -> tuple[str, str]:
    if char in _VULGAR:
        return _VULGAR[char], ""
    if char in _KEPT or (char.isascii() and char.isprintable()):
        return char, ""
    if char.isspace():
        return " ", ""
    plain, category = anyascii(char), unicodedata.category(char)
    named = f"{char!r} (U+{ord(char):04X})"
    if category in ("Mn", "Cf"):
        return "", "" if category == "Cf" else f"{named} has no sound of its own and is left out"
    if category[0] in "CS" or not plain.strip() or (category[0] != "P" and not _SPEAKABLE.search(plain)):
        return " ", f"{named} has no spoken form and is left out"
    foreign = category[0] == "L" and not unicodedata.name(char, "").startswith(("LATIN", "FULLWIDTH LATIN"))
    return plain, f"{named} is transliterated to {plain!r}" if foreign else ""


def normalise(text: str) -> tuple[str, tuple[str, ...]]:
    """Expand everything that is not a word: numbers, dates, times, money, units, abbreviations, signs.

    Args:
        text: Text of one line, without inline phones.

    Returns:
        Words of a-z and apostrophes, hyphens and the punctuation ``, ; : . ! ? ( ) [ ] "``; then warnings about
        characters that have no spoken form.
    """
    text, warnings = to_plain(text)
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    left_out = sorted(set(re.sub(r"""[A-Za-z',;:.!?()\[\]" -]""", "", text)))
    warnings += tuple(f"{char!r} (U+{ord(char):04X}) has no spoken form and is left out" for char in left_out)
    text = re.sub(r"""[^A-Za-z',;:.!?()\[\]"-]+""", " ", text)
    return re.sub(r" ([,;:.!?])", r"\1", text).strip(), warnings


def _spelled(match: re.Match[str]) -> str:
    return "-".join(letter for letter in match[0] if letter.isalpha())


def _dotted(match: re.Match[str]) -> str:
    rest = match.string[match.end() :]
    stop = "." if not rest.strip() or re.match(r"\s+[A-Z]", rest) and match[0].lower() in ("a.m.", "p.m.") else ""
    return _spelled(match).upper() + stop


def _street_or_saint(match: re.Match[str]) -> str:
    before, after = match.string[: match.start()], match.string[match.end() :]
    if re.search(r"[A-Za-z0-9]\s*$", before) and not re.match(r"\s+[A-Z]", after):
        return "Street" + ("." if not after.strip() else "")
    return "Saint" if re.match(r"\s+[A-Z]", after) else "Street"


def _shortened(match: re.Match[str]) -> str:
    ends = not match.string[match.end() :].strip()
    return _SHORT_OF_LOWER[match[1].lower()] + ("." if ends else "")


def _date(month: str, day: str, year: str, written: str) -> str:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return written
    return f"{MONTHS[int(month) - 1]} {numbers.ordinal(str(int(day)))}, {numbers.year(year)}"


def _slashed_date(match: re.Match[str]) -> str:
    month, day = (match[1], match[2]) if int(match[1]) <= 12 else (match[2], match[1])
    return _date(month, day, match[3], match[0])


def _month_day(match: re.Match[str]) -> str:
    month = next(month for month in MONTHS if month.startswith(match[1][:3]))
    year = f", {numbers.year(match[3])}" if match[3] else ""
    return f"{month} {numbers.ordinal(str(int(match[2])))}{year}"


def _time(match: re.Match[str]) -> str:
    hours, minutes, seconds, half = int(match[1]), match[2], match[3], match[4] or match[5]
    if hours > 24 or int(minutes) > 59:
        return match[0]
    words = [numbers.cardinal(str(hours))]
    if int(minutes):
        words.append(numbers.cardinal(minutes) if minutes[0] != "0" else f"oh {numbers.cardinal(minutes[1])}")
    elif not half:
        words.append("o'clock" if hours <= 12 else "hundred")
    if seconds:
        words.append(f"and {numbers.cardinal(str(int(seconds)))} second{'' if int(seconds) == 1 else 's'}")
    return " ".join([*words, *([half.upper() + "-M"] if half else [])])


def _money(match: re.Match[str]) -> str:
    unit, small = _CURRENCY[match[1]]
    amount, scale = match[2].replace(",", ""), match[3]
    several = unit if unit == "yen" else f"{unit}s"
    if scale:
        return f"{numbers.number(amount)} {_SCALE.get(scale.lower(), scale.lower())} {several}"
    whole, _, part = amount.partition(".")
    if len(part) > 2 or (part and not small):
        return f"{numbers.number(amount)} {several}"
    cents = int((part + "0")[:2]) if part else 0
    large = f"{numbers.cardinal(whole)} {unit if int(whole) == 1 else several}"
    little = f"{numbers.cardinal(str(cents))} {small if cents == 1 or small == 'pence' else small + 's'}"
    if not cents:
        return large
    return little if int(whole) == 0 else f"{large} and {little}"


def _quantity(match: re.Match[str]) -> str:
    name = _UNITS[match[2]]
    first, _, rest = name.partition(" ")
    if match[1] != "1" and first not in ("hertz", "kilohertz", "megahertz", "gigahertz"):
        name = f"{'feet' if first == 'foot' else numbers.plural(first)} {rest}".strip()
    return f"{numbers.number(match[1])} {name}"


def _decade(match: re.Match[str]) -> str:
    words = numbers.year(match[1]) if len(match[1]) == 4 else numbers.cardinal(match[1])
    return numbers.plural(words)


def _integer(match: re.Match[str]) -> str:
    return numbers.year(match[0]) if len(match[0]) == 4 else numbers.cardinal(match[0])


def _alternatives(words: object) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))  # type: ignore[call-overload]


def _rule(pattern: str, replacement: str | Callable[[re.Match[str]], str], flags: int = 0) -> Rule:
    return re.compile(pattern, flags), replacement


RULES: tuple[Rule, ...] = (
    # names and short forms
    _rule(r"[\u2018\u2019`]", "'"),
    _rule(rf"\b({_alternatives(_TITLES)})\.(?=\s|$)", lambda m: _TITLES[m[1]]),
    _rule(r"\bSt\.(?=\W|$)", _street_or_saint),
    _rule(rf"\b({_alternatives(_NUMBERED)})\.\s?(?=[0-9])", lambda m: _NUMBERED[m[1]] + " "),
    _rule(r"\be\.g\.", "for example"),
    _rule(r"\bi\.e\.", "that is"),
    # dates, times, telephone numbers
    _rule(r"\b([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?![0-9])(?:\s*(?:([ap])m\b|([ap])\.m\.(?=\W|$)))?", _time, re.I),
    _rule(r"\b([0-9]{1,2})\s?(?:([ap])m\b|([ap])\.m\.(?=\W|$))",
          lambda m: f"{numbers.cardinal(m[1])} {(m[2] or m[3]).upper()}-M", re.I),
    _rule(r"\b([0-9]{4})-([0-9]{2})-([0-9]{2})\b", lambda m: _date(m[2], m[3], m[1], m[0])),
    _rule(r"\b([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})\b", _slashed_date),
    _rule(rf"\b({_MONTH}|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?\s([0-3]?[0-9])(?:st|nd|rd|th)?\b(?![.:,]?[0-9])"
          r"(?:,?\s([12][0-9]{3})\b)?", _month_day),
    _rule(r"\b([0-9]{3})-([0-9]{4})\b", lambda m: f"{numbers.spell_digits(m[1])}, {numbers.spell_digits(m[2])}"),
    _rule(r"""\b([0-9])'([0-9]{1,2})(?:"|'')""",
          lambda m: f"{numbers.cardinal(m[1])} foot {numbers.cardinal(str(int(m[2])))}"),
    # initials and other short forms
    _rule(r"\bPh\.\s?D\b(?:\.(?!\s*$))?", "P-H-D"),
    _rule(r"\b(?:[A-Za-z]\.){2,}(?=\W|$)", _dotted),
    _rule(r"\b(?:[A-Z]\.)(?=\s(?:[A-Z]\.|[A-Z][a-z]))", lambda m: m[0][0]),
    _rule(rf"\b({_alternatives(_SHORT)})\.(?=\W|$)", _shortened, re.I),
    # money, quantities, numbers
    _rule(r"(?<=[0-9])\s?-\s?(?=[$£€¥][0-9])", " to "),
    _rule(r"(?<=[A-Za-z])-(?=[0-9])", " "),
    _rule(r"(?<=[0-9])-(?=[A-Za-z])", " "),
    _rule(rf"([$£€¥])\s?({_NUMBER})(?:\s?(thousand|million|billion|trillion|[kmbt]n?)\b)?", _money, re.I),
    _rule(rf"\b({_NUMBER})\s?¢", lambda m: f"{numbers.number(m[1])} cent{'' if m[1] == '1' else 's'}"),
    _rule(rf"(?<![\w.])-(?={_NUMBER})", "minus "),
    _rule(r"'?\b([0-9]0|[12][0-9]{2}0)'?s\b", _decade),
    _rule(rf"\b({_NUMBER})\s?({_alternatives(_UNITS)})(?![\w'])", _quantity),
    _rule(r"\b([0-9]+)(?:st|nd|rd|th)\b", lambda m: numbers.ordinal(m[1]), re.I),
    _rule(r"\b([0-9]{1,2})/([0-9]{1,2})\b", lambda m: numbers.fraction(m[1], m[2])),
    _rule(r"(?<=[0-9])\s?[-\u2013]\s?(?=[0-9])", " to "),
    _rule(r"\b[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?", lambda m: f" {numbers.number(m[0])} "),
    _rule(r"(?<![0-9])[0-9]*(?:\.[0-9]+)+", lambda m: f" {numbers.decimal(m[0])} "),
    _rule(r"(?<![0-9])[0-9]{4}(?![0-9])|[0-9]+", lambda m: f" {_integer(m)} "),
    # signs and addresses
    _rule(r"(?<=[A-Za-z])\.(?=[a-z]{2,})", " dot "),
    _rule(r"(?<=[A-Za-z])/(?=[A-Za-z])", " "),
    _rule(rf"[{re.escape(''.join(_SYMBOLS))}]", lambda m: f" {_SYMBOLS[m[0]]} "),
    _rule(r"\bU[SK]\b", lambda m: m[0] if m.string.isupper() else _spelled(m)),
    _rule(r"\s+", " "),
)  # fmt: skip
