"""From flite's phones to the model's tokens: ARPAbet with stress from the dictionary, punctuation for silence.

flite says what was really spoken but without stress; the dictionary knows the stress but not the variant. The two are
aligned by edit distance over all variants of every word at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gradtts_interp.corpus.flite import SpokenPhones
from gradtts_interp.errors import InputError
from gradtts_interp.text.lexicon import CONSONANTS, VOWELS, Lexicon

PUNCTUATION = (",", ".", "?", "!", ";", ":")
LEADING_SILENCE = " "
HIGHEST_MISMATCH = 0.2
LEADING_SECONDS = 0.07
TRAILING_SECONDS = 0.09

_SPECIAL = {"ax": "AH", "axr": "ER", "ix": "IH", "el": "L", "em": "M", "en": "N", "nx": "N", "dx": "T", "hv": "HH"}
_VOWEL_SET = frozenset(VOWELS)
_CONSONANT_SET = frozenset(CONSONANTS)
_WORD = re.compile(r"[a-zA-Z']+|[,.?!;:]")


@dataclass(frozen=True)
class Labels:
    """Tokens of one spoken sentence with their times.

    Attributes:
        tokens: Model tokens: ``" "`` first, phones with stress, punctuation for inner pauses, final punctuation last.
        end_seconds: End of each token, strictly rising, from ``start_seconds``.
        start_seconds: Where the first token begins in the audio.
        words: Each word as (text, first token, token after its last).
        mismatch: Phones that differ from the dictionary over all phones.
    """

    tokens: tuple[str, ...]
    end_seconds: tuple[float, ...]
    start_seconds: float
    words: tuple[tuple[str, int, int], ...]
    mismatch: float


@dataclass(frozen=True)
class Match:
    """One step of an alignment: a dictionary phone, a spoken phone (its index), or both.

    Attributes:
        word: Index of the word.
        expected: Dictionary phone with stress, or None for an inserted phone.
        spoken: Index of the spoken phone, or None for a phone left out.
    """

    word: int
    expected: str | None
    spoken: int | None


def make_labels(text: str, spoken: SpokenPhones, lexicon: Lexicon) -> Labels:
    """Label a spoken sentence.

    Args:
        text: The sentence.
        spoken: What flite said.
        lexicon: Dictionary of all words of ``text``.

    Returns:
        Tokens and times, leading and trailing silence cut to ``LEADING_SECONDS`` and ``TRAILING_SECONDS``.

    Raises:
        InputError: A word is not in the dictionary, nothing was spoken, or more than ``HIGHEST_MISMATCH`` of the phones
            differ from the dictionary.
    """
    words, marks = split_text(text)
    voiced = [i for i, phone in enumerate(spoken.phones) if phone != "pau"]
    if not voiced or not words:
        raise InputError(f"nothing was spoken for {text!r}; expected words")
    path = align_phones(words, [strip_phone(spoken.phones[i]) for i in voiced], lexicon)
    differing = sum(not _same(m, spoken.phones, voiced) for m in path)
    mismatch = differing / len(path)
    if mismatch > HIGHEST_MISMATCH:
        limit = f"expected at most {HIGHEST_MISMATCH:.0%}"
        raise InputError(f"{text!r}: {mismatch:.0%} of its phones differ from the dictionary; {limit}")
    chosen = {voiced[m.spoken]: m for m in path if m.spoken is not None}
    return _collect(words, marks, spoken, chosen, mismatch)


def split_text(text: str) -> tuple[list[str], dict[int, str]]:
    """Split a sentence into lower-case words and the punctuation after each.

    Args:
        text: A sentence.

    Returns:
        Words, and a mapping from the index of a word to the mark that follows it.
    """
    words: list[str] = []
    marks: dict[int, str] = {}
    for piece in _WORD.findall(text):
        if piece in PUNCTUATION:
            if words:
                marks[len(words) - 1] = piece
        else:
            words.append(piece.lower())
    return words, marks


def strip_phone(phone: str) -> str:
    """Turn flite's phone into ARPAbet without stress; an unknown one is an error that names it."""
    name = _SPECIAL.get(phone, phone.upper())
    if name not in _VOWEL_SET and name not in _CONSONANT_SET:
        raise InputError(f"phone {phone!r}; expected one of flite's English phones")
    return name


def align_phones(words: list[str], spoken: list[str], lexicon: Lexicon) -> list[Match]:
    """Align spoken phones with the dictionary, choosing the variant of each word, by minimal edit distance.

    Args:
        words: The words of the sentence.
        spoken: ARPAbet without stress (J,).
        lexicon: Where the variants come from.

    Returns:
        The cheapest path from the first to the last phone.

    Raises:
        InputError: A word is not in the dictionary.
    """
    # A cell is (cost, path as nested pairs); column[j] has consumed j spoken phones.
    column: list[tuple[float, Any]] = [(0.0, None)]
    for j in range(len(spoken)):
        column.append((column[j][0] + 1.0, (column[j][1], Match(0, None, j))))
    for index, word in enumerate(words):
        variants = lexicon.lookup(word)
        if not variants:
            raise InputError(f"word {word!r} is not in the dictionary; expected words it knows")
        ends = []
        for variant in variants:
            current = column
            for expected in variant:
                current = _advance(current, expected, index, spoken)
            ends.append(current)
        column = [min(cells, key=lambda cell: cell[0]) for cells in zip(*ends, strict=True)]
    path: list[Match] = []
    link = column[-1][1]
    while link is not None:
        link, match = link
        path.append(match)
    return path[::-1]


def _advance(column: list[tuple[float, Any]], expected: str, word: int, spoken: list[str]) -> list[tuple[float, Any]]:
    """Consume one dictionary phone: the next column of the edit-distance table."""
    bare = expected.rstrip("012")
    cost, path = column[0]
    result: list[tuple[float, Any]] = [(cost + 1.0, (path, Match(word, expected, None)))]
    for j, phone in enumerate(spoken):
        options = (
            (column[j][0] + _substitution(bare, phone), column[j][1], Match(word, expected, j)),
            (column[j + 1][0] + 1.0, column[j + 1][1], Match(word, expected, None)),
            (result[j][0] + 1.0, result[j][1], Match(word, None, j)),
        )
        cost, path, match = min(options, key=lambda option: option[0])
        result.append((cost, (path, match)))
    return result


def _substitution(expected: str, spoken: str) -> float:
    """Cost of saying one phone for another: vowels pass for vowels more easily."""
    if expected == spoken:
        return 0.0
    return 0.7 if (expected in _VOWEL_SET) == (spoken in _VOWEL_SET) else 1.5


def _same(match: Match, phones: tuple[str, ...], voiced: list[int]) -> bool:
    """Whether a step pairs equal phones."""
    if match.spoken is None or match.expected is None:
        return False
    return strip_phone(phones[voiced[match.spoken]]) == match.expected.rstrip("012")


def token_of(phone: str, expected: str | None) -> str:
    """Name the token of a spoken phone.

    Args:
        phone: flite's phone.
        expected: The dictionary's phone at its place, or None.

    Returns:
        The dictionary's symbol where they agree, else the spoken phone with the dictionary's stress (0 without one).
    """
    bare = strip_phone(phone)
    if expected is not None and expected.rstrip("012") == bare:
        return expected
    if bare in _CONSONANT_SET:
        return bare
    stress = expected[-1] if expected is not None and expected[-1] in "012" and phone != "ax" else "0"
    return bare + stress


def _collect(
    words: list[str], marks: dict[int, str], spoken: SpokenPhones, chosen: dict[int, Match], mismatch: float
) -> Labels:
    """Build the tokens from the phones and their matches."""
    first, last = min(chosen), max(chosen)
    speech_start = spoken.end_seconds[first - 1] if first else 0.0
    start = max(0.0, speech_start - LEADING_SECONDS)
    tokens, ends = [LEADING_SILENCE], [speech_start]
    spans: dict[int, tuple[int, int]] = {}
    word = 0
    for i in range(first, last + 1):
        match = chosen.get(i)
        if match is None:
            tokens.append(marks.get(word, ","))
        else:
            # An inserted phone before the first phone of a word belongs to the word before it.
            word = max(word, match.word)
            spans[word] = (spans.get(word, (len(tokens), 0))[0], len(tokens) + 1)
            tokens.append(token_of(spoken.phones[i], match.expected))
        ends.append(spoken.end_seconds[i])
    tokens.append(marks.get(len(words) - 1, "."))
    ends.append(min(ends[-1] + TRAILING_SECONDS, spoken.end_seconds[-1]))
    named = tuple((words[w], *spans[w]) for w in sorted(spans))
    return Labels(tuple(tokens), _strictly_rising(ends, start), start, named, mismatch)


def _strictly_rising(ends: list[float], start: float, *, shortest: float = 0.002) -> tuple[float, ...]:
    """Move ends that coincide with the one before a little later, so that each token has a length."""
    result: list[float] = []
    before = start
    for end in ends:
        before = max(end, before + shortest)
        result.append(before)
    return tuple(result)
