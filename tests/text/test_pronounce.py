import sys
from pathlib import Path

import numpy as np
import pytest
from refusing import refused
from tables import cases

sys.path.insert(0, str(Path(__file__).parents[2] / "resources" / "lexicon"))

from train_letter_to_sound import align, measure, train

from gradtts_interp.text.pronounce import MODEL_FILE, PHONES, LetterToSound, Lexicon, pronounce

LONG = ("cat" + "'s" * 900, "K AE1 T S", "dictionary")


@pytest.mark.parametrize(("word", "phones", "how"), [*cases("pronounce.tsv"), LONG])
def test_pronounce(word, phones, how):
    assert pronounce(word, Lexicon.default()) == (tuple(phones.split()), how)


@pytest.mark.parametrize(("word", "ending"), [("gadwick's", "S"), ("gadwall's", "Z"), ("gadwish's", "IH0 Z")])
def test_possessive_ending_agrees(word, ending):
    assert " ".join(pronounce(word, Lexicon.default())[0]).endswith(" " + ending)


# -- the dictionary ---------------------------------------------------------------------------------------------------


def test_lookup_ignores_case_and_gives_all_variants_of_many_words_in_known_phones():
    lexicon = Lexicon.default()
    assert lexicon.lookup("Hello")[0] == ("HH", "AH0", "L", "OW1")
    assert lexicon.lookup("the") == (("DH", "AH0"), ("DH", "AH1"), ("DH", "IY0"))
    assert lexicon.lookup("zyxgor") == ()
    assert "HELLO" in lexicon and "zyxgor" not in lexicon and len(lexicon.words) > 125_000
    assert {phone for word in lexicon.words for variant in lexicon.lookup(word) for phone in variant} == PHONES


def test_official_dictionary_is_the_older_release():
    official = Lexicon.official()
    assert official.lookup("a") == (("EY1",),)
    assert official.lookup("adblock") == () and Lexicon.default().lookup("adblock")
    assert all(len(official.lookup(word)) == 1 for word in ("the", "read", "twenty-one"))


def test_additions_come_first_and_leave_the_original_alone(tmp_path):
    path = tmp_path / "more.txt"
    path.write_text("# comment\nTHE  DH IY1  # strong\nZYXGOR  Z IH1 K S G AO0 R\n\n", encoding="utf-8")
    more = Lexicon.default().with_additions(path)
    assert more.lookup("the")[:2] == (("DH", "IY1"), ("DH", "AH0"))
    assert more.lookup("zyxgor") == (("Z", "IH1", "K", "S", "G", "AO0", "R"),)
    assert Lexicon.default().lookup("zyxgor") == ()
    shipped = Path(__file__).parents[2] / "resources" / "lexicon" / "additions.txt"
    assert Lexicon.default().with_additions(shipped).lookup("vocoder")


def test_bad_additions_name_file_line_and_word(tmp_path):
    path, add = tmp_path / "bad.txt", Lexicon.default().with_additions
    for line, message in (
        ("FOO  F UW9", "unknown phone 'UW9'"),
        ("FOO", "'FOO' has no phones"),
        ("''  N AA0", "can stand in no text"),
        ("MP3  EH1 M", "word 'MP3' can stand in no text after normalisation; expected letters"),
        ("naïve  N AA0", "word 'naïve' can stand in no text"),
    ):
        path.write_text(f"BAR  B AA1 R\n{line}\n", encoding="utf-8")
        refused(add, (path, f"bad.txt:2: .*{message}"))
    refused(add, ("nowhere.txt", "nowhere.txt cannot be read: No such file.*expected lexicon additions"))


@pytest.mark.parametrize("word", ["ZYX", "o'zyx", "'zyx", "zyx-gor", "Z."])
def test_words_that_a_text_can_hold_are_taken(tmp_path, word):
    (tmp_path / "more.txt").write_bytes(b"\xef\xbb\xbf" + f"{word}  Z IH1 K\r\n".encode())
    assert Lexicon.default().with_additions(tmp_path / "more.txt").lookup(word)[0] == ("Z", "IH1", "K")


# -- letter-to-sound ---------------------------------------------------------------------------------------------------


def test_regular_words():
    model = LetterToSound.load()
    assert model.pronounce("Blick") == ("B", "L", "IH1", "K")
    assert model.pronounce("phoning")[0] == "F"
    assert model.pronounce("") == () == model.pronounce("42")


def test_model_is_small_and_its_phones_are_known():
    assert MODEL_FILE.stat().st_size < 2_000_000
    assert {phone for phones in LetterToSound.load().phones for phone in phones} <= PHONES


def test_probabilities_of_next_graphones_sum_to_one():
    model = LetterToSound.load()
    for history in (1, 1 << 10, (1 << 20) + (3 << 10) + 5):
        total = sum(np.exp(model.score(history, graphone)) for graphone in range(len(model.letters)))
        assert total == pytest.approx(1.0, abs=0.1)


def test_errors_on_dictionary_words_are_few():
    lexicon = Lexicon.default()
    words = [word for word in list(lexicon.words)[::1500] if word.isalpha() and len(word) > 2]
    assert measure(LetterToSound.load(), lexicon, words)["phone_error"] < 0.12


def test_training_aligns_letters_and_writes_a_model_that_says_what_it_saw(tmp_path):
    pairs = [("cat", ("K", "AE1", "T")), ("tax", ("T", "AE1", "K", "S")), ("act", ("AE1", "K", "T"))] * 5
    assert align(pairs)[1] == ["t T", "a AE1", "x K S"]
    assert train(pairs, tmp_path / "small.npz").pronounce("tax") == ("T", "AE1", "K", "S")
