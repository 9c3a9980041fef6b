"""A full disk, a folder that may not be written, and Ctrl-C, met for real."""

import os
import signal
import subprocess
import sys
import time

import pytest
from speaking import checkpoint

__all__ = ["checkpoint"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


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
