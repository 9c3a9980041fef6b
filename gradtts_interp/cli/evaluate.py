"""``gradtts-interp evaluate``: measure recordings and blends, and write a report.

Recordings that exist are measured here: ``contours``, ``pair``, ``corpus`` and ``voice``.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from gradtts_interp.audio import read_audio, require_speech
from gradtts_interp.cli import evaluate_grid, evaluate_responses
from gradtts_interp.cli import evaluate_shared as shared
from gradtts_interp.cli.flags import device_of, require_writable
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.comparison import MEL, FileMeasurer, set_figures
from gradtts_interp.evaluation.manifest import FilePair, read_manifest, write_kaldi
from gradtts_interp.evaluation.metric_rows import ALIGNMENTS
from gradtts_interp.evaluation.run import Record, RunFolder, run_items
from gradtts_interp.evaluation.speakers import SpeakerEncoder, describe_voice, load_classifier
from gradtts_interp.evaluation.tables import BLEND, CONDITION, FILES, TABLES, VOICE, voice_table

VOCODER = "hifigan-demo"


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
    _add_measuring(parser)


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    text = "vocoder of the anchor 'through the vocoder', or none (default: that of checkpts/demo where it is)"
    parser.add_argument("--vocoder", metavar="FOLDER", help=text)
    shared.add_measuring(parser)


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
    vocoder = shared.folder_of(args.vocoder, "a vocoder", default=VOCODER)
    measuring = shared.measuring_of(args)
    decides = {
        **shared.decided_by(measuring),
        "align": args.align,
        "vocoder": vocoder and shared.fingerprint(vocoder),
        "examples": shown,
        "pairs": [args.reference, args.synthesis, args.textgrid] if alone else args.manifest,
    }
    examples = [pair.id for pair in pairs[:shown]]
    setup = partial(FileMeasurer, measuring, vocoder=vocoder, align=args.align, shown=examples)
    with RunFolder(args.out, decides, restart=alone or args.restart) as folder:
        jobs = 1 if alone else shared.jobs_of(args, len(pairs))
        records = run_items(pairs, setup, FileMeasurer.compare, folder, jobs=jobs, name="files", quiet=alone)
    if not alone and args.kaldi:
        good = {record.id for record in records if record.error is None}
        for name in ("synthesis", "reference"):  # what is measured, and the ground truth
            listed = [(p.id, getattr(p, name), p.speaker, p.text) for p in pairs if p.id in good]
            if listed:
                write_kaldi(Path(args.out) / "kaldi" / name, listed)
    figures, summary = set_figures(records)
    facts = {"what": f"{len(pairs)} pairs of files", **decides}
    page = {"title": "Synthesis against reference", "summary": summary}
    return shared.write_findings(args, [TABLES[FILES]], records, facts, page, extra=figures, problems=problems)


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
    _add_measuring(parser)
    shared.add_output(parser, out="out/evaluate/pair", resumable=False)


def _pair(args: argparse.Namespace) -> int:
    vocoder = shared.folder_of(args.vocoder, "a vocoder", default=VOCODER)
    measuring = shared.measuring_of(args)
    files = {"A": args.a, "B": args.b, "blend": args.blend}
    name = Path(args.blend).stem
    rows, notes = FileMeasurer(measuring, vocoder=vocoder).blend(name, files, _share_of(args), args.textgrid)
    what = f"A {args.a}, B {args.b}, blend {args.blend}"
    facts = {"what": what, **shared.decided_by(measuring), "vocoder": vocoder}
    records = [Record(name, rows, 0.0, notes=notes)]
    return shared.write_findings(args, [TABLES[BLEND]], records, facts, {"title": "A blend against its styles"})


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
    number = np.issubdtype(values.dtype, np.number) and values.size
    inside = number and bool(((values >= 0) & (values <= 1)).all())  # which NaN is not
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
        row = {"table": VOICE, "item": path, "kind": CONDITION, "condition": Path(path).name}
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


COMMANDS = {
    "contours": ("compare a synthesis with its reference", _contours_arguments, _contours),
    "pair": ("measure a blend against its styles A and B", _pair_arguments, _pair),
    "corpus": ("compare many pairs of a manifest", _corpus_arguments, _corpus),
    "voice": ("describe voices: pitch, vocal tract, gender and age", _voice_arguments, _voice),
    "responses": (
        "fit a psychometric function to listeners' answers",
        evaluate_responses.add_arguments,
        evaluate_responses.run,
    ),
    "interpolation": (
        "render a grid of blends with all baselines, and measure it",
        evaluate_grid.add_arguments,
        evaluate_grid.run,
    ),
}
