"""``gradtts-interp evaluate``: measure recordings and blends, render a grid of blends, fit listeners' answers."""

from __future__ import annotations

import argparse
import json
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from gradtts_interp.audio import read_audio, require_speech
from gradtts_interp.checkpoints import checkpoint_of, read_index
from gradtts_interp.cli import evaluate_shared as shared
from gradtts_interp.cli.flags import add_sampler, aligned, count, device_of, read_lines, require_writable
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation import grid
from gradtts_interp.evaluation.comparison import MEL, FileMeasurer, FilePair, read_manifest, set_figures
from gradtts_interp.evaluation.contours import correlation
from gradtts_interp.evaluation.intelligibility import POCKETSPHINX
from gradtts_interp.evaluation.metric_rows import ALIGNMENTS
from gradtts_interp.evaluation.psychometric import Answers, Fit, fit_psychometric, is_rating, probability, read_answers
from gradtts_interp.evaluation.run import Record, RunFolder, run_items
from gradtts_interp.evaluation.signal import MeasuringSettings
from gradtts_interp.evaluation.speakers import SpeakerEncoder, describe_voice, load_classifier
from gradtts_interp.evaluation.tables import CONDITION, TABLES, mean_with_interval, tabulate, voice_table
from gradtts_interp.files import write_json
from gradtts_interp.interpolation.noise import NOISE
from gradtts_interp.job import StyleChoice
from gradtts_interp.plots.drawing import BLUE, VERMILION, label_axes, new_figure, save_figure

UTTERANCES = 6  # about 12 minutes on two cores with the demo checkpoint
QUICK_UTTERANCES = 2
EVERYONE = "all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands and their flags on a parser."""
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (text, declare, _) in COMMANDS.items():
        declare(commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}."))


def run(args: argparse.Namespace) -> int:
    """Run the chosen command; its exit status is 0 done, 1 some items failed."""
    require_writable(Path(args.out))
    return COMMANDS[args.command][2](args)


# -- a synthesis against its reference --------------------------------------------------------------------------------


def _contours_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF.wav", help="the recording")
    parser.add_argument("synthesis", metavar="SYN.wav", help="the synthesis to compare with it")
    parser.add_argument(
        "--textgrid",
        nargs="*",
        metavar="FILE",
        help="phone times: TextGrids of the reference and of the synthesis, or of the reference alone; without a name, "
        "those that lie beside the wavs",
    )
    parser.add_argument("--text", metavar="TEXT", help="what is said, for --recogniser")
    _add_comparing(parser)
    shared.add_output(parser, out="out/evaluate/contours", resumable=False)


def _corpus_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "manifest",
        metavar="MANIFEST",
        help=".jsonl, .csv or .tsv with id, reference, synthesis, and optionally speaker, text, reference_textgrid and "
        "synthesis_textgrid; paths are relative to it",
    )
    parser.add_argument("--synthesis", metavar="FOLDER", help="folder of <id>.wav, for lines without synthesis")
    _add_comparing(parser)
    shared.add_output(parser, out="out/evaluate/corpus", resumable=True)


def _add_comparing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--align",
        choices=ALIGNMENTS,
        default="auto",
        help="none: frame by frame; phones: linear between phone edges, needs both TextGrids; dtw: dynamic time "
        "warping on the spectrum; auto: phones with two TextGrids, none for equal lengths, else dtw (default)",
    )
    shared.add_recognisers(parser, default=())
    shared.add_measuring(parser, vocoder=True)


def _contours(args: argparse.Namespace) -> int:
    grids: list[str | None] = list(args.textgrid or ())
    if args.textgrid == []:
        grids = [str(Path(path).with_suffix(".TextGrid")) for path in (args.reference, args.synthesis)]
    if len(grids) > 2:
        raise InputError(f"--textgrid: {len(grids)} files; expected one or two")
    reference_grid, synthesis_grid = (*grids, None, None)[:2]
    named = {"reference_textgrid": reference_grid, "synthesis_textgrid": synthesis_grid, "text": args.text}
    pair = FilePair(Path(args.synthesis).stem, args.reference, args.synthesis, **named)
    return _compare(args, [pair], shown=1)


def _corpus(args: argparse.Namespace) -> int:
    pairs, problems = read_manifest(args.manifest, synthesis=args.synthesis)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return _compare(args, pairs, shown=args.examples, problems=problems)


def _compare(args: argparse.Namespace, pairs: list[FilePair], *, shown: int, problems: Sequence[str] = ()) -> int:
    alone = args.command == "contours"
    measuring = shared.measuring_of(args)
    decides = {
        **shared.decided_by(measuring),
        "align": args.align,
        "vocoder": measuring.vocoder and shared.fingerprint(measuring.vocoder),
        "examples": shown,
        "pairs": [args.reference, args.synthesis, args.textgrid] if alone else args.manifest,
    }
    examples = [pair.id for pair in pairs[:shown]]
    setup = partial(FileMeasurer, measuring, align=args.align, shown=examples)
    with RunFolder(args.out, decides, restart=alone or args.restart) as folder:
        jobs = 1 if alone else shared.jobs_of(args, len(pairs))
        records = run_items(pairs, setup, FileMeasurer.compare, folder, jobs=jobs, name="files", quiet=alone)
    if not alone and args.kaldi:
        good = {record.id for record in records if record.error is None}
        for name in ("synthesis", "reference"):  # what is measured, and the ground truth
            listed = [(p.id, getattr(p, name), p.speaker, p.text) for p in pairs if p.id in good]
            if listed:
                shared.write_kaldi(Path(args.out) / "kaldi" / name, listed)
    figures, summary = set_figures(records)
    facts = {"what": f"{len(pairs)} pairs of files", **decides}
    page = {"title": "Synthesis against reference", "summary": summary}
    return shared.write_findings(args, [TABLES["files"]], records, facts, page, extra=figures, problems=problems)


# -- a blend against its styles ---------------------------------------------------------------------------------------


def _pair_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A.wav", help="rendered in style A")
    parser.add_argument("b", metavar="B.wav", help="rendered in style B, with the same durations and noise")
    parser.add_argument("blend", metavar="BLEND.wav", help="the blend, with the same durations and noise")
    share = parser.add_mutually_exclusive_group(required=True)
    share.add_argument(
        "--share",
        metavar="FILE",
        help="share of B that was asked for: .npy, or .npz with 'share', of shape (frames,) or (mel bins, frames)",
    )
    share.add_argument("--weight", type=float, metavar="W", help="the same share everywhere, 0 to 1")
    parser.add_argument("--textgrid", metavar="FILE", help="phone times, the same for all three; drawn in the report")
    shared.add_measuring(parser, vocoder=True)
    shared.add_output(parser, out="out/evaluate/pair", resumable=False)


def _pair(args: argparse.Namespace) -> int:
    measuring = shared.measuring_of(args)
    files = {"A": args.a, "B": args.b, "blend": args.blend}
    name, what = Path(args.blend).stem, ", ".join(f"{role} {path}" for role, path in files.items())
    rows, notes = FileMeasurer(measuring).blend(name, files, _share_of(args), args.textgrid)
    facts = {"what": what, **shared.decided_by(measuring), "vocoder": measuring.vocoder}
    records = [Record(name, rows, 0.0, notes=notes)]
    return shared.write_findings(args, [TABLES["blend"]], records, facts, {"title": "A blend against its styles"})


def _share_of(args: argparse.Namespace) -> NDArray[Any]:
    if args.share is None:
        if not 0 <= args.weight <= 1:
            raise InputError(f"--weight {args.weight:g}: expected a number from 0 to 1")
        frames = len(read_audio(args.blend, MEL.sample_rate_hz)) // MEL.hop_samples
        return np.full(frames, args.weight)
    try:
        found = np.load(args.share, allow_pickle=False)
        values = np.asarray(found if isinstance(found, np.ndarray) else found["share"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"--share {args.share}: cannot be read ({error}); expected .npy, or .npz with 'share'"
        ) from error
    # NaN is not inside.
    inside = np.issubdtype(values.dtype, np.number) and values.size and bool(((values >= 0) & (values <= 1)).all())
    if values.ndim not in (1, 2) or not inside:
        raise InputError(
            f"--share {args.share}: {values.dtype} of shape {values.shape}; expected (frames,) or (bins, frames), "
            "numbers in [0, 1]"
        )
    return values


# -- voices -----------------------------------------------------------------------------------------------------------


def _voice_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recordings", nargs="+", metavar="FILE", help="recordings of speech, one voice each")
    parser.add_argument(
        "--classifier",
        action="append",
        default=[],
        metavar="FOLDER",
        help="folder of an audio classifier of transformers with safetensors, such as one of gender or of age (extra "
        "voices); repeatable",
    )
    shared.add_speaker_encoder(parser)
    shared.add_output(parser, out="out/evaluate/voice", resumable=False)


def _voice(args: argparse.Namespace) -> int:
    folder = shared.folder_of(args.speaker_encoder, "a speaker encoder", default=shared.SPEAKER_ENCODER)
    encoder = None if folder is None else SpeakerEncoder.from_pretrained(folder)
    device = device_of(args.device)
    classifiers = {Path(path).name: load_classifier(path, device=device) for path in args.classifier}
    records = []
    for path in tqdm(args.recordings, desc="recordings", unit="file", disable=None, file=sys.stderr):
        row = {"table": "voice", "item": path, "kind": CONDITION, "condition": Path(path).name}
        try:
            samples = read_audio(path, MEL.sample_rate_hz)
            require_speech(samples, path)
            found, notes = describe_voice(samples.numpy(), MEL.sample_rate_hz, encoder=encoder, classifiers=classifiers)
            records.append(Record(path, [row | found], 0.0, notes=[f"{path}: {note}" for note in notes]))
        except InputError as error:
            records.append(Record(path, [], 0.0, error=str(error)))
    definition = voice_table([row for record in records for row in record.rows])
    used = ", ".join(f"{path} ({shared.fingerprint(path)})" for path in args.classifier)
    facts = {"speaker encoder": folder, "classifiers": used}
    return shared.write_findings(args, [definition], records, facts, {"title": "Voices"})


# -- a grid of blends -------------------------------------------------------------------------------------------------


def _interpolation_arguments(parser: argparse.ArgumentParser) -> None:
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
    shared.add_measuring(parser, vocoder=False)
    shared.add_recognisers(parser, default=(POCKETSPHINX,))
    shared.add_output(parser, out="out/evaluate/interpolation", resumable=True)


def _interpolation(args: argparse.Namespace) -> int:
    start = time.monotonic()
    checkpoint, measuring = str(checkpoint_of(args.checkpoint)), shared.measuring_of(args)
    sampling = {"steps": args.timesteps, "solver": args.solver, "temperature": args.temperature}
    sampling["mechanisms"] = () if args.no_noise or args.quick else (NOISE,)
    options = {
        "checkpoint": checkpoint,
        "sampling": sampling,
        "seed": args.seed,
        "textgrids": args.textgrids,
        "texts": tuple(line["text"] for line in read_lines(args.file)) if args.file else grid.SENTENCES,
    }
    renderer = grid.Renderer(measuring, **options)
    items = _items(args, renderer)
    jobs = shared.jobs_of(args, len(items))
    setup = (lambda: renderer) if jobs == 1 else partial(grid.Renderer, measuring, **options)
    with RunFolder(args.out, _decides(args, measuring, renderer, items), restart=args.restart) as folder:
        before = sum(folder.is_done(item.id) for item in items)
        threads = max(1, shared.cores() // jobs)
        records = run_items(items, setup, grid.measure_item, folder, jobs=jobs, threads=threads, name="conditions")
    if args.kaldi:
        _write_kaldi(Path(args.out), items)
    rows = [row for record in records for row in record.rows if "hidden" not in row]
    tables = {name: tabulate(TABLES[name], rows) for name in (*args.modes, grid.REFERENCE)}
    weak = grid.weak_sentences(tables)
    pairs = sorted({f"{item.a.name} and {item.b.name}" for item in items})
    used, busy = renderer.job.sampling, sum(record.cpu_seconds for record in records)
    steps = f"{used.solver}, {used.steps} steps, temperature {used.temperature:g}, seed {args.seed}"
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
    page = {"title": "Interpolation of speaking styles", "weak": weak, "pictures": grid.grid_pictures(rows)}
    definitions = [TABLES[name] for name in tables]
    return shared.write_findings(args, definitions, records, facts, page, extra={"weak": weak})


def _items(args: argparse.Namespace, renderer: grid.Renderer) -> list[grid.GridItem]:
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
    args: argparse.Namespace, measuring: MeasuringSettings, renderer: grid.Renderer, items: list[grid.GridItem]
) -> dict[str, Any]:
    """What decides the results: a run of anything else is refused."""
    checkpoint = checkpoint_of(args.checkpoint)
    vocoder = checkpoint / read_index(checkpoint)["vocoder"] if checkpoint.is_dir() else None  # it may lie elsewhere
    recordings = {choice.recording for item in items for choice in (item.a, item.b) if choice.recording}
    conditions = [[item.slug, item.mechanisms or (), item.weights] for item in items if item.mode and item.index == 0]
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
        "conditions": conditions,
    }


def _write_kaldi(out: Path, items: list[grid.GridItem]) -> None:
    """Kaldi's lists of the rendered wavs."""
    said = {item.utterance: item.text for item in items}
    listed = []
    for path in sorted((out / "wavs").glob("*/*.wav")):
        if (name := path.parent.name) in said:
            listed.append((f"{name}-{path.stem}", path, name, None if path.stem == grid.OTHER_SENTENCE else said[name]))
    shared.write_kaldi(out / "kaldi", listed)


# -- answers of listeners ---------------------------------------------------------------------------------------------


def _responses_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("answers", nargs="+", metavar="ANSWERS.csv", help="with columns share and response")
    text = "what stands in response where B was answered (default: B, and 1)"
    parser.add_argument("--second", default="B", metavar="NAME", help=text)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the bootstrap (default: 0)")
    parser.add_argument(
        "--out", default="out/evaluate/responses", metavar="FOLDER", help="where to write (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")


def _responses(args: argparse.Namespace) -> int:
    out = Path(args.out)
    answers = read_answers(args.answers, second=args.second)
    summary: dict[str, Any] = {"answers": len(answers), "shares": _by_share(answers), "failed": {}}
    if is_rating(answers):
        summary["correlation"] = correlation(answers.share, answers.response)
    else:
        fits = _fits(answers, args.seed, summary["failed"])
        summary["fits"] = fits
        _draw_responses(answers, fits[EVERYONE], out / "responses.png")
    write_json(out / "responses.json", summary)
    if args.json:
        print(json.dumps(summary, indent=1, ensure_ascii=False))
    else:
        _print_responses(summary)
        print(f"figures: {out / 'responses.json'}")
    return 1 if summary["failed"] else 0


def _by_share(answers: Answers) -> list[dict[str, Any]]:
    found = []
    for share in np.unique(answers.share):
        interval = mean_with_interval(answers.response[answers.share == share].tolist())
        found.append({"share": float(share), **interval})
    return found


def _fits(answers: Answers, seed: int, failed: dict[str, str]) -> dict[str, Fit]:
    """The fit of everyone and, of several participants, of each."""
    fits = {EVERYONE: fit_psychometric(answers, seed=seed)}
    names = np.unique(answers.participant).tolist()
    for name in names if len(names) > 1 else ():
        try:
            fits[name] = fit_psychometric(answers[answers.participant == name], seed=seed)
        except InputError as error:
            failed[name] = str(error)
    return fits


def _print_responses(summary: dict[str, Any]) -> None:
    if "fits" not in summary:
        rows = [["share", "mean rating [95 % interval]", "answers"]]
        for row in summary["shares"]:
            interval = f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
            rows.append([f"{row['share']:.3f}", interval, str(row["n"])])
        print(aligned(rows))
        if summary["correlation"] is not None:
            print(f"correlation of rating and share: {summary['correlation']:.3f}")
        return
    rows = [["participant", "PSE [95 % interval]", "slope [95 % interval]", "JND", "lapse", "answers"]]
    for name, fit in summary["fits"].items():
        pse = "{pse:.3f} [{pse_low:.3f}, {pse_high:.3f}]".format(**fit)
        slope = "{slope:.2f} [{slope_low:.2f}, {slope_high:.2f}]".format(**fit)
        rows.append([name, pse, slope, f"{fit['jnd']:.3f}", f"{fit['lapse']:.3f}", str(fit["n"])])
    print(aligned(rows))
    for name, problem in summary["failed"].items():
        print(f"{name}  not fitted: {problem}")


def _draw_responses(answers: Answers, fit: Fit, path: Path) -> None:
    """Answers of B at each share, and the function that was fitted to all."""
    figure = new_figure(6, 4)
    axes = figure.add_subplot()
    at = np.linspace(answers.share.min(), answers.share.max(), 400)
    axes.plot(at, probability(at, fit["pse"], fit["rate"], fit["lapse"]), color=BLUE)
    for row in _by_share(answers):
        reach = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
        axes.errorbar(row["share"], row["mean"], yerr=reach, fmt="o", color=VERMILION, capsize=2)
    axes.axvspan(fit["pse_low"], fit["pse_high"], color=BLUE, alpha=0.15, linewidth=0)
    axes.axvline(fit["pse"], color=BLUE, linewidth=0.8)
    found = "Point of subjective equality {pse:.3f}, slope {slope:.2f}".format(**fit)
    label_axes(axes, found, "Share of B", "Answers of B")
    save_figure(figure, path)


COMMANDS = {
    "contours": ("compare a synthesis with its reference", _contours_arguments, _contours),
    "pair": ("measure a blend against its styles A and B", _pair_arguments, _pair),
    "corpus": ("compare many pairs of a manifest", _corpus_arguments, _corpus),
    "voice": ("describe voices: pitch, vocal tract, gender and age", _voice_arguments, _voice),
    "responses": ("fit a psychometric function to listeners' answers", _responses_arguments, _responses),
    "interpolation": (
        "render a grid of blends with all baselines, and measure it",
        _interpolation_arguments,
        _interpolation,
    ),
}
