"""IPA to ARPAbet."""

import pytest
from tables import cases

from gradtts_interp.errors import InputError
from gradtts_interp.text.ipa import ipa_to_arpabet


@pytest.mark.parametrize(("written", "phones"), cases("ipa.tsv"))
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
