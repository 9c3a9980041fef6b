"""The International Phonetic Alphabet to ARPAbet, for the sounds of English."""

from __future__ import annotations

import unicodedata

from gradtts_interp.errors import InputError
from gradtts_interp.text.characters import TABLES
from gradtts_interp.text.lexicon import VOWELS

STRESS = {"ˈ": "1", "'": "1", "ˌ": "2", ",": "2"}
IGNORED = frozenset(" .‿ːˑ\u0361\u035c\u0329\u0325\u02b0\u032f")
"""Syllable dots, length, ties, syllabic and voiceless marks, aspiration: none of them is told apart in English."""

_VOWELS: dict[str, str] = TABLES["ipa vowels"]
_SOUNDS = _VOWELS | TABLES["ipa consonants"]
_LONGEST = max(map(len, _SOUNDS))
_REDUCED = frozenset("əɚɨɐ")


def ipa_to_arpabet(text: str) -> tuple[str, ...]:
    """Read a word in IPA as ARPAbet with stress digits.

    A stress mark belongs to the next vowel; vowels without one are unstressed. A word without any mark is stressed on
    its first vowel that is not reduced, since English words have one.

    Args:
        text: Such as ``həˈloʊ``; ties, length and syllable dots may stand in it. British vowels become the nearest
            American ones.

    Returns:
        Phones.

    Raises:
        InputError: A sign is none of the sounds of English, or there is no sound at all.
    """
    plain = "".join(c for c in unicodedata.normalize("NFD", text.strip().strip("/[]")) if c not in IGNORED)
    phones: list[str] = []
    reduced: list[bool] = []
    stress, marked, at = "0", False, 0
    while at < len(plain):
        if plain[at] in STRESS:
            stress, marked, at = STRESS[plain[at]], True, at + 1
            continue
        sound = next((plain[at : at + n] for n in range(_LONGEST, 0, -1) if plain[at : at + n] in _SOUNDS), None)
        if sound is None:
            sign = plain[at]
            raise InputError(f"IPA {text!r}: {sign!r} (U+{ord(sign):04X}) is no sound of English that is known here")
        if sound in ("ər", "əɹ") and plain[at + 2 : at + 3] in _VOWELS:
            sound = sound[:-1]  # an r before a vowel starts the next syllable
        for phone in _SOUNDS[sound].split():
            phones.append(phone + stress if phone in VOWELS else phone)
            reduced.append(sound[0] in _REDUCED)
            stress = "0" if phone in VOWELS else stress
        at += len(sound)
    if not phones:
        raise InputError(f"IPA {text!r}: no sound; expected such as həˈloʊ")
    vowels = [i for i, phone in enumerate(phones) if phone[-1].isdigit()]
    if vowels and not marked:
        first = next((i for i in vowels if not reduced[i]), vowels[0])
        phones[first] = phones[first][:-1] + "1"
    return tuple(phones)
