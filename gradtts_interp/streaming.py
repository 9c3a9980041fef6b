"""Long text, sentence by sentence: the first is heard while the others wait, and memory does not grow with the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.moments import Moment
from gradtts_interp.interpolation.shares import Draw, Layout, Share, compose
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style
from gradtts_interp.text.sentences import split_sentences
from gradtts_interp.text.ssml import is_ssml


@dataclass(frozen=True)
class ParagraphPart(Layout):
    """The plane of one sentence that knows its place in a paragraph, so that times count over the whole.

    Attributes:
        start: Where the sentence starts in the paragraph, in [0, 1).
        stop: Where it ends.
        seconds: Expected length of the paragraph.
    """

    start: float = 0.0
    stop: float = 1.0
    seconds: float = 0.0

    @property
    def positions(self) -> NDArray[np.float64]:
        """Time of each frame's centre relative to the paragraph, (T,) in (0, 1)."""
        return self.start + super().positions * (self.stop - self.start)

    def position(self, at: Moment) -> float:
        """Time of a moment relative to the paragraph; words are counted in the sentence."""
        if at.unit == "relative":
            return at.value
        if at.unit == "seconds":
            return at.value / self.seconds
        return self.start + super().position(at) * (self.stop - self.start)


def part_of_share(share: Share, start: float, stop: float, seconds: float) -> Share:
    """The part of a share that falls on one sentence of a paragraph.

    Args:
        share: Drawn over the whole paragraph.
        start: Where the sentence starts in the paragraph, in [0, 1).
        stop: Where it ends.
        seconds: Expected length of the paragraph.

    Returns:
        A share for the sentence; at the end of one sentence it is what it is at the start of the next.
    """

    def part(draw: Draw, at: Layout) -> NDArray[np.float32]:
        plain = {f.name: getattr(at, f.name) for f in fields(Layout)}
        return draw(ParagraphPart(**plain, start=start, stop=stop, seconds=seconds))

    return replace(compose(share.name, part, share), region=share.region)


def stream(
    speak: Callable[..., Speech],
    expected_seconds: Callable[..., float],
    text: str | Iterable[str],
    a: Style | None = None,
    b: Style | None = None,
    *,
    share: Share | None = None,
    whole_paragraph: bool = True,
    **options: Any,
) -> Iterator[Speech]:
    """Speak a long text sentence by sentence.

    Args:
        speak: The pipeline, or what else speaks one sentence as it does.
        expected_seconds: From a sentence, styles and ``length_scale`` to how long the sentence will be.
        text: Text of any length, divided into sentences here; or sentences.
        a: First style.
        b: Second style.
        share: How much of ``b`` speaks where.
        whole_paragraph: The share spans all sentences, by their expected durations, which the text encoder tells first;
            else each sentence has the whole share, and ``text`` may be an endless iterator.
        **options: Keyword arguments of ``speak``, for each sentence; durations are not among them.

    Yields:
        Speech: Each sentence, as soon as it is there.

    Raises:
        InputError: There is nothing to speak, durations were given, or a share without two styles.
    """
    if "durations" in options:
        raise InputError("durations: they belong to one sentence; expected none for a stream")
    if share is not None and (a is None or b is None):
        raise InputError("a share needs two styles; expected both, or no share")
    sentences: Iterable[str] = speakable_parts(text) if isinstance(text, str) else text
    parts: Iterable[tuple[str, Share | None]] = ((sentence, share) for sentence in sentences)
    if share is not None and whole_paragraph:
        sentences = list(sentences)
        scale = options.get("length_scale", 1.0)
        seconds = [expected_seconds(sentence, (a, b), length_scale=scale) for sentence in sentences]
        parts = zip(sentences, shares_of_sentences(share, seconds), strict=True)
    said = False
    for sentence, part in parts:
        said = True
        yield speak(sentence, a, b, share=part, **options)
    if not said:
        raise InputError("no text was given")


def speakable_parts(text: str) -> Iterable[str]:
    """Sentences of a text; one in SSML stays whole, since its tags may span several."""
    return [text] if is_ssml(text) else split_sentences(text)


def shares_of_sentences(share: Share, seconds: Sequence[float]) -> list[Share]:
    """Divide a share over a paragraph among its sentences.

    Args:
        share: Drawn over the whole paragraph.
        seconds: Expected length of each sentence, above 0.

    Returns:
        The part that falls on each sentence.
    """
    total = sum(seconds)
    ends = np.cumsum(seconds) / total if total else np.empty(0)
    starts = [0.0, *ends.tolist()]
    return [part_of_share(share, start, stop, total) for start, stop in zip(starts, starts[1:], strict=False)]
