"""``gradtts-interp evaluate``: measure recordings and blends, and write a report."""

from __future__ import annotations

import argparse

from gradtts_interp.cli import evaluate_files, evaluate_grid, evaluate_responses

COMMANDS = {
    "contours": (evaluate_files, "compare a synthesis with its reference"),
    "pair": (evaluate_files, "measure a blend against its styles A and B"),
    "corpus": (evaluate_files, "compare many pairs of a manifest"),
    "voice": (evaluate_files, "describe voices: pitch, vocal tract, gender and age"),
    "responses": (evaluate_responses, "fit a psychometric function to listeners' answers"),
    "interpolation": (evaluate_grid, "render a grid of blends with all baselines, and measure it"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands and their flags on a parser."""
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        described = text[0].upper() + text[1:] + "."
        module.add_arguments(name, commands.add_parser(name, help=text, description=described))


def run(args: argparse.Namespace) -> int:
    """Run the chosen command; its exit status is 0 done, 1 some items failed."""
    return COMMANDS[args.command][0].run(args)
