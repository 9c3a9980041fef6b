"""``gradtts-interp train-vocoder``: train a HiFi-GAN, or a generator with a harmonic source, on recordings.

This command, not the package `hifigan`, knows the log-mel and the pitch tracker of gradtts_interp, so that there is
only one of each.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from gradtts_interp.audio import log_mel
from gradtts_interp.config import MelConfig, help_of_settings
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.models.precision import bf16_is_fast
from gradtts_interp.pitch.contour import extract_contour, fill_unvoiced, refine_f0
from gradtts_interp.training.state import stop_signals, tensorboard
from gradtts_interp.vocoder import Vocoder
from hifigan.config import CONFIGS, AnyConfig, HarmonicConfig
from hifigan.data import Corpus
from hifigan.train import CONTEXT_FRAMES, HARMONIC, STATE_FILE, Trainer, TrainingConfig

logger = logging.getLogger(__name__)

MEL = MelConfig()
DEFAULTS = TrainingConfig()
FEATURES = "features"
# Contours found for the recordings of a run, so that a resumed one need not find them again.
CONTOURS = "contours"
FULL_SCALE = 32768.0
BOARD_EVERY = 10
SETTINGS = (
    "batch", "segment", "spectral_rate", "adversarial_rate", "final_rate", "spectral_share", "divisor", "scales",
    "window_channels", "mel_weight", "late_mel_weight", "feature_weight", "stft_weight", "mel_noise", "predicted_share",
    "clip", "ema", "seed",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add(
        "--wavs",
        type=Path,
        required=True,
        help="folder of 22.05 kHz wav or flac files, a manifest, or a corpus folder; a generator with a harmonic "
        "source starts from the F0 of the corpus's features, which is tracked where there are none",
    )
    add("--mels", type=Path, help="folder of 'gradtts-interp predict-mels': a share of the batch is given these mels")
    add("--out", type=Path, required=True, help="folder of the run; an earlier run in it is resumed")
    add("--config", choices=sorted(CONFIGS), default="demo", help="shape of the generator")
    add(
        "--start-from",
        type=Path,
        help="vocoder to train further, a folder of ours or an official generator file; it gives the shape too",
    )
    add("--seconds", type=float, help="budget: seconds of training over all resumptions")
    add("--steps", type=int, help="budget: steps over all resumptions")
    add("--save-every", type=float, default=180.0, help="seconds between checkpoints")
    add("--device", default="cpu", help="cpu, cuda, cuda:1, …")
    add("--threads", type=int, default=1, help="CPU threads")
    add(
        "--refinement-rounds",
        type=int,
        default=0,
        help="rounds of phase refinement the exported vocoder asks for; 32 helps a generator trained for an hour",
    )
    texts = help_of_settings(TrainingConfig)
    for name in SETTINGS:
        plain, harmonic = getattr(DEFAULTS, name), getattr(HARMONIC, name)
        shown = f"{harmonic:g}" if plain in (harmonic, None) else f"{plain:g}, harmonic {harmonic:g}"
        kind = int if isinstance(harmonic, int) else float
        add("--" + name.replace("_", "-"), type=kind, help=f"{texts[name]} (default: {shown})")
    add("--windows", type=int, nargs="+", help="points of the discriminators by spectrogram")
    add("--float32", action="store_true", help="compute convolutions in float32 even where the hardware has bfloat16")


def run(args: argparse.Namespace) -> int:
    """Train.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status: 0 at the end of the budget, 128 + its number after a signal.

    Raises:
        InputError: No budget, no usable recordings, a run of another shape in the folder, or losses not finite.
    """
    if not args.seconds and not args.steps:
        raise InputError("give a budget: --seconds or --steps")
    torch.set_num_threads(args.threads)
    try:
        return _train(build_trainer(args), args)
    except (ValueError, FloatingPointError) as error:
        raise InputError(str(error)) from error


def build_trainer(args: argparse.Namespace) -> Trainer:
    """Make the trainer, resumed when the run's folder holds a state."""
    names = {field.name for field in dataclasses.fields(TrainingConfig)} - {"generator"}
    settings = {name: value for name, value in vars(args).items() if name in names and value is not None}
    if args.windows is not None:
        settings["windows"] = tuple(args.windows)
    source = None
    if args.start_from is not None:
        read = Vocoder.from_pretrained if args.start_from.is_dir() else Vocoder.from_official
        source = read(args.start_from)
        source.mel_config.require_same(MEL, str(args.start_from), "this training")
    generator: AnyConfig = source.generator.config if source else CONFIGS[args.config]
    harmonic = isinstance(generator, HarmonicConfig)
    defaults = HARMONIC if harmonic else DEFAULTS
    bfloat16 = not args.float32 and bf16_is_fast(torch.device(args.device))
    config = dataclasses.replace(defaults, generator=generator, bfloat16=bfloat16, **settings)
    shortest = config.segment + 2 * CONTEXT_FRAMES * generator.hop_samples
    corpus = Corpus(
        args.wavs,
        sample_rate_hz=MEL.sample_rate_hz,
        shortest=shortest,
        mels=args.mels,
        hop=generator.hop_samples,
        contour_of=partial(read_contour, config=MEL, cache=args.out / CONTOURS) if harmonic else None,
    )
    values = (corpus.hours, len(corpus.held_out), len(corpus.paired))
    logger.info("%.2f h of speech, %d recordings held out, %d with a predicted mel", *values)
    limits = {"budget": (args.steps, args.seconds), "device": args.device}
    trainer = Trainer(config, corpus, mel_function=partial(log_mel, config=MEL), **limits)
    if (args.out / STATE_FILE).exists():
        trainer.load(args.out)
        logger.info("resumed at step %d", trainer.step_number)
    elif source is not None:
        trainer.start_from(source.generator.state_dict())
    return trainer


def read_contour(
    path: Path, samples: NDArray[np.int16], *, config: MelConfig, cache: Path | None = None
) -> NDArray[np.float32] | None:
    """Read the contour of a recording from the features beside it, or track it where there is no such folder.

    What a corpus has is the contour that its teacher was asked for; it is moved onto the pitch that the recording has,
    so that every harmonic of the source meets one of the recording.

    Args:
        path: The recording; in a corpus ``wavs/NAME.wav``, with ``features/NAME.npz`` beside ``wavs``.
        samples: Its samples (N,).
        config: The mel contract.
        cache: Folder of contours found before, ``NAME.npy``; what is found now is added.

    Returns:
        F0 in Hz, > 0 everywhere, and voicing, 0 or 1, (2, T), float32; None while a corpus that is being built has no
        features of it.

    Raises:
        InputError: The features hold no contour.
    """
    kept = None if cache is None else cache / f"{path.stem}.npy"
    if kept is not None and kept.is_file():
        return np.load(kept, allow_pickle=False)
    folder = path.parent.parent / FEATURES
    audio = samples.astype(np.float64) / FULL_SCALE
    if folder.is_dir():
        features = folder / f"{path.stem}.npz"
        if not features.is_file():
            return None
        asked_hz, voiced = _read_features(features)
        f0_hz = refine_f0(audio, fill_unvoiced(asked_hz, voiced), voiced, config)
    else:
        contour = extract_contour(audio, config)
        f0_hz, voiced = contour.f0_hz, contour.voiced
    found = np.stack([f0_hz, voiced.astype(np.float32)])
    if kept is not None:
        with atomic_path(kept) as temporary:
            np.save(temporary, found)
    return found


def _read_features(path: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return F0 and voicing (T,) of an item of a corpus."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            f0_hz, voiced = arrays["f0_hz"].astype(np.float64), arrays["voiced"].astype(bool)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} holds no contour: {error}; expected f0_hz and voiced (T,)") from error
    if f0_hz.ndim != 1 or f0_hz.shape != voiced.shape:
        raise InputError(f"{path} holds f0_hz {f0_hz.shape} and voiced {voiced.shape}; expected one shape (T,)")
    return f0_hz, voiced & np.isfinite(f0_hz) & (f0_hz > 0)


def _train(trainer: Trainer, args: argparse.Namespace) -> int:
    board = tensorboard(args.out / "tensorboard")

    def on_step(step: int, report: dict[str, float]) -> None:
        trainer.stopping = bool(received)
        shown = {name: f"{value:.2f}" for name, value in report.items() if name != "skipped"}
        bar.set_postfix(shown, refresh=False)
        bar.update(round(trainer.share * 1000) - bar.n)
        if board and step % BOARD_EVERY == 0:
            for name, value in report.items():
                board.add_scalar(f"loss/{name}", value, step)

    def on_save(trainer: Trainer, found: dict[str, float]) -> None:
        vocoder = Vocoder.from_generator(trainer.averaged, MEL, refinement_rounds=args.refinement_rounds)
        vocoder.save_pretrained(args.out / "vocoder")
        logger.info("step %d, %.0f s: held out %s", trainer.step_number, trainer.seconds, found)
        if board:
            for name, value in found.items():
                board.add_scalar(f"held_out/{name}", value, trainer.step_number)

    with (
        stop_signals() as received,
        tqdm(total=1000, initial=round(trainer.share * 1000), unit="‰", mininterval=10) as bar,
    ):
        trainer.run(args.out, save_every_seconds=args.save_every, on_step=on_step, on_save=on_save)
    return 128 + received[-1] if received else 0
