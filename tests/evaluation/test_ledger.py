"""A ledger survives a kill, refuses other settings, and belongs to one process."""

import json

import numpy as np
import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.ledger import Ledger, Record, json_line, plain


def record(name, **values):
    return Record(name, [{"x": 1.5, **values}], 0.1)


def test_what_is_appended_is_found_again(tmp_path):
    with Ledger(tmp_path / "l.jsonl", {"steps": 10}) as ledger:
        ledger.append(record("one"))
        ledger.append(Record("two", [], 0.1, error="bad"))
    with Ledger(tmp_path / "l.jsonl", {"steps": 10}) as ledger:
        assert ledger.is_done("one") and not ledger.is_done("two") and not ledger.is_done("three")
        assert ledger.records["one"].rows == [{"x": 1.5}]
        ledger.append(record("two"))
    with Ledger(tmp_path / "l.jsonl", {"steps": 10}) as ledger:
        assert ledger.is_done("two"), "the last record of an item counts"


def test_every_cut_of_the_file_leaves_the_whole_records(tmp_path):
    path = tmp_path / "l.jsonl"
    with Ledger(path, {"steps": 10}) as ledger:
        for name in ("one", "zwei", "drei"):
            ledger.append(record(name, text="é ü"))
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        with Ledger(path, {"steps": 10}) as ledger:
            assert len(ledger.records) == max(0, sum(end <= cut for end in ends) - 1)
            ledger.append(record("more"))
        assert all(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def test_other_settings_are_refused_and_restart_forgets(tmp_path):
    path = tmp_path / "l.jsonl"
    with Ledger(path, {"steps": 10}) as ledger:
        ledger.append(record("one"))
    with pytest.raises(InputError, match="with steps 10, now 20; give another --out"):
        Ledger(path, {"steps": 20})
    with Ledger(path, {"steps": 20}, restart=True) as ledger:
        assert not ledger.records


def test_a_ledger_belongs_to_one_process(tmp_path):
    with Ledger(tmp_path / "l.jsonl", {}), pytest.raises(InputError, match="another run is writing"):
        Ledger(tmp_path / "l.jsonl", {})


def test_files_that_are_no_ledger(tmp_path):
    path = tmp_path / "l.jsonl"
    path.write_text('{"settings": {}}\nnot json\n')
    with pytest.raises(InputError, match="line 2: no record of a run"):
        Ledger(path, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used"):
        Ledger(tmp_path / "file" / "l.jsonl", {})


def test_plain_values_hold_no_nan():
    value = {"a": np.float32("nan"), "b": np.arange(2), "c": (np.bool_(True), float("inf")), "d": 0.5}
    assert plain(value) == {"a": None, "b": [0, 1], "c": [True, None], "d": 0.5}
    assert json.loads(json_line(value))["a"] is None
