"""Write the main tables of an interpolation run into ``BLENDS.md``, between two marks.

``python -m benchmarks.interpolation.blend_table out/evaluate/interpolation/summary.json`` after ``gradtts-interp
evaluate interpolation``.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from gradtts_interp.cli.main import report_errors
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.tables import number
from gradtts_interp.files import read_json, write_text

BEGIN, END = "<!-- evaluate interpolation: begin -->", "<!-- evaluate interpolation: end -->"
HEARD = ("phone_error_rate", "word_error_rate")
SHOWN = {
    "mix": ("f0_share", "envelope_share", "voicing_kept", "f0_sweep_error", "envelope_sweep_error", *HEARD),
    "time": ("f0_control_error", "envelope_control_error", "voicing_kept", "lag_ms", "seam", *HEARD),
    "frequency": ("f0_rms_to_a", "envelope_share", "selectivity", "cosine_to_b", *HEARD),
}


def main() -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("summary", help="summary.json of a run")
    parser.add_argument("--document", default=Path(__file__).with_name("BLENDS.md"), help="where the marks stand")
    args = parser.parse_args()
    path = Path(args.document)
    text = with_section(path.read_text(encoding="utf-8"), section_of(read_json(args.summary)))
    write_text(path, text)
    return 0


def with_section(text: str, section: str) -> str:
    """Put a section between the marks.

    Args:
        text: A document with the marks, each once.
        section: What to put between them.

    Returns:
        The document.

    Raises:
        InputError: A mark is missing.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(f"the document lacks the marks {BEGIN} and {END}, each once and in this order")
    return text[: text.index(BEGIN) + len(BEGIN)] + "\n" + section + text[text.index(END) :]


def section_of(summary: dict[str, Any]) -> str:
    """Tables of a run in Markdown, with date, command, and what is weak.

    Args:
        summary: What ``summary.json`` of a run holds.

    Returns:
        The section.

    Raises:
        InputError: It is of no interpolation run.
    """
    tables = [table for table in summary.get("tables", []) if table["name"] in SHOWN]
    if not tables:
        raise InputError("the summary holds no table of an interpolation run")
    facts = summary["facts"]
    count = facts["utterances"].split(":")[0]
    parts = [
        f"{facts['date'].split()[0]}, `{_without_folders(facts['command'])}`: {count} utterance{'s' * (count != '1')}, "
    ]
    parts[0] += f"{facts['sampling']}; mean with 95 % bootstrap interval. {facts['time']}.\n"
    for table in tables:
        parts.append(f"\n**{table['title']}**\n\n{_markdown(table)}")
    weak = " ".join(summary.get("weak") or ["nothing that the tables show."])
    parts.append(f"\nWhat is weak: {weak}\n")
    return "".join(parts)


def _without_folders(command: str) -> str:
    """The command without the folder it wrote into, and without paths of the machine it ran on."""
    words = shlex.split(command)
    kept = [w for i, w in enumerate(words) if w != "--out" and (i == 0 or words[i - 1] != "--out")]
    return shlex.join(Path(w).name if w.startswith("/") else w for w in kept if not w.startswith("--out="))


def _markdown(table: dict[str, Any]) -> str:
    columns = [c for c in table["columns"] if c["key"] in SHOWN[table["name"]]]
    heads = [f"{c['heading']}{', wanted ' + c['wanted'] if c['wanted'] else ''}" for c in columns]
    rows = [f"| | {' | '.join(heads)} |", "|---" * (len(columns) + 1) + "|"]
    for line in table["lines"]:
        cells = [_cell(line["cells"][c["key"]]) for c in columns]
        if any(cell != "–" for cell in cells):
            name = f"*{line['name']}*" if line["kind"] == "anchor" else line["name"]
            rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "–"
    if cell["low"] == cell["high"]:
        return number(cell["mean"])
    return f"{number(cell['mean'])} [{number(cell['low'])}, {number(cell['high'])}]"


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
