"""Folders of listening experiments that run as they are: jsPsych, PsychoPy, Praat and webMUSHRA.

Each is made of the table and the sounds that :func:`~gradtts_interp.stimuli.folder.save_continuum` wrote.
"""

from __future__ import annotations

import csv
import html
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from gradtts_interp.errors import InputError, import_extra
from gradtts_interp.evaluation.tables import write_csv
from gradtts_interp.files import atomic_path, write_text
from gradtts_interp.stimuli.folder import TABLE

TASKS = ("identification", "axb", "rating")
GAP_SECONDS = 0.5
RATING_POINTS = 7
MOST_REPEATS = 100
QUESTIONS = {
    "identification": "Which of the two do you hear?",
    "axb": "Is the sound in the middle more like the first or the last?",
    "rating": "How much is it like the one or the other?",
}
START = "You will hear {count} sounds. Please use headphones."
END = "That was the last one. Thank you."


@dataclass(frozen=True)
class Experiment:
    """What a listening experiment asks.

    Attributes:
        task: One of :data:`TASKS`.
        stimuli: Name of each sound with its share of B, in order.
        folder: Where the sounds lie.
        labels: What A and B are called.
        repeats: How often each trial comes.
        question: What is asked.
    """

    task: str
    stimuli: tuple[tuple[str, float], ...]
    folder: Path
    labels: tuple[str, str]
    repeats: int
    question: str

    @property
    def trials(self) -> list[dict[str, Any]]:
        """Each trial once: its sounds in order, the stimulus it is about, its step and share of B."""
        first, last = self.stimuli[0][0], self.stimuli[-1][0]
        found: list[dict[str, Any]] = []
        for step, (name, share) in enumerate(self.stimuli):
            trial = {"stimulus": name, "step": step, "share": share}
            if self.task != "axb":
                found.append({**trial, "sounds": [name], "order": ""})
            else:
                found.append({**trial, "sounds": [first, name, last], "order": "AXB"})
                found.append({**trial, "sounds": [last, name, first], "order": "BXA"})
        return found

    @property
    def scale(self) -> list[str]:
        """Points of a rating, with the labels at its ends."""
        points = [str(i) for i in range(1, RATING_POINTS + 1)]
        return [f"{points[0]} ({self.labels[0]})", *points[1:-1], f"{points[-1]} ({self.labels[1]})"]


def write_experiment(
    kind: str,
    stimuli: str | Path,
    *,
    task: str = "identification",
    labels: Sequence[str] = ("A", "B"),
    repeats: int = 5,
    question: str | None = None,
) -> Path:
    """Write an experiment with the stimuli of a continuum.

    Args:
        kind: A name in :data:`EXPERIMENTS`.
        stimuli: Folder of a continuum, with its table; the experiment is written below it.
        task: ``identification`` (which of the two, 2AFC), ``axb`` (is the middle one like the first or the last) or
            ``rating`` (1 to 7).
        labels: What A and B are called.
        repeats: How often each trial comes.
        question: What is asked; a usual one of the task if None.

    Returns:
        The file that starts the experiment.

    Raises:
        InputError: An unknown kind or task, labels that are not two, or a folder without stimuli.
    """
    if kind not in EXPERIMENTS:
        raise InputError(f"experiment {kind!r}; expected one of {', '.join(EXPERIMENTS)}")
    if task not in TASKS:
        raise InputError(f"task {task!r}; expected one of {', '.join(TASKS)}")
    if len(labels) != 2 or labels[0] == labels[1] or not all(label.strip() for label in labels):
        raise InputError(f"labels {list(labels)}; expected two different ones, of A and of B")
    if not 1 <= repeats <= MOST_REPEATS:
        raise InputError(f"{repeats} repeats; expected 1 to {MOST_REPEATS}")
    folder = Path(stimuli)
    experiment = Experiment(
        task, read_stimuli(folder), folder, (labels[0], labels[1]), repeats, question or QUESTIONS[task]
    )
    return EXPERIMENTS[kind](experiment, folder / kind)


def read_stimuli(folder: str | Path) -> tuple[tuple[str, float], ...]:
    """Names of a continuum's sounds with their shares of B.

    Args:
        folder: Where :func:`~gradtts_interp.stimuli.folder.save_continuum` wrote it.

    Returns:
        At least two, in order.

    Raises:
        InputError: There is no table, it lacks a column or a number, or a sound is missing.
    """
    path = Path(folder) / TABLE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); expected the folder of a continuum") from error
    if len(rows) < 2:
        raise InputError(f"{path} has {len(rows)} rows; expected a stimulus a row, at least 2")
    found = []
    for number, row in enumerate(rows, 2):
        try:
            found.append((row["file"], float(row["share"])))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}, line {number}: expected columns file and share, a number") from error
        if not (path.parent / row["file"]).is_file() or Path(row["file"]).name != row["file"]:
            raise InputError(f"{path}, line {number}: no sound {row['file']!r} beside it")
    return tuple(found)


def _copy_sounds(experiment: Experiment, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, _ in experiment.stimuli:
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(experiment.folder / name, temporary)


def _jspsych(experiment: Experiment, folder: Path) -> Path:
    """A page with all it needs; it opens from a disk as from a server."""
    _copy_sounds(experiment, folder / "sounds")
    for entry in (resources.files("gradtts_interp.stimuli") / "jspsych").iterdir():
        own = entry.name in ("index.html", "run.js")
        write_text(folder / ("" if own else "jspsych") / entry.name, entry.read_text(encoding="utf-8"))
    trials = [{**t, "sounds": [f"sounds/{name}" for name in t["sounds"]]} for t in experiment.trials]
    described = {
        "task": experiment.task,
        "labels": [html.escape(label) for label in experiment.labels],
        "question": html.escape(experiment.question),
        "start": f"<p>{START.format(count=len(trials) * experiment.repeats)}</p>",
        "end": END,
        "scale": [html.escape(point) for point in experiment.scale],
        "repeats": experiment.repeats,
        "gap_ms": round(GAP_SECONDS * 1000),
        "trials": trials,
    }
    write_text(folder / "experiment.js", f"const EXPERIMENT = {json.dumps(described, indent=1)};\n")
    return folder / "index.html"


def _psychopy(experiment: Experiment, folder: Path) -> Path:
    """Conditions of a loop: each column is a variable of the Builder."""
    _copy_sounds(experiment, folder / "sounds")
    rows = []
    for trial in experiment.trials:
        sounds = [f"sounds/{name}" for name in trial["sounds"]] + [""] * (3 - len(trial["sounds"]))
        row = dict(zip(("sound_1", "sound_2", "sound_3"), sounds, strict=True))
        row |= {name: trial[name] for name in ("stimulus", "step", "share", "order")}
        labels = dict(zip(("label_a", "label_b"), experiment.labels, strict=True))
        rows.append({**row, "question": experiment.question, **labels})
    path = folder / "conditions.csv"
    write_csv(path, rows)
    return path


def _praat(experiment: Experiment, folder: Path) -> Path:
    """An ExperimentMFC 7, which Praat opens and runs; three sounds of a trial are played one after another."""
    _copy_sounds(experiment, folder / "sounds")
    if experiment.task == "rating":
        answers = [(point, str(i)) for i, point in enumerate(experiment.scale, 1)]
    elif experiment.task == "axb":
        answers = [("first", "first"), ("last", "last")]
    else:
        answers = list(zip(experiment.labels, ("A", "B"), strict=True))
    stimuli = [",".join(Path(name).stem for name in trial["sounds"]) for trial in experiment.trials]
    world = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    world.filters["quoted"] = lambda text: '"' + text.replace('"', '""') + '"'
    page = world.from_string(Path(__file__).with_name("experiment.praat").read_text(encoding="utf-8")).render(
        stimuli=stimuli,
        answers=answers,
        gap_seconds=GAP_SECONDS,
        repeats=experiment.repeats,
        start=f"{START.format(count=len(stimuli) * experiment.repeats)}\n\nClick to start.",
        question=experiment.question,
        end=END,
    )
    path = folder / f"{experiment.task}.praat"
    write_text(path, page)
    return path


def _webmushra(experiment: Experiment, folder: Path) -> Path:
    """A configuration for webMUSHRA's folder ``configs``, with the sounds below it."""
    yaml = import_extra("yaml", "webMUSHRA's configuration needs PyYAML", "stimuli")
    _copy_sounds(experiment, folder / "configs" / "resources" / "sounds")
    name = f"continuum_{experiment.task}"
    trials = experiment.trials * experiment.repeats
    pages = ["random", *(_webmushra_page(experiment, trial, i) for i, trial in enumerate(trials))]
    settings = {
        "testname": experiment.question,
        "testId": name,
        "bufferSize": 2048,
        "stopOnErrors": True,
        "showButtonPreviousPage": False,
        "remoteService": "service/write.php",
        "pages": [
            {"type": "generic", "id": "start", "name": "Start", "content": START.format(count=len(trials))},
            pages,
            {"type": "finish", "name": "Finished", "content": END, "showResults": False, "writeResults": True},
        ],
    }
    path = folder / "configs" / f"{name}.yaml"
    write_text(path, yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    return path


def _webmushra_page(experiment: Experiment, trial: dict[str, Any], number: int) -> dict[str, Any]:
    head = "configs/resources/sounds/"
    sounds = [head + name for name in trial["sounds"]]
    page: dict[str, Any] = {
        "id": f"{Path(trial['stimulus']).stem}_{trial['order'] or 'X'}_{number}",
        "name": experiment.question,
        "mustRate": True,
    }
    if experiment.task == "axb":
        stimuli = {"first": sounds[0], "last": sounds[2]}
        return {"type": "paired_comparison", **page, "reference": sounds[1], "stimuli": stimuli}
    answers = experiment.scale if experiment.task == "rating" else list(experiment.labels)
    response = [{"value": i, "label": label} for i, label in enumerate(answers, 1)]
    stimuli = {"X": sounds[0]}
    return {"type": "likert_single_stimulus", **page, "mustPlayback": "ended", "stimuli": stimuli, "response": response}


EXPERIMENTS: dict[str, Callable[[Experiment, Path], Path]] = {
    "jspsych": _jspsych,
    "psychopy": _psychopy,
    "praat": _praat,
    "webmushra": _webmushra,
}
"""What an experiment can be written for."""
