"""From a line of text to the tokens and ids of the acoustic model.

Two modes: ``default`` finds every word a pronunciation; ``official`` gives the ids of the official Grad-TTS for its
checkpoints. Nothing is dropped silently: what has no spoken form stands in ``TokenizedText.warnings``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from gradtts_interp.errors import InputError
from gradtts_interp.text.characters import JOINER
from gradtts_interp.text.normalise import expand
from gradtts_interp.text.official import ARPABET, PUNCTUATION, SPACE, ids_of, pieces_of
from gradtts_interp.text.pronounce import Lexicon, Pronunciation, pronounce

Mode = Literal["default", "official"]
MAX_LINE_CHARACTERS = 2000
PAUSES = "?!.:;,"
"""Punctuation of the default mode; where several meet, the one that stands first here is kept."""
_SHOWN_CHARACTERS = 60
_MAX_CONTROL_SHARE = 0.1
_ELEMENT = re.compile(
    rf"""\{{[^{{}}]*\}}|[A-Za-z']*[A-Za-z][A-Za-z']*(?:[{JOINER}-][A-Za-z']+)*|[,;:.!?()\[\]]|--+|-(?=\s|$)"""
)


Word = tuple[str, int, int]
"""A word as written after normalisation, its first token, and the one after its last."""


@dataclass(frozen=True)
class TokenizedText:
    """A line of text, ready for the acoustic model.

    Attributes:
        text: The text as given.
        normalised: The text with everything expanded to words.
        tokens: Symbol names (``@`` + ARPAbet for phones), without blanks, length L.
        ids: Ids of the tokens, blanks interspersed if asked (then 2 L + 1).
        words: Words in order.
        out_of_dictionary: Words that no dictionary entry gave; their phones, and how these were found.
        warnings: What was transliterated or has no spoken form.
    """

    text: str
    normalised: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    words: tuple[Word, ...]
    out_of_dictionary: dict[str, Pronunciation]
    warnings: tuple[str, ...]

    @property
    def blanks(self) -> bool:
        """Whether blanks stand between the tokens."""
        return len(self.ids) > len(self.tokens)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each id; blanks are ``""``."""
        return ("", *(name for token in self.tokens for name in (token, ""))) if self.blanks else self.tokens


_Read = tuple[str, list[str], list[Word], dict[str, Pronunciation], tuple[str, ...]]
"""Normalised text, tokens, words, words that no dictionary has, and warnings."""


class TextFrontend:
    """Change lines of text to tokens.

    Args:
        mode: ``default``, or ``official`` for the exact ids of the official Grad-TTS.
        add_blank: Intersperse the blank id, as official checkpoints expect.
        word_boundaries: Put a space token between words. Without these or without blanks, the default mode gives the
            layout of corpora with known durations: a leading space (silence), and a punctuation mark at the end.

    Attributes:
        lexicon: Dictionary that words are looked up in; one
            :meth:`~gradtts_interp.text.pronounce.Lexicon.with_additions` may take its place.
    """

    def __init__(self, mode: Mode = "default", *, add_blank: bool = True, word_boundaries: bool = True):
        if mode not in get_args(Mode):
            raise InputError(f"unknown text mode {mode!r}; expected one of {', '.join(get_args(Mode))}")
        if mode == "official" and not word_boundaries:
            raise InputError("the official text mode always has word boundaries; got word_boundaries=False")
        self.mode = mode
        self.add_blank = add_blank
        self.word_boundaries = word_boundaries
        self.lexicon = Lexicon.official() if mode == "official" else Lexicon.default()

    def __call__(self, text: str) -> TokenizedText:
        """Tokenize one line.

        Args:
            text: Up to 2,000 characters; phones may stand inline, ``{HH AH0 L OW1}``.

        Returns:
            Tokens, ids, words, unknown words and warnings.

        Raises:
            InputError: The text is too long, binary, has nothing to speak, or its inline phones are wrong.
        """
        check_text(text)
        read = self._official if self.mode == "official" else self._default
        normalised, tokens, words, unknown, warnings = read(text)
        if not words:
            raise InputError(f"nothing to speak in the text {_shown(text)}; expected at least one word")
        ids = ids_of(tokens, self.add_blank)
        return TokenizedText(text, normalised, tuple(tokens), ids, tuple(words), unknown, warnings)

    def _official(self, text: str) -> _Read:
        pieces, lost = pieces_of(text, self.lexicon)
        tokens: list[str] = []
        words: list[Word] = []
        for written, own in pieces:
            spoken = [index for index, token in enumerate(own, len(tokens)) if token[-1].isalnum()]
            if spoken:
                words.append((written.strip(PUNCTUATION), spoken[0], spoken[-1] + 1))
            tokens += own
        warnings = tuple(f"{symbol!r} is not an official symbol and is left out" for symbol in dict.fromkeys(lost))
        return "".join(written for written, _ in pieces), tokens, words, {}, warnings

    def _default(self, text: str) -> _Read:
        normalised, warnings = _normalise_around_phones(text)
        elements = _ELEMENT.findall(normalised)
        spoken: dict[str, tuple[str, tuple[str, ...]]] = {}
        unknown: dict[str, Pronunciation] = {}
        for element in dict.fromkeys(elements):
            if element[0] == "{":
                spoken[element] = element, tuple(element[1:-1].split())
            elif element[0].isalpha() or element[0] == "'":
                shown = element.replace(JOINER, "")
                word = shown if shown in self.lexicon else shown.strip("'")
                phones, how = pronounce(element.replace(JOINER, "-"), self.lexicon)
                spoken[element] = word, phones
                if how != "dictionary":
                    unknown.setdefault(word, (phones, how))
        tokens, words = self._laid_out([spoken.get(element, element) for element in elements])
        return normalised.replace(JOINER, ""), tokens, words, unknown, warnings

    def _laid_out(self, elements: Sequence[str | tuple[str, tuple[str, ...]]]) -> tuple[list[str], list[Word]]:
        """Tokens and words of pauses and of words with phones; of several pauses in a row the strongest is kept."""
        edges = not (self.word_boundaries and self.add_blank)
        tokens, words, pause = [SPACE] if edges else [], list[Word](), ""
        for element in elements:
            if isinstance(element, str):
                mark = element if element in PAUSES else ","
                pause = min(pause or mark, mark, key=PAUSES.index) if words else ""
                continue
            word, phones = element
            if phones:
                # "the" as the dictionary has it first is said so before consonants only.
                the = bool(words) and words[-1][0].lower() == "the" and tokens[-2:] == ["@DH", "@AH0"]
                if the and not pause and phones[0][-1].isdigit():
                    tokens[-1] = "@IY0"
                tokens += [pause] if pause else []
                tokens += [SPACE] if self.word_boundaries and words else []
                words.append((word, len(tokens), len(tokens) + len(phones)))
                tokens += ["@" + phone for phone in phones]
                pause = ""
        pause = pause or ("." if edges else "")
        return tokens + ([pause] if pause else []), words


def check_text(text: str) -> None:
    """Reject what is no line of text.

    Args:
        text: Candidate.

    Raises:
        InputError: Not a str, a line over 2,000 characters, or binary data.
    """
    if not isinstance(text, str):
        raise InputError(f"text must be a str; got {type(text).__name__}")
    longest = max((len(line) for line in text.splitlines()), default=0)
    if longest > MAX_LINE_CHARACTERS:
        raise InputError(f"line of {longest} characters ({_shown(text)}); the limit is {MAX_LINE_CHARACTERS}")
    control = sum(not (char.isspace() or char.isprintable()) and ord(char) < 0xA0 for char in text)
    undecoded = any("\ud800" <= char <= "\udfff" for char in text)
    if "\0" in text or undecoded or control > _MAX_CONTROL_SHARE * len(text):
        raise InputError(f"text looks like binary data: {_shown(text)}; expected a line of text in UTF-8")


def _normalise_around_phones(text: str) -> tuple[str, tuple[str, ...]]:
    """Normalised text and warnings; inline phones stay as they are, in capitals."""
    parts: list[str] = []
    warnings: dict[str, None] = {}
    for part in re.split(r"(\{[^{}]*\})", text):
        if part.startswith("{") and part.endswith("}"):
            parts.append(inline_phones(part))
        elif "{" in part or "}" in part:
            raise InputError(f"unbalanced brace in {_shown(part)}; expected inline phones such as {{HH AH0 L OW1}}")
        else:
            normalised, new = expand(part)
            parts.append(normalised)
            warnings.update(dict.fromkeys(new))
    joined = " ".join(part for part in parts if part)
    return re.sub(r" (?=[,;:.!?])", "", joined), tuple(warnings)


def inline_phones(part: str) -> str:
    """Inline phones such as ``{HH AH0 L OW1}``, in capitals.

    Args:
        part: As written, with its braces.

    Returns:
        The phones in braces, apart by single blanks.

    Raises:
        InputError: There is none, or one that is not known.
    """
    phones = part[1:-1].upper().split()
    unknown = [phone for phone in phones if phone not in ARPABET]
    if unknown or not phones:
        what = f"unknown phone {unknown[0]!r}" if unknown else "no phones"
        raise InputError(f"{what} in {_shown(part)}; expected ARPAbet such as {{HH AH0 L OW1}}")
    return "{" + " ".join(phones) + "}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "...")
