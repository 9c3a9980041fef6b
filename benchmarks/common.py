"""What all benchmarks share: the unit of a resumable run, runs of a voice, and when and of what a result was made."""

from __future__ import annotations

import argparse
import datetime
import functools
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gradtts_interp.evaluation.run import Record, RunFolder, run_items
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import SamplingOptions


@dataclass(frozen=True)
class TaskItem:
    """One item of a task, as it is sent to another process."""

    task: str
    index: int

    @property
    def id(self) -> str:
        """Name in the folder of the run."""
        return f"{self.task}/{self.index}"


@dataclass(frozen=True)
class VoiceSetting:
    """What decides the results of a run in which a checkpoint speaks.

    Attributes:
        checkpoint: Its folder.
        out: Folder of the run, and of its wavs.
        corpus: Folder of a corpus, "" for none.
        cases: How many there are.
        steps: Of the sampler.
        solver: The sampler.
    """

    checkpoint: str
    out: str
    corpus: str
    cases: int
    steps: int
    solver: str

    def pipeline(self) -> GradTTSInterpPipeline:
        """Load the checkpoint."""
        pipeline = GradTTSInterpPipeline.from_pretrained(self.checkpoint)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


def run_cases(
    name: str,
    description: str | None,
    cases: Any,
    table: Callable[[Sequence[Record]], str],
    *,
    count: int,
    checkpoint: str = "checkpts/demo",
    corpus: str = "",
    steps: int = SamplingOptions.steps,
) -> tuple[VoiceSetting, list[Record]]:
    """Be the command that measures cases in a resumable run, and prints their table.

    Args:
        name: Of the run, and of its folder in ``out``.
        description: Of the command.
        cases: Class whose objects, made from the setting in each process, measure a case by their method ``measure``.
        table: From what was measured to text.
        count: Cases, if the command line names no other number.
        checkpoint: Likewise.
        corpus: Likewise.
        steps: Likewise.

    Returns:
        The setting, and what was measured, in order.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default=checkpoint, help="checkpoint folder")
    parser.add_argument("--out", default=f"out/{name}", help="folder of the run: a file for each case, wavs")
    parser.add_argument("--corpus", default=corpus, help="corpus folder, for its recordings")
    parser.add_argument("--cases", type=int, default=count, help="how many")
    parser.add_argument("--steps", type=int, default=steps, help="sampler steps")
    parser.add_argument("--solver", default=SamplingOptions.solver, help="sampler")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    given = vars(parser.parse_args())
    jobs = given.pop("jobs")
    setting = VoiceSetting(**given)
    with RunFolder(setting.out, asdict(setting)) as folder:
        items = [TaskItem(name, i) for i in range(setting.cases)]
        records = run_items(items, functools.partial(cases, setting), cases.measure, folder, jobs=jobs, name=name)
    print(table(records))
    print(f"\n{', '.join(stamp().values())}; {setting.solver}, {setting.steps} steps")
    return setting, records


def status_of(records: Sequence[Record]) -> int:
    """Exit status of a command: 1 when a case failed."""
    return int(any(record.error for record in records))


def stamp() -> dict[str, str]:
    """The time (UTC) and the commit of a result."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "commit": commit}
