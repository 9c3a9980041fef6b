"""SSML: what is supported does what it says, what is not is an error with its place."""

import pytest
from tables import cases

from gradtts_interp.errors import InputError
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.text.ssml import MOST_CHARACTERS, Manner, ipa_to_arpabet, is_ssml, parse_ssml, tokenize_line

FRONTEND = TextFrontend(add_blank=False, word_boundaries=False)


def words_of(line: str) -> list[str]:
    return [word.text.lower() for word in tokenize_line(FRONTEND, line)[0].words]


def phones_of(line: str) -> str:
    return " ".join(token.strip("@") for token in tokenize_line(FRONTEND, line)[0].tokens).strip()


def test_plain_text_is_left_alone():
    text, directions = tokenize_line(FRONTEND, "Is 3 < 4?")
    assert directions is None and text == FRONTEND("Is 3 < 4?")
    assert is_ssml(" <speak>a</speak>") and is_ssml("<?xml version='1.0'?><speak/>") and not is_ssml("<speaker>")


class TestPauses:
    @pytest.mark.parametrize(
        ("tag", "seconds"),
        [
            ("<break time='300ms'/>", 0.3),
            ("<break time=' 1.5s '/>", 1.5),
            ("<break strength='strong'/>", 0.7),
            ("<break/>", 0.4),
            ("<break time='0s'/>", 0.0),
            ("<break time='200ms'/><break time='300ms'/>", 0.5),
        ],
    )
    def test_length(self, tag, seconds):
        _, directions = tokenize_line(FRONTEND, f"<speak>one {tag} two</speak>")
        assert directions.pauses == {1: pytest.approx(seconds)}

    def test_a_pause_has_a_token_and_punctuation_is_kept(self):
        assert phones_of("<speak>one <break/> two</speak>") == "W AH1 N , T UW1 ."
        assert phones_of("<speak>one? <break/> two</speak>") == "W AH1 N ? T UW1 ."

    def test_at_the_ends(self):
        _, directions = tokenize_line(FRONTEND, "<speak><break/>one two<break time='1s'/></speak>")
        assert directions.pauses == {0: 0.4, 2: 1.0}


class TestProsody:
    @pytest.mark.parametrize(
        ("attributes", "manner"),
        [
            ("rate='80%'", Manner(rate=0.8)),
            ("rate='+20%'", Manner(rate=1.2)),
            ("rate='-20%'", Manner(rate=0.8)),
            ("rate='1.5'", Manner(rate=1.5)),
            ("rate='slow'", Manner(rate=0.75)),
            ("pitch='+2.5st'", Manner(semitones=2.5)),
            ("pitch='-3st' volume='+6dB'", Manner(semitones=-3, volume_db=6)),
            ("pitch='x-high'", Manner(semitones=6)),
            ("volume='silent'", Manner(volume_db=-60)),
        ],
    )
    def test_values(self, attributes, manner):
        _, directions = tokenize_line(FRONTEND, f"<speak>one <prosody {attributes}>two three</prosody> four</speak>")
        found = directions.manners
        assert found[0] == found[3] == Manner()
        for one in found[1:3]:
            assert vars(one) == pytest.approx(vars(manner))

    def test_one_inside_another(self):
        inner = "<prosody rate='200%' pitch='-5st'>b</prosody>"
        line = f"<speak><prosody rate='50%' pitch='+2st'>a {inner} c</prosody></speak>"
        _, directions = tokenize_line(FRONTEND, line)
        assert [(m.rate, m.semitones) for m in directions.manners] == [(0.5, 2), (1.0, -3), (0.5, 2)]


class TestPronunciation:
    def test_phonemes(self):
        arpabet = "<speak>a <phoneme alphabet='x-arpabet' ph='t ah0 m aa1 t ow0'>tomato</phoneme>.</speak>"
        ipa = "<speak>a <phoneme alphabet='ipa' ph='təˈmɑtoʊ'>tomato</phoneme>.</speak>"
        assert phones_of(arpabet) == phones_of(ipa) == "AH0 T AH0 M AA1 T OW0 ."

    @pytest.mark.parametrize(
        ("kind", "text", "spoken"),
        [
            ("digits", "0123", "zero one two three"),
            ("telephone", "(555) 01-9", "five five five zero one nine"),
            ("cardinal", "1,234", "one thousand two hundred thirty four"),
            ("number", "-3.5", "minus three point five"),
            ("ordinal", "21", "twenty first"),
            ("ordinal", "3rd", "third"),
        ],
    )
    def test_figures(self, kind, text, spoken):
        assert words_of(f"<speak>it is <say-as interpret-as='{kind}'>{text}</say-as></speak>") == [
            "it",
            "is",
            *spoken.split(),
        ]

    @pytest.mark.parametrize("kind", ["characters", "spell-out"])
    def test_letters_are_named(self, kind):
        assert phones_of(f"<speak><say-as interpret-as='{kind}'>aB 7</say-as></speak>") == "EY1 B IY1 S EH1 V AH0 N ."

    def test_substitution_and_sentences(self):
        line = "<speak><p><s>See <sub alias='the editor'>ed.</sub></s> <s>Now</s></p></speak>"
        assert words_of(line) == ["see", "the", "editor", "now"]
        assert phones_of(line).count(".") == 2

    def test_entities_of_xml_and_line_breaks(self):
        assert words_of("<speak>salt &amp;\n pepper</speak>") == ["salt", "and", "pepper"]


@pytest.mark.parametrize(("line", "message"), cases("ssml_errors.tsv"))
def test_what_is_not_supported_is_named_with_its_place(line, message):
    with pytest.raises(InputError, match=message):
        tokenize_line(FRONTEND, line)


def test_too_much_and_too_deep():
    with pytest.raises(InputError, match="the limit is 100000"):
        parse_ssml(f"<speak>{'a' * MOST_CHARACTERS}</speak>")
    with pytest.raises(InputError, match="more than 32 deep"):
        parse_ssml("<speak>" + "<p>" * 40 + "a" + "</p>" * 40 + "</speak>")


@pytest.mark.parametrize(("written", "phones"), cases("ipa.tsv"))
def test_ipa_is_read_as_arpabet(written, phones):
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
def test_errors_of_ipa_name_the_sign(written, message):
    with pytest.raises(InputError, match=message):
        ipa_to_arpabet(written)
