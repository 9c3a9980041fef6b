"""The part of SSML that people use: pauses, rate, pitch and volume, pronunciations, and how figures are read.

Read by expat, with document types and entities of one's own refused. What is not supported is an error with its place,
never silently left out.

Source: W3C, Speech Synthesis Markup Language 1.1.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn
from xml.parsers import expat

from gradtts_interp.errors import InputError
from gradtts_interp.text import numbers
from gradtts_interp.text.characters import TABLES, alternatives
from gradtts_interp.text.frontend import TextFrontend, TokenizedText, inline_phones
from gradtts_interp.text.pronounce import VOWELS, Lexicon, letter_names

MOST_CHARACTERS, DEEPEST = 100_000, 32
LONGEST_PAUSE_SECONDS = 20.0
RATE_LIMITS = (0.25, 4.0)
SEMITONE_LIMITS = (-24.0, 24.0)
VOLUME_LIMITS_DB = (-60.0, 20.0)

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "speak": ("version", "xmlns", "xml:lang", "xmlns:xsi", "xsi:schemaLocation"),
    "p": ("xml:lang",),
    "s": ("xml:lang",),
    "break": ("time", "strength"),
    "prosody": ("rate", "pitch", "volume"),
    "phoneme": ("alphabet", "ph"),
    "say-as": ("interpret-as",),
    "sub": ("alias",),
}
"""Every element that is understood, with its attributes."""

PAUSES_SECONDS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}
RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
PITCHES_SEMITONES = {"x-low": -6.0, "low": -3.0, "medium": 0.0, "default": 0.0, "high": 3.0, "x-high": 6.0}
VOLUMES_DB = {
    "silent": VOLUME_LIMITS_DB[0], "x-soft": -12.0, "soft": -6.0, "medium": 0.0, "default": 0.0, "loud": 4.0,
    "x-loud": 8.0,
}  # fmt: skip

STRESS = {"ˈ": "1", "'": "1", "ˌ": "2", ",": "2"}
IGNORED = frozenset(" .‿ːˑ\u0361\u035c\u0329\u0325\u02b0\u032f")
"""Syllable dots, length, ties, syllabic and voiceless marks, aspiration: none of them is told apart in English."""

_VOWELS: dict[str, str] = TABLES["ipa vowels"]
_SOUNDS = _VOWELS | TABLES["ipa consonants"]
_REDUCED = frozenset("əɚɨɐ")
_ER = rf"ə[rɹ](?![{''.join(sound for sound in _VOWELS if len(sound) == 1)}])"
"""An r before a vowel starts the next syllable."""
_SIGN = re.compile(f"{_ER}|{alternatives(set(_SOUNDS) - {'ər', 'əɹ'})}|.", re.DOTALL)


@dataclass(frozen=True)
class Manner:
    """How something is spoken.

    Attributes:
        rate: Factor on the speed; above 1 is faster.
        semitones: Shift of the pitch.
        volume_db: Change of the level.
    """

    rate: float = 1.0
    semitones: float = 0.0
    volume_db: float = 0.0


Passage = tuple[str, Manner, float | None]
"""A stretch of text for the frontend, with pronunciations as inline phones; how it is spoken; and the seconds of the
pause after it, None where punctuation decides."""

Directions = tuple[list[Manner], dict[int, float]]
"""What SSML says of the words of a line: the manner of each, and the seconds of the pause before a word, by its index;
that of the number of words is after the last."""


def is_ssml(line: str) -> bool:
    """Whether a line is SSML: it starts with ``<speak``, or as XML does."""
    return re.match(r"\s*<(speak[\s>/]|\?xml\s|!DOCTYPE\s)", line) is not None


def tokenize_line(frontend: TextFrontend, line: str) -> tuple[TokenizedText, Directions | None]:
    """Change a line, plain or SSML, to tokens.

    Args:
        frontend: Changes plain text to tokens.
        line: Text; SSML where :func:`is_ssml`.

    Returns:
        Tokens, and what SSML says of the words; None for plain text.

    Raises:
        InputError: The SSML is wrong or not supported, a tag stands inside a word, or the frontend refuses the text.
    """
    if not is_ssml(line):
        return frontend(line), None
    passages = parse_ssml(line)
    tokenized = frontend("".join(text + (" , " if pause_seconds else "") for text, _, pause_seconds in passages))
    manners: list[Manner] = []
    pauses: dict[int, float] = {}
    for text, manner, pause_seconds in passages:
        spoken = re.search(r"[^\W_]|[^\x00-\x7f]|[$%&@+=#<>]", text)  # more than punctuation
        manners += [manner] * (len(frontend(text).words) if spoken else 0)
        if pause_seconds is not None:
            pauses[len(manners)] = pauses.get(len(manners), 0.0) + pause_seconds
    if len(manners) != len(tokenized.words):
        found = f"{len(tokenized.words)} words, but {len(manners)} between the tags"
        raise InputError(f"SSML: {found}; expected tags around whole words")
    return replace(tokenized, text=line), (manners, pauses)


def parse_ssml(text: str) -> list[Passage]:
    """Read SSML.

    Args:
        text: A ``<speak>`` element.

    Returns:
        Passages in order; those that are empty but for a pause have no text.

    Raises:
        InputError: It is no XML, or holds an element, attribute or value that is not supported; the message says where.
    """
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"SSML of {len(text)} characters; the limit is {MOST_CHARACTERS}")
    reader = _Reader()
    try:
        reader.parser.Parse(text.strip(), True)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        raise InputError(f"SSML, line {error.lineno}, column {error.offset + 1}: {what}") from error
    return reader.passages


class _Reader:
    """Collects passages while expat goes through the text."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.StartDoctypeDeclHandler = lambda *_: self.refuse("a document type is not supported; leave it out")
        self.open: list[tuple[str, Manner, Callable[[str], str] | None]] = []
        self.heard = ""  # by the element that converts its text; there is none inside it
        self.passages: list[Passage] = []

    def refuse(self, problem: str) -> NoReturn:
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        raise InputError(f"SSML, line {line}, column {column}: {problem}")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name not in ATTRIBUTES:
            self.refuse(f"<{name}> is not supported; expected one of {', '.join(ATTRIBUTES)}")
        for attribute in attributes:
            if attribute not in ATTRIBUTES[name]:
                self.refuse(f"<{name} {attribute}=...> is not supported; expected {', '.join(ATTRIBUTES[name])}")
        if (name == "speak") == bool(self.open):
            self.refuse("<speak> stands once, around everything")
        if len(self.open) >= DEEPEST:
            self.refuse(f"elements within elements, more than {DEEPEST} deep")
        around, manner, converts = self.open[-1] if self.open else ("", Manner(), None)
        if converts or around == "break":
            self.refuse(f"<{name}> inside <{around}>; expected plain text there")
        try:
            if name == "prosody":
                manner = _manner(manner, attributes)
            convert = _converter(name, attributes)
            if name == "break":
                self.passages.append(("", manner, _pause(attributes)))
        except InputError as error:
            self.refuse(f"<{name}>: {error}")
        self.open.append((name, manner, convert))

    def text(self, text: str) -> None:
        name, manner, convert = self.open[-1]
        if name == "break" and text.strip():
            self.refuse(f"<break> holds {text.strip()[:40]!r}; expected <break/>")
        if convert is not None:
            self.heard += text
        elif text:
            if "{" in text or "}" in text:
                self.refuse("a brace in the text; expected <phoneme> for a pronunciation")
            self.passages.append((text.replace("\n", " "), manner, None))

    def end(self, name: str) -> None:
        _, manner, convert = self.open.pop()
        if convert is not None:
            heard, self.heard = self.heard.strip(), ""
            try:
                self.passages.append((convert(heard), manner, None))
            except InputError as error:
                self.refuse(f"<{name}>: {error}")
        elif name in ("p", "s") and not re.search(r"[.!?]\s*$", "".join(text for text, _, _ in self.passages)):
            self.passages.append((". ", manner, None))


# -- values ---------------------------------------------------------------------------------------------------------


def _pause(attributes: Mapping[str, str]) -> float:
    if "time" in attributes:
        found = re.fullmatch(r"\+?(\d*\.?\d+)(ms|s)", attributes["time"].strip())
        seconds = float(found[1]) / (1000 if found[2] == "ms" else 1) if found else -1.0
        if not 0 <= seconds <= LONGEST_PAUSE_SECONDS:
            most = f"up to {LONGEST_PAUSE_SECONDS:g} s"
            raise InputError(f"time {attributes['time']!r}; expected such as 300ms or 1.5s, {most}")
        return seconds
    return _named("strength", attributes.get("strength", "medium"), PAUSES_SECONDS)


def _named(what: str, text: str, names: Mapping[str, float], example: str = "") -> float:
    if text not in names:
        raise InputError(f"{what} {text!r}; expected {example}one of {', '.join(names)}")
    return names[text]


def _manner(outer: Manner, attributes: Mapping[str, str]) -> Manner:
    """A manner inside another: rates multiply, shifts add."""
    rate, semitones, volume = outer.rate, outer.semitones, outer.volume_db
    if "rate" in attributes:
        rate *= _rate(attributes["rate"].strip())
    if "pitch" in attributes:
        semitones += _change("pitch", attributes["pitch"].strip(), "st", PITCHES_SEMITONES)
    if "volume" in attributes:
        volume += _change("volume", attributes["volume"].strip(), "dB", VOLUMES_DB)
    volume = max(volume, VOLUME_LIMITS_DB[0])
    found = {"rate": (rate, RATE_LIMITS), "pitch": (semitones, SEMITONE_LIMITS), "volume": (volume, VOLUME_LIMITS_DB)}
    for what, (value, (low, high)) in found.items():
        if not low <= value <= high:
            raise InputError(f"{what} of {value:g} altogether; expected {low:g} to {high:g}")
    return Manner(rate, semitones, volume)


def _rate(text: str) -> float:
    found = re.fullmatch(r"([+-]?)(\d*\.?\d+)(%?)", text)
    if not found:
        return _named("rate", text, RATES, "such as 80% or +20%, or ")
    value = float(found[2]) / (100 if found[3] else 1)
    return 1 + float(found[1] + "1") * value if found[1] else value


def _change(what: str, text: str, unit: str, names: Mapping[str, float]) -> float:
    found = re.fullmatch(rf"([+-]\d*\.?\d+){unit}", text)
    return float(found[1]) if found else _named(what, text, names, f"such as +2{unit}, or ")


def _converter(name: str, attributes: Mapping[str, str]) -> Callable[[str], str] | None:
    """What an element makes of its text; None for one that leaves it as it is."""
    if name == "phoneme":
        phones = _phones(attributes.get("alphabet", "ipa"), attributes.get("ph", "").strip())
        return lambda _: f" {phones} "
    if name == "sub":
        if not attributes.get("alias", "").strip():
            raise InputError("no alias; expected the words that are spoken")
        return lambda _: attributes["alias"]
    if name == "say-as":
        kind = attributes.get("interpret-as", "")
        if kind not in SAY_AS:
            raise InputError(f"interpret-as {kind!r}; expected one of {', '.join(SAY_AS)}")
        return lambda text: f" {SAY_AS[kind](text)} "
    return None


def _phones(alphabet: str, written: str) -> str:
    if not written:
        raise InputError("no ph; expected such as ph='HH AH0 L OW1'")
    if alphabet == "ipa":
        written = " ".join(phone for word in written.split() for phone in ipa_to_arpabet(word))
    elif alphabet not in ("x-arpabet", "x-cmu"):
        raise InputError(f"alphabet {alphabet!r}; expected ipa or x-arpabet")
    return inline_phones(f"{{{written}}}")


def _characters(text: str) -> str:
    characters = "".join(text.split())
    if not characters:
        raise InputError(f"nothing to say in {text!r}")
    wrong = re.search("[^A-Za-z0-9]", characters)
    if wrong:
        raise InputError(f"character {wrong[0]!r} of {text!r}; expected letters A-Z and digits")
    lexicon = Lexicon.default()
    return " ".join(
        numbers.spell_digits(char) if char.isdigit() else "{" + " ".join(letter_names(char, lexicon)) + "}"
        for char in characters
    )


def _digits(text: str) -> str:
    _require(r"[\s().+-]*[0-9][\s().+0-9-]*", text, "digits")
    return ", ".join(numbers.spell_digits(group) for group in re.findall("[0-9]+", text))


def _cardinal(text: str) -> str:
    _require(r"[+-]?[0-9][0-9,]*(\.[0-9]+)?", text, "a number such as 1,234 or 3.5")
    return ("minus " if text[0] == "-" else "") + numbers.number(text.lstrip("+-"))


def _ordinal(text: str) -> str:
    _require(r"[0-9][0-9,]*(?:st|nd|rd|th)?", text, "a number such as 3 or 21st")
    return numbers.ordinal(re.sub("[^0-9]", "", text))


def _require(pattern: str, text: str, expected: str) -> None:
    if not re.fullmatch(pattern, text):
        raise InputError(f"{text!r}; expected {expected}")


def ipa_to_arpabet(text: str) -> tuple[str, ...]:
    """Read a word in IPA as ARPAbet with stress digits.

    A stress mark belongs to the next vowel; vowels without one are unstressed. A word without any mark is stressed on
    its first vowel that is not reduced, since English words have one.

    Args:
        text: Such as ``həˈloʊ``; ties, length and syllable dots may stand in it. British vowels become the nearest
            American ones.

    Returns:
        Phones.

    Raises:
        InputError: A sign is none of the sounds of English, or there is no sound at all.
    """
    plain = "".join(c for c in unicodedata.normalize("NFD", text.strip().strip("/[]")) if c not in IGNORED)
    phones: list[str] = []
    reduced: list[bool] = []
    stress, marked = "0", False
    for sign in _SIGN.findall(plain):
        if sign in STRESS:
            stress, marked = STRESS[sign], True
            continue
        if sign not in _SOUNDS:
            raise InputError(f"IPA {text!r}: {sign!r} (U+{ord(sign):04X}) is no sound of English that is known here")
        for phone in _SOUNDS[sign].split():
            phones.append(phone + stress if phone in VOWELS else phone)
            reduced.append(sign[0] in _REDUCED)
            stress = "0" if phone in VOWELS else stress
    if not phones:
        raise InputError(f"IPA {text!r}: no sound; expected such as həˈloʊ")
    vowels = [i for i, phone in enumerate(phones) if phone[-1].isdigit()]
    if vowels and not marked:
        first = next((i for i in vowels if not reduced[i]), vowels[0])
        phones[first] = phones[first][:-1] + "1"
    return tuple(phones)


SAY_AS: dict[str, Callable[[str], str]] = {
    "characters": _characters, "spell-out": _characters, "digits": _digits, "telephone": _digits,
    "cardinal": _cardinal, "number": _cardinal, "ordinal": _ordinal,
}  # fmt: skip
"""Ways to read a text, by the names that synthesisers give them."""
