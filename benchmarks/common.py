"""What all benchmarks share: the unit of a resumable run, and when and of what a result was made."""

from __future__ import annotations

import datetime
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class TaskItem:
    """One item of a task, as it is sent to another process."""

    task: str
    index: int

    @property
    def id(self) -> str:
        """Name in the folder of the run."""
        return f"{self.task}/{self.index}"


def stamp() -> dict[str, str]:
    """The time (UTC) and the commit of a result."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "commit": commit}
