"""Train and measure the letter-to-sound model: ``python resources/lexicon/train_letter_to_sound.py``.

Letters and phones are aligned by expectation maximisation (each letter takes zero to two phones), every aligned word is
a sequence of graphones, and an interpolated Kneser-Ney n-gram of them is pruned and quantised into a small file.
Deterministic; about two minutes on one core.

Source: Bisani and Ney 2008; Kneser and Ney 1995 for the smoothing; Stolcke 1998 for re-normalised back-off.
"""

from __future__ import annotations

import argparse
import logging
import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray
from torchaudio.functional import edit_distance

from gradtts_interp.text.pronounce import MODEL_FILE, NATS_PER_STEP, PHONES, SYMBOL_BITS, LetterToSound, Lexicon

logger = logging.getLogger(__name__)
PHONE_LIST = sorted(PHONES)
N_PHONES = len(PHONE_LIST)
N_CHUNKS = 1 + N_PHONES + N_PHONES * N_PHONES
ORDER = 6
MINIMUM_COUNT = (1, 1, 1, 1, 2, 2)
"""n-grams of each order seen less often are dropped from the model."""
DISCOUNT = 0.8
HELD_OUT = 20
"""Every 20th word (5 %) is held out for the measurement."""

Pair = tuple[str, tuple[str, ...]]


@numba.njit(cache=False)
def _chunk(phones: NDArray, stop: int, size: int) -> int:
    if size == 0:
        return 0
    if size == 1:
        return 1 + phones[stop - 1]
    return 1 + N_PHONES + phones[stop - 2] * N_PHONES + phones[stop - 1]


@numba.njit(cache=False)
def _forward(letters: NDArray, phones: NDArray, table: NDArray) -> NDArray:
    """Return the probability of the first i letters taking the first j phones, (letters + 1, phones + 1)."""
    sums = np.zeros((len(letters) + 1, len(phones) + 1))
    sums[0, 0] = 1.0
    for i in range(len(letters)):
        for j in range(len(phones) + 1):
            for size in range(min(2, j) + 1):
                sums[i + 1, j] += sums[i, j - size] * table[letters[i], _chunk(phones, j, size)]
    return sums


@numba.njit(cache=False)
def _expect(letters: NDArray, phones: NDArray, table: NDArray, counts: NDArray) -> None:
    """Add the expected uses of each (letter, chunk) in one word to ``counts``."""
    n, m = len(letters), len(phones)
    forward, backward = _forward(letters, phones, table), np.zeros((n + 1, m + 1))
    backward[n, m] = 1.0
    if forward[n, m] == 0.0:
        return
    for i in range(n - 1, -1, -1):
        for j in range(m + 1):
            for size in range(min(2, m - j) + 1):
                chunk = _chunk(phones, j + size, size)
                onward = table[letters[i], chunk] * backward[i + 1, j + size]
                backward[i, j] += onward
                counts[letters[i], chunk] += forward[i, j] * onward / forward[n, m]


@numba.njit(cache=False)
def _best_sizes(letters: NDArray, phones: NDArray, table: NDArray) -> NDArray:
    """Return how many phones each letter takes on the best path, or an empty array if there is no path."""
    n, m = len(letters), len(phones)
    best = np.zeros((n + 1, m + 1))
    came = np.zeros((n + 1, m + 1), dtype=np.int64)
    best[0, 0] = 1.0
    for i in range(n):
        for j in range(m + 1):
            for size in range(min(2, j) + 1):
                value = best[i, j - size] * table[letters[i], _chunk(phones, j, size)]
                if value > best[i + 1, j]:
                    best[i + 1, j], came[i + 1, j] = value, size
    if best[n, m] == 0.0:
        return np.zeros(0, dtype=np.int64)
    sizes, j = np.zeros(n, dtype=np.int64), m
    for i in range(n, 0, -1):
        sizes[i - 1] = came[i, j]
        j -= sizes[i - 1]
    return sizes


def align(pairs: Sequence[Pair], *, iterations: int = 8) -> list[list[str]]:
    """Align letters and phones.

    Args:
        pairs: Words of letters a-z with their phones.
        iterations: Rounds of expectation maximisation.

    Returns:
        For each word that can be aligned, its graphones as text: letter and phones joined by spaces.
    """
    index = {phone: number for number, phone in enumerate(PHONE_LIST)}
    coded = [
        (np.array([ord(letter) - 97 for letter in word]), np.array([index[phone] for phone in phones]))
        for word, phones in pairs
    ]
    table = np.full((26, N_CHUNKS), 0.01 / N_PHONES**2)
    table[:, : 1 + N_PHONES] = 1.0 / (2 * N_PHONES)
    for _ in range(iterations):
        counts = np.zeros_like(table)
        for letters, phones in coded:
            _expect(letters, phones, table, counts)
        counts[counts < 0.5] = 0.0
        table = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)
    table[table < 1e-5] = 0.0
    aligned = []
    for (word, spoken), (letters, phones) in zip(pairs, coded, strict=True):
        stops = np.cumsum(_best_sizes(letters, phones, table)).tolist()
        starts = [0, *stops[:-1]]
        graphones = [" ".join((word[i], *spoken[starts[i] : stops[i]])) for i in range(len(stops))]
        if graphones:
            aligned.append(graphones)
    return aligned


def count_ngrams(sequences: Iterable[Sequence[int]], order: int) -> list[Counter[tuple[int, ...]]]:
    """Count n-grams of all orders up to ``order``, with one boundary before and one after each word.

    Args:
        sequences: Graphone indices of each word; 0 is the boundary.
        order: Longest n-gram.

    Returns:
        Counters by order; below the highest order they count distinct left neighbours (Kneser-Ney), except where
        an n-gram starts at the boundary, which nothing precedes.
    """
    raw: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order)]
    for sequence in sequences:
        padded = (0, *sequence, 0)
        for size in range(1, order + 1):
            raw[size - 1].update(padded[i : i + size] for i in range(len(padded) - size + 1))
    for size in range(1, order):
        continuation: Counter[tuple[int, ...]] = Counter(ngram[1:] for ngram in raw[size])
        for ngram, number in raw[size - 1].items():
            if ngram[0] == 0 and size > 1:
                continuation[ngram] = number
        raw[size - 1] = continuation
    return raw


class KneserNey:
    """Interpolated Kneser-Ney estimate from counts, then pruned to a back-off model."""

    def __init__(self, counts: list[Counter[tuple[int, ...]]]):
        self.counts = counts
        self.totals: list[Counter[tuple[int, ...]]] = []
        self.kinds: list[Counter[tuple[int, ...]]] = []
        for counter in counts:
            total: Counter[tuple[int, ...]] = Counter()
            for ngram, number in counter.items():
                total[ngram[:-1]] += number
            self.totals.append(total)
            self.kinds.append(Counter(ngram[:-1] for ngram in counter))
        self._known: dict[tuple[int, ...], float] = {}

    def probability(self, ngram: tuple[int, ...]) -> float:
        """Return p(last | others), interpolated with all lower orders."""
        if not ngram:
            return 1.0 / max(len(self.counts[0]), 1)
        if ngram not in self._known:
            size, history = len(ngram) - 1, ngram[:-1]
            total = self.totals[size][history]
            lower = self.probability(ngram[1:])
            if total:
                own = max(self.counts[size][ngram] - DISCOUNT, 0.0) / total
                lower = own + DISCOUNT * self.kinds[size][history] / total * lower
            self._known[ngram] = lower
        return self._known[ngram]

    def pruned(self) -> tuple[list[dict[tuple[int, ...], float]], list[dict[tuple[int, ...], float]]]:
        """Return ln p of the kept n-grams and ln back-off of their histories, by order."""
        kept = [
            {ngram: self.probability(ngram) for ngram, number in counter.items() if number >= minimum}
            for counter, minimum in zip(self.counts, MINIMUM_COUNT, strict=True)
        ]
        backoffs: list[dict[tuple[int, ...], float]] = [{} for _ in kept]
        for size in range(1, len(kept)):
            high: dict[tuple[int, ...], float] = defaultdict(float)
            low: dict[tuple[int, ...], float] = defaultdict(float)
            for ngram, value in kept[size].items():
                high[ngram[:-1]] += value
                low[ngram[:-1]] += self.probability(ngram[1:])
            for history, mass in high.items():
                left, free = max(1.0 - mass, 1e-4), max(1.0 - low[history], 1e-4)
                backoffs[size - 1][history] = math.log(min(left / free, 1.0))
        logs = [{ngram: math.log(value) for ngram, value in table.items()} for table in kept]
        return logs, backoffs


def save(path: Path, inventory: Sequence[str], model: KneserNey) -> None:
    """Write the model as arrays: sorted packed keys as differences, log-probabilities as bytes.

    Args:
        path: ``.npz`` file to write.
        inventory: Graphones as text, the boundary first.
        model: Estimates to prune and store.
    """
    arrays: dict[str, NDArray] = {
        "graphones": np.frombuffer("\n".join(inventory).encode("ascii"), dtype=np.uint8),
        "order": np.array(len(model.counts)),
    }
    logs, backoffs = model.pruned()
    for name, tables in (("probability", logs), ("backoff", backoffs)):
        for order, table in enumerate(tables, start=1):
            if table or name == "probability":
                packed = sorted((_pack(ngram), value) for ngram, value in table.items())
                keys = np.array([key for key, _ in packed], dtype=np.uint64)
                nats = np.array([value for _, value in packed])
                arrays[f"{name}_key_{order}"] = np.diff(keys, prepend=np.uint64(0))
                arrays[f"{name}_nats_{order}"] = np.clip(np.round(-nats / NATS_PER_STEP), 0, 255).astype(np.uint8)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def _pack(ngram: tuple[int, ...]) -> int:
    key = 0
    for symbol in ngram:
        key = (key << SYMBOL_BITS) | symbol
    return key


def train(pairs: Sequence[Pair], path: Path) -> LetterToSound:
    """Train on words and write the model.

    Args:
        pairs: Words of letters a-z with their phones.
        path: ``.npz`` file to write.

    Returns:
        The model, read back from ``path``.
    """
    aligned = align(pairs)
    uses = Counter(graphone for word in aligned for graphone in word)
    inventory = ["#", *(graphone for graphone, number in sorted(uses.items()) if number >= 3)]
    numbers = {graphone: index for index, graphone in enumerate(inventory)}
    logger.info("%d of %d words aligned, %d graphones", len(aligned), len(pairs), len(inventory))
    sequences = [[numbers[graphone] for graphone in word] for word in aligned if all(g in numbers for g in word)]
    save(path, inventory, KneserNey(count_ngrams(sequences, ORDER)))
    return LetterToSound.load(path)


def measure(model: LetterToSound, lexicon: Lexicon, words: Sequence[str]) -> dict[str, float]:
    """Measure the errors on held-out words, each against its nearest dictionary variant.

    Args:
        model: Model to measure.
        lexicon: The truth.
        words: Held-out words.

    Returns:
        Shares in [0, 1]: ``phone_error``, ``word_error`` and both without stress digits.
    """
    errors: Counter[str] = Counter()
    phones = 0
    for word in words:
        spoken = model.pronounce(word)
        variants = lexicon.lookup(word)
        distance, length = min((edit_distance(variant, spoken), len(variant)) for variant in variants)
        plain = min(edit_distance(_unstressed(variant), _unstressed(spoken)) for variant in variants)
        phones += length
        errors.update(phone_error=distance, word_error=int(distance > 0))
        errors.update(phone_error_unstressed=plain, word_error_unstressed=int(plain > 0))
    return {name: value / (phones if name.startswith("phone") else len(words)) for name, value in errors.items()}


def _unstressed(phones: Sequence[str]) -> tuple[str, ...]:
    return tuple(phone.rstrip("012") for phone in phones)


def main() -> None:
    """Train on 95 % of the dictionary and log the errors on the rest, then train on all of it and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=MODEL_FILE, help="model file to write (.npz)")
    parser.add_argument("--measure-only", action="store_true", help="keep the model of the 95 %% part")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    lexicon = Lexicon.default()
    words = [word for word in lexicon.words if re.fullmatch("[a-z]{2,}", word)]
    start = time.perf_counter()
    part = [(word, phones) for i, word in enumerate(words) if i % HELD_OUT for phones in lexicon.lookup(word)[:1]]
    model = train(part, arguments.out)
    logger.info("errors on held-out words: %s", measure(model, lexicon, words[::HELD_OUT]))
    if not arguments.measure_only:
        train([(word, phones) for word in words for phones in lexicon.lookup(word)[:1]], arguments.out)
    logger.info("%.0f s, %d bytes", time.perf_counter() - start, arguments.out.stat().st_size)


if __name__ == "__main__":
    main()
