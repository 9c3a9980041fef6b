"""The commands ``gradtts-interp corpus build``, ``corpus texts`` and ``corpus stats``."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from pathlib import Path

from gradtts_interp.config import add_settings
from gradtts_interp.corpus.build import build_corpus
from gradtts_interp.corpus.plan import BuildSettings, load_entries, write_texts
from gradtts_interp.corpus.statistics import FIELDS, corpus_statistics, tables_of, write_statistics

logger = logging.getLogger(__name__)

SETTINGS = [field.name for field in dataclasses.fields(BuildSettings)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``build``, ``texts`` and ``stats`` with their options to a parser.

    Args:
        parser: Parser of ``gradtts-interp corpus``.
    """
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser(
        "build", help="render the demo corpus (needs the extra corpus and the teacher's packages)"
    )
    build.add_argument("--out", type=Path, required=True, help="folder of the corpus; a stopped build goes on there")
    build.add_argument("--first", type=int, default=0, metavar="N", help="leave out the first N items of the plan")
    build.add_argument("--jobs", type=int, default=None, help="processes (default: all cores)")
    build.add_argument("--quiet", action="store_true", help="no progress bars")
    add_settings(build, BuildSettings, SETTINGS)
    actions.add_parser("texts", help="choose the sentences anew from WordNet (Debian's wordnet-base), into the package")
    stats = actions.add_parser("stats", help="hours, speakers, phones and prosody of a corpus, as tables and plots")
    stats.add_argument("corpus", type=Path, help="corpus folder, or a manifest (.jsonl or .jsonl.xz)")
    stats.add_argument("--out", type=Path, help="folder of statistics.md and statistics.png (default: the corpus)")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status 0.
    """
    if args.action == "stats":
        return _stats(args)
    if args.action == "texts":
        write_texts()
        return 0
    settings = BuildSettings(**{name: getattr(args, name) for name in SETTINGS})
    manifest = build_corpus(args.out, settings, first=args.first, jobs=args.jobs, progress=not args.quiet)
    logger.info("wrote %s", manifest)
    return 0


def _stats(args: argparse.Namespace) -> int:
    found = corpus_statistics(load_entries(args.corpus, fields=FIELDS))
    out = args.out or (args.corpus if args.corpus.is_dir() else args.corpus.parent)
    tables, picture = write_statistics(found, out)
    sys.stdout.write(tables_of(found))
    logger.info("wrote %s and %s", tables, picture)
    return 0
