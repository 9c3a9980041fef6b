"""Long text to sentences, which is what the acoustic model was trained on."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from gradtts_interp.text.abbreviations import ALSO_WORDS, MEASURED, NUMBERED, STREETS, TITLES, WORDS, ends_sentence

logger = logging.getLogger(__name__)

LONGEST = 240
"""Characters; a longer sentence is divided at commas and the like, then between words."""

_LONGEST_ABBREVIATION = 12
_MARK = re.compile(r"""[.!?…]+["”’')\]]*\s+(?=["“‘'(\[]*(?P<next>\S+))""")
_SHORT = re.compile(r"(?<![^\s\"“‘'(\[0-9])(?:[A-Za-z]{1,5}|(?:[A-Za-z]\.)+[A-Za-z])\.$")
_ITEM = re.compile(r"\W?(?:[0-9]+|[A-Za-z])\.\s")  # of a list
_GOES_ON = re.compile(r"[a-z–—.,;:&-]")
_WORD = re.compile(r"\S*\{[^{}]*\}\S*|\S+")

_TITLES, _NUMBERED, _OTHERS = ({short.lower() for short in table} for table in (TITLES, NUMBERED, {*WORDS, *MEASURED}))


def split_sentences(text: str) -> Iterator[str]:
    """Divide text after full stops, question and exclamation marks, closing quotation marks and at empty lines.

    The stop of an abbreviation that the normaliser reads ends a sentence where what follows says so; see
    :func:`~gradtts_interp.text.abbreviations.ends_sentence`.

    Args:
        text: Any amount of text.

    Yields:
        str: Sentences of at most :data:`LONGEST` characters, white space as single blanks, none empty.
    """
    for paragraph in re.split(r"\n\s*\n", text):
        words, start = " ".join(paragraph.split()), 0
        for mark in _MARK.finditer(words):
            if _ends(mark) and not _ITEM.fullmatch(words, start, mark.end()):
                yield from _divided(words[start : mark.end()])
                start = mark.end()
        yield from _divided(words[start:])


def _ends(mark: re.Match[str]) -> bool:
    """Whether a sentence ends at a mark, by the word before it and what follows."""
    if _GOES_ON.match(mark["next"]):
        return False
    stop = mark.start() + 1
    found = _SHORT.search(mark.string, stop - _LONGEST_ABBREVIATION, stop)
    if mark[0].strip() != "." or found is None:
        return True
    short = found[0][:-1]
    if short.lower() in _NUMBERED and mark["next"][0].isdigit():
        return False
    if short.lower() in _TITLES:
        after_name = re.search(r"[a-z] $", mark.string[: found.start()])
        return bool(after_name and short in STREETS and ends_sentence(found))
    is_word = short.lower() not in _OTHERS or short.lower() in ALSO_WORDS
    return (len(short) > 1 and "." not in short and is_word) or ends_sentence(found)


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
