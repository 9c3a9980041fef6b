"""SSML: what is supported does what it says, what is not is an error with its place."""

from functools import partial

import pytest
from refusing import refused
from tables import cases

from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.text.ssml import MOST_CHARACTERS, ipa_to_arpabet, is_ssml, parse_ssml, tokenize_line

FRONTEND = TextFrontend(add_blank=False, word_boundaries=False)


def test_plain_text_is_left_alone():
    text, directions = tokenize_line(FRONTEND, "Is 3 < 4?")
    assert directions is None and text == FRONTEND("Is 3 < 4?")
    assert is_ssml(" <speak>a</speak>") and is_ssml("<?xml version='1.0'?><speak/>") and not is_ssml("<speaker>")


def directions_of(inside: str):
    return tokenize_line(FRONTEND, f"<speak>{inside}</speak>")[1]


@pytest.mark.parametrize(
    ("line", "pauses"),
    [
        ("one <break time='300ms'/> two", {1: 0.3}), ("one <break time=' 1.5s '/> two", {1: 1.5}),
        ("one <break strength='strong'/> two", {1: 0.7}), ("one <break/> two", {1: 0.4}),
        ("one <break time='0s'/> two", {1: 0.0}), ("<break/>one two<break time='1s'/>", {0: 0.4, 2: 1.0}),
        ("one <break time='200ms'/><break time='300ms'/> two", {1: 0.5}),
    ],
)  # fmt: skip
def test_pauses(line, pauses):
    assert directions_of(line)[1] == pytest.approx(pauses)


@pytest.mark.parametrize(
    ("attributes", "manner"),
    [
        ("rate='80%'", (0.8, 0, 0)), ("rate='+20%'", (1.2, 0, 0)), ("rate='-20%'", (0.8, 0, 0)),
        ("rate='1.5'", (1.5, 0, 0)), ("rate='slow'", (0.75, 0, 0)), ("pitch='+2.5st'", (1, 2.5, 0)),
        ("pitch='-3st' volume='+6dB'", (1, -3, 6)), ("pitch='x-high'", (1, 6, 0)), ("volume='silent'", (1, 0, -60)),
    ],
)  # fmt: skip
def test_prosody_and_prosody_inside_it(attributes, manner):
    inner = "<prosody rate='200%' pitch='-5st'>three</prosody>"
    manners, _ = directions_of(f"one <prosody {attributes}>two {inner} four</prosody> five")
    rate, semitones, volume_db = manner
    wanted = [(1, 0, 0), manner, (2 * rate, semitones - 5, volume_db), manner, (1, 0, 0)]
    assert [(m.rate, m.semitones, m.volume_db) for m in manners] == [pytest.approx(one) for one in wanted]


@pytest.mark.parametrize(
    ("line", "phones"),
    [
        ("one <break/> two", "W AH1 N , T UW1 ."),
        ("one? <break/> two", "W AH1 N ? T UW1 ."),
        ("a <phoneme alphabet='x-arpabet' ph='t ah0 m aa1 t ow0'>tomato</phoneme>.", "AH0 T AH0 M AA1 T OW0 ."),
        ("a <phoneme alphabet='ipa' ph='təˈmɑtoʊ'>tomato</phoneme>.", "AH0 T AH0 M AA1 T OW0 ."),
        ("<say-as interpret-as='characters'>aB 7</say-as>", "EY1 B IY1 S EH1 V AH0 N ."),
        ("<say-as interpret-as='spell-out'>aB 7</say-as>", "EY1 B IY1 S EH1 V AH0 N ."),
        ("<p><s>No</s> <s>Now</s></p>", "N OW1 . N AW1 ."),
    ],
)
def test_phones(line, phones):
    tokens = tokenize_line(FRONTEND, f"<speak>{line}</speak>")[0].tokens
    assert " ".join(token.strip("@") for token in tokens).strip() == phones


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("<say-as interpret-as='digits'>0123</say-as>", "zero one two three"),
        ("<say-as interpret-as='telephone'>(555) 01-9</say-as>", "five five five zero one nine"),
        ("<say-as interpret-as='cardinal'>1,234</say-as>", "one thousand two hundred thirty four"),
        ("<say-as interpret-as='number'>-3.5</say-as>", "minus three point five"),
        ("<say-as interpret-as='ordinal'>21</say-as>", "twenty first"),
        ("<say-as interpret-as='ordinal'>3rd</say-as>", "third"),
        ("See <sub alias='the editor'>ed.</sub> now", "see the editor now"),
        ("salt &amp;\n pepper", "salt and pepper"),
    ],
)
def test_words(line, words):
    found = tokenize_line(FRONTEND, f"<speak>{line}</speak>")[0].words
    assert " ".join(word.lower() for word, *_ in found) == words


def test_what_is_not_supported_is_named_with_its_place():
    refused(partial(tokenize_line, FRONTEND), *cases("ssml_errors.tsv"))


def test_too_much_and_too_deep():
    deep = "<speak>" + "<p>" * 40 + "a" + "</p>" * 40 + "</speak>"
    too_long = f"<speak>{'a' * MOST_CHARACTERS}</speak>"
    refused(parse_ssml, (too_long, "the limit is 100000"), (deep, "more than 32 deep"))


@pytest.mark.parametrize(("written", "phones"), cases("ipa.tsv"))
def test_ipa_is_read_as_arpabet(written, phones):
    assert " ".join(ipa_to_arpabet(written)) == phones


def test_errors_of_ipa_name_the_sign():
    unknown = ("kʘt", r"'ʘ' \(U\+0298\) is no sound of English")
    refused(ipa_to_arpabet, unknown, ("", "no sound"), ("ˈ", "no sound"), ("naï", "no sound of E"))
