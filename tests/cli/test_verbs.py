"""The verbs beside synthesize: help, card of a checkpoint, and errors of the machine."""

import errno
import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from gradtts_interp.cli.main import VERBS, main, report_errors


def test_help_names_every_verb_and_exit_status(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0 and all(verb in out for verb in VERBS)
    assert "exit status" in out and "130" in out


@pytest.mark.parametrize("verb", VERBS)
def test_help_tells_no_default_where_there_is_none(verb, capsys):
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for nothing in ("(default: )", "(default: None)", "(default: [])", "(default: ())"):
        assert nothing not in shown


def test_the_card_of_a_folder(checkpoint, capsys):
    assert main(["info", str(checkpoint), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["speakers"] == [10, 12] and card["emotions"] == ["neutral", "happy"]
    assert card["sample_rate_hz"] == 22050 and card["recordings_as_styles"]
    assert card["prior"] in ("token", "frame")
    assert card["acoustic_parameters"] > 1000 and card["bytes_on_disk"] > 1000
    envelope = ["envelope"] if card["prior"] == "frame" else []
    assert card["mechanisms"] == ["prior", "prosody", "attention", "score", *envelope, "noise"]
    (checkpoint / "README.md").write_text("# A card\n\nLicence MIT, of course. More.\n")
    assert main(["info", str(checkpoint)]) == 0
    out = capsys.readouterr().out
    assert "MIT, of course" in out and "unknown" in out  # the tiny checkpoint does not tell its steps
    (checkpoint / "README.md").unlink()


def test_the_card_of_an_official_file(golden_dir, tmp_path, capsys):
    path = tmp_path / "grad-tts.pt"
    torch.save(load_file(golden_dir / "grad_tts_weights.safetensors"), path)
    assert main(["info", str(path), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["kind"] == "official Grad-TTS file" and card["mechanisms"] == ["prior", "score"]
    assert card["training_steps"] is None and not card["recordings_as_styles"]
    assert main(["info", str(tmp_path / "none")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and "none" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.wav"), 2, "x.wav: No space left on device"),
        (OSError(errno.EROFS, "Read-only file system"), 2, "Read-only file system"),
        (MemoryError(), 2, "lower --batch-size"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), 2, "lower --batch-size"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_failures_of_the_machine_are_one_line(capsys, error, status, words):
    def job():
        raise error

    assert report_errors(job) == status
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1


@pytest.mark.parametrize("error", [RuntimeError("a bug"), FileNotFoundError(errno.ENOENT, "a bug")])
def test_a_bug_is_not_hidden(error):
    def job():
        raise error

    with pytest.raises(type(error), match="a bug"):
        report_errors(job)


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error(checkpoint):
    code = f"from gradtts_interp.cli.main import main; raise SystemExit(main(['info', {str(checkpoint)!r}]))"
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "{sys.executable}" -u -c "{code}" | true'], capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
