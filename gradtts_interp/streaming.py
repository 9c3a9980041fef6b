"""Long text, sentence by sentence: the first is heard while the others wait, and memory does not grow with the text."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradtts_interp.alignment import fix_length
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.mechanisms import Plan, StyleReading
from gradtts_interp.interpolation.shares import Draw, Layout, Share, compose
from gradtts_interp.sampling import SamplingOptions
from gradtts_interp.styles import Style
from gradtts_interp.text.sentences import split_sentences
from gradtts_interp.text.ssml import is_ssml
from gradtts_interp.vocoder import PitchContour

Spoken = TypeVar("Spoken")

FIRST_FRAMES, FRAMES_PER_STEP = 24, 3
"""The first piece of a sentence has 0.28 s, or more where many steps make the second one slow."""
LARGEST_FRAMES = 192
CONTEXT_FRAMES = 16
FADE_FRAMES = 8


@dataclass(frozen=True)
class Laid:
    """A sentence of which all is decided and nothing sampled.

    Attributes:
        plan: What each network evaluation reads, without the prior means.
        readings: The styles as the networks read them.
        mask: 1 on frames of the sentence (1, 1, T).
        noise: What the sampler starts from (1, M, T), after the temperature.
        length: Frames of the sentence; T is rounded up to what the network takes.
        contour: F0 in Hz and voicing that are asked for (length,), or None.
        options: How it is sampled.
        generators: What a sampler that draws noise at each step draws it from.
    """

    plan: Plan
    readings: tuple[StyleReading, ...]
    mask: Tensor
    noise: Tensor
    length: int
    contour: PitchContour | None
    options: SamplingOptions
    generators: list[torch.Generator]


def piece_ends(frames: int, steps: int) -> list[int]:
    """Where the pieces of a sentence end: the first is short, the others longer as time for them is won."""
    size = max(FIRST_FRAMES, FRAMES_PER_STEP * steps)
    ends = [min(size, frames)]
    while ends[-1] < frames:
        size = max(size, min(2 * size, LARGEST_FRAMES))
        ends.append(min(ends[-1] + size, frames))
    return ends


def join_windows(
    laid: Laid,
    sample: Callable[[Laid, slice], Tensor],
    decode: Callable[[Tensor, slice, PitchContour | None], NDArray[np.float32]],
    *,
    multiple: int,
    reach: int,
) -> Iterator[NDArray[np.float32]]:
    """Sample a sentence window by window, and decode it as far as the vocoder's context is there.

    The score network looks at all frames it is given, so a window is not what it is in the whole; it has
    :data:`CONTEXT_FRAMES` more on each side, and passes into the next over :data:`FADE_FRAMES`. The prior mean alone
    (0 steps) is the same in windows.

    Args:
        laid: The sentence.
        sample: From the sentence and frames of it to their log-mel (M, n).
        decode: From the log-mel so far, frames of it, and its contour to their samples.
        multiple: What the start and stop of a window are multiples of.
        reach: Frames on each side that a frame's samples depend on.

    Yields:
        NDArray[np.float32]: Samples (N,) of each piece.
    """
    total = laid.mask.shape[-1]
    context, fade = (CONTEXT_FRAMES, FADE_FRAMES) if laid.options.steps else (0, 0)
    mel = torch.empty(laid.noise.shape[1], 0, device=laid.noise.device)
    tail, heard = mel, 0
    for end in piece_ends(laid.length, laid.options.steps):
        known = mel.shape[1]
        needed = min(total, fix_length(end + reach, multiple))
        if needed > known:
            start = max(0, known - context)
            window = sample(laid, slice(start, min(total, needed + fade + context)))[:, known - start :]
            ramp = (torch.arange(tail.shape[1], device=tail.device) + 0.5) / max(tail.shape[1], 1)
            passing = torch.lerp(tail, window[:, : tail.shape[1]], ramp)
            window = torch.cat([passing, window[:, tail.shape[1] :]], dim=1)
            mel, tail = torch.cat([mel, window[:, : needed - known]], dim=1), window[:, needed - known :][:, :fade]
        spoken = mel[:, : laid.length]
        contour = None if laid.contour is None else tuple(track[: spoken.shape[1]] for track in laid.contour)
        yield decode(spoken, slice(heard, end), contour)  # type: ignore[arg-type]
        heard = end


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
        return draw(replace(at, start=start, stop=stop, seconds=seconds))

    return replace(compose(share.name, part, share), region=share.region)


def stream(
    speak: Callable[..., Spoken],
    expected_seconds: Callable[..., float],
    text: str | Iterable[str],
    a: Style | None = None,
    b: Style | None = None,
    *,
    share: Share | None = None,
    whole_paragraph: bool = True,
    **options: Any,
) -> Iterator[Spoken]:
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
        Spoken: What ``speak`` gives of each sentence, as soon as it is there.

    Raises:
        InputError: There is nothing to speak, durations were given, or a share without two styles.
    """
    if "durations" in options:
        raise InputError("durations: they belong to one sentence; expected none for a stream")
    if share is not None and (a is None or b is None):
        raise InputError("a share needs two styles; expected both, or no share")
    sentences: Iterable[str] = speakable_parts(text) if isinstance(text, str) else text
    shares: Iterable[Share | None] = itertools.repeat(share)
    if share is not None and whole_paragraph:
        sentences = list(sentences)
        if len(sentences) > 1:
            scale = options.get("length_scale", 1.0)
            seconds = [expected_seconds(sentence, (a, b), length_scale=scale) for sentence in sentences]
            shares = shares_of_sentences(share, seconds)
    said = False
    for sentence, part in zip(sentences, shares, strict=False):
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
