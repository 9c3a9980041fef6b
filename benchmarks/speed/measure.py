"""Seconds and peak memory of a piece of work, measured alike in all parts."""

from __future__ import annotations

import ctypes
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MIB = 2**20


@dataclass(frozen=True)
class Timing:
    """Seconds of repeated runs, after the warm-up."""

    best: float
    median: float
    runs: int


def synchronise() -> None:
    """Wait for the GPU, where there is one, so that a clock reads finished work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def timed(work: Callable[[], Any], *, runs: int = 3, warm_up: int = 1) -> Timing:
    """Wall-clock seconds of a piece of work: warm-up runs that do not count, then ``runs`` that do.

    Args:
        work: What is timed; its answer is thrown away.
        runs: Runs that count.
        warm_up: Runs before them.

    Returns:
        Best and median.
    """
    for _ in range(warm_up):
        work()
    seconds = []
    for _ in range(runs):
        synchronise()
        start = time.perf_counter()
        work()
        synchronise()
        seconds.append(time.perf_counter() - start)
    return Timing(min(seconds), statistics.median(seconds), runs)


def peak_mib(work: Callable[[], Any]) -> float | None:
    """Memory a piece of work takes beyond what was held before it, in MiB, warm-up excluded by the caller.

    On a GPU torch's own peak; else the resident peak that Linux counts anew from here, when the allocator has given
    back what it kept of earlier work (None on other systems).

    Args:
        work: What is measured.

    Returns:
        MiB.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    try:
        ctypes.CDLL(None).malloc_trim(0)
        CLEAR.write_text("5")  # Linux: forget the peak
    except (OSError, AttributeError):
        return None
    before = _status_kib("VmRSS")
    work()
    return (_status_kib("VmHWM") - before) / 1024


def _status_kib(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])
