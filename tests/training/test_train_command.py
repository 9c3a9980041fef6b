"""The train command: options, errors, and a run on a built corpus."""

import argparse
import json

import pytest
import torch
from fake_corpus import MIX, TINY, fake_item

from gradtts_interp.checkpoints import save_model
from gradtts_interp.cli.main import main
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.training import command
from gradtts_interp.training.data import StyleRef

SHORT = ("--mix", f"crop_frames={MIX.crop_frames}", f"reference_frames={MIX.reference_frames}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "steps 0, batch size 8: expected numbers > 0"),
        (["--batch-size", "-1"], "batch size -1: expected numbers > 0"),
        (["--sample-every", "-1"], "sample every -1 steps: expected numbers > 0, or 0 samples"),
        (["--valid", "v.txt"], "--valid v.txt goes with --filelist"),
        (["--score-network", "dec_dim=8"], "--score-network goes with --start-from"),
        (["--only", "score", "--keep-mean"], "--keep-mean goes with --start-from and without --score-network"),
        ([], "manifest.jsonl cannot be read"),
    ],
)
def test_wrong_options_are_one_line(options, message, tmp_path, capsys):
    assert main(["train", "--corpus", str(tmp_path), "--out", str(tmp_path / "run"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("error:") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [[], ["--corpus", "a", "--filelist", "b"]])
def test_either_a_corpus_or_a_filelist_is_needed(words, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["train", "--out", str(tmp_path), *words])
    assert "--corpus" in capsys.readouterr().err


@pytest.fixture
def trained(monkeypatch):
    """Trainers whose ``train`` was called; instead of training they are stopped by a signal."""
    made = []

    def train(self):
        self.stopped_by = 15
        made.append(self)

    monkeypatch.setattr(command.Trainer, "train", train)
    monkeypatch.setattr(command, "PRESETS", {"demo": TINY})
    return made


def test_a_built_corpus_validates_on_its_own_split(corpus_folder, tmp_path, trained, capsys):
    """And a stopped run has the status of its signal."""
    out = tmp_path / "run"
    words = ["train", "--corpus", corpus_folder, "--out", out, "--batch-size", 2, "--precision", "no"]
    assert main([str(w) for w in [*words, *SHORT]]) == 143
    (trainer,) = trained
    assert {i.split for i in trainer.mixer.singles} == {"train"}
    assert {trainer.valid.mixer.example(i)["target"].id for i in range(6)} == {"bank-valid"}
    assert json.loads((out / "train.json").read_text())["mix"]["crop_frames"] == MIX.crop_frames
    assert (out / "settings.json").is_file()
    assert main([str(w) for w in [*words, "--mix", "crop_frames=5000"]]) == 2
    assert "none of 6 items has 5000 frames or more to train on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fast", "given", "chosen"), [(True, "auto", "bf16"), (False, "auto", "no"), (False, "bf16", "bf16")]
)
def test_precision_is_what_the_machine_is_fast_at(tmp_path, monkeypatch, fast, given, chosen):
    monkeypatch.setattr(command, "bf16_is_fast", lambda device: fast)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args(["--corpus", "c", "--out", str(tmp_path), "--precision", given])
    assert command._train_config(args).mixed_precision == chosen


def test_recordings_of_ones_own_are_new_speakers_of_a_known_checkpoint(tmp_path, monkeypatch, trained):
    known = GradTTS(TINY.to_dict())
    save_model(known, tmp_path / "known")
    mine = [fake_item(i, (StyleRef("s0", "s0-neutral"),)) for i in range(4)]
    monkeypatch.setattr(command, "load_filelist", lambda *a, **k: mine)
    words = ["train", "--filelist", "list.txt", "--start-from", tmp_path / "known", "--out", tmp_path / "run"]
    assert main([*map(str, [*words, *SHORT]), "--precision", "no"]) == 143
    model, rows = trained[0].model, TINY.style.n_speakers
    assert {i.styles[0].speaker for i in trained[0].mixer.singles} == {rows}
    assert model.settings.style.n_speakers == rows + 1
    weights, before = model.state_dict(), known.state_dict()
    assert torch.allclose(weights["encoder.emb.weight"], before["encoder.emb.weight"], atol=1e-3)  # half precision
