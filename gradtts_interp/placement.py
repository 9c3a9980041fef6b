"""Where tokens and words lie on the frames of an utterance, what is asked of them there, and the utterance itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from gradtts_interp.alignment import warp_frames
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.asked_pitch import AskedPitch, PitchRequest, copy_prosody, lay_pitch
from gradtts_interp.interpolation.attention import AttentionMapRecorder, StyleMassRecorder
from gradtts_interp.interpolation.mechanisms import Shares, StyleReading
from gradtts_interp.interpolation.noise.tuner import NoiseTuner
from gradtts_interp.interpolation.shares import DIMENSIONS, Layout, ShareMap, partition
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.pitch.files import PitchCurve
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style
from gradtts_interp.text.frontend import TextFrontend, TokenizedText
from gradtts_interp.text.ssml import Directions, tokenize_line
from gradtts_interp.units import db_to_amplitude_ratio

logger = logging.getLogger(__name__)

SMOOTHING_FRAMES = 1.5

AskedOfLines = PitchRequest | PitchCurve | Sequence[PitchRequest | PitchCurve | None] | None
"""Pitch that is asked for: the same for all lines, or one of each line."""


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
    rows = []
    for i, (row, length) in enumerate(zip(durations, lengths.tolist(), strict=True)):
        if len(row) != length:
            raise InputError(f"durations of line {i}: expected {length} numbers of frames, got {len(row)}")
        if min(row) < 0 or sum(row) < 1:
            raise InputError(f"durations of line {i}: expected all >= 0, sum >= 1; got {min(row)}, sum {sum(row)}")
        rows.append(torch.tensor(list(row), dtype=torch.long, device=device))
    return pad_sequence(rows, batch_first=True)


def token_spans(text: TokenizedText, durations: Sequence[int]) -> list[tuple[int, int]]:
    """First frame and frame after the last of each token; blanks between tokens belong to the token before."""
    ends = np.cumsum([0, *durations[: len(text.ids)]]).tolist()
    return list(pairwise(ends[1::2] if text.blanks else ends))


def word_spans(text: TokenizedText, durations: Sequence[int]) -> tuple[tuple[str, int, int], ...]:
    """Each word with its first frame and the frame after its last."""
    spans = token_spans(text, durations)
    return tuple((word, spans[first][0], spans[stop - 1][1]) for word, first, stop in text.words)


def stack_shares(maps: Sequence[ShareMap], total: int, device: torch.device) -> Shares:
    """Pad share maps to one batch of ``total`` frames; a padded frame repeats the last one and is never heard."""
    planes = {name: [torch.from_numpy(partition(m.planes[name])) for m in maps] for name in DIMENSIONS}
    padded = {
        name: torch.stack([pad(p, (0, total - p.shape[-1]), mode="replicate") for p in found]).to(device)
        for name, found in planes.items()
    }
    mean = torch.stack([p.mean((1, 2)) for p in planes["timbre"]]).to(device)
    return Shares(**padded, mean=mean, by_pitch=maps[0].region is not None)


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


def frames_of_reference(text: TokenizedText, durations: Sequence[int], style: Style) -> NDArray[np.int64]:
    """Frame of a style's reference that corresponds to each frame of an utterance.

    Args:
        text: The line.
        durations: Frames of each id, sum T.
        style: A style with a contour of K frames.

    Returns:
        (T,) in [0, K): phoneme by phoneme where the reference says the same with known times, else in proportion.
    """
    assert style.contour is not None
    frames, length = int(sum(durations)), len(style.contour)
    if style.durations is not None and style.tokens == text.names:
        return np.minimum(warp_frames(style.durations, durations[: len(text.ids)]), length - 1)
    # The reference says other words, so only its course from start to end can be carried over.
    return np.minimum((np.arange(frames) + 0.5) / frames * length, length - 1).astype(np.int64)


def layout_of(text: TokenizedText, durations: list[int], first: Style, mel: MelConfig) -> Layout:
    """The plane of one utterance, for shares to be drawn on.

    Args:
        text: The line.
        durations: Frames of each id.
        first: Style A, whose F0 shares by pitch follow.
        mel: Mel contract.

    Returns:
        The layout.
    """
    frames = int(sum(durations))
    f0_hz = voiced = None
    if first.contour is not None and first.contour.voiced.any():
        at = frames_of_reference(text, durations, first)
        f0_hz, voiced = first.contour.f0_hz[at], first.contour.voiced[at]
    return Layout(
        frames=frames,
        mel=mel,
        phones=tuple(token_spans(text, durations)),
        words=tuple((s, e) for _, s, e in word_spans(text, durations)),
        f0_hz=f0_hz,
        voiced=voiced,
    )


# -- what is asked of a line, by SSML, by a pitch and by a recording ---------------------------------------------------


def read_marked(
    frontend: TextFrontend, lines: Sequence[str], pitch: AskedOfLines
) -> tuple[list[TokenizedText], list[Directions | None], list[PitchRequest | None]]:
    """Change lines, plain or SSML, to tokens, with all that is asked of them.

    Args:
        frontend: Changes plain text to tokens.
        lines: The lines.
        pitch: What is asked of their pitch beside SSML; shifts of words add up.

    Returns:
        For each line its tokens, what SSML says of its words, and what is asked of its pitch.

    Raises:
        InputError: A line cannot be read, or there is not one request for each line.
    """
    marked = [tokenize_line(frontend, line) for line in lines]
    directions = [said for _, said in marked]
    return [text for text, _ in marked], directions, pitch_requests(pitch, directions)


def pace(
    frames: Tensor, texts: Sequence[TokenizedText], directions: Sequence[Directions | None], *, frame_rate_hz: float
) -> Tensor:
    """Durations of a batch (B, L) at the rates and with the pauses that SSML asks for; see :func:`paced`."""
    answer = frames.clone()
    for row, text, said in zip(answer, texts, directions, strict=True):
        if said is not None:
            found = paced(row.tolist(), text, said, frame_rate_hz=frame_rate_hz)
            row[: len(found)] = torch.tensor(found, device=row.device)
    return answer


def paced(durations: Sequence[int], text: TokenizedText, directions: Directions, *, frame_rate_hz: float) -> list[int]:
    """Durations at the rates and with the pauses that are asked for.

    Args:
        durations: Frames of each id of the text.
        text: The line.
        directions: What SSML says of its words.
        frame_rate_hz: Frames per second.

    Returns:
        Frames of each id.

    Raises:
        InputError: A pause stands where the text layout has no token for it.
    """
    rates = np.ones(len(text.ids))
    edges = [*(first for _, first, _ in text.words), len(text.tokens)]
    manners, pauses = directions
    for i, manner in enumerate(manners):  # a pause goes with the word before it
        rates[_ids(text, edges[i], edges[i + 1])] = manner.rate
    frames = _at_rates(np.asarray(durations[: len(text.ids)], dtype=np.float64), rates)
    for index, seconds in pauses.items():
        first = text.words[index - 1][2] if index else 0
        silent = np.arange(len(text.ids))[_ids(text, first, edges[index])]
        if first == edges[index]:
            if seconds == 0:
                continue
            where = "before the first word" if index == 0 else f"after word {index}"
            raise InputError(f"pause {where}: this checkpoint's text layout has no silence there")
        frames[silent] = 0
        frames[silent[0]] = round(seconds * frame_rate_hz)
    return frames.tolist()


def _ids(text: TokenizedText, first: int, stop: int) -> slice:
    """Ids of tokens ``first`` to ``stop``, with the blanks after them."""
    return slice(2 * first + 1, 2 * stop + 1) if text.blanks else slice(first, stop)


def _at_rates(durations: NDArray[np.float64], rates: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole frames (L,) whose running sum follows that of ``durations / rates``; none becomes 0."""
    changed = rates != 1
    ends = np.rint(np.cumsum(durations / rates))
    scaled = np.diff(ends, prepend=0).astype(np.int64)
    kept = np.where(changed, np.maximum(scaled, 1), durations.astype(np.int64))
    return np.where(durations > 0, kept, 0)


def pitch_requests(pitch: AskedOfLines, directions: Sequence[Directions | None]) -> list[PitchRequest | None]:
    """What is asked of the pitch of each line, by argument and by SSML; shifts of words add up.

    Args:
        pitch: The same for all lines, or one of each line.
        directions: What SSML says, for each line.

    Returns:
        A request for each line, None where nothing is asked.

    Raises:
        InputError: There is not one request for each line.
    """
    found: list[PitchRequest | None] = []
    for asked, said in zip(_of_each_line("pitch", pitch, len(directions)), directions, strict=True):
        request = PitchRequest(asked) if isinstance(asked, PitchCurve) else asked or PitchRequest()
        words: dict[int | range, float] = {}
        if said is not None:
            words |= {i: manner.semitones for i, manner in enumerate(said[0]) if manner.semitones}
        for chosen, semitones in request.words.items():
            for index in [chosen] if isinstance(chosen, int) else chosen:
                words[index] = words.get(index, 0.0) + semitones
        found.append(PitchRequest(request.curve, words) if words or request.curve else None)
    return found


def _of_each_line(what: str, given: Any, lines: int) -> list[Any]:
    """What was given for each line, or for all of them."""
    found = list(given) if isinstance(given, Sequence) else [given] * lines
    if len(found) != lines:
        raise InputError(f"{what} of {len(found)} lines was given for {lines} lines")
    return found


def lay_requests(
    requests: Sequence[PitchRequest | None],
    texts: Sequence[TokenizedText],
    durations: Tensor,
    mel: MelConfig,
    *,
    prosody: Sequence[Style | None],
    weight: float,
) -> list[AskedPitch | None]:
    """Lay the requests of a batch on the frames of its lines.

    Args:
        requests: Of each line, or None.
        texts: The lines.
        durations: Frames of each id of each line (B, L).
        mel: Mel contract.
        prosody: A recording of each line whose F0 and energy are asked for, or None.
        weight: How much of them.

    Returns:
        Of each line, or None.

    Raises:
        InputError: There is no such word.
    """
    found: list[AskedPitch | None] = []
    for request, copied, text, row in zip(requests, prosody, texts, durations.tolist(), strict=True):
        if request is None and copied is None:
            found.append(None)
            continue
        words = tuple((s, e) for _, s, e in word_spans(text, row))
        asked = lay_pitch(request or PitchRequest(), Layout(sum(row), mel, words=words))
        if copied is not None:
            asked = copy_prosody(asked, copied, frames_of_reference(text, row, copied), weight=weight)
        found.append(asked)
    return found


def copied_recordings(
    prosody: Style | Sequence[Style | None] | None,
    texts: Sequence[TokenizedText],
    *,
    weight: float,
    durations: Sequence[Sequence[int]] | None,
) -> list[Style | None]:
    """The recording of each line whose prosody is copied.

    Args:
        prosody: As for the pipeline.
        texts: The lines.
        weight: How much of it.
        durations: Those that are asked for otherwise.

    Returns:
        Of each line, or None.

    Raises:
        InputError: There is not one for each line, one does not say its line at known times, the weight leaves [0, 1],
            or durations are given as well.
    """
    if not 0 <= weight <= 1:
        raise InputError(f"prosody_weight {weight:g}: expected a number from 0 to 1")
    found = _of_each_line("prosody", prosody, len(texts))
    if durations is not None and any(found):
        raise InputError("durations and prosody both give durations; expected one of them")
    for style, text in zip(found, texts, strict=True):
        if style is not None and (style.durations is None or style.tokens != text.names):
            problem = f"its phoneme times in {text.text!r} are not known"
            wanted = "what stimuli.align_recording gives for this text"
            raise InputError(f"prosody of {style.name}: {problem}; expected {wanted}")
    return found


def copied_durations(durations: Tensor, prosody: Sequence[Style | None], weight: float) -> Tensor:
    """Durations (B, L) between the styles' own and those of recordings, blended in log, as between two styles."""
    answer = durations.clone()
    for row, style in zip(answer, prosody, strict=True):
        if style is not None and style.durations is not None:
            copied = torch.tensor(style.durations, device=row.device)
            row[: len(copied)] = (row[: len(copied)] ** (1 - weight) * copied**weight).round().long()
    return answer


def describe(request: PitchRequest | None) -> dict[str, Any] | None:
    """A request of :func:`pitch_requests` as plain JSON values, words counted from 1."""
    if request is None:
        return None
    curve = request.curve and {"points": len(request.curve.times_seconds), "unit": request.curve.unit}
    words = {i: semitones for i, semitones in request.words.items() if isinstance(i, int)}
    return {"curve": curve, "words": {str(i + 1): semitones for i, semitones in words.items()}}


# -- the utterance -----------------------------------------------------------------------------------------------------


def speech_of(
    model: GradTTS,
    i: int,
    text: TokenizedText,
    mel: Tensor,
    audio: Tensor,
    noise: Tensor,
    *,
    prepared: Prepared,
    settings: dict[str, Any],
    recorder: StyleMassRecorder | None,
    tuning: NoiseTuner | None,
    said: Directions | None,
    styles: Sequence[Style | None],
) -> Speech:
    """Put together what is known of one line.

    Args:
        model: The model that spoke.
        i: Place of the line in the batch.
        text: The line.
        mel: Its log-mel (M, T).
        audio: Its samples (N,).
        noise: The noise it was made from (M, T).
        prepared: The batch.
        settings: How it was made.
        recorder: What recorded attention, or None.
        tuning: What tuned the noise, or None.
        said: What SSML says of its words; its levels change smoothly between them.
        styles: Recordings that it was made with, whose notes it bears.

    Returns:
        The utterance.
    """
    durations = prepared.durations[i, : len(text.ids)].tolist()
    maps = None
    if isinstance(recorder, AttentionMapRecorder):
        maps = recorder.maps_of_item(i, text.tokens, settings["styles"])
    words, samples = word_spans(text, durations), audio.float().cpu().numpy()
    manners = () if said is None else said[0]
    if any(manner.volume_db for manner in manners):
        level_db = np.full(len(samples) // model.settings.mel.hop_samples, np.nan)
        for (_, first, stop), manner in zip(words, manners, strict=True):
            level_db[first:stop] = manner.volume_db
        samples = with_gain(samples, level_db, hop_samples=model.settings.mel.hop_samples)
    unknown = text.out_of_dictionary.items()
    notes = [f"not in the dictionary: {word} as {' '.join(phones)} ({how})" for word, (phones, how) in unknown]
    shares = prepared.maps[i] if prepared.maps is not None else None
    if shares is not None and shares.exaggerated:
        beyond = f"the share of {', '.join(shares.exaggerated)} leaves 0 to 1, where what is realised may not follow it"
        logger.warning(beyond)
        notes.append(beyond)
    return Speech(
        text=text.text,
        audio=samples,
        mel=mel.float().numpy(),
        shares=shares,
        durations=np.asarray(durations, dtype=np.int64),
        tokens=text.names,
        words=words,
        noise=noise.numpy(),
        attention=None if recorder is None else recorder.of_item(i, mel.shape[-1]),
        tuning=None if tuning is None else tuning.trace.of_item(i, mel.shape[-1]),
        attention_maps=maps,
        settings=settings,
        mel_config=model.settings.mel,
        notes=(*notes, *text.warnings, *(note for style in styles if style for note in style.notes)),
    )


def with_gain(audio: NDArray[np.float32], gain_db: NDArray[np.float64], *, hop_samples: int) -> NDArray[np.float32]:
    """Samples (N,) under a gain per frame (T,) in dB, smoothed; frames of NaN follow their neighbours."""
    from scipy.ndimage import gaussian_filter1d

    known = np.flatnonzero(np.isfinite(gain_db))
    filled = np.interp(np.arange(len(gain_db)), known, gain_db[known])
    smooth = gaussian_filter1d(filled, SMOOTHING_FRAMES)
    centres = (np.arange(len(gain_db)) + 0.5) * hop_samples
    return (audio * db_to_amplitude_ratio(np.interp(np.arange(len(audio)), centres, smooth))).astype(np.float32)
