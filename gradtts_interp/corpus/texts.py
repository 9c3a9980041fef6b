"""What is said in the demo corpus: example sentences of WordNet, chosen for the sounds they hold, and some by grammar.

The lists are part of the package (``data/train.txt``, ``data/held_out.txt``), so that WordNet is needed only to choose
anew (``gradtts-interp corpus texts``). WordNet 3.0 is Copyright 2006 by Princeton University; its licence, beside the
lists in ``data/WORDNET-LICENSE``, allows use and distribution for any purpose with its notice.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from gradtts_interp.corpus.sentences import make_sentences
from gradtts_interp.errors import InputError
from gradtts_interp.files import write_text
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.text.lexicon import Lexicon

DATA = Path(__file__).parent / "data"
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


def held_out_texts() -> list[str]:
    """Sentences that are never trained on."""
    return _read(DATA / "held_out.txt")


def training_texts() -> list[str]:
    """Sentences to train on, the ones that add most sounds first."""
    return _read(DATA / "train.txt")


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


def _read(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def new_words(sentences: Iterable[str], known: Iterable[str]) -> set[str]:
    """Words of ``sentences`` that none of ``known`` has."""
    return {w for s in sentences for w in words_of(s)} - {w for s in known for w in words_of(s)}
