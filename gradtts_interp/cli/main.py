"""``gradtts-interp``: one command, a verb for each job."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from gradtts_interp.errors import InputError

# A verb's module is imported only when it is used, so that --help is quick.
VERBS = {
    "synthesize": ("gradtts_interp.cli.synthesize", "speak sentences while moving between two styles"),
    "evaluate": ("gradtts_interp.cli.evaluate", "measure speech and blends, and write a report"),
    "corpus": ("gradtts_interp.corpus.command", "build the demo corpus from free programs"),
    "train": ("gradtts_interp.training.command", "train an acoustic model"),
    "export": ("gradtts_interp.training.export", "make a checkpoint folder of a training run"),
    "train-vocoder": ("gradtts_interp.training.vocoder_command", "train a HiFi-GAN vocoder"),
    "app": ("gradtts_interp.app.command", "blend by hand in a browser (needs the extra app)"),
    "train-speaker-encoder": ("gradtts_interp.training.speaker_command", "train the encoder of timbre for evaluations"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status (0 done, 1 some input failed, 2 nothing could be done)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="gradtts-interp", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    chosen = next((a for a in argv if a in VERBS), None)
    modules = {}
    for name, (module, text) in VERBS.items():
        verb = verbs.add_parser(
            name, help=text, description=text, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        if name == chosen:
            modules[name] = importlib.import_module(module)
            modules[name].add_arguments(verb)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    return report_errors(lambda: modules[args.verb].run(args))


def report_errors(job) -> int:
    """Run a job; turn a known failure into one line on stderr and exit status 2."""
    try:
        return job() or 0
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
