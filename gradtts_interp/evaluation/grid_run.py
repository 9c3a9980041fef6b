"""Measures one item of an interpolation run, its anchors or one condition of one pair; and what is said of the run."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gradtts_interp.evaluation import grid, metric_rows
from gradtts_interp.evaluation.baselines import through_vocoder, world_shift
from gradtts_interp.evaluation.figures import asked_contour, attention_figure, sweep_figure, utterance_figure
from gradtts_interp.evaluation.rendering import OTHER_SENTENCE, Rendered, Renderer
from gradtts_interp.evaluation.report import Picture, shown_row
from gradtts_interp.evaluation.tables import ANCHOR, CONDITION, SHARE_NAMES, Table, number
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.plots.drawing import save_figure

SHIFT_SEMITONES = 6.0
Rows = list[dict[str, Any]]


def measure_item(renderer: Renderer, item: grid.GridItem) -> tuple[Rows, list[str]]:
    """Render and measure one item.

    Args:
        renderer: Renders, with listener and recognisers.
        item: Anchors or a condition of one pair.

    Returns:
        Rows of all tables it stands in, and notes.

    Raises:
        InputError: A style or sentence cannot be rendered.
    """
    with torch.no_grad():
        ends = renderer.plain(item.pair)
        if item.condition is None:
            return _anchors(renderer, item, *ends)
        mute = [name for name, end in zip("AB", ends, strict=True) if not end.signal.contour.voiced.any()]
        if mute and item.condition.name in grid.BY_WORLD:
            note = f"{item.id}: {mute[0]} has no voiced frame, so there is no pitch to take; not measurable"
            return [_row(item, item.condition.mode, CONDITION, item.condition.name)], [note]
        return _blends(renderer, item, item.condition, *ends)


def _row(item: grid.GridItem, table: str, kind: str, condition: str, **values: Any) -> dict[str, Any]:
    pair = item.pair
    head = {"table": table, "item": pair.id, "kind": kind, "condition": condition}
    return {**head, "a": pair.a.name, "b": pair.b.name, "text": pair.text, **values}


def _anchors(renderer: Renderer, item: grid.GridItem, a: Rendered, b: Rendered) -> tuple[Rows, list[str]]:
    """Known cases: A itself, the floor of the vocoder, other noise, other pitch, another sentence, and B, the range."""
    pair, device = item.pair, str(renderer.pipeline.device)
    audio, contour = a.signal.audio, a.signal.contour
    known = {
        "A with itself": a,
        "A through the vocoder": renderer.made(
            "A-vocoded", lambda: through_vocoder(audio, renderer.pipeline.vocoder, renderer.mel, device=device)
        ),
        "A, other noise": renderer.again(pair),
        "B (range)": b,
    }
    for word, semitones in {"up": SHIFT_SEMITONES, "down": -SHIFT_SEMITONES}.items() if contour.voiced.any() else ():
        shift = functools.partial(world_shift, audio, contour, semitones, renderer.mel)
        known[f"A, {SHIFT_SEMITONES:g} semitones {word}"] = renderer.made(f"A-{word}", shift)
    rows = [_shown(renderer, item, a, f"A: {pair.a.name}"), _shown(renderer, item, b, f"B: {pair.b.name}")]
    for name, rendering in known.items():
        renderer.keep(pair, rendering, like=a)
        three = (a.signal, b.signal, rendering.signal)
        voices, heard = metric_rows.voices(*three), _heard(renderer, item, rendering)
        values = {
            grid.REFERENCE: metric_rows.distances(a.signal, rendering.signal),
            grid.MIX: _shares(a, b, rendering),
            grid.TIME: voices,
            grid.FREQUENCY: metric_rows.selective(*three),
        }
        rows += [_row(item, table, ANCHOR, name, **found, **heard) for table, found in values.items()]
    text = next((text for text in renderer.settings.texts if text != pair.text), pair.text)
    other = renderer.render(OTHER_SENTENCE, text, renderer.style(pair.a))
    renderer.keep(pair, other)
    far = metric_rows.warped_distances(a.signal, other.signal)
    rows.append(_row(item, grid.REFERENCE, ANCHOR, "A, another sentence (DTW)", **far))
    voices = metric_rows.voices(a.signal, b.signal, other.signal)
    rows += [
        _row(item, table, ANCHOR, "A, another sentence", **voices) for table in (grid.MIX, grid.TIME, grid.FREQUENCY)
    ]
    return [row for row in rows if row], [*a.signal.notes, *b.signal.notes]


def _blends(
    renderer: Renderer, item: grid.GridItem, condition: grid.Condition, a: Rendered, b: Rendered
) -> tuple[Rows, list[str]]:
    """All blends of a condition: one, or a sweep of constant shares."""
    weights = condition.weights or (0.5,)
    blends = {w: renderer.blend(item.pair, condition, w, attention=item.example and w == 0.5) for w in weights}
    rows: Rows = []
    for weight, blend in blends.items():
        renderer.keep(item.pair, blend, like=a)
        if weight == 0.5 or condition.name == grid.DEFAULT and weight in (0.2, 0.8):
            name = f"{condition.name}, weight {weight:g}" if condition.weights else condition.name
            draw = (a, b) if condition.name == grid.DEFAULT and weight == 0.5 else None
            rows.append(_shown(renderer, item, blend, f"{grid.MODE_TEXTS[condition.mode]}: {name}", draw=draw))
    middle = blends.get(0.5)
    found: dict[str, Any] = {}
    if condition.mode == grid.MIX:
        points = {weight: _shares(a, b, blend) for weight, blend in blends.items()}
        for weight, point in points.items():
            place = {"weight": weight, "seconds": blends[weight].seconds}
            rows.append(_row(item, grid.SWEEP, CONDITION, condition.name, **place, **point))
        found = _sweep(points, blends, a, b)
    elif middle is not None and condition.mode == grid.TIME:
        # One style for the whole sentence is measured against the ramp.
        share = shares.ramp() if condition.name == grid.STATIC else condition.share()
        wanted = share.render(Layout(len(a.signal.contour), renderer.mel)).timbre.mean(0)
        three = (a.signal, b.signal, middle.signal)
        found = metric_rows.following(*three, wanted) | metric_rows.voices(*three) | _tuning(middle)
    elif middle is not None:
        found = metric_rows.selective(a.signal, b.signal, middle.signal) | _tuning(middle)
    if middle is not None:
        found |= _heard(renderer, item, middle)
    rows.append(_row(item, condition.mode, CONDITION, condition.name, **found, **_cost(renderer, *blends.values())))
    return [row for row in rows if row], [note for blend in blends.values() for note in blend.signal.notes]


def _shares(a: Rendered, b: Rendered, blend: Rendered) -> dict[str, Any]:
    """Mean realised shares, and whose voice is heard."""
    three = (a.signal, b.signal, blend.signal)
    return metric_rows.mean_shares(*three) | metric_rows.voices(*three)


def _sweep(
    points: Mapping[float, Mapping[str, Any]], blends: Mapping[float, Rendered], a: Rendered, b: Rendered
) -> dict[str, Any]:
    """How the realised share grows with the weight, and what the ends and the middle of the sweep are."""
    found = dict(points.get(0.5, {}))
    for name in metric_rows.SHARES:
        found |= metric_rows.sweep(name, {weight: point.get(f"{name}_share") for weight, point in points.items()})
    for weight, end, name in ((0.0, a, "endpoint_a"), (1.0, b, "endpoint_b")):
        if weight in blends and blends[weight].speech is not None:
            found[name] = float(np.abs(end.signal.mel - blends[weight].signal.mel).max())
    if metric_rows.cepstral_distance(a.signal, b.signal) > 0:
        found |= metric_rows.morph_measures([blend.signal for blend in blends.values()], a.signal, b.signal)
    return found


def _shown(
    renderer: Renderer,
    item: grid.GridItem,
    rendering: Rendered,
    label: str,
    *,
    draw: tuple[Rendered, Rendered] | None = None,
) -> dict[str, Any]:
    """What the report shows of a rendering of an example, with pictures where A and B are given to draw beside it."""
    if not item.example:
        return {}
    wav = renderer.folder / "wavs" / item.pair.id / f"{rendering.name}.wav"
    title, pictures = f"Styles {item.pair.a.name} and {item.pair.b.name}", []
    if draw is not None and rendering.speech is not None:
        assert item.condition is not None
        speech, contours = rendering.speech, [end.signal.contour for end in draw]
        pitch = item.condition.mode == grid.FREQUENCY
        asked = contours[0] if pitch else asked_contour(contours[0], contours[1], speech.share)
        signals = {"A": draw[0].signal, "B": draw[1].signal, "blend": rendering.signal}
        figures = {"": utterance_figure(signals, renderer.mel, speech.share, phones=speech.phoneme_times, asked=asked)}
        if speech.attention:
            figures["_attention"] = attention_figure(speech.attention, speech.seconds)
        for ending, figure in figures.items():
            pictures.append(wav.with_name(f"{wav.stem}{ending}.png").relative_to(renderer.folder))
            save_figure(figure, renderer.folder / pictures[-1])
    wav = wav.relative_to(renderer.folder)
    return shown_row(title, item.pair.text, label, wav, contour=rendering.signal.contour, pictures=pictures)


def _cost(renderer: Renderer, *renderings: Rendered) -> dict[str, Any]:
    """Mean seconds of a rendering per second of speech, and the highest peak of memory."""
    peaks = [rendering.peak_mib for rendering in renderings if rendering.peak_mib is not None]
    spoken = sum(len(rendering.signal.audio) for rendering in renderings) / renderer.mel.sample_rate_hz
    return {"rtf": sum(rendering.seconds for rendering in renderings) / spoken, "peak_mib": max(peaks, default=None)}


def _tuning(rendering: Rendered) -> dict[str, Any]:
    """Loss of a noise tuning before and after, mean over windows."""
    trace = None if rendering.speech is None else rendering.speech.tuning
    if trace is None or not trace.steps:
        return {}
    windows = sorted({step.window for step in trace.steps})
    each = [[step for step in trace.steps if step.window == window] for window in windows]
    after = [steps[-1].loss_after if steps[-1].taken else steps[-1].loss for steps in each]
    return {"loss_before": float(np.mean([steps[0].loss for steps in each])), "loss_after": float(np.mean(after))}


def _heard(renderer: Renderer, item: grid.GridItem, rendering: Rendered) -> dict[str, Any]:
    return renderer.recognisers.errors(rendering.signal.audio, renderer.mel.sample_rate_hz, item.pair.text)


# -- what is said and drawn of a run ----------------------------------------------------------------------------------

_COMPARED = {
    grid.MIX: {
        "f0_sweep_error": "error of the F0 share over the sweep",
        "envelope_sweep_error": "error of the envelope share over the sweep",
    },
    grid.TIME: {"f0_control_error": "control error of F0", "envelope_control_error": "control error of the envelope"},
    grid.FREQUENCY: {"f0_rms_to_a": "F0 error to A in cents", "envelope_to_b_db": "envelope distance to B in dB"},
}


def grid_pictures(rows: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Curves of the sweeps, where there are any."""
    curves: dict[str, dict[str, dict[float, list[float]]]] = {}
    for row in (row for row in rows if row["table"] == grid.SWEEP):
        for name, label in SHARE_NAMES.items():
            line = curves.setdefault(label, {}).setdefault(row["condition"], {}).setdefault(row["weight"], [])
            line += [] if row.get(f"{name}_share") is None else [row[f"{name}_share"]]
    text = "Realised share of B against the weight asked for; bands are 95 % bootstrap intervals over utterances."
    return [Picture("Sweep curves", text, sweep_figure(curves))] if curves else []


def weak_sentences(tables: Mapping[str, Table]) -> tuple[str, ...]:
    """What is weak: where a baseline does better than the default, and where a blend is understood less than A."""
    weak = []
    for name, table in tables.items():
        for key, label in _COMPARED.get(name, {}).items():
            own = table.cell(grid.DEFAULT, key)
            lines = [
                line.name
                for line in table.lines
                if line.kind == CONDITION and line.name not in (grid.DEFAULT, grid.HALF)
            ]
            others = [(cell.mean, line) for line in lines if (cell := table.cell(line, key)) is not None]
            if own is None or not others:
                continue
            best, other = min(others)
            if best < own.mean and number(best) != number(own.mean):  # in the digits shown, whatever the intervals
                found = f"{other} {number(best)} is below the default's {number(own.mean)}"
                weak.append(f"{_capital(label)}: {found} ({grid.MODE_TEXTS[name]}).")
        alone, blend = (table.cell(line, "phone_error_rate") for line in ("A with itself", grid.DEFAULT))
        if alone is not None and blend is not None and blend.mean > alone.mean:
            rates = f"{number(alone.mean)} for A alone and {number(blend.mean)} for a blend"
            weak.append(f"Phone error rate is {rates} ({grid.MODE_TEXTS[name]}).")
    return tuple(weak)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
