"""``gradtts-interp``: one command, a verb for each job."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata

from gradtts_interp.errors import InputError

# A verb's module is imported only when it is used, so that --help is quick.
VERBS = {
    "synthesize": ("gradtts_interp.cli.synthesize", "speak sentences while moving between two styles"),
    "continuum": ("gradtts_interp.cli.continuum", "make stimuli: measured steps between two styles, and experiments"),
    "app": ("gradtts_interp.app", "blend by hand in a browser (needs the extra app)"),
    "info": ("gradtts_interp.cli.info", "show what a checkpoint is: sizes, speakers, mechanisms, licence"),
    "evaluate": ("gradtts_interp.cli.evaluate", "measure speech and blends, and write a report"),
    "corpus": ("gradtts_interp.corpus.build", "make the demo corpus, or describe a corpus"),
    "filelist": ("gradtts_interp.training.filelist", "make filelists of LJSpeech, LibriTTS, VCTK or ESD"),
    "stream": ("gradtts_interp.cli.stream", "speak a long text sentence by sentence into one file"),
    "synthesize-corpus": ("gradtts_interp.scale", "speak a manifest on many workers (extra scale)"),
    "export-onnx": ("gradtts_interp.onnx_export", "write a checkpoint's networks as ONNX (extra onnx)"),
    "train": ("gradtts_interp.training.command", "train an acoustic model"),
    "export": ("gradtts_interp.training.export", "make a checkpoint folder of a training run"),
    "predict-mels": ("gradtts_interp.training.predicted_mels", "make mels of recordings that a vocoder is trained on"),
    "train-vocoder": ("gradtts_interp.training.vocoder_command", "train a vocoder"),
    "train-speaker-encoder": ("gradtts_interp.training.speakers", "train the encoder of timbre for evaluations"),
}
DESCRIPTION = "Speak a sentence while moving from one speaking style to another, and measure what is heard."
EPILOG = """\
exit status:
  0    done
  1    some of the input failed, each with one line on stderr; the rest is done
  2    nothing could be done; one line on stderr says why
  130  stopped by Ctrl-C; 143 by SIGTERM, in commands that save their state first

Results go to stdout, progress and messages to stderr. 'gradtts-interp VERB --help' explains a verb.
"""
ENVIRONMENT = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.EIO}
"""Errors that the machine causes, not the program."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status (0 done, 1 some input failed, 2 nothing could be done)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="gradtts-interp",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {metadata.version('gradtts-interp')}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    chosen = next((a for a in argv if a in VERBS), None)
    for name, (module, text) in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == chosen:
            job = importlib.import_module(module)
            job.add_arguments(verb)
            _tell_defaults(verb)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    return report_errors(lambda: job.run(args))


def _tell_defaults(parser: argparse.ArgumentParser) -> None:
    """Add the default to a help text where an option has one."""
    for action in parser._actions:
        nothing = action.default in (None, "", [], (), argparse.SUPPRESS) or action.default is False
        if action.help and not nothing and "default:" not in action.help:
            action.help += " (default: %(default)s)"


def report_errors(job: Callable[[], int | None]) -> int:
    """Run a job; turn a known failure into one line on stderr and exit status 2."""
    try:
        return job() or 0
    except InputError as error:
        return _tell(str(error))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in ENVIRONMENT:
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _tell(f"{where}{error.strerror}")
    except (RuntimeError, MemoryError) as error:
        from gradtts_interp.cli.synthesize import is_out_of_memory

        if not is_out_of_memory(error):
            raise
        return _tell("out of memory: lower --batch-size, use shorter sentences or recordings, or --device cpu")


def _tell(problem: str) -> int:
    print(f"error: {problem}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
