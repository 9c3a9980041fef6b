"""From a written word to its phones: dictionary first, then rules that build on it, then letter-to-sound.

The dictionary (``data/cmudict.txt.xz``) is the CMU Pronouncing Dictionary, Copyright (C) 1993-2015 Carnegie Mellon
University, under the BSD-style licence in ``data/cmudict.LICENSE``; from https://github.com/cmusphinx/cmudict; plus
additions of the project.

Letter-to-sound is a joint letter-phone n-gram model of our own. Each letter of a word becomes a *graphone*: the letter
with the zero, one or two phones that it stands for. A Kneser-Ney n-gram over graphones, trained on the CMU dictionary
by ``resources/lexicon/train_letter_to_sound.py``, is searched with a beam. The file ``data/letter_to_sound.npz``
holds arrays only (no pickle).

Source: Bisani and Ney 2008, "Joint-sequence models for grapheme-to-phoneme conversion".
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable, Iterator, KeysView, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.files import read_text

_DATA = Path(__file__).parent / "data"

# -- the dictionary ---------------------------------------------------------------------------------------------------

VOWELS = tuple("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
CONSONANTS = tuple("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())
PHONES = frozenset(CONSONANTS) | {vowel + stress for vowel in VOWELS for stress in "012"}
"""The 69 phones of the dictionary: vowels carry a stress digit, consonants do not."""

_WORD = re.compile(r"['-]*[A-Za-z][A-Za-z'.-]*")


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
        text = lzma.decompress((_DATA / "cmudict.txt.xz").read_bytes()).decode("utf-8")
        return cls(_collect(line.split(" ", 1) for line in text.splitlines()))

    @classmethod
    @lru_cache(maxsize=1)
    def official(cls) -> Lexicon:
        """Return the older dictionary that Grad-TTS looks words up in (release 0.7b, first pronunciations only).

        It is stored as its differences from ``default()``: a word alone is absent there, a word with phones differs.
        """
        entries = {word: variants[:1] for word, variants in cls.default()._entries.items()}
        with lzma.open(_DATA / "cmudict_07b_changes.txt.xz", "rt", encoding="utf-8") as file:
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
        problem = ""
        if unknown or not phones:
            received = f"unknown phone {unknown[0]!r}" if unknown else "no phones"
            problem = f"has {received}; expected such as 'HELLO  HH AH0 L OW1'"
        elif not _WORD.fullmatch(word):
            problem = "can stand in no text after normalisation; expected letters such as 'NAIVE' or 'WELL-KNOWN'"
        if word and problem:
            raise InputError(f"{path}:{number}: word {word!r} {problem}")
        if word:
            yield [word.lower(), " ".join(phones)]


# -- rules ------------------------------------------------------------------------------------------------------------

_CAMEL = re.compile(r"(?:[A-Z]?[a-z]{2,}|[A-Z]{2,}(?![a-z]))+(?:'s)?")
_SYLLABLES = re.compile("[^aeiou]?([aeiouy][^aeiou]{1,2})+[aeiou]?")
"""What can be read as a word although it stands in capitals, such as COVID."""
_VOICELESS = frozenset({"P", "T", "K", "F", "TH"})
_SIBILANT = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
_LEAST_CERTAIN_LAST = ("dictionary", "spelled", "letter_to_sound")
_LONGEST_INITIALISM = 5
"""Unknown words of at most so many letters are named letter by letter if without a vowel or in capitals like HDMI."""

Pronunciation = tuple[tuple[str, ...], str]
"""ARPAbet with stress digits; and how it was found: ``dictionary`` (also for words built from dictionary words),
``spelled`` or ``letter_to_sound``."""


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
        return _initialism(word, lexicon), "dictionary"
    bare = word.strip("'")
    for written in (word, word.lstrip("'"), word.rstrip("'"), bare):  # without quotes around it, and dogs' as dogs
        if written in lexicon:
            return lexicon.lookup(written)[0], "dictionary"
    parts = _parts(word)
    if len(parts) > 1:
        spoken, hows = zip(*(pronounce(part, lexicon) for part in parts), strict=True)
        return tuple(chain.from_iterable(spoken)), max(hows, key=_LEAST_CERTAIN_LAST.index)
    if bare.lower().endswith("'s"):
        phones, how = pronounce(re.sub("('s)+$", "", bare, flags=re.I), lexicon)
        return phones + plural_ending(phones), how
    phones = () if _is_initialism(bare) else LetterToSound.load().pronounce(bare)
    return (phones, "letter_to_sound") if phones else (letter_names(bare, lexicon), "spelled")


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


def _initialism(word: str, lexicon: Lexicon) -> tuple[str, ...]:
    letters = re.sub("'?s$", "", word) if not re.search("-s$", word) else word
    phones = letter_names(letters, lexicon)
    # An entry of the same sounds knows the stress.
    joined = lexicon.lookup(letters.replace("-", "")) if letters.isupper() else ()
    phones = next((variant for variant in joined if _plain(variant) == _plain(phones)), phones)
    return phones + (plural_ending(phones) if letters != word else ())


def _plain(phones: tuple[str, ...]) -> list[str]:
    return [phone.rstrip("012") for phone in phones]


def _is_initialism(word: str) -> bool:
    letters = word.replace("'", "")
    if len(letters) > _LONGEST_INITIALISM:
        return False
    if len(letters) == 1 or not re.search("[aeiouy]", letters.lower()):
        return True
    return letters.isupper() and not (len(letters) > 3 and _SYLLABLES.fullmatch(letters.lower()))


# -- letter-to-sound --------------------------------------------------------------------------------------------------

MODEL_FILE = _DATA / "letter_to_sound.npz"
SYMBOL_BITS = 10
"""Bits of one graphone in a packed history, so that at most 1023 graphones exist; 0 is the word boundary."""
NATS_PER_STEP = 0.05
"""Step of the stored log-probabilities (uint8, negated)."""
BEAM = 24
Hypothesis = tuple[float, int, tuple[int, ...]]
"""Log-probability, packed history, and the path of graphones."""


@dataclass(frozen=True)
class LetterToSound:
    """Joint n-gram model of graphones.

    Attributes:
        letters: Letter of each graphone, index 0 is the boundary ``#``.
        phones: Phones of each graphone, at most two.
        log_probability: For each order, packed n-gram -> ln p(last | others).
        log_backoff: For each order, packed history -> ln weight of the next lower order.
    """

    letters: tuple[str, ...]
    phones: tuple[tuple[str, ...], ...]
    log_probability: tuple[dict[int, float], ...]
    log_backoff: tuple[dict[int, float], ...]

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls, path: Path = MODEL_FILE) -> LetterToSound:
        """Read a model file, once.

        Args:
            path: ``.npz`` written by ``resources/lexicon/train_letter_to_sound.py``; the shipped one by default.

        Returns:
            The model.
        """
        with np.load(path, allow_pickle=False) as data:
            arrays = dict(data)
        inventory = [line.split() for line in arrays["graphones"].tobytes().decode("ascii").splitlines()]
        tables = [_read_order(arrays, order) for order in range(1, int(arrays["order"]) + 1)]
        phones = tuple(tuple(line[1:]) for line in inventory)
        return cls(tuple(line[0] for line in inventory), phones, *map(tuple, zip(*tables, strict=True)))

    def score(self, history: int, graphone: int) -> float:
        """Return ln p(graphone | history), backing off to shorter histories.

        Args:
            history: Packed graphones before it (``SYMBOL_BITS`` each, a leading 1 bit marks the length).
            graphone: Index of the graphone.

        Returns:
            Natural log-probability.
        """
        total = 0.0
        for length in range((history.bit_length() - 1) // SYMBOL_BITS, -1, -1):
            found = self.log_probability[length].get((history << SYMBOL_BITS) | graphone)
            if found is not None:
                return total + found
            if length:
                total += self.log_backoff[length - 1].get(history, 0.0)
                history = shorten(history, length - 1)
        return total - 20.0

    def pronounce(self, word: str) -> tuple[str, ...]:
        """Pronounce a word.

        Args:
            word: Letters a-z in any case; anything else is skipped.

        Returns:
            Phones of the best path of the beam search, ARPAbet with stress; ``()`` if the word has no letters.
        """
        spelling = [letter for letter in word.lower() if "a" <= letter <= "z"]
        beam: list[Hypothesis] = [(0.0, 1 << SYMBOL_BITS, ())]
        for letter in spelling:
            beam = self._extend(beam, [index for index, own in enumerate(self.letters) if own == letter])
        _, _, path = max(beam, key=lambda hypothesis: hypothesis[0] + self.score(hypothesis[1], 0))
        return tuple(phone for graphone in path for phone in self.phones[graphone])

    def _extend(self, beam: list[Hypothesis], graphones: list[int]) -> list[Hypothesis]:
        longest = len(self.log_probability) - 1
        extended: dict[int, Hypothesis] = {}
        for score, history, path in beam:
            for graphone in graphones:
                total = score + self.score(history, graphone)
                key = shorten((history << SYMBOL_BITS) | graphone, longest)
                if key not in extended or total > extended[key][0]:
                    extended[key] = (total, key, (*path, graphone))
        return sorted(extended.values(), key=lambda hypothesis: -hypothesis[0])[:BEAM]


def shorten(history: int, length: int) -> int:
    """Keep the last ``length`` graphones of a packed history."""
    size = length * SYMBOL_BITS
    return history if history.bit_length() - 1 <= size else (history & ((1 << size) - 1)) | (1 << size)


def _read_order(arrays: dict[str, NDArray], order: int) -> tuple[dict[int, float], dict[int, float]]:
    def table(name: str) -> dict[int, float]:
        """Packed n-gram, with the bit that marks its length, to its logarithm."""
        if f"{name}_key_{order}" not in arrays:
            return {}
        keys = np.cumsum(arrays[f"{name}_key_{order}"], dtype=np.uint64) | np.uint64(1 << (SYMBOL_BITS * order))
        return dict(zip(keys.tolist(), (arrays[f"{name}_nats_{order}"] * -NATS_PER_STEP).tolist(), strict=True))

    return table("probability"), table("backoff")
