"""The 148 symbols of the Grad-TTS family, in its order, and the ids made of them.

Source: the symbol inventory that Tacotron, Glow-TTS and Grad-TTS share; the order is part of every official checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradtts_interp.errors import InputError
from gradtts_interp.text.lexicon import CONSONANTS, VOWELS

PAD = "_"
SPACE = " "
PUNCTUATION = "!'(),.:;?"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ARPABET = tuple(sorted([*CONSONANTS, *VOWELS, *(vowel + stress for vowel in VOWELS for stress in "012")]))
"""The 84 phones of the inventory: consonants, and vowels with and without stress digit."""

SYMBOLS = (PAD, "-", *PUNCTUATION, SPACE, *LETTERS, *("@" + phone for phone in ARPABET))
"""All symbols; a phone's name is ``@`` + ARPAbet, so that phone ``@B`` and letter ``B`` differ."""
BLANK_ID = len(SYMBOLS)
"""Id that stands between all symbols (148)."""
N_VOCAB = len(SYMBOLS) + 1

SYMBOL_TO_ID = {symbol: index for index, symbol in enumerate(SYMBOLS)}


def phone_of(token: str) -> str | None:
    """Return the ARPAbet phone that a symbol names (``@AH0`` -> ``AH0``), or None for letters and punctuation."""
    return token[1:] if len(token) > 1 and token[0] == "@" else None


def ids_of(tokens: Sequence[str], add_blank: bool = True) -> tuple[int, ...]:
    """Change symbol names to ids.

    Args:
        tokens: Symbol names, each one of ``SYMBOLS``.
        add_blank: Put the blank id before, between and after all symbols (2 * len + 1 ids).

    Returns:
        Ids in [0, ``N_VOCAB``).

    Raises:
        InputError: A token is not a symbol.

    Source: Grad-TTS section 4 (blank tokens as in Glow-TTS).
    """
    unknown = [token for token in tokens if token not in SYMBOL_TO_ID]
    if unknown:
        raise InputError(f"unknown symbol {unknown[0]!r}; expected one of the {len(SYMBOLS)} Grad-TTS symbols")
    ids = [SYMBOL_TO_ID[token] for token in tokens]
    if not add_blank:
        return tuple(ids)
    interspersed = [BLANK_ID] * (2 * len(ids) + 1)
    interspersed[1::2] = ids
    return tuple(interspersed)
