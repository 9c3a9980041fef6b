import numpy as np
import pytest

from gradtts_interp.corpus.flite import SpokenPhones
from gradtts_interp.corpus.labels import align_phones, make_labels, split_text, strip_phone, token_of
from gradtts_interp.errors import InputError
from gradtts_interp.text.lexicon import Lexicon

LEXICON = Lexicon(
    {
        "the": ("DH AH0", "DH IY0"),
        "fox": ("F AA1 K S",),
        "record": ("R EH1 K ER0 D", "R IH0 K AO1 R D"),
        "ran": ("R AE1 N",),
    }
)


def spoken(phones: str, *, step: float = 0.1) -> SpokenPhones:
    names = tuple(phones.split())
    ends = tuple(step * (i + 1) for i in range(len(names)))
    return SpokenPhones(np.zeros(int(22050 * ends[-1])), names, ends)


def test_stress_comes_from_the_dictionary():
    labels = make_labels("The fox ran.", spoken("pau dh ax f aa k s r ae n pau"), LEXICON)
    assert labels.tokens == (" ", "DH", "AH0", "F", "AA1", "K", "S", "R", "AE1", "N", ".")
    assert labels.words == (("the", 1, 3), ("fox", 3, 7), ("ran", 7, 10))
    assert labels.mismatch == 0


def test_silence_at_both_ends_is_cut_short():
    labels = make_labels("The fox ran.", spoken("pau dh ax f aa k s r ae n pau", step=0.3), LEXICON)
    assert labels.start_seconds == pytest.approx(0.23)
    assert labels.end_seconds[0] == pytest.approx(0.3)
    assert labels.end_seconds[-1] - labels.end_seconds[-2] == pytest.approx(0.09)


@pytest.mark.parametrize(
    ("phones", "tokens"),
    [
        ("r eh k er d", ("R", "EH1", "K", "ER0", "D")),
        ("r ih k ao r d", ("R", "IH0", "K", "AO1", "R", "D")),
    ],
)
def test_the_variant_that_was_spoken_is_chosen(phones, tokens):
    labels = make_labels("Record!", spoken(f"pau {phones} pau"), LEXICON)
    assert labels.tokens == (" ", *tokens, "!")
    assert labels.mismatch == 0


def test_inner_pause_takes_the_mark_that_stands_there_or_a_comma():
    text = "The fox; ran the fox?"
    labels = make_labels(text, spoken("pau dh ax f aa k s pau r ae n pau dh iy f aa k s pau"), LEXICON)
    assert [t for t in labels.tokens if t in ",;?"] == [";", ",", "?"]
    assert labels.words[2] == ("ran", 8, 11)


def test_substituted_vowel_keeps_the_stress_and_inserted_vowel_has_none():
    labels = make_labels("The fox ran record.", spoken("pau dh ax f ow k s r ae n ax r eh k er d pau"), LEXICON)
    assert "OW1" in labels.tokens
    assert labels.tokens.count("AH0") == 2
    assert labels.mismatch == pytest.approx(2 / 15)
    assert labels.words[2] == ("ran", 7, 11)


def test_left_out_phone_makes_no_token():
    labels = make_labels("The fox ran.", spoken("pau dh ax f aa s r ae n pau"), LEXICON)
    assert "K" not in labels.tokens and len(labels.end_seconds) == len(labels.tokens) == 10


def test_other_words_are_rejected():
    with pytest.raises(InputError, match="of its phones differ from the dictionary; expected at most 20%"):
        make_labels("The fox ran.", spoken("pau b iy g l uw m uw n pau"), LEXICON)


def test_unknown_word_is_named():
    with pytest.raises(InputError, match="word 'unicorn' is not in the dictionary"):
        make_labels("The unicorn.", spoken("pau dh ax pau"), LEXICON)


def test_silence_is_named():
    with pytest.raises(InputError, match="nothing was spoken"):
        make_labels("The fox.", spoken("pau pau"), LEXICON)


def test_unknown_phone_is_named():
    with pytest.raises(InputError, match="phone 'qq'"):
        strip_phone("qq")


def test_ends_rise_even_where_flite_gives_equal_times():
    phones = ("pau", "f", "aa", "k", "s", "pau")
    labels = make_labels("Fox.", SpokenPhones(np.zeros(9000), phones, (0.1, 0.2, 0.2, 0.2, 0.4, 0.5)), LEXICON)
    assert (np.diff((labels.start_seconds, *labels.end_seconds)) > 0).all()


@pytest.mark.parametrize(
    ("phone", "expected", "token"),
    [
        ("ax", "AH1", "AH1"),
        ("ax", "IH1", "AH0"),
        ("ih", "IY2", "IH2"),
        ("ow", None, "OW0"),
        ("ow", "L", "OW0"),
        ("t", "D", "T"),
        ("dx", "T", "T"),
    ],
)
def test_tokens(phone, expected, token):
    assert token_of(phone, expected) == token


def test_split_text_keeps_marks_by_word():
    assert split_text("Joe's dog, the fox ran?") == (["joe's", "dog", "the", "fox", "ran"], {1: ",", 4: "?"})


def test_path_visits_every_phone_once():
    phones = ["DH", "AH", "F", "F", "AA", "S"]
    path = align_phones(["the", "fox"], phones, LEXICON)
    assert [m.spoken for m in path if m.spoken is not None] == list(range(6))
    assert [m.expected for m in path if m.expected is not None] == ["DH", "AH0", "F", "AA1", "K", "S"]
