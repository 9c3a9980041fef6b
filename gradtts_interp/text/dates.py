"""Dates in the orders that people write them, years, decades, and times of day, with their ranges."""

from __future__ import annotations

import re

from gradtts_interp.text import numbers
from gradtts_interp.text.abbreviations import CALENDAR, Rule, ends_sentence
from gradtts_interp.text.characters import alternatives, initialism
from gradtts_interp.text.quantities import UNIT, counted

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
_MONTH = r"(?P<month>(?:" + "|".join(MONTHS) + r")|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
_DAY = r"(?P<day>0?[1-9]|[12][0-9]|3[01])"
_NTH = r"(?P<nth>\s?(?:st|nd|rd|th))?"
_YEAR = r"(?P<year>1[0-9]{3}|20[0-9]{2})(?![0-9])(?!,[0-9]{3})"
_AGO = r"(?P<year>[0-9]{1,4})\s?(?P<era>BCE|BC|CE|AD|B\.\s?C\.\s?E|B\.\s?C|A\.\s?D|C\.\s?E)(?P<stop>\.)?(?!\w)"

_ZONES = ("EST|EDT|CST|CDT|MST|MDT|PST|PDT|GMT|UTC|CET|CEST|BST|IST|JST|AEST|ET|PT|CT|MT|"
          r"e\.s\.t|e\.d\.t|c\.s\.t|p\.s\.t|p\.d\.t|g\.m\.t|u\.t\.c|est|edt|cst|pst|pdt|gmt|utc")  # fmt: skip
_HALF = r"(?:\s?(?P<half>[ap]\.?\s?m)(?P<stop>\.(?!\w))?(?!\w))"
_ZONE = rf"(?:\s(?P<zone>{_ZONES})(?!\w)(?P<zone_stop>\.(?!\w))?)?"
_CLOCK = r"(?P<hour>[01]?[0-9]|2[0-4]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9])(?:\.[0-9]+)?)?(?![0-9:])"
_CLOCK += r"(?:\s?h(?!\w))?"
_TO = r"\s?[-\u2013]\s?"


def _month(written: str) -> str:
    return next(month for month in MONTHS if month.lower().startswith(written.lower()[:3]))


def _ordinal(day: str) -> str:
    return numbers.ordinal(str(int(day)))


def _short_year(year: str) -> str:
    if len(year) == 2:
        return f"oh {numbers.cardinal(year[1])}" if year[0] == "0" else numbers.cardinal(year)
    return numbers.year(year)


def _month_first(match: re.Match[str]) -> str:
    groups = match.groupdict()
    if groups["month"] in ("may", "march") and not (groups["nth"] or groups.get("year")):
        if re.match(r"\s[a-z]", match.string[match.end() :]):
            return match[0]  # "may 5 people come"
    last = f" to {_ordinal(groups['last'])}" if groups.get("last") else ""
    comma = groups.get("comma") or ""
    year = f"{comma} {numbers.year(groups['year'])}" if groups.get("year") else ""
    return f"{_month(groups['month'])} {_ordinal(groups['day'])}{last}{year}"


def _day_first(match: re.Match[str]) -> str:
    groups = match.groupdict()
    plain_word = groups["month"].lower() in ("may", "march", "mar") and groups["month"].islower()
    if plain_word and not (groups["nth"] or groups.get("year")):
        return match[0]
    the = "" if re.search(r"\bthe\s$", match.string[: match.start()], re.I) else "the "
    first = f"{_ordinal(groups['first'])} to the " if groups.get("first") else ""
    year = f"{groups.get('comma') or ''} {numbers.year(groups['year'])}" if groups.get("year") else ""
    return f"{the}{first}{_ordinal(groups['day'])} of {_month(groups['month'])}{year}"


def _in_figures(match: re.Match[str]) -> str:
    """Year first: year, month, day. Else the month first, as Americans do, unless it must or is seen to be the day."""
    first, separator, second, third = match["a"], match["by"], match["b"], match["c"]
    if len(first) == 4:
        year, month, day, day_first = first, second, third, False
    else:
        day_first = separator == "." or int(first) > 12
        year, month, day = third, *((second, first) if day_first else (first, second))
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return match[0]
    name, nth = MONTHS[int(month) - 1], _ordinal(day)
    said = f"the {nth} of {name}" if day_first else f"{name} {nth}"
    return f"{said}, {_short_year(year)}" + (" " if match.groupdict().get("clock") else "")


def _decade(digits: str) -> str:
    return numbers.plural(numbers.year(digits) if len(digits) == 4 else numbers.cardinal(digits))


def _early_year(year: str) -> str:
    return numbers.pairs(year) if len(year) == 3 else numbers.year(year)


def _era(match: re.Match[str]) -> str:
    stop = "." if match["stop"] and ends_sentence(match) else ""
    return f"{_early_year(match['year'])} {initialism(match['era'])}{stop}"


def _time(match: re.Match[str]) -> str:
    groups = match.groupdict()
    minutes, seconds = groups.get("minute") or "", groups.get("second")
    half, words = groups.get("half"), [numbers.cardinal(str(int(groups["hour"])))]
    if seconds and not half:
        hour, minute, second = (str(int(groups[unit])) for unit in ("hour", "minute", "second"))
        words = [counted(hour, "hour"), counted(minute, "minute"), "and", counted(second, "second")]
    elif minutes and int(minutes):
        words.append(numbers.cardinal(minutes) if minutes[0] != "0" else f"oh {numbers.cardinal(minutes[1])}")
    elif minutes and not half and not groups.get("zone"):
        words.append("o'clock")
    if seconds and half:
        words.append(f"and {numbers.cardinal(str(int(seconds)))} seconds")
    if half:
        words.append(initialism(half))
    if groups.get("zone"):
        words.append(initialism(groups["zone"]))
    stop = (groups.get("stop") and not groups.get("zone")) or groups.get("zone_stop")
    return " ".join(words) + ("." if stop and ends_sentence(match) else "")


RULES: tuple[Rule, ...] = (
    # ranges first, so that their dash is not taken for a pause or a sign
    (rf"(?i)\b(noon|midnight){_TO}(?=[0-9])", r"\1 to "),
    (rf"(?i)(?<=[0-9apmM.]){_TO}(?=(?:noon|midnight)\b)", " to "),
    (rf"(?<=[0-9apmM.]){_TO}(?=(?:[01]?[0-9]|2[0-4]):[0-5][0-9])", " to "),
    (rf"(?i)(?:(?<=[ap]m)|(?<=[ap]\.m\.)){_TO}(?=[0-9]{{1,2}}(?:\s?[ap]\.?m|:))", " to "),
    (
        rf"(?i)\b([0-9]{{1,2}}){_TO}(?=[0-9]{{1,2}}(?::[0-9]{{2}})?\s?[ap]\.?m\b)",
        lambda m: f"{numbers.cardinal(m[1])} to ",
    ),
    (
        rf"\b({alternatives(CALENDAR)})\.?{_TO}({alternatives(CALENDAR)})\b(?!\.?[-\u2013])",
        lambda m: f"{CALENDAR[m[1]]} to {CALENDAR[m[2]]}",
    ),
    (
        r"\b(?P<a>[0-9]{4})(?P<by>[-/.])(?P<b>[0-9]{1,2})(?P=by)(?P<c>[0-9]{1,2})(?:(?P<clock>T)"
        r"(?=[0-9]{2}:)|(?![0-9]))",
        _in_figures,
    ),
    (
        r"(?<![\w./-])(?P<a>[0-9]{1,2})(?P<by>[-/])(?P<b>[0-9]{1,2})(?P=by)(?P<c>[0-9]{4}|[0-9]{2})(?![\w/-])",
        _in_figures,
    ),
    (r"(?<![\w./-])(?P<a>[0-9]{1,2})(?P<by>\.)(?P<b>[0-9]{1,2})\.(?P<c>[12][0-9]{3})(?![\w/-])", _in_figures),
    (
        rf"(?i)\b(?P<first>[0-9]{{1,2}})(?:st|nd|rd|th)?{_TO}{_DAY}{_NTH}\s(?:of\s)?{_MONTH}(?:"
        rf"(?P<comma>,?)\s{_YEAR})?(?!\w)",
        _day_first,
    ),
    (rf"(?i)(?<![\w.,:/-]){_DAY}{_NTH}(?:\s|-|\sof\s){_MONTH}(?:(?P<comma>,?)(?:\s|-){_YEAR})?(?![\w])", _day_first),
    (
        rf"(?i)\b{_MONTH}(?:\s|-){_DAY}{_NTH}{_TO}(?P<last>[0-9]{{1,2}})(?:st|nd|rd|th)?(?:"
        rf"(?P<comma>,)?\s{_YEAR})?(?![\w:-])",
        _month_first,
    ),
    (rf"(?i)\b{_MONTH}(?:\s|-){_DAY}{_NTH}(?P<comma>,)?(?:\s|-){_YEAR}(?![\w:-])", _month_first),
    (rf"(?i)\b{_MONTH}\s{_DAY}{_NTH}(?![\w/:%°-]|[.,][0-9]|\s?[ap]\.?m\b)", _month_first),
    (rf"(?i)\b{_MONTH},?\s{_YEAR}(?!\w)", lambda m: f"{_month(m['month'])} {numbers.year(m['year'])}"),
    (r"(?<=\sin\s)(?P<month>Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)(?![\w.])", lambda m: _month(m[1])),
    # years
    (
        r"(?<![\w./-])((?:19|20)[0-9]{2})/(0[1-9]|1[0-2])(?![\w/-]|\.[0-9])",
        lambda m: f"{MONTHS[int(m[2]) - 1]} {numbers.year(m[1])}",
    ),
    (
        r"(?<![\w./-])(0?[1-9]|1[0-2])/((?:19|20)[0-9]{2})(?![\w/-]|\.[0-9])",
        lambda m: f"{MONTHS[int(m[1]) - 1]} {numbers.year(m[2])}",
    ),
    (r"\b([1-4])Q\s?([0-9]{4}|[0-9]{2})\b", lambda m: f"the {_ordinal(m[1])} quarter of {_short_year(m[2])}"),
    (rf"(?<![\w.,$-]){_AGO}", _era),
    (
        r"(?i)(?<=\b(?:in|of) |\b(?:by) )(10[1-9][0-9])(?!\w|,[0-9]|\.[0-9]|\s(?:[a-z]+s)\b)",
        lambda m: numbers.pairs(m[1]),
    ),
    (r"\b(?:AD|A\.D\.)\s([0-9]{1,4})(?!\w)", lambda m: f"{initialism('AD')} {_early_year(m[1])}"),
    (
        rf"(?<![\w.,])'?([12][0-9]{{2}}0|[1-9]0)(?:\s?'?s)?{_TO}'?([12][0-9]{{2}}0|[1-9]0)'?s\b",
        lambda m: f"{_decade(m[1])} to {_decade(m[2])}",
    ),
    (r"(?<![\w.,])'?([12][0-9]{2}0)\s?'?s\b", lambda m: _decade(m[1])),
    (r"(?<![0-9.,$])'?\b([1-9]0)'?s\b", lambda m: _decade(m[1])),
    (
        rf"(?<![\w.,$£€-])(1[0-9]{{3}}|20[0-9]{{2}}){_TO}(1[0-9]{{3}}|20[0-9]{{2}}|[0-9]{{2}})(?![\w-]|[.,:/][0-9])"
        rf"(?!\s?(?:{UNIT}(?!\w)|=))",
        lambda m: f"{numbers.year(m[1])} to {_short_year(m[2])}",
    ),
    (r"(?<!\w)'([0-9]{2})(?=\s|[,.;]|$)(?!\s*')", lambda m: _short_year(m[1])),
    (r"(?<!\w)'00s\b", "two thousands"),
    # times
    (rf"(?i)(?<![\w.:]){_CLOCK}{_HALF}?{_ZONE}", _time),
    (rf"(?i)(?<![\w.:,$])(?P<hour>[01]?[0-9]|2[0-4])(?:\.(?P<minute>[0-5][0-9]))?{_HALF}{_ZONE}", _time),
    (
        r"(?<![\w.:])([0-9]{1,4}):([0-9]{1,4})(?![0-9:])",
        lambda m: f"{numbers.cardinal(m[1])} to {numbers.cardinal(m[2])}",
    ),
)
"""In this order, before money, measures and numbers."""
