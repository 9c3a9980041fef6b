"""Abbreviations: how they are read, and which of their full stops end a sentence. Roman numerals after names.

The normaliser and the sentence splitter both go by these tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from gradtts_interp.text import numbers
from gradtts_interp.text.characters import initialism

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]

TITLES = {
    "Mr": "Mister", "Mrs": "Misses", "Ms": "Miz", "Dr": "Doctor", "Drs": "Doctors", "Prof": "Professor",
    "Gen": "General", "Sen": "Senator", "Rep": "Representative", "Gov": "Governor", "Capt": "Captain",
    "Lt": "Lieutenant", "Col": "Colonel", "Sgt": "Sergeant", "Rev": "Reverend", "Hon": "Honorable", "Maj": "Major",
    "Mt": "Mount", "Ft": "Fort", "St": "Saint", "Sts": "Saints", "Pres": "President", "Cmdr": "Commander",
    "Cpl": "Corporal", "Pvt": "Private", "Adm": "Admiral", "Supt": "Superintendent", "Det": "Detective",
    "Insp": "Inspector", "Messrs": "Messers", "Fr": "Father", "Sec": "Secretary", "Amb": "Ambassador",
    "Pt": "Point", "Mme": "Madame", "Mlle": "Mademoiselle",
}  # fmt: skip
"""Before a name, where the stop never ends a sentence."""
STREETS = {
    "St": "Street", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Dr": "Drive", "Ln": "Lane", "Ct": "Court",
    "Pl": "Place", "Pkwy": "Parkway", "Hwy": "Highway", "Sq": "Square", "Ter": "Terrace", "Cir": "Circle",
    "Expy": "Expressway", "Fwy": "Freeway",
}  # fmt: skip
"""After a name."""
CALENDAR = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thur": "Thursday",
    "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday", "Jan": "January", "Feb": "February",
    "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July", "Aug": "August", "Sep": "September",
    "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip
WORDS = {
    **CALENDAR, "Jr": "Junior", "Sr": "Senior", "vs": "versus", "etc": "et cetera", "approx": "approximately",
    "dept": "department", "est": "established", "Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation",
    "Co": "Company", "Bros": "Brothers", "Esq": "Esquire", "al": "al", "cf": "compare", "incl": "including",
    "excl": "excluding", "max": "maximum", "avg": "average", "misc": "miscellaneous", "govt": "government",
    "intl": "international", "natl": "national", "univ": "university", "assn": "association", "tel": "telephone",
    "temp": "temperature", "eds": "editors", "hosp": "hospital", "acct": "account", "appt": "appointment",
    "bldg": "building", "Calif": "California", "Mass": "Massachusetts", "Conn": "Connecticut", "Fla": "Florida",
    "Tex": "Texas", "Penn": "Pennsylvania", "Ariz": "Arizona", "Tenn": "Tennessee", "viz": "namely",
}  # fmt: skip
"""Anywhere; whether the stop ends a sentence is told by what follows."""
NUMBERED = {
    "No": "number", "Nos": "numbers", "Nr": "number", "Fig": "figure", "Figs": "figures", "Vol": "volume",
    "Vols": "volumes", "p": "page", "pp": "pages", "Pg": "page", "Ch": "chapter", "Chap": "chapter", "Sec": "section",
    "Art": "article", "Eq": "equation", "Tab": "table", "Ed": "edition", "Ep": "episode", "Pt": "part",
    "Apt": "apartment", "Rm": "room", "Op": "opus", "Para": "paragraph", "Ext": "extension", "ca": "circa",
    "c": "circa", "Rte": "route", "Hwy": "highway", "Bldg": "building", "Ste": "suite",
}  # fmt: skip
"""Before a number, where the stop never ends a sentence."""
PHRASES = {"e.g.": "for example", "i.e.": "that is", "a.k.a.": "also known as", "et al.": "and others",
           "w/o": "without", "b/c": "because", "c/o": "care of", "n/a": "not applicable", "w/": "with "}  # fmt: skip
MEASURED = ("oz", "lb", "lbs", "ft", "in", "yd", "yds", "mi", "hr", "hrs", "min", "mins", "sec", "secs", "yr", "yrs",
            "mo", "mos", "wk", "wks", "gal", "qt", "pt", "tsp", "tbsp", "cm", "mm", "km", "kg", "mg", "ml", "sq", "cu",
            "fl")  # fmt: skip
"""Units that people write with a stop after a number."""
STATES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
    "CT": "Connecticut", "DE": "Delaware", "FL": "Florida", "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho",
    "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana", "ME": "Maine",
    "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi",
    "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire", "NJ": "New Jersey",
    "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma",
    "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota",
    "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia", "WA": "Washington",
    "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming", "DC": initialism("DC"),
}  # fmt: skip
"""After a city and a comma, or before a ZIP code."""

STARTERS = frozenset(
    "A After Although An And As At Before But By Did Do Does For From Has Have He Her His How However I If In I"
    "s It Its My "
    "No Not On One Our She So Some Such That The Their Then There These They This Those To We Were What When Where Who "
    "Why With Yes You Your".split()
)
"""Capitalised words that begin a sentence rather than a name."""
ALSO_WORDS = frozenset("al co est fig mar mass max mon penn sat sun temp wed".split())
"""Common words too, whose stop may well end a sentence."""
_BEFORE_WORDS = frozenset("vs approx cf incl excl viz".split())
DAYS_AND_MONTHS = frozenset(CALENDAR.values()) | {"May", *CALENDAR}
_GIVEN_NAMES = frozenset(
    "Henry Louis Elizabeth George Charles Edward Richard William James Pius Benedict Leo Gregory Innocent Cleme"
    "nt Urban "
    "Francis Philip Ferdinand Frederick Wilhelm Napoleon Peter Catherine Nicholas Alexander Ivan Ramses Ramesses "
    "Ptolemy Darius Xerxes Cyrus Constantine Theodosius Otto Maximilian Rudolf Leopold Albert Christian Gustav "
    "Gustavus "
    "Haakon Harald Olav Carl Margrethe Juan Carlos Alfonso Pedro Isabella Victor Emmanuel Umberto Mehmed Selim "
    "Suleiman "
    "Murad Hassan Hussein Abdullah Faisal Rama Thutmose Amenhotep Seti Antiochus Robert Stephen Sixtus Julius Boniface "
    "Celestine Honorius Martin Eugene Adrian Casimir Sigismund Andrew Paul John Mary Anne Joseph Michael Felipe"
    " Baldwin "
    "Philippe Henri Friedrich Karl Franz Cleopatra Justinian Basil Manuel Beatrix Elisabeth Margaret Christina "
    "Alphonse Artaxerxes Mithridates Boris Thomas David Daniel Samuel Walter Harry Frank Fred Jack Arthur Kenneth "
    "Donald Ronald Anthony Patrick Douglas Matthew Mark Steven Edwin Howard Theodore Benjamin".split()
)
_RULER = (
    "King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Sultan|Pharaoh|Prince|Princess|Duke|Earl|Shah|Patriarch|Archduke"
)
_LABEL = (
    "World War|War|Chapter|Part|Act|Scene|Volume|Book|Section|Article|Title|Phase|Type|Class|Stage|Grade|Level"
    "|Appendix|"
    "Figure|Table|Episode|Season|Super Bowl|Mark|Schedule|Annex|Unit|Lesson|Step|Round|Group|Division|Factor|Category|"
    "Tier|Canto|Psalm|Symphony|Sonata|Concerto|Plate|Exhibit|Zone|Amendment|Rule"
)
_ROMAN = r"(?=[IVXLC])C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_AFTER_ONE = r"\W|$|\s+(?:of|is|was|were|and|to|the|in|had|has|by|began|ended|ends|begins)\b"
_NEXT_WORD = re.compile(r"""["')\]]*\s+["'(\[]*([A-Za-z][A-Za-z']*)""")


def alternatives(words: Iterable[str]) -> str:
    """Words as a pattern, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def ends_sentence(match: re.Match[str]) -> bool:
    """Whether the stop that a match ends with closes a sentence, by what follows.

    Nothing, or a word such as "The", says so; so does any capital after a short form in small letters ("5 oz. Gin"),
    except a day or month ("at 5 p.m. Monday").

    Args:
        match: An abbreviation with its stop.

    Returns:
        Whether the stop is to be kept.
    """
    rest = match.string[match.end() :]
    if not rest.strip("\"')] "):
        return True
    found = _NEXT_WORD.match(rest)
    if not found or not found[1][0].isupper():
        return False
    small = next(char for char in match[0] if char.isalpha()).islower()
    return found[1] in STARTERS or (small and found[1] not in DAYS_AND_MONTHS)


def _value(roman: str) -> str:
    values = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}[letter] for letter in roman]
    return str(sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True)))


def _labelled(match: re.Match[str]) -> str:
    label, roman = match["label"], match["roman"]
    if roman in ("L", "C"):
        return match[0]
    if roman == "I" and label != "World War":
        sure = label[0].isupper() and re.match(_AFTER_ONE, match.string[match.end() :])
        return f"{label} one" if sure else match[0]
    return f"{label} {numbers.cardinal(_value(roman))}"


def _after_name(match: re.Match[str]) -> str:
    name, roman = match["name"], match["roman"]
    if name in _GIVEN_NAMES and roman not in ("C", "L"):
        initial = len(roman) == 1 and re.match(r"\.\s+[A-Z]", match.string[match.end() :])
        return match[0] if initial else f"{name} the {numbers.ordinal(_value(roman))}"
    if len(roman) == 1 or roman in ("XL", "CC", "CI", "LI", "CV") or name in STARTERS:
        return match[0]
    given = re.search(r"\b([A-Z][a-z]+)(?: [A-Z]\.?| [A-Z][a-z]+)? $", match.string[: match.start()])
    if given and given[1] in _GIVEN_NAMES:
        return f"{name} the {numbers.ordinal(_value(roman))}"
    return f"{name} {numbers.cardinal(_value(roman))}"


def _street_or_title(match: re.Match[str]) -> str:
    short, stop = match["short"], match["stop"]
    before, after = match.string[: match.start()], match.string[match.end() :]
    house = re.search(r"\b[0-9]+[A-Z]? (?:[NSEW]\.? )?(?:(?:[A-Z][\w'.]*|[0-9]+(?:st|nd|rd|th)) ){1,3}$", before)
    after_name = re.search(r"(?:[A-Z][\w']*\.?|[0-9](?:st|nd|rd|th)) $", before)
    following = re.match(r"\s+([A-Z][A-Za-z']*)", after)
    before_name = following and short.capitalize() in TITLES and (following[1] not in STARTERS or not after_name)
    if short.capitalize() in STREETS and (house or (short[0].isupper() and after_name and not before_name)):
        return STREETS[short.capitalize()] + ("." if stop and ends_sentence(match) else "")
    if short in TITLES and (before_name or (stop and not after_name)):
        return TITLES[short] + ("." if stop and not after.strip() else "")
    return STREETS[short] if stop and short in STREETS and short not in TITLES else match[0]


def _shortened(match: re.Match[str]) -> str:
    ends = ends_sentence(match) and not (match["short"] in _BEFORE_WORDS and match.string[match.end() :].strip())
    if match["short"].lower() in ALSO_WORDS and ends:
        day = re.search(r"\b(?:on|last|next|this|every|until|by|since|from|to|in) $", match.string[: match.start()])
        if not (day and match["short"][0].isupper()):
            return match[0]
    return _WORD_OF_LOWER[match["short"].lower()] + ("." if ends else "")


_WORD_OF_LOWER = {short.lower(): full for short, full in WORDS.items()}
_NUMBERED_OF_LOWER = {short.lower(): full for short, full in NUMBERED.items()}
_WITHOUT_STOP = ("Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Mt", "Sgt", "Lt", "Capt", "Ave", "Blvd", "Rd", "Ln", "Ct",
                 "Pkwy", "Hwy", "ave", "blvd", "rd", "ln", "hwy", "st", "dr", "ct")  # fmt: skip

RULES: tuple[Rule, ...] = (
    (
        re.compile(rf"\b(?P<name>(?:{_RULER}) (?:[A-Z][a-z]+ )??[A-Z][a-z]+) (?P<roman>{_ROMAN})(?![A-Za-z])"),
        lambda m: f"{m['name']} the {numbers.ordinal(_value(m['roman']))}",
    ),
    (re.compile(rf"\b(?P<label>(?i:{_LABEL})) (?P<roman>{_ROMAN})(?![A-Za-z]|'[a-rt-z])"), _labelled),
    (
        re.compile(rf"\b(?P<roman>{_ROMAN})(?:th|st|nd|rd)? (?=(?i:century|centuries|dynasty|olympi))"),
        lambda m: f"{numbers.ordinal(_value(m['roman']))} ",
    ),
    (
        re.compile(r"\b(?P<name>[A-Z][a-z]+) I(?=[,;:)]|'s\b| of [A-Z]|\.?$| (?:reigned|ruled|became|died)\b)"),
        lambda m: f"{m['name']} the first" if m["name"] in _GIVEN_NAMES else m[0],
    ),
    (re.compile(rf"\b(?P<name>[A-Z][a-z]+) (?P<roman>(?!I\b){_ROMAN})(?![A-Za-z]|'[a-rt-z])"), _after_name),
    (
        re.compile(rf"(?<![\w.])({alternatives(PHRASES)})(?![a-z0-9]|(?<=[a-z])/)", re.I),
        lambda m: PHRASES[m[1].lower()],
    ),
    (
        re.compile(rf"\b(?P<short>{alternatives(NUMBERED)})\.\s?(?=[0-9])", re.I),
        lambda m: _NUMBERED_OF_LOWER[m["short"].lower()] + " ",
    ),
    (re.compile(rf"\b(?P<short>{alternatives({**TITLES, **STREETS})})(?P<stop>\.)(?!\w)"), _street_or_title),
    (re.compile(rf"\b(?P<short>{alternatives(_WITHOUT_STOP)})(?P<stop>)(?![\w.'])"), _street_or_title),
    (re.compile(rf"\b(?P<short>{alternatives(WORDS)})\.(?![\w.])", re.I), _shortened),
)
"""In this order."""
