import pytest
from tables import cases

from gradtts_interp.text.lexicon import Lexicon
from gradtts_interp.text.pronounce import pronounce

LONG = ("cat" + "'s" * 900, "K AE1 T S", "dictionary")


@pytest.mark.parametrize(("word", "phones", "how"), [*cases("pronounce.tsv"), LONG])
def test_pronounce(word, phones, how):
    found = pronounce(word, Lexicon.default())
    assert (" ".join(found.phones), found.how) == (phones, how)


@pytest.mark.parametrize(("word", "ending"), [("gadwick's", "S"), ("gadwall's", "Z"), ("gadwish's", "IH0 Z")])
def test_possessive_ending_agrees(word, ending):
    assert " ".join(pronounce(word, Lexicon.default()).phones).endswith(" " + ending)
