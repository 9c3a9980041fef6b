"""Between tokens and mel frames: masks, durations, monotonic alignment, expansion."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradtts_interp.errors import InputError

logger = logging.getLogger(__name__)


def sequence_mask(lengths: Tensor, *, max_length: int | None = None) -> Tensor:
    """Mark the positions that lie inside each item.

    Args:
        lengths: Number of valid positions of each item, (B,).
        max_length: Positions of the result; the longest item when None.

    Returns:
        Boolean mask (B, max_length).
    """
    if max_length is None:
        max_length = int(lengths.max())
    return torch.arange(max_length, device=lengths.device) < lengths.unsqueeze(1)


def fix_length(length: int, multiple: int) -> int:
    """Round a length up to what the U-Net can halve and double again.

    Args:
        length: Number of frames, at least 0.
        multiple: Total downsampling factor of the network, at least 1.

    Returns:
        The smallest multiple of ``multiple`` that is at least ``length``.
    """
    return -(-length // multiple) * multiple


def durations_from_log(logw: Tensor, mask: Tensor, *, length_scale: float = 1.0, rounding: str = "ceil") -> Tensor:
    """Turn predicted log-durations into whole frames.

    ``"ceil"`` is the official Grad-TTS rule: each duration is rounded up, *then* scaled, and a token ends at the first
    frame not below the running sum. ``"round"`` scales first and gives each token its nearest whole number of frames,
    at least 1.

    Args:
        logw: Log of the duration in frames, (B, 1, L).
        mask: 1 at tokens, 0 at padding, (B, 1, L).
        length_scale: Factor on durations; above 1 is slower speech.
        rounding: ``"ceil"`` or ``"round"``.

    Returns:
        Frames of each token, int64 (B, L), 0 at padding.

    Raises:
        InputError: ``length_scale`` is not a positive number, or a duration is not finite.

    Source: Popov et al. 2021, "Grad-TTS"; the rule for ``"ceil"`` is that of its published inference.
    """
    if not (math.isfinite(length_scale) and length_scale > 0):
        raise InputError(f"length_scale: expected a finite number above 0, got {length_scale}")
    frames = torch.exp(logw) * mask
    if not bool(torch.isfinite(frames).all()):
        raise InputError("predicted durations are not finite; the text encoder's weights or the style are damaged")
    if rounding == "round":
        return (torch.round(frames * length_scale).clamp_min(1) * mask).long().squeeze(1)
    scaled = torch.ceil(frames) * length_scale
    total = torch.clamp_min(scaled.sum(dim=(1, 2)), 1).long()
    ends = torch.minimum(torch.ceil(torch.cumsum(scaled.squeeze(1), dim=1)).long(), total.unsqueeze(1))
    return torch.diff(ends, dim=1, prepend=torch.zeros_like(ends[:, :1]))


def expand(values: Tensor, durations: Tensor, *, frames: int | None = None) -> Tensor:
    """Repeat each token's value over its frames.

    Args:
        values: Value of each token, (B, C, L).
        durations: Whole frames of each token, int64 (B, L).
        frames: Frames (T) of the result; the longest item when None.

    Returns:
        Value of each frame, (B, C, T); 0 after an item's last frame.
    """
    inside = sequence_mask(durations.sum(1), max_length=frames).unsqueeze(1)
    token = frame_tokens(durations, inside.shape[-1]).unsqueeze(1).expand(-1, values.shape[1], -1)
    return torch.where(inside, values.gather(2, token), values.new_zeros(()))


def expand_rows(rows: Tensor, durations: Tensor, frames: int) -> Tensor:
    """Repeat each token's row over its frames: as :func:`expand`, in the order of axes that linear layers want.

    Args:
        rows: Of each token (B, L, C).
        durations: Frames of each token (B, L).
        frames: Length of the answer (T).

    Returns:
        (B, T, C); padding repeats the last token.
    """
    batch, length, channels = rows.shape
    first = torch.arange(batch, device=rows.device)[:, None] * length
    return torch.nn.functional.embedding(
        frame_tokens(durations, frames) + first, rows.reshape(batch * length, channels)
    )


def frame_tokens(durations: Tensor, frames: int) -> Tensor:
    """Token of each frame, (B, T), from frames per token (B, L); padding gets the last token."""
    ends = durations.cumsum(-1)
    at = torch.arange(frames, device=durations.device).expand(len(ends), -1).contiguous()
    return torch.searchsorted(ends, at, right=True).clamp_max(durations.shape[1] - 1)


def token_mean(values: Tensor, durations: Tensor) -> Tensor:
    """Mean of the values (B, T) of each token's frames, laid out over them again (B, T); padding is left out."""
    frames = values.shape[1]
    token = frame_tokens(durations, frames)
    inside = sequence_mask(durations.sum(1), max_length=frames).to(values.dtype)
    sums = values.new_zeros(durations.shape).scatter_add(1, token, values * inside)
    return (sums / durations.clamp_min(1)).gather(1, token)


def warp_frames(source: Sequence[int], target: Sequence[int]) -> NDArray[np.int64]:
    """Frames of one reading of a text that correspond to those of another.

    Args:
        source: Frames of each token of the reading that is looked up (L,).
        target: Frames of each token of the other (L,), sum T.

    Returns:
        For each frame of the target the frame of the source (T,): linear inside each token. A token that the source
        skips takes the frame where it would have been.

    Raises:
        InputError: Numbers of tokens differ, or the source has no frame.
    """
    if len(source) != len(target) or sum(source) < 1:
        raise InputError(f"durations of {len(source)} and {len(target)} tokens; expected the same tokens, with frames")
    ends = np.concatenate([[0.0], np.cumsum(source)])
    into = [(np.arange(n) + 0.5) / n * m + start for n, m, start in zip(target, source, ends, strict=False) if n]
    places = np.concatenate(into) if into else np.zeros(0)
    return np.minimum(places, sum(source) - 1).astype(np.int64)


def maximum_path(value: Tensor, mask: Tensor) -> Tensor:
    """Find the monotonic alignment of tokens to frames with the highest total value.

    Every valid token gets at least one frame, in order, without gaps. Not differentiable.

    Args:
        value: Log-likelihood of frame t under token l, (B, L, T).
        mask: 1 where both token and frame are valid, a rectangle from the origin, (B, L, T).

    Returns:
        1 on the path, else 0; (B, L, T), dtype and device of ``value``.

    Raises:
        InputError: Shapes differ, or an item has more tokens than frames.

    Source: Kim et al. 2020, "Glow-TTS", algorithm 1.
    """
    if value.shape != mask.shape or value.ndim != 3:
        raise InputError(f"expected value and mask (B, L, T) of one shape, got {(*value.shape,)} and {(*mask.shape,)}")
    tokens = mask[:, :, 0].sum(1).long().cpu().numpy()
    frames = mask[:, 0, :].sum(1).long().cpu().numpy()
    too_short = np.flatnonzero(tokens > frames)
    if too_short.size:
        item = int(too_short[0])
        found = f"{tokens[item]} tokens but only {frames[item]} frames"
        raise InputError(f"item {item} has {found}; each token needs at least one")
    values = (value.detach() * mask).to(device="cpu", dtype=torch.float32).contiguous().numpy()
    search, path = _compiled_search(), np.zeros(values.shape, dtype=np.float32)
    for item in range(len(values)):
        search(values[item], tokens[item], frames[item], path[item])
    return torch.from_numpy(path).to(device=value.device, dtype=value.dtype)


def _search(value: NDArray, n_tokens: int, n_frames: int, path: NDArray) -> None:
    """Fill ``path`` (L, T) with the best monotonic path of ``value`` (L, T); a tie stays on the later token."""
    impossible = np.float32(-1e9)
    best = np.full(n_tokens, impossible, dtype=np.float32)
    advanced = np.zeros((n_tokens, n_frames), dtype=np.bool_)
    for frame in range(n_frames):
        first, last = max(0, n_tokens + frame - n_frames), min(n_tokens - 1, frame)
        for token in range(last, first - 1, -1):
            stay = best[token] if token < frame else impossible
            move = best[token - 1] if token > 0 else impossible
            if frame == 0:
                move = np.float32(0.0)
            advanced[token, frame] = token == frame or stay < move
            best[token] = max(stay, move) + value[token, frame]
    token = n_tokens - 1
    for frame in range(n_frames - 1, -1, -1):
        path[token, frame] = 1.0
        if token > 0 and advanced[token, frame]:
            token -= 1


@functools.cache
def _compiled_search() -> Callable[..., None]:
    """Compile the search at first use: importing numba takes a second that synthesis need not pay.

    Numba keeps compiled code beside the source or in the user's cache folder; where it can write to neither (read-only
    installation, full disk) it raises, and the search is then compiled for this process only.
    """
    import numba

    signature = "void(float32[:, ::1], int64, int64, float32[:, ::1])"
    try:
        return numba.njit(signature, cache=True, nogil=True)(_search)
    except (RuntimeError, OSError) as error:
        logger.warning("compiled alignment is not cached on disk: %s", error)
        return numba.njit(signature, nogil=True)(_search)
