"""What makes a loaded pipeline faster: arithmetic in bf16, and a compiled score network."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from gradtts_interp.errors import InputError
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.precision import choose_precision, lay_out
from gradtts_interp.vocoder import MelDecoder, Vocoder

logger = logging.getLogger(__name__)

COMPILE_MODES = ("default", "reduce-overhead", "max-autotune")
VERSIONS = 16


def accelerate(model: GradTTS, vocoder: MelDecoder, precision: str, *, compile_mode: str | None = None) -> None:
    """Choose the arithmetic of a pipeline's networks, in place; may be called again to choose anew.

    Args:
        model: Its acoustic model; the score network is meant, the text and style encoders stay in fp32.
        vocoder: Its vocoder; only a HiFi-GAN has arithmetic to choose.
        precision: ``fp32``, ``bf16``, or ``auto`` for bf16 where the machine multiplies it in hardware.
        compile_mode: Compile the score network at its next call, in one of :data:`COMPILE_MODES`: ``default`` for any
            length, the others for each length anew, on a GPU with CUDA graphs. Where that fails it goes on uncompiled.

    Raises:
        InputError: No such precision or mode.
    """
    if compile_mode not in (None, *COMPILE_MODES):
        raise InputError(f"compile mode {compile_mode!r}: expected one of {', '.join(COMPILE_MODES)}")
    model.precision = choose_precision(precision, model.device)
    if isinstance(vocoder, Vocoder):
        vocoder.precision = model.precision
    if model.decoder is None:
        return
    estimator = model.decoder.estimator
    lay_out(estimator, model.precision)
    estimator.__dict__.pop("forward", None)
    if compile_mode is not None:
        plain = estimator.forward
        estimator.forward = with_fallback(_compiled(plain, compile_mode), plain)  # type: ignore[method-assign]


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
