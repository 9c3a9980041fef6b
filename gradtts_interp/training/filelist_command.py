"""``gradtts-interp filelist``: filelists for training from a public corpus as it lies on disk."""

from __future__ import annotations

import argparse
import logging

from gradtts_interp.training.layouts import LAYOUTS, write_filelists

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("corpus", help="folder of the corpus")
    parser.add_argument("--layout", required=True, choices=sorted(LAYOUTS), help="how it is laid out")
    parser.add_argument("--out", default=".", help="folder of train.txt, valid.txt and speakers.json")
    parser.add_argument("--valid-share", type=float, default=0.02, help="share set apart for validation, 0 to 1")


def run(args: argparse.Namespace) -> int:
    """Write the lists; return exit status 0."""
    found = write_filelists(args.corpus, args.layout, args.out, valid_share=args.valid_share)
    if found.missing:
        logger.warning("%s: %d transcribed recordings have no audio and are left out", args.corpus, found.missing)
    counts = (found.train, found.valid, len(found.speakers), args.out)
    logger.info("%d lines for training, %d for validation, %d speakers, in %s", *counts)
    return 0
