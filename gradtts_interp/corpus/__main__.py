"""``python -m gradtts_interp.corpus build --out DIR``."""

from __future__ import annotations

import argparse
import logging
import sys

from gradtts_interp.corpus.command import add_arguments, run
from gradtts_interp.errors import InputError


def main() -> int:
    """Parse the command line and run it; errors of the user end with status 2."""
    parser = argparse.ArgumentParser(prog="python -m gradtts_interp.corpus", description="The demo corpus.")
    add_arguments(parser)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return run(parser.parse_args())
    except InputError as error:
        logging.getLogger(__name__).error("error: %s", error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
