import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.text.symbols import BLANK_ID, N_VOCAB, SYMBOL_TO_ID, SYMBOLS, ids_of, phone_of


def test_inventory_is_the_official_one():
    assert (len(SYMBOLS), len(set(SYMBOLS)), BLANK_ID, N_VOCAB) == (148, 148, 148, 149)
    assert SYMBOLS[:12] == ("_", "-", "!", "'", "(", ")", ",", ".", ":", ";", "?", " ")
    assert (SYMBOL_TO_ID["A"], SYMBOL_TO_ID["z"], SYMBOL_TO_ID["@AA"], SYMBOL_TO_ID["@ZH"]) == (12, 63, 64, 147)


def test_blanks_stand_between_all():
    assert ids_of(["a", " ", "@B"]) == (148, 38, 148, 11, 148, 88, 148)
    assert ids_of(["a", " ", "@B"], add_blank=False) == (38, 11, 88)
    assert ids_of([]) == (148,)
    with pytest.raises(InputError, match="unknown symbol '@QQ'"):
        ids_of(["a", "@QQ"])
    assert (phone_of("@AH0"), phone_of("B"), phone_of(" ")) == ("AH0", None, None)
