"""Pronunciation of words that no dictionary knows: a joint letter-phone n-gram model of our own.

Each letter of a word becomes a *graphone*: the letter with the zero, one or two phones that it stands for. A Kneser-Ney
n-gram over graphones, trained on the CMU dictionary by ``resources/lexicon/train_letter_to_sound.py``, is
searched with a beam. The file ``data/letter_to_sound.npz`` holds arrays only (no pickle).

Source: Bisani and Ney 2008, "Joint-sequence models for grapheme-to-phoneme conversion".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.errors import InputError

MODEL_FILE = Path(__file__).parent / "data" / "letter_to_sound.npz"
SYMBOL_BITS = 10
"""Bits of one graphone in a packed history, so that at most 1023 graphones exist; 0 is the word boundary."""
NATS_PER_STEP = 0.05
"""Step of the stored log-probabilities (uint8, negated)."""
BEAM = 24
Hypothesis = tuple[float, int, "tuple[int, Any] | None"]
"""Log-probability, packed history, and the path as a linked list of graphones, last first."""


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
            path: ``.npz`` written by the training module.

        Returns:
            The model.

        Raises:
            InputError: The file is missing or of another kind.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
            inventory = [line.split() for line in arrays["graphones"].tobytes().decode("ascii").splitlines()]
            tables = [_read_order(arrays, order) for order in range(1, int(arrays["order"]) + 1)]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"cannot read the letter-to-sound model {path}: {error}") from error
        return cls(
            letters=tuple(line[0] for line in inventory),
            phones=tuple(tuple(line[1:]) for line in inventory),
            log_probability=tuple(table[0] for table in tables),
            log_backoff=tuple(table[1] for table in tables),
        )

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
            beam = self._extend(beam, self._graphones_of(letter))
        _, _, path = max(beam, key=lambda hypothesis: hypothesis[0] + self.score(hypothesis[1], 0))
        graphones: list[int] = []
        while path is not None:
            last, path = path
            graphones.append(last)
        return tuple(phone for graphone in reversed(graphones) for phone in self.phones[graphone])

    def _graphones_of(self, letter: str) -> list[int]:
        return [index for index, own in enumerate(self.letters) if own == letter]

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
