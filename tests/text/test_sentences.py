import time

import pytest

from gradtts_interp.text.sentences import LONGEST, split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["Good day, Mr. Smith.", '"How are you?" he asked!', "Pi is 3.14."],
        ["Pour 5 oz. of gin.", "Then stop."],
        ["We met on Sun. at noon.", "It rained.", "He sat.", "I saw the sun.", "I left."],
        ["He lives on Elm Dr. in Boston.", "She too."],
        ["She lives at 12 Oak St.", "She likes it.", "I met St. Paul."],
        ['Dr. Elm said "No."', "Then he left."],
        ["“I will go.”", "She went.", "‘Yes!’ he cried.", "(Really?)", "Yes."],
        ["He said, “Stop!”", "“Why?” she asked."],
        ["In the U.S. Army.", "He went to the U.S.", "Then he came back."],
        ["He came at 5 p.m.", "He left at 6 p.m. on Sunday.", "At 5 p.m. Monday he was here."],
        ["See Fig. 3, e.g. this, and pp. 3-5.", "No. 7 is here.", "No.", "I disagree."],
        ["J. R. Smith Jr. vs. Brown.", "Acme Inc. said so.", "Apple Corp.", "He left."],
        ["Hello... world.", "Wait… what?", "Yes!!", "No?!", "Oh."],
        ["I say {R EH1 D}.", "It cost $3.50."],
        ["It is 3 in. wide.", "Come in.", "I left."],
        ["He saw Ft. Worth with Pres. Lincoln.", "I left."],
    ],
)
def test_ends_of_sentences(sentences):
    assert list(split_sentences(" ".join(sentences))) == sentences


def test_empty_lines_end_sentences_and_single_ones_do_not():
    assert list(split_sentences("A title\n\nIt goes\non. And\r\non.")) == ["A title", "It goes on.", "And on."]


def test_inline_phones_stay_in_one_piece():
    text = ", ".join(["{HH AH0 L OW1 W ER1 L D}"] * 40)
    parts = list(split_sentences(text))
    assert " ".join(parts) == text and max(map(len, parts)) <= LONGEST
    assert all(part.count("{") == part.count("}") for part in parts)


@pytest.mark.parametrize(
    "text", ["“Oh!” said Mr. K. at 5 p.m. in the U.S. ", "word ", "a. ", "\" ' b", "x!?;.'\") ", "∯ȹ&ᓰ& a. "]
)
def test_long_text_keeps_every_word_in_little_time(text):
    long = (text * 1000)[:20_000]
    start = time.process_time()
    parts = list(split_sentences(long))
    assert time.process_time() - start < 10
    kept = "".join("".join(parts).split())
    assert [c for c in kept if c.isalnum()] == [c for c in long if c.isalnum()]
    assert all(any(c.isalnum() for c in part) for part in parts)


def test_what_cannot_be_spoken_is_left_out_with_a_word(caplog):
    assert list(split_sentences(" ... \n\n ?! ")) == []
    assert list(split_sentences("One. \U0001f600\U0001f600! Two.")) == ["One.", "Two."]
    assert "'\U0001f600\U0001f600!' is left out: there is nothing in it to speak" in caplog.text
