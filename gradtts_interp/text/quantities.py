"""Amounts of something: money and measures, with signs, ranges, fractions and units of units."""

from __future__ import annotations

import re

from gradtts_interp.text import numbers
from gradtts_interp.text.abbreviations import MEASURED, Rule, ends_sentence
from gradtts_interp.text.characters import CURRENCIES, TABLES, alternatives, initialism

NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_MIXED = rf"(?:[0-9]+(?: |-)[0-9]+/[0-9]+(?![0-9/])|[0-9]+/[0-9]+|{NUMBER})"
_SIGN = r"(?:(?<![\w)])[-−+±]\s?)?"
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
    sign = {"-": "minus ", "−": "minus ", "+": "plus ", "±": "plus or minus "}.get(written[:1], "")
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
    names = [_one_unit(part, several=False) for part in re.split("[×*]", above.strip())]
    if several:
        names[-1] = _one_unit(re.split("[×*]", above.strip())[-1], several=True)
    if below:
        names += ["per", _one_unit(below.strip(), several=False, below=True)]
    return " ".join(names)


def _one_unit(symbol: str, *, several: bool, below: bool = False) -> str:
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
    several = bool(scale) or not (written.lstrip("-−+± ") == "1" or re.fullmatch(r"-?1/[0-9]+", written))
    adjective = match["glue"] == "-" and symbol not in ("%",)
    stop = match["stop"]
    kept = "." if stop and (symbol not in MEASURED or ends_sentence(match)) else ""
    words = f"{amount(written)} {scale} {unit_name(symbol, several=several and not adjective)}{kept}"
    return re.sub(" +", " ", words)


def _inches(match: re.Match[str]) -> str:
    before = match.string[: match.start()]
    opened = [found.end() for found in re.finditer(r"""(?:^|[\s(\[])"(?=\S)""", match.string)]
    opened = [end for end in opened if end <= match.start()]
    if opened and '"' not in before[opened[-1] :]:
        return match[0]  # it closes a quotation
    return counted(match[1], "inch")


def _feet(match: re.Match[str]) -> str:
    quoted = re.search(r"(?:^|[\s(])'[^\s']", match.string[: match.start()])
    return match[0] if quoted else counted(match[1], "foot")


def _bearing(match: re.Match[str]) -> str:
    units = zip(match.groups()[:3], ("degree", "minute", "second"), strict=True)
    sides = {"N": ["north"], "S": ["south"], "E": ["east"], "W": ["west"]}
    return " ".join([*(counted(number, unit) for number, unit in units if number), *sides.get(match[4], [])])


MEASURES: tuple[Rule, ...] = (
    (rf"(?<=[0-9])(\s?{UNIT})(?:\s?\u2013\s?|-)(?=[-−]?{NUMBER}\s?{UNIT}(?!\w))", r"\1 to "),
    (
        rf"(?<=[a-z])/((?:{_BELOW})(?<=[23])|min|hr|sec|yr|wk|km|kg)(?![\w/])",
        lambda m: f" per {_one_unit(m[1], several=False, below=True)}",
    ),
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
        _measure,
    ),
    (rf"(?<![\w.])(?P<amount>{_RANGE})(?P<glue>-?)(?P<scale>)(?P<unit>in)(?P<stop>\.?)(?!\w)", _measure),
    (
        rf"(?<![\w.])(?P<amount>{_RANGE})(?P<glue>\s?|-)(?:(?P<scale>{_SCALES})\s)?(?P<unit>{UNIT})"
        rf"(?P<stop>\.(?!\w))?(?![\w'^&])",
        _measure,
    ),
    (rf"(?<=foot |feet )(?P<amount>{NUMBER})(?P<glue> )(?P<scale>)(?P<unit>in)(?P<stop>\.?)(?!\w)", _measure),
    (
        rf"(?<![\w./])({_RANGE})/({alternatives(set(_ONLY_BELOW) - {'d', 'A', 'in'})}|yr|wk|mo|hr)\b",
        lambda m: f"{amount(m[1])} per {_one_unit(m[2], several=False, below=True)}",
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
    minus = {"-": "minus ", "−": "minus ", "+": "plus "}.get((groups.get("minus") or " ")[0], "")
    first, last, scale = groups["first"], groups.get("last"), groups.get("scale") or ""
    words = _price(last or first, names, scale)
    if last and groups.get("again") and not (scale and not groups.get("own")):
        words = f"{_price(first, names, groups.get('own') or '')} to {words}"
    elif last:
        words = f"{numbers.number(first)} to {words}"
    if groups.get("glue") == "-":  # a $10-million deal
        words = words.removesuffix(_several(names[0])) + names[0]
    per = f" per {_one_unit(groups['per'], several=False, below=True)}" if groups.get("per") else ""
    return minus + words + per


_SIGNS = re.escape(CURRENCIES)
_OWN = rf"(?:[\s-]?(?P<own>(?i:{_MONEY_SCALES}))(?!\w))?"
MONEY: tuple[Rule, ...] = (
    (
        rf"(?P<minus>(?<![\w)])[-−+])?{_COUNTRY}(?P<sign>[{_SIGNS}])\s?(?P<minus2>[-−])?(?P<first>{_MONEY_NUMBER})"
        rf"(?:{_OWN}\s?(?:-|–)\s?(?P<again>[{_SIGNS}])?(?P<last>{_MONEY_NUMBER}))?(?![0-9]){_MAGNITUDE}{_PER}",
        lambda m: _money(m) if not m["minus2"] else "minus " + _money(m),
    ),
    (
        rf"(?P<minus>(?<![\w)])[-−+])?(?<![\w.,])(?P<first>{_MONEY_NUMBER})"
        rf"(?:\s?(?:-|–)\s?(?P<last>{_MONEY_NUMBER}))?{_MAGNITUDE}\s?(?:(?P<sign>[{_SIGNS}])(?![0-9])|"
        rf"(?P<code>{_CODE})\b){_PER}",
        _money,
    ),
    (
        rf"\b(?P<code>{_CODE})\s?(?P<minus>[-−])?(?P<first>{_MONEY_NUMBER})"
        rf"(?:\s?(?:-|–)\s?(?P<last>{_MONEY_NUMBER}))?{_MAGNITUDE}{_PER}",
        _money,
    ),
    (rf"(?<![\w.])({NUMBER})\s?¢", lambda m: counted(m[1], "cent")),
    (r"(?<![\w.])([0-9]{1,2})p(?!\w|\.\w)", lambda m: f"{numbers.number(m[1])} pence"),
)
"""Rules for money; they come before those for measures."""
