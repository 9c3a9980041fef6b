"""Rows to tables: means, intervals, n, what is not measurable; and the sentences on what is weak."""

import csv
import json

from gradtts_interp.evaluation.grid import TIME
from gradtts_interp.evaluation.grid_run import weak_sentences
from gradtts_interp.evaluation.tables import TABLES, Table, number, tabulate, write_rows

COLUMNS = tuple({"key": key, "heading": key, "wanted": "", "definition": ""} for key in "xyz")
PLAN = Table("t", "Title", "Text.", COLUMNS)


def row(condition, x, y=None, kind="condition", table="t"):
    return {"table": table, "item": "i", "kind": kind, "condition": condition, "x": x, "y": y}


ROWS = [
    row("all", 1.0, 0.5),
    row("all", 3.0),
    row("itself", 0.0, kind="anchor"),
    row("all", 100.0, table="other"),
    row("score", None),
]


def test_means_are_over_what_was_measured_and_anchors_come_first():
    table = tabulate(PLAN, ROWS)
    kinds = [(line["name"], line["kind"], line["n"]) for line in table.lines]
    assert kinds == [("itself", "anchor", 1), ("all", "condition", 2), ("score", "condition", 1)]
    assert [c["key"] for c in table.columns] == ["x", "y"], "a column without any value is left out"
    x, y = table.lines[1]["cells"].values()
    assert (x.mean, x.n) == (2.0, 2) and 1.0 <= x.low <= x.high <= 3.0
    assert (y.mean, y.n) == (0.5, 1)
    assert table.lines[2]["cells"] == {"x": None, "y": None}
    assert table.cell("all", "y") == y and table.cell("all", "z") is None is table.cell("none", "x")
    found = json.loads(json.dumps(table.to_dict()))
    assert found["lines"][1]["cells"]["x"]["mean"] == 2.0 and found["lines"][2]["cells"]["x"] is None


def test_numbers_have_three_digits_that_count():
    values = [0, 0.1234, 12.345, 1.5, 123.4, -1234.5, 1e-7, -6e-16, 0.99951, 0.9994, 9.996, 99.96, -0.0004]
    texts = "0 0.123 12.3 1.50 123 -1234 1e-07 0 1.00 0.999 10.0 100 -0.0004"
    assert " ".join(map(number, values)) == texts


def test_rows_are_written_as_json_lines_and_csv(tmp_path):
    files = write_rows([{"a": 1, "b": 'say "x", é'}, {"a": None, "c": 0.1}], tmp_path)
    rows = [json.loads(line) for line in files["jsonl"].read_text(encoding="utf-8").splitlines()]
    assert rows == [{"a": 1, "b": 'say "x", é'}, {"a": None, "c": 0.1}]
    with files["csv"].open(encoding="utf-8", newline="") as stream:
        assert list(csv.DictReader(stream)) == [{"a": "1", "b": 'say "x", é', "c": ""}, {"a": "", "b": "", "c": "0.1"}]


def test_every_measure_has_a_table_and_every_table_its_measures():
    assert all(table.columns for table in TABLES.values())
    assert len({column["key"] for table in TABLES.values() for column in table.columns}) > 50
    keys = [column["key"] for column in TABLES["mix"].columns]
    assert keys[:3] == ["f0_share", "energy_share", "envelope_share"] and len(set(keys)) == len(keys)


def weak(**errors):
    rows = [
        {"table": TIME, "kind": "condition", "condition": name.replace("_", " "), "f0_control_error": error}
        for name, error in errors.items()
    ]
    return weak_sentences({TIME: tabulate(TABLES[TIME], rows)})


def test_a_better_baseline_is_named_where_it_is_seen_to_be_better():
    (sentence,) = weak(default=0.064, prosody=0.05, static_mix=0.379, hard_half_split=0.01)
    assert sentence.startswith("Control error of F0: prosody 0.050 is below the default's 0.064")
    assert not any(weak(default=0.064, prosody=other) for other in (0.3, 0.0641, 0.064, 0.06399))
