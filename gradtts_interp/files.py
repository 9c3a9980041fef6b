"""Files that are either whole or absent, and read with errors that name them."""

from __future__ import annotations

import codecs
import json
import os
import pickle
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradtts_interp.errors import CheckpointError, InputError


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
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # as `open` would have given; `mkstemp` gives 0600
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_text(path: str | Path, *, expected: str, largest_bytes: int | None = None, others: Sequence[str] = ()) -> str:
    """Read a text file that a person or another program wrote: UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        expected: What it should hold, for the messages.
        largest_bytes: Refuse larger files.
        others: Encodings to try when it is no UTF-8; those with a byte order mark only where the file begins with one.

    Returns:
        Its text; its lines end with a line feed, whatever the file has there.

    Raises:
        InputError: The file is missing, a folder, too large, binary, or in another encoding.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected {expected}")
    try:
        if largest_bytes is not None and path.stat().st_size > largest_bytes:
            raise InputError(f"{path} is larger than {largest_bytes // 2**20} MiB; expected {expected}")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}; expected {expected}") from error
    text = _decoded(path, content, expected, others)
    if "\0" in text:
        raise InputError(f"{path} is a binary file; expected {expected}, in UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(path: Path, content: bytes, expected: str, others: Sequence[str]) -> str:
    head = content[:2000]  # every second byte or so is zero in English text in UTF-16
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or head.count(0) > len(head) // 4
    names = [name for name in others if utf16 == name.startswith("utf-16")]
    problem = None
    for encoding in (*([] if utf16 else ["utf-8-sig"]), *names):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            problem = problem or error
    if problem is None or utf16:
        raise InputError(f"{path} is no UTF-8 text but looks like UTF-16; save it as UTF-8. Expected {expected}")
    line, byte = content[: problem.start].count(b"\n") + 1, content[problem.start : problem.start + 1]
    place = f"line {line}, byte {problem.start}, {byte.decode('cp1252', 'replace')!r} in Latin-1 or Windows-1252"
    raise InputError(f"{path} is no UTF-8 text ({place}); save it as UTF-8. Expected {expected}") from problem


def read_json(path: str | Path) -> dict[str, Any]:
    """Read the JSON object of a checkpoint.

    Args:
        path: The file.

    Returns:
        Its fields.

    Raises:
        CheckpointError: The file is missing, no JSON, or holds something other than an object.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds a {type(values).__name__}; expected a JSON object")
    return values


def read_safetensors(path: str | Path) -> dict[str, Any]:
    """Read the tensors of a safetensors file.

    Args:
        path: The file.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        CheckpointError: The file is missing, damaged, or of another kind.
    """
    from safetensors import SafetensorError  # here, since text alone is read without torch
    from safetensors.torch import load_file

    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or no safetensors file: {error}") from error


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object for people to read, whole or not at all."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def write_safetensors(path: str | Path, tensors: Mapping[str, Any]) -> None:
    """Write tensors by name, whole or not at all."""
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        save_file(dict(tensors), temporary)


def read_torch(path: str | Path) -> Any:
    """Read what ``torch.save`` wrote, running no code of it.

    Args:
        path: The file.

    Returns:
        Its content, tensors on the CPU.

    Raises:
        CheckpointError: The file is missing, damaged, or holds more than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Of torch's message only the name: the rest advises to run the file.
        named = re.search(r"GLOBAL (\S+)", str(error))
        asks = f": it asks for {named[1]}" if named else ""
        raise CheckpointError(f"{path} is damaged, or holds more than tensors and was not run{asks}") from error
    except Exception as error:  # a damaged file can fail anywhere in the unpickler
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path} is damaged or no PyTorch file: {reason}") from error


def state_dict_of(content: Any, key: str) -> Any:
    """Find the state dict in what a file holds: under a key or bare, with the plain names of the network.

    Args:
        content: As read.
        key: Where official files keep it.

    Returns:
        The state dict, without ``module.`` and ``_orig_mod.``, which data parallelism and compilation put before each
        name; ``content`` itself where it is none.
    """
    state = content[key] if isinstance(content, dict) and isinstance(content.get(key), dict) else content
    if isinstance(state, dict) and state and all(isinstance(name, str) and _WRAPPED.match(name) for name in state):
        return {_WRAPPED.sub("", name): value for name, value in state.items()}
    return state


_WRAPPED = re.compile(r"(?:module\.|_orig_mod\.)+")


def require_same_shapes(
    state: Mapping[str, Any], expected: Mapping[str, Any], *, source: str | Path, owner: str
) -> None:
    """Raise unless a state dict has exactly the names and shapes expected.

    Args:
        state: Tensors by name, as read.
        expected: Tensors by name, as the network has them.
        source: Where ``state`` comes from, for the message.
        owner: What ``expected`` belongs to, for the message.

    Raises:
        CheckpointError: The first name that is missing, of another shape, or too many, with its shape.
    """
    for name, value in expected.items():
        if name not in state:
            raise CheckpointError(f"{source} lacks {name} of shape {tuple(value.shape)}")
        if state[name].shape != value.shape:
            found = tuple(state[name].shape)
            raise CheckpointError(f"{source}: {name} has shape {found}; expected {tuple(value.shape)}")
    extra = next((name for name in state if name not in expected), None)
    if extra is not None:
        raise CheckpointError(f"{source} has {extra} of shape {tuple(state[extra].shape)}, which the {owner} has not")
