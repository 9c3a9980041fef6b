"""What is read how: published cases, and the table of the docs."""

import csv
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tables import cases

from gradtts_interp.errors import InputError
from gradtts_interp.text import normalise, numbers
from gradtts_interp.text.normalise import read_token

TABLE = Path(__file__).parents[2] / "docs" / "concepts" / "reading.csv"
ROWS = cases("text.tsv")
with TABLE.open(encoding="utf-8", newline="") as stream:
    READINGS = list(csv.reader(stream))

MISSES = dict(cases("misses.tsv"))
"""Cases that are read otherwise, and how they are read here."""


def plain(text):
    """Words as the cases compare them: no case, punctuation, hyphens, articles and "and"; single letters joined."""
    text = re.sub(r"[^a-z' ]", " ", text.lower().replace("-", " "))
    text = re.sub(r"\boh\b", "o", re.sub(r"\b(and|the|a)\b", " ", text).replace("zero", "o"))
    return " ".join(re.sub(r"\b([a-z])(?: ([a-z])\b)+", lambda m: m.group().replace(" ", ""), text).split())


def test_published_cases():
    missed = [written for _, written, spoken in ROWS if plain(normalise(written)[0]) != plain(spoken)]
    assert set(missed) == set(MISSES)
    assert 1 - len(missed) / len(ROWS) >= 0.92


@pytest.mark.parametrize(("kind", "written", "spoken"), READINGS)
def test_table_of_the_docs(kind, written, spoken):
    said, warnings = normalise(written)
    assert said == spoken
    assert bool(warnings) == (kind == "What is left out, with a warning")


@pytest.mark.parametrize(("written", "spoken"), cases("beside.tsv"))
def test_what_stands_beside_it_decides(written, spoken):
    assert normalise(written)[0] == spoken


def test_ordinary_text_is_unchanged_and_without_warnings():
    text = "He said: it's fine (really), isn't it? Yes!"
    assert normalise(text) == (text, ())


def test_other_scripts_are_transliterated_and_signs_without_sound_reported():
    spoken, warnings = normalise("Пётр")
    assert spoken.isascii() and len(warnings) == 4 and "is transliterated to 'P'" in warnings[0]
    assert normalise("a\x07b")[0] == "a b" and "U+0007" in normalise("a\x07b")[1][0]


def test_nothing_is_dropped_without_a_word():
    assert normalise("a \U0001f600 b ™ c")[1] == (
        "'\U0001f600' (U+1F600) has no spoken form and is left out",
        "'™' (U+2122) has no spoken form and is left out",
    )
    assert normalise("<i>x</i> | **y**")[1] == (
        "markup '<i>' is left out",
        "markup '</i>' is left out",
        "'**' around 'y' is left out",
        "'|' (U+007C) has no spoken form and is left out",
    )
    assert normalise("one\u200btwo three\u00a0four")[0] == "one two three four"


@pytest.mark.parametrize("token", ["12@", "5€", "+44", "x" * 101 + "@y", "\u4f60"])
def test_the_library_says_when_it_cannot_read(token):
    assert read_token(token) is None
    assert normalise(token)[0]


def test_libraries_are_loaded_by_the_text_that_needs_them():
    program = (
        "import sys, gradtts_interp.text as text; text.normalise('Dr. Smith paid $5 at 5:30 p.m. on May 3.')\n"
        "assert not {'wetext', 'kaldifst', 'pysbd'} & set(sys.modules), 'loaded too early'\n"
        "text.normalise('www.example.org'); assert 'wetext' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "line",
    ["On Jan. 15 2020 Dr. Lee paid $3.50 for 12 kg of flour at 5:30 p.m.; see www.example.org/a_b. ", "1-", "a.b", "$",
     "1,2",
     "{'a'", "<", "_*", "5 ", "I. ", "1/2 ", "(", "x=1 ", "a@b ", "Mr. ", "½", "10:10 "],
)  # fmt: skip
def test_a_line_takes_little_time(line):
    normalise("www.example.org")  # loads the library
    line = (line * 2000)[:300]
    start = time.process_time()
    normalise(line)
    assert time.process_time() - start < 0.05


@pytest.mark.parametrize(
    ("digits", "words", "ordinal"),
    [
        ("0", "zero", "zeroth"),
        ("21", "twenty-one", "twenty-first"),
        ("112", "one hundred and twelve", "one hundred and twelfth"),
        ("1001", "one thousand and one", "one thousand and first"),
        ("20340", "twenty thousand, three hundred and forty", "twenty thousand, three hundred and fortieth"),
        ("1000000", "one million", "one millionth"),
        ("1" + "0" * 35, "one hundred decillion", "one hundred decillionth"),
    ],
)
def test_words_with_hyphens_and_commas(digits, words, ordinal):
    assert numbers.number_words(digits, andword="and") == words
    assert numbers.ordinal_words(digits, andword="and") == ordinal
    assert numbers.number_words(digits) == words.replace(" and ", " ")
    with pytest.raises(InputError, match="a number of 37 digits; expected at most 36"):
        numbers.number_words("1" + "0" * 36)
