"""``evaluate interpolation``: render a grid of blends with all baselines, measure it, and write a report."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gradtts_interp.checkpoints import read_index
from gradtts_interp.cli.evaluate_shared import (
    Finding,
    add_measuring,
    add_output,
    add_recognisers,
    command_line,
    cores,
    count,
    fingerprint,
    listening_of,
    machine,
    recogniser_facts,
    recognisers_of,
    speaker_encoder_of,
    today,
    write_finding,
)
from gradtts_interp.cli.job_flags import default_checkpoint, device_of, read_lines, require_writable
from gradtts_interp.diffusion.samplers import SAMPLERS
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.grid import (
    MODES,
    REFERENCE,
    SENTENCES,
    GridItem,
    conditions_of,
    grid_facts,
    grid_items,
    pairs_of_bank,
    parse_pair,
)
from gradtts_interp.evaluation.grid_report import grid_examples, grid_pictures, main_sentences, weak_sentences
from gradtts_interp.evaluation.grid_run import GridContext, GridSettings, measure_item
from gradtts_interp.evaluation.intelligibility import POCKETSPHINX
from gradtts_interp.evaluation.kaldi import KaldiUtterance, write_kaldi
from gradtts_interp.evaluation.rendering import OTHER_SENTENCE
from gradtts_interp.evaluation.report import Report
from gradtts_interp.evaluation.run import Record, RunFolder, Work, run_items
from gradtts_interp.evaluation.table_definitions import GRID_TABLES
from gradtts_interp.evaluation.tables import tabulate
from gradtts_interp.interpolation.noise import NOISE
from gradtts_interp.job import StyleChoice
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import SamplingOptions

UTTERANCES = 6  # about 12 minutes on two cores with the demo checkpoint
QUICK_UTTERANCES = 2


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
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
    what.add_argument(
        "-n", "--utterances", type=count, metavar="N", help="pairs with a sentence each (default: 6; 2 with --quick)"
    )
    what.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="modes (default: all)")
    what.add_argument("--no-noise", action="store_true", help="leave noise tuning out, the slowest condition")
    what.add_argument(
        "--quick", action="store_true", help="2 utterances, sweeps of 3 weights, single mechanisms, no noise tuning"
    )
    sampling = parser.add_argument_group("sampling")
    sampling.add_argument("-t", "--timesteps", type=count, metavar="N", help="steps, as of synthesize")
    sampling.add_argument("--solver", choices=tuple(SAMPLERS), help="sampler, as of synthesize")
    sampling.add_argument(
        "--temperature",
        type=float,
        default=SamplingOptions.temperature,
        metavar="X",
        help="divides the noise (default: %(default)s)",
    )
    sampling.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise (default: 0)")
    add_measuring(parser)
    add_recognisers(parser, default=(POCKETSPHINX,))
    add_output(parser, out="out/evaluate/interpolation")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("-j", "--jobs", type=count, metavar="N", help="processes (default: one per core, 1 on a GPU)")
    parser.add_argument("--examples", type=int, default=2, metavar="N", help="utterances shown (default: 2)")
    parser.add_argument(
        "--kaldi", action="store_true", help="also write wav.scp, text and utt2spk, as VERSA reads them"
    )
    parser.add_argument(
        "--textgrids", action="store_true", help="also write the phones of each wav as a Praat TextGrid"
    )


def run(args: argparse.Namespace) -> int:
    """Render, measure and write; exit status 0, or 1 when an item failed."""
    start = time.monotonic()
    out = Path(args.out)
    require_writable(out)
    device = device_of(args.device)
    settings, context = _open(args, device.type, str(device))
    items = _items(args, context)
    decides = _decides(args, settings, items)
    jobs = min(args.jobs or (cores() if device.type == "cpu" else 1), len(items))
    work = Work((lambda: context) if jobs == 1 else settings.open, measure_item)
    with RunFolder(out, decides, restart=args.restart) as folder:
        before = sum(folder.is_done(item.id) for item in items)
        threads = max(1, cores() // jobs)
        records = run_items(items, work, folder, jobs=jobs, threads=threads, name="conditions")
    elapsed = time.monotonic() - start
    return write_finding(_finding(args, settings, context, items, records, elapsed, before, jobs), args)


def _open(args: argparse.Namespace, kind: str, device: str) -> tuple[GridSettings, GridContext]:
    checkpoint = Path(args.checkpoint) if args.checkpoint else default_checkpoint()
    settings = GridSettings(
        checkpoint=str(checkpoint),
        device=device,
        sampling=SamplingOptions(),
        seed=args.seed,
        listener=listening_of(args),
        encoder=speaker_encoder_of(args),
        recognisers=recognisers_of(args),
        language=args.language,
        out=args.out,
        textgrids=args.textgrids,
        texts=tuple(line.text for line in read_lines(args.file)) if args.file else SENTENCES,
    )
    tuned = () if args.no_noise or args.quick else (NOISE,)
    pipeline = GradTTSInterpPipeline.from_pretrained(checkpoint)
    usual = pipeline.usual_sampler(args.timesteps, args.solver, mechanisms=tuned)
    settings = replace(settings, sampling=SamplingOptions(*usual, temperature=args.temperature))
    return settings, settings.open()


def _items(args: argparse.Namespace, context: GridContext) -> list[GridItem]:
    pipeline = context.renderer.pipeline
    utterances = args.utterances or (QUICK_UTTERANCES if args.quick else UTTERANCES)
    if args.pairs:
        pairs = [parse_pair(text) for text in args.pairs]
        for pair in pairs:
            for voice in pair:
                context.renderer.style(voice)
    elif pipeline.bank is not None:
        pairs = pairs_of_bank(pipeline.bank, utterances)
    elif len(pipeline.speakers) > 1:
        pairs = [
            (StyleChoice(a), StyleChoice(b)) for a, b in zip(pipeline.speakers, pipeline.speakers[1:], strict=False)
        ]
    else:
        raise InputError("this checkpoint has no speakers to choose from; give --pairs a.wav:b.wav")
    has_style = pipeline.model.has_style
    conditions = conditions_of(args.modes, has_style=has_style, noise=not args.no_noise, quick=args.quick)
    texts = context.settings.texts
    return grid_items(pairs, texts, conditions, utterances=utterances, examples=args.examples)


def _decides(args: argparse.Namespace, settings: GridSettings, items: list[GridItem]) -> dict[str, Any]:
    """What decides the results: a run of anything else is refused."""
    return {
        "checkpoint": fingerprint(settings.checkpoint),
        "vocoder": _vocoder_fingerprint(Path(settings.checkpoint)),
        "sampling": asdict(settings.sampling) | {"seed": settings.seed},
        "measuring": settings.listener,
        "speaker encoder": None if settings.encoder is None else fingerprint(settings.encoder),
        "recognisers": recogniser_facts(settings.recognisers),
        "language": settings.language,
        "examples": args.examples,
        "textgrids": args.textgrids,
        "texts": list(settings.texts),
        "device": settings.device,
        "recordings": {path: fingerprint(path) for path in sorted(_recordings(items))},
        "conditions": grid_facts([item.condition for item in items if item.condition and item.pair.index == 0]),
    }


def _vocoder_fingerprint(checkpoint: Path) -> str | None:
    """Of the vocoder that a checkpoint folder names; it may lie outside of the folder."""
    if not checkpoint.is_dir():
        return None
    return fingerprint(checkpoint / read_index(checkpoint)["vocoder"])


def _recordings(items: list[GridItem]) -> set[str]:
    return {voice.recording for item in items for voice in (item.pair.a, item.pair.b) if voice.recording is not None}


def _finding(
    args: argparse.Namespace,
    settings: GridSettings,
    context: GridContext,
    items: list[GridItem],
    records: list[Record],
    elapsed: float,
    before: int,
    jobs: int,
) -> Finding:
    rows = [row for record in records for row in record.rows]
    definitions = [definition for definition in GRID_TABLES if definition.name in (*args.modes, REFERENCE)]
    tables = {definition.name: tabulate(definition, rows) for definition in definitions}
    found, weak = main_sentences(tables), weak_sentences(tables)
    busy = sum(record.cpu_seconds for record in records)
    pairs = sorted({f"{item.pair.a.name} and {item.pair.b.name}" for item in items})
    sampling = settings.sampling
    facts = (
        ("date", today()),
        ("command", command_line(args)),
        ("checkpoint", f"{settings.checkpoint} ({fingerprint(settings.checkpoint)})"),
        (
            "sampling",
            f"{sampling.solver}, {sampling.steps} steps, temperature {sampling.temperature:g}, seed {args.seed}",
        ),
        ("utterances", f"{len({item.pair.id for item in items})}: styles {', '.join(pairs)}"),
        (
            "measuring",
            f"F0 by {args.tracker}, {args.floor:g} to {args.ceiling:g} "
            f"Hz; frames of {_frame(context)}; A, B and "
            "blends share durations and noise, so nothing is aligned but 'another sentence'",
        ),
        ("recognisers", ", ".join(recogniser_facts(settings.recognisers)) or "none"),
        ("machine", f"{machine()}, {settings.device}, {jobs} process{'es' * (jobs > 1)}"),
        (
            "time",
            f"{elapsed:.0f} s for {len(items) - before} of {len(items)} items, {busy:.0f} s of processor time in all",
        ),
    )
    report = Report(
        title="Interpolation of speaking styles",
        summary=found,
        weak=weak,
        facts=facts,
        pictures=grid_pictures(rows),
        examples=() if args.no_report else grid_examples(items, Path(args.out), context.renderer.listener.mel),
        notes=tuple(dict.fromkeys(note for record in records for note in record.notes)),
    )
    _export(args, items)
    return Finding(definitions, records, report, {"command": command_line(args), "found": found, "weak": weak})


def _frame(context: GridContext) -> str:
    mel = context.renderer.listener.mel
    return f"{mel.hop_samples} samples at {mel.sample_rate_hz} Hz"


def _export(args: argparse.Namespace, items: list[GridItem]) -> None:
    """Kaldi's lists of the rendered wavs, where they were asked for."""
    if not args.kaldi:
        return
    pairs = {item.pair.id: item.pair for item in items}
    wavs = [(pairs[path.parent.name], path) for path in _wavs(args.out) if path.parent.name in pairs]
    write_kaldi(
        Path(args.out) / "kaldi",
        [
            KaldiUtterance(
                id=f"{pair.id}-{path.stem}",
                wav=str(path),
                speaker=pair.id,
                text=None if path.stem == OTHER_SENTENCE else pair.text,
            )
            for pair, path in wavs
        ],
    )


def _wavs(out: str) -> list[Path]:
    return sorted((Path(out) / "wavs").glob("*/*.wav"))
