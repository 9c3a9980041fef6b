"""``evaluate contours``, ``pair``, ``corpus`` and ``voice``: measure recordings that exist."""

from __future__ import annotations

import argparse
import sys
import time
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from gradtts_interp.audio import read_audio, require_speech
from gradtts_interp.cli import evaluate_shared as shared
from gradtts_interp.cli.job_flags import device_of, require_writable
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.comparison import MEL, FileMeasurer, FileSettings, set_figures
from gradtts_interp.evaluation.kaldi import KaldiUtterance, write_kaldi
from gradtts_interp.evaluation.manifest import FilePair, read_manifest
from gradtts_interp.evaluation.metric_rows import ALIGNMENTS
from gradtts_interp.evaluation.report import Report
from gradtts_interp.evaluation.run import Record, RunFolder, run_items
from gradtts_interp.evaluation.speakers import SpeakerEncoder
from gradtts_interp.evaluation.tables import BLEND, CONDITION, FILES, TABLES, VOICE, voice_table
from gradtts_interp.evaluation.voice import describe_voice
from gradtts_interp.evaluation.voice_models import TransformersClassifier

VOCODER = "hifigan-demo"


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """Declare the flags of one of the commands."""
    add = {
        "contours": _contours_arguments,
        "pair": _pair_arguments,
        "corpus": _corpus_arguments,
        "voice": _voice_arguments,
    }
    add[name](parser)
    if name in ("contours", "corpus"):
        parser.add_argument(
            "--align",
            choices=ALIGNMENTS,
            default="auto",
            help="none: frame by frame; phones: linear between phone edges, needs both TextGrids; dtw: dynamic time "
            "warping on the spectrum; auto: phones with two TextGrids, none for equal lengths, else dtw (default)",
        )
        shared.add_recognisers(parser, default=())
    if name != "voice":
        text = "vocoder of the anchor 'through the vocoder', or none (default: that of checkpts/demo where it is)"
        parser.add_argument("--vocoder", metavar="FOLDER", help=text)
        shared.add_measuring(parser)
    shared.add_output(parser, out=f"out/evaluate/{name}", resumable=name == "corpus")


def run(args: argparse.Namespace) -> int:
    """Run one of the commands; exit status 0, or 1 when a file failed."""
    require_writable(Path(args.out))
    return {"contours": _contours, "pair": _pair, "corpus": _corpus, "voice": _voice}[args.command](args)


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


def _corpus_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "manifest",
        metavar="MANIFEST",
        help=".jsonl, .csv or .tsv with id, reference, synthesis, and optionally speaker, text, reference_textgrid and "
        "synthesis_textgrid; paths are relative to it",
    )
    parser.add_argument("--synthesis", metavar="FOLDER", help="folder of <id>.wav, for lines without synthesis")


def _contours(args: argparse.Namespace) -> int:
    grids: list[str | None] = list(args.textgrid or ())
    if args.textgrid == []:
        grids = [str(Path(path).with_suffix(".TextGrid")) for path in (args.reference, args.synthesis)]
    if len(grids) > 2:
        raise InputError(f"--textgrid: {len(grids)} files; expected one or two")
    reference_grid, synthesis_grid = (*grids, None, None)[:2]
    pair = FilePair(
        id=Path(args.synthesis).stem,
        reference=args.reference,
        synthesis=args.synthesis,
        reference_textgrid=reference_grid,
        synthesis_textgrid=synthesis_grid,
        text=args.text,
    )
    return _compare(args, [pair], shown=1)


def _corpus(args: argparse.Namespace) -> int:
    pairs, problems = read_manifest(args.manifest, synthesis=args.synthesis)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return _compare(args, pairs, shown=args.examples, problems=problems)


def _compare(args: argparse.Namespace, pairs: list[FilePair], *, shown: int, problems: list[str] | None = None) -> int:
    alone = args.command == "contours"
    settings = FileSettings(
        vocoder=shared.folder_of(args.vocoder, "a vocoder", default=VOCODER),
        align=args.align,
        shown=tuple(pair.id for pair in pairs[:shown]),
        **shared.measuring_of(args),
    )
    decides = {
        **shared.decided_by(settings),
        "align": settings.align,
        "vocoder": settings.vocoder and shared.fingerprint(settings.vocoder),
        "examples": shown,
        "pairs": [args.reference, args.synthesis, args.textgrid] if alone else args.manifest,
    }
    with RunFolder(args.out, decides, restart=alone or args.restart) as folder:
        jobs = 1 if alone else shared.jobs_of(args, len(pairs))
        setup = partial(FileMeasurer, settings)
        records = run_items(pairs, setup, FileMeasurer.compare, folder, jobs=jobs, name="files", quiet=alone)
    if not alone and args.kaldi:
        good = {record.id for record in records if record.error is None}
        for name in ("synthesis", "reference"):  # what is measured, and the ground truth
            listed = [KaldiUtterance(p.id, getattr(p, name), p.speaker, p.text) for p in pairs if p.id in good]
            if listed:
                write_kaldi(Path(args.out) / "kaldi" / name, listed)
    figures, sentence = set_figures(records)
    report = Report("Synthesis against reference", summary=() if sentence is None else (sentence,))
    facts = {"what": f"{len(pairs)} pairs of files", **decides}
    return shared.write_findings(args, [TABLES[FILES]], records, report, facts, extra=figures, problems=problems or ())


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


def _pair(args: argparse.Namespace) -> int:
    vocoder = shared.folder_of(args.vocoder, "a vocoder", default=VOCODER)
    settings = FileSettings(vocoder=vocoder, align="none", **shared.measuring_of(args))
    files = {"A": args.a, "B": args.b, "blend": args.blend}
    name = Path(args.blend).stem
    rows, notes = FileMeasurer(settings).blend(name, files, _share_of(args), args.textgrid)
    what = f"A {args.a}, B {args.b}, blend {args.blend}"
    facts = {"what": what, **shared.decided_by(settings), "vocoder": settings.vocoder}
    records = [Record(name, rows, 0.0, notes=notes)]
    return shared.write_findings(args, [TABLES[BLEND]], records, Report("A blend against its styles"), facts)


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
        told = f" from {values.min():g} to {values.max():g}" if number else ""
        raise InputError(
            f"--share {args.share}: {values.dtype} of shape {values.shape}{told}; expected (frames,) or "
            "(bins, frames), numbers in [0, 1]"
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


def _voice(args: argparse.Namespace) -> int:
    folder = shared.folder_of(args.speaker_encoder, "a speaker encoder", default=shared.SPEAKER_ENCODER)
    encoder = None if folder is None else SpeakerEncoder.from_pretrained(folder)
    device = device_of(args.device)
    classifiers = {Path(path).name: TransformersClassifier(path, device=device) for path in args.classifier}
    records = []
    for path in tqdm(args.recordings, desc="recordings", unit="file", disable=None, file=sys.stderr):
        start = time.perf_counter()
        row = {"table": VOICE, "item": path, "kind": CONDITION, "condition": Path(path).name}
        record = Record(path, [], 0.0)
        try:
            samples = read_audio(path, MEL.sample_rate_hz)
            require_speech(samples, path)
            found, notes = describe_voice(samples.numpy(), MEL.sample_rate_hz, encoder=encoder, classifiers=classifiers)
            record = replace(record, rows=[row | found], notes=[f"{path}: {note}" for note in notes])
        except InputError as error:
            record = replace(record, error=str(error))
        records.append(replace(record, seconds=time.perf_counter() - start))
    definition = voice_table([row for record in records for row in record.rows])
    used = ", ".join(f"{path} ({shared.fingerprint(path)})" for path in args.classifier)
    facts = {"speaker encoder": folder, "classifiers": used}
    return shared.write_findings(args, [definition], records, Report("Voices"), facts)
