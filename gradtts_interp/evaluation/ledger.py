"""What a run has finished, one JSON line for each item, so that a killed run goes on where it was."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path


@dataclass(frozen=True)
class Record:
    """What became of one item.

    Attributes:
        id: Name of the item, unique in its run.
        rows: Its measures, plain JSON values.
        seconds: Wall-clock time it took.
        error: Why it failed, None when it did not.
        notes: What a reader should know of it.
        cpu_seconds: Processor time it took, which other programs do not lengthen.
    """

    id: str
    rows: list[dict[str, Any]]
    seconds: float
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0


def plain(value: Any) -> Any:
    """Turn a value into plain JSON: arrays into lists, numbers of numpy into Python's, NaN and infinity into None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def json_line(value: Any) -> str:
    """One value as one line of JSON, without NaN, with its line end."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False) + "\n"


class Ledger:
    """Finished items in a file of JSON lines; the first line holds the settings of the run.

    Each record is written by one append and brought to the disk, so that after a kill the file holds whole records
    and at most one torn line at its end, which is dropped. Only one process may hold a ledger.

    Args:
        path: The file; made when it is not there.
        settings: What decides the results, plain JSON values; a ledger of other settings is refused.
        restart: Whether to forget what the file holds.

    Raises:
        InputError: The file cannot be used, is of a run with other settings, or another process holds it.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any], *, restart: bool = False) -> None:
        self.path, self.settings = Path(path), plain(settings)
        self.records: dict[str, Record] = {}
        with ExitStack() as opened:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o666)
                opened.callback(os.close, lock)
                _lock(lock, self.path)
                if self.path.exists() and not restart:
                    self._read()
                else:
                    self._begin()
                self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
                opened.callback(os.close, self._file)
            except OSError as error:
                raise InputError(f"{self.path}: cannot be used: {error.strerror or error}") from error
            self._opened = opened.pop_all()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def append(self, record: Record) -> None:
        """Write a record; it is on the disk when this returns."""
        line = json_line({"record": asdict(record)}).encode()
        written = os.write(self._file, line)
        if written < len(line):
            os.write(self._file, line[written:])
        os.fsync(self._file)
        self.records[record.id] = record

    def is_done(self, name: str) -> bool:
        """Whether an item is finished; one that failed is not, so that it is tried again."""
        return name in self.records and self.records[name].error is None

    def _begin(self) -> None:
        with atomic_path(self.path) as temporary:
            temporary.write_text(json_line({"settings": self.settings}), encoding="utf-8")

    def _read(self) -> None:
        whole, torn = _split_torn(self.path.read_bytes())
        if torn:
            with atomic_path(self.path) as temporary:
                temporary.write_bytes(whole)
        lines = whole.decode("utf-8", errors="replace").splitlines()
        if not lines:
            self._begin()
            return
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                if number == 1:
                    found = entry["settings"]
                else:
                    record = Record(**entry["record"])
                    self.records[record.id] = record
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{self.path}, line {number}: no record of a run; remove it or --restart") from error
        changed = [key for key in {**found, **self.settings} if found.get(key) != self.settings.get(key)]
        if changed:
            key = sorted(changed)[0]
            raise InputError(
                f"{self.path} is of a run with {key} {found.get(key)!r}, now {self.settings.get(key)!r}; "
                "give another --out, or --restart to begin anew"
            )


def _split_torn(content: bytes) -> tuple[bytes, bytes]:
    """Whole lines, and what stands after the last line end."""
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


def _lock(descriptor: int, path: Path) -> None:
    """Hold the file for this process, where the system can; the hold ends with the process."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(f"{path}: another run is writing there; wait for it, or give another --out") from error
