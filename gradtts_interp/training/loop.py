"""The training loop: accelerate around it, atomic checkpoints under it, the same data on any number of processes."""

from __future__ import annotations

import copy
import json
import logging
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path, write_json
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.training import state
from gradtts_interp.training.losses import Diffusion, Losses, draw_diffusion, training_losses
from gradtts_interp.training.mix import KINDS, Batch, MixConfig, Mixer
from gradtts_interp.training.predicted_mels import SAMPLE_STEPS, draw, sample_draws
from gradtts_interp.training.state import PARTS, SCORE, SPEAKER_ROWS, parameters_to_train, stop_signals
from hifigan.discriminators import PictureDiscriminator

logger = logging.getLogger(__name__)

LOG_FILE, LOG_EVERY = "log.jsonl", 50
CHANNELS, DISCRIMINATOR_BETAS = 32, (0.5, 0.9)
DISCRIMINATOR_RATE = 0.25
"""Learning rate of the discriminator of mels, as a share of the model's."""
LOSSES = ("duration", "prior", "diffusion", "pitch", "alignment", "adversarial", "discriminator")
FIGURES = (*LOSSES, "residual")
PATIENCE = 20
"""Steps in a row without a finite loss and gradient before a run gives up."""

VALIDATION_STEP, VALIDATION_BATCHES = 10**9, 2
"""Validation draws are those of steps that no run reaches."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run.

    Attributes:
        batch_size: Items of the global batch, over all processes.
        accumulate: Parts of the global batch that are worked through in turn, which takes less memory.
        learning_rate: Peak rate of AdamW.
        warmup_steps: Steps of linear rise.
        final_rate: The rate falls along a cosine to this part of its peak.
        steps: Steps of the whole run.
        seconds: If given, the run ends after this many seconds of stepping, resumed parts included, and the rate falls
            with time spent instead of steps made.
        weight_decay: AdamW's.
        clip: Largest gradient norm.
        ema_decay: Of the averaged weights, which are the ones shipped.
        save_every_seconds: Between checkpoints.
        validate_every: Steps between validations.
        sample_every: Steps between pictures of a sample; 0 for none.
        mixed_precision: ``no``, ``bf16`` or ``fp16``.
        seed: Of data, noise and initial weights.
        workers: Processes that draw batches ahead of the step; 0 draws each when it is needed.
        mix: The training mix.
        only: A key of :data:`~gradtts_interp.training.state.PARTS`, or
            :data:`~gradtts_interp.training.state.SCORE`, that is trained alone, all else staying as it is; "" for all.
        adversarial: With a frame prior or the score network around it trained alone (--only prior, --only score):
            weight of the scores of a discriminator that is trained beside it, so that mels do not blur; 0 for none.
        keep_mean: With the score network trained alone: learn to vary around the prior's mean, and not to move it to
            that of the recordings, as the score network of the beginning would.
    """

    batch_size: int = 8
    accumulate: int = 1
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
    sample_every: int = 1000
    mixed_precision: str = "bf16"
    seed: int = 0
    workers: int = 0
    mix: MixConfig = field(default_factory=MixConfig)
    only: str = ""
    adversarial: float = 0.0
    keep_mean: bool = False


def rate_factor(step: int, done: float, config: TrainConfig) -> float:
    """Factor on the learning rate: linear rise, cosine fall over the part of the run that is done, in [0, 1]."""
    rise = min((step + 1) / max(config.warmup_steps, 1), 1.0)
    fall = 0.5 * (1 + math.cos(math.pi * done))
    return rise * (config.final_rate + (1 - config.final_rate) * fall)


class LossModule(nn.Module):
    """Losses as a forward pass, so that data-parallel wrappers see it."""

    def __init__(self, model: GradTTS, adversarial: float = 0.0, *, keep_mean: bool = False) -> None:
        super().__init__()
        self.model, self.adversarial = model, adversarial
        self.discriminator = PictureDiscriminator(CHANNELS) if adversarial else None
        self.beginning = copy.deepcopy(model).requires_grad_(False) if keep_mean else None

    def forward(self, batch: Batch, diffusion: Diffusion | None) -> Losses:
        """Losses of one batch."""
        return training_losses(
            self.model,
            batch,
            diffusion,
            discriminator=self.discriminator,
            weight=self.adversarial,
            beginning=self.beginning and self.beginning.eval(),  # whatever the mode of the model
        )


Draw = tuple[Batch, Diffusion | None]


class Draws(Dataset[list[list[Draw]]]):
    """What one process trains on; a pure function of the step, so that worker processes may draw it ahead.

    Args:
        mixer: Training examples.
        config: Settings of the run.
        offset: First item of this process within the global batch.
        size: Its items.
    """

    def __init__(self, mixer: Mixer, config: TrainConfig, *, offset: int, size: int) -> None:
        self.mixer, self.config, self.offset, self.size = mixer, config, offset, size

    def of_step(self, step: int) -> list[Draw]:
        """Draws of a step, one for each part of this process's batch; no noise if the score network is not trained."""
        config, size = self.config, self.size // self.config.accumulate
        shape, drawn = (self.mixer.mel.n_mels, config.mix.crop_frames), []
        for offset in range(self.offset, self.offset + self.size, size):
            place = {"size": size, "offset": offset, "of": config.batch_size}
            noise = None if config.only in PARTS else draw_diffusion(config.seed, step, shape=shape, **place)
            drawn.append((self.mixer.batch(step, **place), noise))
        return drawn

    def __getitem__(self, window: int) -> list[list[Draw]]:
        """Draws of the steps that are sorted by length together, of which one worker draws all."""
        steps = self.config.mix.length_buckets
        return [self.of_step(step) for step in range(window * steps, (window + 1) * steps)]

    def stream(self, step: int) -> Iterator[list[Draw]]:
        """Draws of a step and of all after it."""
        if not self.config.workers:
            yield from map(self.of_step, count(step))  # and never ends
        windows, into = divmod(step, self.config.mix.length_buckets)
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=count(windows),  # type: ignore[arg-type]
            num_workers=self.config.workers,
            worker_init_fn=_leave_stopping_to_the_trainer,
        )
        yield from islice(chain.from_iterable(loader), into, None)


def _leave_stopping_to_the_trainer(worker: int) -> None:
    """Let Ctrl-C, which reaches all processes of a terminal, end the step in hand and not the workers."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Trainer:
    """Trains a model on a corpus; stops and resumes anywhere.

    Data, times and noise depend on seed, step and place in the global batch alone, so that any number of processes
    sees the same; only dropout is drawn anew for each process.

    Args:
        model: Model with a style encoder.
        mixer: Training examples.
        config: Settings of the run.
        folder: Folder of the run; the newest checkpoint in it is resumed.
        valid: Examples for validation; the training mixer's own, far from what training draws, when None.

    Attributes:
        step: Steps made.
        seconds: Seconds of stepping spent.
        stopped_by: Number of the signal that ended :meth:`train` early, else None.

    Raises:
        InputError: The batch cannot be divided among the processes, the model has no such part to be trained alone,
            or none that a discriminator could judge.
        CheckpointError: The run in ``folder`` has other settings.
    """

    def __init__(
        self, model: GradTTS, mixer: Mixer, config: TrainConfig, folder: str | Path, *, valid: Mixer | None = None
    ) -> None:
        self.config, self.mixer, self.folder = config, mixer, Path(folder)
        # On fixed noise, a batch at once.
        fixed = replace(config, seed=0, accumulate=1)
        self.valid = Draws(valid or mixer, fixed, offset=0, size=config.batch_size)
        self.accelerator = Accelerator(mixed_precision=config.mixed_precision, cpu=not torch.cuda.is_available())
        processes = self.accelerator.num_processes
        if config.accumulate < 1 or config.batch_size % (processes * config.accumulate):
            parts = f"{processes} processes, {config.accumulate} parts each"
            raise InputError(f"batch size {config.batch_size} cannot be divided among {parts}")
        size = config.batch_size // processes
        self.draws = Draws(mixer, config, offset=size * self.accelerator.process_index, size=size)
        self.step, self.seconds, self.failures = 0, 0.0, 0
        self.stopped_by: int | None = None
        if config.adversarial and config.only not in (SCORE, "prior"):
            raise InputError(f"adversarial {config.adversarial:g}: expected --only prior or --only score, or weight 0")
        if config.adversarial:
            torch.manual_seed(config.seed)  # weights of the discriminator
        if config.keep_mean and config.only != SCORE:
            raise InputError(f"keep mean, with {config.only or 'all'} trained: expected --only score")
        self.loss_module = LossModule(model, config.adversarial, keep_mean=config.keep_mean)
        judge = self.loss_module.discriminator
        groups: list[dict[str, Any]] = [{"params": parameters_to_train(model, config.only)}]
        if judge is not None:
            groups.append(
                {"params": list(judge.parameters()), "betas": DISCRIMINATOR_BETAS, "share": DISCRIMINATOR_RATE}
            )
        optimiser = torch.optim.AdamW(
            groups,
            lr=config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=0.0 if config.only == SPEAKER_ROWS else config.weight_decay,
            fused=True,
        )
        self.step_module, self.optimiser = self.accelerator.prepare(self.loss_module, optimiser)
        self.model = model
        self.ema = EMAModel(model.parameters(), decay=config.ema_decay, use_ema_warmup=True, power=0.8, foreach=True)
        self.ema.to(self.accelerator.device)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.resume()
        if self.accelerator.is_main_process:
            state.cut_log(self.folder / LOG_FILE, self.step)
            self.board = state.tensorboard(self.folder / "tensorboard", self.step)
            write_json(self.folder / "settings.json", model.settings.to_dict())
            write_json(self.folder / "train.json", asdict(config))

    @property
    def done(self) -> float:
        """Part of the run that is done, in [0, 1]."""
        config = self.config
        return min(self.step / config.steps if config.seconds is None else self.seconds / config.seconds, 1.0)

    def train(self) -> Path:
        """Train to the end of the run, or to a signal.

        Returns:
            Path of the last checkpoint.

        Raises:
            InputError: :data:`PATIENCE` steps in a row had no finite loss.
        """
        config, start = self.config, self.step
        total = None if config.seconds is not None else config.steps
        bar = tqdm(initial=start, total=total, unit="step", disable=not self.accelerator.is_main_process)
        saved = time.monotonic()
        sums: dict[str, list[float]] = {}
        last_path = self.folder
        draws = self.draws.stream(start)
        with stop_signals() as received, bar:
            while self.done < 1.0 and self.step < config.steps:
                begun = time.monotonic()
                values = self._step(next(draws))
                self._advance(time.monotonic() - begun, received[-1] if received else 0)
                for name, value in values.items():
                    if math.isfinite(value):
                        sums.setdefault(name, []).append(value)
                bar.update()
                bar.set_postfix(loss=f"{sum(values[name] for name in LOSSES):.4f}", rate=f"{values['rate']:.1e}")
                if self.step % LOG_EVERY == 0:
                    self._log({k: sum(v) / len(v) for k, v in sums.items()})
                    sums = {}
                if self.stopped_by is not None:
                    break
                if self.step % config.validate_every == 0:
                    self._log(self.validate())
                if config.sample_every and self.step % config.sample_every == 0 and self.accelerator.is_main_process:
                    self.sample()
                if time.monotonic() - saved > config.save_every_seconds:
                    last_path, saved = self.save(), time.monotonic()
        return self.save() if self.step > start else last_path

    def _advance(self, seconds: float, number: int) -> None:
        """Count a step; all processes agree on its seconds and on whether to stop."""
        self.step += 1
        if self.accelerator.num_processes > 1:
            mine = torch.tensor([seconds, float(number)], device=self.accelerator.device)
            both = self.accelerator.gather(mine[None])
            seconds, number = float(both[:, 0].mean()), int(both[:, 1].max())
        self.seconds += seconds
        self.stopped_by = number or None

    def _step(self, draws: list[Draw]) -> dict[str, float]:
        config, step = self.config, self.step
        rate = config.learning_rate * rate_factor(step, self.done, config)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
        self.step_module.train()
        # Dropout, too, is a function of the step, so that a resumed run equals one that was never stopped.
        torch.manual_seed((config.seed * 1_000_003 + step) * 64 + self.accelerator.process_index)
        parts = [self._part(*draw) for draw in draws]
        figures = [torch.stack([getattr(losses, name).float() for name in FIGURES]) for losses, _ in parts]
        means = self.accelerator.reduce(torch.stack(figures).mean(0), "mean").tolist()
        values = {**dict(zip(FIGURES, means, strict=True)), "rate": rate}
        if not self._update(all(finite for _, finite in parts), values):
            self._count_failure(values)
            return values
        self.failures = 0
        errors = self.accelerator.gather(torch.cat([losses.per_kind for losses, _ in parts]))
        kinds = self.accelerator.gather(torch.cat([batch.kind for batch, _ in draws]).to(errors.device))
        for i, kind in enumerate(KINDS):
            if (kinds == i).any():
                values[f"diffusion/{kind}"] = float(errors[kinds == i].mean())
        for name, site in self.model.attention_sites.items():
            values[f"gate/{name}"] = float(site.gate.detach().abs().mean())
        return values

    def _part(self, batch: Batch, diffusion: Diffusion | None) -> tuple[Losses, bool]:
        """Losses of some items of the global batch, off the graph, and whether they are finite; else no gradients."""
        batch = batch.to(self.accelerator.device)
        with self.accelerator.autocast():
            losses = self.step_module(batch, diffusion)
        finite = bool(self.accelerator.gather(losses.total.detach().isfinite().reshape(1)).all())
        if finite:
            self.accelerator.backward(losses.total / self.config.accumulate)
        return Losses(*(getattr(losses, f.name).detach() for f in fields(Losses))), finite

    def _update(self, finite: bool, values: dict[str, float]) -> bool:
        """Step the optimiser unless a loss or the gradient is not finite; says whether it stepped."""
        if finite:
            values["gradient"] = float(self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip))
            finite = math.isfinite(values["gradient"])
            if self.loss_module.discriminator is not None:
                own = self.accelerator.clip_grad_norm_(self.loss_module.discriminator.parameters(), self.config.clip)
                finite = finite and math.isfinite(float(own))
            if finite or self.accelerator.scaler is not None:  # the scaler of fp16 skips by itself and learns from it
                self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if finite:
            self.ema.step(self.model.parameters())
        return finite

    def _count_failure(self, values: dict[str, float]) -> None:
        self.failures += 1
        shown = ", ".join(f"{name} {value:g}" for name, value in values.items() if name != "rate")
        logger.warning("step %d is skipped, since its loss or gradient is not finite: %s", self.step, shown)
        if self.failures >= PATIENCE:
            raise InputError(
                f"{self.folder}: {self.failures} steps in a row, up to {self.step}, without a finite loss and "
                f"gradient ({shown}); resume with a lower learning rate than {self.config.learning_rate:g}"
            )

    @contextmanager
    def averaged(self) -> Iterator[GradTTS]:
        """The model with averaged weights, in evaluation mode."""
        self.step_module.eval()
        self.ema.store(self.model.parameters())
        self.ema.copy_to(self.model.parameters())
        try:
            yield self.model
        finally:
            self.ema.restore(self.model.parameters())

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Losses of the averaged weights on fixed draws, and the effect of swapping the references."""
        found: dict[str, float] = {}
        with self.averaged(), self.accelerator.autocast():
            for i in range(VALIDATION_BATCHES):
                ((batch, diffusion),) = self.valid.of_step(VALIDATION_STEP + i)
                batch = batch.to(self.accelerator.device)
                losses = self.loss_module(batch, diffusion)
                swapped = self.loss_module(swap_references(batch), diffusion)
                values = {name: getattr(losses, name) for name in FIGURES}
                effect = swapped.prior if diffusion is None else swapped.diffusion
                for name, value in {**values, "swapped": effect}.items():
                    found[f"valid/{name}"] = found.get(f"valid/{name}", 0.0) + float(value) / VALIDATION_BATCHES
        return found

    def sample(self) -> Path | None:
        """Write a picture of what the averaged weights say; a failure is logged and stops nothing."""
        path = self.folder / "samples" / f"step_{self.step:07d}.png"
        try:
            with self.averaged() as model, self.accelerator.autocast():
                samples = sample_draws(model, self.valid.mixer, steps=0 if self.config.only in PARTS else SAMPLE_STEPS)
            with atomic_path(path) as temporary:
                draw(samples, title=f"step {self.step}").savefig(temporary)
            figures = {name: value for drawn in samples for name, value in drawn.figures().items()}
            self._log({name: value for name, value in figures.items() if math.isfinite(value)})
        except Exception as error:  # whatever it is, hours of training are worth more than a picture
            logger.warning("no sample at step %d: %r", self.step, error)
            return None
        return path

    def _log(self, values: dict[str, float]) -> None:
        """Append a line to the log, and the same to tensorboard."""
        if not self.accelerator.is_main_process:
            return
        row = {"step": self.step, "seconds": round(self.seconds, 1)}
        row |= {name: round(value, 6) for name, value in values.items()}
        with open(self.folder / LOG_FILE, "a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        for name, value in values.items():
            if self.board is not None:
                self.board.add_scalar(name, value, self.step)

    def _others(self) -> list[tuple[str, nn.Module]]:
        """What there is beside the model that is kept with it, by name."""
        return [(name, part) for name in state.SOMETIMES if (part := getattr(self.loss_module, name)) is not None]

    def save(self) -> Path:
        """Write a checkpoint, whole or not at all, and keep the last two."""
        path = self.folder / f"step_{self.step:07d}"
        if not self.accelerator.is_main_process:
            return path
        weights = {"model": state.plain(self.model.state_dict())}
        with self.averaged():
            weights["ema"] = state.plain(self.model.state_dict())
        weights |= {name: state.plain(part.state_dict()) for name, part in self._others()}
        values = {
            "step": self.step,
            "seconds": self.seconds,
            "ema_steps": self.ema.optimization_step,
            "settings": self.model.settings.to_dict(),
            "train": asdict(self.config),
        }
        return state.write(path, weights, self.optimiser.state_dict(), values)

    def resume(self) -> None:
        """Go on from the newest checkpoint of the folder, if there is one.

        Raises:
            CheckpointError: It is damaged, or has other settings; the first one that differs is named.
        """
        found = state.checkpoints(self.folder)
        if not found:
            return
        weights, optimiser, values = state.read(found[-1])
        state.require_same_run(found[-1], values, self.model.settings, asdict(self.config))
        self.model.load_state_dict(weights["ema"])
        self.ema.shadow_params = [p.detach().clone() for p in self.model.parameters()]
        self.model.load_state_dict(weights["model"])
        for name, part in self._others():
            part.load_state_dict(weights[name])
        self.optimiser.load_state_dict(optimiser)
        self.ema.optimization_step = values["ema_steps"]
        self.step, self.seconds = values["step"], values["seconds"]
        logger.info("resumed from %s at step %d", found[-1], self.step)


def swap_references(batch: Batch) -> Batch:
    """Give each item the references of its neighbour: a model that reads its references must get worse."""
    names = ("reference", "reference_lengths", "reference_mask", "speaker", "emotion", "prosody")
    return replace(batch, **{name: getattr(batch, name).roll(1, dims=1) for name in names})
