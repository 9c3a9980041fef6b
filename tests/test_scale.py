"""A manifest on several workers: each output once, whatever dies, and no work done twice."""

import json
import os
import signal
import threading
import time

import pytest
from tiny import tiny_style

from gradtts_interp.errors import InputError
from gradtts_interp.scale import Settings, Worker, read_items, synthesize_manifest


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


ROWS = [{"id": f"item-{i}", "text": f"One two {'three ' * (i % 3)}.", "seed": i} for i in range(6)]


class TestManifest:
    def test_rows_are_read_in_order(self, tmp_path):
        assert read_items(write(tmp_path / "m.jsonl", ROWS)) == ROWS

    @pytest.mark.parametrize(
        "row",
        [
            {"id": "a"},
            {"id": "../a", "text": "x"},
            {"id": "a", "text": "x", "colour": 1},
            {"id": 3, "text": "x"},
            ["a"],
        ],
    )
    def test_a_bad_line_is_named(self, tmp_path, row):
        path = write(tmp_path / "m.jsonl", [ROWS[0], row])
        with pytest.raises(InputError, match="line 2: expected an id of its own"):
            read_items(path)

    def test_the_same_id_twice_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="line 2"):
            read_items(write(tmp_path / "m.jsonl", [ROWS[0], ROWS[0]]))

    def test_no_manifest(self, tmp_path):
        with pytest.raises(InputError, match="no such manifest"):
            read_items(tmp_path / "none.jsonl")


class Recorded(Worker):
    """A worker without a checkpoint on disk."""

    def __init__(self, out):
        self.settings, self.out, self.spoken = Settings("none", str(out)), out, []
        from tiny import tiny_pipeline

        self.tts = tiny_pipeline()

    def speak(self, item):
        self.spoken.append(item["id"])
        return self.tts(item["text"], tiny_style(1), num_inference_steps=1, seed=item["seed"])


class TestWorker:
    def test_each_item_is_made_once_and_equal(self, tmp_path):
        worker = Recorded(tmp_path)
        assert worker.make(ROWS[0]) == "" and worker.make(ROWS[0]) == ""
        assert worker.spoken == ["item-0"]
        before = (tmp_path / "item-0.wav").read_bytes()
        (tmp_path / "item-0.json").unlink()  # killed between the two files
        assert worker.make(ROWS[0]) == ""
        assert worker.spoken == ["item-0"] * 2
        assert (tmp_path / "item-0.wav").read_bytes() == before
        assert sorted(p.name for p in tmp_path.iterdir()) == ["item-0.json", "item-0.wav"]

    def test_a_bad_item_is_told_and_leaves_nothing(self, tmp_path):
        assert "nothing to speak" in Recorded(tmp_path).make({"id": "bad", "text": "...", "seed": 0}).lower()
        assert not list(tmp_path.iterdir())


@pytest.mark.slow
class TestRay:
    @pytest.fixture(scope="class")
    def checkpoint(self):
        from pathlib import Path

        return str(Path(__file__).resolve().parents[1] / "checkpts" / "demo")

    @pytest.fixture(autouse=True)
    def _extra(self):
        pytest.importorskip("ray", reason="make test-scale installs the extra scale")

    def settings(self, checkpoint, out, **others):
        return Settings(checkpoint, str(out), steps=2, precision="fp32", **others)

    def test_two_workers_equal_one_and_a_killed_one_loses_nothing(self, tmp_path, checkpoint):
        rows = [{**row, "speaker": 12, "speaker2": 10} for row in ROWS] + [{"id": "bad", "text": "Hi.", "speaker": 99}]
        path = write(tmp_path / "m.jsonl", rows)
        one = synthesize_manifest(path, self.settings(checkpoint, tmp_path / "one"))
        assert one == {"made": 6, "there": 0, "failed": 1}

        killer = threading.Thread(target=kill_first_worker, args=(tmp_path / "two",), daemon=True)
        killer.start()
        two = synthesize_manifest(path, self.settings(checkpoint, tmp_path / "two", workers=2, cpus=0.5))
        killer.join()
        assert two == {"made": 6, "there": 0, "failed": 1}
        assert (tmp_path / "two.killed").exists()
        for row in ROWS:
            for suffix in (".wav",):
                name = row["id"] + suffix
                assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
        assert "speaker 99" in (tmp_path / "two" / "failures.jsonl").read_text()

        (tmp_path / "two" / "item-3.json").unlink()
        again = synthesize_manifest(path, self.settings(checkpoint, tmp_path / "two"))
        assert again == {"made": 1, "there": 5, "failed": 1}


def kill_first_worker(out):
    """Kill one of Ray's actors once the first output is there."""
    import psutil

    deadline = time.time() + 240
    while time.time() < deadline and not list(out.glob("*.json")):
        time.sleep(0.05)
    for process in psutil.Process().children(recursive=True):
        if "MapWorker" in " ".join(process.cmdline()):
            os.kill(process.pid, signal.SIGKILL)
            out.with_suffix(".killed").touch()
            return
