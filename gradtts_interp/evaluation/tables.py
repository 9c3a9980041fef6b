"""Rows of measures become tables: a line for each condition, a column for each measure, means with intervals."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gradtts_interp.evaluation.bootstrap import Interval, mean_with_interval
from gradtts_interp.evaluation.run import plain
from gradtts_interp.files import atomic_path

ANCHOR, CONDITION = "anchor", "condition"
ROUNDING = 1e-12
"""Below this a mean is 0 but for the rounding of its sum."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A measure in a table.

    Attributes:
        key: Its name in the rows.
        label: Its heading.
        unit: Its unit, empty for a bare number.
        wanted: What a good value is, such as ``"0"``, ``"low"`` or ``"1"``; empty where none is better.
        definition: What it is, in one or two sentences.
    """

    key: str
    label: str
    unit: str = ""
    wanted: str = ""
    definition: str = ""

    @property
    def heading(self) -> str:
        """Label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True)
class TableDefinition:
    """Which rows and measures make a table.

    Attributes:
        name: Value of ``table`` in its rows.
        title: Heading.
        text: What it shows.
        columns: Measures.
    """

    name: str
    title: str
    text: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class TableLine:
    """One line of a table.

    Attributes:
        name: Condition or anchor.
        kind: ``"anchor"`` or ``"condition"``.
        n: Utterances that have the condition.
        cells: An interval for each column, None where nothing could be measured.
    """

    name: str
    kind: str
    n: int
    cells: tuple[Interval | None, ...]


@dataclass(frozen=True)
class Table:
    """A table with its definition.

    Attributes:
        definition: Its definition; only columns with a value are kept.
        lines: Anchors first, then conditions, as they came.
    """

    definition: TableDefinition
    lines: tuple[TableLine, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        columns = self.definition.columns
        return {
            "name": self.definition.name,
            "title": self.definition.title,
            "text": self.definition.text,
            "columns": [{"key": c.key, "heading": c.heading, "wanted": c.wanted} for c in columns],
            "lines": [
                {
                    "name": line.name,
                    "kind": line.kind,
                    "n": line.n,
                    "cells": {
                        c.key: None if i is None else {"mean": i.mean, "low": i.low, "high": i.high, "n": i.n}
                        for c, i in zip(columns, line.cells, strict=True)
                    },
                }
                for line in self.lines
            ],
        }


def tabulate(definition: TableDefinition, rows: Sequence[Row]) -> Table:
    """Average the rows of a table over utterances.

    Args:
        definition: The table.
        rows: Rows with ``table``, ``condition``, ``kind`` and measures; None or NaN is not measurable and left out
            of a mean. Rows of other tables are passed over.

    Returns:
        The table, without columns that no row has a value for.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.get("table") == definition.name:
            groups.setdefault((row["kind"], row["condition"]), []).append(row)
    order = sorted(groups, key=lambda key: key[0] != ANCHOR)
    cells = {key: [_interval(groups[key], column.key) for column in definition.columns] for key in order}
    kept = [i for i in range(len(definition.columns)) if any(cells[key][i] is not None for key in order)]
    lines = [
        TableLine(name, kind, len(groups[kind, name]), tuple(cells[kind, name][i] for i in kept))
        for kind, name in order
    ]
    columns = tuple(definition.columns[i] for i in kept)
    return Table(TableDefinition(definition.name, definition.title, definition.text, columns), tuple(lines))


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


def markdown(table: Table, keys: Sequence[str] | None = None) -> str:
    """A table in Markdown.

    Args:
        table: The table.
        keys: Columns to show, all when None; those the table lacks are left out.

    Returns:
        Lines of ``mean [low, high]``, anchors in italics.
    """
    columns = table.definition.columns
    chosen = [i for i, c in enumerate(columns) if keys is None or c.key in keys]
    heads = [f"{columns[i].heading}{f', wanted {columns[i].wanted}' if columns[i].wanted else ''}" for i in chosen]
    lines = [f"| | n | {' | '.join(heads)} |", "|---" * (len(chosen) + 2) + "|"]
    for line in table.lines:
        name = f"*{line.name}*" if line.kind == ANCHOR else line.name
        cells = [interval_text(line.cells[i]) for i in chosen]
        lines.append(f"| {name} | {line.n} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def interval_text(cell: Interval | None) -> str:
    """``mean [low, high]``, the mean alone where there is no interval, a dash where nothing was measured."""
    if cell is None:
        return "–"
    if cell.n == 1 or cell.low == cell.high:
        return number(cell.mean)
    return f"{number(cell.mean)} [{number(cell.low)}, {number(cell.high)}]"


def write_rows(rows: Sequence[Row], folder: str | Path) -> dict[str, Path]:
    """Write all rows as JSON lines and CSV; each file appears whole or not at all.

    Args:
        rows: Rows of plain values.
        folder: Where to write ``results.jsonl`` and ``results.csv``.

    Returns:
        Path of each kind of file.
    """
    files = {"jsonl": Path(folder) / "results.jsonl", "csv": Path(folder) / "results.csv"}
    with atomic_path(files["jsonl"]) as temporary:
        temporary.write_text(
            "".join(json.dumps(plain(row), ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_path(files["csv"]) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)
    return files
