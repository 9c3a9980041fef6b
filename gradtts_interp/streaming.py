"""Long text, sentence by sentence: the first is heard while the others wait, and memory does not grow with the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.moments import Moment
from gradtts_interp.interpolation.shares import Layout, Share
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style
from gradtts_interp.text.sentences import split_sentences

if TYPE_CHECKING:
    from gradtts_interp.pipeline import GradTTSInterpPipeline


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

    def draw(at: Layout) -> NDArray[np.float32]:
        plain = {f.name: getattr(at, f.name) for f in fields(Layout)}
        return share.draw(ParagraphPart(**plain, start=start, stop=stop, seconds=seconds))

    return Share(share.name, draw, share.pitch)


def stream(
    tts: GradTTSInterpPipeline,
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
        tts: The pipeline.
        text: Text of any length, divided into sentences here; or sentences.
        a: First style.
        b: Second style.
        share: How much of ``b`` speaks where.
        whole_paragraph: The share spans all sentences, by their expected durations, which the text encoder tells first;
            else it is drawn in each sentence anew, and ``text`` may be an endless iterator.
        **options: Keyword arguments of the pipeline's call, for each sentence; durations are not among them.

    Yields:
        Speech: Each sentence, as soon as it is there.

    Raises:
        InputError: There is nothing to speak, or durations were given.
    """
    if "durations" in options:
        raise InputError("durations: they belong to one sentence; expected none for a stream")
    sentences: Iterable[str] = split_sentences(text) if isinstance(text, str) else text
    if share is None or not whole_paragraph:
        said = False
        for sentence in sentences:
            said = True
            yield tts(sentence, a, b, share=share, **options)
        if not said:
            raise InputError("no text was given")
        return
    sentences = list(sentences)
    if not sentences:
        raise InputError("no text was given")
    styles = [style for style in (a, b) if style is not None]
    frames = [expected_frames(tts, sentence, styles, options.get("length_scale", 1.0)) for sentence in sentences]
    ends = np.cumsum(frames) / sum(frames)
    starts = np.concatenate([[0.0], ends[:-1]])
    seconds = sum(frames) / tts.model.settings.mel.frame_rate_hz
    for sentence, start, stop in zip(sentences, starts.tolist(), ends.tolist(), strict=True):
        yield tts(sentence, a, b, share=part_of_share(share, start, stop, seconds), **options)


@torch.no_grad()
def expected_frames(tts: GradTTSInterpPipeline, text: str, styles: list[Style], length_scale: float) -> int:
    """Frames that a sentence will have, before the blend is decided: the mean over the styles.

    Args:
        tts: The pipeline.
        text: The sentence.
        styles: A and B.
        length_scale: Factor on durations.

    Returns:
        Frames, at least 1.
    """
    tokens = [tts.frontend(text)]
    found = [int(tts.prepare(tokens, [style], None, length_scale=length_scale).lengths[0]) for style in styles]
    return max(1, round(sum(found) / len(found)))
