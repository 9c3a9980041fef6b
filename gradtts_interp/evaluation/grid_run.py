"""Measures one item of an interpolation run: its anchors, or one condition of one pair."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradtts_interp.evaluation import measures
from gradtts_interp.evaluation.blend import linearity, monotonicity
from gradtts_interp.evaluation.grid import (
    DEFAULT,
    FREQUENCY,
    MIX,
    REFERENCE,
    SENTENCES,
    STATIC,
    TIME,
    WORLD,
    Condition,
    GridItem,
    Pair,
)
from gradtts_interp.evaluation.intelligibility import Ears, open_ears
from gradtts_interp.evaluation.signals import Listener, Signal, encoder_of
from gradtts_interp.evaluation.studio import Plain, Studio, Take
from gradtts_interp.evaluation.tables import ANCHOR, CONDITION
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.pipeline import GradTTSInterpPipeline

TIME_BINS = 10
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class GridSettings:
    """What a process needs to open its studio.

    Attributes:
        checkpoint: Folder or official file.
        device: Where to render.
        sampling: Keyword arguments of the pipeline.
        listener: How to measure, without its encoder.
        encoder: Folder of the speaker encoder, None for none.
        recognisers: Who measures intelligibility; see :func:`~gradtts_interp.evaluation.intelligibility.open_ears`.
        language: What they hear, where they know several.
        out: Folder of the run.
        textgrids: Whether phones are written beside each wav.
        texts: Sentences, for anchors that say another.
    """

    checkpoint: str
    device: str
    sampling: dict[str, Any]
    listener: dict[str, Any]
    encoder: str | None
    recognisers: tuple[str, ...]
    out: str
    language: str = "en"
    textgrids: bool = False
    texts: tuple[str, ...] = SENTENCES

    def open(self) -> Desk:
        """Load the models."""
        pipeline = GradTTSInterpPipeline.from_pretrained(self.checkpoint).to(torch.device(self.device))
        pipeline.set_progress_bar_config(disable=True)
        listener = Listener(pipeline.model.settings.mel, encoder=encoder_of(self.encoder), **self.listener)
        studio = Studio(pipeline, listener, dict(self.sampling), Path(self.out), textgrids=self.textgrids)
        ears = open_ears(self.recognisers, pipeline.frontend, language=self.language, device=self.device)
        return Desk(studio, ears, self)


@dataclass(frozen=True)
class Desk:
    """What the items of one process share.

    Attributes:
        studio: Renders.
        ears: Recognise what was rendered.
        settings: Settings of the run.
    """

    studio: Studio
    ears: Ears
    settings: GridSettings


def measure_item(desk: Desk, item: GridItem) -> tuple[Rows, list[str]]:
    """Render and measure one item.

    Args:
        desk: The studio.
        item: Anchors or a condition of one pair.

    Returns:
        Rows of all tables it stands in, and notes.

    Raises:
        InputError: A style or sentence cannot be rendered.
    """
    with torch.no_grad():
        if item.condition is None:
            return _anchors(desk, item)
        return _MEASURES[item.condition.mode](desk, item, item.condition)


def _row(item: GridItem, table: str, kind: str, condition: str, **values: Any) -> dict[str, Any]:
    pair = item.pair
    head = {"table": table, "item": pair.id, "kind": kind, "condition": condition}
    return measures.finite({**head, "a": pair.a.name, "b": pair.b.name, "text": pair.text, **values})


# -- anchors --------------------------------------------------------------------------------------------------------


def _anchors(desk: Desk, item: GridItem) -> tuple[Rows, list[str]]:
    """Known cases: A itself, the floor of the vocoder, other noise, another sentence, and B, the range."""
    studio, pair = desk.studio, item.pair
    plain = studio.plain(pair)
    studio.keep(pair, plain.a, view=f"A: {pair.a.name}" if item.example else None)
    studio.keep(pair, plain.b, view=f"B: {pair.b.name}" if item.example else None)
    known = {
        "A with itself": plain.a,
        "A through the vocoder": studio.vocoded(plain.a, "A-vocoded"),
        "A, other noise": studio.other_noise(pair),
        "B (range)": plain.b,
    }
    rows = []
    for name, take in known.items():
        if take is not plain.a and take is not plain.b:
            studio.keep(pair, take, like=plain.a)
        heard = _intelligibility(desk, pair, take)
        known_values = {
            REFERENCE: measures.distances(plain.a.signal, take.signal),
            MIX: _middle(plain, take),
            TIME: measures.voices(*_three(plain, take)),
            FREQUENCY: measures.selective(*_three(plain, take)),
        }
        rows += [_row(item, table, ANCHOR, name, **values, **heard) for table, values in known_values.items()]
    other = next((text for text in desk.settings.texts if text != pair.text), pair.text)
    sentence = studio.other_sentence(pair, other)
    studio.keep(pair, sentence)
    far = measures.warped_distances(plain.a.signal, sentence.signal)
    rows.append(_row(item, REFERENCE, ANCHOR, "A, another sentence (DTW)", **far))
    voices = measures.voices(*_three(plain, sentence))
    rows += [_row(item, table, ANCHOR, "A, another sentence", **voices) for table in (MIX, TIME, FREQUENCY)]
    return rows, [*plain.a.signal.notes, *plain.b.signal.notes]


# -- conditions -----------------------------------------------------------------------------------------------------


def _sweep(desk: Desk, item: GridItem, condition: Condition) -> tuple[Rows, list[str]]:
    """Constant shares: how the realised share grows with the weight."""
    studio, pair = desk.studio, item.pair
    plain = studio.plain(pair)
    takes: dict[float, Take] = {}
    for weight in condition.weights:
        middle = weight == 0.5
        takes[weight] = _blend(studio, pair, condition, weight, attention=middle and _reads(condition))
        shown = item.example and (middle or condition.name == DEFAULT and weight in (0.2, 0.8))
        studio.keep(pair, takes[weight], view=f"{condition.name}, weight {weight:g}" if shown else None, like=plain.a)
    points = {weight: _middle(plain, take) for weight, take in takes.items()}
    rows = [
        _row(item, "sweep", CONDITION, condition.name, weight=weight, **point, seconds=takes[weight].seconds)
        for weight, point in points.items()
    ]
    row: dict[str, Any] = dict(points.get(0.5, {}))
    for name in measures.SHARES:
        row |= _curve(name, {weight: point.get(f"{name}_share") for weight, point in points.items()})
    for weight, end, name in ((0.0, plain.a, "endpoint_a"), (1.0, plain.b, "endpoint_b")):
        if weight in takes and takes[weight].speech is not None:
            row[name] = measures.largest_difference(end.signal.mel, takes[weight].signal.mel)
    if 0.5 in takes:
        row |= _intelligibility(desk, pair, takes[0.5])
    rows.append(_row(item, MIX, CONDITION, condition.name, **row, **_cost(*takes.values())))
    return rows, [note for take in takes.values() for note in take.signal.notes]


def _curve(name: str, points: dict[float, float | None]) -> dict[str, float]:
    """How straight and how rising a sweep is; nothing where a weight could not be measured."""
    if len(points) < 3 or any(share is None for share in points.values()):
        return {}
    weights, shares = np.array(list(points)), np.array(list(points.values()), dtype=np.float64)
    return {
        f"{name}_sweep_error": float(np.sqrt(np.square(shares - weights).mean())),
        f"{name}_monotonicity": monotonicity(weights, shares),
        f"{name}_linearity": linearity(weights, shares),
    }


def _over_time(desk: Desk, item: GridItem, condition: Condition) -> tuple[Rows, list[str]]:
    """A ramp or step from A to B: whether the realised share follows it."""
    studio, pair = desk.studio, item.pair
    plain = studio.plain(pair)
    take = _blend(studio, pair, condition, attention=item.example and _reads(condition))
    studio.keep(pair, take, view=condition.name if item.example else None, like=plain.a)
    assert take.speech is not None and take.speech.share is not None
    three, wanted = _three(plain, take), take.speech.share.mean(0)
    if condition.name == STATIC:  # one style for the whole sentence is measured against the ramp
        wanted = shares.ramp().render(Layout(len(wanted), studio.listener.mel)).weight.mean(0)
    rows = []
    for name, share in measures.realised_shares(*three).items():
        frames = len(share.share)
        for k in range(TIME_BINS):
            part = slice(k * frames // TIME_BINS, (k + 1) * frames // TIME_BINS)
            value = measures.mean_or_none(share, part, fewest=2)
            asked = float(wanted[part].mean()) if len(wanted[part]) else None
            rows.append(
                _row(
                    item,
                    "course",
                    CONDITION,
                    condition.name,
                    measure=name,
                    weight=(k + 0.5) / TIME_BINS,
                    share=value,
                    asked=asked,
                )
            )
    row = {**measures.following(*three, wanted), **measures.voices(*three), **_intelligibility(desk, pair, take)}
    rows.append(_row(item, TIME, CONDITION, condition.name, **row, **_cost(take), **_tuning(take)))
    return rows, list(take.signal.notes)


def _over_frequency(desk: Desk, item: GridItem, condition: Condition) -> tuple[Rows, list[str]]:
    """The pitch of A with the voice of B."""
    studio, pair = desk.studio, item.pair
    plain = studio.plain(pair)
    if condition.name == WORLD and (mute := _unvoiced(plain)):
        note = f"{item.id}: {mute} has no voiced frame, so there is no pitch to swap; not measurable"
        return [_row(item, FREQUENCY, CONDITION, condition.name)], [note]
    take = _blend(studio, pair, condition, attention=item.example and _reads(condition))
    studio.keep(pair, take, view=condition.name if item.example else None, like=plain.a)
    row = {**measures.selective(*_three(plain, take)), **_intelligibility(desk, pair, take)}
    rows = [_row(item, FREQUENCY, CONDITION, condition.name, **row, **_cost(take), **_tuning(take))]
    return rows, list(take.signal.notes)


_MEASURES = {MIX: _sweep, TIME: _over_time, FREQUENCY: _over_frequency}


# -- parts ----------------------------------------------------------------------------------------------------------


def _blend(studio: Studio, pair: Pair, condition: Condition, weight: float = 0.5, *, attention: bool = False) -> Take:
    if condition.name == WORLD:
        return studio.world(pair, condition)
    return studio.blend(pair, condition, weight, attention=attention)


def _unvoiced(plain: Plain) -> str | None:
    """The style that is nowhere voiced, None where both are voiced somewhere."""
    return next((n for n, take in (("A", plain.a), ("B", plain.b)) if not take.signal.contour.voiced.any()), None)


def _reads(condition: Condition) -> bool:
    """Whether attention can be recorded: both styles are read at once."""
    return condition.name != WORLD and (condition.mechanisms is None or "attention" in condition.mechanisms)


def _three(plain: Plain, take: Take) -> tuple[Signal, Signal, Signal]:
    return plain.a.signal, plain.b.signal, take.signal


def _middle(plain: Plain, take: Take) -> dict[str, Any]:
    three = _three(plain, take)
    return {**measures.mean_shares(*three), **measures.voices(*three)}


def _cost(*takes: Take) -> dict[str, Any]:
    """Mean seconds of a rendering per second of speech, and the highest peak of memory."""
    peaks = [take.peak_mib for take in takes if take.peak_mib is not None]
    spoken = sum(len(take.signal.audio) for take in takes) / takes[0].rate_hz
    return {"rtf": sum(take.seconds for take in takes) / spoken, "peak_mib": max(peaks) if peaks else None}


def _tuning(take: Take) -> dict[str, Any]:
    """Loss of a noise tuning before and after, mean over windows."""
    trace = None if take.speech is None else take.speech.tuning
    if trace is None or not trace.steps:
        return {}
    windows = {step.window for step in trace.steps}
    each = [[step for step in trace.steps if step.window == window] for window in sorted(windows)]
    before = [steps[0].loss for steps in each]
    after = [steps[-1].loss_after if steps[-1].taken else steps[-1].loss for steps in each]
    return {"loss_before": float(np.mean(before)), "loss_after": float(np.mean(after))}


def _intelligibility(desk: Desk, pair: Pair, take: Take) -> dict[str, Any]:
    return desk.ears.errors(take.signal.audio, take.rate_hz, pair.text)
