"""From a written word to its phones: dictionary first, then rules that build on it, then letter-to-sound."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gradtts_interp.text.letter_to_sound import LetterToSound
from gradtts_interp.text.lexicon import Lexicon

_CAMEL = re.compile(r"(?:[A-Z]?[a-z]{2,}|[A-Z]{2,}(?![a-z]))+(?:'s)?")
_SYLLABLES = re.compile("[^aeiou]?([aeiouy][^aeiou]{1,2})+[aeiou]?")
"""What can be read as a word although it stands in capitals, such as COVID."""
_VOICELESS = frozenset({"P", "T", "K", "F", "TH"})
_SIBILANT = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
_LEAST_CERTAIN_LAST = ("dictionary", "spelled", "letter_to_sound")
_LONGEST_INITIALISM = 5
"""Unknown words of at most so many letters are named letter by letter if without a vowel or in capitals like HDMI."""


@dataclass(frozen=True)
class Pronunciation:
    """Phones of a word, and how they were found.

    Attributes:
        word: The word.
        phones: ARPAbet with stress digits.
        how: ``dictionary`` (also for words built from dictionary words), ``spelled`` or ``letter_to_sound``.
    """

    word: str
    phones: tuple[str, ...]
    how: str


def pronounce(word: str, lexicon: Lexicon) -> Pronunciation:
    """Find the pronunciation of one word.

    Args:
        word: Letters, apostrophes and hyphens; ``F-B-I`` (single letters) is named letter by letter.
        lexicon: Dictionary, asked without regard to case.

    Returns:
        Phones (none if the word holds no letter) and how they were found; of a compound (``well-known``, ``GradTTS``)
        the least certain part counts.
    """
    if re.fullmatch(r"[A-Za-z](-[A-Za-z])+('s|s)?", word):
        return _initialism(word, lexicon)
    found = lexicon.lookup(word) or _stripped(word, lexicon)
    if found:
        return Pronunciation(word, found[0], "dictionary")
    parts = _parts(word)
    if len(parts) > 1:
        spoken = [pronounce(part, lexicon) for part in parts]
        phones = tuple(phone for part in spoken for phone in part.phones)
        return Pronunciation(word, phones, max((part.how for part in spoken), key=_LEAST_CERTAIN_LAST.index))
    bare = word.strip("'")
    if bare.lower().endswith("'s"):
        base = pronounce(re.sub("('s)+$", "", bare, flags=re.I), lexicon)
        return Pronunciation(word, base.phones + plural_ending(base.phones), base.how)
    phones = () if _is_initialism(bare) else LetterToSound.default().pronounce(bare)
    if phones:
        return Pronunciation(word, phones, "letter_to_sound")
    return Pronunciation(word, letter_names(bare, lexicon), "spelled")


def plural_ending(phones: tuple[str, ...]) -> tuple[str, ...]:
    """Return the phones of 's after a word: S after voiceless, IH0 Z after sibilants, else Z."""
    if not phones:
        return ("EH1", "S")
    if phones[-1] in _SIBILANT:
        return ("IH0", "Z")
    return ("S",) if phones[-1] in _VOICELESS else ("Z",)


def letter_names(letters: str, lexicon: Lexicon) -> tuple[str, ...]:
    """Return the names of letters, one after another; other characters are skipped."""
    names = (lexicon.lookup(letter + ".") or lexicon.lookup(letter) for letter in letters if letter.isalpha())
    return tuple(phone for name in names if name for phone in name[0])


def _parts(word: str) -> list[str]:
    """Split at hyphens, else at inner capitals (``GradTTS`` -> Grad, TTS)."""
    if "-" in word:
        return [part for part in word.split("-") if part]
    return re.findall(r"[A-Z]?[a-z]{2,}(?:'s)?|[A-Z]{2,}(?![a-z])(?:'s)?", word) if _CAMEL.fullmatch(word) else [word]


def _initialism(word: str, lexicon: Lexicon) -> Pronunciation:
    letters = re.sub("'?s$", "", word) if not re.search("-s$", word) else word
    phones = letter_names(letters, lexicon)
    joined = lexicon.lookup(letters.replace("-", "")) if letters.isupper() else ()
    exact = [variant for variant in joined if _plain(variant) == _plain(phones)]
    phones = exact[0] if exact else phones
    return Pronunciation(word, phones + (plural_ending(phones) if letters != word else ()), "dictionary")


def _plain(phones: tuple[str, ...]) -> list[str]:
    return [phone.rstrip("012") for phone in phones]


def _stripped(word: str, lexicon: Lexicon) -> tuple[tuple[str, ...], ...]:
    """Look a word up without quotes around it, and ``dogs'`` as ``dogs``."""
    bare = word.strip("'")
    return lexicon.lookup(word.lstrip("'")) or lexicon.lookup(word.rstrip("'")) or lexicon.lookup(bare)


def _is_initialism(word: str) -> bool:
    letters = word.replace("'", "")
    if len(letters) > _LONGEST_INITIALISM:
        return False
    if len(letters) == 1 or not re.search("[aeiouy]", letters.lower()):
        return True
    return letters.isupper() and not (len(letters) > 3 and _SYLLABLES.fullmatch(letters.lower()))
