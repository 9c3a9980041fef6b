import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.text import numbers


@pytest.mark.parametrize(
    ("function", "written", "spoken"),
    [
        (numbers.cardinal, "1234", "one thousand two hundred thirty four"),
        (numbers.cardinal, "0", "zero"),
        (numbers.cardinal, "007", "zero zero seven"),
        (numbers.cardinal, "1234567890123456", " ".join("one two three four five six seven eight nine zero".split())
         + " one two three four five six"),
        (numbers.ordinal, "21", "twenty first"),
        (numbers.ordinal, "1" * 16, "one " * 16 + "th"),
        (numbers.year, "1987", "nineteen eighty seven"),
        (numbers.year, "1905", "nineteen oh five"),
        (numbers.year, "1900", "nineteen hundred"),
        (numbers.year, "2000", "two thousand"),
        (numbers.year, "2005", "two thousand five"),
        (numbers.year, "2024", "twenty twenty four"),
        (numbers.year, "5000", "five thousand"),
        (numbers.decimal, "3.14", "three point one four"),
        (numbers.decimal, ".5", "point five"),
        (numbers.decimal, "1.2.30", "one point two point thirty"),
        (numbers.number, "1,234.5", "one thousand two hundred thirty four point five"),
        (numbers.plural, "eighty", "eighties"),
        (numbers.plural, "inch", "inches"),
        (numbers.pairs, "123", "one twenty three"),
        (numbers.pairs, "708", "seven oh eight"),
        (numbers.pairs, "300", "three hundred"),
        (numbers.pairs, "1428", "fourteen twenty eight"),
        (numbers.pairs, "3005", "thirty oh five"),
        (numbers.pairs, "2000", "two thousand"),
        (numbers.number, "124,444,234,854,823,834,553", "one hundred twenty four quintillion four hundred forty four "
         "quadrillion two hundred thirty four trillion eight hundred fifty four billion eight hundred twenty three "
         "million eight hundred thirty four thousand five hundred fifty three"),
    ],
)  # fmt: skip
def test_reading(function, written, spoken):
    assert function(written) == spoken


@pytest.mark.parametrize(
    ("over", "under", "spoken"),
    [("1", "2", "one half"), ("3", "2", "three halves"), ("3", "4", "three quarters"), ("2", "3", "two thirds"),
     ("24", "7", "twenty four seven"), ("9", "11", "nine eleven"), ("1", "0", "one over zero"),
     ("5", "16", "five sixteenths")],
)  # fmt: skip
def test_fraction(over, under, spoken):
    assert numbers.fraction(over, under) == spoken


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
    assert numbers.number_words(digits) == words.replace("thousand and ", "thousand ").replace(
        "hundred and ", "hundred "
    )


def test_a_number_without_a_name():
    with pytest.raises(InputError, match="a number of 37 digits; expected at most 36"):
        numbers.number_words("1" + "0" * 36)
