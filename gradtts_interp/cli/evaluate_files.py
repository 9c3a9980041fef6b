"""``evaluate contours``, ``pair``, ``corpus`` and ``voice``: measure recordings that exist."""

from __future__ import annotations

import argparse
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from gradtts_interp.audio import read_audio, require_speech
from gradtts_interp.cli.evaluate_shared import (
    Finding,
    add_measuring,
    add_output,
    add_recognisers,
    add_speaker_encoder,
    command_line,
    cores,
    count,
    fingerprint,
    listening_of,
    machine,
    recogniser_facts,
    recognisers_of,
    require_config,
    speaker_encoder_of,
    today,
    write_finding,
)
from gradtts_interp.cli.job_flags import default_checkpoint, device_of, require_writable
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.evaluation.comparison import (
    MEL,
    FileSettings,
    compare_files,
    keep_excerpts,
    measure_blend,
    named_phones,
    phones_of,
)
from gradtts_interp.evaluation.file_report import blend_example, file_examples, set_figures, set_sentence
from gradtts_interp.evaluation.kaldi import KaldiUtterance, write_kaldi
from gradtts_interp.evaluation.manifest import FilePair, read_manifest
from gradtts_interp.evaluation.metric_rows import ALIGNMENTS
from gradtts_interp.evaluation.report import Report
from gradtts_interp.evaluation.run import Record, RunFolder, Work, run_items
from gradtts_interp.evaluation.signal import encoder_of
from gradtts_interp.evaluation.table_definitions import BLEND_TABLE, FILES_TABLE, voice_table
from gradtts_interp.evaluation.tables import CONDITION
from gradtts_interp.evaluation.voice import describe_voice
from gradtts_interp.evaluation.voice_models import TransformersClassifier


def add_arguments(name: str, parser: argparse.ArgumentParser) -> None:
    """Declare the flags of one of the commands."""
    if name == "voice":
        _voice_arguments(parser)
        return
    {"contours": _contours_arguments, "pair": _pair_arguments, "corpus": _corpus_arguments}[name](parser)
    parser.add_argument(
        "--vocoder",
        metavar="FOLDER",
        help="vocoder of the anchor 'through the vocoder', or none (default: that of checkpts/demo where it is)",
    )
    add_measuring(parser)
    add_output(parser, out=f"out/evaluate/{name}", resumable=name == "corpus")


def run(args: argparse.Namespace) -> int:
    """Run one of the commands; exit status 0, or 1 when a file failed."""
    require_writable(Path(args.out))
    return {"contours": _contours, "pair": _pair, "corpus": _corpus, "voice": _voice}[args.command](args)


# -- contours -------------------------------------------------------------------------------------------------------


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


def _add_comparing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--align",
        choices=ALIGNMENTS,
        default="auto",
        help="none: frame by frame; phones: linear between phone edges, needs "
        "both TextGrids; dtw: dynamic time warping "
        "on the spectrum; auto: phones with two TextGrids, none for equal lengths, else dtw (default: %(default)s)",
    )
    add_recognisers(parser, default=())
    parser.add_argument("--device", default="cpu", help="of --recogniser: auto, cpu, cuda, cuda:1, mps (default: cpu)")


def _contours(args: argparse.Namespace) -> int:
    grids = _textgrids(args)
    pair = FilePair(
        id=f"{Path(args.synthesis).stem}",
        reference=args.reference,
        synthesis=args.synthesis,
        reference_textgrid=grids[0],
        synthesis_textgrid=grids[1],
        text=args.text,
    )
    return _compare(args, [pair], [], jobs=1)


def _textgrids(args: argparse.Namespace) -> tuple[str | None, str | None]:
    if args.textgrid is None:
        return None, None
    if len(args.textgrid) > 2:
        raise InputError(f"--textgrid: {len(args.textgrid)} files; expected one or two")
    if args.textgrid:
        return args.textgrid[0], args.textgrid[1] if len(args.textgrid) == 2 else None
    beside = [Path(path).with_suffix(".TextGrid") for path in (args.reference, args.synthesis)]
    return str(beside[0]), str(beside[1])


# -- corpus ---------------------------------------------------------------------------------------------------------


def _corpus_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "manifest",
        metavar="MANIFEST",
        help=".jsonl, .csv or .tsv with id, reference, synthesis, and optionally speaker, text, reference_textgrid and "
        "synthesis_textgrid; paths are relative to it",
    )
    parser.add_argument("--synthesis", metavar="FOLDER", help="folder of <id>.wav, for lines without synthesis")
    _add_comparing(parser)
    parser.add_argument("-j", "--jobs", type=count, metavar="N", help="processes (default: one per core)")
    parser.add_argument("--examples", type=int, default=3, metavar="N", help="pairs shown (default: 3)")
    parser.add_argument(
        "--kaldi", action="store_true", help="also write wav.scp, text and utt2spk, as VERSA reads them"
    )


def _corpus(args: argparse.Namespace) -> int:
    pairs, problems = read_manifest(args.manifest, synthesis=args.synthesis)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return _compare(args, pairs, problems, jobs=min(args.jobs or cores(), len(pairs)), shown=args.examples)


def _compare(args: argparse.Namespace, pairs: list[FilePair], problems: list[str], *, jobs: int, shown: int = 1) -> int:
    settings = _settings(args, tuple(pair.id for pair in pairs[:shown]))
    decides = {
        "measuring": settings.listener,
        "align": settings.align,
        "speaker encoder": settings.encoder and fingerprint(settings.encoder),
        "vocoder": settings.vocoder and fingerprint(settings.vocoder),
        "recognisers": recogniser_facts(settings.recognisers),
        "language": settings.language,
        "examples": shown,
        "pairs": args.manifest if args.command == "corpus" else [args.reference, args.synthesis, args.textgrid],
    }
    with RunFolder(args.out, decides, restart=args.command == "contours" or args.restart) as folder:
        work, alone = Work(settings.open, compare_files), args.command == "contours"
        records = run_items(pairs, work, folder, jobs=jobs, name="files", quiet=alone)
    examples = () if args.no_report else file_examples(pairs[:shown], Path(args.out), MEL)
    if getattr(args, "kaldi", False):
        _export(args, pairs, records)
    figures = set_figures(records)
    report = Report(
        title="Synthesis against reference",
        summary=set_sentence(figures),
        facts=_facts(args, settings, f"{len(pairs)} pairs of files"),
        examples=examples,
        notes=_notes(records),
    )
    extra = {"command": command_line(args), **figures}
    return write_finding(Finding((FILES_TABLE,), records, report, extra, problems), args)


def _export(args: argparse.Namespace, pairs: list[FilePair], records: list[Record]) -> None:
    """Kaldi's lists of what was measured: the syntheses, and the references as ground truth."""
    good = {record.id for record in records if record.error is None}
    for name in ("synthesis", "reference"):
        listed = [KaldiUtterance(p.id, getattr(p, name), p.speaker, p.text) for p in pairs if p.id in good]
        if listed:
            write_kaldi(Path(args.out) / "kaldi" / name, listed)


# -- pair -----------------------------------------------------------------------------------------------------------


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
    settings = _settings(args, ())
    context = settings.open()
    files = {"A": args.a, "B": args.b, "blend": args.blend}
    share = _share_of(args)
    name = Path(args.blend).stem
    rows, signals, notes = measure_blend(context, files, share, name=name)
    phones = phones_of(args.textgrid, notes, of=signals["blend"])
    keep_excerpts(context, name, {role: (signal, phones) for role, signal in signals.items()})
    record = Record(name, [row for table in rows.values() for row in table], 0.0, notes=notes)
    example = () if args.no_report else (blend_example(signals, share, MEL, named_phones(phones)),)
    report = Report(
        title="A blend against its styles",
        facts=_facts(args, settings, f"A {args.a}, B {args.b}, blend {args.blend}"),
        examples=example,
        notes=tuple(dict.fromkeys(notes)),
    )
    finding = Finding((BLEND_TABLE, FILES_TABLE), [record], report, {"command": command_line(args)})
    return write_finding(finding, args)


def _share_of(args: argparse.Namespace) -> NDArray[Any]:
    if args.share is None:
        if not 0 <= args.weight <= 1:
            raise InputError(f"--weight {args.weight:g}: expected a number from 0 to 1")
        frames = len(read_audio(args.blend, MEL.sample_rate_hz)) // MEL.hop_samples
        return np.full(frames, args.weight)
    try:
        found = np.load(args.share, allow_pickle=False)
        values = found if isinstance(found, np.ndarray) else found["share" if "share" in found.files else "weight"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"--share {args.share}: cannot be read ({error}); expected .npy, or .npz with 'share'"
        ) from error
    values = np.asarray(values)
    usable = values.ndim in (1, 2) and np.issubdtype(values.dtype, np.number) and bool(np.isfinite(values).all())
    if not usable or not values.size or values.min() < 0 or values.max() > 1:
        found = f"{values.dtype} of shape {values.shape}"
        if np.issubdtype(values.dtype, np.number) and values.size:
            found += f" from {values.min():g} to {values.max():g}"  # a NaN anywhere shows as nan
        raise InputError(f"--share {args.share}: {found}; expected (frames,) or (bins, frames), numbers in [0, 1]")
    return values


# -- voice ----------------------------------------------------------------------------------------------------------


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
    add_speaker_encoder(parser)
    parser.add_argument("--device", default="cpu", help="of --classifier: auto, cpu, cuda, cuda:1, mps (default: cpu)")
    add_output(parser, out="out/evaluate/voice", resumable=False)


def _voice(args: argparse.Namespace) -> int:
    folder = speaker_encoder_of(args)
    encoder = encoder_of(folder)
    device = device_of(args.device)
    classifiers = {Path(path).name: TransformersClassifier(path, device=device) for path in args.classifier}
    records = []
    for path in tqdm(args.recordings, desc="recordings", unit="file", disable=None, file=sys.stderr):
        start = time.perf_counter()
        try:
            samples = read_audio(path, MEL.sample_rate_hz)
            require_speech(samples, path)
            audio = samples.numpy()
            found, notes = describe_voice(audio, MEL.sample_rate_hz, encoder=encoder, classifiers=classifiers)
        except InputError as error:
            records.append(Record(path, [], time.perf_counter() - start, error=str(error)))
            continue
        row = {"table": "voice", "item": path, "kind": CONDITION, "condition": Path(path).name, **found}
        seconds = time.perf_counter() - start
        records.append(Record(path, [row], seconds, notes=[f"{path}: {note}" for note in notes]))
    report = Report(
        title="Voices",
        facts=(
            ("date", today()),
            ("command", command_line(args)),
            ("speaker encoder", folder or "none"),
            ("classifiers", ", ".join(f"{path} ({fingerprint(path)})" for path in args.classifier) or "none"),
            ("machine", machine()),
        ),
        notes=_notes(records),
    )
    definition = voice_table([row for record in records for row in record.rows])
    return write_finding(Finding((definition,), records, report, {"command": command_line(args)}), args)


# -- all of them ------------------------------------------------------------------------------------------------------


def _settings(args: argparse.Namespace, shown: tuple[str, ...]) -> FileSettings:
    return FileSettings(
        listener=listening_of(args),
        encoder=speaker_encoder_of(args),
        vocoder=_vocoder_folder(args),
        align=getattr(args, "align", "none"),
        out=args.out,
        shown=shown,
        **_recognising(args),
    )


def _recognising(args: argparse.Namespace) -> dict[str, Any]:
    """Settings of recognisers; ``pair`` has none, since its files have no text."""
    if "recogniser" not in args:
        return {}
    return {"recognisers": recognisers_of(args), "language": args.language, "device": str(device_of(args.device))}


def _vocoder_folder(args: argparse.Namespace) -> str | None:
    if args.vocoder == "none":
        return None
    if args.vocoder is not None:
        return require_config(args.vocoder, "a vocoder")
    try:
        folder = default_checkpoint().parent / "hifigan-demo"
    except CheckpointError:
        return None
    return str(folder) if folder.is_dir() else None


def _facts(args: argparse.Namespace, settings: FileSettings, what: str) -> tuple[tuple[str, str], ...]:
    return (
        ("date", today()),
        ("command", command_line(args)),
        ("what", what),
        ("measuring", f"F0 by {args.tracker}, {args.floor:g} to {args.ceiling:g} Hz; alignment {settings.align}"),
        ("vocoder", settings.vocoder or "none"),
        ("speaker encoder", settings.encoder or "none"),
        ("recognisers", ", ".join(recogniser_facts(settings.recognisers)) or "none"),
        ("machine", machine()),
    )


def _notes(records: list[Record]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for record in records for note in record.notes))
