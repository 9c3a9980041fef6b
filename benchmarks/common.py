"""What all benchmarks share: the unit of a resumable run, runs of a voice, and when and of what a result was made."""

from __future__ import annotations

import argparse
import datetime
import functools
import subprocess
from dataclasses import asdict, dataclass
from typing import Any

from gradtts_interp.evaluation.run import Record, RunFolder, Work, run_items
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
        steps: Of the sampler.
        solver: The sampler.
        out: Folder of the run, and of its wavs.
    """

    checkpoint: str
    steps: int
    solver: str
    out: str

    def pipeline(self) -> GradTTSInterpPipeline:
        """Load the checkpoint."""
        pipeline = GradTTSInterpPipeline.from_pretrained(self.checkpoint)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


def voice_arguments(description: str | None, *, out: str) -> argparse.ArgumentParser:
    """The parser of a command that makes such a run.

    Args:
        description: Of the command.
        out: Default folder of the run.

    Returns:
        The parser, to which the command adds its own options.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="checkpts/demo", help="checkpoint folder")
    parser.add_argument("--out", default=out, help="folder of the run: a file for each case, wavs")
    parser.add_argument("--steps", type=int, default=SamplingOptions.steps, help="sampler steps")
    parser.add_argument("--solver", default=SamplingOptions.solver, help="sampler")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    return parser


def run_cases(name: str, setting: VoiceSetting, cases: Any, *, count: int, jobs: int) -> list[Record]:
    """Measure cases in a resumable run.

    Args:
        name: Of the run.
        setting: What decides the results.
        cases: Class whose objects, made from the setting in each process, measure a case by their method ``measure``.
        count: Cases.
        jobs: Processes.

    Returns:
        What was measured, in order.
    """
    with RunFolder(setting.out, asdict(setting)) as folder:
        items = [TaskItem(name, i) for i in range(count)]
        return run_items(items, Work(functools.partial(cases, setting), cases.measure), folder, jobs=jobs, name=name)


def stamp() -> dict[str, str]:
    """The time (UTC) and the commit of a result."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "commit": commit}
