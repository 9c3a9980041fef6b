"""Training: a warm-up on spectral losses, then adversarial, on one device and within a budget of time or steps."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from hifigan import losses
from hifigan.config import CONFIGS, AnyConfig, HarmonicConfig
from hifigan.data import Corpus, Segments
from hifigan.discriminators import PERIODS, Discriminators
from hifigan.generator import Generator
from hifigan.harmonic import HarmonicGenerator, centre_phase, pulse_train

logger = logging.getLogger(__name__)

# Frames read on either side of a segment so that its mel has no edge in it.
CONTEXT_FRAMES = 2
# The reader of pitch learns from one segment in so many, which is enough for it.
PITCH_EVERY = 3
STATE_FILE = "state.pt"
LOG_FILE = "log.jsonl"
# What a resumed training must share with the one before.
NETWORK_SETTINGS = ("generator", "divisor", "periods", "scales", "windows", "window_channels")
MelFunction = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training; the defaults suit one CPU core, ``divisor=1, scales=3`` is as published.

    Attributes:
        generator: Shape of the generator.
        batch: Segments of a batch.
        segment: Samples of a segment, a multiple of the hop.
        spectral_rate: Learning rate without discriminators, which bears a high one.
        adversarial_rate: Learning rate of both optimizers with discriminators.
        final_rate: Share of a rate left at the end of the budget (cosine).
        rate_warmup_steps: Steps over which the rate rises.
        betas: Momenta of AdamW.
        spectral_share: Share of the budget without discriminators.
        divisor: Divides the discriminators' published channels.
        periods: Periods of the discriminators by period.
        scales: Number of discriminators by scale.
        windows: Points of the transforms of the discriminators by spectrogram.
        window_channels: Channels of their first convolution.
        mel_weight: Weight of the mel distance.
        late_mel_weight: Weight of the mel distance in the second half of what is trained with discriminators; the same
            if None.
        feature_weight: Weight of the feature distance.
        stft_weight: Weight of the multi-resolution STFT loss.
        mel_noise: Greatest deviation of noise put on the recordings' mels, in nats, so that predicted mels decode well.
        predicted_share: Share of a batch that is given predicted mels, where the corpus has such.
        clip: Greatest gradient norm.
        ema: Decay of the averaged generator.
        bfloat16: Compute convolutions in bfloat16.
        seed: Seed of weights and segments.
        patience: Steps in a row with a non-finite loss before giving up.
    """

    generator: AnyConfig = field(default_factory=lambda: CONFIGS["demo"])
    batch: int = 16
    segment: int = 8192
    spectral_rate: float = 2e-3
    adversarial_rate: float = 4e-4
    final_rate: float = 0.1
    rate_warmup_steps: int = 100
    betas: tuple[float, float] = (0.8, 0.99)
    spectral_share: float = 0.25
    divisor: int = 4
    periods: tuple[int, ...] = PERIODS
    scales: int = 0
    windows: tuple[int, ...] = ()
    window_channels: int = 16
    mel_weight: float = 45.0
    late_mel_weight: float | None = None
    feature_weight: float = 2.0
    stft_weight: float = 2.0
    mel_noise: float = 0.0
    predicted_share: float = 0.5
    clip: float = 100.0
    ema: float = 0.999
    bfloat16: bool = True
    seed: int = 0
    patience: int = 20

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


# What a generator with a harmonic source is trained with. It knows periods beforehand, so that spectrograms tell what
# it lacks; and with a mel loss as heavy as HiFi-GAN's the discriminators would say nothing.
HARMONIC = TrainingConfig(
    generator=CONFIGS["harmonic"],
    batch=12,
    segment=16384,
    spectral_rate=1e-3,
    adversarial_rate=3e-4,
    periods=(),
    windows=(2048, 1024, 256),
    mel_weight=10.0,
    late_mel_weight=3.0,
    stft_weight=4.0,
    clip=20.0,
)


Budget = tuple[int | None, float | None]
"""When to end: after so many steps or seconds of training, counted over all resumptions; the first to come."""


def share_of_budget(budget: Budget, step: int, seconds: float) -> float:
    """Return the share of a budget that is used, from 0 to 1."""
    shares = [used / limit for used, limit in zip((step, seconds), budget, strict=True) if limit]
    if not shares:
        raise ValueError("a training needs a number of steps or seconds")
    return min(1.0, max(shares))


class Trainer:
    """A training that can stop after any step and go on as if it had not.

    Args:
        config: Settings.
        corpus: Recordings.
        mel_function: Samples (B, N) to log-mel (B, M, N // hop); the contract of the vocoder lives there alone.
        budget: When to end; schedules follow its share.
        device: Where to compute.
    """

    def __init__(
        self, config: TrainingConfig, corpus: Corpus, *, mel_function: MelFunction, budget: Budget, device: str = "cpu"
    ) -> None:
        if config.segment % config.generator.hop_samples:
            raise ValueError(f"segment {config.segment} is no multiple of the hop {config.generator.hop_samples}")
        torch.manual_seed(config.seed)
        self.config, self.corpus, self.mel, self.budget = config, corpus, mel_function, budget
        self.device = torch.device(device)
        harmonic = isinstance(config.generator, HarmonicConfig)
        self.generator = (HarmonicGenerator if harmonic else Generator)(config.generator).to(self.device)
        spectral = {"resolutions": losses.HARMONIC_RESOLUTIONS, "floor": losses.HARMONIC_FLOOR} if harmonic else {}
        self.stft_loss = partial(losses.stft_loss, **spectral)
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False).eval()
        self.judges = Discriminators(
            config.divisor,
            periods=config.periods,
            scales=config.scales,
            windows=config.windows,
            window_channels=config.window_channels,
        ).to(self.device)
        self.optimizers = {
            name: torch.optim.AdamW(module.parameters(), config.spectral_rate, betas=config.betas, fused=True)
            for name, module in (("generator", self.generator), ("judges", self.judges))
        }
        self.random = torch.Generator().manual_seed(config.seed)
        self.step_number, self.seconds, self.failures = 0, 0.0, 0
        self.stopping = False

    @property
    def share(self) -> float:
        """Share of the budget used."""
        return share_of_budget(self.budget, self.step_number, self.seconds)

    def step(self) -> dict[str, float]:
        """Train on one batch; returns the losses by name, ``skipped`` being 1 when one was not finite."""
        began = time.monotonic()
        adversarial = self.share >= self.config.spectral_share
        self._set_rate(self.config.adversarial_rate if adversarial else self.config.spectral_rate)
        segments = self._batch()
        fake, other = self._generate(segments)
        report, finite = {}, True
        if adversarial:
            loss = self._judges_loss(segments.audio[:, None], fake.detach())
            report["discriminators"] = loss.item()
            finite = self._update("judges", self.judges, loss)
        loss, parts = self._generator_loss(segments, fake, other, adversarial)
        report.update(parts)
        finite = self._update("generator", self.generator, loss) and finite
        if finite:
            self._average()
        self.failures = 0 if finite else self.failures + 1
        if self.failures >= self.config.patience:
            raise FloatingPointError(f"{self.failures} steps in a row with a loss that is not finite; last: {report}")
        self.step_number += 1
        self.seconds += time.monotonic() - began
        return {**report, "skipped": float(not finite)}

    def _batch(self) -> Segments:
        """Return segments (B, N) and their mels (B, M, T): own ones, perhaps with noise, and predicted ones."""
        config, hop = self.config, self.config.generator.hop_samples
        margin = CONTEXT_FRAMES * hop
        n_predicted = round(config.predicted_share * config.batch) if self.corpus.paired else 0
        own = self.corpus.batch(config.batch - n_predicted, config.segment + 2 * margin, self.random)
        audio = own.audio.to(self.device)
        mel = self.mel(audio)[..., CONTEXT_FRAMES:-CONTEXT_FRAMES]
        if self.config.mel_noise:
            level = self.config.mel_noise * torch.rand((len(mel), 1, 1), generator=self.random)
            mel = mel + (level * torch.randn(mel.shape, generator=self.random)).to(self.device)
        audio = audio[:, margin:-margin]
        contour = None if own.contour is None else own.contour[..., CONTEXT_FRAMES:-CONTEXT_FRAMES].to(self.device)
        if not n_predicted:
            return Segments(audio, contour, mel)
        heard = self.corpus.predicted(n_predicted, config.segment // hop, self.random)
        if contour is not None:
            contour = torch.cat([contour, heard.contour.to(contour)])
        audio, mel = (torch.cat(p) for p in ((audio, heard.audio.to(audio)), (mel, heard.mel.to(mel))))
        return Segments(audio, contour, mel)

    def _generate(self, segments: Segments) -> tuple[Tensor, Tensor | None]:
        """Return generated samples (B, 1, N), and where there is a noise source the same (B, N) with other noise."""
        if not isinstance(self.generator, HarmonicGenerator):
            with self._autocast():
                return self.generator(segments.mel).float(), None
        config, (f0_hz, voiced) = self.generator.config, segments.contour.unbind(1)
        start = torch.rand(len(f0_hz), generator=self.random, dtype=torch.float64).to(self.device)
        phase = centre_phase(f0_hz, config.sample_rate_hz, config.hop_samples, start=start)
        pulses = pulse_train(f0_hz, phase, config.sample_rate_hz, config.hop_samples)
        noise = torch.randn((2, *pulses.shape), generator=self.random).to(self.device)
        with self._autocast():
            gains = self.generator.gains(segments.mel, f0_hz, voiced)
        with torch.no_grad():
            other = self.generator.render(gains, pulses, noise[1], segments.mel)
        return self.generator.render(gains, pulses, noise[0], segments.mel)[:, None], other

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16)

    def _judges_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        with self._autocast():
            judgements = self.judges(torch.cat([real, fake]))
        real_half = [(scores.chunk(2)[0].float(), []) for scores, _ in judgements]
        fake_half = [(scores.chunk(2)[1].float(), []) for scores, _ in judgements]
        return losses.discriminator_loss(real_half, fake_half)

    def _generator_loss(
        self, segments: Segments, fake: Tensor, other: Tensor | None, adversarial: bool
    ) -> tuple[Tensor, dict[str, float]]:
        config, audio = self.config, segments.audio
        late = adversarial and self.share >= 0.5 * (1 + config.spectral_share)
        heavy = not late or config.late_mel_weight is None
        mel = self.mel(fake[:, 0])
        distance = functional.l1_loss(mel, self.mel(audio))
        if other is not None:
            # An energy distance as that of the spectra: a plain one asks for what varies least, harmonics for noise.
            distance = distance - functional.l1_loss(mel, self.mel(other))
        parts = {"mel": (config.mel_weight if heavy else config.late_mel_weight) * distance}
        parts["stft"] = config.stft_weight * self.stft_loss(fake[:, 0], audio, other=other)
        if other is not None:
            parts |= self._pitch_loss(segments)
        if adversarial:
            self.judges.requires_grad_(False)
            with self._autocast():
                with torch.no_grad():
                    of_real = self.judges(audio[:, None])
                of_fake = self.judges(fake)
            self.judges.requires_grad_(True)
            parts["adversarial"] = losses.generator_loss(of_fake)
            parts["features"] = config.feature_weight * losses.feature_loss(of_real, of_fake)
        return torch.stack(list(parts.values())).sum(), {name: part.item() for name, part in parts.items()}

    def _pitch_loss(self, segments: Segments) -> dict[str, Tensor]:
        """How far F0 (nats, on voiced frames) and voicing as read from the mel are from the contour."""
        f0_hz, voiced = segments.contour[::PITCH_EVERY].unbind(1)
        with self._autocast():
            log_f0, voicing = self.generator.pitch(segments.mel[::PITCH_EVERY])
        distance = (log_f0 - f0_hz.log()).abs() * voiced
        return {
            "pitch": distance.sum() / voiced.sum().clamp(min=1),
            "voicing": functional.binary_cross_entropy_with_logits(voicing, voiced),
        }

    def _update(self, name: str, module: torch.nn.Module, loss: Tensor) -> bool:
        """Step one optimizer unless the loss or a gradient is not finite; says whether it stepped."""
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = clip_grad_norm_(module.parameters(), self.config.clip)
        finite = bool(torch.isfinite(loss) and torch.isfinite(norm))
        if finite:
            optimizer.step()
        else:
            values = (self.step_number, name, loss.item(), norm.item())
            logger.warning("step %d: %s loss %g, gradient norm %g: skipped", *values)
        return finite

    def _set_rate(self, rate: float) -> None:
        """Raise the rate over the first steps, then lower it by a cosine of the budget's share."""
        config = self.config
        rise = min(1.0, (self.step_number + 1) / max(1, config.rate_warmup_steps))
        fall = config.final_rate + (1 - config.final_rate) * 0.5 * (1 + math.cos(math.pi * self.share))
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate * rise * fall

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged generator, fast at first so that it forgets the random start."""
        decay = min(self.config.ema, (1 + self.step_number) / (10 + self.step_number))
        torch._foreach_lerp_(list(self.averaged.parameters()), list(self.generator.parameters()), 1 - decay)

    @torch.no_grad()
    def validate(self, size: int = 16) -> dict[str, float]:
        """Return mel and STFT distances of the averaged generator on held-out speech, and how well it reads pitch."""
        samples = min(self.corpus.shortest, 32768) // self.config.generator.hop_samples
        segments = self.corpus.validation(size, samples * self.config.generator.hop_samples)
        audio = segments.audio.to(self.device)
        mel = self.mel(audio)
        contour = () if segments.contour is None else segments.contour.to(self.device).unbind(1)
        fake = self.averaged(mel, *contour)[:, 0]
        stft = self.stft_loss(fake, audio)
        found = {"mel_l1": functional.l1_loss(self.mel(fake), mel).item(), "stft": stft.item()}
        if contour:
            f0_hz, voiced = contour
            log_f0, voicing = self.averaged.pitch(mel)
            cents = 1200 / math.log(2) * (log_f0 - f0_hz.log()).abs()[voiced > 0.5]
            found["pitch_cents"] = cents.median().item() if len(cents) else 0.0
            found["voicing_errors"] = ((voicing > 0) != (voiced > 0.5)).float().mean().item()
        return found

    def start_from(self, state: dict[str, Tensor]) -> None:
        """Begin with the weights of a trained generator instead of random ones; the discriminators begin anew.

        Args:
            state: State dict of a generator of the same shape, fused or not.
        """
        if isinstance(self.generator, HarmonicGenerator):
            self.generator.load_state_dict(state)
        else:
            self.generator.load_weights(state)
        self.averaged.load_state_dict(self.generator.state_dict())

    def save(self, folder: Path) -> None:
        """Write the whole state to one file, replaced at once."""
        state = {
            "config": self.config.to_dict(),
            "step": self.step_number,
            "seconds": self.seconds,
            "random": self.random.get_state(),
            "generator": self.generator.state_dict(),
            "averaged": self.averaged.state_dict(),
            "judges": self.judges.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }
        temporary = folder / f".{STATE_FILE}.{os.getpid()}"
        try:
            torch.save(state, temporary)
            os.replace(temporary, folder / STATE_FILE)
        finally:
            temporary.unlink(missing_ok=True)

    def load(self, folder: Path) -> None:
        """Go on from a saved state.

        Args:
            folder: Where ``save`` wrote.

        Raises:
            ValueError: The state belongs to other networks; the message names the first difference. Other settings
                may change from one resumption to the next.
        """
        state = torch.load(folder / STATE_FILE, map_location=self.device, weights_only=True)
        mine = self.config.to_dict()
        for name in NETWORK_SETTINGS:
            before = state["config"].get(name, mine[name])
            if mine[name] != before:
                raise ValueError(f"{folder}: saved with {name} = {before}, now {mine[name]}; choose another folder")
        for name in ("generator", "averaged", "judges"):
            getattr(self, name).load_state_dict(state[name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.random.set_state(state["random"].cpu())
        self.step_number, self.seconds = state["step"], state["seconds"]

    def run(
        self,
        folder: Path,
        *,
        save_every_seconds: float = 180.0,
        on_step: Callable[[int, dict[str, float]], None] | None = None,
        on_save: Callable[[Trainer, dict[str, float]], None] | None = None,
    ) -> None:
        """Train to the end of the budget, saving now and then and reading new recordings when saving.

        Setting ``stopping`` (from a callback or a signal handler) ends it after the step in hand, saved.

        Args:
            folder: Gets the state and ``log.jsonl``.
            save_every_seconds: Seconds between saves.
            on_step: Called with the step number and its losses.
            on_save: Called after each save with this trainer and the validation distances.
        """
        folder.mkdir(parents=True, exist_ok=True)
        last = time.monotonic()
        with open(folder / LOG_FILE, "a", encoding="utf-8") as log:
            while self.share < 1.0:
                report = self.step()
                if on_step:
                    on_step(self.step_number, report)
                line: dict[str, Any] = {"step": self.step_number, "seconds": round(self.seconds, 2), **report}
                over = self.stopping or self.share >= 1.0
                if over or time.monotonic() - last >= save_every_seconds:
                    self.save(folder)
                    line["validation"] = found = self.validate()
                    if on_save:
                        on_save(self, found)
                    logger.info("%d new recordings", self.corpus.refresh())
                    last = time.monotonic()
                log.write(json.dumps(line) + "\n")
                log.flush()
                if over:
                    break
