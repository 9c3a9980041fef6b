"""Tables of the study, and what is reached of its aims."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.interpolation.tasks import DEFAULTS, WORLD
from gradtts_interp.evaluation.grid import FREQUENCY, MIX, TIME
from gradtts_interp.evaluation.tables import Column, TableDefinition, markdown, number, tabulate
from gradtts_interp.interpolation.noise import NOISE

Rows = Sequence[dict[str, Any]]

SHARES = tuple(
    Column(f"{name}_share", f"{name} share of B", "", "", f"Projection of the {name} of blend − A on B − A.")
    for name in ("f0", "energy", "envelope")
)
COST = (
    Column("evaluations", "evaluations", "", "low", "Network evaluations of one utterance, looks of a tuning included"),
    Column("seconds", "seconds", "", "low", "Wall-clock time of one utterance with its vocoder."),
)
SWEEP = "sweep"
TUNING = "tuning"
MIX_TABLE = TableDefinition(MIX, "The same share everywhere, at weight 0.5", "", (*SHARES, *COST))
SWEEP_TABLE = TableDefinition(
    SWEEP,
    "The same share everywhere, weights 0 to 1",
    "",
    (
        *(
            Column(f"{name}_share error", f"{name} error", "", "0", "RMS of realised share minus weight over the sweep")
            for name in ("f0", "energy", "envelope")
        ),
        Column("endpoint", "endpoints", "", "0", "Largest difference of log-mels, weight 0 against A, 1 against B"),
    ),
)
RAMP_TABLE = TableDefinition(
    TIME,
    "From A to B over time",
    "",
    (
        *(
            Column(f"{n}_control_error", f"{n} control error", "", "0", "RMS over frames of realised minus asked share")
            for n in ("f0", "energy", "envelope")
        ),
        Column("lag_ms", "lag", "ms", "0", "Delay of the realised F0 share, by cross-correlation."),
        Column("localisation", "localisation", "", "1", "0.5 is as far from both styles at both ends."),
        Column("leakage", "leakage", "", "0", "Mel distance to A over that of A and B, where the share is 0."),
        Column("seam", "seam", "", "1", "Roughness of the transition over that of A and B there."),
        *COST,
    ),
)
SWAP_TABLE = TableDefinition(
    FREQUENCY,
    "A's pitch, B's voice",
    "",
    (
        Column("F0 to A", "F0 to A", "cents", "0", "Distance of the median F0 to A's."),
        Column("F0 to B", "F0 to B", "cents", "", "Distance of the median F0 to B's."),
        Column("nearer by three", "nearer to A by 3", "", "1", "Part of the pairs."),
        Column("envelope to A", "envelope to A", "dB", "", "Distance of level-invariant envelopes."),
        Column("envelope to B", "envelope to B", "dB", "0", "The same to B."),
        Column("envelope nearer to B", "nearer to B", "", "1", "Part of the pairs."),
        *SHARES,
        Column("voiced", "voiced", "", "1", "Voiced frames over B's."),
        *COST,
    ),
)
TUNING_TABLE = TableDefinition(
    TUNING,
    "What tuning the noise does",
    "",
    (
        Column("mass before", "mass before", "", "", "Attention on A's pitch keys, mean over the whole run."),
        Column("mass after", "mass after", "", "", "The same of the tuned noise."),
        Column("mass gain", "gain, whole run", "", "2", "Factor between the two."),
        Column("mass gain while tuning", "gain, in the windows", "", "2", "Factor at the times that were tuned."),
        Column("loss fell", "loss fell", "", "1", "Part of the runs in which it fell at every time that was tuned."),
        Column("steps taken", "steps taken", "", "1", "Part of the gradient steps."),
        Column("move", "move", "", "", "‖Δz‖ over ‖z‖."),
        Column("mel change", "mel change", "", "0", "Mel distance to the untuned blend over that of A and B."),
        Column("MCD to untuned", "MCD to untuned", "dB", "0", "Mel-cepstral distortion."),
        Column("slower", "time", "", "3", "Seconds over those of the untuned blend."),
    ),
)
TABLES = (MIX_TABLE, SWEEP_TABLE, RAMP_TABLE, SWAP_TABLE, TUNING_TABLE)


@dataclass(frozen=True)
class Aim:
    """Something the study should show.

    Attributes:
        claim: What is asked for.
        table: Whose rows it is read from.
        condition: Of which condition.
        value: From those rows to the figure.
        reached: Whether it is good enough.
    """

    claim: str
    table: str
    condition: str
    value: Callable[[Rows], float]
    reached: Callable[[float], bool]


def mean(rows: Rows, key: str) -> float:
    """Mean of a figure over the rows that have it, NaN where none has."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return float(np.mean(values)) if values else math.nan


def largest(rows: Rows, key: str) -> float:
    """Largest figure over the rows that have it, NaN where none has."""
    return max((row[key] for row in rows if row.get(key) is not None), default=math.nan)


def times_nearer(rows: Rows) -> float:
    """Mean distance of the median F0 to B's over that to A's."""
    return mean(rows, "F0 to B") / max(mean(rows, "F0 to A"), 1e-9)


AIMS = (
    Aim(
        "endpoints exact: largest mel difference", MIX, DEFAULTS, lambda r: largest(r, "endpoint"), lambda v: v <= 1e-5
    ),
    Aim(
        "A's pitch, B's voice: times nearer to A in F0, at least 3", FREQUENCY, DEFAULTS, times_nearer, lambda v: v >= 3
    ),
    Aim("the same by attention alone", FREQUENCY, "attention", times_nearer, lambda v: v >= 3),
    Aim("the same of the WORLD swap, for comparison", FREQUENCY, WORLD, times_nearer, lambda v: v >= 3),
    Aim(
        "envelope nearer to B: part of the pairs",
        FREQUENCY,
        DEFAULTS,
        lambda r: mean(r, "envelope nearer to B"),
        lambda v: v > 0.5,
    ),
    *(
        Aim(f"{condition}: {claim}", FREQUENCY, condition, lambda r, key=key: mean(r, key), reached)  # type: ignore[misc]
        for condition in (f"{DEFAULTS} + {NOISE}", f"attention + {NOISE}")
        for claim, key, reached in (
            ("mass in the windows at least doubles", "mass gain while tuning", lambda v: v >= 2),
            ("mass over the whole run at least doubles", "mass gain", lambda v: v >= 2),
            ("the loss falls in every run", "loss fell", lambda v: v == 1),
            ("the noise moves", "move", lambda v: v > 0),
            ("time at most 3 times the untuned", "slower", lambda v: v <= 3),
        )
    ),
)


def chosen(results: dict[str, Any], table: str, condition: str) -> list[dict[str, Any]]:
    """Rows of a condition."""
    return [row for row in results["rows"] if row["table"] == table and row["condition"] == condition]


def aims(results: dict[str, Any]) -> list[tuple[str, float, bool, int]]:
    """Claim, figure, whether it is reached, and number of pairs, for each aim that was measured."""
    found = []
    for aim in AIMS:
        rows = chosen(results, aim.table, aim.condition)
        value = aim.value(rows)
        if not math.isnan(value):
            found.append((aim.claim, value, aim.reached(value), len({row["item"] for row in rows})))
    return found


def table_of(results: dict[str, Any], definition: TableDefinition) -> str:
    """One table in Markdown."""
    rows = list(results["rows"])
    if definition is MIX_TABLE:
        rows = [row for row in rows if row.get("weight") == 0.5]
    elif definition is SWEEP_TABLE:
        rows = _sweeps(rows)
    elif definition is TUNING_TABLE:
        rows = [{**row, "table": TUNING} for row in rows if "mass gain" in row]
    return markdown(tabulate(definition, rows))


def _sweeps(rows: Rows) -> list[dict[str, Any]]:
    """One row for each sweep: errors over its weights."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["table"] == MIX:
            groups.setdefault((row["item"], row["condition"]), []).append(row)
    found = []
    for sweep in groups.values():
        row = {**sweep[0], "table": SWEEP, "endpoint": max(r["endpoint"] for r in sweep if "endpoint" in r)}
        for name in ("f0", "energy", "envelope"):
            errors = [r[f"{name}_share"] - r["weight"] for r in sweep if r[f"{name}_share"] is not None]
            row[f"{name}_share error"] = float(np.sqrt(np.mean(np.square(errors)))) if errors else None
        found.append(row)
    return found


def page(results: dict[str, Any]) -> str:
    """All tables in Markdown."""
    settings = results["settings"]
    head = (
        "# Interpolation study\n\n"
        f"{results['date']}, commit {results['commit']}, weights {settings['weights']}, {settings['solver']} in "
        f"{settings['steps']} steps, {results['machine']}, {results['seconds']:g} s of computing. Means with 95 % "
        "bootstrap intervals over pairs of held-out styles four semitones or more apart; anchors in italics.\n"
    )
    parts = [head, f"## Aims\n\n{aims_table(results)}"]
    parts += [
        f"## {definition.title}\n\n{definitions(definition)}\n{table_of(results, definition)}" for definition in TABLES
    ]
    return "\n".join(parts)


def aims_table(results: dict[str, Any]) -> str:
    """What is reached of the aims, in Markdown."""
    lines = ["| aim | figure | pairs | reached |", "|---|---|---|---|"]
    lines += [f"| {c} | {number(v)} | {n} | {'yes' if ok else 'no'} |" for c, v, ok, n in aims(results)]
    return "\n".join(lines) + "\n"


def definitions(definition: TableDefinition) -> str:
    """What the columns mean."""
    return "".join(f"- {c.heading}: {c.definition.rstrip('.')}.\n" for c in definition.columns)
