"""Checkpoints of a training run: written whole or not at all, and resumed only with the settings they were made by."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gradtts_interp.config import ModelConfig
from gradtts_interp.errors import CheckpointError
from gradtts_interp.files import read_json, read_torch

KEPT = 2
# What fixes the stream of data and noise, and what is trained on it. Rate, length and the like may change from one part
# of a run to the next.
STREAM_SETTINGS = ("batch_size", "seed", "mix", "only", "adversarial")


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on.

    Attributes:
        weights: State dict of the model.
        averaged: The same of the averaged weights.
        optimiser: State dict of the optimiser.
        values: Step, seconds, steps of the average, settings of model and run.
        discriminator: State dict of the discriminator of mels; empty for a run without one.
    """

    weights: dict[str, torch.Tensor]
    averaged: dict[str, torch.Tensor]
    optimiser: dict[str, Any]
    values: dict[str, Any]
    discriminator: dict[str, torch.Tensor] = field(default_factory=dict)


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    return sorted(p for p in folder.glob("step_*") if (p / "state.json").is_file())


def write(path: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint under a temporary name, rename it, and remove all but the last two.

    Args:
        path: Its folder.
        checkpoint: What to write.

    Returns:
        ``path``.
    """
    for left_over in path.parent.glob(".step_*.tmp"):
        shutil.rmtree(left_over, ignore_errors=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.mkdir()
    save_file(checkpoint.weights, temporary / "model.safetensors")
    save_file(checkpoint.averaged, temporary / "ema.safetensors")
    if checkpoint.discriminator:
        save_file(checkpoint.discriminator, temporary / "discriminator.safetensors")
    torch.save(checkpoint.optimiser, temporary / "optimiser.pt")
    (temporary / "state.json").write_text(json.dumps(checkpoint.values, indent=1))
    shutil.rmtree(path, ignore_errors=True)
    temporary.rename(path)
    for old in checkpoints(path.parent)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: Its folder.

    Returns:
        The checkpoint, on the CPU.

    Raises:
        CheckpointError: A file is missing or damaged, named.
    """
    values = read_json(path / "state.json")
    found = {}
    names = ["model", "ema"]
    if (path / "discriminator.safetensors").is_file():
        names.append("discriminator")
    for name in names:
        file = path / f"{name}.safetensors"
        try:
            found[name] = load_file(file)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}; remove {path.name} to resume before it") from error
    optimiser = read_torch(path / "optimiser.pt")
    return Checkpoint(found["model"], found["ema"], optimiser, values, found.get("discriminator", {}))


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
        if name in saved.get("train", {}):
            before |= _flat({name: saved["train"][name]})
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
