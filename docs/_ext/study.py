"""Tables, figures and single figures of the interpolation study, read from its results when the pages are built."""

from __future__ import annotations

import io
import json
import math
import sys
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

RESULTS = ROOT / "benchmarks" / "interpolation" / "RESULTS.json"
NOT_YET = "not measured yet"


@cache
def results() -> dict[str, Any] | None:
    """The study's results, None before it was run."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else None


class StudyTable(SphinxDirective):
    """``.. study-table:: frequency``: a table of the study; ``aims`` for what is reached."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make a table of the Markdown one."""
        from benchmarks.interpolation.report import TABLES, aims_table, table_of

        known, found = {definition.name: definition for definition in TABLES}, results()
        name = self.arguments[0]
        if name != "aims" and name not in known:
            raise self.error(f"study-table {name}: expected aims or one of {', '.join(known)}")
        if found is None:
            return [nodes.paragraph(text=f"The study was {NOT_YET}.")]
        text = aims_table(found) if name == "aims" else table_of(found, known[name])
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
        lines = [".. list-table::", "   :header-rows: 1", "   :class: study", ""]
        for row in [rows[0], *rows[2:]]:
            lines += [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for i, cell in enumerate(row)]
        holder = nodes.container(classes=["study"])
        self.state.nested_parse(StringList(lines, source="study"), 0, holder)
        return [holder]


class StudyFigure(SphinxDirective):
    """``.. study-figure:: ramp``: a figure of the study, drawn now, inside the page; the content is its caption."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Draw it."""
        from benchmarks.interpolation.figures import FIGURES

        name, found = self.arguments[0], results()
        if name not in FIGURES:
            raise self.error(f"study-figure {name}: expected one of {', '.join(FIGURES)}")
        if found is None:
            return [nodes.paragraph(text=f"The study was {NOT_YET}.")]
        stream = io.StringIO()
        FIGURES[name](found).savefig(stream, format="svg", metadata={"Date": None})
        picture = stream.getvalue()[stream.getvalue().index("<svg") :]
        caption = nodes.container(classes=["caption"])
        self.state.nested_parse(self.content, self.content_offset, caption)
        return [nodes.raw("", f'<div style="overflow-x:auto">{picture}</div>', format="html"), caption]


class StudyNumber(SphinxRole):
    """``:study:`frequency | default | F0 to A```: mean of a measure; ``meta | date``: of the run."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Look it up."""
        return [nodes.inline(text=number_of(self.text))], []


def number_of(where: str) -> str:
    """The figure at a place, as text.

    Args:
        where: ``table | condition | measure``, or ``meta | name``.

    Returns:
        The mean, or that it is not measured yet.
    """
    from benchmarks.interpolation.report import chosen, mean
    from gradtts_interp.evaluation.tables import number

    parts = [part.strip() for part in where.split("|")]
    found = results()
    if found is None:
        return NOT_YET
    if parts[0] == "meta":
        return str({**found, **found["settings"]}[parts[1]])
    table, condition, key = parts
    rows = chosen(found, table, condition)
    if key == "pairs":
        return str(len({row["item"] for row in rows}))
    value = mean(rows, key)
    return NOT_YET if math.isnan(value) else number(value)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives and the role."""
    app.add_directive("study-table", StudyTable)
    app.add_directive("study-figure", StudyFigure)
    app.add_role("study", StudyNumber())
    return {"parallel_read_safe": True}
