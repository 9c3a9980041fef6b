"""A manifest on several workers: each output once, whatever dies, and no work done twice."""

import argparse
import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from gradtts_interp.errors import InputError
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import length_batches
from gradtts_interp.scale import Worker, add_arguments, batches_of, read_items, synthesize_manifest

ROWS = [{"id": f"item-{i}", "text": f"One two {'three ' * (i % 3)}.", "seed": i} for i in range(6)]
VOICED = [{**row, "speaker": 0, "speaker2": 2} for row in ROWS]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rows_are_read_in_order_and_a_bad_one_is_named(tmp_path):
    assert read_items(write(tmp_path / "m.jsonl", ROWS)) == ROWS
    wrong = ({"id": "../a"}, {"colour": 1}, {"id": 3}, {"text": 3}, {"id": ROWS[0]["id"]})
    for row in ({"id": "a"}, ["a"], *({**ROWS[1], **change} for change in wrong)):
        with pytest.raises(InputError, match="line 2: expected an id of its own"):
            read_items(write(tmp_path / "m.jsonl", [ROWS[0], row]))


def test_batches_hold_each_item_once_with_like_lengths_and_one_voice():
    rows = [{**row, "speaker": i % 2} for i, row in enumerate(ROWS * 3)]
    batches, in_order = batches_of(rows, 4), [rows[i : i + 4] for i in range(0, len(rows), 4)]
    assert sorted(map(id, rows)) == sorted(id(item) for batch in batches for item in batch)
    assert all(len(batch) <= 4 and len({item["speaker"] for item in batch}) == 1 for batch in batches)
    padded = [sum(len(batch) * max(len(i["text"]) for i in batch) for batch in some) for some in (batches, in_order)]
    assert padded[0] < padded[1]
    assert length_batches([3, 1, 2], 1) == [[0], [1], [2]] and length_batches([3, 1, 4], 2) == [[2, 0], [1]]


@pytest.fixture
def worker(monkeypatch, tmp_path, tiny_pipeline):
    """Makes workers without a checkpoint on disk; each keeps the names of what it spoke."""
    monkeypatch.setattr(GradTTSInterpPipeline, "from_pretrained", lambda _: tiny_pipeline)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)

    def make(out=tmp_path):
        made = Worker(args_of("none", "none", out, "-t", "1", "--precision", "fp32"))
        speak, made.spoken = made.speak, []
        made.speak = lambda items: made.spoken.append([item["id"] for item in items]) or speak(items)
        return made

    return make


def args_of(manifest, checkpoint, out, *flags):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([str(manifest), "-c", str(checkpoint), "--out", str(out), *flags])


class TestWorker:
    def test_each_item_is_made_once_and_equal(self, tmp_path, worker):
        worker, row = worker(), VOICED[1]
        assert worker.make([row]) == [""] and worker.make([row]) == [""]
        before = (tmp_path / "item-1.wav").read_bytes()
        (tmp_path / "item-1.json").unlink()  # killed between the two files
        assert worker.make([row]) == [""]
        assert worker.make(VOICED[:3]) == [""] * 3  # what is there is left out of a batch
        assert worker.spoken == [["item-1"], ["item-1"], ["item-0", "item-2"]]
        assert (tmp_path / "item-1.wav").read_bytes() == before
        assert json.loads((tmp_path / "item-1.json").read_text())["settings"]["seed"] == 1

    def test_a_batch_equals_single_items(self, tmp_path, worker):
        batch, alone = worker(tmp_path / "batch"), worker(tmp_path / "alone")
        assert batch.make(VOICED[:3]) == [""] * 3 and len(batch.spoken) == 1
        for row in VOICED[:3]:
            alone.make([row])
            found = [soundfile.read(folder.out / f"{row['id']}.wav")[0] for folder in (batch, alone)]
            np.testing.assert_allclose(*found, atol=2 / 32768)

    def test_a_bad_item_is_told_and_its_neighbours_are_made(self, tmp_path, worker):
        good, told, other = worker().make([VOICED[0], {**VOICED[0], "id": "bad", "text": "..."}, VOICED[1]])
        assert (good, other) == ("", "") and "nothing to speak" in told.lower()
        names = [f"item-{i}.{kind}" for i in (0, 1) for kind in ("json", "wav")]
        assert sorted(p.name for p in tmp_path.iterdir()) == names


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_workers_of_ray_equal_one_and_a_killed_one_loses_nothing(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="make test-scale installs the extra scale")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # at Ray's 15 a busy machine gives its workers no time
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    rows = [{**row, "speaker": 12, "speaker2": 10} for row in ROWS] + [{"id": "bad", "text": "Hi.", "speaker": 99}]
    path, one, two = write(tmp_path / "m.jsonl", rows), tmp_path / "one", tmp_path / "two"

    def args(out, *flags):
        demo = Path(__file__).resolve().parents[1] / "checkpts" / "demo"
        return args_of(path, demo, out, "-t", "2", "--precision", "fp32", *flags)

    worker = Worker(args(one))  # this process, without Ray
    assert [problem for row in rows[:6] for problem in worker.make([row])] == [""] * 6
    killer = threading.Thread(target=kill_first_worker, args=(two,), daemon=True)
    killer.start()
    assert synthesize_manifest(args(two, "--workers", "2")) == {"made": 6, "there": 0, "failed": 1}
    killer.join()
    assert (tmp_path / "two.killed").exists() and "speaker 99" in (two / "failures.jsonl").read_text()
    for row in ROWS:
        name = row["id"] + ".wav"
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    left = {p.name for p in two.iterdir() if not p.name.startswith(".")}  # . is what a kill left
    assert left == {f"{row['id']}.{kind}" for row in ROWS for kind in ("json", "wav")} | {"failures.jsonl"}
    (two / "item-3.json").unlink()
    assert synthesize_manifest(args(two)) == {"made": 1, "there": 5, "failed": 1}


def kill_first_worker(out):
    """Kill one of Ray's actors once the first output is there."""
    import psutil

    deadline = time.time() + 240
    while time.time() < deadline and not list(out.glob("*.json")):
        time.sleep(0.02)
    for process in psutil.Process().children(recursive=True):
        if "MapWorker" in " ".join(process.cmdline()):
            os.kill(process.pid, signal.SIGKILL)
            out.with_suffix(".killed").touch()
            return
