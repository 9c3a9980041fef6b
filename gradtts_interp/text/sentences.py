"""Long text to sentences, which is what the acoustic model was trained on."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from gradtts_interp.text.abbreviations import ALSO_WORDS, DAYS_AND_MONTHS, MEASURED, NUMBERED, STARTERS, TITLES, WORDS
from gradtts_interp.text.characters import alternatives

logger = logging.getLogger(__name__)

LONGEST = 240
"""Characters; a longer sentence is divided at commas and the like, then between words."""

_WINDOW = 2000
"""Characters that the splitter gets at once: its time grows with their square."""
_GOES_ON = re.compile(rf"(?:[0-9]\s?(?:{alternatives(MEASURED)})|\b(?:{alternatives(WORDS)}))\.$", re.IGNORECASE)
_NUMBER_FOLLOWS = re.compile(
    rf"\b(?:{alternatives(set(NUMBERED) - {'No', 'Nos', 'p', 'c', 'Art', 'Tab'})})\.$", re.IGNORECASE
)
_HALF_OF_DAY = re.compile(r"\b[ap]\.m\.$", re.IGNORECASE)
_DAY = re.compile(rf"(?:{alternatives(DAYS_AND_MONTHS)})\b")
_ENDS_TOO = re.compile(
    rf"""(?<=[.!?]["”’)\]])\s+(?=["“‘(\[]?[A-Z])|(?<=[.!?]["”’])\s+(?=["“‘])"""
    rf"""|(?<=[a-z]\s(?:St|Rd|Dr|Ct|Ln|Pl|Sq)\.)\s+(?=(?:{alternatives(STARTERS)})\s)"""
)
_WORD = re.compile(r"\S*\{[^{}]*\}\S*|\S+")


@lru_cache(maxsize=1)
def _language() -> Any:
    """Return the splitter's English with the abbreviations of the normaliser."""
    from pysbd.abbreviation_replacer import AbbreviationReplacer
    from pysbd.lang.english import English

    known = English.Abbreviation
    lists = {
        "ABBREVIATIONS": _merged(known.ABBREVIATIONS, {*TITLES, *NUMBERED, *WORDS} - {"Sun", "Sat"}),
        "PREPOSITIVE_ABBREVIATIONS": _merged(known.PREPOSITIVE_ABBREVIATIONS, TITLES),
    }
    parts = {
        "Abbreviation": type("Abbreviation", (known,), lists),
        "AbbreviationReplacer": type("Replacer", (AbbreviationReplacer,), {"SENTENCE_STARTERS": sorted(STARTERS)}),
    }
    return type("Language", (English,), parts)


def _merged(theirs: list[str], ours: Iterable[str]) -> list[str]:
    return sorted({*theirs, *(short.lower() for short in ours)} - ALSO_WORDS)


def split_sentences(text: str) -> Iterator[str]:
    """Divide text after full stops, question and exclamation marks, closing quotation marks and at empty lines.

    ``pysbd`` (MIT) finds the ends of sentences; it goes by the abbreviations that the normaliser reads.

    Args:
        text: Any amount of text.

    Yields:
        str: Sentences of at most :data:`LONGEST` characters, white space as single blanks, none empty.
    """
    for paragraph in re.split(r"\n\s*\n", text):
        started = ""
        for window in _windows(paragraph.split()):
            *sentences, started = _sentences(f"{started} {window}".strip()) or [""]
            for sentence in sentences:
                yield from _divided(sentence)
            if len(started) > _WINDOW:
                yield from _divided(started)
                started = ""
        yield from _divided(started)


def _windows(words: list[str]) -> Iterator[str]:
    start = length = 0
    for stop, word in enumerate(words, 1):
        length += len(word) + 1
        if length > _WINDOW or stop == len(words):
            yield " ".join(words[start:stop])
            start, length = stop, 0


def _sentences(text: str) -> list[str]:
    from pysbd.processor import Processor

    try:
        found = [str(part).strip() for part in Processor(text, _language()).process()]
    except (AttributeError, IndexError, re.error):  # a few texts trip its rules over each other
        found = []
    if "".join("".join(found).split()) != "".join(text.split()):  # it must not change what is said
        found = re.split(r"""(?<=[.!?])\s+(?=["“‘(\[]?[A-Z])""", text)
    parts = [part for sentence in found for part in _ENDS_TOO.split(sentence) if part]
    joined: list[str] = []
    for part in parts:
        if joined and _go_on(joined[-1], part):
            joined[-1] += f" {part}"
        else:
            joined.append(part)
    return joined


def _go_on(before: str, after: str) -> bool:
    """Whether two parts are one sentence, since the stop between them belongs to an abbreviation."""
    if _GOES_ON.search(before):
        return after[0].islower() or after[0].isdigit()
    if _NUMBER_FOLLOWS.search(before):
        return after[0].isdigit()
    return bool(_HALF_OF_DAY.search(before) and _DAY.match(after))


def _divided(sentence: str) -> Iterator[str]:
    part: list[str] = []
    length = 0
    for word in _WORD.findall(sentence):
        if part and length + len(word) > LONGEST:
            cut = max((i for i, w in enumerate(part, 1) if w[-1] in ",;:"), default=len(part))
            yield " ".join(part[:cut])
            part = part[cut:]
            length = sum(len(w) + 1 for w in part)
        part.append(word)
        length += len(word) + 1
    rest = " ".join(part)
    if any(c.isalnum() for c in rest):
        yield rest
    elif rest:
        logger.warning("%.40r is left out: there is nothing in it to speak", rest)
