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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradtts_interp.checkpoints import checkpoint_of
from gradtts_interp.errors import InputError, import_extra
from gradtts_interp.files import read_text, write_text
from gradtts_interp.interpolation import shares
from gradtts_interp.models.precision import PRECISIONS
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import generators_of, length_batches
from gradtts_interp.speech import Speech

FIELDS = {"id", "text", "speaker", "speaker2", "weight", "seed"}
VOICE = ("speaker", "speaker2", "weight")
STORE_BYTES = 200 * 2**20  # only texts pass through Ray's store
_NAME = re.compile(r"[\w.-]+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``gradtts-interp synthesize-corpus``."""
    add = parser.add_argument
    add("manifest", help="JSON lines: id, text, and optionally speaker, speaker2, weight, seed")
    add("-c", "--checkpoint", help="folder of a checkpoint; None is checkpts/demo")
    add("--out", default="out/corpus", help="folder to write to; what is in it already is not made again")
    add("-t", "--timesteps", type=int, help="steps of the sampler; None is the default sampler's")
    add("--precision", choices=PRECISIONS, default="auto", help="arithmetic of the networks")
    add("--workers", type=int, default=1, help="worker processes")
    text = "part of a GPU that each worker takes; 0 renders on the CPU"
    add("--gpus-per-worker", type=float, default=0, help=text)
    add("--cpus-per-worker", type=float, default=1, help="number of CPUs that each worker takes")
    add("--batch-size", type=int, default=1, help="sentences rendered at once")
    add("--address", help="address of the Ray cluster to join, such as auto; None starts one here")


def run(args: argparse.Namespace) -> int:
    """Synthesise what is not there yet.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status: 0 when all are there, 1 when some failed.
    """
    args.checkpoint = str(checkpoint_of(args.checkpoint).resolve())
    args.out = str(Path(args.out).resolve())
    summary = synthesize_manifest(args)
    found = f"{summary['made']} made, {summary['there']} were there, {summary['failed']} failed; in {args.out}"
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
        args: Flags of the command; ``checkpoint`` and ``out`` are readable by each worker.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.steps, self.out = args.timesteps, Path(args.out)
        if args.gpus_per_worker == 0:
            torch.set_num_threads(max(1, round(args.cpus_per_worker)))
        self.tts = GradTTSInterpPipeline.from_pretrained(args.checkpoint)
        self.tts.set_progress_bar_config(disable=True)
        self.tts = self.tts.to("cuda" if args.gpus_per_worker else "cpu").accelerate(args.precision)

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
        spoken = tts(texts, a, b, share=share, num_inference_steps=self.steps, generator=draws)
        return [replace(s, settings={**s.settings, "seed": n}) for s, n in zip(spoken, seeds, strict=True)]


def synthesize_manifest(args: argparse.Namespace) -> dict[str, int]:
    """Render the items of a manifest that are not there yet.

    Args:
        args: Flags of the command: the manifest, how it is rendered, where, and by how many.

    Returns:
        Numbers of items ``made``, ``there`` before, and ``failed``.

    Raises:
        InputError: The manifest cannot be used, or the extra ``scale`` is not installed.
    """
    items, out = read_items(Path(args.manifest)), Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    missing = [item for item in items if not is_done(out, item["id"])]
    problems = _by_ray(missing, args) if missing else {}
    ledger = "".join(json.dumps({"id": i, "problem": p}) + "\n" for i, p in sorted(problems.items()))
    write_text(out / "failures.jsonl", ledger)
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


def _by_ray(items: list[dict[str, Any]], args: argparse.Namespace) -> dict[str, str]:
    """Problems by item; Ray gives the work of a worker that died to another."""
    ray = import_extra("ray", "this needs the extra scale", "scale")
    started = not ray.is_initialized()
    if started:
        # CPUs that Ray, started here, may give away: those of the workers, and one for its own tasks.
        cpus = math.ceil(args.workers * args.cpus_per_worker) + 1
        own: dict[str, Any] = {"object_store_memory": STORE_BYTES, "num_cpus": cpus}
        own = own if args.address is None else {"address": args.address}
        ray.init(include_dashboard=False, log_to_driver=False, **own)
    try:
        rows = [{"items": json.dumps(batch)} for batch in batches_of(items, args.batch_size)]
        found: Iterable[dict[str, Any]] = (
            ray.data.from_items(rows, override_num_blocks=len(rows))
            .map_batches(
                Worker,
                fn_constructor_args=(args,),
                batch_size=1,
                batch_format="numpy",
                concurrency=args.workers,
                num_cpus=args.cpus_per_worker,
                num_gpus=args.gpus_per_worker or None,
                max_restarts=-1,
                max_task_retries=-1,
            )
            .iter_rows()
        )
        return {row["id"]: row["problem"] for row in found if row["problem"]}
    finally:
        if started:
            ray.shutdown()
