"""Folders of listening experiments that run as they are: jsPsych, PsychoPy, Praat and webMUSHRA.

Each is made of the table and the sounds that :func:`~gradtts_interp.stimuli.folder.save_continuum` wrote.
"""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.tables import read_csv, write_csv
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
    names = read_stimuli(folder)
    trials, answers = _trials(task, names), _answers(task, labels)
    asked = {
        "task": task,
        "labels": list(labels),
        "question": question or QUESTIONS[task],
        "answers": answers,
        "start": START.format(count=len(trials) * repeats),
        "end": END,
        "repeats": repeats,
        "gap_seconds": GAP_SECONDS,
        "trials": trials,
    }
    sounds, first, write = EXPERIMENTS[kind]
    for name, _ in names:
        with atomic_path(folder / kind / sounds / name) as temporary:
            shutil.copyfile(folder / name, temporary)
    path = folder / kind / first.format(task=task)
    write(asked, path)
    return path


def _trials(task: str, stimuli: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """Each trial once: its sounds in order, the stimulus it is about, its step and share of B."""
    first, last = stimuli[0][0], stimuli[-1][0]
    found: list[dict[str, Any]] = []
    for step, (name, share) in enumerate(stimuli):
        orders = {"AXB": [first, name, last], "BXA": [last, name, first]} if task == "axb" else {"": [name]}
        about = {"stimulus": name, "step": step, "share": share}
        found += [{**about, "sounds": sounds, "order": order} for order, sounds in orders.items()]
    return found


def _answers(task: str, labels: Sequence[str]) -> list[tuple[str, str]]:
    """What can be answered: what is shown of it, and what is saved."""
    if task == "axb":
        return [("first", "first"), ("last", "last")]
    if task == "identification":
        return list(zip(labels, ("A", "B"), strict=True))
    ends = {1: f" ({labels[0]})", RATING_POINTS: f" ({labels[1]})"}
    return [(f"{i}{ends.get(i, '')}", str(i)) for i in range(1, RATING_POINTS + 1)]


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
    rows = read_csv(path, expected="the folder of a continuum, with its table")
    if len(rows) < 2:
        raise InputError(f"{path} has {len(rows)} rows; expected a stimulus a row, at least 2")
    found = []
    for number, row in rows:
        try:
            found.append((row["file"], float(row["share"])))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}, line {number}: expected columns file and share, a number") from error
        if not (path.parent / row["file"]).is_file() or Path(row["file"]).name != row["file"]:
            raise InputError(f"{path}, line {number}: no sound {row['file']!r} beside it")
    return tuple(found)


def _write_page(asked: dict[str, Any], path: Path) -> None:
    """A page of jsPsych with all it needs; it opens from a disk as from a server."""
    for entry in (resources.files("gradtts_interp.stimuli") / "jspsych").iterdir():
        own = entry.name in ("index.html", "run.js")
        write_text(path.parent / ("" if own else "jspsych") / entry.name, entry.read_text(encoding="utf-8"))
    described = {
        **asked,
        "labels": [html.escape(label) for label in asked["labels"]],
        "question": html.escape(asked["question"]),
        "start": f"<p>{asked['start']}</p>",
        "scale": [html.escape(shown) for shown, _ in asked["answers"]],
        "trials": [{**t, "sounds": [f"sounds/{name}" for name in t["sounds"]]} for t in asked["trials"]],
    }
    write_text(path.with_name("experiment.js"), f"const EXPERIMENT = {json.dumps(described, indent=1)};\n")


def _write_conditions(asked: dict[str, Any], path: Path) -> None:
    """Conditions of a loop of PsychoPy: each column is a variable of the Builder."""
    label_a, label_b = asked["labels"]
    said = {"question": asked["question"], "label_a": label_a, "label_b": label_b}
    rows = []
    for trial in asked["trials"]:
        sounds = dict.fromkeys(("sound_1", "sound_2", "sound_3"), "")
        sounds |= {f"sound_{i}": f"sounds/{name}" for i, name in enumerate(trial["sounds"], 1)}
        rows.append({**sounds, **{name: trial[name] for name in ("stimulus", "step", "share", "order")}, **said})
    write_csv(path, rows)


def _write_template(asked: dict[str, Any], path: Path) -> None:
    """An ExperimentMFC 7, which Praat opens and runs, or a configuration of webMUSHRA: what the suffix says."""
    world = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    world.filters |= {
        "stem": lambda name: Path(name).stem,
        "quoted": lambda text: '"' + text.replace('"', '""') + '"',
        "json": lambda text: json.dumps(text, ensure_ascii=False),  # which is YAML too
    }
    template = Path(__file__).with_name(f"experiment{path.suffix}").read_text(encoding="utf-8")
    write_text(path, world.from_string(template).render(asked))


EXPERIMENTS: dict[str, tuple[str, str, Callable[[dict[str, Any], Path], None]]] = {
    "jspsych": ("sounds", "index.html", _write_page),
    "psychopy": ("sounds", "conditions.csv", _write_conditions),
    "praat": ("sounds", "{task}.praat", _write_template),
    "webmushra": ("configs/resources/sounds", "configs/continuum_{task}.yaml", _write_template),
}
"""What an experiment can be written for: where its sounds lie, the file that starts it, and what writes this."""
