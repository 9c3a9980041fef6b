"""The one family of errors a user of the library meets."""

import importlib
from collections.abc import Mapping
from typing import Any


class InputError(ValueError):
    """Something given by the user cannot be used; the message names it and what was expected."""


class CheckpointError(InputError):
    """A checkpoint is missing, damaged, or of another kind than expected."""


def require_none(problems: Mapping[str, Any]) -> None:
    """Raise for the first of some problems that there is.

    Args:
        problems: Messages, and whether each applies.

    Raises:
        InputError: One does.
    """
    for problem, applies in problems.items():
        if applies:
            raise InputError(problem)


def import_extra(module: str, needed: str, extra: str) -> Any:
    """Import a module of an extra of this package.

    Args:
        module: Its full name.
        needed: What needs which library, for the message.
        extra: The extra that installs it.

    Returns:
        The module.

    Raises:
        InputError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"{needed}: pip install 'gradtts-interp[{extra}]'") from error
