"""The lists of sentences, and the script that chose them."""

import re
import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "resources" / "corpus"))

import choose_texts as chooser
from choose_texts import CATEGORIES, choose_texts, make_sentences, new_words, wordnet_examples, words_of, write_texts
from refusing import refused

from gradtts_interp.corpus.plan import held_out_texts, training_texts
from gradtts_interp.text.pronounce import Lexicon

WORDS = "cat dog sun moon hill lake tree bird song rain wind snow road door lamp book fish milk ring rose".split()
LINES = [
    f'00001 00 a 01 x 0 | a gloss; "the old {a} saw a {b} by the lake"; "{a} and {b}"\n'
    for a in WORDS
    for b in WORDS
    if a != b
]


@pytest.fixture
def wordnet(tmp_path):
    for part in ("adj", "adv", "noun", "verb"):
        (tmp_path / f"data.{part}").write_text("  1 licence\n" + "".join(LINES if part == "noun" else []))
    return tmp_path


def test_the_lists_are_large_enough_and_never_meet():
    train, held_out = training_texts(), held_out_texts()
    assert len(set(train)) == len(train) >= 10_000 and len(held_out) >= 300
    assert len({word for text in train for word in words_of(text)}) >= 12_000
    assert not set(train) & set(held_out)
    unseen = new_words(held_out, train)
    assert sum(bool(unseen & set(words_of(text))) for text in held_out) >= 200


def test_the_lists_hold_questions_commas_and_numbers_and_can_be_spoken():
    train = training_texts()
    assert sum("?" in text for text in train) > 200 and sum("," in text for text in train) > 200
    assert sum(bool({"seven", "twelve", "twenty"} & set(words_of(text))) for text in train) > 20
    lexicon = Lexicon.default()
    assert all(word in lexicon for text in (*train, *held_out_texts()) for word in words_of(text))
    # Whatever part comes first holds the most sounds.
    assert len({p for text in train[:300] for word in words_of(text) for p in lexicon.lookup(word)[0]}) >= 66


def test_examples_become_sentences_and_held_out_words_are_never_trained_on(wordnet):
    found = wordnet_examples(wordnet)
    assert found[0] == "The old cat saw a dog by the lake."
    assert len(found) == len(WORDS) * (len(WORDS) - 1)  # the short example is left out
    rare = ["The old zebra saw a quilt by the lake.", "My aunt wove a quilt for the fair."]
    examples = [*found, *rare]
    train, held_out = choose_texts(examples, train=100, held_out=4, seed=0)
    assert len(train) == 100 and len(held_out) == 4 and not set(train) & set(held_out)
    assert {"quilt", "zebra"} <= {w for text in held_out for w in words_of(text)} or "zebra" not in str(train)
    assert choose_texts(examples, train=100, held_out=4, seed=0) == (train, held_out)
    too_many = partial(choose_texts, examples, train=1000, held_out=4, seed=0)
    refused(too_many, ("are left to train on; expected at least 1000",))
    write_texts(wordnet, wordnet=wordnet, train=20, grammar=5, seed=0)
    assert len((wordnet / "train.txt").read_text().splitlines()) == 25


def test_sentences_by_grammar_are_distinct_deterministic_and_well_formed():
    sentences = make_sentences(400, seed=3)
    assert len({s.lower() for s in sentences}) == 400
    assert make_sentences(40, seed=3) == sentences[:40] != make_sentences(40, seed=4)
    plural = re.compile(r"\b(a|an|this|that|every|each|another) (\w+ )?(" + "|".join(CATEGORIES["nouns"]) + r")\b")
    same = set(CATEGORIES["nouns"]) & set(CATEGORIES["noun"])
    for sentence in sentences:
        assert re.fullmatch(r"[A-Z][A-Za-z, ]+[.?!]", sentence), sentence
        assert 4 <= len(sentence.split()) <= 11, sentence
        assert not re.search(r"\ba [aei]", sentence), sentence
        found = plural.search(sentence.lower())
        assert found is None or found.group(3) in same, sentence


def test_what_gives_no_lists_is_named(tmp_path, monkeypatch):
    refused(wordnet_examples, (tmp_path, r"data.adj: no such file; expected WordNet's"))
    monkeypatch.setattr(chooser, "TEMPLATES", ("go {name}.",))
    refused(partial(make_sentences, 500, seed=0), ("distinct sentences found; expected 500",))
