"""From a line of text to the tokens and ids of the acoustic model.

Two modes: ``default`` finds every word a pronunciation; ``official`` gives the ids of the official Grad-TTS for its
checkpoints. Nothing is dropped silently: what has no spoken form stands in ``TokenizedText.warnings``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from gradtts_interp.errors import InputError
from gradtts_interp.text.characters import JOINER
from gradtts_interp.text.lexicon import Lexicon
from gradtts_interp.text.normalise import expand
from gradtts_interp.text.official import Piece, pieces_of
from gradtts_interp.text.pronounce import Pronunciation, pronounce
from gradtts_interp.text.symbols import ARPABET, PUNCTUATION, SPACE, ids_of

Mode = Literal["default", "official"]
MAX_LINE_CHARACTERS = 2000
PAUSES = "?!.:;,"
"""Punctuation of the default mode; where several meet, the one that stands first here is kept."""
_SHOWN_CHARACTERS = 60
_MAX_CONTROL_SHARE = 0.1
_ELEMENT = re.compile(
    rf"""\{{[^{{}}]*\}}|[A-Za-z']*[A-Za-z][A-Za-z']*(?:[{JOINER}-][A-Za-z']+)*|[,;:.!?()\[\]]|--+|-(?=\s|$)"""
)


@dataclass(frozen=True)
class Word:
    """A word as written after normalisation, and its tokens ``tokens[token_start:token_stop]``."""

    text: str
    token_start: int
    token_stop: int


@dataclass(frozen=True)
class TokenizedText:
    """A line of text, ready for the acoustic model.

    Attributes:
        text: The text as given.
        normalised: The text with everything expanded to words.
        tokens: Symbol names (``@`` + ARPAbet for phones), without blanks, length L.
        ids: Ids of the tokens, blanks interspersed if asked (then 2 L + 1).
        words: Words in order.
        out_of_dictionary: Words that no dictionary entry gave, with their phones.
        warnings: What was transliterated or has no spoken form.
    """

    text: str
    normalised: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    words: tuple[Word, ...]
    out_of_dictionary: tuple[Pronunciation, ...]
    warnings: tuple[str, ...]


class TextFrontend:
    """Change lines of text to tokens.

    Args:
        mode: ``default``, or ``official`` for the exact ids of the official Grad-TTS.
        add_blank: Intersperse the blank id, as official checkpoints expect.
        word_boundaries: Put a space token between words. Without these or without blanks, the default mode gives the
            layout of corpora with known durations: a leading space (silence), and a punctuation mark at the end.
        additions: File of further pronunciations, ``WORD  PH PH`` a line; they come before the dictionary's.
    """

    def __init__(
        self,
        mode: Mode = "default",
        *,
        add_blank: bool = True,
        word_boundaries: bool = True,
        additions: str | Path | None = None,
    ):
        if mode not in get_args(Mode):
            raise InputError(f"unknown text mode {mode!r}; expected one of {', '.join(get_args(Mode))}")
        if mode == "official" and not word_boundaries:
            raise InputError("the official text mode always has word boundaries; got word_boundaries=False")
        self.mode = mode
        self.add_blank = add_blank
        self.word_boundaries = word_boundaries
        lexicon = Lexicon.official() if mode == "official" else Lexicon.default()
        self.lexicon = lexicon if additions is None else lexicon.with_additions(additions)

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
        return self._official(text) if self.mode == "official" else self._default(text)

    def _official(self, text: str) -> TokenizedText:
        pieces, lost = pieces_of(text, self.lexicon)
        tokens = [token for piece in pieces for token in piece.tokens]
        if not any(token[-1].isalnum() for token in tokens):
            raise _nothing_to_speak(text)
        warnings = tuple(f"{symbol!r} is not an official symbol and is left out" for symbol in dict.fromkeys(lost))
        ids = ids_of(tokens, self.add_blank)
        normalised = "".join(piece.text for piece in pieces)
        return TokenizedText(text, normalised, tuple(tokens), ids, _official_words(pieces), (), warnings)

    def _default(self, text: str) -> TokenizedText:
        normalised, warnings = normalise_around_phones(text)
        builder = _Builder(self.word_boundaries, edges=not (self.word_boundaries and self.add_blank))
        unknown: dict[str, Pronunciation] = {}
        spoken: dict[str, Pronunciation] = {}
        for element in _ELEMENT.findall(normalised):
            if element[0] == "{":
                builder.add_word(element, tuple(element[1:-1].split()))
            elif element[0].isalpha() or element[0] == "'":
                found = spoken.get(element) or pronounce(element.replace(JOINER, "-"), self.lexicon)
                spoken[element] = found
                shown = element.replace(JOINER, "")
                word = shown if shown in self.lexicon else shown.strip("'")
                builder.add_word(word, found.phones)
                if found.how != "dictionary":
                    unknown.setdefault(word, replace(found, word=word))
            else:
                builder.add_pause(element if element in PAUSES else ",")
        if not builder.words:
            raise _nothing_to_speak(text)
        tokens = builder.finish()
        ids = ids_of(tokens, self.add_blank)
        return TokenizedText(
            text, normalised.replace(JOINER, ""), tokens, ids, tuple(builder.words), tuple(unknown.values()), warnings
        )


def _official_words(pieces: Sequence[Piece]) -> tuple[Word, ...]:
    words, start = [], 0
    for piece in pieces:
        spoken = [index for index, token in enumerate(piece.tokens, start) if token[-1].isalnum()]
        if spoken:
            words.append(Word(piece.text.strip(PUNCTUATION), spoken[0], spoken[-1] + 1))
        start += len(piece.tokens)
    return tuple(words)


class _Builder:
    """Collects tokens; a pause waits until the next word, so that the strongest of several is kept."""

    def __init__(self, word_boundaries: bool, *, edges: bool):
        self.word_boundaries, self.edges = word_boundaries, edges
        self.tokens: list[str] = [SPACE] if edges else []
        self.words: list[Word] = []
        self._pause = ""

    def add_word(self, text: str, phones: tuple[str, ...]) -> None:
        if not phones:
            return
        if not self._pause and self._ends_in_weak_the() and phones[0][-1].isdigit():
            self.tokens[-1] = "@IY0"
        self._flush()
        if self.word_boundaries and self.words:
            self.tokens.append(SPACE)
        start = len(self.tokens)
        self.tokens += ["@" + phone for phone in phones]
        self.words.append(Word(text, start, len(self.tokens)))

    def _ends_in_weak_the(self) -> bool:
        """Whether the last word is "the" as the dictionary has it first, which is said so before consonants only."""
        return bool(self.words) and self.words[-1].text.lower() == "the" and self.tokens[-2:] == ["@DH", "@AH0"]

    def add_pause(self, mark: str) -> None:
        if self.words:
            self._pause = min((self._pause, mark), key=PAUSES.index) if self._pause else mark

    def finish(self) -> tuple[str, ...]:
        if self.edges:
            self._pause = self._pause or "."
        self._flush()
        return tuple(self.tokens)

    def _flush(self) -> None:
        if self._pause:
            self.tokens.append(self._pause)
        self._pause = ""


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


def normalise_around_phones(text: str) -> tuple[str, tuple[str, ...]]:
    """Normalise text, leaving inline phones as they are (in capitals).

    Args:
        text: A line that passed ``check_text``.

    Returns:
        Normalised text and warnings.

    Raises:
        InputError: A brace is not closed, or holds no phones or an unknown one.
    """
    parts: list[str] = []
    warnings: dict[str, None] = {}
    for part in re.split(r"(\{[^{}]*\})", text):
        if part.startswith("{") and part.endswith("}"):
            parts.append(_checked_phones(part))
        elif "{" in part or "}" in part:
            raise InputError(f"unbalanced brace in {_shown(part)}; expected inline phones such as {{HH AH0 L OW1}}")
        else:
            normalised, new = expand(part)
            parts.append(normalised)
            warnings.update(dict.fromkeys(new))
    joined = " ".join(part for part in parts if part)
    return re.sub(r" (?=[,;:.!?])", "", joined), tuple(warnings)


def _checked_phones(part: str) -> str:
    phones = part[1:-1].upper().split()
    unknown = [phone for phone in phones if phone not in ARPABET]
    if unknown or not phones:
        what = f"unknown phone {unknown[0]!r}" if unknown else "no phones"
        raise InputError(f"{what} in {_shown(part)}; expected ARPAbet such as {{HH AH0 L OW1}}")
    return "{" + " ".join(phones) + "}"


def _nothing_to_speak(text: str) -> InputError:
    return InputError(f"nothing to speak in the text {_shown(text)}; expected at least one word")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "...")
