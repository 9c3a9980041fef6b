"""The train command: options, errors, and a run on a built corpus."""

import dataclasses
import json

import pytest
from fake_corpus import MIX, TINY

from gradtts_interp.cli.main import main
from gradtts_interp.training import command
from gradtts_interp.training.loop import TrainConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "steps 0, batch size 8: expected numbers > 0"),
        (["--batch-size", "-1"], "batch size -1: expected numbers > 0"),
        (["--sample-every", "-1"], "sample every -1 steps: expected numbers > 0, or 0 samples"),
        (["--valid", "v.txt"], "--valid v.txt goes with --filelist"),
        ([], "no manifest"),
    ],
)
def test_wrong_options_are_one_line(options, message, tmp_path, capsys):
    assert main(["train", "--corpus", str(tmp_path), "--out", str(tmp_path / "run"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("error:") == 1
    assert not (tmp_path / "run").exists()


def test_a_corpus_or_a_filelist_is_needed(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["train", "--out", str(tmp_path)])
    assert "--corpus --filelist" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "--out", str(tmp_path), "--corpus", "a", "--filelist", "b"])


def test_a_built_corpus_validates_on_its_own_split(corpus_folder, tmp_path, monkeypatch):
    made = {}

    class Spy(command.Trainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made["trainer"] = self

    monkeypatch.setattr(command, "Trainer", Spy)
    monkeypatch.setattr(command, "PRESETS", {"demo": TINY})
    monkeypatch.setattr(command, "TrainConfig", lambda **k: dataclasses.replace(TrainConfig(**k), mix=MIX))
    out = tmp_path / "run"
    words = ["train", "--corpus", corpus_folder, "--out", out, "--steps", 1, "--batch-size", 2, "--precision", "no"]
    assert main([str(w) for w in words]) == 0
    trainer = made["trainer"]
    assert {i.split for i in trainer.mixer.corpus.items} == {"train"}
    assert {trainer.valid.example(i)["target"].id for i in range(6)} == {"bank-valid"}
    assert json.loads((out / "train.json").read_text())["mix"]["crop_frames"] == MIX.crop_frames
    assert (out / "step_0000001").is_dir() and (out / "settings.json").is_file()


def test_a_stopped_run_has_the_status_of_its_signal(corpus_folder, tmp_path, monkeypatch):
    class Stopped(command.Trainer):
        def train(self):
            self.stopped_by = 15

    monkeypatch.setattr(command, "Trainer", Stopped)
    monkeypatch.setattr(command, "PRESETS", {"demo": TINY})
    monkeypatch.setattr(command, "TrainConfig", lambda **k: dataclasses.replace(TrainConfig(**k), mix=MIX))
    words = ["train", "--corpus", corpus_folder, "--out", tmp_path / "run", "--precision", "no"]
    assert main([str(w) for w in words]) == 143
