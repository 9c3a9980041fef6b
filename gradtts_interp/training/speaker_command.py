"""``gradtts-interp train-speaker-encoder``: train the encoder of timbre that the evaluation uses."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from gradtts_interp.evaluation.speakers import SpeakerEncoder
from gradtts_interp.training.speakers import SpeakerTraining, load_split, score_speaker_net, train_speaker_net

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--corpus", required=True, help="folder made by 'gradtts-interp corpus build'")
    parser.add_argument("--out", required=True, help="folder of the encoder")
    parser.add_argument("--seconds", type=float, default=240.0, help="time of training")
    parser.add_argument("--batch-size", type=int, default=48, help="crops in a batch")
    parser.add_argument("--held-out-pitches", type=int, default=12, help="pitch styles that never train, for scores")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws")


def run(args: argparse.Namespace) -> int:
    """Train, score and write; return exit status 0."""
    torch.set_num_threads(args.threads)
    config = SpeakerTraining(args.seconds, args.batch_size, args.held_out_pitches, args.seed)
    split = load_split(args.corpus, held_out_pitches=config.held_out_pitches)
    encoder = SpeakerEncoder(train_speaker_net(split.train, config))
    encoder.save_pretrained(Path(args.out))
    parts = {
        "unseen pitch styles": split.unseen_pitch,
        "held-out sentences": [u for u in split.test if u.voice in encoder.settings.voices],
        "held-out voices": [u for u in split.test if u.voice not in encoder.settings.voices],
    }
    for name, items in parts.items():
        scores = ", ".join(f"{key} {value:.4g}" for key, value in score_speaker_net(encoder.net, items).items())
        logger.info("%s: %s", name, scores)
    return 0
