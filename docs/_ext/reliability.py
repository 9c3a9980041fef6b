"""A directive that shows what the long runs counted, as they wrote it to ``docs/reliability.json``."""

from __future__ import annotations

import json
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

RESULTS = Path(__file__).resolve().parents[1] / "reliability.json"


class Reliability(SphinxDirective):
    """``.. reliability:: kills``: one row for each thing tried, one column for each count."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        self.env.note_dependency(str(RESULTS))
        group = self.arguments[0]
        found = json.loads(RESULTS.read_text(encoding="utf-8"))
        if group not in found:
            raise self.error(f"reliability {group}: expected one of {', '.join(found)}")
        rows = [{"tried": what, **counts} for what, counts in found[group].items()]
        lines = [".. csv-table::", f"   :header: {','.join(rows[0])}", ""]
        lines += ["   " + ",".join(_cell(value) for value in row.values()) for row in rows]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source="reliability"), 0, holder)
        return [holder]


def _cell(value: str | int | float) -> str:
    return f'"{value:,}"' if isinstance(value, int) else f'"{value}"'


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("reliability", Reliability)
    return {"parallel_read_safe": True}
