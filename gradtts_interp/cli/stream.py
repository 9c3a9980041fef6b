"""``gradtts-interp stream``: a text of any length into one wav, sentence by sentence, in memory that does not grow."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace

import soundfile
from tqdm import tqdm

from gradtts_interp.cli.flags import add_speaking_arguments, job_of, numbered
from gradtts_interp.cli.synthesize import Outcome, failed, try_to_speak
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.interpolation.shares import Share
from gradtts_interp.job import Job, Sentence
from gradtts_interp.streaming import shares_of_sentences, speakable_parts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options: those of all that speaks, and whether the share spans the whole text."""
    add_speaking_arguments(parser)
    text = "blend from A to B in each sentence (default: once over the whole text)"
    parser.add_argument("--each-sentence", action="store_true", help=text)
    parser.set_defaults(batch_size=1, no_plots=True, attention=False, write_pitch=None)
    parser.set_defaults(copy=None, copy_textgrid=None, copy_tier=None, copy_weight=1.0)


def run(args: argparse.Namespace) -> int:
    """Write ``stream.wav`` into the folder ``--out``; it appears when it is whole.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status: 0, or 1 when a sentence failed; the others are in the file.

    Raises:
        InputError: Nothing could be started, or no sentence could be spoken.
    """
    job = job_of(args)
    path = job.out / "stream.wav"
    sentences = numbered((line["line"], text) for line in job.lines for text in speakable_parts(line["text"]))
    told: dict[int, Outcome] = {}
    seconds = 0.0
    with atomic_path(path) as temporary:
        rate_hz = job.pipeline.model.settings.mel.sample_rate_hz
        with soundfile.SoundFile(temporary, "w", rate_hz, 1, "PCM_16", format="WAV") as wav:
            parts = _with_shares(job, sentences, told, whole=not args.each_sentence)
            for line, share in tqdm(parts, desc="sentences", unit="sentence", disable=None, file=sys.stderr):
                takes, problem = try_to_speak(replace(job, share=share), [line])
                if problem is not None:
                    told[line["index"]] = failed(line, problem)
                    continue
                speech = takes[0][0]
                wav.write(speech.audio)
                told[line["index"]] = line | {"start": round(seconds, 4), "seconds": round(speech.seconds, 4)}
                seconds += speech.seconds
        bad = sum("error" in entry for entry in told.values())
        if bad == len(told):
            raise InputError("no sentence could be spoken")
    if args.json:
        summary = {"file": str(path), "seconds": round(seconds, 4), "failed": bad, "device": str(job.pipeline.device)}
        print(json.dumps({**summary, "sentences": [told[i] for i in sorted(told)]}, indent=1, ensure_ascii=False))
    else:
        print(f"{path}: {seconds:.1f} s")
    return 1 if bad else 0


def _with_shares(
    job: Job, sentences: list[Sentence], told: dict[int, Outcome], *, whole: bool
) -> Iterator[tuple[Sentence, Share | None]]:
    """Each sentence that can be read, with its share. Those that cannot are reported, and take no part of the share."""
    if job.share is None or not whole:
        yield from ((line, job.share) for line in sentences)
        return
    assert job.a is not None and job.b is not None
    scale = job.sampling.length_scale
    ready, seconds = [], []
    for line in sentences:
        try:
            seconds.append(job.pipeline.expected_seconds(line["text"], (job.a, job.b), length_scale=scale))
            ready.append(line)
        except InputError as error:
            told[line["index"]] = failed(line, str(error))
    yield from zip(ready, shares_of_sentences(job.share, seconds), strict=True)
