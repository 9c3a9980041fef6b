"""Continua and answers on the command line."""

import csv
import json
import re

import numpy as np
import pytest
from scipy.special import expit
from tiny import tiny_pipeline

from gradtts_interp.cli.main import main
from gradtts_interp.pipeline import GradTTSInterpPipeline


@pytest.fixture
def make(monkeypatch, tmp_path):
    """Run the verb on a tiny model of random weights."""
    pipeline = tiny_pipeline()
    monkeypatch.setattr(GradTTSInterpPipeline, "from_pretrained", lambda *_, **__: pipeline)
    flags = ["continuum", "--text", "Go down.", "-t", "2", "--steps", "3", "--out", str(tmp_path / "out")]
    return lambda *more: main([*flags, *more])


def test_a_continuum_and_its_experiments(make, tmp_path, capsys):
    kinds = ("jspsych", "psychopy", "praat", "webmushra")
    asked = [flag for kind in kinds for flag in ("--experiment", kind)]
    assert make("-s", "0,2", "-s2", "2", "--task", "axb", "--labels", "one", "two", "--repeats", "2", *asked) == 0
    out = capsys.readouterr().out
    assert "correspondence" in out and all(f"{kind}: " in out for kind in kinds)
    rows = list(csv.DictReader((tmp_path / "out" / "stimuli.csv").open(newline="")))
    assert [(row["file"], float(row["share"])) for row in rows] == [
        ("step_00.wav", 0), ("step_01.wav", 0.5), ("step_02.wav", 1),
    ]  # fmt: skip
    assert {row["a"] for row in rows} == {"average of speaker 0 neutral, speaker 2 neutral"}
    assert (tmp_path / "out" / "jspsych" / "index.html").is_file()
    described = (tmp_path / "out" / "jspsych" / "experiment.js").read_text()
    assert '"task": "axb"' in described and '"repeats": 2' in described


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-s", "0"], "style B: give one of --speaker2 and --reference2"),
        (["-s", "0", "--reference", "a.wav", "-s2", "2"], "style A: give one of --speaker and --reference"),
        (["-s", "0", "-s2", "9"], "speaker 9"),
        (["-s", "0-2", "-s2", "2"], "speaker 1: this checkpoint has speakers 0, 2"),
        (["-s", "0", "-s2", "2", "--steps", "1"], "continuum of 1 steps"),
        (["-s", "0", "-s2", "2", "--equalise", "f0"], "equal steps of f0: a step cannot be measured"),
    ],
)
def test_errors(make, flags, message, capsys):
    assert make(*flags) == 2
    assert message in capsys.readouterr().err


def answers(path, pse, name, seed):
    random = np.random.default_rng(seed)
    share = np.repeat(np.linspace(0, 1, 11), 20)
    second = random.random(len(share)) < expit(12 * (share - pse))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["participant", "share", "response"])
        writer.writerows(zip([name] * len(share), share, np.where(second, "B", "A"), strict=True))
    return str(path)


@pytest.fixture
def responses(tmp_path, capsys):
    """Run the verb on files of answers; exit status, what it printed, and its folder."""

    def run(*files):
        status = main(["evaluate", "responses", *map(str, files), "--out", str(tmp_path / "out")])
        return status, "".join(capsys.readouterr()), tmp_path / "out"

    return run


class TestResponses:
    def test_of_two_participants(self, responses, tmp_path):
        files = [answers(tmp_path / f"{n}.csv", pse, n, i) for i, (n, pse) in enumerate((("p1", 0.4), ("p2", 0.6)))]
        status, out, folder = responses(*files)
        assert status == 0 and re.search(r"^p1 +0\.4", out, re.MULTILINE)
        found = json.loads((folder / "responses.json").read_text())
        assert found["fits"]["all"]["pse"] == pytest.approx(0.5, abs=0.05) and found["answers"] == 440
        assert found["fits"]["p2"]["pse"] == pytest.approx(0.6, abs=0.05) and len(found["shares"]) == 11
        assert (folder / "responses.png").stat().st_size > 1000

    def test_one_that_cannot_be_fitted_is_named(self, responses, tmp_path):
        (tmp_path / "p2.csv").write_text("share,response\n0,A\n0.5,A\n1,A\n")
        status, out, _ = responses(answers(tmp_path / "p1.csv", 0.5, "p1", 0), tmp_path / "p2.csv", "--json")
        assert status == 1 and "are the same" in json.loads(out)["failed"]["p2"]

    def test_ratings_have_means(self, responses, tmp_path):
        (tmp_path / "a.csv").write_text("share,response\n0,1\n0,2\n0.5,4\n1,7\n")
        status, out, _ = responses(tmp_path / "a.csv")
        assert status == 0 and "mean rating" in out and "0.500  4.00" in out and "correlation" in out

    def test_errors(self, responses, tmp_path):
        status, out, _ = responses(tmp_path / "none.csv")
        assert status == 2 and "none.csv cannot be read" in out
