"""Continua on the command line."""

import csv

import pytest


def test_a_continuum_and_its_experiments(say, tmp_path):
    kinds = ("jspsych", "psychopy", "praat", "webmushra")
    asked = [flag for kind in kinds for flag in ("--experiment", kind)]
    flags = ("-s", "0,2", "-s2", 2, "--steps", 3, "--task", "axb", "--labels", "one", "two", "--repeats", 2)
    status, out, _ = say("continuum", *flags, *asked)
    assert status == 0
    assert "correspondence" in out and all(f"{kind}: " in out for kind in kinds)
    rows = list(csv.DictReader((tmp_path / "out" / "stimuli.csv").open(newline="")))
    assert [float(row["share"]) for row in rows] == [0, 0.5, 1]
    assert {row["a"] for row in rows} == {"average of speaker 0 neutral, speaker 2 neutral"}
    assert (tmp_path / "out" / "jspsych" / "index.html").is_file()
    described = (tmp_path / "out" / "jspsych" / "experiment.js").read_text()
    assert '"task": "axb"' in described and '"repeats": 2' in described


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("-s 0", "style B: give one of --speaker2 and --reference2"),
        ("-s 0 --reference a.wav -s2 2", "style A: give one of --speaker and --reference"),
        ("-s 0 -s2 9", "speaker 9"),
        ("-s 0-2 -s2 2", "speaker 1: this checkpoint has speakers 0, 2"),
        ("-s 0 -s2 2 --equalise f0", "equal steps of f0: a step cannot be measured"),
    ],
)
def test_errors(say, flags, message):
    status, _, err = say("continuum", "--steps", 3, *flags.split())
    assert status == 2 and message in err
