import json

import pytest
from refusing import refused

from gradtts_interp.text import TextFrontend
from gradtts_interp.text.official import BLANK_ID, N_VOCAB, SYMBOL_TO_ID, SYMBOLS, clean, ids_of


def test_ids_equal_the_golden_ones(golden_dir):
    golden = json.loads((golden_dir / "grad_tts.json").read_text())
    frontend = TextFrontend("official")
    assert golden["texts"]
    for text, ids in zip(golden["texts"], golden["token_ids"], strict=True):
        assert list(frontend(text).ids) == ids, text


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("Mrs. Jones,  DR. No", "misess jones, doctor no"),
        ("$3.50 $1 $0.01 $0", "three dollars, fifty cents one dollar one cent zero dollars"),
        ("$1,000,000", "one million dollars"),
        ("the 101st of 1,234", "the one hundred and first of twelve thirty-four"),
        ("1905 2000 2005 1900 999 3000", "nineteen oh five two thousand two thousand five nineteen hundred "
         "nine hundred ninety-nine three thousand"),
        ("3.14", "three point fourteen"),
        ("£5 — naïve", "psfive -- naive"),
        ("1.2.3 007", "one point two.three seven"),
        ("$1.2.3", "one point two.three dollars"),
        ("1" + "0" * 50, "1" + "0" * 50),
        ("a \U0001f600“b” ½", 'a "b" one/two'),
    ],
)  # fmt: skip
def test_cleaners(written, cleaned):
    assert clean(written) == cleaned


def test_words_with_punctuation_and_before_inline_phones_are_spelled_and_what_has_no_symbol_is_reported():
    frontend = TextFrontend("official", add_blank=False)
    assert frontend("cat, cat").tokens == ("c", "a", "t", ",", " ", "@K", "@AE1", "@T")
    assert frontend("cat {B IY1} cat").tokens == ("c", "a", "t", " ", "@B", "@IY1", " ", "@K", "@AE1", "@T")
    warnings = frontend('say "cat" {QQ B} {zz').warnings
    assert warnings == tuple(f"{s!r} is not an official symbol and is left out" for s in ('"', "@QQ", "{zz"))


def test_words_point_at_their_tokens():
    result = TextFrontend("official")("Oh, (well) done {B IY1}!")
    found = [(word, "".join(result.tokens[first:stop])) for word, first, stop in result.words]
    assert found == [("oh", "oh"), ("well", "well"), ("done", "done"), ("{B IY1}", "@B@IY1")]


def test_inventory_is_the_official_one():
    assert (len(SYMBOLS), len(set(SYMBOLS)), BLANK_ID, N_VOCAB) == (148, 148, 148, 149)
    assert SYMBOLS[:12] == ("_", "-", "!", "'", "(", ")", ",", ".", ":", ";", "?", " ")
    assert (SYMBOL_TO_ID["A"], SYMBOL_TO_ID["z"], SYMBOL_TO_ID["@AA"], SYMBOL_TO_ID["@ZH"]) == (12, 63, 64, 147)


def test_blanks_stand_between_all():
    assert ids_of(["a", " ", "@B"]) == (148, 38, 148, 11, 148, 88, 148)
    assert ids_of(["a", " ", "@B"], add_blank=False) == (38, 11, 88)
    assert ids_of([]) == (148,)
    refused(ids_of, (["a", "@QQ"], "unknown symbol '@QQ'"))
