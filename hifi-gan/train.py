"""Train a HiFi-GAN vocoder on a folder of recordings; `python hifi-gan/train.py --help`.

This command, not the package `hifigan`, knows the log-mel of gradtts_interp, so that there is only one.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import signal
import sys
from functools import partial
from pathlib import Path

import torch
from hifigan.config import CONFIGS
from hifigan.data import Corpus
from hifigan.train import CONTEXT_FRAMES, STATE_FILE, Budget, Trainer, TrainingConfig
from tqdm import tqdm

from gradtts_interp.audio import log_mel
from gradtts_interp.config import MelConfig
from gradtts_interp.vocoder import Vocoder

DEFAULTS = TrainingConfig()


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a HiFi-GAN vocoder.", allow_abbrev=False)
    parser.add_argument("--wavs", type=Path, required=True, help="folder of 22.05 kHz wav or flac files, or a manifest")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an earlier run in it is resumed")
    parser.add_argument("--config", choices=sorted(CONFIGS), default="demo", help="shape of the generator")
    parser.add_argument("--seconds", type=float, help="budget: seconds of training over all resumptions")
    parser.add_argument("--steps", type=int, help="budget: steps over all resumptions")
    parser.add_argument("--save-every", type=float, default=180.0, help="seconds between checkpoints")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, …")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    for name, text in (
        ("batch", "segments of a batch"),
        ("segment", "samples of a segment"),
        ("spectral_rate", "learning rate of AdamW without discriminators"),
        ("adversarial_rate", "learning rate of AdamW with discriminators; 0.0002 is as published"),
        ("final_rate", "share of the learning rate left at the end"),
        ("spectral_share", "share of the budget without discriminators"),
        ("divisor", "divides the discriminators' published channels; 1 is as published"),
        ("scales", "discriminators by scale; 3 is as published"),
        ("mel_weight", "weight of the mel distance"),
        ("feature_weight", "weight of the feature distance"),
        ("stft_weight", "weight of the multi-resolution STFT loss; 0 is as published"),
        ("mel_noise", "greatest deviation of the noise on input mels, in nats"),
        ("clip", "greatest gradient norm"),
        ("ema", "decay of the averaged generator"),
        ("seed", "seed of weights and segments"),
    ):
        default = getattr(DEFAULTS, name)
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=type(default), default=default, help=f"{text} (default {default})")
    parser.add_argument("--float32", action="store_true", help="compute convolutions in float32, not bfloat16")
    parsed = parser.parse_args(arguments)
    if not parsed.seconds and not parsed.steps:
        parser.error("give a budget: --seconds or --steps")
    return parsed


def build_trainer(arguments: argparse.Namespace, mel_config: MelConfig) -> Trainer:
    """Make the trainer, resumed when the run's folder holds a state."""
    names = {field.name for field in dataclasses.fields(TrainingConfig)} - {"generator"}
    settings = {name: value for name, value in vars(arguments).items() if name in names}
    generator = CONFIGS[arguments.config]
    config = TrainingConfig(generator=generator, bfloat16=not arguments.float32, **settings)
    shortest = config.segment + 2 * CONTEXT_FRAMES * generator.hop_samples
    corpus = Corpus(arguments.wavs, sample_rate_hz=mel_config.sample_rate_hz, shortest=shortest)
    logging.info("%.2f h of speech, %d recordings held out", corpus.hours, len(corpus.held_out))
    budget = Budget(arguments.steps, arguments.seconds)
    mel_function = partial(log_mel, config=mel_config)
    trainer = Trainer(config, corpus, mel_function=mel_function, budget=budget, device=arguments.device)
    if (arguments.out / STATE_FILE).exists():
        trainer.load(arguments.out)
        logging.info("resumed at step %d", trainer.step_number)
    return trainer


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parsed = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(parsed.threads)
    mel_config = MelConfig()
    try:
        trainer = build_trainer(parsed, mel_config)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    board = _tensorboard(parsed.out)

    def on_step(step: int, report: dict[str, float]) -> None:
        shown = {name: f"{value:.2f}" for name, value in report.items() if name != "skipped"}
        bar.set_postfix(shown, refresh=False)
        bar.update(round(trainer.share * 1000) - bar.n)
        if board and step % 10 == 0:
            for name, value in report.items():
                board.add_scalar(f"loss/{name}", value, step)

    def on_save(trainer: Trainer, found: dict[str, float]) -> None:
        Vocoder.from_generator(trainer.averaged, mel_config).save_pretrained(parsed.out / "vocoder")
        logging.info("step %d, %.0f s: held out %s", trainer.step_number, trainer.seconds, found)
        if board:
            for name, value in found.items():
                board.add_scalar(f"held_out/{name}", value, trainer.step_number)

    def on_signal(*_: object) -> None:
        logging.info("stopping after this step")
        trainer.stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    with tqdm(total=1000, initial=round(trainer.share * 1000), unit="‰", mininterval=10) as bar:
        trainer.run(parsed.out, save_every_seconds=parsed.save_every, on_step=on_step, on_save=on_save)
    return 0


def _tensorboard(folder: Path):  # noqa: ANN202
    """Return a TensorBoard writer, or None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))


if __name__ == "__main__":
    sys.exit(main())
