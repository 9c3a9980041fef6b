"""What keeps a training run: checkpoints, which appear whole or not at all, its log, and the signal that stops it."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gradtts_interp.config import ModelConfig
from gradtts_interp.errors import CheckpointError
from gradtts_interp.files import read_json, read_torch, write_text

logger = logging.getLogger(__name__)

KEPT = 2
LOG_FILE = "log.jsonl"
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What fixes the stream of data and noise, and what is trained on it. Rate, length and the like may change from one part
# of a run to the next.
STREAM_SETTINGS = ("batch_size", "seed", "mix", "only", "adversarial", "keep_mean")

Weights = dict[str, dict[str, torch.Tensor]]
"""State dicts by file: of the model, of the averaged weights (``ema``), and of :data:`SOMETIMES` what there is."""
SOMETIMES = ("discriminator", "beginning")


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    return sorted(p for p in folder.glob("step_*") if (p / "state.json").is_file())


def write(path: Path, weights: Weights, optimiser: dict[str, Any], values: dict[str, Any]) -> Path:
    """Write a checkpoint under a temporary name, rename it, and remove all but the last two.

    Args:
        path: Its folder.
        weights: State dicts.
        optimiser: State dict of the optimiser.
        values: Step, seconds, steps of the average, settings of model and run.

    Returns:
        ``path``.
    """
    for left_over in path.parent.glob(".step_*.tmp"):
        shutil.rmtree(left_over, ignore_errors=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.mkdir()
    for name, state in weights.items():
        save_file(state, temporary / f"{name}.safetensors")
    torch.save(optimiser, temporary / "optimiser.pt")
    (temporary / "state.json").write_text(json.dumps(values, indent=1))
    shutil.rmtree(path, ignore_errors=True)
    temporary.rename(path)
    for old in checkpoints(path.parent)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def read(path: Path) -> tuple[Weights, dict[str, Any], dict[str, Any]]:
    """Read a checkpoint.

    Args:
        path: Its folder.

    Returns:
        Weights, optimiser and values, as :func:`write` got them, on the CPU.

    Raises:
        CheckpointError: A file is missing or damaged, named.
    """
    values, weights = read_json(path / "state.json"), {}
    for name in ("model", "ema", *SOMETIMES):
        file = path / f"{name}.safetensors"
        if name in SOMETIMES and not file.is_file():
            continue
        try:
            weights[name] = load_file(file)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}; remove {path.name} to resume before it") from error
    return weights, read_torch(path / "optimiser.pt"), values


def require_same_run(path: Path, saved: dict[str, Any], settings: ModelConfig, train: dict[str, Any]) -> None:
    """Raise unless a checkpoint has the model's settings and the same stream of data.

    Args:
        path: The checkpoint, for the message.
        saved: Its values.
        settings: Settings of the model now.
        train: Settings of the run now.

    Raises:
        CheckpointError: A setting differs; the first one is named with both values.
    """
    before = _flat({"model": ModelConfig.from_dict(saved["settings"]).to_dict()})
    now = _flat({"model": settings.to_dict()})
    for name in STREAM_SETTINGS:
        before |= _flat({name: saved["train"].get(name, False)})  # a run from before `keep_mean` kept none
        now |= _flat({name: train[name]})
    for name, value in now.items():
        if name in before and before[name] != value:
            raise CheckpointError(
                f"{path}: was trained with {name} = {before[name]!r}, now {value!r}; "
                "resume with the same settings or choose another output folder"
            )


def plain(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy a state dict to the CPU, contiguous."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name; a group that is None and one that is not differ in that name."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found[prefix + name] = "given"
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


# -- log -------------------------------------------------------------------------------------------------------------


class RunLog:
    """Log of a run that goes on at a step: what an earlier part of the run wrote beyond it is removed.

    Args:
        folder: Folder of the run.
        step: Step that the run goes on from.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / LOG_FILE
        if self.path.is_file():
            kept = ""
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    kept += f"{line}\n" if json.loads(line)["step"] <= step else ""
                except ValueError:
                    logger.warning("%s: a damaged line is left out", self.path)
            write_text(self.path, kept)
        self._board = tensorboard(folder / "tensorboard", step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Append one line, and the same to tensorboard."""
        row = {"step": step, **{name: round(value, 6) for name, value in values.items()}}
        with open(self.path, "a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        for name, value in values.items():
            if self._board is not None and name != "seconds":
                self._board.add_scalar(name, value, step)


def tensorboard(folder: Path, step: int = 0) -> Any:
    """A writer of tensorboard that goes on after a step, or None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)


# -- stopping --------------------------------------------------------------------------------------------------------


class StopSignal:
    """Context manager that notes Ctrl-C and SIGTERM; the second one of a kind ends the process at once.

    Outside the main thread nothing is caught, since Python handles signals only there.

    Attributes:
        received: Number of the signal, None until one comes.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        signal.signal(number, self._before[number])
        logger.info("%s: stopping after this step", signal.Signals(number).name)
