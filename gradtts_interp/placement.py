"""Where tokens and words lie on the frames of an utterance, and the utterance that comes of a batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradtts_interp.alignment import warp_frames
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.attention.recorder import AttentionMapRecorder, StyleMassRecorder
from gradtts_interp.interpolation.mechanisms import Shares, StyleReading
from gradtts_interp.interpolation.noise.tuner import NoiseTuner
from gradtts_interp.interpolation.shares import DIMENSIONS, Layout, ShareMap, partition
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style
from gradtts_interp.text.frontend import TokenizedText

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Texts and styles, laid out over frames.

    Attributes:
        encoded: The text encoder's answer for each style.
        durations: (B, L) frames.
        lengths: (B,) frames.
        maps: A share map per item, None for a single style.
    """

    encoded: list[StyleReading]
    durations: Tensor
    lengths: Tensor
    maps: list[ShareMap] | None


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


def token_names(text: TokenizedText, blank: bool) -> tuple[str, ...]:
    """Name of each id; blanks are ``""``."""
    if not blank:
        return text.tokens
    names = [""] * len(text.ids)
    names[1::2] = text.tokens
    return tuple(names)


def stack_shares(maps: Sequence[ShareMap], total: int, device: torch.device) -> Shares:
    """Pad share maps to one batch of ``total`` frames; a padded frame repeats the last one and is never heard."""
    planes = {name: [torch.from_numpy(partition(m.planes[name])) for m in maps] for name in DIMENSIONS}
    padded = {
        name: torch.stack([torch.cat([p, p[..., -1:].expand(-1, -1, total - p.shape[-1])], dim=-1) for p in found])
        for name, found in planes.items()
    }
    mean = torch.stack([p.mean((1, 2)) for p in planes["timbre"]])
    on_device = {name: plane.to(device) for name, plane in padded.items()}
    return Shares(**on_device, mean=mean.to(device), by_pitch=maps[0].region is not None)


def shares_of_tokens(weights: Sequence[NDArray], durations: Tensor) -> Tensor:
    """Mean share of each token's frames.

    Args:
        weights: Share of B over the frames of each item (T_i,).
        durations: Frames of each token (B, L); a token of none takes the share where it lies.

    Returns:
        Shares of both styles (B, 2, L).
    """
    rows = []
    for weight, frames in zip(weights, durations.tolist(), strict=True):
        ends = np.cumsum(frames)
        starts = np.minimum(ends - frames, len(weight) - 1)
        rows.append([float(weight[s : max(s + 1, e)].mean()) for s, e in zip(starts, ends, strict=True)])
    share = torch.tensor(rows, device=durations.device)
    return torch.stack([1 - share, share], dim=1)


def frames_of_reference(text: TokenizedText, durations: Sequence[int], style: Style, blank: bool) -> NDArray[np.int64]:
    """Frame of a style's reference that corresponds to each frame of an utterance.

    Args:
        text: The line.
        durations: Frames of each id, sum T.
        style: A style with a contour of K frames.
        blank: Whether blanks stand between tokens.

    Returns:
        (T,) in [0, K): phoneme by phoneme where the reference says the same with known times, else in proportion.
    """
    assert style.contour is not None
    frames, length = int(sum(durations)), len(style.contour)
    if style.durations is not None and style.tokens == token_names(text, blank):
        return np.minimum(warp_frames(style.durations, durations[: len(text.ids)]), length - 1)
    # The reference says other words, so only its course from start to end can be carried over.
    return np.minimum((np.arange(frames) + 0.5) / frames * length, length - 1).astype(np.int64)


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
        at = frames_of_reference(text, durations, first, blank)
        f0_hz, voiced = first.contour.f0_hz[at], first.contour.voiced[at]
    return Layout(
        frames=frames,
        mel=mel,
        phones=tuple(token_spans(text, durations, blank)),
        words=tuple((s, e) for _, s, e in word_spans(text, durations, blank)),
        f0_hz=f0_hz,
        voiced=voiced,
    )


def speech_of(
    model: GradTTS,
    i: int,
    text: TokenizedText,
    prepared: Prepared,
    mel: Tensor,
    audio: Tensor,
    noise: Tensor,
    settings: dict[str, Any],
    recorder: StyleMassRecorder | None,
    tuning: NoiseTuner | None,
) -> Speech:
    """Put together what is known of one line.

    Args:
        model: The model that spoke.
        i: Place of the line in the batch.
        text: The line.
        prepared: The batch.
        mel: Its log-mel (M, T).
        audio: Its samples (N,).
        noise: The noise it was made from (M, T).
        settings: How it was made.
        recorder: What recorded attention, or None.
        tuning: What tuned the noise, or None.

    Returns:
        The utterance.
    """
    blank = model.settings.add_blank
    durations = prepared.durations[i, : len(text.ids)].tolist()
    maps = (
        recorder.maps_of_item(i, text.tokens, settings["styles"])
        if isinstance(recorder, AttentionMapRecorder)
        else None
    )
    notes = [f"not in the dictionary: {o.word} as {' '.join(o.phones)} ({o.how})" for o in text.out_of_dictionary]
    shares = prepared.maps[i] if prepared.maps is not None else None
    if shares is not None and shares.exaggerated:
        beyond = f"the share of {', '.join(shares.exaggerated)} leaves 0 to 1, where what is realised may not follow it"
        logger.warning(beyond)
        notes.append(beyond)
    return Speech(
        text=text.text,
        audio=audio.float().cpu().numpy(),
        mel=mel.float().numpy(),
        shares=shares,
        durations=np.asarray(durations, dtype=np.int64),
        tokens=token_names(text, blank),
        words=word_spans(text, durations, blank),
        noise=noise.numpy(),
        attention=None if recorder is None else recorder.of_item(i, mel.shape[-1]),
        tuning=None if tuning is None else tuning.trace.of_item(i, mel.shape[-1]),
        attention_maps=maps,
        settings=settings,
        mel_config=model.settings.mel,
        notes=(*notes, *text.warnings),
    )
