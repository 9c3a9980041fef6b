"""Scores of a checkpoint on held-out sentences: the figures of the model cards, one command.

    python -m benchmarks.quality.run --corpus data/demo --checkpoint checkpts/demo --jobs 2

Writes ``RESULTS.json`` (all figures, per item too), ``RESULTS.md``, and with ``--cards`` the tables in model cards.
What is finished is kept in a folder named after the weights, so a stopped run can be resumed.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import TaskItem, stamp
from benchmarks.quality import copies, speech
from benchmarks.quality.context import QualityContext, Setting, foreign_references
from benchmarks.quality.report import TASKS, page, refreshed
from gradtts_interp.cli.main import report_errors
from gradtts_interp.corpus.speakers import N_SPEAKERS
from gradtts_interp.evaluation.run import Record, RunFolder, run_items
from gradtts_interp.files import atomic_path, write_text


@dataclass(frozen=True)
class Task:
    """One part of the benchmark.

    Attributes:
        measure: From the context and the number of an item to its rows.
        items: Items by default.
        available: How many items a context has.
    """

    measure: Callable[[QualityContext, int], list[dict]]
    items: int
    available: Callable[[QualityContext], int]


RUNS = {
    "vocoder": Task(copies.vocoder, 30, lambda context: len(context.named + context.unseen)),
    "encoder": Task(speech.encoder, 316, lambda context: len(context.named + context.unseen)),
    "following": Task(speech.following, 50, lambda context: len(context.unseen)),
    "foreign": Task(speech.foreign, 17, lambda context: len(foreign_references())),
    "speakers": Task(speech.speakers, 3 * N_SPEAKERS, lambda context: speech.SPEAKER_SENTENCES * N_SPEAKERS),
    "emotions": Task(speech.emotions, N_SPEAKERS, lambda context: N_SPEAKERS),
}


def main() -> int:
    """Run the chosen tasks and write the results; return 1 when an item failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="corpus folder, for its held-out items")
    parser.add_argument("--checkpoint", default="checkpts/demo", help="checkpoint folder")
    parser.add_argument("--out", default="benchmarks/quality/RESULTS", help="results, without suffix")
    parser.add_argument("--cards", help="folder of checkpoints, whose README.md get the tables, such as checkpts")
    parser.add_argument("--runs", default="out/quality", help="folder of the runs")
    parser.add_argument("--task", action="append", choices=sorted(RUNS), help="only these (repeatable)")
    parser.add_argument("--items", type=int, help="items of each task (default: each task's own number)")
    parser.add_argument("--steps", type=int, default=Setting.steps, help=f"sampler steps ({Setting.solver})")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--restart", action="store_true", help="forget what is finished")
    args = parser.parse_args()
    setting = Setting(args.checkpoint, args.corpus, args.steps)
    context = QualityContext(setting)  # early errors, and the number of items; other processes load their own
    jobs = [job for name in args.task or RUNS for job in jobs_of(name, RUNS[name], context, args.items)]
    settings = setting.to_dict()
    with RunFolder(Path(args.runs) / settings["weights"], settings, restart=args.restart) as folder:
        records = run_items(
            jobs, functools.partial(QualityContext, setting), measure, folder, jobs=args.jobs, name="quality"
        )
    out = Path(args.out)
    results = json.loads(out.with_suffix(".json").read_text()) if out.with_suffix(".json").exists() else {}
    for name in args.task or RUNS:
        results[name] = result_of([r for r in records if r.id.startswith(f"{name}/")], settings)
    write_results(out, results)
    for card in sorted(Path(args.cards).glob("*/README.md")) if args.cards else ():
        text = refreshed(card.read_text(encoding="utf-8"), results, source=card)
        write_text(card, text)
    return int(any(record.error for record in records))


def jobs_of(name: str, task: Task, context: QualityContext, items: int | None) -> list[TaskItem]:
    """Items of a task, as many as asked for and there are."""
    return [TaskItem(name, i) for i in range(min(items or task.items, task.available(context)))]


def measure(context: QualityContext, job: TaskItem) -> tuple[list[dict], list[str]]:
    """Rows of an item; where it runs does not matter."""
    return RUNS[job.task].measure(context, job.index), []


def result_of(records: list[Record], settings: dict[str, Any]) -> dict[str, Any]:
    """What is written of a task."""
    return {
        "rows": [row for record in records for row in record.rows],
        "failed": [record.id for record in records if record.error],
        "seconds": round(sum(record.seconds for record in records), 1),
        **stamp(),
        "machine": f"{platform.machine()}, 1 thread",
        "solver": f"{settings['solver']}, {settings['steps']} steps",
        "weights": settings["weights"],
    }


def write_results(out: Path, results: dict[str, Any]) -> None:
    """Write both files, in the order of the tasks."""
    ordered = {name: results[name] for name in TASKS if name in results}
    with atomic_path(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(ordered, indent=1) + "\n")
    with atomic_path(out.with_suffix(".md")) as temporary:
        temporary.write_text(page(ordered))


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
