import pytest

from gradtts_interp.text.normalise import normalise

TABLE = {
    "Dr. Smith lives on Main St. near St. Mary's.": "Doctor Smith lives on Main Street near Saint Mary's.",
    "In 1987, 2005 and 2015": "In nineteen eighty seven, two thousand five and twenty fifteen",
    "the 1980s and '90s": "the nineteen eighties and nineties",
    "March 3, 1987": "March third, nineteen eighty seven",
    "Jan. 5th": "January fifth",
    "3/14/2015": "March fourteenth, twenty fifteen",
    "25/12/1999": "the twenty fifth of December, nineteen ninety nine",
    "2015-03-14": "March fourteenth, twenty fifteen",
    "13/32/2015": "thirteen slash thirty two slash twenty fifteen",
    "at 5:30 p.m.": "at five thirty PM.",
    "at 5:30 for tea, at 10:00 the bus": "at five thirty for tea, at ten o'clock the bus",
    "at 5:05": "at five oh five",
    "at 5:00": "at five o'clock",
    "at 17:00": "at seventeen o'clock",
    "at 7am": "at seven AM",
    "at 2:10:05": "at two hours ten minutes and five seconds",
    "$3.50": "three dollars and fifty cents",
    "$1": "one dollar",
    "$0.01": "one cent",
    "$3.5 million": "three point five million dollars",
    "$2.5bn": "two point five billion dollars",
    "£1.20": "one pound and twenty pence",
    "¥500": "five hundred yen",
    "50¢": "fifty cents",
    "$1,234,567": "one million two hundred thirty four thousand five hundred sixty seven dollars",
    "50% of A & B": "fifty percent of A and B",
    "5 kg, 1 kg, 6ft": "five kilograms, one kilogram, six feet",
    "72°F and 20°": "seventy two degrees Fahrenheit and twenty degrees",
    "3.5 GHz": "three point five gigahertz",
    "60 mph": "sixty miles per hour",
    "½ of 3/4": "one half of three quarters",
    "$20-$30": "twenty dollars to thirty dollars",
    "a 3-year-old with COVID-19": "a three year-old with COVID nineteen",
    "she is 5'10\" tall": "she is five foot ten tall",
    "a Ph.D. thesis": "a PHD thesis",
    "open 24/7": "open twenty four seven",
    "5-10 people": "five to ten people",
    "-5 degrees": "minus five degrees",
    "call 555-1234": "call five five five, one two three four",
    "the 2nd, 21st and 100TH": "the second, twenty first and one hundredth",
    "3.14": "three point one four",
    "version 3.0.1": "version three point zero point one",
    "agent 007": "agent zero zero seven",
    "MP3": "MP three",
    "the U.S. Navy": "the US Navy",
    "the US Navy": "the US Navy",
    "GIVE IT TO US": "GIVE IT TO US",
    "J. R. Smith Jr. vs. Brown": "J R Smith Junior versus Brown",
    "e.g. this, i.e. that": "for example this, that is that",
    "No. 7": "number seven",
    "No. I disagree.": "No. I disagree.",
    "visit example.com": "visit example dot com",
    "and/or": "and or",
    "caf\u00e9St. and Acme CORP.": "cafeSt. and Acme Corporation.",
    "naïve café": "naive cafe",
    "it\u2019s \u201cquoted\u201d": 'it\'s "quoted"',
}


@pytest.mark.parametrize(("written", "spoken"), TABLE.items())
def test_table(written, spoken):
    assert normalise(written)[0] == spoken


def test_ordinary_text_is_unchanged_and_without_warnings():
    text = "He said: it's fine (really), isn't it? Yes!"
    assert normalise(text) == (text, ())


def test_emoji_is_reported_and_left_out():
    assert normalise("hello 😀") == ("hello", ("'😀' (U+1F600) has no spoken form and is left out",))


def test_other_scripts_are_transliterated_with_a_warning():
    spoken, warnings = normalise("Пётр")
    assert spoken.isascii() and spoken
    assert len(warnings) == 4 and "is transliterated to 'P'" in warnings[0]


def test_signs_without_sound_are_reported():
    assert normalise("a | b")[1] == ("'|' (U+007C) has no spoken form and is left out",)
    assert normalise("a\x07b")[0] == "a b" and "U+0007" in normalise("a\x07b")[1][0]
