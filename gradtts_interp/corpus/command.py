"""The command ``gradtts-interp corpus build``."""

from __future__ import annotations

import argparse
import dataclasses
import logging
from pathlib import Path

from gradtts_interp.corpus.build import build_corpus
from gradtts_interp.corpus.plan import BuildSettings

logger = logging.getLogger(__name__)

_HELP = {
    "seed": "same seed, same corpus",
    "sentences": "distinct training sentences",
    "held_out": "distinct test sentences",
    "bank_utterances": "utterances per speaker and emotion",
    "grid": "utterances of free combinations of voice and pitch style",
    "blends": "utterances between two styles",
    "voices": "continuous voices beside the speakers'",
    "pitches": "continuous pitch styles",
    "test_voices": "held-out voices",
    "test_pitches": "held-out pitch styles",
    "test_utterances": "utterances per held-out voice and pitch style",
    "valid_share": "share of training items set apart for validation, 0 to 1",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``build`` with its options to a parser.

    Args:
        parser: Parser of ``gradtts-interp corpus``.
    """
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="speak, analyse and render the demo corpus (needs flite)")
    build.add_argument("--out", type=Path, required=True, help="folder of the corpus; a stopped build goes on there")
    build.add_argument("--jobs", type=int, default=None, help="processes (default: all cores)")
    build.add_argument("--quiet", action="store_true", help="no progress bars")
    for f in dataclasses.fields(BuildSettings):
        option = "--" + f.name.replace("_", "-")
        text = f"{_HELP[f.name]} (default: %(default)s)"
        build.add_argument(option, type=type(f.default), default=f.default, help=text)


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status 0.
    """
    values = {f.name: getattr(args, f.name) for f in dataclasses.fields(BuildSettings)}
    manifest = build_corpus(args.out, BuildSettings(**values), jobs=args.jobs, progress=not args.quiet)
    logger.info("wrote %s", manifest)
    return 0
