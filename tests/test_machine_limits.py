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


def mount(folder, options):
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")


def test_a_full_disk(checkpoint, tmp_path):
    small = tmp_path / "small"
    mount(small, "size=64k")
    try:
        done = subprocess.run(command(checkpoint, small), capture_output=True, text=True)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        assert len(errors) == 2 and all("No space left" in e or "cannot write" in e for e in errors)
        left = sorted(p.name for p in small.iterdir())
        assert not [n for n in left if n.startswith(".")] and "sample_0.png" not in left, left
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_read_only_folder(checkpoint, tmp_path):
    folder = tmp_path / "fixed"
    mount(folder, "size=1m,ro")
    try:
        done = subprocess.run(command(checkpoint, folder), capture_output=True, text=True)
        assert done.returncode == 2 and "Read-only" in done.stderr and done.stderr.count("\n") == 1
    finally:
        subprocess.run(["umount", str(folder)], check=True)


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
