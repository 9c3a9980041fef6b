import pytest

from gradtts_interp.text.lexicon import Lexicon
from gradtts_interp.text.pronounce import pronounce


@pytest.mark.parametrize(
    ("word", "phones", "how"),
    [
        ("HELLO", "HH AH0 L OW1", "dictionary"),
        ("'hello'", "HH AH0 L OW1", "dictionary"),
        ("F-B-I", "EH1 F B IY1 AY1", "dictionary"),
        ("hello-world", "HH AH0 L OW1 W ER1 L D", "dictionary"),
        ("HelloWorld", "HH AH0 L OW1 W ER1 L D", "dictionary"),
        ("XQZ", "EH1 K S K Y UW1 Z IY1", "spelled"),
        ("HDMI", "EY1 CH D IY1 EH1 M AY1", "spelled"),
        ("COVID", "K AA1 V AH0 D", "letter_to_sound"),
        ("xqz", "EH1 K S K Y UW1 Z IY1", "spelled"),
        ("plimm", "P L IH1 M", "letter_to_sound"),
        ("plimm's", "P L IH1 M Z", "letter_to_sound"),
        ("hello-plimm", "HH AH0 L OW1 P L IH1 M", "letter_to_sound"),
        ("aardvark's", "AA1 R D V AA2 R K S", "dictionary"),
        ("'", "", "spelled"),
        ("cat" + "'s" * 900, "K AE1 T S", "dictionary"),
    ],
)
def test_pronounce(word, phones, how):
    found = pronounce(word, Lexicon.default())
    assert (" ".join(found.phones), found.how) == (phones, how)


@pytest.mark.parametrize(("word", "ending"), [("gadwick's", "S"), ("gadwall's", "Z"), ("gadwish's", "IH0 Z")])
def test_possessive_ending_agrees(word, ending):
    assert " ".join(pronounce(word, Lexicon.default()).phones).endswith(" " + ending)
