"""Interpolate between two speaking styles inside one utterance.

The names below are imported when they are first used, so that a light module does not wait for PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradtts_interp.errors import CheckpointError, InputError
    from gradtts_interp.interpolation import shares
    from gradtts_interp.pipeline import GradTTSInterpPipeline
    from gradtts_interp.speech import Speech
    from gradtts_interp.styles import Style

__all__ = ["CheckpointError", "GradTTSInterpPipeline", "InputError", "Speech", "Style", "shares"]

_HOMES = {
    "CheckpointError": "errors",
    "GradTTSInterpPipeline": "pipeline",
    "InputError": "errors",
    "Speech": "speech",
    "Style": "styles",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "shares":
        return importlib.import_module("gradtts_interp.interpolation.shares")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
