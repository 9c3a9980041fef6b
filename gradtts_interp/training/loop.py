"""The training loop: accelerate around it, atomic checkpoints under it, the same data on any number of processes."""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import tqdm

from gradtts_interp.config import ModelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.training.losses import Losses, training_losses
from gradtts_interp.training.mix import KINDS, Batch, MixConfig, Mixer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run.

    Attributes:
        batch_size: Items of the global batch, over all processes.
        learning_rate: Peak of AdamW's rate.
        warmup_steps: Steps of linear rise.
        final_rate: The rate falls along a cosine to this part of its peak.
        steps: Steps of the whole run.
        seconds: If given, the run (all its resumed parts together) ends after this many seconds of stepping, and
            the rate falls with time spent instead of steps made.
        weight_decay: AdamW's.
        clip: Largest gradient norm.
        ema_decay: Of the averaged weights, which are the ones shipped.
        save_every_seconds: Between checkpoints.
        validate_every: Steps between validations.
        mixed_precision: ``no``, ``bf16`` or ``fp16``.
        seed: Of data, noise and initial weights.
        mix: The training mix.
    """

    batch_size: int = 8
    learning_rate: float = 6e-4
    warmup_steps: int = 100
    final_rate: float = 0.03
    steps: int = 100_000
    seconds: float | None = None
    weight_decay: float = 1e-2
    clip: float = 1.0
    ema_decay: float = 0.998
    save_every_seconds: float = 300.0
    validate_every: int = 250
    mixed_precision: str = "bf16"
    seed: int = 0
    mix: MixConfig = field(default_factory=MixConfig)


class Progress:
    """Where a run stands: steps made and seconds of stepping spent."""

    def __init__(self, step: int = 0, seconds: float = 0.0) -> None:
        self.step, self.seconds = step, seconds

    def fraction(self, config: TrainConfig) -> float:
        """Part of the run that is done, in [0, 1]."""
        if config.seconds is not None:
            return min(self.seconds / config.seconds, 1.0)
        return min(self.step / config.steps, 1.0)


def rate_factor(progress: Progress, config: TrainConfig) -> float:
    """Factor on the learning rate: linear rise, cosine fall."""
    rise = min((progress.step + 1) / max(config.warmup_steps, 1), 1.0)
    fall = 0.5 * (1 + math.cos(math.pi * progress.fraction(config)))
    return rise * (config.final_rate + (1 - config.final_rate) * fall)


class LossModule(nn.Module):
    """Losses as a forward pass, so that data-parallel wrappers see it."""

    def __init__(self, model: GradTTS, crop_frames: int) -> None:
        super().__init__()
        self.model, self.crop_frames = model, crop_frames

    def forward(self, batch: Batch, generator: torch.Generator | None) -> Losses:
        """Losses of one batch."""
        return training_losses(self.model, batch, crop_frames=self.crop_frames, generator=generator)


class Trainer:
    """Trains a model on a corpus; stops and resumes anywhere."""

    def __init__(self, model: GradTTS, mixer: Mixer, config: TrainConfig, folder: str | Path) -> None:
        self.config, self.mixer, self.folder = config, mixer, Path(folder)
        self.accelerator = Accelerator(mixed_precision=config.mixed_precision, cpu=not torch.cuda.is_available())
        processes = self.accelerator.num_processes
        if config.batch_size % processes:
            raise InputError(f"batch size {config.batch_size} cannot be divided among {processes} processes")
        self.local_size = config.batch_size // processes
        self.progress = Progress()
        self.loss_module = LossModule(model, config.mix.crop_frames)
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay, fused=True
        )
        self.step_module, self.optimiser = self.accelerator.prepare(self.loss_module, optimiser)
        self.model = model
        self.ema = EMAModel(model.parameters(), decay=config.ema_decay, use_ema_warmup=True, power=0.8)
        self.ema.to(self.accelerator.device)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.resume()

    def generator(self) -> torch.Generator:
        """Noise of the current step and process; a pure function of both."""
        rank = self.accelerator.process_index
        seed = (self.config.seed * 1_000_003 + self.progress.step) * 64 + rank
        return torch.Generator(self.accelerator.device).manual_seed(seed)

    def train(self) -> Path:
        """Train to the end of the run; return the last checkpoint."""
        config, start = self.config, self.progress.step
        total = None if config.seconds is not None else config.steps
        bar = tqdm(initial=start, total=total, unit="step", disable=not self.accelerator.is_main_process)
        saved = time.monotonic()
        sums: dict[str, list[float]] = {}
        last_path = self.folder
        while self.progress.fraction(config) < 1.0 and self.progress.step < config.steps:
            begun = time.monotonic()
            losses, values = self._step()
            self.progress.step += 1
            self.progress.seconds += time.monotonic() - begun
            for name, value in values.items():
                sums.setdefault(name, []).append(value)
            bar.update()
            bar.set_postfix(loss=f"{values['diffusion']:.4f}", rate=f"{values['rate']:.1e}")
            if self.progress.step % 50 == 0:
                self._log({k: sum(v) / len(v) for k, v in sums.items()})
                sums = {}
            if self.progress.step % config.validate_every == 0:
                self._log(self.validate())
            if time.monotonic() - saved > config.save_every_seconds:
                last_path, saved = self.save(), time.monotonic()
            del losses
        bar.close()
        return self.save() if self.progress.step > start else last_path

    def _step(self) -> tuple[Losses, dict[str, float]]:
        rank = self.accelerator.process_index
        batch = self.mixer.batch(
            self.progress.step, self.local_size, offset=rank * self.local_size, of=self.config.batch_size
        ).to(self.accelerator.device)
        rate = self.config.learning_rate * rate_factor(self.progress, self.config)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.step_module.train()
        with self.accelerator.autocast():
            losses = self.step_module(batch, self.generator())
        values = {"rate": rate, "duration": float(losses.duration), "prior": float(losses.prior)}
        values["diffusion"] = float(losses.diffusion)
        if not math.isfinite(float(losses.total)):
            logger.warning("step %d: loss is %s; the step is skipped", self.progress.step, float(losses.total))
            self.optimiser.zero_grad(set_to_none=True)
            return losses, values
        self.accelerator.backward(losses.total)
        values["gradient"] = float(self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip))
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.ema.step(self.model.parameters())
        for i, kind in enumerate(KINDS):
            chosen = batch.kind == i
            if chosen.any():
                values[f"diffusion/{kind}"] = float(losses.per_kind[chosen].mean())
        for name, site in self.model.attention_sites.items():
            values[f"gate/{name}"] = float(site.gate.detach().abs().mean())
        return losses, values

    @torch.no_grad()
    def validate(self, batches: int = 2) -> dict[str, float]:
        """Losses of the averaged weights on fixed draws, and the effect of swapping the references."""
        self.step_module.eval()
        self.ema.store(self.model.parameters())
        self.ema.copy_to(self.model.parameters())
        found: dict[str, float] = {}
        try:
            for i in range(batches):
                batch = self.mixer.batch(10**9 + i, self.local_size).to(self.accelerator.device)
                noise = torch.Generator(self.accelerator.device).manual_seed(i)
                with self.accelerator.autocast():
                    losses = self.loss_module(batch, noise)
                    swapped = self.loss_module(swap_references(batch), noise.manual_seed(i))
                found["valid/diffusion"] = found.get("valid/diffusion", 0.0) + float(losses.diffusion) / batches
                found["valid/prior"] = found.get("valid/prior", 0.0) + float(losses.prior) / batches
                found["valid/duration"] = found.get("valid/duration", 0.0) + float(losses.duration) / batches
                found["valid/swapped"] = found.get("valid/swapped", 0.0) + float(swapped.diffusion) / batches
        finally:
            self.ema.restore(self.model.parameters())
        return found

    def _log(self, values: dict[str, float]) -> None:
        if not self.accelerator.is_main_process:
            return
        row = {"step": self.progress.step, "seconds": round(self.progress.seconds, 1), **values}
        with open(self.folder / "log.jsonl", "a") as log:
            log.write(json.dumps({k: round(v, 6) for k, v in row.items()}) + "\n")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        if not hasattr(self, "_board"):
            self._board = SummaryWriter(str(self.folder / "tensorboard"))
        for name, value in values.items():
            self._board.add_scalar(name, value, self.progress.step)

    def save(self) -> Path:
        """Write a checkpoint under a temporary name, rename it, and keep the last two."""
        path = self.folder / f"step_{self.progress.step:07d}"
        if not self.accelerator.is_main_process:
            return path
        temporary = self.folder / f".{path.name}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        save_file(_contiguous(self.model.state_dict()), temporary / "model.safetensors")
        self.ema.store(self.model.parameters())
        self.ema.copy_to(self.model.parameters())
        save_file(_contiguous(self.model.state_dict()), temporary / "ema.safetensors")
        self.ema.restore(self.model.parameters())
        torch.save(self.optimiser.state_dict(), temporary / "optimiser.pt")
        state = {
            "step": self.progress.step,
            "seconds": self.progress.seconds,
            "ema_steps": self.ema.optimization_step,
            "settings": self.model.settings.to_dict(),
            "train": asdict(self.config),
        }
        (temporary / "state.json").write_text(json.dumps(state, indent=1))
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
        for old in checkpoints(self.folder)[:-2]:
            shutil.rmtree(old, ignore_errors=True)
        return path

    def resume(self) -> None:
        """Go on from the newest checkpoint of the folder, if there is one."""
        found = checkpoints(self.folder)
        if not found:
            return
        path = found[-1]
        state = json.loads((path / "state.json").read_text())
        if ModelConfig.from_dict(state["settings"]) != self.model.settings:
            raise CheckpointError(f"{path}: was trained with other model settings; choose another output folder")
        self.model.load_state_dict(load_file(path / "ema.safetensors"))
        self.ema.shadow_params = [p.detach().clone() for p in self.model.parameters()]
        self.model.load_state_dict(load_file(path / "model.safetensors"))
        self.optimiser.load_state_dict(torch.load(path / "optimiser.pt", weights_only=True))
        self.ema.optimization_step = state["ema_steps"]
        self.progress = Progress(state["step"], state["seconds"])
        logger.info("resumed from %s at step %d", path, self.progress.step)


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    return sorted(p for p in folder.glob("step_*") if (p / "state.json").is_file())


def swap_references(batch: Batch) -> Batch:
    """Give each item the references of its neighbour: a model that reads its references must get worse."""
    values: dict[str, Any] = {name: getattr(batch, name) for name in batch.__dataclass_fields__}
    for name in ("reference", "reference_lengths", "reference_mask", "speaker", "emotion", "prosody"):
        values[name] = values[name].roll(1, dims=1)
    return Batch(**values)


def _contiguous(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
