"""A manifest of sentences on many workers (Ray Data): resumable, and each output made exactly once.

An output is two files, each written under another name and renamed when whole; the ``.json`` comes last and is the
ledger's entry: an item that has one is done, and any other is made anew. So a worker that is killed loses no more than
what it had in hand, which Ray gives to another, and a second run makes only what is missing. An item's seed is its own:
made twice it is the same, to the byte where it is rendered alone, to rounding in another batch.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradtts_interp.checkpoints import checkpoint_of
from gradtts_interp.config import add_settings
from gradtts_interp.errors import InputError, import_extra
from gradtts_interp.files import read_text, write_text
from gradtts_interp.interpolation import shares
from gradtts_interp.models.precision import PRECISIONS
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import generators_of, length_batches
from gradtts_interp.speech import Speech

FIELDS = {"id", "text", "speaker", "speaker2", "weight", "seed"}
VOICE = ("speaker", "speaker2", "weight")
FAILURES = "failures"
OPTIONS = ("workers", "gpus_per_worker", "cpus_per_worker", "batch_size", "address")
STORE_BYTES = 200 * 2**20  # only texts pass through Ray's store
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
        workers: Worker processes.
        gpus_per_worker: Part of a GPU that each worker takes; 0 renders on the CPU.
        cpus_per_worker: Number of CPUs that each worker takes.
        address: Address of the Ray cluster to join, such as auto; None starts one here.
    """

    checkpoint: str
    out: str
    steps: int | None = None
    precision: str = "auto"
    batch_size: int = 1
    workers: int = 1
    gpus_per_worker: float = 0
    cpus_per_worker: float = 1
    address: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``gradtts-interp synthesize-corpus``."""
    parser.add_argument("manifest", help="JSON lines: id, text, and optionally speaker, speaker2, weight, seed")
    parser.add_argument("-c", "--checkpoint", help="folder of a checkpoint; None is checkpts/demo")
    text = "folder to write to; what is in it already is not made again"
    parser.add_argument("--out", default="out/corpus", help=text)
    parser.add_argument("-t", "--timesteps", type=int, help="steps of the sampler; None is the default sampler's")
    text = "arithmetic of the networks"
    parser.add_argument("--precision", choices=PRECISIONS, default=Settings.precision, help=text)
    add_settings(parser, Settings, OPTIONS)


def run(args: argparse.Namespace) -> int:
    """Synthesise what is not there yet.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status: 0 when all are there, 1 when some failed.
    """
    checkpoint, out = (str(path.resolve()) for path in (checkpoint_of(args.checkpoint), Path(args.out)))
    named: dict[str, Any] = {name: getattr(args, name) for name in ("precision", *OPTIONS)}
    summary = synthesize_manifest(Path(args.manifest), Settings(checkpoint, out, args.timesteps, **named))
    found = f"{summary['made']} made, {summary['there']} were there, {summary['failed']} failed; in {out}"
    print(found)  # noqa: T201
    return 1 if summary["failed"] else 0


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
    items, seen = [], set()
    for number, line in enumerate(read_text(path, expected="a manifest of JSON lines").split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            known = isinstance(item["text"], str) and _NAME.fullmatch(item["id"]) and set(item) <= FIELDS
        except (ValueError, KeyError, TypeError):
            known = False
        if not known or item["id"] in seen:
            wanted = f"expected an id of its own, a text, and of {sorted(FIELDS)}"
            raise InputError(f"{path}, line {number}: {wanted}: {line[:80]}")
        seen.add(item["id"])
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
        if settings.gpus_per_worker == 0:
            torch.set_num_threads(max(1, round(settings.cpus_per_worker)))
        self.tts = GradTTSInterpPipeline.from_pretrained(settings.checkpoint)
        self.tts.set_progress_bar_config(disable=True)
        self.tts = self.tts.to("cuda" if settings.gpus_per_worker else "cpu").accelerate(settings.precision)

    def __call__(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Render and write a batch of items, given and answered as Ray Data's columns; it is one row there."""
        items = json.loads(rows["items"][0])
        return {"id": np.array([item["id"] for item in items]), "problem": np.array(self.make(items))}

    def make(self, items: Sequence[dict[str, Any]]) -> list[str]:
        """Render and write items of one voice, but those that are there; what was wrong with each, else an empty text.

        Where one of them cannot be spoken they are rendered one by one, so that only the bad one fails.
        """
        missing = [item for item in items if not is_done(self.out, item["id"])]
        problems: dict[str, str] = {}
        try:
            spoken = self.speak(missing) if missing else []
        except InputError as error:
            if len(missing) > 1:
                problems = {item["id"]: self.make([item])[0] for item in missing}
            else:
                problems = {missing[0]["id"]: str(error)}
            spoken, missing = [], []
        for item, speech in zip(missing, spoken, strict=True):
            speech.save(self.out / f"{item['id']}.wav")  # the ledger's entry last
        return [problems.get(item["id"], "") for item in items]

    def speak(self, items: Sequence[dict[str, Any]]) -> list[Speech]:
        """Render items of one voice as one batch."""
        tts, first = self.tts, items[0]
        a = tts.style(speaker=first["speaker"]) if "speaker" in first else None
        b = None if first.get("speaker2") is None else tts.style(speaker=first["speaker2"])
        share = None
        if b is not None:
            share = shares.constant(first["weight"]) if "weight" in first else shares.ramp()
        seeds = [item.get("seed", 0) for item in items]
        texts, draws = [item["text"] for item in items], [generators_of(1, seed, None)[0] for seed in seeds]
        spoken = tts(texts, a, b, share=share, num_inference_steps=self.settings.steps, generator=draws)
        return [replace(s, settings={**s.settings, "seed": n}) for s, n in zip(spoken, seeds, strict=True)]


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
    ledger = "".join(json.dumps({"id": i, "problem": p}) + "\n" for i, p in sorted(problems.items()))
    write_text(out / f"{FAILURES}.jsonl", ledger)
    return {"made": len(missing) - len(problems), "there": len(items) - len(missing), "failed": len(problems)}


def batches_of(items: Sequence[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    """Divide items into batches of one voice and of like length, the longest first.

    Args:
        items: Items of a manifest.
        size: Items in a batch at most.

    Returns:
        Batches that hold each item once.
    """
    voices = defaultdict(list)
    for item in items:
        voices[tuple(item.get(name) for name in VOICE)].append(item)
    batches = [
        [group[i] for i in batch]
        for group in voices.values()
        for batch in length_batches([len(item["text"]) for item in group], size)
    ]
    return sorted(batches, key=lambda batch: -len(batch) * len(batch[0]["text"]))


def _by_ray(items: list[dict[str, Any]], settings: Settings) -> dict[str, str]:
    """Problems by item; Ray gives the work of a worker that died to another."""
    ray = import_extra("ray", "this needs the extra scale", "scale")
    started = not ray.is_initialized()
    if started:
        # CPUs that Ray, started here, may give away: those of the workers, and one for its own tasks.
        cpus = math.ceil(settings.workers * settings.cpus_per_worker) + 1
        own: dict[str, Any] = {"object_store_memory": STORE_BYTES, "num_cpus": cpus}
        own = own if settings.address is None else {"address": settings.address}
        ray.init(include_dashboard=False, log_to_driver=False, **own)
    try:
        rows = [{"items": json.dumps(batch)} for batch in batches_of(items, settings.batch_size)]
        found: Iterable[dict[str, Any]] = (
            ray.data.from_items(rows, override_num_blocks=len(rows))
            .map_batches(
                Worker,
                fn_constructor_args=(settings,),
                batch_size=1,
                batch_format="numpy",
                concurrency=settings.workers,
                num_cpus=settings.cpus_per_worker,
                num_gpus=settings.gpus_per_worker or None,
                max_restarts=-1,
                max_task_retries=-1,
            )
            .iter_rows()
        )
        return {row["id"]: row["problem"] for row in found if row["problem"]}
    finally:
        if started:
            ray.shutdown()
