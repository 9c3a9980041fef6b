"""What makes networks faster: bfloat16 where the machine is fast at it, while weights stay in fp32, and the like."""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from gradtts_interp.errors import InputError

logger = logging.getLogger(__name__)

PRECISIONS = ("fp32", "bf16", "auto")
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune")
VERSIONS = 16
GLIBC_SETTINGS = {-1: 2**31 - 1, -3: 2**25}
"""Of mallopt: bytes of free memory that are given back (M_TRIM_THRESHOLD), of blocks got apart (M_MMAP_THRESHOLD)."""


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
def settled() -> Iterator[None]:
    """Context in which new tensors are float32, as the weights are, whatever the program around has chosen.

    Autocast forgets the weights that it has cast at the end of the outermost context; where that is this one, each is
    cast once, however many evaluations there are.
    """
    before, amp = torch.get_default_dtype(), torch.get_autocast_dtype("cpu")
    torch.set_default_dtype(torch.float32)
    try:
        with torch.autocast("cpu", amp, enabled=torch.is_autocast_enabled("cpu")):
            yield
    finally:
        torch.set_default_dtype(before)


def keep_freed_memory() -> None:
    """Keep what a step frees for the next one: given back, it would be got again page by page, a twelfth of a step."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for setting in GLIBC_SETTINGS.items():
            libc.mallopt(*setting)


def lay_out(network: nn.Module, precision: str) -> None:
    """Put 4-d weights in the memory order that is faster: channels last for ``bf16``, torch's own for ``fp32``."""
    order = torch.channels_last if precision == "bf16" else torch.contiguous_format
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=order)


def compile_or_not(network: nn.Module, mode: str | None) -> None:
    """Compile a network at its next call, or no more; where that fails it goes on uncompiled.

    Args:
        network: The network, changed in place.
        mode: One of :data:`COMPILE_MODES`: ``default`` for any length, the others for each length anew, on a GPU with
            CUDA graphs; None for not.

    Raises:
        InputError: No such mode.
    """
    if mode not in (None, *COMPILE_MODES):
        raise InputError(f"compile mode {mode!r}: expected one of {', '.join(COMPILE_MODES)}")
    network.__dict__.pop("forward", None)
    if mode is not None:
        plain = network.forward
        network.forward = with_fallback(_compiled(plain, mode), plain)  # type: ignore[method-assign]


def _compiled(plain: Callable[..., torch.Tensor], mode: str) -> Callable[..., torch.Tensor]:
    """A compiled network.

    By default its blocks are compiled one by one, in more versions than torch's usual 8: convolutions in each of their
    widths, for any length; style attention for the first few lengths, and not for later ones. For CUDA graphs it is
    compiled whole, for each length; the answer is copied, since the next call writes to the same memory.
    """
    if mode == "default":
        blocks = torch.compile(plain, dynamic=True)

        def call(*args: Any, **named: Any) -> torch.Tensor:
            with torch._dynamo.config.patch(cache_size_limit=VERSIONS):
                return blocks(*args, **named)

        return call
    whole = torch.compile(plain, mode=mode, fullgraph=True)
    return lambda *args, **named: whole(*args, **named).clone()


def with_fallback(fast: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """A function that uses ``fast`` until it raises, and ``plain`` from then on.

    Args:
        fast: Such as a compiled network.
        plain: The same, which always works; what it raises reaches the caller.

    Returns:
        The function.
    """
    failed = False

    def call(*args: Any, **named: Any) -> Any:
        nonlocal failed
        if not failed:
            try:
                return fast(*args, **named)
            except Exception as error:  # a compiler fails in many ways
                reason = (str(error).strip().splitlines() or [""])[0]
                logger.warning("cannot compile (%s: %s); going on without", type(error).__name__, reason)
                failed = True
        return plain(*args, **named)

    return call
