"""Speak sentences while moving between two styles.

python inference.py -f resources/filelists/synthesis.txt -t 100 -s 12 -s2 10
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "hifi-gan")]  # so that a clone works without being installed

from gradtts_interp.cli.main import report_errors  # noqa: E402
from gradtts_interp.cli.synthesize import add_arguments, run  # noqa: E402


def main(argv: Sequence[str] | None = None) -> int:
    """Run the main job; return its exit status (0 done, 1 some sentences failed, 2 nothing could be done)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="inference.py", description=__doc__)
    add_arguments(parser)
    args = parser.parse_args(argv)
    args.command_line = shlex.join(["python", "inference.py", *argv])
    return report_errors(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
