import sys
from pathlib import Path

import numpy as np
import pytest
from tables import cases

sys.path.insert(0, str(Path(__file__).parents[2] / "resources" / "lexicon"))

from train_letter_to_sound import align, measure, train

from gradtts_interp.text.lexicon import PHONES, Lexicon
from gradtts_interp.text.pronounce import MODEL_FILE, LetterToSound, pronounce

LONG = ("cat" + "'s" * 900, "K AE1 T S", "dictionary")


@pytest.mark.parametrize(("word", "phones", "how"), [*cases("pronounce.tsv"), LONG])
def test_pronounce(word, phones, how):
    found = pronounce(word, Lexicon.default())
    assert (" ".join(found.phones), found.how) == (phones, how)


@pytest.mark.parametrize(("word", "ending"), [("gadwick's", "S"), ("gadwall's", "Z"), ("gadwish's", "IH0 Z")])
def test_possessive_ending_agrees(word, ending):
    assert " ".join(pronounce(word, Lexicon.default()).phones).endswith(" " + ending)


# -- letter-to-sound ---------------------------------------------------------------------------------------------------


def test_regular_words():
    model = LetterToSound.default()
    assert model.pronounce("Blick") == ("B", "L", "IH1", "K")
    assert model.pronounce("phoning")[0] == "F"
    assert model.pronounce("") == () == model.pronounce("42")


def test_model_is_small_and_its_phones_are_known():
    assert MODEL_FILE.stat().st_size < 2_000_000
    assert {phone for phones in LetterToSound.default().phones for phone in phones} <= PHONES


def test_probabilities_of_next_graphones_sum_to_one():
    model = LetterToSound.default()
    for history in (1, 1 << 10, (1 << 20) + (3 << 10) + 5):
        total = sum(np.exp(model.score(history, graphone)) for graphone in range(len(model.letters)))
        assert total == pytest.approx(1.0, abs=0.1)


def test_errors_on_dictionary_words_are_few():
    lexicon = Lexicon.default()
    words = [word for word in list(lexicon.words)[::1500] if word.isalpha() and len(word) > 2]
    assert measure(LetterToSound.default(), lexicon, words)["phone_error"] < 0.12


def test_training_aligns_letters_and_writes_a_model_that_says_what_it_saw(tmp_path):
    pairs = [("cat", ("K", "AE1", "T")), ("tax", ("T", "AE1", "K", "S")), ("act", ("AE1", "K", "T"))] * 5
    assert align(pairs)[1] == ["t T", "a AE1", "x K S"]
    assert train(pairs, tmp_path / "small.npz").pronounce("tax") == ("T", "AE1", "K", "S")
