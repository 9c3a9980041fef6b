"""A run works through items in several processes. It is a folder: its settings, and one JSON file for each item.

What is there is done, so a stopped or killed run goes on where it was. One bad item does not stop the others.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import multiprocessing
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from gradtts_interp.errors import InputError
from gradtts_interp.files import read_json, write_json

logger = logging.getLogger(__name__)
SETTINGS, ITEMS = "settings.json", "items"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Record:
    """The result of one item.

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


class RunFolder:
    """The folder of a run: its settings, and one JSON file for each item. What is there is done.

    Each file appears whole or not at all, so after a kill nothing is half there. Only one process may hold a folder.

    Args:
        folder: Where ``settings.json`` and ``items`` go; made when it is not there.
        settings: What decides the results, plain JSON values; items of other settings are refused.
        restart: Whether to forget what the folder holds.

    Raises:
        InputError: The folder cannot be used, is of a run with other settings, or another process holds it.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any], *, restart: bool = False) -> None:
        self.folder, self.settings = Path(folder), plain(settings)
        self.records: dict[str, Record] = {}
        try:
            (self.folder / ITEMS).mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / ".lock").open("a")  # the hold ends with this object, and with the process
            _hold(self._lock.fileno(), self.folder)
            if restart:
                for path in [*(self.folder / ITEMS).glob("*.json"), self.folder / SETTINGS]:
                    path.unlink(missing_ok=True)
            self._begin()
            for path in sorted((self.folder / ITEMS).glob("*.json")):
                record = _read_record(path)
                self.records[record.id] = record
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be used: {error.strerror or error}") from error

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def keep(self, record: Record) -> None:
        """Write a record; its file is whole when this returns."""
        write_json(self.folder / ITEMS / f"{file_name(record.id)}.json", plain(asdict(record)))
        self.records[record.id] = record

    def is_done(self, name: str) -> bool:
        """Whether an item is finished; one that failed is not, so that it is tried again."""
        return name in self.records and self.records[name].error is None

    def _begin(self) -> None:
        """Write the settings, or compare them with those of the folder."""
        path = self.folder / SETTINGS
        if not path.exists():
            write_json(path, {"settings": self.settings})
            return
        before = read_json(path).get("settings") or {}
        for key in sorted({**before, **self.settings}):
            if before.get(key) != self.settings.get(key):
                raise InputError(
                    f"{self.folder} is of a run with {key} {before.get(key)!r}, now {self.settings.get(key)!r}; "
                    "give another --out, or --restart to start again"
                )


def _read_record(path: Path) -> Record:
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not a record of a run; remove it, or --restart to start again") from error


def file_name(name: str) -> str:
    """A file's name for an item, readable and its own, without its ending."""
    readable = re.sub(r"[^\w.-]+", "_", name)[:80]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _hold(descriptor: int, path: Path) -> None:
    """Hold the folder for this process, where the system can."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(f"{path}: another run is writing there; wait for it, or give another --out") from error


# -- items ----------------------------------------------------------------------------------------------------------


def run_items(
    items: Sequence[Any],
    setup: Callable[[], Any],
    measure: Callable[[Any, Any], tuple[list[dict[str, Any]], list[str]]],
    folder: RunFolder,
    *,
    jobs: int = 1,
    threads: int = 1,
    name: str = "items",
    quiet: bool = False,
) -> list[Record]:
    """Measure all items that the folder does not have yet.

    Args:
        items: What to measure, each with an ``id``; sent to other processes, as ``setup`` and ``measure`` are.
        setup: Makes what all items share (models), once in each process.
        measure: From that and an item to rows of plain values and notes.
        folder: Where records go; items that are done there are not repeated, failed ones are.
        jobs: Processes; 1 works in this one.
        threads: CPU threads of torch and of numpy's libraries in each, where there are several.
        name: What stands beside the progress bar, which is on stderr.
        quiet: Whether the error of an item is left to the caller to tell.

    Returns:
        A record of each item, in their order.

    Raises:
        InputError: The setup failed, a process died, or two items have one name.
    """
    if len({item.id for item in items}) != len(items):
        raise InputError("two items have the same id; expected each to have its own")
    todo = [item for item in items if not folder.is_done(item.id)]
    done = len(items) - len(todo)
    with tqdm(total=len(items), initial=done, desc=name, unit="item", disable=None, file=sys.stderr) as bar:
        for record in _records(todo, setup, measure, jobs, threads):
            folder.keep(record)
            bar.update()
            if record.error is not None and not quiet:
                tqdm.write(f"error: {record.id}: {record.error}", file=sys.stderr)
    return [folder.records[item.id] for item in items]


def _records(
    todo: Sequence[Any], setup: Callable[[], Any], measure: Callable[..., Any], jobs: int, threads: int
) -> Iterator[Record]:
    if not todo:
        return
    if jobs == 1:
        context = setup()
        yield from (_record(context, measure, item) for item in todo)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(todo)), spawn, _begin, (threads,))
    lacking = {name: str(threads) for name in THREAD_VARIABLES if name not in os.environ}
    os.environ.update(lacking)  # libraries of the processes read them early
    try:
        futures = [pool.submit(_record_there, setup, measure, item) for item in todo]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a process died, perhaps because memory ran out; run again with fewer --jobs: finished items are kept"
        ) from error
    finally:
        for name in lacking:
            del os.environ[name]
        pool.shutdown(wait=True, cancel_futures=True)


def _record(context: Any, measure: Callable[..., Any], item: Any) -> Record:
    """Measure one item; whatever goes wrong with it becomes its error."""
    start, cpu_start = time.perf_counter(), time.process_time()
    rows, notes, problem = [], [], None
    try:
        rows, notes = measure(context, item)
    except (InputError, OSError) as error:
        problem = " ".join(str(error).split())
    except Exception as error:  # a bug met by one file of a large corpus must not cost the others
        logger.error("%s:\n%s", item.id, traceback.format_exc())
        problem = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return Record(item.id, plain(rows), seconds, error=problem, notes=notes, cpu_seconds=cpu_seconds)


# -- in another process ---------------------------------------------------------------------------------------------

_shared: dict[str, Any] = {}


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that began it is killed; it would wait for items for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _record_there(setup: Callable[[], Any], measure: Callable[..., Any], item: Any) -> Record:
    if "context" not in _shared:
        _shared["context"] = setup()
    return _record(_shared["context"], measure, item)
