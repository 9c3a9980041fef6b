"""Rows to tables: means, intervals, n, what is not measurable; the sentences on what is weak; the table of blends."""

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from refusing import called, refused

from benchmarks.interpolation import blend_table
from gradtts_interp.evaluation import tables
from gradtts_interp.evaluation.grid import TIME, weak_sentences

COLUMNS = [{"key": key, "heading": key, "wanted": "", "definition": ""} for key in "xyz"]
PLAN = {"name": "t", "title": "Title", "text": "Text.", "columns": COLUMNS}


def test_it_is_the_interval_of_the_normal_theory_for_many_values():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    found = tables.mean_with_interval(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    ends = (found["low"], found["high"])
    assert ends == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05)
    assert tables.mean_with_interval(values) == found, "the same values, the same interval"
    assert tables.mean_with_interval([2.5]) == {"mean": 2.5, "low": 2.5, "high": 2.5, "n": 1}


def test_a_rate_is_pooled_over_totals_and_its_interval_is_of_whole_utterances():
    found = tables.ratio_with_interval([1, 0, 2], [2, 8, 10])
    assert found == {"mean": pytest.approx(0.15), "low": pytest.approx(0), "high": pytest.approx(0.5), "n": 3}
    assert tables.ratio_with_interval([1], [4]) == {"mean": 0.25, "low": 0.25, "high": 0.25, "n": 1}


def test_values_without_an_interval_are_named():
    refused(
        called,
        (tables.mean_with_interval, [], "expected at least one, all finite"),
        (tables.mean_with_interval, [1.0, np.nan], "expected at least one, all finite"),
        (tables.ratio_with_interval, [], [], "totals > 0"),
        (tables.ratio_with_interval, [1], [2, 3], "totals > 0"),
        (tables.ratio_with_interval, [1, 0], [2, 0], "totals > 0"),
    )


def row(condition, x, y=None, kind="condition", table="t"):
    return {"table": table, "item": "i", "kind": kind, "condition": condition, "x": x, "y": y}


def test_means_are_over_what_was_measured_and_anchors_come_first():
    rows = [row("all", 1.0, 0.5), row("all", 3.0), row("itself", 0.0, kind="anchor"), row("score", None)]
    table = tables.tabulate(PLAN, [*rows, row("all", 100.0, table="other")])
    kinds = [(line["name"], line["kind"], line["n"]) for line in table["lines"]]
    assert kinds == [("itself", "anchor", 1), ("all", "condition", 2), ("score", "condition", 1)]
    assert [c["key"] for c in table["columns"]] == ["x", "y"], "a column without any value is left out"
    x, y = table["lines"][1]["cells"].values()
    assert (x["mean"], x["n"]) == (2.0, 2) and 1.0 <= x["low"] <= x["high"] <= 3.0 and (y["mean"], y["n"]) == (0.5, 1)
    assert table["lines"][2]["cells"] == {"x": None, "y": None}
    cells = [tables.cell_of(table, *place) for place in (("all", "y"), ("all", "z"), ("none", "x"))]
    assert cells == [y, None, None]


def test_numbers_have_three_digits_that_count():
    values = [0, 0.1234, 12.345, 1.5, 123.4, -1234.5, 1e-7, -6e-16, 0.99951, 0.9994, 9.996, 99.96, -0.0004]
    texts = "0 0.123 12.3 1.50 123 -1234 1e-07 0 1.00 0.999 10.0 100 -0.0004"
    assert " ".join(map(tables.number, values)) == texts


def test_rows_are_written_as_json_lines_and_csv(tmp_path):
    files = tables.write_rows([{"a": 1, "b": 'say "x", é'}, {"a": None, "c": 0.1}], tmp_path)
    rows = [json.loads(line) for line in files["jsonl"].read_text(encoding="utf-8").splitlines()]
    assert rows == [{"a": 1, "b": 'say "x", é'}, {"a": None, "c": 0.1}]
    with files["csv"].open(encoding="utf-8", newline="") as stream:
        assert list(csv.DictReader(stream)) == [{"a": "1", "b": 'say "x", é', "c": ""}, {"a": "", "b": "", "c": "0.1"}]


def test_every_measure_has_a_table_and_every_table_its_measures():
    assert all(table["columns"] for table in tables.TABLES.values())
    assert len({column["key"] for table in tables.TABLES.values() for column in table["columns"]}) > 50
    keys = [column["key"] for column in tables.TABLES["mix"]["columns"]]
    assert keys[:3] == ["f0_share", "energy_share", "envelope_share"] and len(set(keys)) == len(keys)


def test_a_better_baseline_is_named_where_it_is_seen_to_be_better():
    def weak(**errors):
        rows = [{**row(n.replace("_", " "), 0, table=TIME), "f0_control_error": error} for n, error in errors.items()]
        return weak_sentences({TIME: tables.tabulate(tables.TABLES[TIME], rows)})

    (sentence,) = weak(default=0.064, prosody=0.05, static_mix=0.379, hard_half_split=0.01)
    assert sentence.startswith("Control error of F0: prosody 0.050 is below the default's 0.064")
    assert not any(weak(default=0.064, prosody=other) for other in (0.3, 0.0641, 0.064, 0.06399))


# -- the table of blends ----------------------------------------------------------------------------------------------

FACTS = {
    "date": "2026-11-21 12:00 UTC",
    "command": "/home/anna/bin/gradtts-interp evaluate interpolation --out /home/anna/run -j 2",
    "utterances": "8: styles 12 and 10",
    "sampling": "unipc, 10 steps",
    "time": "500 s",
}


def test_the_section_of_a_run_stands_between_the_marks(tmp_path, monkeypatch):
    known = (("A with itself", 0.0, "anchor"), ("default", 0.3), ("default", 0.5), ("nothing", None))
    rows = [{**row(name, 0, None, *kind, table="mix"), "f0_share": share} for name, share, *kind in known]
    rows[-1]["rtf"] = 1.0
    summary = {"facts": FACTS, "weak": ["Level lags behind."], "tables": [tables.tabulate(tables.TABLES["mix"], rows)]}
    text = f"before\n{blend_table.BEGIN}\nold\n{blend_table.END}\nafter\n"
    (tmp_path / "R.md").write_text(text)
    (tmp_path / "s.json").write_text(json.dumps(summary))
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "s.json"), "--document", str(tmp_path / "R.md")])
    assert blend_table.main() == 0
    section = (tmp_path / "R.md").read_text()
    assert "2026-11-21, `gradtts-interp evaluate interpolation -j 2`: 8 utterances" in section
    assert "| F0: share at 0.5, wanted 0.5 |" in section and "time factor" not in section
    assert "| *A with itself* | 0 |" in section and "| default | 0.400 [" in section
    assert "nothing |" not in section and "What is weak: Level lags behind." in section
    assert section.startswith(f"before\n{blend_table.BEGIN}\n2026") and section.endswith(
        f"\n{blend_table.END}\nafter\n"
    )
    assert blend_table.main() == 0 and (tmp_path / "R.md").read_text() == section
    refused(
        called,
        (blend_table.section_of, {"tables": []}, "no table of an interpolation run"),
        (blend_table.with_section, "no marks", "new", "lacks the marks"),
    )


@pytest.mark.parametrize("name", ["README.md", "benchmarks/interpolation/BLENDS.md"])
def test_what_is_shown_has_no_path_of_a_machine(name):
    text = (Path(__file__).parents[2] / name).read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|mnt)/\S*", text)
