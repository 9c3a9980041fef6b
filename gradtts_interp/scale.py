"""A manifest of sentences on many workers (Ray Data): resumable, and each output made exactly once.

An output is two files, each written under another name and renamed when whole; the ``.json`` comes last and is the
ledger's entry: an item that has one is done, and any other is made anew. So a worker that is killed loses no more than
what it had in hand, which Ray gives to another, and a second run makes only what is missing. Several workers that make
one item write the same bytes, since its seed is its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.interpolation import shares
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.speech import Speech

FIELDS = {"id", "text", "speaker", "speaker2", "weight", "seed"}
FAILURES = "failures"
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Settings:
    """How a manifest is synthesised.

    Attributes:
        checkpoint: Folder, readable by each worker.
        out: Folder, the same for all workers.
        steps: Steps of the sampler; None is the default sampler's.
        precision: See :func:`~gradtts_interp.models.precision.choose_precision`.
        batch_size: Sentences rendered at once.
        workers: Actors.
        gpus: Part of a GPU that each takes; 0 renders on the CPU.
        cpus: CPUs that each takes.
        address: Ray cluster to join; None starts one here.
    """

    checkpoint: str
    out: str
    steps: int | None = None
    precision: str = "auto"
    batch_size: int = 1
    workers: int = 1
    gpus: float = 0
    cpus: float = 1
    address: str | None = None


def read_items(path: Path) -> list[dict[str, Any]]:
    """Read a manifest.

    Args:
        path: JSON lines with ``id`` (a file name), ``text``, and optionally ``speaker``, ``speaker2``, ``weight`` (of
            the second, all along; a ramp without it) and ``seed``.

    Returns:
        Its items, in order.

    Raises:
        InputError: The file or a line of it cannot be used; the message names the line.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such manifest")
    items, seen = [], set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            name = item["id"]
            known = (
                isinstance(item["text"], str)
                and isinstance(name, str)
                and _NAME.fullmatch(name)
                and set(item) <= FIELDS
            )
        except (ValueError, KeyError, TypeError):
            known, name = False, None
        if not known or name in seen:
            raise InputError(
                f"{path}, line {number}: expected an id of its own, a text, and of {sorted(FIELDS)}: {line[:80]}"
            )
        seen.add(name)
        items.append(item)
    return items


def is_done(out: Path, name: str) -> bool:
    """Whether an item is there, whole."""
    return (out / f"{name}.json").is_file() and (out / f"{name}.wav").is_file()


class Worker:
    """One actor: a pipeline that renders batches of items and writes them.

    Args:
        settings: What it needs to know.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.out = settings, Path(settings.out)
        if settings.gpus == 0:
            torch.set_num_threads(max(1, round(settings.cpus)))
        self.tts = GradTTSInterpPipeline.from_pretrained(settings.checkpoint)
        self.tts.set_progress_bar_config(disable=True)
        self.tts = self.tts.to("cuda" if settings.gpus else "cpu").accelerate(settings.precision)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Render and write a batch of items, given and answered as Ray Data's columns."""
        items = [json.loads(text) for text in batch["item"]]
        problems = [self.make(item) for item in items]
        return {"id": np.array([item["id"] for item in items]), "problem": np.array(problems)}

    def make(self, item: dict[str, Any]) -> str:
        """Render and write one item unless it is there; answer what was wrong with it, else an empty text."""
        if is_done(self.out, item["id"]):
            return ""
        try:
            speech = self.speak(item)
        except InputError as error:
            return str(error)
        with atomic_path(self.out / f"{item['id']}.json") as entry:  # last: it says that the item is done
            speech.save(self.out / f"{item['id']}.wav.part.wav")
            (self.out / f"{item['id']}.wav.part.json").unlink()
            (self.out / f"{item['id']}.wav.part.wav").replace(self.out / f"{item['id']}.wav")
            entry.write_text(json.dumps(speech.to_dict(), ensure_ascii=False))
        return ""

    def speak(self, item: dict[str, Any]) -> Speech:
        """Render one item."""
        tts, second = self.tts, item.get("speaker2")
        a = tts.style(speaker=item["speaker"]) if "speaker" in item else None
        b = None if second is None else tts.style(speaker=second)
        share = None
        if b is not None:
            share = shares.constant(item["weight"]) if "weight" in item else shares.ramp()
        return tts(item["text"], a, b, share=share, num_inference_steps=self.settings.steps, seed=item.get("seed", 0))


def synthesize_manifest(path: Path, settings: Settings) -> dict[str, int]:
    """Render the items of a manifest that are not there yet.

    Args:
        path: The manifest.
        settings: How, where and by how many.

    Returns:
        Numbers of items ``made``, ``there`` before, and ``failed``.

    Raises:
        InputError: The manifest cannot be used, or the extra ``scale`` is not installed.
    """
    items = read_items(path)
    out = Path(settings.out)
    out.mkdir(parents=True, exist_ok=True)
    missing = [item for item in items if not is_done(out, item["id"])]
    problems = _by_ray(missing, settings) if missing else {}
    with atomic_path(out / f"{FAILURES}.jsonl") as ledger:
        ledger.write_text("".join(json.dumps({"id": i, "problem": p}) + "\n" for i, p in sorted(problems.items())))
    return {"made": len(missing) - len(problems), "there": len(items) - len(missing), "failed": len(problems)}


def _by_ray(items: list[dict[str, Any]], settings: Settings) -> dict[str, str]:
    """Problems by item; Ray gives the work of a worker that died to another."""
    try:
        import ray
    except ImportError as error:
        raise InputError(f"this needs the extra scale: pip install 'gradtts-interp[scale]' ({error})") from error
    started = not ray.is_initialized()
    if started:
        ray.init(address=settings.address, include_dashboard=False, log_to_driver=False)
    try:
        return _problems_of(ray.data.from_items([{"item": json.dumps(item)} for item in items]), settings)
    finally:
        if started:
            ray.shutdown()


def _problems_of(data: Any, settings: Settings) -> dict[str, str]:
    found: Iterable[dict[str, Any]] = (
        data.repartition(max(1, -(-data.count() // settings.batch_size)))
        .map_batches(
            Worker,
            fn_constructor_args=(settings,),
            batch_size=settings.batch_size,
            batch_format="numpy",
            concurrency=settings.workers,
            num_cpus=settings.cpus,
            num_gpus=settings.gpus or None,
            max_restarts=-1,
            max_task_retries=-1,
        )
        .iter_rows()
    )
    return {row["id"]: row["problem"] for row in found if row["problem"]}
