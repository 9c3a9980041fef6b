"""Make the corpus: speak and analyse all sentences, plan all items, render them in several processes.

Files of a corpus: ``wavs/<id>.wav``, ``features/<id>.npz``, ``manifest.jsonl``, ``filelist.txt`` (items of the
speaker bank, ``path|text|speaker|emotion``), ``settings.json`` and ``report.json``; ``analysis`` is a cache that may be
deleted. A build that was stopped goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from gradtts_interp.audio import log_mel, write_wav
from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.cache import Sentence, analyse_to_cache, boundaries_of, load_source
from gradtts_interp.corpus.flite import VOICES, find_flite
from gradtts_interp.corpus.labels import Labels
from gradtts_interp.corpus.plan import BuildSettings, Item, Spoken, make_plan, share_at
from gradtts_interp.corpus.rendering import Source, frame_durations, render
from gradtts_interp.corpus.sentences import held_out_sentences, training_sentences
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.pitch.contour import frame_energy_db

logger = logging.getLogger(__name__)

MANIFEST = "manifest.jsonl"
FILELIST = "filelist.txt"
SETTINGS = "settings.json"
REPORT = "report.json"
INT16_SCALE = 32768.0
CHUNK = 8

In = TypeVar("In")
Out = TypeVar("Out")


def build_corpus(
    folder: str | Path, settings: BuildSettings, *, jobs: int | None = None, progress: bool = True
) -> Path:
    """Build a corpus, or finish one that was begun.

    Args:
        folder: Where the corpus goes.
        settings: Sizes and seed.
        jobs: Processes; all cores by default.
        progress: Whether to show progress bars.

    Returns:
        Path of the manifest.

    Raises:
        InputError: flite is missing, or ``folder`` holds a corpus of other settings.
    """
    folder = Path(folder)
    find_flite()
    _require_same_settings(folder, settings)
    for name in ("wavs", "features", "analysis"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    sentences = {
        "train": training_sentences(settings.sentences, seed=settings.seed, held_out=settings.held_out),
        "test": held_out_sentences(settings.held_out, seed=settings.seed),
    }
    texts = {f"{part}-{i:04d}": text for part, lines in sentences.items() for i, text in enumerate(lines)}
    with _executor(jobs) as pool:
        run = partial(_run, pool, progress=progress)
        spoken, rejected = _analyse_all(folder, texts, run)
        items = make_plan(settings, spoken)
        entries = list(run(partial(render_item, folder, texts), items, "render"))
    _write_lines(folder / MANIFEST, (json.dumps(entry) for entry in entries))
    _write_lines(folder / FILELIST, (_filelist_line(entry) for entry in entries if entry["kind"] == "bank"))
    _write_report(folder, entries, rejected)
    return folder / MANIFEST


def _analyse_all(
    folder: Path, texts: dict[str, str], run: Callable[..., Iterator[Any]]
) -> tuple[Spoken, dict[str, str]]:
    """Speak and analyse every sentence by every base voice; return what can be used and what was rejected."""
    jobs = [(Sentence(key, text), base) for key, text in texts.items() for base in VOICES]
    results = run(partial(_analyse_job, folder / "analysis"), jobs, "analyse")
    usable: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {"train": {}, "test": {}}
    rejected: dict[str, str] = {}
    for (sentence, base), result in zip(jobs, results, strict=True):
        if isinstance(result, Labels):
            usable[sentence.key.split("-")[0]].setdefault(base, {})[sentence.key] = result.tokens
        else:
            logger.warning("rejected %s by %s: %s", sentence.key, base, result)
            rejected[f"{sentence.key}-{base}"] = result
    return Spoken(train=usable["train"], test=usable["test"]), rejected


def render_item(folder: Path, texts: dict[str, str], item: Item) -> dict[str, Any]:
    """Render one item and write its files, unless they are there.

    Args:
        folder: The corpus.
        texts: Sentence key -> text.
        item: What to render.

    Returns:
        The item's line of the manifest.
    """
    config = MelConfig()
    features, labels = load_source(folder / "analysis", item.sentence, item.a.factors.base)
    path = folder / "features" / f"{item.id}.npz"
    if not (path.exists() and (folder / "wavs" / f"{item.id}.wav").exists()):
        a = Source(features, boundaries_of(labels), item.a.factors)
        b = None
        if item.b is not None:
            if item.b.factors.base != item.a.factors.base:
                features, labels_b = load_source(folder / "analysis", item.sentence, item.b.factors.base)
                b = Source(features, boundaries_of(labels_b), item.b.factors)
            else:
                b = Source(features, a.boundaries_seconds, item.b.factors)
        _render_files(folder, item, a, b, config)
    with np.load(path) as stored:
        return _entry(item, texts[item.sentence], labels, stored)


def _render_files(folder: Path, item: Item, a: Source, b: Source | None, config: MelConfig) -> None:
    """Render and write ``wavs/<id>.wav`` and ``features/<id>.npz``; the mel is that of the 16-bit samples."""
    durations = frame_durations(a.boundaries_seconds, rate=a.factors.rate, config=config)
    arrays: dict[str, Any] = {}
    share = None
    if b is not None:
        of_b = frame_durations(b.boundaries_seconds, rate=b.factors.rate, config=config)
        mean_share = share_at(item.share, np.linspace(0, 1, 1001)).mean()
        durations = np.maximum(1, np.rint((1 - mean_share) * durations + mean_share * of_b)).astype(np.int64)
        share = share_at(item.share, np.linspace(0, 1, 2 * int(durations.sum()) + 1))
        arrays["share"] = share[1::2].astype(np.float16)
    speech = render(a, durations, b=b, share=share, config=config)
    samples = np.clip(np.rint(speech.audio * INT16_SCALE), -INT16_SCALE, INT16_SCALE - 1) / INT16_SCALE
    mel = log_mel(torch.from_numpy(samples.astype(np.float32)), config).numpy()
    if mel.shape[1] != durations.sum() or not np.isfinite(mel).all():
        raise RuntimeError(f"{item.id}: mel {mel.shape} for {durations.sum()} frames, or not finite")
    write_wav(folder / "wavs" / f"{item.id}.wav", torch.from_numpy(samples), config.sample_rate_hz)
    with atomic_path(folder / "features" / f"{item.id}.npz") as temporary:
        np.savez(
            temporary,
            mel=mel.astype(np.float16),
            f0_hz=speech.f0_hz,
            voiced=speech.voiced,
            energy_db=frame_energy_db(samples, config),
            durations=durations.astype(np.int16),
            **arrays,
        )


def _entry(item: Item, text: str, labels: Labels, stored: Any) -> dict[str, Any]:
    """Write the manifest's line of an item."""
    voiced = stored["voiced"]
    log_f0 = np.log(stored["f0_hz"][voiced]) if voiced.any() else np.zeros(1)
    entry: dict[str, Any] = {
        "id": item.id,
        "kind": item.kind,
        "split": item.split,
        "text": text,
        "tokens": labels.tokens,
        "words": labels.words,
        "speaker": item.speaker,
        "emotion": item.emotion,
        **item.a.to_dict(),
    }
    if item.b is not None:
        entry |= {"voice": None, "pitch": None, "factors": None}
        entry |= {"a": item.a.to_dict(), "b": item.b.to_dict(), "share": item.share}
    entry["frames"] = len(voiced)
    entry["f0"] = {
        "mean_hz": round(float(np.exp(log_f0.mean())), 2),
        "log_std": round(float(log_f0.std()), 4),
        "voiced_share": round(float(voiced.mean()), 4),
    }
    return entry


def _filelist_line(entry: dict[str, Any]) -> str:
    return f"wavs/{entry['id']}.wav|{entry['text']}|{entry['speaker']}|{entry['emotion']}"


def _write_report(folder: Path, entries: list[dict[str, Any]], rejected: dict[str, str]) -> None:
    """Write counts, hours and the rejected sentences."""
    config = MelConfig()
    report: dict[str, Any] = {"rejected": rejected, "items": {}, "hours": {}}
    for entry in entries:
        name = f"{entry['kind']}/{entry['split']}"
        report["items"][name] = report["items"].get(name, 0) + 1
        report["hours"][name] = report["hours"].get(name, 0.0) + entry["frames"] / config.frame_rate_hz / 3600.0
    _write_lines(folder / REPORT, [json.dumps(report, indent=1)])


def _require_same_settings(folder: Path, settings: BuildSettings) -> None:
    """Note the settings of a new corpus; refuse to go on with one of other settings."""
    path = folder / SETTINGS
    wanted = dataclasses.asdict(settings)
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = [name for name, value in wanted.items() if found.get(name) != value]
        if differing:
            name = differing[0]
            raise InputError(
                f"{folder} holds a corpus with {name} {found.get(name)!r}; expected {wanted[name]!r}, "
                "or choose another folder"
            )
        return
    _write_lines(path, [json.dumps(wanted)])


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _analyse_job(folder: Path, job: tuple[Sentence, str]) -> Labels | str:
    return analyse_to_cache(folder, *job)


def _executor(jobs: int | None) -> ProcessPoolExecutor:
    """Processes of one thread each; spawned, since forking a process with threads can hang."""
    count = jobs or os.cpu_count() or 1
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_use_one_thread)


def _use_one_thread() -> None:
    torch.set_num_threads(1)


def _run(
    pool: ProcessPoolExecutor, work: Callable[[In], Out], jobs: list[In], name: str, *, progress: bool
) -> Iterator[Out]:
    """Map over the pool in order, with a progress bar."""
    return iter(tqdm(pool.map(work, jobs, chunksize=CHUNK), total=len(jobs), desc=name, disable=not progress))
