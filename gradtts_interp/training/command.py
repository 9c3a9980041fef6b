"""``gradtts-interp train``: train an acoustic model on a built corpus, or on recordings of one's own."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

import torch

from gradtts_interp.config import ModelConfig, StyleConfig, add_settings
from gradtts_interp.errors import InputError
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.precision import bf16_is_fast, keep_freed_memory
from gradtts_interp.training.data import EMOTIONS, Item, load_items
from gradtts_interp.training.filelist import load_filelist
from gradtts_interp.training.loop import TrainConfig, Trainer
from gradtts_interp.training.mix import MixConfig, Mixer, parse_mix
from gradtts_interp.training.state import (
    PARTS,
    SCORE,
    SCORE_FIELDS,
    add_speakers,
    model_from_checkpoint,
    n_speakers,
    renew_score_network,
)

logger = logging.getLogger(__name__)

TRAIN_OPTIONS = (
    "steps", "seconds", "batch_size", "accumulate", "learning_rate", "adversarial", "seed", "workers",
    "validate_every", "sample_every",
)  # fmt: skip

STYLE = StyleConfig(n_speakers=16, emotion_dim=len(EMOTIONS))
DEMO = ModelConfig(
    dec_dim=64,
    patch=2,
    prediction="v",
    prior="frame",
    n_enc_channels=128,
    filter_channels=512,
    n_enc_layers=4,
    mel_mean=-7.3,
    mel_std=3.2,
    add_blank=False,
    word_boundaries=True,
    style=STYLE,
)
PRESETS = {
    "demo": DEMO,
    "prior": replace(DEMO, dec_dim=0),
    "base": replace(DEMO, patch=1, n_enc_channels=192, filter_channels=768, n_enc_layers=6),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--corpus", help="folder made by 'gradtts-interp corpus build'")
    source.add_argument("--filelist", help="recordings of your own: lines path|text|speaker[|emotion]")
    parser.add_argument("--valid", help="filelist of recordings for validation, with --filelist")
    parser.add_argument("--out", required=True, help="folder of the run; an interrupted run there is resumed")
    parser.add_argument(
        "--start-from", help="checkpoint folder to begin from (fine-tuning); new speakers get numbers after its own"
    )
    parser.add_argument(
        "--only",
        choices=sorted([*PARTS, SCORE]),
        default="",
        help="train these parts alone, all else staying as it is",
    )
    parser.add_argument(
        "--score-network",
        nargs="*",
        metavar="NAME=VALUE",
        help=f"begin the score network of --start-from anew, around its frame prior; names: {', '.join(SCORE_FIELDS)}",
    )
    parser.add_argument(
        "--keep-mean",
        action="store_true",
        help="with --only score: learn to vary around the prior's mean, and not to move it to that of the recordings, "
        "as the score network of --start-from does",
    )
    add_settings(parser, TrainConfig, TRAIN_OPTIONS)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="demo", help="size of a model that starts anew")
    add_settings(parser, MixConfig, ["length_buckets"])
    parser.add_argument(
        "--mix",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="shares and dropouts of the training mix, such as matched=0.4 blend=0.3 drop_prosody=0.15",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "no", "bf16", "fp16"),
        default="auto",
        help="mixed precision; auto is bf16 where the hardware multiplies it, and no elsewhere, where bf16 takes much "
        "longer (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--save-every", type=float, default=300.0, help="seconds between checkpoints")


def run(args: argparse.Namespace) -> int:
    """Train.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status: 0 at the end of the run, 128 + its number after a signal.

    Raises:
        InputError: A setting or the data cannot be used.
    """
    if args.threads:
        torch.set_num_threads(args.threads)
    keep_freed_memory()
    config = _train_config(args)
    model, items = _read_data(args)
    settings = model.settings
    # Short recordings of one's own are padded; the built corpus has enough long ones to leave those out.
    shortest = config.mix.crop_frames if args.corpus and config.only not in PARTS else 0
    long = [i for i in items if i.frames >= shortest]
    train = [i for i in long if i.split == "train"]
    if not train:
        raise InputError(f"none of {len(items)} items has {shortest} frames or more to train on")
    mixer, valid = Mixer(train, config.mix, settings.mel, seed=args.seed), None
    if len(train) < len(long):
        valid = Mixer(long, config.mix, settings.mel, seed=args.seed, target_split="valid")
    trainer = Trainer(model, mixer, config, Path(args.out), valid=valid)
    trainer.train()
    return 128 + trainer.stopped_by if trainer.stopped_by else 0


def _train_config(args: argparse.Namespace) -> TrainConfig:
    if args.steps <= 0 or args.batch_size <= 0:
        raise InputError(f"steps {args.steps}, batch size {args.batch_size}: expected numbers > 0")
    if args.validate_every <= 0 or args.sample_every < 0:
        every = f"validate every {args.validate_every}, sample every {args.sample_every} steps"
        raise InputError(f"{every}: expected numbers > 0, or 0 samples")
    if not 0 <= args.adversarial < float("inf"):
        raise InputError(f"--adversarial {args.adversarial:g}: expected a weight of 0 or more")
    if args.workers < 0:
        raise InputError(f"workers {args.workers}: expected 0 or more processes")
    if args.valid and not args.filelist:
        raise InputError(f"--valid {args.valid} goes with --filelist; a built corpus has a split of its own")
    precision = args.precision
    if precision == "auto":
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        precision = "bf16" if bf16_is_fast(device) else "no"
    return TrainConfig(
        **{name: getattr(args, name) for name in TRAIN_OPTIONS},
        mix=replace(parse_mix(args.mix), length_buckets=args.length_buckets),
        mixed_precision=precision,
        only=args.only,
        keep_mean=args.keep_mean,
        save_every_seconds=args.save_every,
    )


def _read_data(args: argparse.Namespace) -> tuple[GradTTS, list[Item]]:
    """The model to train, with a row for each speaker, and the items of both splits."""
    if args.score_network is not None and not args.start_from:
        raise InputError("--score-network goes with --start-from; a model that starts anew has a new one")
    if args.keep_mean and (args.score_network is not None or not args.start_from):
        raise InputError(
            "--keep-mean goes with --start-from and without --score-network; a new network has learnt no mean"
        )
    source = model_from_checkpoint(args.start_from) if args.start_from else None
    torch.manual_seed(args.seed)
    if source is not None and args.score_network is not None:
        source = renew_score_network(source, args.score_network)
    settings = source.settings if source is not None else PRESETS[args.preset]
    if args.corpus:
        items = load_items(args.corpus, ("train", "valid"), add_blank=settings.add_blank)
        return source or GradTTS(settings.to_dict()), items
    cache = Path(args.out) / "features"
    items = load_filelist(args.filelist, settings, cache=cache)
    if args.valid:
        items += load_filelist(args.valid, settings, cache=cache, split="valid")
    speakers = max(item.styles[0].speaker for item in items) + 1
    if source is None:
        return GradTTS(replace(settings, style=replace(STYLE, n_speakers=speakers)).to_dict()), items
    known = n_speakers(source)
    logger.info("speakers %d to %d are new, those before them are of %s", known, known + speakers - 1, args.start_from)
    moved = [replace(i, styles=tuple(replace(s, voice=f"s{s.speaker + known}") for s in i.styles)) for i in items]
    return add_speakers(source, speakers), moved
