"""Scores of a checkpoint on held-out sentences: the figures of the model card, one command.

    python -m benchmarks.quality.run --corpus data/demo --checkpoint checkpts/demo --out benchmarks/quality/RESULTS

Writes ``RESULTS.json`` (all figures, per item too) and ``RESULTS.md`` (the tables).
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import time
from pathlib import Path

import torch

from benchmarks.quality import tasks
from gradtts_interp.cli.main import report_errors
from gradtts_interp.evaluation.bootstrap import mean_with_interval
from gradtts_interp.files import atomic_path
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.training.data import load_entries

TASKS = {
    "intelligibility": tasks.intelligibility,
    "vocoder": tasks.vocoder,
    "following": tasks.following,
    "dual": tasks.dual,
    "sweep": tasks.sweep,
    "ramp": tasks.ramp,
}


def main() -> int:
    """Run the chosen tasks and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="corpus folder, for its held-out items")
    parser.add_argument("--checkpoint", default="checkpts/demo", help="checkpoint folder")
    parser.add_argument("--out", default="benchmarks/quality/RESULTS", help="results, without suffix")
    parser.add_argument("--task", action="append", choices=sorted(TASKS), help="only these (repeatable)")
    parser.add_argument("--items", type=int, default=20, help="pairs or references of each blend task")
    parser.add_argument("--sentences", type=int, default=60, help="sentences of the intelligibility task")
    parser.add_argument("--steps", type=int, default=10, help="sampler steps (unipc)")
    parser.add_argument("--threads", type=int, help="CPU threads")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    pipeline = GradTTSInterpPipeline.from_pretrained(args.checkpoint)
    pipeline.set_progress_bar_config(disable=True)
    bench = tasks.Bench(pipeline, Path(args.corpus), load_entries(args.corpus), args.steps)
    out = Path(args.out)
    results = json.loads(out.with_suffix(".json").read_text()) if out.with_suffix(".json").exists() else {}
    for name in args.task or TASKS:
        start = time.monotonic()
        count = args.sentences if name == "intelligibility" else args.items
        rows = TASKS[name](bench, count)
        results[name] = {"rows": rows, "seconds": round(time.monotonic() - start, 1), **_context(args)}
        with atomic_path(out.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps(results, indent=1))
        with atomic_path(out.with_suffix(".md")) as temporary:
            temporary.write_text(_tables(results))
        print(_table(name, results[name]))
    return 0


def _context(args: argparse.Namespace) -> dict:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "solver": f"unipc, {args.steps} steps",
    }


def _tables(results: dict) -> str:
    head = "# Quality of the shipped checkpoint\n\nMade by `python -m benchmarks.quality.run`; means with 95 %\n"
    head += "bootstrap intervals over items. Held-out sentences, F0 by DIO on the decoded audio.\n\n"
    return head + "\n".join(_table(name, result) for name, result in results.items())


def _table(name: str, result: dict) -> str:
    """One task as a Markdown table: a line for each condition, a column for each figure."""
    conditions: dict[str, list[dict]] = {}
    for row in result["rows"]:
        conditions.setdefault(row["condition"], []).append(row)
    names = [k for k in result["rows"][0] if k not in ("condition", "item")]
    lines = [f"## {name}", "", "| condition | n | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for condition, rows in conditions.items():
        cells = []
        for figure in names:
            values = [r[figure] for r in rows if r.get(figure) is not None]
            cells.append(mean_with_interval(values).text() if values else "not measurable")
        lines.append(f"| {condition} | {len(rows)} | " + " | ".join(cells) + " |")
    lines.append("")
    made = [result["date"], f"commit {result['commit']}", result["machine"], result["solver"], f"{result['seconds']} s"]
    lines.append(", ".join(made) + ".\n")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
