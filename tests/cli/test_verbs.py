"""The verbs beside synthesize: help, card of a checkpoint, and errors of the machine."""

import errno
import json
import subprocess
import sys
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load_file

from gradtts_interp.cli.main import VERBS, report_errors


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_tells_no_default_where_there_is_none(verb, command):
    status, out, _ = command(*verb.split(), "--help")
    shown = " ".join(out.split())
    for nothing in ("(default: )", "(default: None)", "(default: [])", "(default: ())"):
        assert nothing not in shown
    if not verb:
        assert status == 0 and all(name in out for name in (*VERBS, "exit status", "130"))


def test_the_card_of_a_folder(checkpoint, command):
    card = json.loads(command("info", checkpoint, "--json")[1])
    assert card["speakers"] == [10, 12] and card["emotions"] == ["neutral", "happy"]
    assert card["sample_rate_hz"] == 22050 and card["recordings_as_styles"] and card["prior"] == "frame"
    assert card["acoustic_parameters"] > 1000 and card["bytes_on_disk"] > 1000
    assert card["mechanisms"] == ["prior", "prosody", "attention", "score", "envelope", "noise"]
    (checkpoint / "README.md").write_text("# A card\n\nLicence MIT, of course. More.\n")
    _, out, _ = command("info", checkpoint)
    assert "MIT, of course" in out and "unknown" in out  # the tiny checkpoint does not tell its steps
    (checkpoint / "README.md").unlink()


def test_the_card_of_an_official_file(golden_dir, tmp_path, command):
    path = tmp_path / "grad-tts.pt"
    torch.save(load_file(golden_dir / "grad_tts_weights.safetensors"), path)
    card = json.loads(command("info", path, "--json")[1])
    assert card["kind"] == "official Grad-TTS file" and card["mechanisms"] == ["prior", "score"]
    assert card["training_steps"] is None and not card["recordings_as_styles"]
    status, _, err = command("info", tmp_path / "none")
    assert status == 2 and err.startswith("error: ") and "none" in err and err.count("\n") == 1


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
    assert report_errors(Mock(side_effect=error)) == status
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1
    for bug in (RuntimeError("a bug"), FileNotFoundError(errno.ENOENT, "a bug")):  # is not hidden
        with pytest.raises(type(bug), match="a bug"):
            report_errors(Mock(side_effect=bug))


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error(checkpoint):
    code = f"from gradtts_interp.cli.main import main; raise SystemExit(main(['info', {str(checkpoint)!r}]))"
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "{sys.executable}" -u -c "{code}" | true'], capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
