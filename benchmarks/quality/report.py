"""Tables of the quality benchmark, and those in the model cards.

In a card, what stands between ``<!-- scores: TASK -->`` and ``<!-- end of scores -->`` is replaced by the task's table.
"""

from __future__ import annotations

import re
from pathlib import Path

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.tables import interval_text, mean_with_interval

BLOCK = re.compile(r"(<!-- scores: ([a-z ]+) -->\n).*?(<!-- end of scores -->)", re.DOTALL)
TASKS = ("vocoder", "encoder", "following", "foreign", "emotions", "speakers")
Results = dict[str, dict]
Rows = list[dict]


def page(results: Results) -> str:
    """All tables as one Markdown page."""
    head = "# Quality of the shipped checkpoints\n\nMade by `python -m benchmarks.quality.run`; means with 95 %\n"
    head += "bootstrap intervals over items. Held-out sentences, F0 by DIO on the decoded audio.\n\n"
    body = "\n".join(f"## {name}\n\n{table(result)}" for name, result in results.items())
    return head + body


def table(result: dict) -> str:
    """One task as a Markdown table: a line for each condition, a column for each figure."""
    conditions: dict[str, Rows] = {}
    for row in result["rows"]:
        conditions.setdefault(row["condition"], []).append(row)
    names = list(dict.fromkeys(k for row in result["rows"] for k in row if k not in ("condition", "item")))
    lines = ["| condition | n | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for condition, rows in conditions.items():
        found = [[row[name] for row in rows if row.get(name) is not None] for name in names]
        cells = [interval_text(mean_with_interval(values)) if values else "not measured" for values in found]
        lines.append(f"| {condition} | {len(rows)} | " + " | ".join(cells) + " |")
    made = [result["date"], f"commit {result['commit']}", result["machine"], result["solver"], f"{result['seconds']} s"]
    failed = f"; not measurable: {', '.join(result['failed'])}" if result.get("failed") else ""
    return "\n".join([*lines, "", ", ".join(made) + failed + ".\n"])


def refreshed(text: str, results: Results, *, source: Path) -> str:
    """A card with the tables of some results.

    Args:
        text: The card.
        results: Of the benchmark, by task.
        source: Path of the card, for errors.

    Returns:
        The card with its blocks replaced; all else as it was.

    Raises:
        InputError: A block asks for a task that does not exist, or does not end.
    """
    if text.count("<!-- scores:") != len(BLOCK.findall(text)):
        raise InputError(f"{source}: a block of scores does not end; expected <!-- end of scores -->")

    def block(match: re.Match[str]) -> str:
        if match[2] not in TASKS:
            raise InputError(f"{source}: scores of {match[2]!r}; expected one of {', '.join(TASKS)}")
        body = table(results[match[2]]) if match[2] in results else "Not measured yet.\n"
        return f"{match[1]}{body}{match[3]}"

    return BLOCK.sub(block, text)
