"""Where tokens and words lie on the frames of an utterance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.styles import Style
from gradtts_interp.text.frontend import TokenizedText


def given_durations(durations: Sequence[Sequence[int]], lengths: Tensor, device: torch.device) -> Tensor:
    """Durations that were given instead of the predicted ones.

    Args:
        durations: Frames of each token of each line.
        lengths: Tokens of each line (B,).
        device: Where to put them.

    Returns:
        (B, L), 0 on padding.

    Raises:
        InputError: Numbers of lines or tokens differ, a duration is negative, or a line has no frame.
    """
    if len(durations) != len(lengths):
        raise InputError(f"durations of {len(durations)} lines were given for {len(lengths)} lines")
    rows = torch.zeros(len(lengths), int(lengths.max()), dtype=torch.long, device=device)
    for i, (row, length) in enumerate(zip(durations, lengths.tolist(), strict=True)):
        if len(row) != length:
            raise InputError(f"durations of line {i}: expected {length} numbers of frames, got {len(row)}")
        if min(row) < 0 or sum(row) < 1:
            raise InputError(f"durations of line {i}: expected all >= 0, sum >= 1; got {min(row)}, sum {sum(row)}")
        rows[i, :length] = torch.as_tensor(list(row), device=device)
    return rows


def token_spans(text: TokenizedText, durations: list[int], blank: bool) -> list[tuple[int, int]]:
    """First frame and frame after the last of each token; blanks between tokens belong to the token before."""
    ends = np.cumsum(durations[: len(text.ids)])
    starts = np.concatenate([[0], ends[:-1]])
    if blank:
        return [(int(starts[2 * i + 1]), int(ends[2 * i + 2])) for i in range(len(text.tokens))]
    return [(int(s), int(e)) for s, e in zip(starts, ends, strict=True)]


def word_spans(text: TokenizedText, durations: list[int], blank: bool) -> tuple[tuple[str, int, int], ...]:
    """Each word with its first frame and the frame after its last."""
    spans = token_spans(text, durations, blank)
    return tuple((w.text, spans[w.token_start][0], spans[w.token_stop - 1][1]) for w in text.words)


def layout_of(text: TokenizedText, durations: list[int], first: Style, mel: MelConfig, blank: bool) -> Layout:
    """The plane of one utterance, for shares to be drawn on.

    Args:
        text: The line.
        durations: Frames of each id.
        first: Style A, whose F0 shares by pitch follow.
        mel: Mel contract.
        blank: Whether blanks stand between tokens.

    Returns:
        The layout.
    """
    frames = int(sum(durations))
    f0_hz = voiced = None
    if first.contour is not None and first.contour.voiced.any():
        # The reference says other words, so only its course from start to end can be carried over.
        at = np.minimum((np.arange(frames) + 0.5) / frames * len(first.contour), len(first.contour) - 1).astype(int)
        f0_hz, voiced = first.contour.f0_hz[at], first.contour.voiced[at]
    return Layout(
        frames=frames,
        mel=mel,
        phones=tuple(token_spans(text, durations, blank)),
        words=tuple((s, e) for _, s, e in word_spans(text, durations, blank)),
        f0_hz=f0_hz,
        voiced=voiced,
    )
