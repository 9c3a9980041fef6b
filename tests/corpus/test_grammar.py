import re

import pytest

from gradtts_interp.corpus.sentences import CATEGORIES, TEMPLATES, make_sentences
from gradtts_interp.errors import InputError
from gradtts_interp.text.lexicon import Lexicon


def test_every_word_of_the_grammar_is_in_the_dictionary():
    fixed = {word for template in TEMPLATES for word in re.findall(r"(?<!\{)\b[a-z]+\b(?!\})", template)}
    words = fixed | {word for words in CATEGORIES.values() for word in words} | {"an", "these", "those", "all", "most"}
    lexicon = Lexicon.default()
    assert [word for word in sorted(words) if word not in lexicon] == []


@pytest.mark.parametrize("category", ["noun", "nouns", "adj", "name", "place", "do", "went"])
def test_open_categories_are_large_and_without_repeats(category):
    words = CATEGORIES[category]
    assert len(words) >= 100
    if category not in ("do", "went"):
        assert len(set(words)) == len(words)


def test_sentences_are_distinct_deterministic_and_extend():
    sentences = make_sentences(300, seed=3)
    assert len({s.lower() for s in sentences}) == 300
    assert make_sentences(300, seed=3) == sentences
    assert make_sentences(40, seed=3) == sentences[:40]
    assert make_sentences(40, seed=4) != sentences[:40]


def test_sentences_are_well_formed_and_varied():
    sentences = make_sentences(400, seed=0)
    for sentence in sentences:
        assert re.fullmatch(r"[A-Z][A-Za-z, ]+[.?!]", sentence), sentence
        assert 4 <= len(sentence.split()) <= 11, sentence
        assert not re.search(r"\ba [aei]", sentence), sentence
    for mark, least in ((",", 0.1), ("?", 0.1), ("!", 0.02)):
        assert sum(mark in s for s in sentences) / len(sentences) > least


def test_a_before_a_plural_becomes_the():
    plural = re.compile(r"\b(a|an|this|that|every|each|another) (\w+ )?(" + "|".join(CATEGORIES["nouns"]) + r")\b")
    same = set(CATEGORIES["nouns"]) & set(CATEGORIES["noun"])
    for sentence in make_sentences(600, seed=9):
        found = plural.search(sentence.lower())
        assert found is None or found.group(3) in same, sentence


def test_sounds_are_covered():
    lexicon = Lexicon.default()
    phones: dict[str, int] = {}
    for sentence in make_sentences(300, seed=0):
        for word in re.findall(r"[A-Za-z]+", sentence):
            for phone in lexicon.lookup(word)[0]:
                phones[phone.rstrip("012")] = phones.get(phone.rstrip("012"), 0) + 1
    assert len(phones) == 39
    assert min(phones.values()) >= 5, sorted(phones.items(), key=lambda x: x[1])[:3]


def test_a_grammar_that_runs_dry_is_an_error(monkeypatch):
    monkeypatch.setattr("gradtts_interp.corpus.sentences.TEMPLATES", ("go {name}.",))
    with pytest.raises(InputError, match="distinct sentences found; expected 500"):
        make_sentences(500, seed=0)
