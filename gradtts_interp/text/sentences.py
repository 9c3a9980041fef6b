"""Long text to sentences, which is what the acoustic model was trained on."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

logger = logging.getLogger(__name__)

LONGEST = 240
"""Characters; a longer sentence is divided at commas and the like, then between words."""

_END = re.compile(r"""[.!?]+["')\]]*\s+|\n\s*\n""")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:[A-Za-z]|[Mm]rs?|[Mm]s|[Dd]r|[Pp]rof|[Ss]t|[Nn]o|[Vv]s|[Jj]r|[Ss]r|etc)\.$"
)


def split_sentences(text: str) -> Iterator[str]:
    """Divide text after full stops, question and exclamation marks, and at empty lines.

    Args:
        text: Any amount of text.

    Yields:
        str: Sentences of at most :data:`LONGEST` characters, white space as single blanks, none empty.
    """
    start = 0
    for match in _END.finditer(text):
        if "\n\n" not in match.group() and _ABBREVIATION.search(text[start : match.end()].rstrip()):
            continue
        yield from _divided(text[start : match.end()])
        start = match.end()
    yield from _divided(text[start:])


def _divided(sentence: str) -> Iterator[str]:
    words = sentence.split()
    part: list[str] = []
    length = 0
    for word in words:
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
