"""``evaluate interpolation`` on a tiny model: tables with anchors, files, going on, one bad item."""

import json
from unittest.mock import Mock

import numpy as np
import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation import grid
from gradtts_interp.evaluation.grid import GridItem, conditions_of, grid_items, parse_pair
from gradtts_interp.interpolation import shares
from gradtts_interp.job import StyleChoice


@pytest.fixture
def run(checkpoint, tmp_path, command):
    def run_command(*arguments):
        (tmp_path / "lines.txt").write_text("A cat.\n")
        argv = ["evaluate", "interpolation", "-c", checkpoint, "-f", tmp_path / "lines.txt", "-t", 2, "-j", 1, "--json"]
        without = ("--speaker-encoder", "none", "--no-recogniser")
        status, out, err = command(*argv, *without, "--out", tmp_path / "out", *arguments)
        return status, json.loads(out) if out.strip() else None, err

    return run_command


def lines(summary, name):
    (table,) = [table for table in summary["tables"] if table["name"] == name]
    return {line["name"]: line["cells"] for line in table["lines"]}


def test_a_quick_run_writes_tables_with_anchors_and_goes_on(run, tmp_path, monkeypatch):
    flags = ("--quick", "-n", 1, "--pairs", "12:10", "--examples", 1, "--kaldi", "--textgrids")
    status, summary, _ = run(*flags)
    assert status == 0 and not summary["failed"]
    mix = lines(summary, "mix")
    assert {"A with itself", "A through the vocoder", "A, other noise", "B (range)", "default", "score"} <= set(mix)
    assert mix["default"]["endpoint_a"]["mean"] < 1e-4 and mix["default"]["endpoint_b"]["mean"] < 1e-4
    # What the tiny model says may be voiced nowhere: then there is no share to measure, and no figure.
    shares = [mix["A with itself"].get(f"{name}_share") for name in ("f0", "energy", "envelope")]
    assert all(share is None or share["mean"] == 0 for share in shares)
    assert mix["default"]["correspondence"]["mean"] < 1e-3 and {"intermediateness", "smoothness"} <= set(mix["default"])
    assert {"hard half split", "static mix", "default", "prior + prosody", "WORLD morph"} <= set(lines(summary, "time"))
    assert {"WORLD swap", "default", "prosody"} <= set(lines(summary, "frequency"))
    known = lines(summary, "reference")
    assert known["A with itself"]["mcd_db"]["mean"] == 0 and known["B (range)"]["mcd_db"]["mean"] > 0
    assert "A, another sentence (DTW)" in known
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<audio") >= 5 and "https://" not in page and len(page) < 20e6
    made = list((tmp_path / "out" / "wavs").rglob("*.wav"))
    assert len(made) > 20 and all(path.with_suffix(".TextGrid").exists() for path in made)
    scp = (tmp_path / "out" / "kaldi" / "wav.scp").read_text().splitlines()
    assert {line.split()[1] for line in scp} == {str(path) for path in made}
    monkeypatch.setattr(grid, "measure_item", Mock(side_effect=AssertionError("an item was measured again")))
    status, again, _ = run(*flags)
    assert status == 0 and again["tables"] == summary["tables"]
    status, _, err = run(*flags, "--seed", 1)
    assert status == 2 and "give another --out, or --restart" in err


def test_a_bad_item_is_told_and_the_others_are_measured(run, monkeypatch):
    whole = grid.measure_item

    def measure(context, item):
        if item.name == "score":
            raise InputError("this one is bad")
        return whole(context, item)

    monkeypatch.setattr(grid, "measure_item", measure)
    status, summary, err = run("--quick", "-n", 1, "--pairs", "12:10", "--modes", "mix", "--no-report")
    assert status == 1 and "error: 00_12_10/mix-score: this one is bad" in err
    assert summary["failed"] == [{"item": "00_12_10/mix-score", "error": "this one is bad"}]
    assert "default" in lines(summary, "mix") and "score" not in lines(summary, "mix")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--pairs", "12"), "expected two styles, such as 12:10"),
        (("--pairs", "12:99"), "speaker 99"),
        (("--pairs", "12:none.wav"), "none.wav"),
        (("-n", 0), "at least 1"),
        (("--modes", "sideways"), "sideways"),
    ],
)
def test_flags_that_name_nothing(run, flags, words):
    status, _, err = run(*flags)
    assert status == 2 and words in err


def test_the_grid_has_every_baseline_and_every_id_once():
    conditions = conditions_of(["mix", "time", "frequency"], has_style=True, noise=True, quick=False)
    names = {(c["mode"], c["name"]) for c in conditions}
    assert {("time", "hard half split"), ("time", "static mix"), ("frequency", "WORLD swap")} <= names
    assert {("time", "WORLD morph"), ("mix", "WORLD morph"), ("time", "prior + prosody")} <= names
    assert {("mix", "score"), ("mix", "attention"), ("time", "attention + noise")} <= names
    assert all(len(c["weights"]) == 11 for c in conditions if c["mode"] == "mix")
    pairs = [(StyleChoice(1), StyleChoice(2)), (StyleChoice(3, "happy"), StyleChoice(recording="a/b.wav"))]
    items = grid_items(pairs, ["One.", "Two."], conditions, utterances=4, examples=1)
    assert len({item.id for item in items}) == len(items) == 4 * (1 + len(conditions))
    assert len({(i.a, i.text) for i in items}) == 4, "each pair meets other sentences in time"
    official = conditions_of(["mix"], has_style=False, noise=True, quick=True)
    assert [c["name"] for c in official] == ["default", "score", "WORLD morph"]
    together = [set(c["mechanisms"]) for c in conditions if c["mode"] == "time" and c["mechanisms"]]
    assert not any(parts >= {"prior", "prosody", "attention"} for parts in together), "that is the default"
    assert sum("noise" not in parts for parts in together) == 13


def test_score_after_all_other_mechanisms_changes_nothing(tiny_pipeline):
    """Why the grid leaves that combination out: its evaluations are one and the same."""
    a, b = tiny_pipeline.style(speaker=2), tiny_pipeline.style(speaker=0)

    def mel(*mechanisms):
        options = {"num_inference_steps": 2, "seed": 0, "share": shares.ramp(), "mechanisms": mechanisms}
        return tiny_pipeline("A cat.", a, b, durations=[[4] * len(tiny_pipeline.frontend("A cat.").ids)], **options).mel

    three = ("prior", "prosody", "attention")
    assert np.abs(mel(*three, "score") - mel(*three)).max() < 1e-4
    assert np.abs(mel(*three[1:], "score") - mel(*three[1:])).max() > 1e-3, "the priors are left to it"


def test_names_of_pairs_and_files():
    assert parse_pair("12:10") == (StyleChoice(12), StyleChoice(10))
    assert parse_pair("12/happy: b.wav") == (StyleChoice(12, "happy"), StyleChoice(recording="b.wav"))
    assert StyleChoice(recording="x/calm voice.wav").name == "calm_voice"
    assert StyleChoice(12, "happy").name == "12-happy"
    item = GridItem(0, StyleChoice(1), StyleChoice(2), "A cat.", name="prior + score", mode="time")
    assert item.id == "00_1_2/time-prior-score"
