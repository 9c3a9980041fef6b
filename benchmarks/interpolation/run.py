"""What each mechanism does to F0, level and envelope, over time and over frequency: the study, one command.

    python -m benchmarks.interpolation.run --corpus data/demo --checkpoint checkpts/demo --jobs 2
    python -m benchmarks.interpolation.run --corpus data/demo --quick       # two pairs of each part

Writes ``RESULTS.json`` (rows per pair too), which the documentation reads, and ``RESULTS.md`` (tables). What is
finished is kept in a folder named after the weights, so a stopped run can be resumed.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
from pathlib import Path
from typing import Any

from benchmarks.common import TaskItem, stamp
from benchmarks.interpolation.report import page
from benchmarks.interpolation.tasks import TASKS, Rows, StudyContext
from benchmarks.quality.context import Setting
from gradtts_interp.cli.main import report_errors
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.run import Record, RunFolder, Work, run_items
from gradtts_interp.files import atomic_path


def main() -> int:
    """Run the chosen tasks and write the results; return 1 when an item failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="corpus folder, for its held-out pairs")
    parser.add_argument("--checkpoint", default="checkpts/demo", help="checkpoint folder")
    parser.add_argument("--out", default="benchmarks/interpolation/RESULTS", help="results, without suffix")
    parser.add_argument("--runs", default="out/interpolation", help="folder of the runs")
    parser.add_argument("--task", action="append", choices=sorted(TASKS), help="only these (repeatable)")
    parser.add_argument("--items", type=int, help="pairs of each task (default: each task's own number)")
    parser.add_argument("--quick", action="store_true", help="two pairs of each task")
    parser.add_argument("--steps", type=int, default=Setting.steps, help="sampler steps (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--restart", action="store_true", help="forget what is finished")
    args = parser.parse_args()
    if args.items is not None and args.items < 1:
        raise InputError(f"--items {args.items}: expected at least 1")
    setting = Setting(args.checkpoint, args.corpus, args.steps)
    available = len(StudyContext(setting).context.pairs)  # early errors; other processes load their own
    names = args.task or list(TASKS)
    counts = {n: args.items or (TASKS[n].quick if args.quick else TASKS[n].items) for n in names}
    jobs = [TaskItem(name, i) for name in names for i in range(min(counts[name], available))]
    settings = setting.to_dict()
    work = Work(functools.partial(StudyContext, setting), measure)
    with RunFolder(Path(args.runs) / settings["weights"], settings, restart=args.restart) as folder:
        records = run_items(jobs, work, folder, jobs=args.jobs, name="interpolation")
    write_results(Path(args.out), names, records, settings)
    return int(any(record.error for record in records))


def measure(context: StudyContext, job: TaskItem) -> tuple[Rows, list[str]]:
    """Rows of a pair; where it runs does not matter."""
    return TASKS[job.task].measure(context, job.index), []


def write_results(out: Path, names: list[str], records: list[Record], settings: dict[str, Any]) -> None:
    """Write both files; tasks that were not run keep the rows they had, if those are of the same weights."""
    file = out.with_suffix(".json")
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    old = found.get("rows", []) if found.get("settings") == settings else []
    rows = [row for row in old if row["table"] not in names] + [row for record in records for row in record.rows]
    results = {
        "settings": settings,
        **stamp(),
        "machine": f"{platform.machine()}, 1 thread",
        "seconds": round(sum(record.seconds for record in records), 1),
        "failed": [record.id for record in records if record.error],
        "rows": rows,
    }
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(results, indent=0) + "\n", encoding="utf-8")
    with atomic_path(out.with_suffix(".md")) as temporary:
        temporary.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
