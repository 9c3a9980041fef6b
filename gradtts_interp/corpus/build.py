"""``gradtts-interp corpus``: make the corpus, all items planned and rendered in several processes, or describe one.

Files of a corpus: ``wavs/<id>.wav``, ``features/<id>.npz``, ``manifest.jsonl`` and ``settings.json``. A build that was
stopped goes on where it was; while it runs, ``manifest.partial.jsonl`` holds the items that are there, in the order of
the plan.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from gradtts_interp.audio import log_mel, write_wav
from gradtts_interp.config import MelConfig, add_settings
from gradtts_interp.corpus.plan import (
    MANIFEST,
    PARTIAL,
    BuildSettings,
    PlannedItem,
    held_out_texts,
    load_entries,
    make_plan,
    training_texts,
)
from gradtts_interp.corpus.rendering import render
from gradtts_interp.corpus.statistics import FIELDS, draw, tables_of
from gradtts_interp.corpus.teacher import Teacher
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path, write_text
from gradtts_interp.pitch.contour import frame_energy_db
from gradtts_interp.text.frontend import TextFrontend

logger = logging.getLogger(__name__)

SETTINGS = "settings.json"
INT16_SCALE = 32768.0
CHUNK = 8
BUILD_OPTIONS = [field.name for field in dataclasses.fields(BuildSettings)]


def build_corpus(
    folder: str | Path, settings: BuildSettings, *, first: int = 0, jobs: int | None = None, progress: bool = True
) -> Path:
    """Build a corpus, or finish one that was begun.

    Args:
        folder: Where the corpus goes.
        settings: Sizes and seed.
        first: Items to leave out at the beginning of the plan: training that goes on elsewhere, where the corpus has
            to be built again, can hear what it has not heard yet.
        jobs: Processes; all cores by default.
        progress: Whether to show progress bars.

    Returns:
        Path of the manifest.

    Raises:
        InputError: The teacher is not installed, ``folder`` holds a corpus of other settings, or the plan has no item
            ``first``.
    """
    folder = Path(folder)
    Teacher()
    train, held_out = training_texts()[: settings.sentences], held_out_texts()[: settings.held_out]
    texts = {f"train-{i:05d}": text for i, text in enumerate(train)}
    texts |= {f"test-{i:05d}": text for i, text in enumerate(held_out)}
    items = make_plan(settings, train=len(train), held_out=len(held_out))
    if not 0 <= first < len(items):
        raise InputError(f"first item {first} of a plan of {len(items)}; expected 0 to {len(items) - 1}")
    items = items[first:]
    _require_same_settings(folder, settings)
    for name in ("wavs", "features"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    entries = []
    with _executor(jobs) as pool, (folder / PARTIAL).open("w", encoding="utf-8") as partial_manifest:
        work = pool.map(partial(render_item, folder, texts), items, chunksize=CHUNK)
        for entry in tqdm(work, total=len(items), desc="render", disable=not progress):
            partial_manifest.write(json.dumps(entry) + "\n")
            partial_manifest.flush()
            entries.append(entry)
    entries.sort(key=lambda entry: entry["id"])
    write_text(folder / MANIFEST, "".join(f"{json.dumps(entry)}\n" for entry in entries))
    (folder / PARTIAL).unlink()
    return folder / MANIFEST


@lru_cache(maxsize=1)
def _speaker() -> tuple[Teacher, TextFrontend]:
    """Teacher and text frontend of this process."""
    return Teacher(), TextFrontend(add_blank=False)


def render_item(folder: Path, texts: dict[str, str], item: PlannedItem) -> dict[str, Any]:
    """Render one item and write its files, unless they are there.

    Args:
        folder: The corpus.
        texts: Sentence key -> text.
        item: What to render.

    Returns:
        The item's line of the manifest. Its tokens are ``" "`` first, ARPAbet with stress, ``" "`` between words,
        punctuation, a mark last; each word is (text, first token, token after its last).
    """
    path, text = folder / "features" / f"{item.id}.npz", texts[item.sentence]
    read = _speaker()[1](text)
    tokens = tuple(token.removeprefix("@") for token in read.tokens)
    if not (path.exists() and (folder / "wavs" / f"{item.id}.wav").exists()):
        _render_files(folder, item, tokens)
    with np.load(path) as stored:
        return _entry(item, text, tokens, read.words, stored)


def _render_files(folder: Path, item: PlannedItem, tokens: tuple[str, ...]) -> None:
    """Render and write ``wavs/<id>.wav`` and ``features/<id>.npz``; the mel is that of the 16-bit samples."""
    config, (teacher, _) = MelConfig(), _speaker()
    blend: dict[str, Any] = {} if item.b is None else {"b": item.b["factors"], "share": item.share}
    speech = render(teacher, tokens, item.a["factors"], **blend)
    samples = np.clip(np.rint(speech.audio * INT16_SCALE), -INT16_SCALE, INT16_SCALE - 1) / INT16_SCALE
    mel = log_mel(torch.from_numpy(samples.astype(np.float32)), config).numpy()
    if mel.shape[1] != speech.durations.sum() or speech.durations.min() < 1 or not np.isfinite(mel).all():
        raise RuntimeError(f"{item.id}: mel {mel.shape} for {speech.durations.sum()} frames, or not finite")
    write_wav(folder / "wavs" / f"{item.id}.wav", torch.from_numpy(samples), config.sample_rate_hz)
    arrays: dict[str, Any] = {} if item.b is None else {"share": speech.share.astype(np.float16)}
    with atomic_path(folder / "features" / f"{item.id}.npz") as temporary:
        np.savez(
            temporary,
            mel=mel.astype(np.float16),
            f0_hz=speech.f0_hz,
            voiced=speech.voiced,
            energy_db=frame_energy_db(samples, config),
            durations=speech.durations.astype(np.int16),
            **arrays,
        )


def _entry(
    item: PlannedItem, text: str, tokens: tuple[str, ...], words: Sequence[tuple[str, int, int]], stored: Any
) -> dict[str, Any]:
    """Write the manifest's line of an item."""
    voiced, planned = stored["voiced"], dataclasses.asdict(item)
    log_f0 = np.log(stored["f0_hz"][voiced]) if voiced.any() else np.zeros(1)
    style = planned["a"]
    if item.b is not None:
        style = dict.fromkeys(style) | {name: planned[name] for name in ("a", "b", "share")}
    return {
        **{name: planned[name] for name in ("id", "kind", "split")},
        **{"text": text, "tokens": tokens, "words": words},
        **{name: planned[name] for name in ("speaker", "emotion")},
        **style,
        "frames": len(voiced),
        "f0": {
            "mean_hz": round(float(np.exp(log_f0.mean())), 2),
            "log_std": round(float(log_f0.std()), 4),
            "voiced_share": round(float(voiced.mean()), 4),
        },
    }


def _require_same_settings(folder: Path, settings: BuildSettings) -> None:
    """Note the settings of a new corpus; refuse to go on with one of other settings."""
    path = folder / SETTINGS
    wanted = dataclasses.asdict(settings)
    if not path.exists():
        write_text(path, json.dumps(wanted) + "\n")
    found = json.loads(path.read_text(encoding="utf-8"))
    for name, value in wanted.items():
        if found.get(name) != value:
            raise InputError(
                f"{folder} holds a corpus with {name} {found.get(name)!r}; expected {value!r}, or choose another folder"
            )


def _executor(jobs: int | None) -> ProcessPoolExecutor:
    """Processes of one thread each; spawned, since forking a process with threads can hang."""
    one_thread = partial(torch.set_num_threads, 1)
    return ProcessPoolExecutor(jobs or os.cpu_count() or 1, mp_context=get_context("spawn"), initializer=one_thread)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``build`` and ``stats`` with their options to a parser.

    Args:
        parser: Parser of ``gradtts-interp corpus``.
    """
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser(
        "build", help="render the demo corpus (needs the extra corpus and the teacher's packages)"
    )
    build.add_argument("--out", type=Path, required=True, help="folder of the corpus; a stopped build goes on there")
    build.add_argument("--first", type=int, default=0, metavar="N", help="leave out the first N items of the plan")
    build.add_argument("--jobs", type=int, default=None, help="processes (default: all cores)")
    build.add_argument("--quiet", action="store_true", help="no progress bars")
    add_settings(build, BuildSettings, BUILD_OPTIONS)
    stats = actions.add_parser("stats", help="hours, speakers, phones and prosody of a corpus, as tables and plots")
    stats.add_argument("corpus", type=Path, help="corpus folder, or a manifest (.jsonl or .jsonl.xz)")
    stats.add_argument("--out", type=Path, help="folder of statistics.md and statistics.png (default: the corpus)")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status 0.
    """
    if args.action == "stats":
        return _stats(args)
    settings = BuildSettings(**{name: getattr(args, name) for name in BUILD_OPTIONS})
    manifest = build_corpus(args.out, settings, first=args.first, jobs=args.jobs, progress=not args.quiet)
    logger.info("wrote %s", manifest)
    return 0


def _stats(args: argparse.Namespace) -> int:
    entries = load_entries(args.corpus, fields=FIELDS)
    out = args.out or (args.corpus if args.corpus.is_dir() else args.corpus.parent)
    tables = tables_of(entries)
    write_text(out / "statistics.md", tables)
    with atomic_path(out / "statistics.png") as temporary:
        draw(entries).savefig(temporary, dpi=90)
    sys.stdout.write(tables)
    logger.info("wrote statistics.md and statistics.png in %s", out)
    return 0
