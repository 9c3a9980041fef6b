"""``gradtts-interp completion``: what a shell needs to complete verbs, flags and choices."""

from __future__ import annotations

import argparse

import shtab

from gradtts_interp.cli.main import make_parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Print a completion script.\n\n"
        "  bash: gradtts-interp completion bash > ~/.local/share/bash-completion/completions/gradtts-interp\n"
        "  zsh:  gradtts-interp completion zsh > a folder of $fpath, as _gradtts-interp"
    )
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="which shell")


def run(args: argparse.Namespace) -> int:
    """Print the script.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status 0.
    """
    print(shtab.complete(make_parser(every_verb=True)[0], args.shell))
    return 0
