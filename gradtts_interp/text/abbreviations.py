"""Abbreviations: how they are read, and which of their full stops end a sentence. Roman numerals after names.

The normaliser and the sentence splitter both go by these tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gradtts_interp.text import numbers
from gradtts_interp.text.characters import TABLES, alternatives

Rule = tuple[str | Callable[[re.Match[str]], str], ...]
"""Patterns, and last what stands in place of them."""

TITLES: dict[str, str] = TABLES["titles"]
"""Before a name, where the stop never ends a sentence."""
STREETS: dict[str, str] = TABLES["streets"]
"""After a name."""
CALENDAR: dict[str, str] = TABLES["calendar"]
WORDS: dict[str, str] = {**CALENDAR, **TABLES["words"]}
"""Anywhere; whether the stop ends a sentence is told by what follows."""
NUMBERED: dict[str, str] = TABLES["before numbers"]
"""Before a number, where the stop never ends a sentence."""
PHRASES: dict[str, str] = TABLES["phrases"]
MEASURED: list[str] = TABLES["measured with a stop"]
"""Units that people write with a stop after a number."""
STATES: dict[str, str] = TABLES["states"]
"""After a city and a comma, or before a ZIP code."""

STARTERS = frozenset(TABLES["sentence starters"])
"""Capitalised words that begin a sentence rather than a name."""
ALSO_WORDS = frozenset(TABLES["also words"])
"""Common words too, whose stop may well end a sentence."""
_BEFORE_WORDS = frozenset("vs approx cf incl excl viz".split())
DAYS_AND_MONTHS = frozenset(CALENDAR.values()) | {"May", *CALENDAR}
_GIVEN_NAMES = frozenset(TABLES["given names"])
_RULER = alternatives(TABLES["rulers"])
_LABEL = alternatives(TABLES["labels"])
_ROMAN = r"(?=[IVXLC])C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_AFTER_ONE = r"\W|$|\s+(?:of|is|was|were|and|to|the|in|had|has|by|began|ended|ends|begins)\b"
_NEXT_WORD = re.compile(r"""["')\]]*\s+["'(\[]*([A-Za-z][A-Za-z']*)""")


def ends_sentence(match: re.Match[str]) -> bool:
    """Whether the stop that a match ends with closes a sentence, by what follows.

    Nothing, or a word such as "The", says so; so does any capital after a short form in small letters ("5 oz. Gin"),
    except a day or month ("at 5 p.m. Monday").

    Args:
        match: An abbreviation with its stop.

    Returns:
        Whether the stop is to be kept.
    """
    rest = match.string[match.end() :]
    if not rest.strip("\"')] "):
        return True
    found = _NEXT_WORD.match(rest)
    if not found or not found[1][0].isupper():
        return False
    small = next(char for char in match[0] if char.isalpha()).islower()
    return found[1] in STARTERS or (small and found[1] not in DAYS_AND_MONTHS)


def _value(roman: str) -> str:
    values = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}[letter] for letter in roman]
    return str(sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True)))


def _labelled(match: re.Match[str]) -> str:
    label, roman = match["label"], match["roman"]
    if roman in ("L", "C"):
        return match[0]
    if roman == "I" and label != "World War":
        sure = label[0].isupper() and re.match(_AFTER_ONE, match.string[match.end() :])
        return f"{label} one" if sure else match[0]
    return f"{label} {numbers.cardinal(_value(roman))}"


def _after_name(match: re.Match[str]) -> str:
    name, roman = match["name"], match["roman"]
    if name in _GIVEN_NAMES and roman not in ("C", "L"):
        initial = len(roman) == 1 and re.match(r"\.\s+[A-Z]", match.string[match.end() :])
        return match[0] if initial else f"{name} the {numbers.ordinal(_value(roman))}"
    if len(roman) == 1 or roman in ("XL", "CC", "CI", "LI", "CV") or name in STARTERS:
        return match[0]
    given = re.search(r"\b([A-Z][a-z]+)(?: [A-Z]\.?| [A-Z][a-z]+)? $", match.string[: match.start()])
    if given and given[1] in _GIVEN_NAMES:
        return f"{name} the {numbers.ordinal(_value(roman))}"
    return f"{name} {numbers.cardinal(_value(roman))}"


def _street_or_title(match: re.Match[str]) -> str:
    short, stop = match["short"], match["stop"]
    before, after = match.string[: match.start()], match.string[match.end() :]
    house = re.search(r"\b[0-9]+[A-Z]? (?:[NSEW]\.? )?(?:(?:[A-Z][\w'.]*|[0-9]+(?:st|nd|rd|th)) ){1,3}$", before)
    after_name = re.search(r"(?:[A-Z][\w']*\.?|[0-9](?:st|nd|rd|th)) $", before)
    following = re.match(r"\s+([A-Z][A-Za-z']*)", after)
    before_name = following and short.capitalize() in TITLES and (following[1] not in STARTERS or not after_name)
    if short.capitalize() in STREETS and (house or (short[0].isupper() and after_name and not before_name)):
        return STREETS[short.capitalize()] + ("." if stop and ends_sentence(match) else "")
    if short in TITLES and (before_name or (stop and not after_name)):
        return TITLES[short] + ("." if stop and not after.strip() else "")
    return STREETS[short] if stop and short in STREETS and short not in TITLES else match[0]


def _shortened(match: re.Match[str]) -> str:
    ends = ends_sentence(match) and not (match["short"] in _BEFORE_WORDS and match.string[match.end() :].strip())
    if match["short"].lower() in ALSO_WORDS and ends:
        day = re.search(r"\b(?:on|last|next|this|every|until|by|since|from|to|in) $", match.string[: match.start()])
        if not (day and match["short"][0].isupper()):
            return match[0]
    return _WORD_OF_LOWER[match["short"].lower()] + ("." if ends else "")


_WORD_OF_LOWER = {short.lower(): full for short, full in WORDS.items()}
_NUMBERED_OF_LOWER = {short.lower(): full for short, full in NUMBERED.items()}
_WITHOUT_STOP = TABLES["without a stop"]


RULES: tuple[Rule, ...] = (
    (
        rf"\b(?P<name>(?:{_RULER}) (?:[A-Z][a-z]+ )??[A-Z][a-z]+) (?P<roman>{_ROMAN})(?![A-Za-z])",
        lambda m: f"{m['name']} the {numbers.ordinal(_value(m['roman']))}",
    ),
    (rf"\b(?P<label>(?i:{_LABEL})) (?P<roman>{_ROMAN})(?![A-Za-z]|'[a-rt-z])", _labelled),
    (
        rf"\b(?P<roman>{_ROMAN})(?:th|st|nd|rd)? (?=(?i:century|centuries|dynasty|olympi))",
        lambda m: f"{numbers.ordinal(_value(m['roman']))} ",
    ),
    (
        r"\b(?P<name>[A-Z][a-z]+) I(?=[,;:)]|'s\b| of [A-Z]|\.?$| (?:reigned|ruled|became|died)\b)",
        lambda m: f"{m['name']} the first" if m["name"] in _GIVEN_NAMES else m[0],
    ),
    (rf"\b(?P<name>[A-Z][a-z]+) (?P<roman>(?!I\b){_ROMAN})(?![A-Za-z]|'[a-rt-z])", _after_name),
    (rf"(?i)(?<![\w.])({alternatives(PHRASES)})(?![a-z0-9]|(?<=[a-z])/)", lambda m: PHRASES[m[1].lower()]),
    (
        rf"(?i)\b(?P<short>{alternatives(NUMBERED)})\.\s?(?=[0-9])",
        lambda m: _NUMBERED_OF_LOWER[m["short"].lower()] + " ",
    ),
    (rf"\b(?P<short>{alternatives({**TITLES, **STREETS})})(?P<stop>\.)(?!\w)", _street_or_title),
    (rf"\b(?P<short>{alternatives(_WITHOUT_STOP)})(?P<stop>)(?![\w.'])", _street_or_title),
    (rf"(?i)\b(?P<short>{alternatives(WORDS)})\.(?![\w.])", _shortened),
)
"""In this order."""
