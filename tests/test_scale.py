"""A manifest on several workers: each output once, whatever dies, and no work done twice."""

import json
import os
import signal
import threading
import time

import numpy as np
import pytest
import soundfile

from gradtts_interp.errors import InputError
from gradtts_interp.sampling import length_batches
from gradtts_interp.scale import Settings, Worker, batches_of, read_items, synthesize_manifest


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


ROWS = [{"id": f"item-{i}", "text": f"One two {'three ' * (i % 3)}.", "seed": i} for i in range(6)]


class TestManifest:
    def test_rows_are_read_in_order(self, tmp_path):
        assert read_items(write(tmp_path / "m.jsonl", ROWS)) == ROWS

    @pytest.mark.parametrize(
        "row", [{"id": "a"}, {**ROWS[1], "id": "../a"}, {**ROWS[1], "colour": 1}, {**ROWS[1], "id": 3}, ["a"], ROWS[0]]
    )
    def test_a_bad_line_is_named(self, tmp_path, row):
        path = write(tmp_path / "m.jsonl", [ROWS[0], row])
        with pytest.raises(InputError, match="line 2: expected an id of its own"):
            read_items(path)


class Recorded(Worker):
    """A worker without a checkpoint on disk."""

    def __init__(self, out):
        self.settings, self.out, self.spoken = Settings("none", str(out), steps=1), out, []
        from tiny import tiny_pipeline

        self.tts = tiny_pipeline()

    def speak(self, items):
        self.spoken.append([item["id"] for item in items])
        return super().speak(items)


def voiced(rows):
    return [{**row, "speaker": 0, "speaker2": 2} for row in rows]


class TestBatches:
    def test_each_item_once_like_lengths_and_one_voice(self):
        rows = [{**row, "speaker": i % 2} for i, row in enumerate(ROWS * 3)]
        batches = batches_of(rows, 4)
        assert sorted(map(id, rows)) == sorted(id(item) for batch in batches for item in batch)
        for batch in batches:
            assert len(batch) <= 4 and len({item["speaker"] for item in batch}) == 1
        padded = sum(len(batch) * max(len(item["text"]) for item in batch) for batch in batches)
        in_order = [rows[i : i + 4] for i in range(0, len(rows), 4)]
        assert padded < sum(len(batch) * max(len(item["text"]) for item in batch) for batch in in_order)

    def test_single_lines_keep_their_order(self):
        assert length_batches([3, 1, 2], 1) == [[0], [1], [2]]
        assert length_batches([3, 1, 4], 2) == [[2, 0], [1]]


class TestWorker:
    def test_each_item_is_made_once_and_equal(self, tmp_path):
        worker, row = Recorded(tmp_path), voiced(ROWS)[1]
        assert worker.make([row]) == [""] and worker.make([row]) == [""]
        assert worker.spoken == [["item-1"]]
        before = (tmp_path / "item-1.wav").read_bytes()
        (tmp_path / "item-1.json").unlink()  # killed between the two files
        assert worker.make([row]) == [""]
        assert worker.spoken == [["item-1"]] * 2
        assert worker.make(voiced(ROWS[:3])) == [""] * 3  # what is there is left out of a batch
        assert worker.spoken.pop() == ["item-0", "item-2"]
        for name in ("item-0", "item-2"):
            (tmp_path / f"{name}.wav").unlink(), (tmp_path / f"{name}.json").unlink()
        assert (tmp_path / "item-1.wav").read_bytes() == before
        assert sorted(p.name for p in tmp_path.iterdir()) == ["item-1.json", "item-1.wav"]
        assert json.loads((tmp_path / "item-1.json").read_text())["settings"]["seed"] == 1

    def test_a_batch_equals_single_items(self, tmp_path):
        rows = voiced(ROWS[:3])
        batch, alone = Recorded(tmp_path / "batch"), Recorded(tmp_path / "alone")
        assert batch.make(rows) == [""] * 3
        assert batch.spoken == [[row["id"] for row in rows]]
        for row in rows:
            alone.make([row])
            found = [soundfile.read(folder / f"{row['id']}.wav")[0] for folder in (batch.out, alone.out)]
            np.testing.assert_allclose(*found, atol=2 / 32768)

    def test_a_bad_item_is_told_and_its_neighbours_are_made(self, tmp_path):
        bad = {"id": "bad", "text": "...", "seed": 0, "speaker": 0, "speaker2": 2}
        good, told, other = Recorded(tmp_path).make([voiced(ROWS)[0], bad, voiced(ROWS)[1]])
        assert (good, other) == ("", "") and "nothing to speak" in told.lower()
        names = [f"item-{i}.{kind}" for i in (0, 1) for kind in ("json", "wav")]
        assert sorted(p.name for p in tmp_path.iterdir()) == names


@pytest.mark.slow
@pytest.mark.timeout(900)
class TestRay:
    @pytest.fixture(scope="class")
    def checkpoint(self):
        from pathlib import Path

        return str(Path(__file__).resolve().parents[1] / "checkpts" / "demo")

    @pytest.fixture(autouse=True)
    def _extra(self, monkeypatch):
        pytest.importorskip("ray", reason="make test-scale installs the extra scale")
        monkeypatch.setenv("RAY_worker_niceness", "0")  # at Ray's 15 a busy machine gives its workers no time
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")

    def settings(self, checkpoint, out, **others):
        return Settings(checkpoint, str(out), steps=2, precision="fp32", **others)

    def test_two_workers_equal_one_and_a_killed_one_loses_nothing(self, tmp_path, checkpoint):
        rows = [{**row, "speaker": 12, "speaker2": 10} for row in ROWS] + [{"id": "bad", "text": "Hi.", "speaker": 99}]
        path = write(tmp_path / "m.jsonl", rows)
        settings = self.settings(checkpoint, tmp_path / "one")
        (tmp_path / "one").mkdir()
        worker = Worker(settings)  # this process, without Ray
        assert [problem for row in rows[:6] for problem in worker.make([row])] == [""] * 6

        killer = threading.Thread(target=kill_first_worker, args=(tmp_path / "two",), daemon=True)
        killer.start()
        two = synthesize_manifest(path, self.settings(checkpoint, tmp_path / "two", workers=2))
        killer.join()
        assert two == {"made": 6, "there": 0, "failed": 1}
        assert (tmp_path / "two.killed").exists()
        for row in ROWS:
            name = row["id"] + ".wav"
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
        assert "speaker 99" in (tmp_path / "two" / "failures.jsonl").read_text()
        left = {p.name for p in (tmp_path / "two").iterdir() if not p.name.startswith(".")}  # . is what a kill left
        assert left == {f"{row['id']}.{kind}" for row in ROWS for kind in ("json", "wav")} | {"failures.jsonl"}

        (tmp_path / "two" / "item-3.json").unlink()
        again = synthesize_manifest(path, self.settings(checkpoint, tmp_path / "two"))
        assert again == {"made": 1, "there": 5, "failed": 1}


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
