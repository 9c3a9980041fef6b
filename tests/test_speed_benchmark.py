"""The benchmark of speed reads its own tables rightly, and does not measure twice what is there."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.speed import run  # noqa: E402
from benchmarks.speed.ratios import ratios  # noqa: E402
from benchmarks.speed.solvers import ERROR, EULER_100, MIX_100, SECONDS, SPACINGS, Case  # noqa: E402
from gradtts_interp.diffusion.schedule import LinearSchedule  # noqa: E402
from gradtts_interp.sampling import CONVERGED_STEPS, DEFAULT_SOLVER  # noqa: E402


def tables(*, seconds=1.0, error=0.5, tuning=2.2):
    """Results of parts (a), (d) and (h): Euler-100 takes 6 s at 0.7 %, the default as given."""
    default = Case(DEFAULT_SOLVER, CONVERGED_STEPS)
    solved = [(EULER_100, 0.7, 6.0), (MIX_100, None, 11.0), (default, error, seconds), (Case("unipc", 6), 5.0, 0.1)]
    share = "share of the product's rate, %"
    whole = [{"operator": "all", "arithmetic": name, "ms": ms, share: 50.0} for name, ms in (("fp32", 3), ("bf16", 2))]
    return {
        "a": {"rows": [case.row() | {ERROR: error, SECONDS: seconds} for case, error, seconds in solved]},
        "d": {"rows": [{"target": "defaults", "of plain synthesis": tuning}]},
        "h": {"rows": whole, "machine": "a CPU"},
    }


def test_ratios_are_read_off_the_tables():
    rows = ratios(tables())
    same, mix, default, tuned, *gpu = rows
    assert (same["measured"], same["answer"]) == (6.0, "not met") and "18 are needed" in same["what limits it"]
    assert "bf16 makes one 1.5 times as fast" in same["what limits it"]
    assert (mix["measured"], mix["answer"]) == (11.0, "not met")
    assert (default["measured"], default["answer"]) == (0.5, "met")
    assert (tuned["measured"], tuned["answer"]) == (2.2, "met")
    assert [row["answer"] for row in gpu] == ["unmeasured"] * 2
    assert [row["answer"] for row in ratios(tables(seconds=0.4))[:2]] == ["met", "met"]
    assert ratios(tables(tuning=3.1))[3]["answer"] == "not met"


def test_a_solver_that_is_further_off_than_euler_does_not_count():
    first = ratios(tables(error=0.8))[0]
    assert (first["measured"], first["answer"]) == ("none is as near", "not met")
    assert not ratios({}) or all(row["answer"] == "unmeasured" for row in ratios({}))


@pytest.mark.parametrize("name", SPACINGS)
def test_spacings_fall_from_one(name):
    times = SPACINGS[name](12, LinearSchedule())
    assert len(times) == 12 and times[0] == pytest.approx(1.0) and times[-1] > 0
    assert all(later < earlier for earlier, later in zip(times, times[1:], strict=False))


def test_a_run_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    calls, out = [], tmp_path / "RESULTS"

    def part(name):
        def rows(setup):
            """What it is."""
            calls.append(name)
            if name == "f" and calls.count("f") == 1:
                raise KeyboardInterrupt
            return [{"x": name}]

        return rows

    monkeypatch.setattr(run, "PARTS", {name: (name.upper(), part(name)) for name in "ef"})
    monkeypatch.setattr(run.torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(run.SpeedSetup, "load", lambda *_, **__: None)
    monkeypatch.setattr("sys.argv", ["run", "--out", str(out)])
    with pytest.raises(KeyboardInterrupt):
        run.main()
    assert run.main() == 0 and calls == ["e", "f", "f"]
    assert sorted(json.loads(out.with_suffix(".json").read_text())) == ["e", "f"]
    text = out.with_suffix(".md").read_text()
    assert "## Ratios asked for" in text and "## (e) E" in text and "commit" in text
    monkeypatch.setattr("sys.argv", ["run", "--out", str(out), "--again", "--part", "e"])
    assert run.main() == 0 and calls == ["e", "f", "f", "e"]
    assert "measured already; --again repeats it" in capsys.readouterr().out
