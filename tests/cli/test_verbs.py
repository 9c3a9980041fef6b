"""All verbs: help, what they import and when, errors of the machine; and the card of a checkpoint."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load_file

from gradtts_interp.cli.main import VERBS, report_errors

ROOT = Path(__file__).resolve().parents[2]


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


# -- the command is quick to its first sound: it imports what it uses, when it uses it ---------------------------------

# What takes long to import and has no part in speaking a sentence in two styles of the bank. Measuring what was heard
# needs pyworld, but the wav is written by then; no pitch is tracked for a style of the bank.
SCRIPT = """
import json, sys
import inference
found = {"import": sorted(sys.modules)}
from gradtts_interp.cli import synthesize
write = synthesize.write_wav
def write_and_look(*args):
    write(*args)
    found["wav"] = sorted(sys.modules)
synthesize.write_wav = write_and_look
status = inference.main(sys.argv[1:])
found["end"] = sorted(sys.modules)
json.dump({"status": status, **found}, sys.__stderr__)
"""
LIBRARIES = {"torchaudio", "librosa.core", "numba", "matplotlib", "wetext", "pyworld", "diffusers", "torch._dynamo"}
NOT_BEFORE_THE_WAV = LIBRARIES | {"transformers", "accelerate"}
NEVER = NOT_BEFORE_THE_WAV - {"pyworld"}


def test_the_command_imports_only_what_it_uses(tmp_path):
    flags = ["--text", "Good morning.", "-s", "12", "-s2", "10", "-t", "1", "--no-plots", "--out", str(tmp_path)]
    command = [sys.executable, "-c", SCRIPT, *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stderr.splitlines()[-1])
    assert found["status"] == 0
    assert sorted(NOT_BEFORE_THE_WAV & set(found["import"])) == []
    assert sorted(NOT_BEFORE_THE_WAV & set(found["wav"])) == []
    assert sorted(NEVER & set(found["end"])) == []
    assert json.loads((tmp_path / "sample_0.json").read_text())["f0"]["thirds_median_hz"]


def test_solvers_of_diffusers_leave_transformers_alone(tmp_path):
    """Where it is installed, as the judges have it, it takes longer to import than all else together."""
    metadata = tmp_path / "transformers-9.9.dist-info" / "METADATA"
    for path, text in (
        (tmp_path / "transformers" / "__init__.py", "raise RuntimeError('transformers was imported')"),
        (metadata, "Metadata-Version: 2.1\nName: transformers\nVersion: 9.9\n"),
    ):
        path.parent.mkdir()
        path.write_text(text)
    flags = ["--text", "Good morning.", "-s", "12", "-t", "1", "--solver", "unipc", "--no-plots", "--out"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(ROOT / "inference.py"), *flags, "out"]  # as a program, from any folder
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0 and (tmp_path / "out" / "sample_0.wav").exists(), done.stderr
    # The trap is a trap: diffusers takes this package for the real one.
    check = [sys.executable, "-c", "from diffusers.utils import is_transformers_available as a; print(a())"]
    assert subprocess.check_output(check, env=environment, text=True, timeout=200).strip() == "True"
