"""``gradtts-interp evaluate``: measure recordings and blends, and write a report."""

from __future__ import annotations

import argparse
import importlib

COMMANDS = {
    "contours": ("gradtts_interp.cli.evaluate_files", "compare a synthesis with its reference"),
    "pair": ("gradtts_interp.cli.evaluate_files", "measure a blend against its styles A and B"),
    "corpus": ("gradtts_interp.cli.evaluate_files", "compare many pairs of a manifest"),
    "voice": ("gradtts_interp.cli.evaluate_files", "describe voices: pitch, vocal tract, gender and age"),
    "responses": ("gradtts_interp.cli.evaluate_responses", "fit a psychometric function to listeners' answers"),
    "interpolation": ("gradtts_interp.cli.evaluate_grid", "render a grid of blends with all baselines, and measure it"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands and their flags on a parser."""
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", formatter_class=argparse.HelpFormatter
        )
        importlib.import_module(module).add_arguments(name, command)


def run(args: argparse.Namespace) -> int:
    """Run the chosen command; its exit status is 0 done, 1 some items failed."""
    module, _ = COMMANDS[args.command]
    return importlib.import_module(module).run(args)
