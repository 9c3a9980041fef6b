"""Tables of the quality benchmark, and which targets are reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.speech import FACTORS
from gradtts_interp.evaluation.bootstrap import mean_with_interval

Results = dict[str, dict]
Rows = list[dict]


@dataclass(frozen=True)
class Target:
    """A figure that a checkpoint should reach.

    Attributes:
        claim: What is asked for.
        task: Whose rows it is read from.
        value: From those rows to the figure.
        reached: Whether a figure is good enough.
    """

    claim: str
    task: str
    value: Callable[[Rows], float]
    reached: Callable[[float], bool]


def column(rows: Rows, name: str, condition: str | None = None) -> np.ndarray:
    """Values of a figure under a condition, those that could be measured."""
    chosen = [r[name] for r in rows if condition in (None, r["condition"]) and r.get(name) is not None]
    return np.array(chosen, dtype=np.float64)


def mean(name: str, condition: str | None = None) -> Callable[[Rows], float]:
    """Mean of a figure."""
    return lambda rows: _over(column(rows, name, condition), np.mean)


def difference(name: str, condition: str, other: str) -> Callable[[Rows], float]:
    """Mean of a figure under one condition minus that under another."""
    return lambda rows: mean(name, condition)(rows) - mean(name, other)(rows)


def correlation(name: str, other: str) -> Callable[[Rows], float]:
    """Pearson correlation of two figures over the rows that have both."""

    def value(rows: Rows) -> float:
        both = [(r[name], r[other]) for r in rows if r.get(name) is not None and r.get(other) is not None]
        return float(np.corrcoef(np.array(both).T)[0, 1]) if len(both) > 2 else float("nan")

    return value


def worst_of_conditions(name: str, conditions: Iterable[str]) -> Callable[[Rows], float]:
    """Lowest mean of a figure over some conditions."""
    return lambda rows: min(mean(name, condition)(rows) for condition in conditions)


def _over(values: np.ndarray, sum_up: Callable) -> float:
    return float(sum_up(values)) if values.size else float("nan")


PER = "phone error rate"
TARGETS = (
    Target(
        "phone error rate of the model at most 0.05 above the teacher's",
        "intelligibility",
        difference(PER, "model, vocoder", "teacher"),
        lambda v: v <= 0.05,
    ),
    Target(
        "F0 level within 1 semitone of the reference for at least 0.9 of the references",
        "following",
        mean("within 1 semitone"),
        lambda v: v >= 0.9,
    ),
    Target(
        "correlation of F0 spread, render against reference, at least 0.8",
        "following",
        correlation("F0 spread of reference", "F0 spread of render"),
        lambda v: v >= 0.8,
    ),
    Target(
        "speaker found among 16 for at least 0.8 of the renders",
        "speakers",
        mean("top-1 of 16", "model"),
        lambda v: v >= 0.8,
    ),
    Target(
        "foreign references: F0 within 1 semitone for at least 0.95",
        "foreign",
        mean("within 1 semitone", "model"),
        lambda v: v >= 0.95,
    ),
    Target(
        "foreign references: voice found by a public encoder for at least 0.6",
        "foreign",
        mean("voice found among all", "model"),
        lambda v: v >= 0.6,
    ),
    Target(
        "emotions in the order of their design for at least 0.9 of the speakers, worst of level, range, rate, energy",
        "emotions",
        worst_of_conditions("whole order right", FACTORS),
        lambda v: v >= 0.9,
    ),
    Target(
        "vocoder: F0 error at most 20 cents",
        "vocoder",
        mean("F0 error (median cents)", "shipped vocoder"),
        lambda v: v <= 20,
    ),
    Target(
        "vocoder: MCD below Griffin-Lim's by a clear margin (0.5 dB taken)",
        "vocoder",
        difference("MCD (dB)", "shipped vocoder", "Griffin-Lim"),
        lambda v: v <= -0.5,
    ),
)


def page(results: Results) -> str:
    """All tables as one Markdown page."""
    head = "# Quality of the shipped checkpoints\n\nMade by `python -m benchmarks.quality.run`; means with 95 %\n"
    head += "bootstrap intervals over items. Held-out sentences, F0 by DIO on the decoded audio.\n\n"
    body = "\n".join(f"## {name}\n\n{table(result)}" for name, result in results.items())
    return f"{head}## Targets\n\n{targets_table(results)}\n{body}"


def table(result: dict) -> str:
    """One task as a Markdown table: a line for each condition, a column for each figure."""
    conditions: dict[str, Rows] = {}
    for row in result["rows"]:
        conditions.setdefault(row["condition"], []).append(row)
    names = list(dict.fromkeys(k for row in result["rows"] for k in row if k not in ("condition", "item")))
    lines = ["| condition | n | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for condition, rows in conditions.items():
        found = [column(rows, name) for name in names]
        cells = [mean_with_interval(list(v)).text() if v.size else "not measured" for v in found]
        lines.append(f"| {condition} | {len(rows)} | " + " | ".join(cells) + " |")
    made = [result["date"], f"commit {result['commit']}", result["machine"], result["solver"], f"{result['seconds']} s"]
    failed = f"; not measurable: {', '.join(result['failed'])}" if result.get("failed") else ""
    return "\n".join([*lines, "", ", ".join(made) + failed + ".\n"])


def targets_table(results: Results, tasks: tuple[str, ...] | None = None) -> str:
    """Targets with the figures found, of the tasks named or of all that were run."""
    lines = ["| target | found | reached |", "|---|---|---|"]
    for target in TARGETS:
        if target.task not in results or (tasks is not None and target.task not in tasks):
            continue
        value = target.value(results[target.task]["rows"])
        reached = "not measured" if np.isnan(value) else "yes" if target.reached(value) else "**no**"
        lines.append(f"| {target.claim} | {value:.3g} | {reached} |")
    return "\n".join(lines) + "\n"
