"""Lists of recordings: pairs to compare, as JSON lines, CSV or TSV; and folders as Kaldi and VERSA read them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.tables import LARGEST_FILE_BYTES, read_csv
from gradtts_interp.files import read_text, write_text

FIELDS = ("id", "reference", "synthesis", "speaker", "text", "reference_textgrid", "synthesis_textgrid")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
MOST_LOOKED_AT = 1000
"""Pairs after one, among which another recording of its speaker is looked for."""
KaldiLine = tuple[str, "str | Path", "str | None", "str | None"]
"""Id without spaces, audio, speaker (the id itself where None, as Kaldi does), and text (None where unknown)."""


@dataclass(frozen=True)
class FilePair:
    """A recording and the synthesis to compare with it.

    Attributes:
        id: Name, unique in its list.
        reference: Path of the recording.
        synthesis: Path of what is compared with it.
        speaker: Who speaks, None where unknown.
        text: What is said, None where unknown.
        reference_textgrid: Phone times of the reference, None for none.
        synthesis_textgrid: Phone times of the synthesis.
        same_speaker: Path of another recording of the speaker: the ceiling.
        other_speaker: Path of a recording of someone else: the range.
    """

    id: str
    reference: str
    synthesis: str
    speaker: str | None = None
    text: str | None = None
    reference_textgrid: str | None = None
    synthesis_textgrid: str | None = None
    same_speaker: str | None = None
    other_speaker: str | None = None


def read_manifest(path: str | Path, *, synthesis: str | Path | None = None) -> tuple[list[FilePair], list[str]]:
    """Read a list of pairs; bad lines are reported and left out.

    Paths are relative to the manifest. Without ``reference`` a line means ``wavs/<id>.wav`` beside the manifest, as in
    the demo corpus; without ``synthesis`` it means ``<id>.wav`` (or .flac) in the folder given.

    Args:
        path: ``.jsonl``, ``.csv`` or ``.tsv`` with the fields of :data:`FIELDS`; others are passed over.
        synthesis: Folder of the syntheses, for lines that name none.

    Returns:
        The pairs, and what is wrong with the other lines.

    Raises:
        InputError: The file cannot be read, or no line is a pair.
    """
    path = Path(path)
    found: dict[str, FilePair] = {}
    problems = []
    for number, line in _lines(path):
        try:
            pair = _pair(line, path.parent, None if synthesis is None else Path(synthesis))
            if pair.id in found:
                raise InputError(f"id {pair.id!r} stands in an earlier line too")
            found[pair.id] = pair
        except InputError as error:
            problems.append(f"{path}, line {number}: {error}")
    if not found:
        reason = problems[0] if problems else f"{path} holds no line"
        raise InputError(f"no pair to compare: {reason}")
    return _with_others(list(found.values())), problems


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Number and fields of each line; the error of a line that is not JSON stands in its place."""
    expected = "a manifest of pairs"
    if path.suffix == ".jsonl":
        rows = read_text(path, expected=expected, largest_bytes=LARGEST_FILE_BYTES).split("\n")
        yield from ((number, row) for number, row in enumerate(rows, 1) if row.strip())
    elif path.suffix in DELIMITERS:
        for number, fields in read_csv(path, expected=expected, delimiter=DELIMITERS[path.suffix]):
            yield number, {name: value for name, value in fields.items() if name and value}
    else:
        raise InputError(f"{path}: expected a manifest .jsonl, .csv or .tsv")


def _pair(line: Any, home: Path, synthesis: Path | None) -> FilePair:
    if isinstance(line, str):
        try:
            line = json.loads(line)
        except ValueError as error:
            raise InputError(f"no JSON ({error})") from error
    if not isinstance(line, dict):
        raise InputError(f"a {type(line).__name__}; expected an object with {', '.join(FIELDS[:3])}")
    given = {name: str(line[name]) for name in FIELDS if line.get(name) is not None}
    if "id" not in given and "reference" not in given:
        raise InputError("neither id nor reference; expected at least one")
    name = given.get("id") or Path(given["reference"]).stem
    if not all(value.isprintable() for value in (name, *(v for k, v in given.items() if k != "text"))):
        raise InputError(f"line of id {name!r} holds characters that cannot be printed; expected names and paths")
    reference = given.get("reference") or f"wavs/{name}.wav"
    if "synthesis" in given:
        made = home / given["synthesis"]
    elif synthesis is None:
        raise InputError("no synthesis; expected the field, or --synthesis FOLDER")
    else:
        files = [synthesis / f"{name}{suffix}" for suffix in (".wav", ".flac", ".ogg")]
        made = next((file for file in files if file.exists()), files[0])
    grids = {key: str(home / given[key]) for key in ("reference_textgrid", "synthesis_textgrid") if key in given}
    return FilePair(name, str(home / reference), str(made), given.get("speaker"), given.get("text"), **grids)


def _with_others(pairs: Sequence[FilePair]) -> list[FilePair]:
    """Give each pair the next recording of its speaker, and the next of someone else, where there are any."""
    answer = []
    for i, pair in enumerate(pairs):
        after = [pairs[(i + k) % len(pairs)] for k in range(1, min(len(pairs), MOST_LOOKED_AT))]
        same = next((p.reference for p in after if p.speaker == pair.speaker), None)
        other = next((p.reference for p in after if p.speaker not in (None, pair.speaker)), None)
        answer.append(pair if pair.speaker is None else replace(pair, same_speaker=same, other_speaker=other))
    return answer


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
    _require_sane(utterances)
    # Ordered by bytes, as LC_ALL=C sort; a speaker who is not known is the utterance itself.
    ordered = sorted(((name, wav, who or name, text) for name, wav, who, text in utterances), key=_by_bytes)
    speakers: dict[str, list[str]] = defaultdict(list)
    for name, _, speaker, _ in ordered:
        speakers[speaker].append(name)
    lists = {
        "wav.scp": [f"{name} {Path(wav).resolve()}" for name, wav, _, _ in ordered],
        "utt2spk": [f"{name} {speaker}" for name, _, speaker, _ in ordered],
        "spk2utt": [f"{speaker} {' '.join(names)}" for speaker, names in sorted(speakers.items(), key=_by_bytes)],
    }
    words = [f"{name} {' '.join(text.split())}" for name, _, _, text in ordered if text and text.strip()]
    if words:
        lists["text"] = words
    for name, lines in lists.items():
        write_text(folder / name, "\n".join(lines) + "\n")
    return tuple(folder / name for name in lists)


def _by_bytes(line: tuple[Any, ...]) -> bytes:
    return line[0].encode()


def _require_sane(utterances: Sequence[KaldiLine]) -> None:
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
