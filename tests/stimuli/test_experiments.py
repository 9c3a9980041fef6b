"""Folders of experiments, each read by a parser of its format."""

import csv
import json
import re

import pytest
import yaml
from refusing import refused

from gradtts_interp.stimuli.experiments import TASKS, read_stimuli, write_experiment

TRIALS = {"identification": 3, "axb": 6, "rating": 3}


@pytest.mark.parametrize("task", TASKS)
class TestKinds:
    def test_jspsych(self, task, stimuli):
        page = write_experiment("jspsych", stimuli, task=task, labels=("a<b", "c"), repeats=4)
        folder = page.parent
        needed = re.findall(r'(?:src|href)="(?!data:)([^"]*)"', page.read_text())
        assert needed and all((folder / name).is_file() for name in needed)
        described = json.loads((folder / "experiment.js").read_text().removeprefix("const EXPERIMENT = ").rstrip(";\n"))
        assert len(described["trials"]) == TRIALS[task] and described["repeats"] == 4
        assert described["labels"] == ["a&lt;b", "c"]
        assert all((folder / sound).is_file() for trial in described["trials"] for sound in trial["sounds"])
        assert "MIT" in (folder / "jspsych" / "LICENSE").read_text()

    def test_psychopy(self, task, stimuli):
        path = write_experiment("psychopy", stimuli, task=task, labels=("low, deep", 'high "up"'))
        rows = list(csv.DictReader(path.open(newline="")))
        assert len(rows) == TRIALS[task]
        assert all(name.isidentifier() for name in rows[0])  # what PsychoPy's importConditions asks for
        assert rows[0]["label_a"] == "low, deep" and rows[0]["label_b"] == 'high "up"'
        sounds = [row[f"sound_{i}"] for row in rows for i in (1, 2, 3) if row[f"sound_{i}"]]
        assert len(sounds) == len(rows) * (3 if task == "axb" else 1)
        assert all((path.parent / sound).is_file() for sound in sounds)

    def test_praat(self, task, stimuli, tmp_path):
        parselmouth = pytest.importorskip("parselmouth")
        path = write_experiment("praat", stimuli, task=task, labels=('say "ah"', "oh"), repeats=3)
        experiment = parselmouth.read(str(path))
        assert experiment.class_name == "ExperimentMFC"
        parselmouth.praat.call(experiment, "Save as text file", str(tmp_path / "again.txt"))
        text = (tmp_path / "again.txt").read_text()
        assert f"numberOfDifferentStimuli = {TRIALS[task]} " in text and "numberOfReplicationsPerStimulus = 3 " in text
        assert f"numberOfDifferentResponses = {7 if task == 'rating' else 2} " in text
        assert ('name = "step_00,step_01,step_02"' in text) == (task == "axb")
        assert ('label = "say ""ah"""' in text) == (task == "identification")
        assert (path.parent / "sounds" / "step_02.wav").is_file()

    def test_webmushra(self, task, stimuli):
        path = write_experiment("webmushra", stimuli, task=task, labels=("ja: nein", "höher"), repeats=2)
        found = yaml.safe_load(path.read_text())
        start, (first, *pages), finish = found["pages"]
        assert start["type"] == "generic" and first == "random" and finish["type"] == "finish"
        assert len(pages) == 2 * TRIALS[task] == len({page["id"] for page in pages})
        kind = "paired_comparison" if task == "axb" else "likert_single_stimulus"
        assert {page["type"] for page in pages} == {kind}
        assert all((path.parents[1] / sound).is_file() for page in pages for sound in page["stimuli"].values())
        if task == "identification":
            assert [answer["label"] for answer in pages[0]["response"]] == ["ja: nein", "höher"]


def test_settings_and_stimuli_are_checked(stimuli):
    refused(
        lambda options: write_experiment(**{"kind": "jspsych", "stimuli": stimuli, **options}),
        ({"kind": "paper"}, "experiment 'paper'; expected one of jspsych, psychopy, praat, webmushra"),
        ({"task": "naming"}, "task 'naming'; expected one of identification"),
        ({"labels": ("a", "a")}, r"labels \['a', 'a'\]; expected two different ones"),
        ({"labels": ("a",)}, "expected two different ones"),
        ({"repeats": 0}, "0 repeats; expected 1 to 100"),
    )
    assert read_stimuli(stimuli) == (("step_00.wav", 0.0), ("step_01.wav", 0.5), ("step_02.wav", 1.0))


def test_tables_that_hold_no_stimuli_are_named(stimuli):
    def read(table):
        (stimuli / "stimuli.csv").write_text(table)
        read_stimuli(stimuli)

    refused(
        read,
        ("file,share\na.wav,1\n", "has 1 rows"),
        ("name,share\na,1\nb,2\n", "line 2: expected columns file and share"),
        ("file,share\nstep_00.wav,x\nb,2\n", "line 2: expected columns file and share, a number"),
        ("file,share\nstep_00.wav,0\nnone.wav,1\n", "line 3: no sound 'none.wav' beside it"),
        ("file,share\nstep_00.wav,0\n../stimuli/step_01.wav,1\n", "line 3: no sound"),
    )
    refused(read_stimuli, (stimuli / "none", "expected the folder of a continuum"))
