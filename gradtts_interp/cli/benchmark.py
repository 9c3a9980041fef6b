"""``gradtts-interp benchmark``: run a benchmark of the repository this package was installed from."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import gradtts_interp
from gradtts_interp.errors import InputError

ROOT = Path(gradtts_interp.__file__).resolve().parent.parent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.formatter_class = argparse.HelpFormatter
    parser.add_argument("name", nargs="?", help="which benchmark; without it the names are listed")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="handed on to the benchmark; try NAME --help")


def run(args: argparse.Namespace) -> int:
    """Run a benchmark in a process of its own.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Its exit status.

    Raises:
        InputError: There are no benchmarks here, or none of that name.
    """
    known = sorted(path.parent.name for path in (ROOT / "benchmarks").glob("*/run.py"))
    if not known:
        raise InputError(f"{ROOT} holds no benchmarks: they are part of the repository, not of the installed package")
    if args.name is None:
        print("\n".join(known))
        return 0
    if args.name not in known:
        raise InputError(f"benchmark {args.name!r}: expected one of {', '.join(known)}")
    command = [sys.executable, "-m", f"benchmarks.{args.name}.run", *args.arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode
