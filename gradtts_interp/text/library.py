"""The finite-state normaliser that reads what the tables leave: addresses of the net, numbers with letters, signs.

It is ``wetext`` (Apache-2.0), the grammar of NeMo's English text normalisation as compiled transducers. It is loaded
when the first text needs it, and asked for one token at a time: a long line would take it 0.3 s, and some tokens are
beyond it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from gradtts_interp.text.characters import initialism

_LONGEST_TOKEN = 100


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
