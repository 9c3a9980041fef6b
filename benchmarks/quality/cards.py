"""Write the tables of ``RESULTS.json`` into the model cards.

    python -m benchmarks.quality.cards            # after benchmarks.quality.run
    python -m benchmarks.quality.cards --check    # only says whether a card is out of date

In a card, what stands between ``<!-- scores: TASK -->`` and ``<!-- end of scores -->`` is replaced by the table of the
task; ``targets`` stands for the targets, of the tasks named after it or of all.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from benchmarks.quality.report import Results, table, targets_table
from benchmarks.quality.run import TASKS
from gradtts_interp.cli.main import report_errors
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path

BLOCK = re.compile(r"(<!-- scores: ([a-z ]+) -->\n).*?(<!-- end of scores -->)", re.DOTALL)


def main() -> int:
    """Refresh the cards, or check them; return 1 when a checked card is out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", default="benchmarks/quality/RESULTS.json", help="what the benchmark wrote")
    parser.add_argument("--checkpoints", default="checkpts", help="folder of the checkpoints, each with a README.md")
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    results = json.loads(Path(args.results).read_text(encoding="utf-8"))
    stale = []
    for card in sorted(Path(args.checkpoints).glob("*/README.md")):
        text = card.read_text(encoding="utf-8")
        fresh = refreshed(text, results, source=card)
        if fresh != text:
            stale.append(card)
            if not args.check:
                with atomic_path(card) as temporary:
                    temporary.write_text(fresh, encoding="utf-8")
            print(f"{card}: {'out of date' if args.check else 'refreshed'}")
    return int(args.check and bool(stale))


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
        first, *others = match[2].split()
        unknown = [name for name in (others if first == "targets" else [first]) if name not in TASKS]
        if unknown or (others and first != "targets"):
            raise InputError(f"{source}: scores of {match[2]!r}; expected 'targets' or one of {', '.join(TASKS)}")
        if first == "targets":
            body = targets_table(results, tuple(others) or None)
        else:
            body = table(results[first]) if first in results else "Not measured yet.\n"
        return f"{match[1]}{body}{match[3]}"

    return BLOCK.sub(block, text)


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
