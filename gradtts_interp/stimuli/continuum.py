"""Continua: one sentence in steps from style A to style B, with the same noise throughout, measured step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from gradtts_interp.alignment import warp_frames
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.blend import SMALLEST_RANGE_DB
from gradtts_interp.evaluation.metric_rows import mean_shares
from gradtts_interp.evaluation.signal import Listener, Signal
from gradtts_interp.interpolation import shares
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.placement import with_gain
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style

EQUALISED = ("f0", "envelope", "all")
ROUNDS = 3
GOOD_ENOUGH = 0.01
"""Steps this near to equal spacing are not rendered again."""
SAME_SHARE = 1e-3
SMALLEST_RISE = 1e-4
"""Points of a measured curve that rise by less count as one."""
SMALLEST_RATE_RATIO = 1.02
"""Of the lengths of A and B, from which a share of the rate can be told."""
LARGEST_GAIN_DB = 20.0

Progress = Callable[[float, Speech], None]
Say = Callable[..., Speech]


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
        of: What moves, a name in :data:`CONTINUA`.
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


def _of_dimension(name: str, share: float) -> shares.Share:
    return shares.dimensions(None, **{name: share})


def _bins_from_above(share: float) -> shares.Share:
    """B above an edge that goes down by equal numbers of mel bins."""

    def draw(at: shares.Layout) -> shares.Plane:
        plane = np.zeros((at.mel.n_mels, at.frames), np.float32)
        plane[at.mel.n_mels - round(share * at.mel.n_mels) :] = 1
        return plane

    return shares.Share(f"bins_from_above({share:g})", draw)


SPOKEN = ("pitch", "timbre", "energy")
CONTINUA: dict[str, tuple[tuple[str, ...], Callable[[float], shares.Share]]] = {
    "all": (SPOKEN, shares.constant),
    **{name: ((name,), partial(_of_dimension, name)) for name in (*SPOKEN, "rate")},
    "time": (SPOKEN, lambda share: shares.step(1 - share)),
    "frequency": (("timbre",), _bins_from_above),
}
"""What a continuum moves: the dimensions of which a step asks for a share of B, the others stay A's; and that share.

All but ``rate`` keep the durations."""


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
        of: What moves, a name in :data:`CONTINUA`.
        equalise: Measure whose realised shares shall be spaced equally: ``f0``, ``envelope``, or ``all`` for their
            mean; None spaces what is asked for.
        seed: Of the noise.
        progress: Called with the share and the speech after each rendering.
        **options: Further keyword arguments of the pipeline, such as ``num_inference_steps``.

    Returns:
        The continuum.

    Raises:
        InputError: An unknown dimension or measure, fewer than 2 steps, or styles that are too alike to equalise.
    """
    if of not in CONTINUA:
        raise InputError(f"continuum of {of!r}; expected one of {', '.join(CONTINUA)}")
    if equalise is not None and equalise not in EQUALISED:
        raise InputError(f"equal steps of {equalise!r}; expected one of {', '.join(EQUALISED)}")
    if not 2 <= steps <= 1000:
        raise InputError(f"continuum of {steps} steps; expected 2 to 1000")
    mel = tts.model.settings.mel
    renderer = _Renderer(partial(tts, text, **{"seed": seed, **options}), (a, b), mel, of, progress)
    chosen = renderer.steps(np.linspace(0, 1, steps))
    poles = renderer.signals
    if equalise is None:
        return Continuum(text, of, a, b, chosen, poles)
    best, error = chosen, _error(chosen, equalise)
    for _ in range(ROUNDS):
        if error <= GOOD_ENOUGH:
            break
        realised = [step.measure(equalise) for step in renderer.known.values()]
        chosen = renderer.steps(shares_for_equal_steps(list(renderer.known), realised, steps))
        now = _error(chosen, equalise)
        if now < error:
            best, error = chosen, now
    return Continuum(text, of, a, b, best, poles, equalise, error)


class _Renderer:
    """Speaks and measures steps of a continuum; A and B alone, with equal durations and noise, first."""

    def __init__(
        self, say: Say, styles: tuple[Style, Style], mel: MelConfig, of: str, progress: Progress | None
    ) -> None:
        self.say, self.styles, self.of, self.progress = say, styles, of, progress
        self.listener = Listener(mel, tracker="praat")  # where a voice is far from its pitch, DIO reads octaves
        quick = {"num_inference_steps": 1}
        self.own_frames = [float(say(style, **quick).durations.sum()) for style in styles]
        # A blend decides its durations by its mean share, so that an even one lies half-way.
        even = say(*styles, share=shares.constant(0.5), **quick).durations
        self.speeches = [say(style, durations=[even.tolist()]) for style in styles]
        a, b = (self.listener.hear(s.audio, name) for s, name in zip(self.speeches, "AB", strict=True))
        self.signals = a, b
        self.known: dict[float, Stimulus] = {}

    def steps(self, wanted: NDArray[np.float64]) -> tuple[Stimulus, ...]:
        """Steps at shares, each rendered once."""
        chosen = []
        for share in wanted.tolist():
            near = min(self.known, key=lambda other: abs(other - share), default=None)
            if near is None or abs(near - share) > SAME_SHARE:
                near, speech = share, self._speak(share)
                self.known[share] = self._measured(share, speech)
                if self.progress is not None:
                    self.progress(share, speech)
            chosen.append(self.known[near])
        return tuple(chosen)

    def _speak(self, share: float) -> Speech:
        if self.of == "energy":
            return self._with_energy(share)
        durations = None if self.of == "rate" else [self.speeches[0].durations.tolist()]
        return self.say(*self.styles, share=CONTINUA[self.of][1](share), durations=durations)

    def _with_energy(self, share: float) -> Speech:
        """A, with the level of each frame moved by a part of the way to B's.

        The sound itself is made louder or softer: most of what the levels of two styles differ by comes with their
        timbre and pitch, so that the model's share of the energy alone moves little of it.
        """
        a, b = (signal.contour for signal in self.signals)
        way = np.where(a.voiced & b.voiced, b.energy_db.astype(np.float64) - a.energy_db, np.nan)
        if not np.nanmax(np.abs(way), initial=0.0) >= SMALLEST_RANGE_DB:
            raise InputError(f"A and B are nowhere {SMALLEST_RANGE_DB:g} dB apart: there is no energy to move")
        gain_db = share * np.clip(way, -LARGEST_GAIN_DB, LARGEST_GAIN_DB)
        speech = self.speeches[0]
        return replace(speech, audio=with_gain(speech.audio, gain_db, hop_samples=speech.mel_config.hop_samples))

    def _measured(self, share: float, speech: Speech) -> Stimulus:
        signal = aligned = self.listener.hear(speech.audio, f"share {share:.3f}")
        durations = self.speeches[0].durations
        if not np.array_equal(durations, speech.durations):
            warp = warp_frames(speech.durations.tolist(), durations.tolist())
            aligned = signal.at(np.minimum(warp, signal.frames - 1))
        frames = min(x.frames for x in (*self.signals, aligned))
        found = mean_shares(*(x.cut(frames) for x in (*self.signals, aligned)))
        realised = {name: found[f"{name}_share"] for name in ("f0", "envelope", "energy")}
        return Stimulus(share, speech, signal, realised | {"rate": self._rate_share(speech)})

    def _rate_share(self, speech: Speech) -> float | None:
        """Share of B's own tempo by the length of the utterance, in log; None where A's and B's are alike."""
        a, b = self.own_frames
        if not max(a / b, b / a) >= SMALLEST_RATE_RATIO:
            return None
        return float(np.log(speech.durations.sum() / a) / np.log(b / a))


def _error(steps: tuple[Stimulus, ...], measure: str) -> float:
    """Largest distance from equal spacing between the first and the last; an error where a step is not measured."""
    realised = np.array([step.measure(measure) for step in steps])
    if not np.isfinite(realised).all():
        raise InputError(
            f"equal steps of {measure}: a step cannot be measured; A and B may be too alike in it, or unvoiced"
        )
    return float(np.abs(realised - np.linspace(realised[0], realised[-1], len(realised))).max())


# -- equal steps ------------------------------------------------------------------------------------------------------


def shares_for_equal_steps(asked: ArrayLike, realised: ArrayLike, steps: int) -> NDArray[np.float64]:
    """Invert a measured curve, so that its values are spaced equally from its first to its last.

    The curve is made monotone first (least squares), since a tracker's errors can make it fall; between its points it
    is a monotone cubic.

    Args:
        asked: Shares that were asked for (n,), each once.
        realised: What was measured at them (n,).
        steps: Number of shares wanted, at least 2.

    Returns:
        Rising shares (steps,); the first and the last are the smallest and the largest of ``asked``.

    Raises:
        InputError: Fewer than two points or steps, a value that is not finite, or a curve that does not rise.

    Source: Fritsch & Carlson 1980 (PCHIP); Barlow et al. 1972 (isotonic regression).
    """
    asked, realised = np.asarray(asked, dtype=np.float64), np.asarray(realised, dtype=np.float64)
    if steps < 2 or len(asked) < 2 or asked.shape != realised.shape:
        raise InputError(f"{steps} steps of {len(asked)} points; expected at least 2 of both")
    if not (np.isfinite(asked).all() and np.isfinite(realised).all()):
        raise InputError("a curve with values that are not finite; expected a measure of every step")
    order = np.argsort(asked)
    asked, rising = asked[order], isotonic_regression(realised[order]).x
    kept = [0]
    for i in range(1, len(asked)):
        if rising[i] - rising[kept[-1]] > SMALLEST_RISE:
            kept.append(i)
    if len(kept) < 2:
        raise InputError(
            f"what is realised does not rise from A to B ({realised[0]:.3f} to {realised[-1]:.3f}): there are no steps "
            "to equalise"
        )
    inverse = PchipInterpolator(rising[kept], asked[kept])
    found = np.clip(inverse(np.linspace(rising[kept[0]], rising[kept[-1]], steps)), asked[0], asked[-1])
    found[[0, -1]] = asked[[0, -1]]
    return found
