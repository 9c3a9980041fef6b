"""Work through items in several processes; what is finished is kept, and one bad item does not stop the others."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from tqdm import tqdm

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.ledger import Ledger, Record, plain

logger = logging.getLogger(__name__)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Item(Protocol):
    """Something to be measured; it is sent to another process."""

    @property
    def id(self) -> str:
        """Name, unique in its run."""
        ...


@dataclass(frozen=True)
class Work:
    """What is done with each item, as it is sent to other processes.

    Attributes:
        setup: Makes what all items share (models), once in each process.
        measure: From that and an item to rows of plain values and notes.
    """

    setup: Callable[[], Any]
    measure: Callable[[Any, Any], tuple[list[dict[str, Any]], list[str]]]


def run_items(
    items: Sequence[Item],
    work: Work,
    ledger: Ledger,
    *,
    jobs: int = 1,
    threads: int = 1,
    name: str = "items",
    quiet: bool = False,
) -> list[Record]:
    """Measure all items that the ledger has not yet.

    Args:
        items: What to measure.
        work: How.
        ledger: Where records go; items that are done there are not repeated, failed ones are.
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
    todo = [item for item in items if not ledger.is_done(item.id)]
    done = len(items) - len(todo)
    with tqdm(total=len(items), initial=done, desc=name, unit="item", disable=None, file=sys.stderr) as bar:
        for record in _records(todo, work, jobs, threads):
            ledger.append(record)
            bar.update()
            if record.error is not None and not quiet:
                tqdm.write(f"error: {record.id}: {record.error}", file=sys.stderr)
    return [ledger.records[item.id] for item in items]


def _records(todo: Sequence[Item], work: Work, jobs: int, threads: int) -> Iterator[Record]:
    if not todo:
        return
    if jobs == 1:
        context = work.setup()
        for item in todo:
            yield _measure(context, work, item)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(todo)), spawn, _begin, (threads,))
    try:
        with _threads_of_children(threads):  # the processes are started by the first items
            futures = [pool.submit(_measure_there, work, item) for item in todo]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a process died, perhaps for want of memory; run again with fewer --jobs: what is finished is kept"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    """What the environment does not say of threads, it says to processes started meanwhile; libraries read it early."""
    added = {name: str(threads) for name in THREAD_VARIABLES if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _measure(context: Any, work: Work, item: Item) -> Record:
    """Measure one item; whatever goes wrong with it becomes its error."""
    start, cpu_start = time.perf_counter(), time.process_time()
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    problem = None
    try:
        rows, notes = work.measure(context, item)
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


def _measure_there(work: Work, item: Item) -> Record:
    if "context" not in _shared:
        _shared["context"] = work.setup()
    return _measure(_shared["context"], work, item)
