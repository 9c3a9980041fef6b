"""The parts of the study: the same share everywhere, from A to B over time, and A's pitch with B's voice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.interpolation.watch import Watch, watching
from benchmarks.quality.context import QualityContext, Setting
from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.contours import level_semitones
from gradtts_interp.evaluation.envelope import envelope_distance
from gradtts_interp.evaluation.grid import FREQUENCY, HALF, MIX, STATIC, TIME, WORLD, Condition, Pair
from gradtts_interp.evaluation.rendering import Endpoints, Rendered, Renderer
from gradtts_interp.evaluation.signal import Listener
from gradtts_interp.evaluation.spectral import mel_cepstral_distortion, mel_cepstrum, speech_frames
from gradtts_interp.evaluation.tables import ANCHOR as BASELINE
from gradtts_interp.evaluation.tables import CONDITION
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.noise import NOISE, NoiseTuning, NoiseWindow
from gradtts_interp.interpolation.shares import Layout, Share
from gradtts_interp.job import Job, StyleChoice
from gradtts_interp.sampling import SamplingOptions

Rows = list[dict[str, Any]]
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
TENTHS = 10
DEFAULTS = "default"
ALONE = "noise alone"
OUTCOME = NoiseTuning(windows=(NoiseWindow(0.6, 1.0, objective="f0_position", steps=6),))
"""Noise alone reads one style only, so that there is no attention to steer: it is tuned by the predicted F0 band."""

MIXES = (DEFAULTS, "prior", "prosody", "attention", "score")
RAMPS = (DEFAULTS, "prior", "prosody", "attention", "score", "prosody + score", f"attention + {NOISE}", HALF, STATIC)
SWAPS = (
    DEFAULTS,
    "attention",
    "prosody",
    f"attention + {NOISE}",
    f"{DEFAULTS} + {NOISE}",
    ALONE,
    STATIC,
    HALF,
    WORLD,
)
LOW_BAND_HZ = 400.0


class StudyContext:
    """Pipeline, held-out pairs and measures, with what is rendered once.

    Args:
        setting: What to load.
    """

    def __init__(self, setting: Setting) -> None:
        self.context = QualityContext(setting)
        job = Job(self.context.tts, None, sampling=SamplingOptions(setting.steps, setting.solver))
        self.renderer = Renderer(job, Listener(self.context.mel), Path("."))

    def pair(self, index: int) -> Pair:
        """A held-out pair at least four semitones apart, with a sentence."""
        a, b = (StyleChoice(recording=str(self.context.path(entry))) for entry in self.context.pairs[index])
        return Pair(index, a, b, self.context.sentence(index))

    def render(self, pair: Pair, condition: str, share: Share, **options: Any) -> tuple[Rendered, Watch]:
        """Render a blend with the pair's durations and noise, and watch it."""
        styles, plain, how = self.renderer.styles(pair), self.renderer.plain(pair), self._how(condition)
        both_read = "attention" in how.get("mechanisms", ("attention",))
        with watching(self.context.tts, styles if both_read else None) as watch:
            rendering = self.renderer.render(
                condition, pair.text, *styles, share=share, durations=[plain.durations], **options, **how
            )
        return rendering, watch

    def _how(self, condition: str) -> dict[str, Any]:
        """Mechanisms of a condition."""
        if condition == ALONE:
            return {"mechanisms": (NOISE,), "noise_tuning": OUTCOME}
        names = tuple(condition.split(" + "))
        if condition in (HALF, STATIC) or names == (DEFAULTS,):
            return {}
        if names[0] == DEFAULTS:
            return {"mechanisms": (*self.context.tts.default_mechanisms(shares.pitch()), *names[1:])}
        return {"mechanisms": names}


@dataclass(frozen=True)
class Task:
    """One part of the study.

    Attributes:
        measure: From the context and the number of a pair to its rows.
        items: Pairs by default.
        quick: Pairs of a quick run.
    """

    measure: Callable[[StudyContext, int], Rows]
    items: int
    quick: int = 2


def mix(context: StudyContext, index: int) -> Rows:
    """Constant shares: how each mechanism's realised shares grow with the weight, and whether the ends are exact."""
    pair = context.pair(index)
    plain = context.renderer.plain(pair)
    rows = []
    for condition in MIXES:
        for weight in WEIGHTS:
            rendering, watch = context.render(pair, condition, shares.constant(weight))
            row = _row(MIX, pair, condition, rendering, watch) | metric_rows.mean_shares(*_three(plain, rendering))
            row["weight"] = weight
            end = {0.0: plain.a, 1.0: plain.b}.get(weight)
            if end is not None:
                row["endpoint"] = metric_rows.largest_difference(end.signal.mel, rendering.signal.mel)
            rows.append(row)
    return rows


def ramp(context: StudyContext, index: int) -> Rows:
    """From A to B over time, from 20 % to 80 %: does the blend follow."""
    pair = context.pair(index)
    plain = context.renderer.plain(pair)
    course = shares.ramp(0.2, 0.8)
    rows = []
    for condition in RAMPS:
        share = {HALF: shares.step(0.5), STATIC: shares.constant(0.5)}.get(condition, course)
        rendering, watch = context.render(pair, condition, share)
        three = _three(plain, rendering)
        frames = min(signal.frames for signal in three)
        wanted = course.render(Layout(frames, context.context.mel)).timbre.mean(0)
        found = metric_rows.realised_shares(*three)
        row = _row(TIME, pair, condition, rendering, watch) | metric_rows.mean_shares(*three)
        row |= metric_rows.following(*three, wanted)
        row["localisation"] = localisation(*(signal.mel for signal in three), wanted)
        row["asked course"] = [float(part.mean()) for part in np.array_split(wanted, TENTHS)]
        for name, realised in found.items():
            row[f"{name} course"] = metric_rows.course(realised, TENTHS)
        rows.append(metric_rows.finite(row))
    return rows


def localisation(a: NDArray, b: NDArray, blend: NDArray, wanted: NDArray) -> float:
    """Whether each end sounds like its own style.

    Args:
        a: Log-mel (M, T) of A.
        b: Log-mel of B, same durations and noise.
        blend: Log-mel of the blend, same durations and noise.
        wanted: Requested share of B (T,), 0 and 1 at some frames.

    Returns:
        Distance to the other style over the sum of the distances to both, mean of the frames of share 0 and of share
        1: 1 where each end is its own style exactly, 0.5 where it is as far from both, 0 where the ends are exchanged.
    """
    parts = []
    for own, other, there in ((a, b, wanted <= 0), (b, a, wanted >= 1)):
        near, far = (float(np.sqrt(np.square(blend - mel)[:, there].sum())) for mel in (own, other))
        parts.append(far / (near + far) if near + far > 0 else np.nan)
    return float(np.mean(parts))


def swap(context: StudyContext, index: int) -> Rows:
    """A's pitch with B's voice."""
    pair = context.pair(index)
    plain = context.renderer.plain(pair)
    rows: Rows = []
    untuned: dict[str, tuple[Rendered, Watch]] = {}
    for condition in SWAPS:
        if condition == WORLD:
            rendering, watch = context.renderer.world(pair, Condition(WORLD, FREQUENCY)), Watch()
        else:
            # A hard split of the mel's bins gives A the low band whatever its pitch is.
            split = {STATIC: shares.constant(0.5), HALF: shares.bands(0, LOW_BAND_HZ, inside=0.0, outside=1.0)}
            rendering, watch = context.render(pair, condition, split.get(condition, shares.pitch()))
        row = _row(FREQUENCY, pair, condition, rendering, watch) | nearness(plain, rendering)
        base = condition.removesuffix(f" + {NOISE}")
        if base != condition:
            row |= tuning_row(untuned[base], (rendering, watch), plain)
        untuned[condition] = rendering, watch
        rows.append(metric_rows.finite(row))
    return rows


def nearness(plain: Endpoints, rendering: Rendered) -> dict[str, Any]:
    """How near a rendering is to A's F0 and to B's envelope, and how near to the others."""
    a, b, blend = _three(plain, rendering)
    to_a, to_b = (100 * abs(level_semitones(style.contour, blend.contour)) for style in (a, b))
    far = [envelope_distance(s.envelope, blend.envelope, s.contour.voiced & blend.contour.voiced) for s in (a, b)]
    voiced = float(blend.contour.voiced.mean() / max(b.contour.voiced.mean(), 1e-6))
    return metric_rows.mean_shares(a, b, blend) | {
        "F0 range": 100 * abs(level_semitones(a.contour, b.contour)),
        "F0 to A": to_a,
        "F0 to B": to_b,
        "nearer by three": float(to_b >= 3 * to_a),
        "envelope to A": far[0],
        "envelope to B": far[1],
        "envelope nearer to B": float(far[1] < far[0]),
        "voiced": voiced,
    }


def tuning_row(untuned: tuple[Rendered, Watch], tuned: tuple[Rendered, Watch], plain: Endpoints) -> dict[str, Any]:
    """What a tuning did to attention, noise and speech, against the same blend without it."""
    (before, seen_before), (after, seen_after) = untuned, tuned
    assert after.speech is not None and after.speech.tuning is not None and before.speech is not None
    steps = after.speech.tuning.steps
    visits = {(s.window, s.t): any(o.taken and (o.window, o.t) == (s.window, s.t) for o in steps) for s in steps}
    change = np.abs(after.signal.mel - before.signal.mel).mean()
    active = speech_frames(before.signal.contour) | speech_frames(after.signal.contour)
    cepstra = [mel_cepstrum(t.signal.audio, t.signal.contour, after.speech.mel_config) for t in (before, after)]
    lowest = min(s.t for s in steps) - 1e-3
    return {
        "mass before": seen_before.pitch_mass(),
        "mass after": seen_after.pitch_mass(),
        "mass gain": seen_after.pitch_mass() / seen_before.pitch_mass(),
        "mass gain while tuning": seen_after.pitch_mass(lowest) / seen_before.pitch_mass(lowest),
        "gain by site": {s: m / seen_before.by_site()[s] for s, m in seen_after.by_site().items()},
        "mass by time": [[t, float(np.mean(list(m.values())))] for t, m in seen_before.mass],
        "mass by time, tuned": [[t, float(np.mean(list(m.values())))] for t, m in seen_after.mass],
        "loss fell": float(all(visits.values())),
        "steps taken": float(np.mean([s.taken for s in steps])),
        "gradient": float(np.median([s.gradient_norm for s in steps])),
        "move": after.speech.tuning.move,
        "mel change": float(change / np.abs(plain.a.signal.mel - plain.b.signal.mel).mean()),
        "MCD to untuned": mel_cepstral_distortion(*cepstra, active),
        "slower": after.seconds / before.seconds,
    }


def _row(mode: str, pair: Pair, condition: str, rendering: Rendered, watch: Watch) -> dict[str, Any]:
    return {
        "table": mode,
        "kind": BASELINE if condition in (HALF, STATIC, WORLD) else CONDITION,
        "item": pair.id,
        "condition": condition,
        "seconds": rendering.seconds,
        "speech seconds": len(rendering.signal.audio) / rendering.rate_hz,
        "evaluations": watch.evaluations or None,
        "gradients": watch.gradients,
    }


def _three(plain: Endpoints, rendering: Rendered) -> tuple[Any, Any, Any]:
    return plain.a.signal, plain.b.signal, rendering.signal


TASKS = {FREQUENCY: Task(swap, 20), TIME: Task(ramp, 6), MIX: Task(mix, 4)}
