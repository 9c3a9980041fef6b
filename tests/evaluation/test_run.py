"""The folder of a run, and items in several processes: order, failures, costs, and going on after a kill."""

import functools
import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from refusing import refused

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.grid import cost_of
from gradtts_interp.evaluation.run import Record, RunFolder, plain, run_items


@dataclass(frozen=True)
class Thing:
    id: str
    value: float = 0.0


def measure(context, item):
    """Leave a mark for each time an item is measured."""
    folder, seconds = context
    with (Path(folder) / f"{item.id}.mark").open("a") as marks:
        marks.write("x")
    time.sleep(seconds)
    if item.value < 0:
        raise InputError(f"{item.id} is\nbelow zero")
    if item.value > 9:
        raise ZeroDivisionError("a bug")
    return [{"twice": 2 * item.value}], ["seen"]


def work(folder, seconds=0.0):
    """What setup gives is the folder and the time; a partial, since it goes to other processes."""
    return functools.partial(tuple, (str(folder), seconds)), measure


def measure_process(context, item):
    """Say where an item is measured, and with how many threads."""
    return [{"pid": os.getpid(), "threads": torch.get_num_threads(), "omp": os.environ.get("OMP_NUM_THREADS")}], []


def fail_to_set_up():
    raise InputError("no such model")


def record(name, **values):
    return Record(name, [{"x": 1.5, **values}], 0.1)


def test_what_is_kept_is_found_again(tmp_path):
    with RunFolder(tmp_path, {"steps": 10}) as folder:
        for one in (record("one/a b: ä", text="é ü"), record("one/a b; ä"), Record("two", [], 0.1, error="bad")):
            folder.keep(one)
    with RunFolder(tmp_path, {"steps": 10}) as folder:
        assert folder.is_done("one/a b: ä") and not folder.is_done("two") and not folder.is_done("three")
        assert folder.records["one/a b: ä"].rows == [{"x": 1.5, "text": "é ü"}] and len(folder.records) == 3
        folder.keep(record("two"))
    with RunFolder(tmp_path, {"steps": 10}) as folder:
        assert folder.is_done("two"), "the last record of an item counts"


def test_other_settings_and_other_processes_are_refused_and_restart_forgets(tmp_path):
    with RunFolder(tmp_path, {"steps": 10, "seed": 0}) as folder:
        folder.keep(record("one"))
    refused(RunFolder, (tmp_path, {"steps": 20, "seed": 0}, "with steps 10, now 20; give another --out"))
    with RunFolder(tmp_path, {"seed": 0, "steps": 10}) as folder:  # the order of the settings does not count
        assert folder.is_done("one")
    with RunFolder(tmp_path, {"steps": 20}, restart=True) as folder:
        assert not folder.records
    with RunFolder(tmp_path, {}, restart=True):
        refused(RunFolder, (tmp_path, {}, "another run is writing"))
    (tmp_path / "items" / "x.json").write_text("not json")
    (tmp_path / "file").write_text("")
    refused(RunFolder, (tmp_path, {}, "x.json: not a record of a run"), (tmp_path / "file", {}, "cannot be used"))


def test_plain_values_hold_no_nan():
    value = {"a": np.float32("nan"), "b": np.arange(2), "c": (np.bool_(True), float("inf")), "d": 0.5}
    assert plain(value) == {"a": None, "b": [0, 1], "c": [True, None], "d": 0.5}


def test_rows_come_in_order_failures_are_told_and_tried_again(tmp_path, capsys):
    items = [Thing("a", 1), Thing("b", -1), Thing("c", 10), Thing("d", 2)]
    with RunFolder(tmp_path / "run", {}) as folder:
        records = run_items(items, *work(tmp_path), folder)
    told = [None, "b is below zero", "unexpected ZeroDivisionError: a bug", None]
    rows = [[{"twice": 2}], [], [], [{"twice": 4}]]
    assert [(r.id, r.rows, r.error) for r in records] == list(zip("abcd", rows, told, strict=True))
    assert [r.notes for r in records] == [["seen"], [], [], ["seen"]]
    err = capsys.readouterr().err
    assert f"error: b: {told[1]}" in err and f"error: c: {told[2]}" in err
    # What is done is not repeated, what failed is, and a setup of nothing is not begun.
    with RunFolder(tmp_path / "run", {}) as folder:
        again = run_items([Thing("a", 1), Thing("b", 1), Thing("e", 1)], *work(tmp_path), folder)
        assert run_items([Thing("a", 1)], fail_to_set_up, measure, folder) == again[:1]
        refused(
            run_items,
            ([Thing("f")], fail_to_set_up, measure, folder, "no such model"),
            ([Thing("a"), Thing("a")], *work(tmp_path), folder, "same id"),
        )
    assert [r.error for r in again] == [None, None, None]
    marks = {p.stem: len(p.read_text()) for p in tmp_path.glob("*.mark")}
    assert marks == {"a": 1, "b": 2, "c": 1, "d": 1, "e": 1}


def test_cost_is_of_the_block_alone():
    device = torch.device("cpu")
    _, small_seconds, small_mib = cost_of(lambda: time.sleep(0.05), device)
    total, _, large_mib = cost_of(lambda: np.ones(2**25).sum(), device)  # 256 MiB for a moment
    _, after_seconds, after_mib = cost_of(lambda: None, device)
    assert total == 2**25 and 0.05 <= small_seconds < 2 and after_seconds < small_seconds
    if small_mib is None:
        pytest.skip("this system does not tell the peak of a process")
    assert large_mib - small_mib > 200
    assert after_mib < large_mib - 200, "an earlier peak does not count"


def run_six(folder, seconds=0.0, jobs=1):
    """A whole run; in a process of its own, one that can be killed."""
    with RunFolder(folder / "run", {}) as opened:
        return run_items([Thing(str(i), i) for i in range(6)], *work(folder, seconds), opened, jobs=jobs)


@pytest.mark.slow
def test_processes_share_the_cores(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    items = [Thing(str(i)) for i in range(4)]
    with RunFolder(tmp_path / "run", {}) as folder:
        records = run_items(items, dict, measure_process, folder, jobs=2, threads=1)
    rows = [record.rows[0] for record in records]
    assert all(row["pid"] != os.getpid() and row["threads"] == 1 and row["omp"] == "1" for row in rows)
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_without_repeating_what_is_finished(tmp_path, jobs):
    process = multiprocessing.get_context("spawn").Process(target=run_six, args=(tmp_path, 0.3, jobs))
    process.start()
    end = time.monotonic() + 120
    while len(list(tmp_path.glob("run/items/*.json"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    pool = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.join()
    _, waiting = psutil.wait_procs(pool, timeout=10)
    assert bool(pool) == (jobs > 1) and not waiting, "processes of a killed run wait for ever"
    finished = {p.stem: p.read_text() for p in tmp_path.glob("*.mark")}
    with RunFolder(tmp_path / "run", {}) as opened:
        kept = set(opened.records)
    assert len(kept) >= 2
    records = run_six(tmp_path)
    assert [r.rows for r in records] == [[{"twice": 2 * i}] for i in range(6)]
    marks = {p.stem: p.read_text() for p in tmp_path.glob("*.mark")}
    assert all(marks[name] == finished[name] == "x" for name in kept)
