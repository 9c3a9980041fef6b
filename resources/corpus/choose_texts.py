"""Choose the sentences of the demo corpus anew: ``python resources/corpus/choose_texts.py``.

Example sentences of WordNet, chosen for the sounds they hold, and semantically unpredictable ones by a small grammar:
grammatical, varied in sound, free of any licence. The lists are part of the package, so that nobody needs WordNet
(Debian's ``wordnet-base``) but here. WordNet 3.0 is Copyright 2006 by Princeton University; its licence, beside the
lists in ``gradtts_interp/corpus/data/WORDNET-LICENSE``, allows use and distribution for any purpose with its notice.
"""

from __future__ import annotations

import argparse
import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from gradtts_interp.corpus.plan import DATA
from gradtts_interp.errors import InputError
from gradtts_interp.files import write_text
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.text.pronounce import Lexicon

HERE = Path(__file__).parent
WORDNET = Path("/usr/share/wordnet")
WORDNET_PARTS = ("adj", "adv", "noun", "verb")
SHORTEST_WORDS, LONGEST_WORDS = 5, 14
HELD_OUT_WORDS = 320
"""Words that training never has; each stands in one or two sentences of the pool."""
GRAMMAR_SEED = 1000
RARE_SHARE = 0.75
"""Of the held-out sentences, so many hold a held-out word; the others are of known words."""

_SENTENCE = re.compile(r"[A-Za-z][A-Za-z',;:?! -]*[A-Za-z?!.]")
_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?")
_LEFT_OUT = frozenset(
    "ass bastard bitch cock crap cunt damn dick fag fuck fucking hell nigger piss prick pussy rape raped rapist screw "
    "screwed sex sexual sexually shit slut tit tits whore".split()
)


def words_of(sentence: str) -> list[str]:
    """Words of a sentence in lower case."""
    return [word.lower() for word in _WORD.findall(sentence)]


def wordnet_examples(folder: Path = WORDNET) -> list[str]:
    """Find WordNet's example sentences that can be spoken from the dictionary.

    Args:
        folder: Where Debian's ``wordnet-base`` puts its files.

    Returns:
        Sentences with a capital letter first and a mark last, in the order of the files, each once.

    Raises:
        InputError: The files are not there.
    """
    lexicon = Lexicon.default()
    found: dict[str, str] = {}
    for part in WORDNET_PARTS:
        path = folder / f"data.{part}"
        if not path.is_file():
            raise InputError(f"{path}: no such file; expected WordNet's, from the Debian package wordnet-base")
        for line in path.read_text(encoding="latin-1").splitlines():
            gloss = line.partition("|")[2]
            for example in re.findall(r'"([^"]+)"', gloss):
                sentence = _tidy(example)
                if sentence and all(word in lexicon for word in words_of(sentence)):
                    found.setdefault(sentence.lower(), sentence)
    return list(found.values())


def choose_texts(examples: Sequence[str], *, train: int, held_out: int, seed: int) -> tuple[list[str], list[str]]:
    """Divide sentences into those to train on and those to hold out.

    Held out are first words, then sentences: whatever holds a held-out word is never trained on. Of the rest, the
    sentences to train on are chosen one by one, each time the one whose pairs and triples of phones, with stress, are
    rarest so far for its length.

    Args:
        examples: Sentences.
        train: How many to train on.
        held_out: How many to hold out.
        seed: Of what is drawn.

    Returns:
        Training sentences in the order they were chosen, and held-out ones.

    Raises:
        InputError: There are not enough sentences.
    """
    random = np.random.default_rng([seed, 31])
    order = [examples[i] for i in random.permutation(len(examples))]
    counts = Counter(word for sentence in order for word in set(words_of(sentence)))
    rare = sorted(word for word, count in counts.items() if count in (1, 2) and len(word) > 3)
    kept_words = {rare[i] for i in random.permutation(len(rare))[:HELD_OUT_WORDS]}
    with_rare = [s for s in order if kept_words & set(words_of(s))]
    known = [s for s in order if not kept_words & set(words_of(s))]
    n_rare = min(len(with_rare), round(RARE_SHARE * held_out))
    out = [*with_rare[:n_rare], *known[: held_out - n_rare]]
    pool = known[held_out - n_rare :]
    if len(pool) < train:
        raise InputError(f"{len(pool)} sentences are left to train on; expected at least {train}")
    return _by_coverage(pool, train), out


def _by_coverage(pool: Sequence[str], count: int) -> list[str]:
    """Choose sentences greedily by the new pairs and triples of phones they bring, per phone."""
    frontend = TextFrontend(add_blank=False)
    units = []
    for sentence in pool:
        phones = [token for token in frontend(sentence).tokens if token[0] == "@"]
        pairs = [*zip(phones[:-1], phones[1:], strict=True), *zip(phones[:-2], phones[1:-1], phones[2:], strict=True)]
        units.append((pairs, len(phones)))
    said: Counter[tuple[str, ...]] = Counter()

    def gain(index: int) -> float:
        pairs, length = units[index]
        return sum(1 / (1 + said[pair]) ** 2 for pair in pairs) / length

    heap = [(-gain(i), i) for i in range(len(pool))]
    heapq.heapify(heap)
    chosen: list[str] = []
    while len(chosen) < count:
        _, index = heapq.heappop(heap)
        now = -gain(index)  # gains only fall, so one that is still the best is the best
        if heap and now > heap[0][0]:
            heapq.heappush(heap, (now, index))
            continue
        chosen.append(pool[index])
        said.update(units[index][0])
    return chosen


def write_texts(
    folder: Path = DATA, *, wordnet: Path = WORDNET, train: int = 10500, grammar: int = 700, seed: int = 0
) -> None:
    """Choose the sentences anew and write the lists.

    Args:
        folder: Where the lists go.
        wordnet: WordNet's files.
        train: Sentences of WordNet to train on.
        grammar: Sentences by grammar beside them: questions, numbers in words, names, commas.
        seed: Of what is drawn.
    """
    chosen, out = choose_texts(wordnet_examples(wordnet), train=train, held_out=320, seed=seed)
    unknown = new_words(out, chosen)
    made = [s for s in make_sentences(2 * grammar, seed=GRAMMAR_SEED + seed) if not unknown & set(words_of(s))]
    every = max(1, len(chosen) // grammar)
    mixed: list[str] = []
    for place, sentence in enumerate(chosen):
        mixed.append(sentence)
        if place % every == 0 and place // every < grammar:
            mixed.append(made[place // every])
    for name, lines in (("train.txt", mixed), ("held_out.txt", out)):
        write_text(folder / name, "".join(f"{line}\n" for line in lines))


def _tidy(example: str) -> str:
    """Make a sentence of an example, or nothing where it cannot be one."""
    text = " ".join(example.split()).replace(" - ", ", ").rstrip(" .;,")
    words = words_of(text)
    if not SHORTEST_WORDS <= len(words) <= LONGEST_WORDS or not _SENTENCE.fullmatch(text):
        return ""
    if _LEFT_OUT & set(words) or re.search(r"\b[A-Z]{2,}\b|-", text):
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in "?!" else ".")


def new_words(sentences: Iterable[str], known: Iterable[str]) -> set[str]:
    """Words of ``sentences`` that none of ``known`` has."""
    return {w for s in sentences for w in words_of(s)} - {w for s in known for w in words_of(s)}


# -- grammar ---------------------------------------------------------------------------------------------------------


def _read_categories(text: str) -> dict[str, tuple[str, ...]]:
    """Words by category, from sections ``[noun]``, or ``[do did]`` of pairs such as ``draw/drew``."""
    found: dict[str, tuple[str, ...]] = {}
    for section in text.split("\n[")[1:]:
        names, _, words = section.partition("]")
        found |= zip(names.split(), zip(*(word.split("/") for word in words.split()), strict=True), strict=True)
    return found


CATEGORIES = _read_categories((HERE / "grammar.txt").read_text(encoding="utf-8"))
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


def main() -> None:
    """Write both lists into the package."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=DATA, help="folder of train.txt and held_out.txt")
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help="folder of WordNet's files")
    args = parser.parse_args()
    write_texts(args.out, wordnet=args.wordnet)


if __name__ == "__main__":
    main()
