"""Continua: one sentence in steps from style A to style B, with the same noise throughout, measured step by step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.alignment import warp_frames
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.blend import SMALLEST_RANGE_DB
from gradtts_interp.evaluation.metric_rows import mean_shares
from gradtts_interp.evaluation.signal import Listener, Signal
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.asked_pitch import PitchRequest
from gradtts_interp.markup import with_gain
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.pitch.files import PitchCurve, curve_of_contour
from gradtts_interp.pitch.masks import filter_centres_hz
from gradtts_interp.speech import Speech
from gradtts_interp.stimuli.equal_steps import error_of_steps, shares_for_equal_steps
from gradtts_interp.styles import Style
from gradtts_interp.units import ratio_to_semitones

logger = logging.getLogger(__name__)

EQUALISED = ("f0", "envelope", "all")
ROUNDS = 3
GOOD_ENOUGH = 0.01
"""Steps this near to equal spacing are not rendered again."""
SAME_SHARE = 1e-3
SMALLEST_RATE_RATIO = 1.02
"""Of the lengths of A and B, from which a share of the rate can be told."""
LARGEST_GAIN_DB = 20.0

Progress = Callable[[float, Speech], None]


@dataclass(frozen=True)
class Stimulus:
    """One step of a continuum.

    Attributes:
        share: Share of B that was asked for, in [0, 1].
        speech: What was rendered.
        signal: What was measured of it.
        realised: Share of B by measure: ``f0``, ``envelope``, ``energy``, ``rate``; None where A and B are too alike to
            tell.
    """

    share: float
    speech: Speech
    signal: Signal
    realised: dict[str, float | None]

    def measure(self, name: str) -> float:
        """Realised share by a measure, or by the mean of F0 and envelope for ``all``; NaN where it is unknown."""
        found = [self.realised[n] for n in (("f0", "envelope") if name == "all" else (name,))]
        return float(np.mean([np.nan if x is None else x for x in found]))


@dataclass(frozen=True)
class Continuum:
    """Steps from A to B.

    Attributes:
        text: The sentence.
        of: What moves, a name in :data:`DIMENSIONS`.
        a: Style A.
        b: Style B.
        steps: In order.
        poles: What was measured of A and of B alone, with the durations and the noise of the steps.
        equalised: Measure that is spaced equally, None where what was asked for is.
        error: Largest distance of the realised shares of that measure from equal spacing; None likewise.
    """

    text: str
    of: str
    a: Style
    b: Style
    steps: tuple[Stimulus, ...]
    poles: tuple[Signal, Signal]
    equalised: str | None = None
    error: float | None = None


@dataclass(frozen=True)
class _Poles:
    """A and B alone, with equal durations and noise, and how to speak in between."""

    tts: GradTTSInterpPipeline
    text: str
    styles: tuple[Style, Style]
    speeches: tuple[Speech, Speech]
    signals: tuple[Signal, Signal]
    own_durations: tuple[NDArray[np.int64], NDArray[np.int64]]
    listener: Listener
    options: dict[str, Any]

    def speak(self, style: Style, **asked: Any) -> Speech:
        durations = [asked.pop("durations", self.speeches[0].durations).tolist()]
        return self.tts(self.text, style, durations=durations, **self.options, **asked)

    def blend(self, share: shares.Share, **asked: Any) -> Speech:
        return self.speak(self.styles[0], b=self.styles[1], share=share, **asked)


def _all(poles: _Poles, share: float) -> Speech:
    return poles.blend(shares.constant(share))


def _time(poles: _Poles, share: float) -> Speech:
    return poles.blend(shares.step(1 - share))


def _frequency(poles: _Poles, share: float) -> Speech:
    """B above an edge that goes down by equal numbers of mel bins."""
    centres = filter_centres_hz(poles.speeches[0].mel_config)
    bins = round(share * len(centres))
    if bins in (0, len(centres)):
        return poles.blend(shares.constant(float(bins > 0)))
    edge = float(np.sqrt(centres[-bins] * centres[-bins - 1]))
    return poles.blend(shares.bands(edge, poles.speeches[0].mel_config.sample_rate_hz / 2))


def _pitch(poles: _Poles, share: float) -> Speech:
    """A, with its pitch moved by a part of the way to B's."""
    a, b = (signal.contour for signal in poles.signals)
    both = np.flatnonzero(a.voiced & b.voiced)
    if not both.size:
        raise InputError("A and B are nowhere voiced at the same time: there is no pitch to move")
    way = ratio_to_semitones(b.f0_hz[both].astype(np.float64) / a.f0_hz[both])
    curve = PitchCurve((both + 0.5) / a.frame_rate_hz, share * way, "semitones")
    return poles.speak(poles.styles[0], pitch=PitchRequest(curve))


def _timbre(poles: _Poles, share: float) -> Speech:
    """From A to B, with A's pitch kept."""
    pitch = replace(curve_of_contour(poles.signals[0].contour), voiced=None)
    return poles.blend(shares.constant(share), pitch=PitchRequest(pitch))


def _energy(poles: _Poles, share: float) -> Speech:
    """A, with the level of each frame moved by a part of the way to B's."""
    a, b = (signal.contour for signal in poles.signals)
    heard = a.voiced & b.voiced
    way = np.where(heard, b.energy_db.astype(np.float64) - a.energy_db, np.nan)
    if not np.nanmax(np.abs(way), initial=0.0) >= SMALLEST_RANGE_DB:
        raise InputError(f"A and B are nowhere {SMALLEST_RANGE_DB:g} dB apart: there is no energy to move")
    gain_db = share * np.clip(way, -LARGEST_GAIN_DB, LARGEST_GAIN_DB)
    speech = poles.speeches[0]
    return replace(speech, audio=with_gain(speech.audio, gain_db, hop_samples=speech.mel_config.hop_samples))


def _rate(poles: _Poles, share: float) -> Speech:
    """A, with durations between A's own and B's own, in log; running sums are rounded, so that no step is lost."""
    a, b = (row.astype(np.float64) for row in poles.own_durations)
    heard = (a > 0) & (b > 0)
    between = np.where(heard, np.exp((1 - share) * np.log(np.maximum(a, 1)) + share * np.log(np.maximum(b, 1))), 0)
    durations = np.diff(np.rint(np.cumsum(between)), prepend=0).astype(np.int64)
    return poles.speak(poles.styles[0], durations=np.where(heard, np.maximum(durations, 1), 0))


DIMENSIONS: dict[str, Callable[[_Poles, float], Speech]] = {
    "all": _all, "pitch": _pitch, "timbre": _timbre, "energy": _energy, "rate": _rate, "time": _time,
    "frequency": _frequency,
}  # fmt: skip
"""What a continuum moves; all but ``rate`` keep the durations."""

ASKED = {
    "all": ("pitch", "timbre", "energy"), "pitch": ("pitch",), "timbre": ("timbre", "energy"), "energy": ("energy",),
    "rate": ("rate",), "time": ("pitch", "timbre", "energy"), "frequency": ("timbre",),
}  # fmt: skip
"""Which shares each of them asks for; the others stay A's."""


def make_continuum(
    tts: GradTTSInterpPipeline,
    text: str,
    a: Style,
    b: Style,
    *,
    steps: int = 11,
    of: str = "all",
    equalise: str | None = None,
    seed: int = 0,
    listener: Listener | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Continuum:
    """Render a continuum and measure every step.

    Durations lie half-way between those of A and B (in log) and are the same in all steps, as is the noise; only a
    continuum of the rate changes durations. Realised shares are those of
    :func:`~gradtts_interp.evaluation.metric_rows.mean_shares`, against A and B alone with the same durations and noise.

    Args:
        tts: The pipeline.
        text: A sentence, plain or SSML.
        a: Style A.
        b: Style B.
        steps: Number of steps, with both ends.
        of: What moves, a name in :data:`DIMENSIONS`.
        equalise: Measure whose realised shares shall be spaced equally: ``f0``, ``envelope``, or ``all`` for their
            mean; None spaces what is asked for.
        seed: Of the noise.
        listener: How steps are measured; with the usual settings if None.
        progress: Called with the share and the speech after each rendering.
        **options: Further keyword arguments of the pipeline, such as ``num_inference_steps``.

    Returns:
        The continuum.

    Raises:
        InputError: An unknown dimension or measure, fewer than 2 steps, or styles that are too alike to equalise.
    """
    if of not in DIMENSIONS:
        raise InputError(f"continuum of {of!r}; expected one of {', '.join(DIMENSIONS)}")
    if equalise is not None and equalise not in EQUALISED:
        raise InputError(f"equal steps of {equalise!r}; expected one of {', '.join(EQUALISED)}")
    if not 2 <= steps <= 1000:
        raise InputError(f"continuum of {steps} steps; expected 2 to 1000")
    poles = _poles_of(tts, text, (a, b), listener or Listener(tts.model.settings.mel), {"seed": seed, **options})
    known: dict[float, Stimulus] = {}
    wanted = np.linspace(0, 1, steps)
    chosen = _render(poles, of, wanted, known, progress)
    if equalise is None:
        return Continuum(text, of, a, b, chosen, poles.signals)
    best, error = chosen, _error(chosen, equalise)
    for _ in range(ROUNDS):
        if error <= GOOD_ENOUGH:
            break
        realised = [known[share].measure(equalise) for share in known]
        wanted = shares_for_equal_steps(list(known), realised, steps)
        chosen = _render(poles, of, wanted, known, progress)
        now = _error(chosen, equalise)
        if now < error:
            best, error = chosen, now
    return Continuum(text, of, a, b, best, poles.signals, equalise, error)


def _poles_of(
    tts: GradTTSInterpPipeline, text: str, styles: tuple[Style, Style], listener: Listener, options: dict[str, Any]
) -> _Poles:
    own = [tts(text, style, **{**options, "num_inference_steps": 1}).durations for style in styles]
    # A blend decides its durations by its mean share, so that an even one lies half-way.
    even = tts(text, *styles, share=shares.constant(0.5), **{**options, "num_inference_steps": 1}).durations
    speeches = [tts(text, style, durations=[even.tolist()], **options) for style in styles]
    signals = [listener.hear(s.audio, name) for s, name in zip(speeches, ("A", "B"), strict=True)]
    return _Poles(
        tts, text, styles, (speeches[0], speeches[1]), (signals[0], signals[1]), (own[0], own[1]), listener, options
    )


def _render(
    poles: _Poles, of: str, wanted: NDArray[np.float64], known: dict[float, Stimulus], progress: Progress | None
) -> tuple[Stimulus, ...]:
    """Steps at shares, each rendered once; ``known`` grows."""
    chosen = []
    for share in wanted.tolist():
        near = min(known, key=lambda other: abs(other - share), default=None)
        if near is None or abs(near - share) > SAME_SHARE:
            known[share] = _measured(poles, share, DIMENSIONS[of](poles, share))
            near = share
            if progress is not None:
                progress(share, known[share].speech)
        chosen.append(known[near])
    return tuple(chosen)


def _measured(poles: _Poles, share: float, speech: Speech) -> Stimulus:
    signal = poles.listener.hear(speech.audio, f"share {share:.3f}")
    a, b = poles.signals
    durations = poles.speeches[0].durations
    aligned = signal
    if not np.array_equal(durations, speech.durations):
        aligned = signal.at(np.minimum(warp_frames(speech.durations.tolist(), durations.tolist()), signal.frames - 1))
    frames = min(a.frames, b.frames, aligned.frames)
    found = mean_shares(a.cut(frames), b.cut(frames), aligned.cut(frames))
    realised = {name: found[f"{name}_share"] for name in ("f0", "envelope", "energy")}
    return Stimulus(share, speech, signal, realised | {"rate": _rate_share(poles, speech)})


def _rate_share(poles: _Poles, speech: Speech) -> float | None:
    """Share of B's own tempo by the length of the utterance, in log; None where A's and B's are alike."""
    a, b = (float(row.sum()) for row in poles.own_durations)
    if not max(a / b, b / a) >= SMALLEST_RATE_RATIO:
        return None
    return float(np.log(speech.durations.sum() / a) / np.log(b / a))


def _error(steps: tuple[Stimulus, ...], measure: str) -> float:
    """Distance from equal spacing; an error where a step could not be measured."""
    realised = [step.measure(measure) for step in steps]
    if not np.isfinite(realised).all():
        raise InputError(
            f"equal steps of {measure}: a step cannot be measured; A and B may be too alike in it, or unvoiced"
        )
    return error_of_steps(realised)
