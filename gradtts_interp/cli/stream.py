"""``gradtts-interp stream``: a text of any length into one wav, sentence by sentence, in memory that does not grow."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import soundfile

from gradtts_interp.cli import synthesize
from gradtts_interp.cli.jobs import job_of
from gradtts_interp.files import atomic_path
from gradtts_interp.streaming import stream
from gradtts_interp.text.sentences import split_sentences

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options: those of ``synthesize``, and whether the share spans the whole text."""
    synthesize.add_arguments(parser)
    parser.add_argument(
        "--each-sentence",
        action="store_true",
        help="blend within each sentence anew (default: once over the whole text)",
    )


def run(args: argparse.Namespace) -> int:
    """Write ``stream.wav`` into the folder ``--out``; it appears when it is whole.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status 0.
    """
    job = job_of(args, shlex.join(sys.argv))
    job.pipeline.set_progress_bar_config(disable=True)
    mel = job.pipeline.model.settings.mel
    path = Path(job.out) / "stream.wav"

    def sentences() -> Iterator[str]:
        for line in job.lines:
            yield from split_sentences(line.text)

    spoken = stream(
        job.pipeline,
        sentences(),
        job.a,
        job.b,
        share=job.share,
        whole_paragraph=not args.each_sentence,
        mechanisms=job.mechanisms,
        **job.sampling,
    )
    seconds = 0.0
    with atomic_path(path) as temporary:
        with soundfile.SoundFile(temporary, "w", mel.sample_rate_hz, 1, "PCM_16", format="WAV") as wav:
            for speech in spoken:
                wav.write(speech.audio)
                seconds += speech.seconds
                logger.info("%.1f s: %s", seconds, speech.text)
    print(f"{path}: {seconds:.1f} s")
    return 0
