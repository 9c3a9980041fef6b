"""Interpolate between two speaking styles inside one utterance.

The names below are imported when they are first used, so that a light module does not wait for PyTorch.
"""

from __future__ import annotations

import importlib
import sys
from functools import partial
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


def load_ipython_extension(shell: Any) -> None:
    """Show speech and styles with players and pictures in a notebook; done when IPython imports this package.

    Args:
        shell: IPython's.
    """
    formatter = shell.display_formatter.formatters["text/html"]
    for module, value, draw in (("speech", "Speech", "html_of_speech"), ("styles", "Style", "html_of_style")):
        formatter.for_type_by_name(f"{__name__}.{module}", value, partial(_draw, draw))


def _draw(name: str, value: Any) -> str:
    return getattr(importlib.import_module(f"{__name__}.plots.speech"), name)(value)


if "IPython" in sys.modules and (_shell := sys.modules["IPython"].get_ipython()) is not None:
    load_ipython_extension(_shell)
