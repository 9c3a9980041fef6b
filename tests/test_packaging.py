"""What leaves the repository: a wheel that works elsewhere, with its data files, and finds a checkpoint or says how."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("build", reason="build is not installed (extra test-slow)")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """A fresh environment with the wheel alone; what it depends on is borrowed from here."""
    folder = tmp_path_factory.mktemp("elsewhere")
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "GRADTTS_INTERP_CHECKPOINT")}
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    python = folder / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True, env=env)
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    lent = [p for p in sys.path if p.endswith("site-packages")]
    (site / "lent.pth").write_text("".join(f"{p}\n" for p in lent))  # their .pth, the editable install, do not count

    def run(*words, **more):
        command = [str(folder / "env" / "bin" / "gradtts-interp"), *map(str, words)]
        return subprocess.run(command, cwd=folder, env={**env, **more}, capture_output=True, text=True, timeout=900)

    return run, folder, python


def test_the_wheel_has_its_data(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    data = ("app/curve.js", "app/curve.svg", "evaluation/tables.csv", "stimuli/experiment.praat")
    wanted = {f"gradtts_interp/{name}" for name in (*data, "text/data/cmudict.LICENSE")}
    assert wanted | {"hifigan/__init__.py"} <= set(names)
    assert not [n for n in names if n.startswith(("tests", "docs", "checkpts", "benchmarks"))]


def test_the_command_speaks_outside_the_repository(elsewhere):
    run, folder, python = elsewhere
    command = [python, "-c", "import gradtts_interp; print(gradtts_interp.__file__)"]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    where = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)
    assert str(folder) in where.stdout
    done = run("synthesize", "--text", "A cat.", "-s", 12, "-t", 2, "--no-plots", "-c", ROOT / "checkpts" / "demo")
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / "sample_0.wav").is_file()
    assert run("info", GRADTTS_INTERP_CHECKPOINT=str(ROOT / "checkpts" / "demo")).returncode == 0


def test_without_a_checkpoint_it_says_where_to_get_one(elsewhere):
    done = elsewhere[0]("info")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    for word in ("checkpts/demo", "GRADTTS_INTERP_CHECKPOINT", "-c"):
        assert word in done.stderr
