import pytest

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
        (numbers.decimal, ".5", "zero point five"),
        (numbers.decimal, "1.2.30", "one point two point thirty"),
        (numbers.number, "1,234.5", "one thousand two hundred thirty four point five"),
        (numbers.plural, "eighty", "eighties"),
    ],
)  # fmt: skip
def test_reading(function, written, spoken):
    assert function(written) == spoken


@pytest.mark.parametrize(
    ("over", "under", "spoken"),
    [("1", "2", "one half"), ("3", "2", "three halves"), ("3", "4", "three quarters"), ("2", "3", "two thirds"),
     ("24", "7", "twenty four seven"), ("9", "11", "nine eleven"), ("1", "0", "one zero")],
)  # fmt: skip
def test_fraction(over, under, spoken):
    assert numbers.fraction(over, under) == spoken
