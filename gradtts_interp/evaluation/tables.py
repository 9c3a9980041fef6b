"""Rows of measures become tables: a line for each condition, a column for each measure, means with intervals.

What the measures are, what is wanted of each, and in which tables it stands, is listed in ``measures.csv``; the tables,
in ``tables.csv``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.run import plain
from gradtts_interp.evaluation.statistics import Interval, mean_with_interval
from gradtts_interp.files import atomic_path, read_text, write_text

ANCHOR, CONDITION = "anchor", "condition"
LARGEST_FILE_BYTES = 256 * 2**20
ROUNDING = 1e-12
"""Below this a mean is 0 but for the rounding of its sum."""

Row = Mapping[str, Any]
Column = dict[str, str]
"""A measure in a table: its ``key`` in the rows; its ``heading``, with its unit; what is ``wanted``, such as ``"0"``,
``"low"`` or ``"1"``, empty where no value is better; and its ``definition`` in one or two sentences."""


@dataclass(frozen=True)
class Table:
    """A table, or the definition of one that has no lines yet.

    Attributes:
        name: Value of ``table`` in its rows.
        title: Heading.
        text: What it shows.
        columns: Measures; of a table with lines, those with a value.
        lines: Anchors first, then conditions, as they came: of each the ``name``, the ``kind`` (anchor or condition),
            the number ``n`` of its utterances and its ``cells``, an interval by measure, None where nothing could be
            measured.
    """

    name: str
    title: str
    text: str
    columns: tuple[Column, ...]
    lines: tuple[dict[str, Any], ...] = ()

    def cell(self, line: str, key: str) -> Interval | None:
        """The cell of a line and a measure; None where there is none."""
        return next((one["cells"].get(key) for one in self.lines if one["name"] == line), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        columns = [{name: c[name] for name in ("key", "heading", "wanted")} for c in self.columns]
        return asdict(self) | {"columns": columns}


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
        if row.get("table") == definition.name:
            groups.setdefault((row["kind"], row["condition"]), []).append(row)
    lines: list[dict[str, Any]] = []
    for kind, name in sorted(groups, key=lambda key: key[0] != ANCHOR):
        found = groups[kind, name]
        cells = {column["key"]: _interval(found, column["key"]) for column in definition.columns}
        lines.append({"name": name, "kind": kind, "n": len(found), "cells": cells})
    kept = [c for c in definition.columns if any(line["cells"][c["key"]] is not None for line in lines)]
    for line in lines:
        line["cells"] = {column["key"]: line["cells"][column["key"]] for column in kept}
    return replace(definition, columns=tuple(kept), lines=tuple(lines))


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
FILES, BLEND, VOICE = "files", "blend", "voice"


def _read_list(name: str) -> list[dict[str, Any]]:
    with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _tables() -> dict[str, Table]:
    """Tables without lines, by name; a measure stands in the tables that it names."""
    rows = [(row.pop("tables").split(), row) for row in _read_list("measures.csv")]
    return {
        table["name"]: Table(**table, columns=tuple(column for tables, column in rows if table["name"] in tables))
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
    return replace(TABLES[VOICE], columns=(*TABLES[VOICE].columns, *of_classifiers))
