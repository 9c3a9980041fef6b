"""Pronouncing dictionary: the CMU dictionary's data plus additions of the project.

The data (``data/cmudict.txt.xz``) is the CMU Pronouncing Dictionary, Copyright (C) 1993-2015 Carnegie Mellon
University, under the BSD-style licence in ``data/cmudict.LICENSE``; from https://github.com/cmusphinx/cmudict.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable, Iterator, KeysView, Mapping
from functools import lru_cache
from pathlib import Path

from gradtts_interp.errors import InputError
from gradtts_interp.files import read_text

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG",
    "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
PHONES = frozenset(CONSONANTS) | {vowel + stress for vowel in VOWELS for stress in "012"}
"""The 69 phones of the dictionary: vowels carry a stress digit, consonants do not."""

_WORD = re.compile(r"['-]*[A-Za-z][A-Za-z'.-]*")
_DATA_FILE = Path(__file__).parent / "data" / "cmudict.txt.xz"
_OFFICIAL_CHANGES_FILE = Path(__file__).parent / "data" / "cmudict_07b_changes.txt.xz"


class Lexicon:
    """Words and their pronunciations in ARPAbet with stress digits.

    Args:
        entries: Lower-case word -> its pronunciations, each as phones joined by a space, the default first.
    """

    def __init__(self, entries: Mapping[str, tuple[str, ...]]):
        self._entries = entries

    @classmethod
    @lru_cache(maxsize=1)
    def default(cls) -> Lexicon:
        """Return the CMU dictionary as shipped (about 126,000 words), loaded once."""
        text = lzma.decompress(_DATA_FILE.read_bytes()).decode("utf-8")
        return cls(_collect(line.split(" ", 1) for line in text.splitlines()))

    @classmethod
    @lru_cache(maxsize=1)
    def official(cls) -> Lexicon:
        """Return the older dictionary that Grad-TTS looks words up in (release 0.7b, first pronunciations only).

        It is stored as its differences from ``default()``: a word alone is absent there, a word with phones differs.
        """
        entries = {word: variants[:1] for word, variants in cls.default()._entries.items()}
        with lzma.open(_OFFICIAL_CHANGES_FILE, "rt", encoding="utf-8") as file:
            for line in file:
                word, _, phones = line.rstrip("\n").partition(" ")
                if phones:
                    entries[word] = (phones,)
                else:
                    del entries[word]
        return cls(entries)

    def lookup(self, word: str) -> tuple[tuple[str, ...], ...]:
        """Find all pronunciations of a word.

        Args:
            word: A single word, in any case.

        Returns:
            Pronunciations, the default first; ``()`` if the word is unknown.
        """
        return tuple(tuple(phones.split(" ")) for phones in self._entries.get(word.lower(), ()))

    def __contains__(self, word: str) -> bool:
        return word.lower() in self._entries

    @property
    def words(self) -> KeysView[str]:
        """All words in lower case, in the dictionary's order."""
        return self._entries.keys()

    def with_additions(self, path: str | Path) -> Lexicon:
        """Return a new lexicon with the entries of a file put before its own.

        Args:
            path: Text file with one ``WORD  PH PH PH`` a line; ``#`` starts a comment.

        Returns:
            New lexicon; this one is unchanged.

        Raises:
            InputError: The file cannot be read, or a line has no phones, an unknown one, or no word.
        """
        added = _collect(_read_additions(Path(path)))
        merged = dict(self._entries)
        for word, phones in added.items():
            merged[word] = tuple(dict.fromkeys(phones + merged.get(word, ())))
        return Lexicon(merged)


def _collect(pairs: Iterable[list[str]]) -> dict[str, tuple[str, ...]]:
    entries: dict[str, tuple[str, ...]] = {}
    for word, phones in pairs:
        entries[word] = (*entries[word], phones) if word in entries else (phones,)
    return entries


def _read_additions(path: Path) -> Iterator[list[str]]:
    lines = read_text(path, expected="lexicon additions, WORD  PH PH a line").split("\n")
    for number, line in enumerate(lines, start=1):
        word, *phones = line.partition("#")[0].split() or [""]
        unknown = [phone for phone in phones if phone not in PHONES]
        if word and (unknown or not phones):
            received = f"unknown phone {unknown[0]!r}" if unknown else "no phones"
            raise InputError(f"{path}:{number}: word {word!r} has {received}; expected such as 'HELLO  HH AH0 L OW1'")
        if word and not _WORD.fullmatch(word):
            problem = "can stand in no text after normalisation; expected letters such as 'NAIVE' or 'WELL-KNOWN'"
            raise InputError(f"{path}:{number}: word {word!r} {problem}")
        if word:
            yield [word.lower(), " ".join(phones)]
