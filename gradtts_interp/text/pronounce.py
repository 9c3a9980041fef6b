"""From a written word to its phones: dictionary first, then rules that build on it, then letter-to-sound.

Letter-to-sound is a joint letter-phone n-gram model of our own. Each letter of a word becomes a *graphone*: the letter
with the zero, one or two phones that it stands for. A Kneser-Ney n-gram over graphones, trained on the CMU dictionary
by ``resources/lexicon/train_letter_to_sound.py``, is searched with a beam. The file ``data/letter_to_sound.npz``
holds arrays only (no pickle).

Source: Bisani and Ney 2008, "Joint-sequence models for grapheme-to-phoneme conversion".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.text.lexicon import Lexicon

_CAMEL = re.compile(r"(?:[A-Z]?[a-z]{2,}|[A-Z]{2,}(?![a-z]))+(?:'s)?")
_SYLLABLES = re.compile("[^aeiou]?([aeiouy][^aeiou]{1,2})+[aeiou]?")
"""What can be read as a word although it stands in capitals, such as COVID."""
_VOICELESS = frozenset({"P", "T", "K", "F", "TH"})
_SIBILANT = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
_LEAST_CERTAIN_LAST = ("dictionary", "spelled", "letter_to_sound")
_LONGEST_INITIALISM = 5
"""Unknown words of at most so many letters are named letter by letter if without a vowel or in capitals like HDMI."""

MODEL_FILE = Path(__file__).parent / "data" / "letter_to_sound.npz"
SYMBOL_BITS = 10
"""Bits of one graphone in a packed history, so that at most 1023 graphones exist; 0 is the word boundary."""
NATS_PER_STEP = 0.05
"""Step of the stored log-probabilities (uint8, negated)."""
BEAM = 24
Hypothesis = tuple[float, int, "tuple[int, Any] | None"]
"""Log-probability, packed history, and the path as a linked list of graphones, last first."""


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


# -- letter-to-sound ---------------------------------------------------------------------------------------------------


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
    def default(cls) -> LetterToSound:
        """Return the shipped model, loaded once."""
        return cls.load(MODEL_FILE)

    @classmethod
    def load(cls, path: Path) -> LetterToSound:
        """Read a model file.

        Args:
            path: ``.npz`` written by ``resources/lexicon/train_letter_to_sound.py``.

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
        while True:
            length = (history.bit_length() - 1) // SYMBOL_BITS
            key = (history << SYMBOL_BITS) | graphone
            found = self.log_probability[length].get(key)
            if found is not None:
                return total + found
            if length == 0:
                return total - 20.0
            total += self.log_backoff[length - 1].get(history, 0.0)
            history = shorten(history, length - 1)

    def pronounce(self, word: str) -> tuple[str, ...]:
        """Pronounce a word.

        Args:
            word: Letters a-z in any case; anything else is skipped.

        Returns:
            Phones of the best path of the beam search, ARPAbet with stress; ``()`` if the word has no letters.
        """
        spelling = [letter for letter in word.lower() if "a" <= letter <= "z"]
        beam: list[Hypothesis] = [(0.0, 1 << SYMBOL_BITS, None)]
        for letter in spelling:
            beam = self._extend(beam, [index for index, own in enumerate(self.letters) if own == letter])
        _, _, path = max(beam, key=lambda hypothesis: hypothesis[0] + self.score(hypothesis[1], 0))
        graphones: list[int] = []
        while path is not None:
            last, path = path
            graphones.append(last)
        return tuple(phone for graphone in reversed(graphones) for phone in self.phones[graphone])

    def _extend(self, beam: list[Hypothesis], graphones: list[int]) -> list[Hypothesis]:
        longest = len(self.log_probability) - 1
        extended: dict[int, Hypothesis] = {}
        for score, history, path in beam:
            for graphone in graphones:
                total = score + self.score(history, graphone)
                key = shorten((history << SYMBOL_BITS) | graphone, longest)
                if key not in extended or total > extended[key][0]:
                    extended[key] = (total, key, (graphone, path))
        return sorted(extended.values(), key=lambda hypothesis: -hypothesis[0])[:BEAM]


def shorten(history: int, length: int) -> int:
    """Keep the last ``length`` graphones of a packed history."""
    size = length * SYMBOL_BITS
    return history if history.bit_length() - 1 <= size else (history & ((1 << size) - 1)) | (1 << size)


def _read_order(arrays: dict[str, NDArray], order: int) -> tuple[dict[int, float], dict[int, float]]:
    def table(name: str) -> dict[int, float]:
        keys = np.cumsum(arrays[f"{name}_key_{order}"], dtype=np.uint64).tolist()
        return dict(zip(keys, (arrays[f"{name}_nats_{order}"] * -NATS_PER_STEP).tolist(), strict=True))

    marker = 1 << (SYMBOL_BITS * order)
    probability = {key | marker: value for key, value in table("probability").items()}
    if f"backoff_key_{order}" not in arrays:
        return probability, {}
    return probability, {key | marker: value for key, value in table("backoff").items()}
