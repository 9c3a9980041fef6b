"""Quantities of time, of money and of all that has a unit, with signs, ranges and fractions.

Dates stand in the orders that people write them; years, decades and times of day may be ranges, and units may have
units below them.
"""

from __future__ import annotations

import re
from typing import Any

from gradtts_interp.text import numbers
from gradtts_interp.text.abbreviations import CALENDAR, MEASURED, Rule, ends_sentence
from gradtts_interp.text.characters import CURRENCIES, TABLES, alternatives, initialism

NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_MIXED = rf"(?:[0-9]+(?: |-)[0-9]+/[0-9]+(?![0-9/])|[0-9]+/[0-9]+|{NUMBER})"
_SIGN = r"(?:(?<![\w)])[-−+±]\s?)?"
_SIGNS_BEFORE = {"-": "minus ", "−": "minus ", "+": "plus ", "±": "plus or minus "}
SCALE = {"k": "thousand", "m": "million", "mm": "million", "mn": "million", "mil": "million", "b": "billion",
          "bn": "billion", "t": "trillion", "tn": "trillion"}  # fmt: skip
_SCALES = "hundred|thousand|million|billion|trillion|lakh|crore|dozen"

# -- units ------------------------------------------------------------------------------------------------------------

_PREFIXES: dict[str, str] = TABLES["unit prefixes"]
_SCALED: dict[str, tuple[str, str]] = TABLES["units with prefixes"]
_SAME_IN_PLURAL = ("hertz", "horsepower", "lux", "percent", "mille", initialism("cc"), "kelvin")
UNITS = {
    **{prefix + symbol: _PREFIXES[prefix] + name for symbol, (name, some) in _SCALED.items() for prefix in some},
    **{symbol: name for symbol, (name, _) in _SCALED.items()},
    **TABLES["other units"],
}
"""Symbol -> name in the singular."""
_ONLY_BELOW: dict[str, str] = TABLES["units below a slash"]
_AFTER_SPACE_OR_NOT = {symbol for symbol in UNITS if symbol not in ("A", "B", "b", "K", "F", "in", "C", "P", "T")}
_SHAPE = {"2": "square {}", "3": "cubic {}"}
_POWER = {"2": "{} squared", "3": "{} cubed"}
_EXPONENT = r"(?:\^?-?[23]|\^-1)?"
_BELOW = rf"(?:{alternatives({**UNITS, **_ONLY_BELOW})}){_EXPONENT}"
UNIT = rf"(?:{alternatives(_AFTER_SPACE_OR_NOT)}){_EXPONENT}(?:[×*](?:{alternatives(UNITS)}){_EXPONENT})?"
UNIT += rf"(?:\s?/\s?{_BELOW})?"
_RANGE = rf"{_SIGN}{_MIXED}(?:\s?(?:-|–|to|×|x)\s?{_SIGN}{_MIXED})?"


def amount(written: str) -> str:
    """Read a number with sign, fraction, thousands or a range: ``-1 1/2`` -> ``minus one and a half``.

    Args:
        written: What ``_RANGE`` matches.

    Returns:
        Words.
    """
    both = re.fullmatch(rf"({_SIGN}{_MIXED})\s?(-|–|to|×|x)\s?({_SIGN}{_MIXED})", written)
    if both and not re.fullmatch(r"[0-9]+-[0-9]+/[0-9]+", written):
        between = {"×": "by", "x": "by"}.get(both[2], "to")
        return f"{amount(both[1])} {between} {amount(both[3])}"
    sign = _SIGNS_BEFORE.get(written[:1], "")
    rest = written.lstrip("-−+± ")
    if "/" in rest:
        *whole, part = re.split("[ -]", rest)
        over, under = part.split("/")
        return sign + numbers.mixed(whole[0] if whole else "", over, under)
    return sign + numbers.number(rest)


def unit_name(symbol: str, *, several: bool) -> str:
    """Read a unit: ``km^2`` -> ``square kilometers``, ``m/s^2`` -> ``meters per second squared``.

    Args:
        symbol: What ``UNIT`` matches.
        several: In the plural.

    Returns:
        Words.
    """
    above, _, below = symbol.partition("/") if symbol not in UNITS else (symbol, "", "")
    *first, last = re.split("[×*]", above.strip())
    names = [*(_one_unit(part) for part in first), _one_unit(last, several=several)]
    return " ".join([*names, _per(below.strip())] if below else names)


def _per(symbol: str) -> str:
    return f"per {_one_unit(symbol, below=True)}"


def _one_unit(symbol: str, *, several: bool = False, below: bool = False) -> str:
    names = {**UNITS, **_ONLY_BELOW} if below else UNITS
    found = re.fullmatch(r"(.+?)(?:\^?(-?)([123]))?", symbol)
    assert found is not None
    base, inverse, power = (symbol, "", "") if symbol in names else found.groups("")
    name = names[base]
    if several and not inverse:
        name = plural_unit(name)
    if power in _SHAPE:
        # Areas and volumes have names of their own; of what is no length, the square is said last.
        name = (_SHAPE if re.search("meter|foot|feet|inch|mile|yard", name) else _POWER)[power].format(name)
    return f"per {name}" if inverse else name


def plural_unit(name: str) -> str:
    """Plural of a unit's name: ``mile per hour`` -> ``miles per hour``."""
    head, per, rest = re.match(r"(.*?)( per | of | Celsius$| Fahrenheit$|$)(.*)", name).groups()  # type: ignore[union-attr]
    if head.endswith(_SAME_IN_PLURAL) or name in _SAME_IN_PLURAL:
        return name
    many = re.sub("foot$", "feet", head) if head.endswith("foot") else numbers.plural(head)
    return f"{many}{per}{rest}"


def counted(number: str, unit: str) -> str:
    """A number and its unit, which is in the plural but for 1: ``("2", "foot")`` -> ``two feet``."""
    return f"{amount(number)} {unit if number == '1' else plural_unit(unit)}"


def _measure(match: re.Match[str]) -> str:
    written, scale, symbol = match["amount"], match["scale"] or "", match["unit"]
    one = written.lstrip("-−+± ") == "1" or re.fullmatch(r"-?1/[0-9]+", written)
    adjective = match["glue"] == "-" and symbol != "%"
    name = unit_name(symbol, several=bool(scale or not one) and not adjective)
    kept = "." if match["stop"] and (symbol not in MEASURED or ends_sentence(match)) else ""
    return re.sub(" +", " ", f"{amount(written)} {scale} {name}{kept}")


def _inches(match: re.Match[str]) -> str:
    # A quotation that was opened and not closed is closed here.
    quoted = re.search(r"""(?:^|[\s(\[])"(?!\s)[^"]*$""", match.string[: match.start()])
    return match[0] if quoted else counted(match[1], "inch")


def _feet(match: re.Match[str]) -> str:
    quoted = re.search(r"(?:^|[\s(])'[^\s']", match.string[: match.start()])
    return match[0] if quoted else counted(match[1], "foot")


def _bearing(match: re.Match[str]) -> str:
    units = zip(match.groups()[:3], ("degree", "minute", "second"), strict=True)
    side = {"N": " north", "S": " south", "E": " east", "W": " west"}.get(match[4], "")
    return " ".join(counted(number, unit) for number, unit in units if number) + side


MEASURES: tuple[Rule, ...] = (
    (rf"(?<=[0-9])(\s?{UNIT})(?:\s?\u2013\s?|-)(?=[-−]?{NUMBER}\s?{UNIT}(?!\w))", r"\1 to "),
    (rf"(?<=[a-z])/((?:{_BELOW})(?<=[23])|min|hr|sec|yr|wk|km|kg)(?![\w/])", lambda m: f" {_per(m[1])}"),
    (rf"""\b([0-9]+)'\s?({NUMBER})(?:"|'')""", lambda m: f"{amount(m[1])} foot {amount(m[2])}"),
    (rf"""({NUMBER})°\s?(?:([0-9]+)'\s?)?(?:({NUMBER})"\s?)?([NSEW])(?![\w.])""", _bearing),
    (rf"""({NUMBER})°\s?([0-9]+)'(?:\s?({NUMBER})")?()""", _bearing),
    (
        r"\b([0-9]+)\s?h\s?([0-9]{1,2})\s?(?:m|min)?(?!\w)",
        lambda m: f"{counted(m[1], 'hour')} {counted(m[2], 'minute')}",
    ),
    (
        rf"(?<![\w.])(?P<amount>{_RANGE})(?P<glue>\s?|-)(?P<scale>)(?P<unit>in)(?:(?P<stop>\.)(?= [a-z(×]"
        rf"|[,;)])|(?=[,;)]|\.?$| (?:tall|wide|long|high|deep|thick|by|x)\b))",
        rf"(?<![\w.])(?P<amount>{_RANGE})(?P<glue>-?)(?P<scale>)(?P<unit>in)(?P<stop>\.?)(?!\w)",
        rf"(?<![\w.])(?P<amount>{_RANGE})(?P<glue>\s?|-)(?:(?P<scale>{_SCALES})\s)?(?P<unit>{UNIT})"
        rf"(?P<stop>\.(?!\w))?(?![\w'^&])",
        rf"(?<=foot |feet )(?P<amount>{NUMBER})(?P<glue> )(?P<scale>)(?P<unit>in)(?P<stop>\.?)(?!\w)",
        _measure,
    ),
    (
        rf"(?<![\w./])({_RANGE})/({alternatives(set(_ONLY_BELOW) - {'d', 'A', 'in'})}|yr|wk|mo|hr)\b",
        lambda m: f"{amount(m[1])} {_per(m[2])}",
    ),
    (rf"""(?<![\w.'])({_MIXED})"(?!\w)""", _inches),
    (r"""(?<![\w.'])([0-9]+)'(?![\w'])""", _feet),
)

# -- money ------------------------------------------------------------------------------------------------------------

_SIGN_NAMES: dict[str, tuple[str, str]] = TABLES["currency signs"]
_COUNTRIES: dict[str, str] = TABLES["countries of currencies"]
_CODES: dict[str, tuple[str, str]] = TABLES["currency codes"]
_PLURALS: dict[str, str] = TABLES["plurals"]
_MONEY_SCALES = "hundred|thousand|million|billion|trillion|lakh|crore|mn|bn|tn|mil|[kmbt]"
_MAGNITUDE = rf"(?:(?P<glue>[\s-]?)(?P<scale>(?i:{_MONEY_SCALES}))(?!\w))?"
_PER = rf"(?:\s?/\s?(?P<per>{alternatives({**UNITS, **_ONLY_BELOW})})(?![\w/]))?"
_CODE = alternatives(_CODES)
_COUNTRY = rf"(?:(?<!\w)(?P<country>{alternatives(_COUNTRIES)}))?"
_MONEY_NUMBER = rf"(?:[0-9]{{1,3}}(?:\.[0-9]{{3}})+,[0-9]{{2}}(?![0-9])|[0-9]+,[0-9]{{2}}(?!,?[0-9])|{NUMBER})"


def _several(name: str) -> str:
    return _PLURALS.get(name) or numbers.plural(name)


def _price(number: str, names: tuple[str, str], scale: str = "") -> str:
    """``3.50`` -> ``three dollars and fifty cents``; with a scale, ``3.5`` -> ``three point five million dollars``."""
    unit, small = names
    if re.fullmatch(r"[0-9.]+,[0-9]{2}", number):  # 1.234,56 as on the continent
        number = number.replace(".", "").replace(",", ".")
    if scale:
        return f"{numbers.number(number)} {SCALE.get(scale.lower(), scale.lower())} {_several(unit)}"
    whole, _, part = number.replace(",", "").partition(".")
    part = part if len(part) <= 2 else part[:2] + part[2:].rstrip("0")
    if len(part) > 2 or (part and not small and int(part)):
        return f"{numbers.number(f'{whole}.{part}')} {_several(unit)}"
    cents, units = int(part.ljust(2, "0")), int(whole or "0")
    large = f"{numbers.number(whole or '0')} {unit if units == 1 else _several(unit)}"
    little = f"{numbers.cardinal(str(cents))} {small if cents == 1 else _several(small) if small else ''}"
    if not cents:
        return large
    return f"{large} and {little}" if units else little


def _money(match: re.Match[str]) -> str:
    groups = match.groupdict()
    unit, small = _SIGN_NAMES.get(groups.get("sign") or "") or _CODES[groups["code"]]
    country = _COUNTRIES.get(groups.get("country") or "")
    names = (f"{country} {unit}" if country else unit, small)
    signs = (groups.get("minus") or "") + (groups.get("minus2") or "")
    minus = "".join(_SIGNS_BEFORE[sign] for sign in signs)
    first, last, scale = groups["first"], groups.get("last"), groups.get("scale") or ""
    words = _price(last or first, names, scale)
    if last and groups.get("again") and not (scale and not groups.get("own")):
        words = f"{_price(first, names, groups.get('own') or '')} to {words}"
    elif last:
        words = f"{numbers.number(first)} to {words}"
    if groups.get("glue") == "-":  # a $10-million deal
        words = words.removesuffix(_several(names[0])) + names[0]
    per = f" {_per(groups['per'])}" if groups.get("per") else ""
    return minus + words + per


_SIGNS = re.escape(CURRENCIES)
_OWN = rf"(?:[\s-]?(?P<own>(?i:{_MONEY_SCALES}))(?!\w))?"
_UP_TO = rf"(?:\s?[-–]\s?(?P<last>{_MONEY_NUMBER}))?{_MAGNITUDE}"
MONEY: tuple[Rule, ...] = (
    (rf"~\s?(?=[{_SIGNS}]?[0-9])", "about "),
    (
        rf"(?P<minus>(?<![\w)])[-−+])?{_COUNTRY}(?P<sign>[{_SIGNS}])\s?(?P<minus2>[-−])?(?P<first>{_MONEY_NUMBER})"
        rf"(?:{_OWN}\s?(?:-|–)\s?(?P<again>[{_SIGNS}])?(?P<last>{_MONEY_NUMBER}))?(?![0-9]){_MAGNITUDE}{_PER}",
        rf"(?P<minus>(?<![\w)])[-−+])?(?<![\w.,])(?P<first>{_MONEY_NUMBER})"
        rf"{_UP_TO}\s?(?:(?P<sign>[{_SIGNS}])(?![0-9])|(?P<code>{_CODE})\b){_PER}",
        rf"\b(?P<code>{_CODE})\s?(?P<minus>[-−])?(?P<first>{_MONEY_NUMBER}){_UP_TO}{_PER}",
        _money,
    ),
    (rf"(?<![\w.])({NUMBER})\s?¢", lambda m: counted(m[1], "cent")),
    (r"(?<![\w.])([0-9]{1,2})p(?!\w|\.\w)", lambda m: f"{numbers.number(m[1])} pence"),
)
"""Rules for money; they come before those for measures."""

# -- dates and times --------------------------------------------------------------------------------------------------

MONTHS = "January February March April May June July August September October November December".split()
_MONTH = rf"(?P<month>(?:{'|'.join(MONTHS)})|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
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
    return numbers.two_digits(year) if len(year) == 2 else numbers.year(year)


def _year_after(groups: dict[str, Any]) -> str:
    return f"{groups.get('comma') or ''} {numbers.year(groups['year'])}" if groups.get("year") else ""


def _month_first(match: re.Match[str]) -> str:
    groups = match.groupdict()
    year = _year_after(groups)
    if groups["month"] in ("may", "march") and not (groups["nth"] or year):
        if re.match(r"\s[a-z]", match.string[match.end() :]):
            return match[0]  # "may 5 people come"
    last = f" to {_ordinal(groups['last'])}" if groups.get("last") else ""
    return f"{_month(groups['month'])} {_ordinal(groups['day'])}{last}{year}"


def _day_first(match: re.Match[str]) -> str:
    groups = match.groupdict()
    year = _year_after(groups)
    if groups["month"] in ("may", "march", "mar") and not (groups["nth"] or year):
        return match[0]
    the = "" if re.search(r"\bthe\s$", match.string[: match.start()], re.I) else "the "
    first = f"{_ordinal(groups['first'])} to the " if groups.get("first") else ""
    return f"{the}{first}{_ordinal(groups['day'])} of {_month(groups['month'])}{year}"


def _in_figures(match: re.Match[str]) -> str:
    """Year first: year, month, day. Else the month first, as Americans do, unless it must or is seen to be the day."""
    first, second, third = match["a"], match["b"], match["c"]
    day_first = len(first) < 4 and (match["by"] == "." or int(first) > 12)
    month, day = (second, first) if day_first else (first, second)
    year, month, day = (first, second, third) if len(first) == 4 else (third, month, day)
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return match[0]
    name, nth = MONTHS[int(month) - 1], _ordinal(day)
    said = f"the {nth} of {name}" if day_first else f"{name} {nth}"
    return f"{said}, {_short_year(year)}" + (" " if match.groupdict().get("clock") else "")


def _decade(digits: str) -> str:
    return numbers.plural(numbers.year(digits))


def _early_year(year: str) -> str:
    return numbers.pairs(year) if len(year) == 3 else numbers.year(year)


def _era(match: re.Match[str]) -> str:
    stop = "." if match["stop"] and ends_sentence(match) else ""
    return f"{_early_year(match['year'])} {initialism(match['era'])}{stop}"


def _time(match: re.Match[str]) -> str:
    groups = match.groupdict()
    minute, second, half, zone = (groups.get(name) or "" for name in ("minute", "second", "half", "zone"))
    hour = str(int(groups["hour"]))
    words = [numbers.cardinal(hour)]
    if second and not half:
        words = [counted(hour, "hour"), counted(str(int(minute)), "minute"), "and", counted(str(int(second)), "second")]
    elif int(minute or 0):
        words.append(numbers.two_digits(minute))
    elif minute and not half and not zone:
        words.append("o'clock")
    if second and half:
        words.append(f"and {numbers.cardinal(str(int(second)))} seconds")
    words += [initialism(letters) for letters in (half, zone) if letters]
    stop = groups.get("zone_stop") if zone else groups.get("stop")
    return " ".join(words) + ("." if stop and ends_sentence(match) else "")


DATES: tuple[Rule, ...] = (
    # ranges first, so that their dash is not taken for a pause or a sign
    (rf"(?i)\b(noon|midnight){_TO}(?=[0-9])", r"\1 to "),
    (rf"(?<=[0-9apmM.]){_TO}(?=(?i:noon|midnight)\b|(?:[01]?[0-9]|2[0-4]):[0-5][0-9])", " to "),
    (rf"(?i)(?:(?<=[ap]m)|(?<=[ap]\.m\.)){_TO}(?=[0-9]{{1,2}}(?:\s?[ap]\.?m|:))", " to "),
    (rf"(?i)\b([0-9]{{1,2}}){_TO}(?=[0-9]{{1,2}}(?::[0-9]{{2}})?\s?[ap]\.?m\b)", r"\1 to "),
    (
        rf"\b({alternatives(CALENDAR)})\.?{_TO}({alternatives(CALENDAR)})\b(?!\.?[-\u2013])",
        lambda m: f"{CALENDAR[m[1]]} to {CALENDAR[m[2]]}",
    ),
    (
        r"\b(?P<a>[0-9]{4})(?P<by>[-/.])(?P<b>[0-9]{1,2})(?P=by)(?P<c>[0-9]{1,2})(?:(?P<clock>T)"
        r"(?=[0-9]{2}:)|(?![0-9]))",
        r"(?<![\w./-])(?P<a>[0-9]{1,2})(?P<by>[-/])(?P<b>[0-9]{1,2})(?P=by)(?P<c>[0-9]{4}|[0-9]{2})(?![\w/-])",
        r"(?<![\w./-])(?P<a>[0-9]{1,2})(?P<by>\.)(?P<b>[0-9]{1,2})\.(?P<c>[12][0-9]{3})(?![\w/-])",
        _in_figures,
    ),
    (
        rf"(?i)\b(?P<first>[0-9]{{1,2}})(?:st|nd|rd|th)?{_TO}{_DAY}{_NTH}\s(?:of\s)?{_MONTH}(?:"
        rf"(?P<comma>,?)\s{_YEAR})?(?!\w)",
        rf"(?i)(?<![\w.,:/-]){_DAY}{_NTH}(?:\s|-|\sof\s){_MONTH}(?:(?P<comma>,?)(?:\s|-){_YEAR})?(?![\w])",
        _day_first,
    ),
    (
        rf"(?i)\b{_MONTH}(?:\s|-){_DAY}{_NTH}{_TO}(?P<last>[0-9]{{1,2}})(?:st|nd|rd|th)?(?:"
        rf"(?P<comma>,)?\s{_YEAR})?(?![\w:-])",
        rf"(?i)\b{_MONTH}(?:\s|-){_DAY}{_NTH}(?P<comma>,)?(?:\s|-){_YEAR}(?![\w:-])",
        rf"(?i)\b{_MONTH}\s{_DAY}{_NTH}(?![\w/:%°-]|[.,][0-9]|\s?[ap]\.?m\b)",
        _month_first,
    ),
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
"""Rules for dates and times; in this order, before those for money."""
