"""Measures one item of an interpolation run: its anchors, or one condition of one pair."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.grid import (
    BY_WORLD,
    DEFAULT,
    FREQUENCY,
    MIX,
    REFERENCE,
    SENTENCES,
    STATIC,
    TIME,
    Condition,
    GridItem,
    Pair,
)
from gradtts_interp.evaluation.intelligibility import Recognisers, load_recognisers
from gradtts_interp.evaluation.morphing import cepstral_distance, morph_measures
from gradtts_interp.evaluation.rendering import Endpoints, Rendered, Renderer
from gradtts_interp.evaluation.signal import Listener, Signal, encoder_of
from gradtts_interp.evaluation.tables import ANCHOR, CONDITION
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.job import Job
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import SamplingOptions

TIME_BINS = 10
SHIFT_SEMITONES = 6.0
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class GridSettings:
    """What a process needs to load its models.

    Attributes:
        checkpoint: Folder or official file.
        device: Where to render.
        sampling: How the noise becomes a mel.
        seed: Start of the noise.
        listener: How to measure, without its encoder.
        encoder: Folder of the speaker encoder, None for none.
        recognisers: Who measures intelligibility, as in :mod:`gradtts_interp.evaluation.intelligibility`.
        language: What they hear, where they know several.
        out: Folder of the run.
        textgrids: Whether phones are written beside each wav.
        texts: Sentences, for anchors that say another.
    """

    checkpoint: str
    device: str
    sampling: SamplingOptions
    seed: int
    listener: dict[str, Any]
    encoder: str | None
    recognisers: tuple[str, ...]
    out: str
    language: str = "en"
    textgrids: bool = False
    texts: tuple[str, ...] = SENTENCES

    def open(self) -> GridContext:
        """Load the models."""
        pipeline = GradTTSInterpPipeline.from_pretrained(self.checkpoint).to(torch.device(self.device))
        pipeline.set_progress_bar_config(disable=True)
        listener = Listener(pipeline.model.settings.mel, encoder=encoder_of(self.encoder), **self.listener)
        job = Job(pipeline, None, sampling=self.sampling, seed=self.seed)
        renderer = Renderer(job, listener, Path(self.out), textgrids=self.textgrids)
        recognisers = load_recognisers(self.recognisers, pipeline.frontend, language=self.language, device=self.device)
        return GridContext(renderer, recognisers, self)


@dataclass(frozen=True)
class GridContext:
    """What the items of one process share.

    Attributes:
        renderer: Renders.
        recognisers: Of what was rendered.
        settings: Settings of the run.
    """

    renderer: Renderer
    recognisers: Recognisers
    settings: GridSettings


def measure_item(context: GridContext, item: GridItem) -> tuple[Rows, list[str]]:
    """Render and measure one item.

    Args:
        context: Renderer, recognisers and settings.
        item: Anchors or a condition of one pair.

    Returns:
        Rows of all tables it stands in, and notes.

    Raises:
        InputError: A style or sentence cannot be rendered.
    """
    with torch.no_grad():
        if item.condition is None:
            return _anchors(context, item)
        return _MEASURES[item.condition.mode](context, item, item.condition)


def _row(item: GridItem, table: str, kind: str, condition: str, **values: Any) -> dict[str, Any]:
    pair = item.pair
    head = {"table": table, "item": pair.id, "kind": kind, "condition": condition}
    return metric_rows.finite({**head, "a": pair.a.name, "b": pair.b.name, "text": pair.text, **values})


# -- anchors --------------------------------------------------------------------------------------------------------


def _anchors(context: GridContext, item: GridItem) -> tuple[Rows, list[str]]:
    """Known cases: A itself, the floor of the vocoder, other noise, other pitch, another sentence, and B, the range."""
    renderer, pair = context.renderer, item.pair
    plain = renderer.plain(pair)
    renderer.keep(pair, plain.a, excerpt=f"A: {pair.a.name}" if item.example else None)
    renderer.keep(pair, plain.b, excerpt=f"B: {pair.b.name}" if item.example else None)
    known = {
        "A with itself": plain.a,
        "A through the vocoder": renderer.vocoded(plain.a, "A-vocoded"),
        "A, other noise": renderer.other_noise(pair),
        "B (range)": plain.b,
    }
    if plain.a.signal.contour.voiced.any():
        for word, semitones in (("up", SHIFT_SEMITONES), ("down", -SHIFT_SEMITONES)):
            known[f"A, {SHIFT_SEMITONES:g} semitones {word}"] = renderer.shifted(plain.a, semitones, f"A-{word}")
    rows = []
    for name, rendering in known.items():
        if rendering is not plain.a and rendering is not plain.b:
            renderer.keep(pair, rendering, like=plain.a)
        heard = _intelligibility(context, pair, rendering)
        known_values = {
            REFERENCE: metric_rows.distances(plain.a.signal, rendering.signal),
            MIX: _middle(plain, rendering),
            TIME: metric_rows.voices(*_three(plain, rendering)),
            FREQUENCY: metric_rows.selective(*_three(plain, rendering)),
        }
        rows += [_row(item, table, ANCHOR, name, **values, **heard) for table, values in known_values.items()]
    other = next((text for text in context.settings.texts if text != pair.text), pair.text)
    sentence = renderer.other_sentence(pair, other)
    renderer.keep(pair, sentence)
    far = metric_rows.warped_distances(plain.a.signal, sentence.signal)
    rows.append(_row(item, REFERENCE, ANCHOR, "A, another sentence (DTW)", **far))
    voices = metric_rows.voices(*_three(plain, sentence))
    rows += [_row(item, table, ANCHOR, "A, another sentence", **voices) for table in (MIX, TIME, FREQUENCY)]
    return rows, [*plain.a.signal.notes, *plain.b.signal.notes]


# -- conditions -----------------------------------------------------------------------------------------------------


def _sweep(context: GridContext, item: GridItem, condition: Condition) -> tuple[Rows, list[str]]:
    """Constant shares: how the realised share grows with the weight."""
    renderer, pair = context.renderer, item.pair
    plain = renderer.plain(pair)
    if missing := _no_pitch(item, condition, plain):
        return missing
    renderings: dict[float, Rendered] = {}
    for weight in condition.weights:
        middle = weight == 0.5
        renderings[weight] = _blend(renderer, pair, condition, weight, attention=middle and _reads(condition))
        shown = item.example and (middle or condition.name == DEFAULT and weight in (0.2, 0.8))
        renderer.keep(
            pair, renderings[weight], excerpt=f"{condition.name}, weight {weight:g}" if shown else None, like=plain.a
        )
    points = {weight: _middle(plain, rendering) for weight, rendering in renderings.items()}
    rows = [
        _row(item, "sweep", CONDITION, condition.name, weight=weight, **point, seconds=renderings[weight].seconds)
        for weight, point in points.items()
    ]
    row: dict[str, Any] = dict(points.get(0.5, {}))
    for name in metric_rows.SHARES:
        row |= metric_rows.sweep(name, {weight: point.get(f"{name}_share") for weight, point in points.items()})
    for weight, end, name in ((0.0, plain.a, "endpoint_a"), (1.0, plain.b, "endpoint_b")):
        if weight in renderings and renderings[weight].speech is not None:
            row[name] = metric_rows.largest_difference(end.signal.mel, renderings[weight].signal.mel)
    if cepstral_distance(plain.a.signal, plain.b.signal) > 0:
        row |= morph_measures([r.signal for r in renderings.values()], plain.a.signal, plain.b.signal)
    if 0.5 in renderings:
        row |= _intelligibility(context, pair, renderings[0.5])
    rows.append(_row(item, MIX, CONDITION, condition.name, **row, **_cost(*renderings.values())))
    return rows, [note for rendering in renderings.values() for note in rendering.signal.notes]


def _over_time(context: GridContext, item: GridItem, condition: Condition) -> tuple[Rows, list[str]]:
    """A ramp or step from A to B: whether the realised share follows it."""
    renderer, pair = context.renderer, item.pair
    plain = renderer.plain(pair)
    if missing := _no_pitch(item, condition, plain):
        return missing
    rendering = _blend(renderer, pair, condition, attention=item.example and _reads(condition))
    renderer.keep(pair, rendering, excerpt=condition.name if item.example else None, like=plain.a)
    three = _three(plain, rendering)
    # One style for the whole sentence is measured against the ramp.
    asked_share = shares.ramp() if condition.name == STATIC else condition.share()
    wanted = asked_share.render(Layout(sum(plain.durations), renderer.listener.mel)).timbre.mean(0)
    rows = []
    asked = [float(part.mean()) if len(part) else None for part in np.array_split(wanted, TIME_BINS)]
    for name, share in metric_rows.realised_shares(*three).items():
        for k, value in enumerate(metric_rows.course(share, TIME_BINS)):
            place = {"measure": name, "weight": (k + 0.5) / TIME_BINS, "share": value, "asked": asked[k]}
            rows.append(_row(item, "course", CONDITION, condition.name, **place))
    row = {
        **metric_rows.following(*three, wanted),
        **metric_rows.voices(*three),
        **_intelligibility(context, pair, rendering),
    }
    rows.append(_row(item, TIME, CONDITION, condition.name, **row, **_cost(rendering), **_tuning(rendering)))
    return rows, list(rendering.signal.notes)


def _over_frequency(context: GridContext, item: GridItem, condition: Condition) -> tuple[Rows, list[str]]:
    """The pitch of A with the voice of B."""
    renderer, pair = context.renderer, item.pair
    plain = renderer.plain(pair)
    if missing := _no_pitch(item, condition, plain):
        return missing
    rendering = _blend(renderer, pair, condition, attention=item.example and _reads(condition))
    renderer.keep(pair, rendering, excerpt=condition.name if item.example else None, like=plain.a)
    row = {**metric_rows.selective(*_three(plain, rendering)), **_intelligibility(context, pair, rendering)}
    rows = [_row(item, FREQUENCY, CONDITION, condition.name, **row, **_cost(rendering), **_tuning(rendering))]
    return rows, list(rendering.signal.notes)


_MEASURES = {MIX: _sweep, TIME: _over_time, FREQUENCY: _over_frequency}


# -- parts ----------------------------------------------------------------------------------------------------------


def _blend(
    renderer: Renderer, pair: Pair, condition: Condition, weight: float = 0.5, *, attention: bool = False
) -> Rendered:
    if condition.name in BY_WORLD:
        return renderer.world(pair, condition, weight)
    return renderer.blend(pair, condition, weight, attention=attention)


def _no_pitch(item: GridItem, condition: Condition, plain: Endpoints) -> tuple[Rows, list[str]] | None:
    """An empty row and a note where WORLD shall take the pitch of a style that is nowhere voiced, else None."""
    mute = [name for name, end in (("A", plain.a), ("B", plain.b)) if not end.signal.contour.voiced.any()]
    if condition.name not in BY_WORLD or not mute:
        return None
    note = f"{item.id}: {mute[0]} has no voiced frame, so there is no pitch to take; not measurable"
    return [_row(item, condition.mode, CONDITION, condition.name)], [note]


def _reads(condition: Condition) -> bool:
    """Whether attention can be recorded: both styles are read at once."""
    return condition.name not in BY_WORLD and (condition.mechanisms is None or "attention" in condition.mechanisms)


def _three(plain: Endpoints, rendering: Rendered) -> tuple[Signal, Signal, Signal]:
    return plain.a.signal, plain.b.signal, rendering.signal


def _middle(plain: Endpoints, rendering: Rendered) -> dict[str, Any]:
    three = _three(plain, rendering)
    return {**metric_rows.mean_shares(*three), **metric_rows.voices(*three)}


def _cost(*renderings: Rendered) -> dict[str, Any]:
    """Mean seconds of a rendering per second of speech, and the highest peak of memory."""
    peaks = [rendering.peak_mib for rendering in renderings if rendering.peak_mib is not None]
    spoken = sum(len(rendering.signal.audio) for rendering in renderings) / renderings[0].rate_hz
    return {
        "rtf": sum(rendering.seconds for rendering in renderings) / spoken,
        "peak_mib": max(peaks) if peaks else None,
    }


def _tuning(rendering: Rendered) -> dict[str, Any]:
    """Loss of a noise tuning before and after, mean over windows."""
    trace = None if rendering.speech is None else rendering.speech.tuning
    if trace is None or not trace.steps:
        return {}
    windows = {step.window for step in trace.steps}
    each = [[step for step in trace.steps if step.window == window] for window in sorted(windows)]
    before = [steps[0].loss for steps in each]
    after = [steps[-1].loss_after if steps[-1].taken else steps[-1].loss for steps in each]
    return {"loss_before": float(np.mean(before)), "loss_after": float(np.mean(after))}


def _intelligibility(context: GridContext, pair: Pair, rendering: Rendered) -> dict[str, Any]:
    return context.recognisers.errors(rendering.signal.audio, rendering.rate_hz, pair.text)
