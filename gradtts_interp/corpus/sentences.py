"""Semantically unpredictable sentences from a small grammar: grammatical, varied in sound, free of any licence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gradtts_interp.errors import InputError


def _read_categories(text: str) -> dict[str, tuple[str, ...]]:
    """Words by category, from sections ``[noun]``, or ``[do did]`` of pairs such as ``draw/drew``."""
    found: dict[str, tuple[str, ...]] = {}
    for section in text.split("\n[")[1:]:
        names, _, words = section.partition("]")
        found |= zip(names.split(), zip(*(word.split("/") for word in words.split()), strict=True), strict=True)
    return found


CATEGORIES = _read_categories((Path(__file__).parent / "data" / "grammar.txt").read_text(encoding="utf-8"))
"""Common English words of the CMU dictionary, chosen for phonetic coverage."""

TEMPLATES = (
    "{det} {adj} {noun} {did} {det} {noun}.",
    "{det} {noun} {did} {num} {adj} {nouns}.",
    "{det} {adj} {noun} {went} {prep} {det} {adj} {noun}.",
    "{name} {did} {det} {adj} {noun} {adv}.",
    "{name} and {name} {did} {det} {noun} in {place}.",
    "{opener}, {det} {noun} {did} {det} {adj} {noun}.",
    "{opener}, {name} {went} {prep} {det} {noun}.",
    "{det} {noun} {went} {adv}, {conj} {name} {did} {det} {noun}.",
    "{name} {did} {det} {noun}, {conj} {det} {noun} {went}.",
    "{num} {adj} {nouns} {went} {adv} from {place} to {place}.",
    "did {det} {adj} {noun} {do} {det} {noun}?",
    "why did {name} {do} {det} {adj} {nouns}?",
    "will {name} {do} {det} {noun} {prep} {det} {noun}?",
    "how can {num} {nouns} {go} {prep} {place}?",
    "the {nouns} of {place} {did} {det} {adj} {noun}.",
    "{name}, {det} {noun} {did} {num} {nouns}.",
    "please {do} {det} {adj} {noun} {prep} {det} {noun}.",
    "never {do} the {noun} {prep} the {adj} {noun}!",
)

SINGULAR_TO_PLURAL_DETERMINER = {
    "a": "the",
    "this": "these",
    "that": "those",
    "every": "all",
    "each": "most",
    "another": "some",
}


def make_sentences(count: int, *, seed: int) -> list[str]:
    """Draw distinct sentences from the grammar.

    Args:
        count: Number of sentences.
        seed: Same seed, same sentences; a longer list starts with the shorter one.

    Returns:
        Sentences with a capital letter and final punctuation.

    Raises:
        InputError: The grammar runs dry.
    """
    random = np.random.default_rng(seed)
    sentences: dict[str, str] = {}
    for _ in range(20 * count + 100):
        if len(sentences) == count:
            return list(sentences.values())
        sentence = _draw(random)
        sentences.setdefault(sentence.lower(), sentence)
    raise InputError(f"only {len(sentences)} distinct sentences found; expected {count}")


def _draw(random: np.random.Generator) -> str:
    """Fill one random template; words of one category differ inside a sentence."""
    template = TEMPLATES[int(random.integers(len(TEMPLATES)))]
    words: list[str] = []
    for slot in template.split():
        words.append(_fill(slot, lambda options: options[int(random.integers(len(options)))], words))
    _fix_determiners(words, template.split())
    sentence = " ".join(words)
    return sentence[0].upper() + sentence[1:]


def _fill(slot: str, pick: Callable[[tuple[str, ...]], str], words: list[str]) -> str:
    """Replace ``{category}`` in a slot by a word not used yet (determiners may repeat)."""
    if not slot.startswith("{"):
        return slot
    category, mark = slot[1:].split("}")
    used = {word.strip(".,?!") for word in words}
    while True:
        word = pick(CATEGORIES[category])
        if category == "det" or word not in used:
            return word + mark


def _fix_determiners(words: list[str], slots: list[str]) -> None:
    """Make determiners agree: "a" before a vowel sound becomes "an", and plurals get a plural determiner."""
    for i, slot in enumerate(slots):
        if slot != "{det}":
            continue
        head = next(s for s in slots[i + 1 :] if s.startswith("{noun"))
        if head.startswith("{nouns"):
            words[i] = SINGULAR_TO_PLURAL_DETERMINER.get(words[i], words[i])
        elif words[i] == "a" and _starts_with_vowel_sound(words[i + 1]):
            words[i] = "an"


def _starts_with_vowel_sound(word: str) -> bool:
    """Whether "an" stands before a word of the lists."""
    if word.startswith(("hon", "hour")):
        return word.startswith(("honest", "hour"))
    if word.startswith(("us", "uni", "eur")):
        return False
    return word[0] in "aeiou"
