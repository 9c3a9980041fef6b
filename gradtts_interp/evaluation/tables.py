"""Rows of measures become tables: a line for each condition, a column for each measure, means with bootstrap intervals.

What the measures are, what is wanted of each, and in which tables it stands, is listed in ``measures.csv``; the tables,
in ``tables.csv``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.run import plain
from gradtts_interp.files import atomic_path, read_text, write_text

ANCHOR, CONDITION = "anchor", "condition"
LARGEST_FILE_BYTES = 256 * 2**20
ROUNDING = 1e-12
"""Below this a mean is 0 but for the rounding of its sum."""

Row = Mapping[str, Any]
Column = dict[str, str]
"""A measure in a table: its ``key`` in the rows; its ``heading``, with its unit; what is ``wanted``, such as ``"0"``,
``"low"`` or ``"1"``, empty where no value is better; and its ``definition`` in one or two sentences."""
Interval = dict[str, Any]
"""A ``mean`` with the ``low`` and the ``high`` end of its 95 % interval, and the number ``n`` of values."""
Table = dict[str, Any]
"""A table, or the definition of one, which has no lines: its ``name``, which is ``table`` in its rows; its ``title``;
the ``text`` that says what it shows; its ``columns``, of a table with lines those with a value; and its ``lines``,
anchors first, then conditions, as they came. A line has a ``name``, a ``kind`` (anchor or condition), the number ``n``
of its utterances, and ``cells``: an interval by measure, None where nothing could be measured."""


def mean_with_interval(values: Sequence[float]) -> Interval:
    """Mean of values with a 95 % percentile bootstrap interval.

    Args:
        values: One value per utterance, finite.

    Returns:
        The interval; for fewer than two values, or equal ones, its ends are the mean.

    Raises:
        InputError: No value, or one that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise InputError(f"mean of {array.size} values: expected at least one, all finite")
    return _with_interval(np.mean, array)


def ratio_with_interval(counts: Sequence[float], totals: Sequence[float]) -> Interval:
    """Rate pooled over utterances, such as errors over words, with a 95 % percentile bootstrap interval over them.

    Args:
        counts: What is counted in each utterance.
        totals: Of how many in each, > 0.

    Returns:
        The interval, whose ``mean`` is the sum of the counts over that of the totals; for a single utterance its ends
        are the same.

    Raises:
        InputError: No utterance, lists of different length, or a total that is not > 0.
    """
    part, whole = np.asarray(counts, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    if part.size == 0 or part.shape != whole.shape or not (whole > 0).all():
        raise InputError(f"{part.size} counts of {whole.size} totals: expected as many, at least one, totals > 0")
    return _with_interval(lambda part, whole, axis: part.sum(axis) / whole.sum(axis), part, whole)


def _with_interval(statistic: Callable[..., Any], *data: NDArray[np.float64]) -> Interval:
    """A statistic of values of the same utterances with its bootstrap interval, which is empty where all are alike."""
    value = float(statistic(*data, axis=0))
    low = high = value
    if any(np.ptp(values) > 0 for values in data):
        random = np.random.default_rng(0)
        found = bootstrap(data, statistic, paired=True, method="percentile", rng=random).confidence_interval
        low, high = float(found.low), float(found.high)
    return {"mean": value, "low": low, "high": high, "n": data[0].size}


def interval_text(interval: Interval) -> str:
    """As ``mean [low, high]``."""
    return "{mean:.3g} [{low:.3g}, {high:.3g}]".format(**interval)


def tabulate(definition: Table, rows: Sequence[Row]) -> Table:
    """Average the rows of a table over utterances.

    Args:
        definition: The table without lines.
        rows: Rows with ``table``, ``condition``, ``kind`` and measures; None or NaN is not measurable and left out
            of a mean. Rows of other tables are passed over.

    Returns:
        The table, without columns that no row has a value for.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.get("table") == definition["name"]:
            groups.setdefault((row["kind"], row["condition"]), []).append(row)
    lines: list[dict[str, Any]] = []
    for kind, name in sorted(groups, key=lambda key: key[0] != ANCHOR):
        found = groups[kind, name]
        cells = {column["key"]: _interval(found, column["key"]) for column in definition["columns"]}
        lines.append({"name": name, "kind": kind, "n": len(found), "cells": cells})
    kept = [c for c in definition["columns"] if any(line["cells"][c["key"]] is not None for line in lines)]
    for line in lines:
        line["cells"] = {column["key"]: line["cells"][column["key"]] for column in kept}
    return {**definition, "columns": kept, "lines": lines}


def cell_of(table: Table, line: str, key: str) -> Interval | None:
    """The cell of a line and a measure; None where there is none."""
    return next((one["cells"].get(key) for one in table["lines"] if one["name"] == line), None)


def _interval(rows: Sequence[Row], key: str) -> Interval | None:
    values = [row[key] for row in rows if row.get(key) is not None and np.isfinite(row[key])]
    return mean_with_interval(values) if values else None


def number(value: float) -> str:
    """A number with three digits that count, without an exponent where it can be avoided."""
    if abs(value) < ROUNDING:
        return "0"
    if abs(value) < 0.0005:
        return f"{value:.1g}"
    for decimals, limit in ((3, 1), (2, 10), (1, 100)):
        if round(abs(value), decimals) < limit:  # what is rounded up to the limit is written as the limit is
            return f"{value:.{decimals}f}"
    return f"{value:.0f}"


def write_rows(rows: Sequence[Row], folder: str | Path) -> dict[str, Path]:
    """Write all rows as JSON lines and CSV; each file appears whole or not at all.

    Args:
        rows: Rows of plain values.
        folder: Where to write ``results.jsonl`` and ``results.csv``.

    Returns:
        Path of each kind of file.
    """
    files = {"jsonl": Path(folder) / "results.jsonl", "csv": Path(folder) / "results.csv"}
    rows = [plain(row) for row in rows]
    write_text(files["jsonl"], "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    write_csv(files["csv"], rows)
    return files


def write_csv(path: str | Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV with a header of all their names; the file appears whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: str | Path, *, expected: str, delimiter: str = ",") -> list[tuple[int, dict[str, Any]]]:
    """Read a table that a person or another program wrote.

    Args:
        path: The file, whose first line names the columns.
        expected: What it should hold, for the messages.
        delimiter: Between columns.

    Returns:
        Number of the line and values by column, None where a line has too few, of each row.

    Raises:
        InputError: The file is missing, too large, or no such text.
    """
    text = read_text(path, expected=expected, largest_bytes=LARGEST_FILE_BYTES)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    try:
        return [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise InputError(f"{path} cannot be read: {error}; expected {expected}") from error


# -- the tables of all evaluations ------------------------------------------------------------------------------------

SHARE_NAMES = {"f0": "F0", "energy": "level", "envelope": "envelope"}


def _read_list(name: str) -> list[dict[str, Any]]:
    with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _tables() -> dict[str, Table]:
    """Tables without lines, by name; a measure stands in the tables that it names."""
    rows = [(row.pop("tables").split(), row) for row in _read_list("measures.csv")]
    return {
        table["name"]: {**table, "columns": [column for tables, column in rows if table["name"] in tables]}
        for table in _read_list("tables.csv")
    }


TABLES = _tables()


def voice_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The table of ``evaluate voice``: measures of the voice, and a column for each label of each classifier.

    Args:
        rows: What was measured; a classifier's columns are those whose names hold a colon.

    Returns:
        The table, without lines.
    """
    labels = dict.fromkeys(key for row in rows for key in row if ": " in key)
    told = {"wanted": "", "definition": "Probability, by the classifier named."}
    of_classifiers = [{"key": label, "heading": label, **told} for label in labels]
    return {**TABLES["voice"], "columns": [*TABLES["voice"]["columns"], *of_classifiers]}
