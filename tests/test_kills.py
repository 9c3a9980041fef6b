"""What a machine does to running work: SIGKILL at any moment, a full disk, a folder that may not be written, Ctrl-C.

What is done again ends as if nothing had happened, and no file is half a file.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from counting import record
from PIL import Image
from safetensors.torch import load_file
from training.fake_corpus import MIX, TINY, write_corpus

from gradtts_interp.training.state import checkpoints

ROUNDS = int(os.environ.get("KILL_ROUNDS", "20"))
PATIENCE_SECONDS = 600
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


# -- the main functions of processes that are killed -------------------------------------------------------------------


def train(corpus, out):
    """A training run of 24 steps that writes a checkpoint after every step."""
    from gradtts_interp.cli.main import main
    from gradtts_interp.training import command

    command.PRESETS = {"demo": TINY}
    words = ["--corpus", corpus, "--out", out, "--steps", 24, "--batch-size", 2, "--precision", "no", "--threads", 1]
    words += ["--mix", f"crop_frames={MIX.crop_frames}", f"reference_frames={MIX.reference_frames}"]
    quiet(main, ["train", *map(str, words), "--save-every", "0", "--sample-every", "0", "--validate-every", "5"])


def corpus(out):
    """The smallest corpus: 85 utterances."""
    from corpus.conftest import HummingTeacher, build_in_this_process

    from gradtts_interp.corpus import build as module
    from gradtts_interp.corpus.plan import BuildSettings

    build_in_this_process(HummingTeacher(), pytest.MonkeyPatch())
    names = ("held_out", "bank_utterances", "test_voices", "test_pitches", "test_utterances")
    settings = BuildSettings(sentences=2, grid=2, blends=2, **dict.fromkeys(names, 1))
    quiet(lambda folder: module.build_corpus(Path(folder), settings, progress=False) and 0, out)


def speak(checkpoint, lines, out):
    """A batch of sentences, with pictures."""
    from gradtts_interp.cli.main import main

    words = ["-f", lines, "-c", checkpoint, "-t", "1", "-s", "12", "-s2", "10", "--out", out, "--threads", "1"]
    quiet(main, ["synthesize", *words])


def quiet(job, argument):
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    os._exit(job(argument))


# -- killed ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def start():
    """Starts a function in a process of its own, of a server that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gradtts_interp.training.command", "gradtts_interp.cli.synthesize", "librosa"])

    def run(function, *arguments):
        process = context.Process(target=function, args=[str(a) for a in arguments])
        process.start()
        return process

    return run


def finish(process):
    process.join(PATIENCE_SECONDS)
    assert process.exitcode == 0


def kill_often(work, make, again, check):
    """Kill ``ROUNDS`` times, each at a random moment of a run; a run that gets to its end is checked and begun anew."""
    begun = time.monotonic()
    finish(make())
    longest = time.monotonic() - begun
    check()
    again()
    rng, killed, finished = random.Random(0), 0, 0
    while killed < ROUNDS:
        begun = time.monotonic()
        process = make()
        process.join(rng.uniform(0, longest))
        if process.exitcode is None:
            process.kill()
            process.join()
            killed += 1
            continue
        assert process.exitcode == 0
        longest = min(longest, time.monotonic() - begun)  # the first run may have been slow, and few others killed then
        check()
        again()
        finished += 1
    finish(make())
    check()
    counts = {"kills": killed, "runs ended": finished + 1, "seconds of a run": round(longest, 1)}
    record("kills", work, **counts, failures=0)


def visible(folder: Path) -> list[Path]:
    """Files that do not begin with a dot; those that do are left over from a killed write and taken for nothing."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def test_training_goes_on(start, tmp_path):
    data, out = write_corpus(tmp_path / "corpus"), tmp_path / "run"
    finish(start(train, data, tmp_path / "undisturbed"))
    expected = load_file(checkpoints(tmp_path / "undisturbed")[-1] / "model.safetensors")

    def check():
        kept = checkpoints(out)
        assert [p.name for p in kept] == ["step_0000023", "step_0000024"]
        found = load_file(kept[-1] / "model.safetensors")
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)
        assert not list(out.glob(".step_*")), "half a checkpoint stays behind"
        rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        validated = [row["step"] for row in rows if "valid/prior" in row]
        assert validated == sorted(set(validated)), "a validation is logged twice"

    kill_often("training", lambda: start(train, data, out), lambda: shutil.rmtree(out), check)


def test_a_corpus_is_built_on(start, tmp_path):
    out = tmp_path / "corpus"
    finish(start(corpus, tmp_path / "undisturbed"))
    expected = {p.relative_to(tmp_path / "undisturbed"): p for p in visible(tmp_path / "undisturbed")}

    def check():
        found = {p.relative_to(out): p for p in visible(out)}
        assert found.keys() == expected.keys()
        for name, path in found.items():
            if path.suffix in (".wav", ".jsonl", ".txt"):
                assert path.read_bytes() == expected[name].read_bytes(), name
            elif path.suffix == ".npz":
                with np.load(path) as mine, np.load(expected[name]) as other:
                    assert mine.files == other.files
                    assert all(np.array_equal(mine[key], other[key]) for key in mine.files), name

    kill_often("building a corpus", lambda: start(corpus, out), lambda: shutil.rmtree(out), check)


def test_sentences_are_whole_or_absent(start, tmp_path, checkpoint):
    lines, out = tmp_path / "lines.txt", tmp_path / "out"
    lines.write_text("".join(f"The cat saw {n} dogs.\n" for n in ("one", "two", "three", "four")))

    def whole():
        for path in visible(out) if out.exists() else []:
            if path.suffix == ".wav":
                assert soundfile.read(path)[0].size > 1000
            elif path.suffix == ".png":
                Image.open(path).load()
            else:
                assert json.loads(path.read_text())["seconds"] > 0
                assert path.with_suffix(".wav").is_file(), "a report without its sound"

    def check():
        whole()
        kinds = (".json", ".png", ".wav")
        assert [p.name for p in visible(out)] == [f"sample_{i}{kind}" for i in range(4) for kind in kinds]

    def make():
        whole()  # what the last kill left behind
        return start(speak, checkpoint, lines, out)

    kill_often("a batch of sentences", make, lambda: shutil.rmtree(out), check)


# -- stopped ----------------------------------------------------------------------------------------------------------


def command(checkpoint, out, *more):
    words = ["--text=A cat.", "--text=Two dogs ran.", *"-s 12 -s2 10 -t 1".split(), "-c", checkpoint, "--out", out]
    return [sys.executable, "-m", "gradtts_interp.cli.main", "synthesize", *map(str, [*words, *more])]


@pytest.fixture
def disk(tmp_path, request):
    """A folder with a file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", request.param, "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("disk", ["size=64k"], indirect=True)
def test_a_full_disk(checkpoint, disk):
    done = subprocess.run(command(checkpoint, disk), capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 2 and all("No space left" in e or "cannot write" in e for e in errors)
    left = sorted(p.name for p in disk.iterdir())
    assert not [n for n in left if n.startswith(".")] and "sample_0.png" not in left, left


@pytest.mark.parametrize("disk", ["size=1m,ro"], indirect=True)
def test_a_read_only_folder(checkpoint, disk):
    done = subprocess.run(command(checkpoint, disk), capture_output=True, text=True)
    assert done.returncode == 2 and "Read-only" in done.stderr and done.stderr.count("\n") == 1


def test_ctrl_c(checkpoint, tmp_path):
    process = subprocess.Popen(
        command(checkpoint, tmp_path / "out", "-t", 100_000, "--no-plots"),
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and hands that down to its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        time.sleep(10)  # in the middle of the first line; its folder is made with its files
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in err and err.rstrip().endswith("stopped")
    assert not (tmp_path / "out").exists()
