"""Written English to words and punctuation, for the default mode of the frontend.

``_RULES`` is an ordered table of patterns and replacements: dates, times, money, measures, abbreviations, numbers.
What it leaves (addresses of the net, numbers with letters, signs) goes to ``wetext`` (Apache-2.0), NeMo's grammar of
English text normalisation as compiled transducers. It is loaded when the first text needs it, and asked for one token
at a time: a long line would take it 0.3 s, and some tokens are beyond it. What it cannot read is named in a warning.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import Any

from gradtts_interp.text import abbreviations, numbers, quantities
from gradtts_interp.text.abbreviations import STATES, STREETS, Rule, ends_sentence
from gradtts_interp.text.characters import JOINER, SIGNS, TABLES, alternatives, greek_name, initialism, named, to_plain
from gradtts_interp.text.quantities import NUMBER

_UNSPOKEN = re.compile(rf"""[^A-Za-z',;:.!?()\[\]" {JOINER}-]""")
_TAG = re.compile(r"""</?[a-zA-Z][\w:-]*(?:\s+[\w:-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+)|=[^\s>]+)*\s*/?>""")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|_{1,3})(?=[^\s*_])([^*_\n]+?)(?<=[^\s*_])\1(?![\w*])")
_TOP_DOMAINS = alternatives(TABLES["top domains"])

_LONGEST_TOKEN = 100


def normalise(text: str) -> tuple[str, tuple[str, ...]]:
    """Expand everything that is not a word: numbers, dates, times, money, units, abbreviations, signs.

    Args:
        text: Text of one line, without inline phones.

    Returns:
        Words of a-z and apostrophes, hyphens and the punctuation ``, ; : . ! ? ( ) [ ] "``; then warnings about
        characters that have no spoken form.
    """
    spoken, warnings = expand(text)
    return spoken.replace(JOINER, ""), warnings


@lru_cache(maxsize=512)
def expand(text: str) -> tuple[str, tuple[str, ...]]:
    """As :func:`normalise`, with :data:`~gradtts_interp.text.characters.JOINER` between letters named one by one."""
    marked, markup = _without_markup(text)
    plain, warnings = to_plain(marked)
    for pattern, replacement in _COMPILED:
        plain = pattern.sub(replacement, plain)
    plain, unread = _read_rest(plain)
    plain = re.sub(r"\s+", " ", plain)
    plain = re.sub(r"(?<=[(\[]) | (?=[,;:.!?)\]])", "", plain)
    return plain.strip(), tuple(dict.fromkeys((*markup, *warnings, *unread)))


def _without_markup(text: str) -> tuple[str, list[str]]:
    """Take away tags and the marks of emphasis, with a warning for each."""
    if not re.search("[<&*_]", text):
        return text, []
    text = re.sub(r"&(?:#[0-9]+|#x[0-9a-fA-F]+|[a-zA-Z]+);", lambda m: html.unescape(m[0]), text)
    warnings = [f"markup {tag!r} is left out" for tag in _TAG.findall(text)]
    text = _TAG.sub(" ", text)
    warnings += [f"{match[1]!r} around {match[2]!r} is left out" for match in _EMPHASIS.finditer(text)]
    return _EMPHASIS.sub(r"\2", text), warnings


def _read_rest(text: str) -> tuple[str, list[str]]:
    """Let the library read the tokens that hold more than words; name what it and the table of signs leave."""
    warnings: list[str] = []

    def read(match: re.Match[str]) -> str:
        token = match[0]
        found = read_token(token) if any(char.isascii() and char.isalnum() for char in token) else None
        if found:
            return f" {found} "
        spoken = re.sub("[0-9]+", lambda m: f" {_serial_number(m[0])} ", token)
        spoken = re.sub("[\u0370-\u03ff]", lambda m: f" {greek_name(m[0])} ", spoken)
        spoken = re.sub(f"[{re.escape(''.join(SIGNS))}]", lambda m: f" {SIGNS[m[0]]} ", spoken)
        spoken = re.sub(r"(?<=\w)_(?=\w)", " underscore ", spoken).replace("\u2013", " - ")
        warnings.extend(f"{named(char)} has no spoken form and is left out" for char in _UNSPOKEN.findall(spoken))
        return _UNSPOKEN.sub(" ", spoken)

    return re.sub(rf"""\S*[^A-Za-z',;:.!?()\[\]"\s{JOINER}-]\S*""", read, text), warnings


@lru_cache(maxsize=1)
def _library() -> Any:
    from wetext import Normalizer

    return Normalizer(lang="en", operator="tn", fix_contractions=False)


@lru_cache(maxsize=4096)
def read_token(token: str) -> str | None:
    """Ask the library how a token is read.

    Args:
        token: What stands between two blanks.

    Returns:
        Words, initialisms marked; None where the library fails, leaves a part unread, or has over 100 characters to
        read.
    """
    if len(token) > _LONGEST_TOKEN:
        return None
    try:
        spoken = str(_library().normalize(token))
    except (AssertionError, RuntimeError, IndexError, KeyError, ValueError):
        return None  # its parser asserts on tokens that its grammar has no path for, such as 5€
    if not re.fullmatch(r"[A-Za-z',;:.!?()\[\] -]+", spoken) or re.search(r"[A-Za-z][.:/][A-Za-z]", spoken):
        return None
    spoken = re.sub(r"(?<=hundred) and (?=[a-z])", " ", spoken)
    return re.sub(r"\b[A-Z]{2,5}\b", lambda m: initialism(m[0]), spoken)


# -- telephone numbers and other digits -------------------------------------------------------------------------------


def _digit_groups(written: str) -> str:
    groups = re.findall("[0-9]+|X", written)
    named = {"800": "eight hundred", "X": "X"}
    plus = "plus " if written.startswith("+") else ""
    return plus + ", ".join(named.get(group) or numbers.spell_digits(group) for group in groups)


# -- addresses --------------------------------------------------------------------------------------------------------


def _net_address(match: re.Match[str]) -> str:
    address = match[0].rstrip(".,;:!?)'\"]")
    after = match[0].removeprefix(address)
    found = None if re.search("[0-9?=&%_~+]", address) else read_token(address)
    if found:
        return found + after
    pieces = re.findall(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9]", address)
    last_dot = max((i for i, piece in enumerate(pieces) if piece == "."), default=-1)
    words = []
    for index, piece in enumerate(pieces):
        if piece.isdigit():
            words.append(numbers.cardinal(piece) if piece.endswith("00") else numbers.spell_digits(piece))
        elif piece.isalpha():
            short = index == last_dot + 1 and len(piece) <= 3 and piece.lower() not in TABLES["spoken domains"]
            words.append(initialism(piece) if short and len(piece) > 1 else piece)
        else:
            words.append(TABLES["signs of addresses"].get(piece, piece))
    return " ".join(words) + after


def _state(match: re.Match[str]) -> str:
    zipped = f"{match['between']}{_digit_groups(match['zip'])}" if match["zip"] else ""
    return f"{match['city']}{STATES[match['code']]}{zipped}"


# -- numbers ----------------------------------------------------------------------------------------------------------


def _serial_number(digits: str) -> str:
    if len(digits) == 4 and digits[0] != "0":
        return numbers.pairs(digits)
    return numbers.spell_digits(digits) if len(digits) > 4 else numbers.cardinal(digits)


def _serial(match: re.Match[str]) -> str:
    pieces = re.findall("[A-Za-z']+|[0-9]+", match[0])
    return " ".join(_serial_number(piece) if piece.isdigit() else piece for piece in pieces)


def _ordinal(match: re.Match[str]) -> str:
    digits, suffix = match[1].replace(",", ""), match[2].lower()
    right = "th" if digits[-2:-1] == "1" else {"1": "st", "2": "nd", "3": "rd"}.get(digits[-1], "th")
    return numbers.ordinal(digits) if suffix == right else f"{numbers.cardinal(digits)} {suffix}"


_OPERATORS: dict[str, str] = TABLES["operators"]
_TERM = rf"(?:(?:{NUMBER}[a-z]?|[a-zA-Z]{{1,2}})(?:\^-?[0-9]+)?(?![\w.]*\w))"
_SIDE = rf"[-−+]?{_TERM}(?:\s?[-−\u2013+×x*÷/]\s?{_TERM}){{0,8}}"
_EQUATION = rf"(?<![\w.,]){_SIDE}(?:\s?(?:[=≠≈≤≥]|(?<=\s)[<>](?=\s))\s?{_SIDE}){{1,3}}"


def _equation(match: re.Match[str]) -> str:
    words, after_term = [], False
    for part in re.findall(rf"{_TERM}|\S", match[0]):
        operator = part in _OPERATORS and (after_term or part != "x")
        words.append(_OPERATORS[part] if operator else part)
        after_term = not operator
    return f" {' '.join(words)} "


def _power(match: re.Match[str]) -> str:
    base, exponent = match[1], match[2]
    if exponent in ("2", "3"):
        return f"{base} {'squared' if exponent == '2' else 'cubed'}"
    sign = {"-": "minus ", "+": ""}.get(exponent[0], "")
    plain = exponent.lstrip("+-")
    return f"{base} to the power of {sign}{numbers.cardinal(plain) if plain.isdigit() else plain}"


def _scientific(match: re.Match[str]) -> str:
    sign = {"-": "minus ", "−": "minus "}.get(match[2], "")
    return f"{numbers.number(match[1])} times ten to the power of {sign}{numbers.cardinal(str(int(match[3])))}"


# -- the table --------------------------------------------------------------------------------------------------------


def _initials(match: re.Match[str]) -> str:
    return initialism(match[0]) + ("." if match[0].endswith(".") and ends_sentence(match) else "")


_STREET = alternatives({*STREETS, *STREETS.values(), "ave", "hwy", "blvd", "rd", "st"})
_NAME_OF_STREET = r"(?:[A-Z][\w']*|[0-9]+(?:st|nd|rd|th))"
_RULES: tuple[Rule, ...] = (
    (r"(?<=[a-z])([.!?])(?=[A-Z][a-z])", r"\1 "),
    (r"\b(?:Ph\.\s?D|(?:B|M|D|LL|Litt|Ed)\.(?:Sc|Eng|Ed|Phil|A|Mus))\b(?:\.(?!\s*$))?", _initials),
    # addresses of the net and of houses
    (
        r"(?i)(?<![\w@])(?:(?:https?|s?ftp|file|ssh|mailto)://?[^\s<>\"]+|www\.[^\s<>\"]+"
        r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+(?:/[^\s<>\"]*)?"
        rf"|(?:[a-z0-9-]+\.)+(?:{_TOP_DOMAINS})\b(?!\.[A-Za-z])(?:/[^\s<>\"]*)?|[a-z]{{2,}}(?:\.[a-z]{{2,}})+\b)",
        _net_address,
    ),
    (
        rf"(?P<city>\b[A-Z][a-z]+,\s|\b[A-Z][a-z]+\s(?=[A-Z]{{2}},?\s[0-9]{{5}}\b))(?P<code>{alternatives(STATES)})"
        rf"(?:(?P<between>,?\s)(?P<zip>[0-9]{{5}}(?:-[0-9]{{4}})?))?(?!\w)",
        _state,
    ),
    (
        rf"\b([0-9]{{3,4}})(?=\s(?:[NSEW]\.?\s)?(?:{_NAME_OF_STREET}\s){{1,3}}(?:{_STREET})\b)",
        lambda m: numbers.pairs(m[1]),
    ),
    (
        rf"(?<=[a-z] )([NSEW])\.?(?=\s{_NAME_OF_STREET}\s(?:{_STREET})\b)",
        lambda m: dict(N="North", S="South", E="East", W="West")[m[1]],
    ),
    # dates and times, then digits that name something
    *quantities.DATES,
    (r"(?<![\w.,])[0-9]{1,3}(?: [0-9]{3}){2,}(?![\w-])", lambda m: numbers.number(m[0].replace(" ", ","))),
    (
        r"\b(ISBN|ISSN|EAN|UPC|ISRC)(?:[- ]?1[03])?(?:\s(?:number\s)?(?:is\s)?|:\s?|#\s?)"
        r"([0-9X][0-9X \u2013-]{6,}[0-9X])\b",
        lambda m: f"{initialism(m[1])} {_digit_groups(m[2])}",
    ),
    (
        r"(?<![\w-])((?:1-)?[0-9]{3})-((?=[A-Z0-9-]*[A-Z])(?:[A-Z]+-?)+[A-Z])\b(?<=\w{4})",
        lambda m: f"{_digit_groups(m[1])}, {m[2].replace('-', ' ')}",
    ),
    (  # telephones of a country, by area in brackets, American and British; social security; credit cards
        r"(?<![\w+])\+[0-9][0-9 ().\u2013-]{6,}[0-9]\b",
        r"(?<!\w)\(0[0-9]{2,4}\)\s?[0-9]{3,4}[- ]?[0-9]{3,4}\b",
        r"(?<!\w)(?:1[-. ])?\([0-9]{3}\)[-. ]{0,2}[0-9]{3}[-. \u2013][0-9]{4}\b",
        r"(?<![\w.,$-])(?:1[-. ])?[0-9]{3}([-. ])[0-9]{3}\1[0-9]{4}(?:-[0-9]{4})?(?![\w-])",
        r"(?<![\w.,$-])[0-9]{3}-(?:[0-9]{4}|[0-9]{2}-[0-9]{4})(?![\w-])(?!\s[=])",
        r"(?<![\w.,$-])(?:0[0-9]{2,4}[ -][0-9]{3,4}[ -]?[0-9]{3,4}|[0-9]{4}([ -])[0-9]{4}(?:\1[0-9]{4}){2})(?![\w-])",
        lambda m: _digit_groups(m[0]),
    ),
    (
        r"(?i)\b((?:call|dial)(?= (?:911|999|112|411|311|988|101)\b)|zip|(?:pin|code)(?: is)?) ([0-9]{3,})\b",
        lambda m: f"{m[1]} {numbers.spell_digits(m[2])}",
    ),
    (
        r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w.]*[0-9])",
        lambda m: " dot ".join(map(numbers.spell_digits, m[0].split("."))),
    ),
    # equations, money, measures
    (_EQUATION, _equation),
    (rf"(?<![\w.])({NUMBER})\s?[eE]([-−+]?)([0-9]{{1,3}})(?![\w])", _scientific),
    *quantities.MONEY,
    (r"#(?=[0-9])", "number "),
    (r"\b([A-G])#(?!\w)", r"\1 sharp"),
    *quantities.MEASURES,
    # names and abbreviations
    *abbreviations.RULES,
    (r"\b(?:[A-Za-z]\.){2,}(?=\W|$)|\b(?:[A-Za-z]\.){2,}[A-Za-z]\b(?![.\w])", _initials),
    (rf"(?<![\w{JOINER}])[A-Z]\.(?=\s(?:[A-Z]\.|[A-Z][a-z]))", lambda m: m[0][0]),
    (r"\bU[SK]\b", lambda m: m[0] if m.string.isupper() else initialism(m[0])),
    # numbers
    (r"(?<=[0-9])\s?([×*÷−+])\s?(?=[0-9])", lambda m: f" {_OPERATORS[m[1]]} "),
    (r"(?<=\^[0-9])\s?-\s?(?=[A-Za-z0-9])", " minus "),
    (rf"√\s?(?={NUMBER}|[a-z]\b)", "the square root of "),
    (r"(?<=[0-9A-Za-z)])\^([-+]?)0(?=[0-9])", r"^\1"),
    (r"((?<![A-Za-z])[A-Za-z]{1,2}|[0-9)]|(?<=[0-9]) )\^([-+]?(?:[0-9]+|[a-z]\b))", _power),
    (rf"(?<![\w.])[-−](?={NUMBER})", "minus "),
    (r"(?<![\w./])([0-9]+)[ -]([0-9]+)/([0-9]+)(?![\w/]|\.[0-9])", lambda m: numbers.mixed(m[1], m[2], m[3])),
    (
        r"(?i)(?<![\w./])([0-9]+)\s?/\s?([0-9]+)(?:st|nd|rd|th)?(?![\w/]|\.[0-9])",
        lambda m: numbers.fraction(m[1], m[2]),
    ),
    (r"(?i)(?<![\w.,])([0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}|[0-9]+)(st|nd|rd|th)\b", _ordinal),
    (r"(?<![A-Za-z0-9])([A-Z])\u2013([A-Z])(?![A-Za-z0-9])", r"\1 to \2"),
    (rf"(?<![\w-])({NUMBER})(?:\s-\s|[-\u2013]|\s\u2013\s)(?={NUMBER}(?!-?[A-Za-z-]|[0-9]))", r"\1 to "),
    (r"(?<=[A-Za-z0-9])[-\u2013](?=[0-9])|(?<=[0-9])[-\u2013](?=[A-Za-z])", " "),
    (r"(?<=[A-Za-z])\u2013(?=[A-Za-z])", "-"),
    (rf"(?<![\w.])({NUMBER})\s?(bn|mn|tn)(?!\w)", lambda m: f"{m[1]} {quantities.SCALE[m[2]]}"),
    (r"(?<![\w.])(?:[A-Za-z]+[0-9]+|[0-9]+[A-Za-z]+)[A-Za-z0-9]*(?![\w])", _serial),
    (r"(?<![0-9.])[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?![0-9])(?:\.[0-9]+)?", lambda m: f" {numbers.number(m[0])} "),
    (r"(?<![0-9.])[0-9]*(?:\.[0-9]+)+", lambda m: f" {numbers.decimal(m[0])} "),
    ("[0-9]+", lambda m: f" {numbers.year(m[0])} "),
    # signs
    (r"(?<=[A-Za-z])\.(?=[a-z]{2,})", " dot "),
    (r"(?i)\b(and)/(or)\b", r"\1 \2"),
)
"""In this order; what they leave, the library reads."""
_COMPILED: Any = [(re.compile(pattern), replacement) for *patterns, replacement in _RULES for pattern in patterns]  # type: ignore[type-var]
