"""A directive that shows the tables of a corpus, computed from its manifest when the pages are built."""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from gradtts_interp.corpus.plan import load_entries
from gradtts_interp.corpus.statistics import COLUMNS, Prosody, groups_of, phones_line, rows_of, seconds_of

ROOT = Path(__file__).resolve().parents[2]


class CorpusTables(SphinxDirective):
    """``.. corpus-tables:: resources/corpus/manifest-seed0-2891.jsonl.xz``: size, phones, three tables."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the paragraph and the tables."""
        path = ROOT / self.arguments[0]
        self.env.note_dependency(str(path))
        entries = load_entries(path)
        size = f"{len(entries):,} items, {sum(seconds_of(entries)) / 3600:.2f} hours. {phones_line(entries)}"
        return [nodes.paragraph("", size), *(_table(head, group) for head, group in groups_of(entries).items())]


def _table(head: str, groups: dict[str, Prosody]) -> nodes.table:
    columns = (head, *COLUMNS)
    body = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in columns), cols=len(columns))
    body += nodes.thead("", _row(columns))
    body += nodes.tbody("", *(_row(row) for row in rows_of(groups)))
    return nodes.table("", body)


def _row(cells: tuple[str, ...]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("corpus-tables", CorpusTables)
    return {"parallel_read_safe": True}
