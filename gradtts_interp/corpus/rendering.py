"""Sentences spoken by the teacher in any style, or between two: audio with exactly known durations, F0 and level.

Nothing is imitated: F0, durations and level are given to the network, a blend is the network's own speech in the mixed
style, and a share that moves inside the utterance is a crossfade of renders that have the same durations and contour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import librosa
import numpy as np
import soxr
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.speakers import Factors, mix_factors
from gradtts_interp.corpus.teacher import F0_PER_FRAME, FRAME_SAMPLES, SAMPLE_RATE_HZ, Teacher
from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import SPEECH_RANGE_DB, fill_unvoiced, frame_energy_db
from gradtts_interp.units import db_to_amplitude_ratio

Floats = NDArray[np.float64]

MEL = MelConfig()
FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE_HZ
LEVEL_DB = -26.0
"""Mean level of the speech frames at ``energy_db`` 0."""
HIGHEST_PEAK = 0.98
F0_LIMITS_HZ = (55.0, 500.0)
LARGEST_DEVIATION = 3.0
"""Of log-F0 from its mean, in standard deviations; beyond lie slips of the predicted contour."""
AHEAD_SECONDS = 0.0045
"""What the network says runs ahead of what it is told by so much: where F0 by Praat fits the asked contour best (40
utterances; median distance 22 cents, 24 without)."""
LEAD_IN_FRAMES = 16
"""Silence before the first word. The network needs it: with 4 frames it swallows the word, from 12 on it does not. What
is more than :data:`LEADING_FRAMES` is cut off afterwards."""
LEADING_FRAMES, TRAILING_FRAMES = 4, 6
LONGEST_FINAL_MARK = 6
"""Frames of the last punctuation mark; the network would wait for half a second."""
STEP_SECONDS = 0.03
"""Length of the crossfade where a share jumps."""
LARGEST_NODE_GAP = 0.5
"""Shares of renders that are crossfaded lie at most so far apart."""


@dataclass(frozen=True)
class Rendering:
    """Speech with its exact prosody on the mel's frame grid.

    Attributes:
        audio: Samples (256 T,) at the mel's rate.
        durations: Frames of each token (L,), each at least 1; they sum to T.
        f0_hz: F0 (T,), interpolated through unvoiced frames.
        voiced: Whether a frame is voiced (T,).
        share: Share of the second style (T,).
    """

    audio: Floats
    durations: NDArray[np.int64]
    f0_hz: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    share: Floats


def render(
    teacher: Teacher,
    tokens: Sequence[str],
    a: Factors,
    *,
    b: Factors | None = None,
    share: Sequence[tuple[float, float]] = ((0.0, 0.0), (1.0, 0.0)),
) -> Rendering:
    """Speak a sentence.

    Args:
        teacher: Who speaks.
        tokens: What is said: ARPAbet with stress, ``" "`` between words, punctuation (L,).
        a: The style, or the first of two.
        b: The second style.
        share: Points (relative time, share of ``b``) joined by straight lines; a step has two points at one time.

    Returns:
        The speech.

    Raises:
        InputError: A token is not known, a share that moves between styles of other formants, a share without ``b``, or
            no voiced frame.
    """
    b = b or a
    times, shares = (np.array(column, dtype=np.float64) for column in zip(*share, strict=True))
    if b is a and shares.any():
        raise InputError(f"share {tuple(share)} with one style; expected a second one")
    moves = bool(np.ptp(shares))
    if moves and a.formant != b.formant:
        raise InputError(f"a moving share between formants {a.formant:g} and {b.formant:g}; expected the same")
    mean = float(np.trapezoid(shares, times))
    middle = mix_factors(a, b, mean)
    symbols, owner = teacher.spelled(tokens)
    durations = _durations(teacher, symbols, owner == owner[-1], a, b, mean)
    cut = int(durations[0] - round(LEADING_FRAMES * middle.formant))
    kept = durations - cut * (np.arange(len(durations)) == 0)
    points = F0_PER_FRAME * int(durations.sum())
    at = (np.arange(points) + 0.5 - F0_PER_FRAME * cut) / (F0_PER_FRAME * kept.sum())
    share_at = np.interp(at, times, shares)
    predicted_hz, energy = teacher.contours(symbols, teacher.style(symbols, middle), durations)
    f0_hz, voiced = _contour(predicted_hz, a, b, share_at)
    told = (durations, (f0_hz / middle.formant).astype(np.float32), energy)
    nodes = _nodes(shares)
    cut_seconds = cut * FRAME_SECONDS / middle.formant
    parts = [_speak(teacher, symbols, mix_factors(a, b, node), told, cut_seconds) for node in nodes]
    frames = round(kept.sum() * FRAME_SECONDS / middle.formant * MEL.frame_rate_hz)
    fitted = [librosa.util.fix_length(part, size=frames * MEL.hop_samples) for part in parts]
    audio = _crossfade(fitted, nodes, times, shares)
    peak = float(np.abs(audio).max())
    seconds = (np.arange(frames) + 0.5) / MEL.frame_rate_hz + cut_seconds
    centres = (seconds * middle.formant + AHEAD_SECONDS) / FRAME_SECONDS * F0_PER_FRAME - 0.5
    nearest = np.clip(np.rint(centres).astype(np.int64), 0, points - 1)
    on_frames = np.exp(np.interp(centres, np.arange(points), np.log(fill_unvoiced(f0_hz, voiced))))
    of_tokens = np.bincount(owner, weights=kept)
    return Rendering(
        audio=audio * min(1.0, HIGHEST_PEAK / peak),
        durations=_lengths(np.cumsum(of_tokens) / kept.sum() * frames),
        f0_hz=fill_unvoiced(on_frames, voiced[nearest]),
        voiced=voiced[nearest],
        share=np.interp((np.arange(frames) + 0.5) / frames, times, shares),
    )


def _durations(
    teacher: Teacher, symbols: NDArray[np.int64], final: NDArray[np.bool_], a: Factors, b: Factors, share: float
) -> NDArray[np.int64]:
    """Frames of each symbol, blended in log, before the formants are moved by playing faster or slower."""
    logs = []
    for factors in (a, b):
        frames = teacher.durations(symbols, teacher.style(symbols, factors)).astype(np.float64)
        frames = np.where(final, np.minimum(frames, LONGEST_FINAL_MARK), frames)
        logs.append(np.log(frames / factors.rate))
    frames = np.exp((1 - share) * logs[0] + share * logs[1])
    frames[0], frames[-1] = LEAD_IN_FRAMES, TRAILING_FRAMES
    frames *= a.formant ** (1 - share) * b.formant**share
    return np.maximum(1, _lengths(np.cumsum(frames)))


def _lengths(ends: Floats) -> NDArray[np.int64]:
    """Whole frames that end at (N,). Ends are rounded, not lengths, so that the rate is kept though a frame is long."""
    return np.diff(np.rint(ends), prepend=0.0).astype(np.int64)


def _contour(predicted_hz: NDArray, a: Factors, b: Factors, share: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Give a predicted contour the level and spread that are asked for; returns F0 in Hz and where it is voiced.

    The network's contours fall off towards unvoiced sounds. Such flanks keep their form: they are moved by the factor
    of the nearest voiced frame.
    """
    heard = predicted_hz[predicted_hz > 40.0]
    if not len(heard):
        raise InputError("no voiced frame was predicted; expected a sentence with a vowel")
    voiced = predicted_hz > max(40.0, 0.6 * float(np.median(heard)))
    log_f0 = np.log(predicted_hz[voiced].astype(np.float64))
    shape = np.clip((log_f0 - log_f0.mean()) / max(log_f0.std(), 0.03), -LARGEST_DEVIATION, LARGEST_DEVIATION)
    shape = (shape - shape.mean()) / max(shape.std(), 0.1)
    level = (1 - share) * math.log(a.f0_level_hz) + share * math.log(b.f0_level_hz)
    spread = (1 - share) * a.f0_spread + share * b.f0_spread
    asked = np.clip(level[voiced] + spread[voiced] * shape, *np.log(F0_LIMITS_HZ))
    where = np.flatnonzero(voiced)
    factor = np.exp(np.interp(np.arange(len(predicted_hz)), where, asked - log_f0))
    return predicted_hz * factor, voiced


def _speak(
    teacher: Teacher, symbols: NDArray[np.int64], factors: Factors, told: tuple[NDArray[Any], ...], cut_seconds: float
) -> Floats:
    """One render at the mel's rate without its lead-in, formants moved by playing faster or slower, at its level."""
    durations, f0_hz, energy = told
    energy = energy + math.log(db_to_amplitude_ratio(factors.energy_db)) * (energy > 0)
    audio = teacher.speak(symbols, teacher.style(symbols, factors), durations, f0_hz, energy)
    audio = soxr.resample(audio.astype(np.float64), SAMPLE_RATE_HZ * factors.formant, MEL.sample_rate_hz)
    audio = audio[round(cut_seconds * MEL.sample_rate_hz) :]
    energy = frame_energy_db(audio, MEL)
    level = float(energy[energy >= energy.max() - SPEECH_RANGE_DB].mean())
    return audio * float(db_to_amplitude_ratio(LEVEL_DB + factors.energy_db - level))


def _nodes(shares: Floats) -> Floats:
    """Shares that are rendered: the ends of the range the share moves in, and what lies between in even parts."""
    low, high = float(shares.min()), float(shares.max())
    jumps = np.abs(np.diff(shares)).max() == high - low and len(shares) == 4 and high > low
    count = 2 if jumps and high - low == 1 else 1 + math.ceil((high - low) / LARGEST_NODE_GAP)
    return np.linspace(low, high, count)


def _crossfade(parts: list[Floats], nodes: Floats, times: Floats, shares: Floats) -> Floats:
    """Mix renders sample by sample by how near the share lies to the share of each."""
    if len(parts) == 1:
        return parts[0]
    samples = len(parts[0])
    half_step = 0.5 * STEP_SECONDS * MEL.sample_rate_hz / samples
    jumps = np.diff(times) == 0
    apart = times + half_step * (np.append(False, jumps) * 1.0 - np.append(jumps, False))
    share = np.interp((np.arange(samples) + 0.5) / samples, apart, shares)
    weights = np.stack([np.interp(share, nodes, row) for row in np.eye(len(nodes))])
    return np.einsum("ns,ns->s", weights, np.stack(parts))
