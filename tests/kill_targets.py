"""Work that may be killed at any moment; each function is the main function of a process that is killed."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def train(corpus: str, out: str) -> None:
    """A training run of 24 steps that writes a checkpoint after every step."""
    from training.fake_corpus import MIX, TINY

    from gradtts_interp.cli.main import main
    from gradtts_interp.training import command

    command.PRESETS = {"demo": TINY}
    words = ["--corpus", corpus, "--out", out, "--steps", 24, "--batch-size", 2, "--precision", "no", "--threads", 1]
    words += ["--mix", f"crop_frames={MIX.crop_frames}", f"reference_frames={MIX.reference_frames}"]
    _quiet(main, ["train", *map(str, words), "--save-every", "0", "--sample-every", "0", "--validate-every", "5"])


def corpus(out: str) -> None:
    """The smallest corpus: 85 utterances."""
    import pytest
    from corpus.conftest import HummingTeacher, build_in_this_process

    from gradtts_interp.corpus import build as module
    from gradtts_interp.corpus.plan import BuildSettings

    build_in_this_process(HummingTeacher(), pytest.MonkeyPatch())
    settings = BuildSettings(
        sentences=2, held_out=1, bank_utterances=1, grid=2, blends=2, test_voices=1, test_pitches=1, test_utterances=1
    )
    _quiet(lambda folder: module.build_corpus(Path(folder), settings, progress=False) and 0, out)


def speak(checkpoint: str, lines: str, out: str) -> None:
    """A batch of sentences, with pictures."""
    from gradtts_interp.cli.main import main

    words = ["-f", lines, "-c", checkpoint, "-t", "1", "-s", "12", "-s2", "10", "--out", out, "--threads", "1"]
    _quiet(main, ["synthesize", *words])


def _quiet(job, argument) -> None:
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    os._exit(job(argument))
