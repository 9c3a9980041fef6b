"""IPA to ARPAbet."""

import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.text.ipa import ipa_to_arpabet

WORDS = {
    "həˈloʊ": "HH AH0 L OW1",
    "/kæt/": "K AE1 T",
    "bɜːd": "B ER1 D",
    "ˈwɔːtə": "W AO1 T AH0",
    "ˌɪntəˈnæʃənəl": "IH2 N T AH0 N AE1 SH AH0 N AH0 L",
    "t͡ʃɜrt͡ʃ": "CH ER1 CH",
    "fəˈrɛvər": "F AH0 R EH1 V ER0",
    "ˈvɛri": "V EH1 R IY0",
    "ˈsɜri": "S ER1 IY0",
    "dʒɔɪ": "JH OY1",
    "ðɪ.ŋ": "DH IH1 NG",
    "əˈbaʊt": "AH0 B AW1 T",
    "əbaʊt": "AH0 B AW1 T",
    "ˈbʌtɚ": "B AH1 T ER0",
    "ʒ": "ZH",
}


@pytest.mark.parametrize(("written", "phones"), WORDS.items())
def test_words(written, phones):
    assert " ".join(ipa_to_arpabet(written)) == phones


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("kʘt", r"'ʘ' \(U\+0298\) is no sound of English"),
        ("", "no sound"),
        ("ˈ", "no sound"),
        ("naï", "no sound of English"),
    ],
)
def test_errors_name_the_sign(written, message):
    with pytest.raises(InputError, match=message):
        ipa_to_arpabet(written)
