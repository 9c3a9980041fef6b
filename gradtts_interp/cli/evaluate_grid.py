"""``evaluate interpolation``: render a grid of blends with all baselines, measure it, and write a report."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from gradtts_interp.checkpoints import checkpoint_of, read_index
from gradtts_interp.cli import evaluate_shared as shared
from gradtts_interp.cli.flags import add_sampler, count, read_lines
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation import grid
from gradtts_interp.evaluation.grid_run import OTHER_SENTENCE, Renderer, grid_pictures, measure_item, weak_sentences
from gradtts_interp.evaluation.intelligibility import POCKETSPHINX
from gradtts_interp.evaluation.manifest import write_kaldi
from gradtts_interp.evaluation.run import RunFolder, run_items
from gradtts_interp.evaluation.signal import MeasuringSettings
from gradtts_interp.evaluation.tables import TABLES, tabulate
from gradtts_interp.job import StyleChoice

UTTERANCES = 6  # about 12 minutes on two cores with the demo checkpoint
QUICK_UTTERANCES = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    what = parser.add_argument_group("what to render")
    what.add_argument("-c", "--checkpoint", metavar="PATH", help="checkpoint (default: checkpts/demo)")
    what.add_argument("-f", "--file", metavar="FILE", help="sentences, one per line (default: six short ones)")
    what.add_argument(
        "--pairs",
        nargs="+",
        metavar="A:B",
        help="styles, such as 12:10, 12/happy:10 or a.wav:b.wav (default: speakers of the checkpoint that are 4 "
        "semitones or more apart)",
    )
    text = f"pairs with a sentence each (default: {UTTERANCES}; {QUICK_UTTERANCES} with --quick)"
    what.add_argument("-n", "--utterances", type=count, metavar="N", help=text)
    what.add_argument("--modes", nargs="+", choices=grid.MODES, default=list(grid.MODES), help="modes (default: all)")
    what.add_argument("--no-noise", action="store_true", help="leave noise tuning out, the slowest condition")
    text = f"{QUICK_UTTERANCES} utterances, sweeps of 3 weights, single mechanisms, no noise tuning"
    what.add_argument("--quick", action="store_true", help=text)
    text = "also write the phones of each wav as a Praat TextGrid"
    what.add_argument("--textgrids", action="store_true", help=text)
    group = parser.add_argument_group("sampling")
    add_sampler(group)
    text = "divides the noise (default: the checkpoint's own)"
    group.add_argument("--temperature", type=float, metavar="X", help=text)
    shared.add_measuring(parser)
    shared.add_recognisers(parser, default=(POCKETSPHINX,))
    shared.add_output(parser, out="out/evaluate/interpolation", resumable=True)


def run(args: argparse.Namespace) -> int:
    """Render, measure and write; exit status 0, or 1 when an item failed."""
    start = time.monotonic()
    checkpoint, measuring = str(checkpoint_of(args.checkpoint)), shared.measuring_of(args)
    options = {
        "checkpoint": checkpoint,
        "steps": args.timesteps,
        "solver": args.solver,
        "temperature": args.temperature,
        "seed": args.seed,
        "tuned": not (args.no_noise or args.quick),
        "textgrids": args.textgrids,
        "texts": tuple(line["text"] for line in read_lines(args.file)) if args.file else grid.SENTENCES,
    }
    renderer = Renderer(measuring, **options)
    items = _items(args, renderer)
    jobs = shared.jobs_of(args, len(items))
    setup = (lambda: renderer) if jobs == 1 else partial(Renderer, measuring, **options)
    with RunFolder(args.out, _decides(args, measuring, renderer, items), restart=args.restart) as folder:
        before = sum(folder.is_done(item.id) for item in items)
        threads = max(1, shared.cores() // jobs)
        records = run_items(items, setup, measure_item, folder, jobs=jobs, threads=threads, name="conditions")
    if args.kaldi:
        _write_kaldi(Path(args.out), items)
    rows = [row for record in records for row in record.rows if "hidden" not in row]
    tables = {name: tabulate(TABLES[name], rows) for name in (*args.modes, grid.REFERENCE)}
    weak = weak_sentences(tables)
    pairs = sorted({f"{item.a.name} and {item.b.name}" for item in items})
    sampling, busy = renderer.job.sampling, sum(record.cpu_seconds for record in records)
    steps = f"{sampling.solver}, {sampling.steps} steps, temperature {sampling.temperature:g}, seed {args.seed}"
    done = f"{time.monotonic() - start:.0f} s for {len(items) - before} of {len(items)} items"
    facts = {
        "checkpoint": f"{checkpoint} ({shared.fingerprint(checkpoint)})",
        "sampling": steps,
        "utterances": f"{len({item.index for item in items})}: styles {', '.join(pairs)}",
        "alignment": "none but of 'another sentence': A, B and blends share durations and noise",
        **shared.decided_by(measuring),
        "processes": f"{jobs}, on {measuring.device}",
        "time": f"{done}, {busy:.0f} s of processor time in all",
    }
    page = {"title": "Interpolation of speaking styles", "weak": weak, "pictures": grid_pictures(rows)}
    definitions = [TABLES[name] for name in tables]
    return shared.write_findings(args, definitions, records, facts, page, extra={"weak": weak})


def _items(args: argparse.Namespace, renderer: Renderer) -> list[grid.GridItem]:
    pipeline = renderer.pipeline
    utterances = args.utterances or (QUICK_UTTERANCES if args.quick else UTTERANCES)
    if args.pairs:
        pairs: Sequence[Any] = [grid.parse_pair(text) for text in args.pairs]
        for choice in (choice for pair in pairs for choice in pair):
            renderer.style(choice)  # raises where there is none
    elif pipeline.bank is not None:
        pairs = grid.pairs_of_bank(pipeline.bank, utterances)
    elif len(pipeline.speakers) > 1:
        choices = [StyleChoice(speaker) for speaker in pipeline.speakers]
        pairs = list(zip(choices, choices[1:], strict=False))
    else:
        raise InputError("this checkpoint has no speakers to choose from; give --pairs a.wav:b.wav")
    has_style = pipeline.model.has_style
    conditions = grid.conditions_of(args.modes, has_style=has_style, noise=not args.no_noise, quick=args.quick)
    return grid.grid_items(pairs, renderer.texts, conditions, utterances=utterances, examples=args.examples)


def _decides(
    args: argparse.Namespace, measuring: MeasuringSettings, renderer: Renderer, items: list[grid.GridItem]
) -> dict[str, Any]:
    """What decides the results: a run of anything else is refused."""
    checkpoint = checkpoint_of(args.checkpoint)
    vocoder = checkpoint / read_index(checkpoint)["vocoder"] if checkpoint.is_dir() else None  # it may lie elsewhere
    recordings = {choice.recording for item in items for choice in (item.a, item.b) if choice.recording}
    conditions = [item.condition for item in items if item.condition and item.index == 0]
    return {
        **shared.decided_by(measuring),
        "checkpoint": shared.fingerprint(checkpoint),
        "vocoder": vocoder and shared.fingerprint(vocoder),
        "sampling": asdict(renderer.job.sampling) | {"seed": args.seed},
        "examples": args.examples,
        "textgrids": args.textgrids,
        "texts": renderer.texts,
        "device": measuring.device,
        "recordings": {path: shared.fingerprint(path) for path in sorted(recordings)},
        "conditions": [[grid.slug(c), c.mechanisms or (), c.weights] for c in conditions],
    }


def _write_kaldi(out: Path, items: list[grid.GridItem]) -> None:
    """Kaldi's lists of the rendered wavs."""
    said = {item.utterance: item.text for item in items}
    listed = []
    for path in sorted((out / "wavs").glob("*/*.wav")):
        if (name := path.parent.name) in said:
            listed.append((f"{name}-{path.stem}", path, name, None if path.stem == OTHER_SENTENCE else said[name]))
    write_kaldi(out / "kaldi", listed)
