"""Pictures, examples and plain sentences of an interpolation run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradtts_interp.config import MelConfig
from gradtts_interp.evaluation.excerpt import Excerpt
from gradtts_interp.evaluation.figures import (
    asked_trace,
    attention_figure,
    contour_figure,
    course_figure,
    planes_figure,
    sweep_figure,
    trace_of,
)
from gradtts_interp.evaluation.grid import DEFAULT, FREQUENCY, HALF, MIX, TIME, GridItem, Pair, slug
from gradtts_interp.evaluation.report import Example, Picture, Player
from gradtts_interp.evaluation.table_definitions import SHARE_NAMES
from gradtts_interp.evaluation.tables import Table, interval_text, number
from gradtts_interp.pitch.statistics import f0_statistics


def grid_pictures(rows: Sequence[Mapping[str, Any]]) -> tuple[Picture, ...]:
    """Curves of the sweeps and of the ramps; those without a row are left out."""
    found = []
    sweeps: dict[str, dict[str, dict[float, list[float]]]] = {}
    for row in (row for row in rows if row["table"] == "sweep"):
        for name, label in SHARE_NAMES.items():
            value = row.get(f"{name}_share")
            points = sweeps.setdefault(label, {}).setdefault(row["condition"], {}).setdefault(row["weight"], [])
            points += [] if value is None else [value]
    if sweeps:
        text = "Realised share of B against the weight asked for; bands are 95 % bootstrap intervals over utterances."
        found.append(Picture("Sweep curves", text, sweep_figure(sweeps)))
    courses: dict[str, dict[str, dict[float, list[float]]]] = {}
    asked: dict[float, list[float]] = {}
    for row in (row for row in rows if row["table"] == "course"):
        label = SHARE_NAMES[row["measure"]]
        points = courses.setdefault(label, {}).setdefault(row["condition"], {}).setdefault(row["weight"], [])
        points += [] if row["share"] is None else [row["share"]]
        if row["condition"] == DEFAULT and row["asked"] is not None:
            asked.setdefault(row["weight"], []).append(row["asked"])
    if courses:
        text = "Realised share of B in tenths of the sentence, mean over utterances; dotted the ramp asked for."
        found.append(Picture("Course over time", text, course_figure(courses, asked)))
    return tuple(found)


def grid_examples(items: Sequence[GridItem], folder: Path, config: MelConfig) -> tuple[Example, ...]:
    """Players and pictures of the pairs that were kept for the report."""
    pairs = {item.pair.id: item.pair for item in items if item.example}
    return tuple(
        filter(None, (_example(pair, items, folder / "excerpts" / pair.id, config) for pair in pairs.values()))
    )


def _example(pair: Pair, items: Sequence[GridItem], folder: Path, config: MelConfig) -> Example | None:
    if not (folder / "A.npz").exists() or not (folder / "B.npz").exists():
        return None
    a, b = Excerpt.load(folder / "A.npz", config), Excerpt.load(folder / "B.npz", config)
    players, pictures = [_player(a), _player(b)], []
    for item in items:
        if item.pair != pair or item.condition is None:
            continue
        for path in sorted(folder.glob(f"{slug(item.condition)}*.npz")):
            if path.stem.removeprefix(slug(item.condition)).lstrip("-w").isdigit() or path.stem == slug(item.condition):
                excerpt = Excerpt.load(path, config)
                players.append(_player(excerpt, item.condition.mode))
                if item.condition.name == "default" and path.stem[-4:] not in ("w020", "w080"):
                    pictures += _pictures(a, b, excerpt, item.condition.mode)
    title = f"Styles {pair.a.name} and {pair.b.name}"
    return Example(title, pair.text, tuple(players), tuple(pictures))


_MODE_TEXTS = {
    MIX: "the same share everywhere",
    TIME: "from A to B along the sentence",
    FREQUENCY: "pitch of A, voice of B",
}


def _player(excerpt: Excerpt, mode: str | None = None) -> Player:
    median_hz = f0_statistics(excerpt.contour).median_hz
    note = "unvoiced" if median_hz is None else f"median F0 {median_hz:.0f} Hz"
    label = excerpt.name if mode is None else f"{_MODE_TEXTS[mode]}: {excerpt.name}"
    return Player(label, excerpt.audio, excerpt.mel_config.sample_rate_hz, note)


def _pictures(a: Excerpt, b: Excerpt, blend: Excerpt, mode: str) -> list[Picture]:
    what = _MODE_TEXTS[mode]
    traces = [trace_of(a, "A"), trace_of(b, "B"), trace_of(blend, "blend", "blend")]
    if mode == FREQUENCY:
        traces.append(trace_of(a, "reference", "asked for: A's F0"))
    elif blend.share is not None:
        traces.append(asked_trace(a, b, blend.share))
    found = [
        Picture(
            f"Contours, {what}",
            "Dashed is what was asked for; below, the mean of each phone.",
            contour_figure(traces, blend),
        ),
        Picture(
            f"Mels and share map, {what}", "A, blend and B on one scale.", planes_figure([a, blend, b], blend.share)
        ),
    ]
    if blend.attention:
        seconds = len(blend.audio) / blend.mel_config.sample_rate_hz
        text = "Where each position of the mel looks, mean over heads and steps."
        found.append(Picture(f"Attention, {what}", text, attention_figure(blend.attention, seconds)))
    return found


def main_sentences(tables: Mapping[str, Table]) -> tuple[str, ...]:
    """What was found for the default condition of each mode, in one sentence each, with intervals."""
    said = []
    for name, parts in _SAID.items():
        found = [(text, _cell(tables, name, "default", key)) for key, text in parts]
        spoken = [text.format(interval_text(cell)) for text, cell in found if cell is not None]
        if spoken:
            said.append(f"{_MODE_TEXTS[name][0].upper()}{_MODE_TEXTS[name][1:]}: {'; '.join(spoken)}.")
    return tuple(said)


_SAID = {
    MIX: (
        ("f0_share", "at weight 0.5 F0 is {} of the way to B"),
        ("envelope_share", "the envelope {}"),
        ("f0_sweep_error", "error of the F0 share over the sweep {}"),
    ),
    TIME: (
        ("f0_control_error", "control error {} in F0"),
        ("envelope_control_error", "{} in the envelope"),
    ),
    FREQUENCY: (
        ("f0_rms_to_a", "F0 {} cents from A"),
        ("envelope_share", "envelope {} of the way to B"),
    ),
}


def weak_sentences(tables: Mapping[str, Table]) -> tuple[str, ...]:
    """What is weak: where the default misses what was asked for most, and where a baseline or A itself does better."""
    weak = []
    worst = [
        (abs(cell.mean - 0.5), f"{SHARE_NAMES[name]} {number(cell.mean)}")
        for name in SHARE_NAMES
        if (cell := _cell(tables, MIX, "default", f"{name}_share")) is not None
    ]
    if worst:
        weak.append(f"At weight 0.5 the realised share furthest from 0.5 is that of {max(worst)[1]}.")
    for table, key, label in (
        (MIX, "f0_sweep_error", "error of the F0 share over the sweep"),
        (MIX, "envelope_sweep_error", "error of the envelope share over the sweep"),
        (TIME, "f0_control_error", "control error of F0"),
        (TIME, "envelope_control_error", "control error of the envelope"),
        (FREQUENCY, "f0_rms_to_a", "F0 error to A in cents"),
        (FREQUENCY, "envelope_to_b_db", "envelope distance to B in dB"),
    ):
        weak += _beaten(tables, table, key, label)
    a = _cell(tables, MIX, "A with itself", "phone_error_rate")
    blends = [(c.mean, name) for name in _SAID if (c := _cell(tables, name, "default", "phone_error_rate")) is not None]
    if a is not None and blends and max(blends)[0] > a.mean:
        rate, name = max(blends)
        weak.append(
            f"Phone error rate is {number(a.mean)} for A alone and up to "
            f"{number(rate)} for a blend ({_MODE_TEXTS[name]})."
        )
    return tuple(weak)


def _beaten(tables: Mapping[str, Table], table: str, key: str, label: str) -> list[str]:
    """A sentence where another condition is better than the default in the digits shown, whatever the intervals."""
    own = _cell(tables, table, "default", key)
    if own is None:
        return []
    others = [
        (cell.mean, line.name)
        for line in tables[table].lines
        if line.kind == "condition"
        and line.name not in ("default", HALF)
        and (cell := _cell(tables, table, line.name, key)) is not None
    ]
    if not others:
        return []
    best, name = min(others)
    if best >= own.mean or number(best) == number(own.mean):
        return []
    return [
        f"{label[0].upper()}{label[1:]}: {name} {number(best)} is below the "
        f"default's {number(own.mean)} ({_MODE_TEXTS[table]})."
    ]


def _cell(tables: Mapping[str, Table], table: str, line: str, key: str) -> Any:
    if table not in tables:
        return None
    keys = [column.key for column in tables[table].definition.columns]
    lines = {one.name: one for one in tables[table].lines}
    return lines[line].cells[keys.index(key)] if line in lines and key in keys else None
