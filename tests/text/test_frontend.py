from functools import partial

import pytest
from hypothesis import given, settings
from refusing import refused
from test_fuzz import TEXT

from gradtts_interp.errors import InputError
from gradtts_interp.text.frontend import PAUSES, TextFrontend
from gradtts_interp.text.official import N_VOCAB, ids_of

DEMO = TextFrontend(add_blank=False, word_boundaries=False)
FRONTENDS = {"default": TextFrontend(), "official": TextFrontend("official"), "demo": DEMO}


def test_the_default_layout_has_spaces_and_blanks_and_that_of_the_demo_neither():
    result, spaced = DEMO("Hello, world"), TextFrontend()("Hello, world!")
    assert result.tokens == (" ", "@HH", "@AH0", "@L", "@OW1", ",", "@W", "@ER1", "@L", "@D", ".")
    assert spaced.tokens == ("@HH", "@AH0", "@L", "@OW1", ",", " ", "@W", "@ER1", "@L", "@D", "!")
    assert (result.ids, spaced.ids) == (ids_of(result.tokens, add_blank=False), ids_of(spaced.tokens))
    assert result.words == (("Hello", 1, 5), ("world", 6, 10))


@pytest.mark.parametrize(
    ("text", "pauses"),
    [("hello", "."), ("hello?!", "?"), ("hello...", "."), ("(hello) well", ",."), ("hello -- well", ",."),
     ("hello - well;", ",;"), ("'hello' \"well\"", "."), ("hello,), well!!!", ",!"), ("...hello: well", ":."),
     ("well—hello", ",.")],
)  # fmt: skip
def test_demo_pauses(text, pauses):
    assert "".join(token for token in DEMO(text).tokens if token in PAUSES) == pauses


def test_inline_phones():
    result = DEMO("say {hh AH0 l OW1}, now")
    assert result.normalised == "say {HH AH0 L OW1}, now"
    assert result.tokens[3:8] == ("@HH", "@AH0", "@L", "@OW1", ",")
    assert result.words[1][0] == "{HH AH0 L OW1}" and result.out_of_dictionary == {}


@pytest.mark.parametrize("frontend", [DEMO, TextFrontend()], ids=["demo", "default"])
@pytest.mark.parametrize(
    ("text", "vowels"),
    [
        ("the apple", "I"), ("The old man", "I"), ("THE hour", "I"), ("the FBI", "I"), ("the 8th", "I"),
        ("the {AE1 P AH0 L}", "I"), ("the 'apple'", "I"), ("the book", "A"), ("the one", "A"), ("{DH AH0} apple", "A"),
        ("the university", "A"), ("the US", "A"), ("the, apple", "A"), ("the", "A"),
        ("At the end of the story is the shown end of the rope, the author said.", "IAAAI"),
    ],
)  # fmt: skip
def test_every_the_goes_by_the_sound_after_it(frontend, text, vowels):
    tokens = frontend(text).tokens
    after = [vowel for before, vowel in zip(tokens, tokens[1:], strict=False) if before == "@DH"]
    assert after == [{"I": "@IY0", "A": "@AH0"}[vowel] for vowel in vowels]


def test_a_the_of_ones_own_is_left_alone(tmp_path):
    (tmp_path / "more.txt").write_text("THE  DH AH1\n")
    frontend = TextFrontend()
    frontend.lexicon = frontend.lexicon.with_additions(tmp_path / "more.txt")
    assert frontend("the apple").tokens[1] == "@AH1"


def test_unknown_words_are_listed_once():
    result = DEMO("The zyxgor met a zyxgor and XQZ.")
    _, first, stop = result.words[1]
    phones = tuple(token[1:] for token in result.tokens[first:stop])
    assert result.out_of_dictionary["zyxgor"] == (phones, "letter_to_sound")
    assert [(word, how) for word, (_, how) in result.out_of_dictionary.items()][1:] == [("XQZ", "spelled")]


@pytest.mark.parametrize("frontend", FRONTENDS.values(), ids=FRONTENDS)
def test_bad_text(frontend):
    refused(
        frontend,
        ("", "nothing to speak in the text ''"),
        ("... !", "nothing to speak in the text '... !'"),
        ("😀", "nothing to speak in the text '😀'"),
        ("x" * 5000, "line of 5000 characters .*; the limit is 2000"),
        *((text, "looks like binary data") for text in ("a\0b", "\x01\x02\x03abc", "\udc80abc")),
        (b"abc", "text must be a str; got bytes"),
    )


def test_bad_inline_phones_and_settings():
    refused(
        DEMO,
        ("say {HH QQ}", "unknown phone 'QQ' in '{HH QQ}'"),
        ("say {}", "no phones in '{}'"),
        ("say {HH AH0", "unbalanced brace in 'say {HH AH0'"),
        ("say } now", "unbalanced brace in"),
        ("{HH {AH0}}", "unbalanced brace in '{HH '"),
    )
    refused(TextFrontend, ("fancy", "unknown text mode 'fancy'; expected one of default, official"))
    refused(partial(TextFrontend, word_boundaries=False), ("official", "always has word boundaries"))


def test_lines_up_to_the_limit_are_fine():
    assert len(DEMO("a " * 1000).words) == 1000


@pytest.mark.parametrize("name", ["default", "official", "demo"])
@settings(max_examples=150, deadline=None)
@given(text=TEXT)
def test_any_text_gives_ids_or_an_input_error(name, text):
    try:
        result = FRONTENDS[name](text)
    except InputError:
        return
    assert result.ids and all(0 <= index < N_VOCAB for index in result.ids)
    assert result.words
    before = 0
    for word, first, stop in result.words:
        assert word and before <= first < stop <= len(result.tokens)
        before = stop
    if name == "demo":
        assert result.tokens[0] == " " and result.tokens[-1] in PAUSES and result.tokens[-2] not in PAUSES
        assert not any(a in PAUSES and b in PAUSES for a, b in zip(result.tokens, result.tokens[1:], strict=False))
