"""The table of blends comes from a run's summary, with date, command and what is weak."""

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.interpolation import blend_table  # noqa: E402
from gradtts_interp.errors import InputError  # noqa: E402
from gradtts_interp.evaluation.tables import TABLES, tabulate  # noqa: E402

FACTS = {
    "date": "2026-11-21 12:00 UTC",
    "command": "/home/anna/bin/gradtts-interp evaluate interpolation --out /home/anna/run -j 2",
    "utterances": "8: styles 12 and 10",
    "sampling": "unipc, 10 steps",
    "time": "500 s",
}
KNOWN = (
    ("anchor", "A with itself", 0.0, None),
    ("condition", "default", 0.3, None),
    ("condition", "default", 0.5, None),
    ("condition", "nothing", None, 1.0),
)


@pytest.fixture
def summary():
    rows = [dict(zip(("kind", "condition", "f0_share", "rtf"), line, strict=True), table="mix") for line in KNOWN]
    return {"facts": FACTS, "weak": ["Level lags behind."], "tables": [tabulate(TABLES["mix"], rows).to_dict()]}


def test_a_section_has_the_table_and_what_is_weak(summary):
    section = blend_table.section_of(summary)
    assert "2026-11-21, `gradtts-interp evaluate interpolation -j 2`: 8 utterances" in section
    assert "| F0: share at 0.5, wanted 0.5 |" in section and "time factor" not in section
    assert "| *A with itself* | 0 |" in section and "| default | 0.400 [" in section
    assert "nothing |" not in section and "What is weak: Level lags behind." in section
    with pytest.raises(InputError, match="no table of an interpolation run"):
        blend_table.section_of({"tables": []})


def test_only_what_is_between_the_marks_changes(tmp_path, monkeypatch, summary):
    text = f"before\n{blend_table.BEGIN}\nold\n{blend_table.END}\nafter\n"
    found = blend_table.with_section(text, "new\n")
    assert found == f"before\n{blend_table.BEGIN}\nnew\n{blend_table.END}\nafter\n"
    assert blend_table.with_section(found, "new\n") == found
    with pytest.raises(InputError, match="lacks the marks"):
        blend_table.with_section("no marks", "new")
    (tmp_path / "R.md").write_text(text)
    (tmp_path / "s.json").write_text(json.dumps(summary))
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "s.json"), "--document", str(tmp_path / "R.md")])
    assert blend_table.main() == 0
    assert "| default | 0.400" in (tmp_path / "R.md").read_text()


@pytest.mark.parametrize("name", ["README.md", "benchmarks/interpolation/BLENDS.md"])
def test_what_is_shown_has_no_path_of_a_machine(name):
    text = (Path(__file__).parents[2] / name).read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|mnt)/\S*", text)
