"""Where noise tuning meets a sampling run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from torch import Tensor

from gradtts_interp.diffusion.samplers import sampler_by_name
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.key_sets import style_key_sets
from gradtts_interp.interpolation.mechanisms import BY_SHARE, LOW_BAND_BINS, OPEN, Plan, Shares, StyleReading
from gradtts_interp.interpolation.noise import NOISE, NoiseTuning
from gradtts_interp.interpolation.noise_trace import TuningTrace
from gradtts_interp.interpolation.noise_tuner import NoiseTuner, TuningProblem
from gradtts_interp.interpolation.objectives import Goal, StyleOutcome
from gradtts_interp.interpolation.outcomes import style_outcomes
from gradtts_interp.interpolation.scoring import Frames, Score
from gradtts_interp.interpolation.shares import PitchRegion, Share
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.styles import Style


def split_noise(
    mechanisms: Sequence[str],
    tuning: NoiseTuning | None,
    styles: Sequence[Style],
    share: Share | None,
    *,
    offer: str = BY_SHARE,
) -> tuple[tuple[str, ...], TuningRun | None]:
    """Tell the mechanisms that plan network evaluations from ``noise``, which tunes what they start from.

    Args:
        mechanisms: Names, ``noise`` perhaps among them.
        tuning: How to tune; implies ``noise``.
        styles: The styles.
        share: Their share, None for a single style.
        offer: How they are offered, of :data:`~gradtts_interp.interpolation.mechanisms.OFFERS`.

    Returns:
        The other mechanisms, and the run to come (None without ``noise``).

    Raises:
        InputError: A window asks for a style that is not there, styles that are offered openly are to be blended as
            well, or nothing says where each of them is to be followed.
    """
    others = tuple(name for name in mechanisms if name != NOISE)
    if offer == OPEN and set(others) - {"attention"}:
        raise InputError(f"mechanism {others[0]!r}: it says who speaks where, which an open offer leaves to the noise")
    others = () if offer == OPEN else others
    if tuning is None and NOISE not in mechanisms:
        return others, None
    if offer == OPEN and share is None:
        raise InputError("noise tuning of an open offer: expected a share, which says where each style is followed")
    pitch = share.region if share else None
    tuning = tuning or NoiseTuning()
    by_pitch, openly = pitch is not None, offer == OPEN
    windows = tuning.windows_for(styles=len(styles), by_pitch=by_pitch, openly=openly)  # so that the record names them
    return others, TuningRun(replace(tuning, windows=windows), styles, pitch=pitch)


class SamplerChoice(Protocol):
    """What a tuning needs to know of the sampler."""

    @property
    def solver(self) -> str:
        """Its name."""

    @property
    def steps(self) -> int:
        """Its steps."""

    @property
    def temperature(self) -> float:
        """Divides the initial noise."""


class TuningRun:
    """A tuning and its account, for one sampling run.

    Args:
        tuning: Windows and rules.
        styles: n styles.
        pitch: What counts as pitch on the reference plane; F0 alone if None.
    """

    def __init__(self, tuning: NoiseTuning, styles: Sequence[Style], *, pitch: PitchRegion | None = None) -> None:
        self.tuning, self.styles, self.pitch = tuning, tuple(styles), pitch or PitchRegion()
        self._tuner: NoiseTuner | None = None

    def begin(
        self,
        noise: Tensor,
        model: GradTTS,
        score: Score,
        options: SamplerChoice,
        *,
        plan: Plan,
        frames: Frames,
        readings: Sequence[StyleReading],
        shares: Shares | None,
        another: Callable[[], Tensor] | None = None,
    ) -> Tensor:
        """Tune the noise a sampler is about to start from.

        Args:
            noise: Standard normal noise (B, M, T).
            model: The network.
            score: The sampler's score.
            options: The sampler that will run.
            plan: What it reads.
            frames: Real frames of the batch.
            readings: How the model reads each style.
            shares: Their shares, None for a single style.
            another: Draws further noises for a pool.

        Returns:
            Noise to start from (B, M, T).

        Raises:
            InputError: A window asks for a style, site or reference that is not there, or reads attention which the
                mechanisms leave out.
        """
        windows = self.tuning.windows_for(styles=len(self.styles), by_pitch=shares is not None and shares.by_pitch)
        sites = [w.site_weights(tuple(model.attention_sites)) for w in windows]
        sets = self._key_sets(model, plan, readings) if any(sites) else None
        outcomes: tuple[StyleOutcome, ...] = ()
        if not all(w.by_attention for w in windows):
            lengths, mel = frames.mask.sum((1, 2)).long(), model.settings.mel
            outcomes = style_outcomes(self.styles, lengths, frames.mask.shape[-1], mel=mel, pitch=self.pitch)
        share = None if shares is None else shares.timbre.clamp(0, 1)
        goals = [
            Goal(w.style, w.region, w.outside_weight, at, frames.mask, share, w.queries, LOW_BAND_BINS, outcomes)
            for w, at in zip(windows, sites, strict=True)
        ]
        problem = TuningProblem(model, score, plan.mu, frames.mask, sets, options.temperature)
        sampler = sampler_by_name(options.solver)
        self._tuner = NoiseTuner(problem, self.tuning, windows, goals, sampler=sampler, steps=options.steps)
        pool = [noise, *(another() for _ in range(self.tuning.pool - 1) if another is not None)]
        return self._tuner.begin(self._tuner.choose(pool))

    def after_step(self, t: float, x: Tensor) -> Tensor | None:
        """Tune the noisy mel (B, M, T) a sampler has reached at time t; None where there is nothing to change."""
        return None if self._tuner is None else self._tuner.after_step(t, x)

    @property
    def trace(self) -> TuningTrace:
        """The account so far."""
        return TuningTrace(()) if self._tuner is None else self._tuner.trace

    def _key_sets(self, model: GradTTS, plan: Plan, readings: Sequence[StyleReading]) -> Tensor:
        if len(self.styles) > 1 and "attention" not in plan.blended:
            raise InputError("noise tuning by attention mass: expected mechanism 'attention' beside 'noise'")
        sizes = [r.tokens.tokens.shape[1] for r in readings if r.tokens is not None]
        return style_key_sets(model, self.styles, sizes, self.pitch)
