"""``gradtts-interp train``: train an acoustic model on a built corpus."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from gradtts_interp.config import ModelConfig, StyleConfig
from gradtts_interp.errors import InputError
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.training.data import EMOTIONS, Corpus, load_items
from gradtts_interp.training.loop import TrainConfig, Trainer
from gradtts_interp.training.mix import Mixer

STYLE = StyleConfig(n_speakers=16, emotion_dim=len(EMOTIONS))
DEMO = ModelConfig(
    dec_dim=64,
    patch=2,
    prediction="v",
    n_enc_channels=128,
    filter_channels=512,
    n_enc_layers=4,
    mel_mean=-6.3,
    mel_std=2.25,
    add_blank=False,
    word_boundaries=False,
    style=STYLE,
)
PRESETS = {"demo": DEMO, "base": replace(DEMO, patch=1, n_enc_channels=192, filter_channels=768, n_enc_layers=6)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--corpus", required=True, help="folder made by 'gradtts-interp corpus build'")
    parser.add_argument("--out", required=True, help="folder of the run; an interrupted run there is resumed")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="demo", help="size of the model")
    parser.add_argument("--steps", type=int, default=100_000, help="optimiser steps of the whole run")
    parser.add_argument("--seconds", type=float, help="end after this many seconds of stepping, resumed parts included")
    parser.add_argument("--batch-size", type=int, default=8, help="items of the global batch")
    parser.add_argument("--learning-rate", type=float, default=6e-4, help="peak rate of AdamW")
    parser.add_argument("--precision", choices=("no", "bf16", "fp16"), default="bf16", help="mixed precision")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--seed", type=int, default=0, help="of data, noise and initial weights")
    parser.add_argument("--save-every", type=float, default=300.0, help="seconds between checkpoints")
    parser.add_argument("--validate-every", type=int, default=250, help="steps between validations")


def run(args: argparse.Namespace) -> int:
    """Train; return the exit status."""
    if args.threads:
        torch.set_num_threads(args.threads)
    config = TrainConfig(
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        steps=args.steps,
        seconds=args.seconds,
        mixed_precision=args.precision,
        seed=args.seed,
        save_every_seconds=args.save_every,
        validate_every=args.validate_every,
    )
    if args.steps <= 0 or args.batch_size <= 0:
        raise InputError(f"steps {args.steps}, batch size {args.batch_size}: expected numbers > 0")
    settings = PRESETS[args.preset]
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "settings.json").write_text(json.dumps(settings.to_dict(), indent=1))
    items = load_items(args.corpus, ("train",), add_blank=settings.add_blank)
    corpus = Corpus(items, minimum_frames=config.mix.crop_frames)
    torch.manual_seed(args.seed)
    model = GradTTS(settings.to_dict())
    Trainer(model, Mixer(corpus, config.mix, settings.mel, seed=args.seed), config, out).train()
    return 0
