"""What all evaluations share: their flags, their settings, files of results, what is printed, and lists for Kaldi."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import shlex
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from gradtts_interp.checkpoints import checkpoint_of
from gradtts_interp.cli.flags import aligned, count, device_of
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.evaluation.intelligibility import POCKETSPHINX, require_recognisers
from gradtts_interp.evaluation.report import shown_in, write_report
from gradtts_interp.evaluation.run import Record, plain
from gradtts_interp.evaluation.signal import TRACKERS, MeasuringSettings
from gradtts_interp.evaluation.tables import Table, number, tabulate, write_rows
from gradtts_interp.files import write_json, write_text
from gradtts_interp.pitch.contour import require_f0_range

SPEAKER_ENCODER, VOCODER = "speaker-demo", "hifigan-demo"
KaldiLine = tuple[str, "str | Path", "str | None", "str | None"]
"""Id without spaces, audio, speaker (the id itself where None, as Kaldi does), and text (None where unknown)."""


def add_output(parser: argparse.ArgumentParser, *, out: str, resumable: bool) -> None:
    """Declare the flags of output.

    Args:
        parser: Where to add them.
        out: Default folder.
        resumable: Whether a stopped run can be resumed, so that ``--restart`` means something.
    """
    group = parser.add_argument_group("output and machine")
    group.add_argument("--out", default=out, metavar="FOLDER", help="where to write (default: %(default)s)")
    group.add_argument("--json", action="store_true", help="print the summary as JSON instead of tables")
    group.add_argument("--no-report", action="store_true", help="write no HTML page")
    group.add_argument("--device", default="auto", help="of models: auto, cpu, cuda, cuda:1, mps (default: auto)")
    if resumable:
        group.add_argument("--restart", action="store_true", help="start again instead of resuming a stopped run")
        group.add_argument(
            "-j", "--jobs", type=count, metavar="N", help="processes (default: one per core, 1 on a GPU)"
        )
        group.add_argument("--examples", type=int, default=2, metavar="N", help="items shown (default: %(default)s)")
        group.add_argument(
            "--kaldi", action="store_true", help="also write wav.scp, text and utt2spk, as VERSA reads them"
        )


def add_measuring(parser: argparse.ArgumentParser, *, vocoder: bool) -> None:
    """Declare the flags that say how to measure; of files, also that of the vocoder of the anchors."""
    if vocoder:
        text = "vocoder of the anchor 'through the vocoder', or none (default: that of checkpts/demo where it is)"
        parser.add_argument("--vocoder", metavar="FOLDER", help=text)
    group = parser.add_argument_group("measuring")
    group.add_argument("--tracker", choices=tuple(TRACKERS), default="dio", help="F0 tracker (default: %(default)s)")
    group.add_argument("--floor", type=float, default=60.0, metavar="HZ", help="lowest F0 (default: %(default)g)")
    group.add_argument("--ceiling", type=float, default=500.0, metavar="HZ", help="highest F0 (default: %(default)g)")
    add_speaker_encoder(group)


def add_speaker_encoder(group: argparse._ActionsContainer) -> None:
    """Declare the flag that names the speaker encoder."""
    text = "encoder for the similarity of voices, or none (default: checkpts/speaker-demo where it is)"
    group.add_argument("--speaker-encoder", metavar="FOLDER", help=text)


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


def measuring_of(args: argparse.Namespace) -> MeasuringSettings:
    """How to measure, from the flags.

    Args:
        args: Flags of :func:`add_output`, :func:`add_measuring` and, where there are texts, :func:`add_recognisers`.

    Returns:
        The settings.

    Raises:
        InputError: A range, recogniser or encoder cannot be used; before any file is read.
    """
    vocoder = folder_of(args.vocoder, "a vocoder", default=VOCODER) if "vocoder" in args else None
    require_f0_range(args.floor, args.ceiling, MelConfig())
    names: tuple[str, ...] = ()
    if "recogniser" in args:
        if args.no_recogniser and args.recogniser:
            raise InputError("--recogniser and --no-recogniser: expected one of them")
        names = () if args.no_recogniser else tuple(dict.fromkeys(args.recogniser or args.default_recognisers))
        require_recognisers(names)
    return MeasuringSettings(
        out=args.out,
        tracking={"tracker": args.tracker, "floor_hz": args.floor, "ceiling_hz": args.ceiling},
        encoder=folder_of(args.speaker_encoder, "a speaker encoder", default=SPEAKER_ENCODER),
        vocoder=vocoder,
        recognisers=names,
        language=getattr(args, "language", "en"),
        device=str(device_of(args.device)),
    )


def folder_of(named: str | None, what: str, *, default: str) -> str | None:
    """The folder of a model: the one named, else that of the demo where it is.

    Args:
        named: As given; ``none`` for no model.
        what: The model, for the message.
        default: Name of the demo's folder, beside the demo checkpoint.

    Returns:
        The folder, None for none.

    Raises:
        InputError: The one named holds no ``config.json``.
    """
    if named == "none":
        return None
    if named is None:
        try:
            folder = checkpoint_of().parent / default
        except CheckpointError:
            return None
        return str(folder) if (folder / "config.json").is_file() else None
    if not (Path(named) / "config.json").is_file():
        raise InputError(f"{named} holds no config.json; expected the folder of {what}, or none")
    return named


def decided_by(settings: MeasuringSettings) -> dict[str, Any]:
    """What of the settings decides the figures; it stands in the report, and a run of anything else is refused."""
    recognisers = [
        f"{name} {metadata.version(name)}"
        if name == POCKETSPHINX
        else f"{name} ({fingerprint(name)}, transformers {metadata.version('transformers')})"
        for name in settings.recognisers
    ]
    return {
        "measuring": "F0 by {tracker}, {floor_hz:g} to {ceiling_hz:g} Hz".format(**settings.tracking),
        "speaker encoder": settings.encoder and fingerprint(settings.encoder),
        "recognisers": ", ".join(recognisers),
        "language": settings.language,
    }


def jobs_of(args: argparse.Namespace, items: int) -> int:
    """Number of processes: as asked for, else one per core, or one on a GPU; no more than there are items."""
    usual = cores() if device_of(args.device).type == "cpu" else 1
    return min(args.jobs or usual, items)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def write_findings(
    args: argparse.Namespace,
    definitions: Sequence[Table],
    records: Sequence[Record],
    facts: Mapping[str, Any],
    page: Mapping[str, Any],
    *,
    extra: Mapping[str, Any] | None = None,
    problems: Sequence[str] = (),
) -> int:
    """Write the results and say what they are.

    Args:
        args: Flags of :func:`add_output`.
        definitions: Tables to make of the rows.
        records: What became of each item.
        facts: What is said of the run, beside date, command and machine.
        page: What the page has of its own, as of :func:`~gradtts_interp.evaluation.report.write_report`: title,
            summary, pictures.
        extra: Further values of ``summary.json``.
        problems: What is wrong with items that were never begun.

    Returns:
        Exit status: 0, or 1 when an item failed.

    Raises:
        InputError: No item could be measured, or nothing can be written.
    """
    out = Path(args.out)
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    versions = f"torch {torch.__version__}, gradtts-interp {metadata.version('gradtts-interp')}"
    told = {name: str(value or "none") for name, value in facts.items()}
    told = {"date": now, "command": command, **told, "machine": f"{machine}, {versions}"}
    rows = [row for record in records for row in record.rows if "hidden" not in row]
    failures = [("manifest", problem) for problem in problems]
    failures += [(record.id, record.error) for record in records if record.error is not None]
    if not rows:
        raise InputError(f"nothing could be measured: {failures[0][1] if failures else 'there was no item'}")
    notes = list(dict.fromkeys(note for record in records for note in record.notes))
    tables = [table for table in (tabulate(one, rows) for one in definitions) if table["lines"]]
    files = write_rows(rows, out)
    summary: dict[str, Any] = {
        "command": command,
        **(extra or {}),
        "facts": told,
        "measured": sum(record.error is None for record in records),
        "failed": [{"item": name, "error": error} for name, error in failures],
        "notes": notes,
        "tables": [_without_definitions(table) for table in tables],
    }
    files["summary"] = out / "summary.json"
    write_json(files["summary"], plain(summary))
    if not args.no_report:
        measured = {"facts": told, "tables": tables, "failures": failures, "notes": notes}
        shown = {**page, **measured, "examples": shown_in(records)}
        files["report"] = write_report(out / "report.html", **shown)
    _print_findings(summary, tables, files, as_json=args.json)
    return 1 if failures else 0


def _without_definitions(table: Table) -> Table:
    """A table as ``summary.json`` holds it: what its columns mean stands in the report."""
    return {**table, "columns": [{name: c[name] for name in ("key", "heading", "wanted")} for c in table["columns"]]}


def _print_findings(
    summary: dict[str, Any], tables: Sequence[Table], files: Mapping[str, Path], *, as_json: bool
) -> None:
    for note in summary["notes"]:
        print(f"note: {note}", file=sys.stderr)
    if as_json:
        listed = {"files": {kind: str(path) for kind, path in files.items()}}
        print(json.dumps(plain(summary) | listed, indent=1, ensure_ascii=False))
        return
    for table in tables:
        print(f"{table['title']}\n{_text_of(table)}\n")
    print("\n".join(f"{kind}: {path}" for kind, path in files.items()))
    if summary["failed"]:
        print(f"measured: {summary['measured']}, failed: {len(summary['failed'])}", file=sys.stderr)


def _text_of(table: Table) -> str:
    """A table for a terminal: a line for each measure, a column for each condition."""
    rows = [["", *(f"{line['name']} (n {line['n']})" for line in table["lines"])]]
    for column in table["columns"]:
        cells = [line["cells"][column["key"]] for line in table["lines"]]
        rows.append([column["heading"], *("-" if cell is None else number(cell["mean"]) for cell in cells)])
    return aligned(rows)


# -- Kaldi -------------------------------------------------------------------------------------------------------------


def write_kaldi(folder: str | Path, utterances: Sequence[KaldiLine]) -> tuple[Path, ...]:
    """Write the lists of a Kaldi folder, sorted by bytes as Kaldi wants; each file appears whole or not at all.

    ``text`` has the utterances whose words are known, and is left out when none is. VERSA scores the result with
    ``--pred wav.scp --text text``, or two folders with the same ids against each other with ``--gt`` as well.

    Args:
        folder: Where to write; made if missing.
        utterances: At least one. Paths are written absolute.

    Returns:
        The files written.

    Raises:
        InputError: There is none, an id repeats or has spaces, an audio file is missing, or its path would be read as
            a command.
    """
    folder = Path(folder)
    if not utterances:
        raise InputError(f"{folder}: no utterance to list; expected at least one")
    _require_listable(utterances)
    # Python orders texts by code points, which is their order by bytes of UTF-8, as LC_ALL=C sort gives it. A speaker
    # who is not known is the utterance itself.
    ordered = sorted((name, str(Path(wav).resolve()), who or name, text or "") for name, wav, who, text in utterances)
    speakers: dict[str, list[str]] = defaultdict(list)
    for name, _, speaker, _ in ordered:
        speakers[speaker].append(name)
    lists = {
        "wav.scp": [f"{name} {wav}" for name, wav, _, _ in ordered],
        "utt2spk": [f"{name} {speaker}" for name, _, speaker, _ in ordered],
        "spk2utt": [f"{speaker} {' '.join(names)}" for speaker, names in sorted(speakers.items())],
    }
    words = [f"{name} {' '.join(text.split())}" for name, _, _, text in ordered if text.strip()]
    if words:
        lists["text"] = words
    for name, lines in lists.items():
        write_text(folder / name, "\n".join(lines) + "\n")
    return tuple(folder / name for name in lists)


def _require_listable(utterances: Sequence[KaldiLine]) -> None:
    seen: set[str] = set()
    for name, wav, speaker, _ in utterances:
        for what, word in (("id", name), ("speaker", speaker)):
            if word is not None and (not word or word.split() != [word]):
                raise InputError(f"{what} {word!r}: expected a name without spaces")
        if name in seen:
            raise InputError(f"id {name!r} is given twice; expected unique ids")
        seen.add(name)
        path = Path(wav).resolve()
        if not path.is_file():
            raise InputError(f"{wav}: no such audio file, of utterance {name!r}")
        if str(path).endswith("|") or "\n" in str(path):
            raise InputError(f"{path}: Kaldi would read this name as a command; rename the file")
