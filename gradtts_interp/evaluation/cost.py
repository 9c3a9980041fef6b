"""What a rendering costs: seconds and peak memory."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import TracebackType

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MIB = 2**20


class Cost:
    """Context manager that measures a block.

    On CUDA the peak is of the memory torch allocated on the device; else it is of the whole process (Linux only),
    its models included.

    Args:
        device: Where the block works.

    Attributes:
        seconds: Wall-clock time of the block.
        peak_mib: Peak memory in the block, None where the system does not tell.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0
        self.peak_mib: float | None = None

    def __enter__(self) -> Cost:
        self._known = _reset(self.device)
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds = time.perf_counter() - self._start
        self.peak_mib = _peak_mib(self.device) if self._known else None


def _reset(device: torch.device) -> bool:
    """Forget earlier peaks; whether that worked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        RESET.write_text("5")
    except OSError:
        return False
    return True


def _peak_mib(device: torch.device) -> float | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    found = re.search(r"^VmHWM:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE) if STATUS.exists() else None
    return int(found[1]) / 1024 if found else None
