"""What a run reports: lines of JSON, and tensorboard where it is installed."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.files import atomic_path

logger = logging.getLogger(__name__)

LOG_FILE = "log.jsonl"


class RunLog:
    """Log of a run that goes on at a step: what an earlier part of the run wrote beyond it is removed.

    Args:
        folder: Folder of the run.
        step: Step that the run goes on from.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / LOG_FILE
        _truncate(self.path, step)
        self._board = _tensorboard(folder / "tensorboard", step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Append one line, and the same to tensorboard."""
        row = {"step": step, **{name: round(value, 6) for name, value in values.items()}}
        with open(self.path, "a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        for name, value in values.items():
            if self._board is not None and name != "seconds":
                self._board.add_scalar(name, value, step)

    def image(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """Show a picture (height, width, 3) in tensorboard."""
        if self._board is not None:
            self._board.add_image(name, picture, step, dataformats="HWC")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Lines of a log; one that was cut off by a crash is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            logger.warning("%s: a damaged line is left out", path)
    return rows


def _truncate(path: Path, step: int) -> None:
    if not path.is_file():
        return
    kept = [row for row in read_log(path) if row["step"] <= step]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
