"""Arithmetic in bfloat16 where the machine is fast at it; weights stay in fp32, and fp32 is the default."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from gradtts_interp.errors import InputError

PRECISIONS = ("fp32", "bf16", "auto")


def bf16_is_fast(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware: a GPU that says so, or a CPU with AMX or AVX512-BF16 units."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # torch has no public name for these; a version without them counts as a CPU without the units.
    probes: list[Callable[[], Any] | None] = [
        getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    ]
    return any(bool(probe()) for probe in probes if probe is not None)


def choose_precision(name: str, device: torch.device) -> str:
    """Decide ``auto``.

    Args:
        name: One of :data:`PRECISIONS`.
        device: Where the networks compute.

    Returns:
        ``fp32`` or ``bf16``.

    Raises:
        InputError: No such precision.
    """
    if name not in PRECISIONS:
        raise InputError(f"precision {name!r}: expected one of {', '.join(PRECISIONS)}")
    if name == "auto":
        return "bf16" if bf16_is_fast(device) else "fp32"
    return name


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Context in which a network computes: autocast for ``bf16``, as it stands for ``fp32``."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


@contextmanager
def float32_default() -> Iterator[None]:
    """Context in which new tensors are float32, as the weights are, whatever the program around has chosen."""
    before = torch.get_default_dtype()
    if before == torch.float32:
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def lay_out(network: nn.Module, precision: str) -> None:
    """Put 4-d weights in the memory order that is faster: channels last for ``bf16``, torch's own for ``fp32``."""
    order = torch.channels_last if precision == "bf16" else torch.contiguous_format
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=order)
