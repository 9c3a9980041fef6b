"""Interpolate between two speaking styles inside one utterance.

The names below are imported when they are first used, so that a light module does not wait for PyTorch.
"""

from __future__ import annotations

import importlib
import sys
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
        formatter.for_type_by_name(f"{__name__}.{module}", value, _drawn_by(draw))


def _drawn_by(name: str) -> Any:
    return lambda value: getattr(importlib.import_module(f"{__name__}.plots.notebook"), name)(value)


def _shell() -> Any:
    """The IPython shell that this runs in, None outside of one; IPython itself is not imported."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


if _shell() is not None:
    load_ipython_extension(_shell())
