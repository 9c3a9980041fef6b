"""Files that are either whole or absent."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradtts_interp.errors import InputError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside ``path`` and rename it to ``path`` when the block succeeds.

    When the block fails the temporary file is removed and an earlier ``path`` stays as it was, so a reader never
    meets half a file.

    Args:
        path: Where the finished file shall lie; missing folders are made.

    Yields:
        Path: In the same folder with the same suffix, to be written by the block.

    Raises:
        InputError: The folder cannot be made or written, or ``path`` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected the name of a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _give_usual_mode(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _give_usual_mode(path: Path) -> None:
    """Give the permissions that ``open`` would have given (``mkstemp`` gives 0600)."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)
