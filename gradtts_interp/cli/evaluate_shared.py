"""What all evaluations share: flags of output, files of results, and what is printed."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import gradtts_interp
from gradtts_interp.cli.job_flags import default_checkpoint
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.evaluation.intelligibility import POCKETSPHINX, require_recognisers
from gradtts_interp.evaluation.report import Report, failures_of, write_report
from gradtts_interp.evaluation.run import Record, plain, write_json
from gradtts_interp.evaluation.tables import Table, TableDefinition, number, tabulate, write_rows
from gradtts_interp.evaluation.trackers import TRACKERS
from gradtts_interp.pitch.contour import require_f0_range
from gradtts_interp.plots.data_uri import AUDIO_FORMATS

SPEAKER_ENCODER = "speaker-demo"


@dataclass(frozen=True)
class Finding:
    """What a run found, before it is written.

    Attributes:
        definitions: Tables to make of the rows.
        records: What became of each item.
        report: The page, without tables and failures.
        extra: Further values of ``summary.json``.
        problems: What is wrong with items that were never begun.
    """

    definitions: Sequence[TableDefinition]
    records: Sequence[Record]
    report: Report
    extra: dict[str, Any]
    problems: Sequence[str] = ()


def add_output(parser: argparse.ArgumentParser, *, out: str, resumable: bool = True) -> None:
    """Declare the flags of output.

    Args:
        parser: Where to add them.
        out: Default folder.
        resumable: Whether a stopped run can be resumed, so that ``--restart`` means something.
    """
    group = parser.add_argument_group("output and machine")
    group.add_argument("--out", default=out, metavar="FOLDER", help="where to write (default: %(default)s)")
    if resumable:
        help_text = "start again instead of resuming a stopped run"
        group.add_argument("--restart", action="store_true", help=help_text)
    group.add_argument("--json", action="store_true", help="print the summary as JSON instead of tables")
    group.add_argument(
        "--audio",
        choices=tuple(AUDIO_FORMATS),
        default="flac",
        help="sound in the report: flac, lossless, or ogg, a fifth of the size (default: %(default)s)",
    )
    group.add_argument("--no-report", action="store_true", help="write no HTML page")


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that say how to measure."""
    group = parser.add_argument_group("measuring")
    group.add_argument("--tracker", choices=tuple(TRACKERS), default="dio", help="F0 tracker (default: %(default)s)")
    group.add_argument("--floor", type=float, default=60.0, metavar="HZ", help="lowest F0 (default: %(default)g)")
    group.add_argument("--ceiling", type=float, default=500.0, metavar="HZ", help="highest F0 (default: %(default)g)")
    add_speaker_encoder(group)


def add_speaker_encoder(group: argparse._ActionsContainer) -> None:
    """Declare the flag that names the speaker encoder."""
    group.add_argument(
        "--speaker-encoder",
        metavar="FOLDER",
        help="encoder for the similarity of voices, or none (default: checkpts/speaker-demo where it is)",
    )


def listening_of(args: argparse.Namespace) -> dict[str, Any]:
    """Settings of the measures from the flags of :func:`add_measuring`; a wrong range fails before any file is read."""
    require_f0_range(args.floor, args.ceiling, MelConfig())
    return {"tracker": args.tracker, "floor_hz": args.floor, "ceiling_hz": args.ceiling}


def require_config(folder: str, what: str) -> str:
    """The folder, where it holds a ``config.json``; anything else is named before its files are read for a fingerprint.

    Args:
        folder: Of a model.
        what: The model, for the message.

    Returns:
        The folder.

    Raises:
        InputError: It holds no ``config.json``.
    """
    if not (Path(folder) / "config.json").is_file():
        raise InputError(f"{folder} holds no config.json; expected the folder of {what}, or none")
    return folder


def add_recognisers(parser: argparse.ArgumentParser, *, default: Sequence[str]) -> None:
    """Declare the flags that choose recognisers."""
    group = parser.add_argument_group("intelligibility")
    group.add_argument(
        "--recogniser",
        action="append",
        metavar="NAME",
        help="pocketsphinx (phone error rate, extra eval), or the folder of a transformers recogniser such as "
        f"Whisper (word and character error rate, extra voices); repeatable (default: {', '.join(default) or 'none'})",
    )
    group.add_argument("--no-recogniser", action="store_true", help="leave intelligibility out")
    group.add_argument(
        "--language", default="en", metavar="CODE", help="spoken, for recognisers of many languages (default: en)"
    )
    parser.set_defaults(default_recognisers=tuple(default))


def recognisers_of(args: argparse.Namespace) -> tuple[str, ...]:
    """Recognisers that the flags of :func:`add_recognisers` name.

    Args:
        args: The flags.

    Returns:
        Names and folders, each once.

    Raises:
        InputError: A flag contradicts another, or a recogniser is not there.
    """
    if args.no_recogniser and args.recogniser:
        raise InputError("--recogniser and --no-recogniser: expected one of them")
    names = () if args.no_recogniser else tuple(dict.fromkeys(args.recogniser or args.default_recognisers))
    require_recognisers(names)
    return names


def recogniser_facts(recognisers: Sequence[str]) -> list[str]:
    """Names of recognisers with their versions, and models with a fingerprint."""
    return [
        f"{name} {metadata.version(name)}"
        if name == POCKETSPHINX
        else f"{name} ({fingerprint(name)}, transformers {metadata.version('transformers')})"
        for name in recognisers
    ]


def speaker_encoder_of(args: argparse.Namespace) -> str | None:
    """Folder of the speaker encoder; the demo's where none is named."""
    if args.speaker_encoder == "none":
        return None
    if args.speaker_encoder is not None:
        return require_config(args.speaker_encoder, "a speaker encoder")
    try:
        folder = default_checkpoint().parent / SPEAKER_ENCODER
    except CheckpointError:
        return None
    return str(folder) if (folder / "config.json").is_file() else None


def count(text: str) -> int:
    """A number of things, as argparse reads it."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least 1")
    return int(text)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def command_line(args: argparse.Namespace) -> str:
    """How the run was started."""
    return getattr(args, "command_line", None) or shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def fingerprint(path: str | Path) -> str:
    """First digits of the SHA-256 of a file, or of all files of a folder with their names."""
    path = Path(path)
    digest = hashlib.sha256()
    try:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.suffix != ".md":
                digest.update(file.name.encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()[:12]


def machine() -> str:
    """Processor, cores and versions, in one line."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}, "
        f"gradtts-interp {getattr(gradtts_interp, '__version__', '0.1.0')}"
    )


def today() -> str:
    """Date and time of day, UTC."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def write_finding(finding: Finding, args: argparse.Namespace) -> int:
    """Write the results and say what they are.

    Args:
        finding: What was found.
        args: Flags of :func:`add_output`.

    Returns:
        Exit status: 0, or 1 when an item failed.

    Raises:
        InputError: No item could be measured, or nothing can be written.
    """
    out = Path(args.out)
    rows = [row for record in finding.records for row in record.rows if "hidden" not in row]
    failures = (*(("manifest", problem) for problem in finding.problems), *failures_of(finding.records))
    if not rows:
        raise InputError(f"nothing could be measured: {failures[0][1] if failures else 'there was no item'}")
    tables = [table for table in (tabulate(one, rows) for one in finding.definitions) if table.lines]
    files = write_rows(rows, out)
    files["summary"] = out / "summary.json"
    summary = {
        **finding.extra,
        "facts": dict(finding.report.facts),
        "measured": sum(record.error is None for record in finding.records),
        "failed": [{"item": name, "error": error} for name, error in failures],
        "notes": list(finding.report.notes),
        "tables": [table.to_dict() for table in tables],
    }
    write_json(files["summary"], summary)
    if not args.no_report:
        files["report"] = out / "report.html"
        page = replace(finding.report, tables=tuple(tables), failures=failures)
        write_report(page, files["report"], audio_format=args.audio)
    _say(args, plain(summary), tables, finding.report.notes, files)
    return 1 if failures else 0


def _say(
    args: argparse.Namespace,
    summary: dict[str, Any],
    tables: Sequence[Table],
    notes: Sequence[str],
    files: dict[str, Path],
) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if args.json:
        print(json.dumps({**summary, "files": {k: str(v) for k, v in files.items()}}, indent=1, ensure_ascii=False))
        return
    for table in tables:
        print(f"{table.definition.title}\n{text_of(table)}\n")
    print("\n".join(f"{kind}: {path}" for kind, path in files.items()))
    if summary["failed"]:
        print(f"measured: {summary['measured']}, failed: {len(summary['failed'])}", file=sys.stderr)


def text_of(table: Table) -> str:
    """A table for a terminal: a line for each measure, a column for each condition."""
    heads = ["", *(f"{line.name} (n {line.n})" for line in table.lines)]
    rows = [heads]
    for i, column in enumerate(table.definition.columns):
        cells = [line.cells[i] for line in table.lines]
        rows.append([column.heading, *("-" if cell is None else number(cell.mean) for cell in cells)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
