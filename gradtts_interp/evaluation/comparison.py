"""Pairs of files, read from a list as JSON lines, CSV or TSV, and blends of files: what is measured of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.intelligibility import load_recognisers
from gradtts_interp.evaluation.report import shown_row, utterance_figure
from gradtts_interp.evaluation.run import Record, file_name
from gradtts_interp.evaluation.signal import MeasuringSettings, Signal, through_vocoder
from gradtts_interp.evaluation.speakers import diversity, frechet_distance
from gradtts_interp.evaluation.tables import ANCHOR, CONDITION, LARGEST_FILE_BYTES, number, read_csv
from gradtts_interp.evaluation.textgrid import read_phones, require_same_end
from gradtts_interp.files import read_text
from gradtts_interp.plots.drawing import save_figure
from gradtts_interp.text import TextFrontend
from gradtts_interp.vocoder import Vocoder

FIELDS = ("id", "reference", "synthesis", "speaker", "text", "reference_textgrid", "synthesis_textgrid")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
MOST_LOOKED_AT = 1000
"""Pairs after one, among which another recording of its speaker is looked for."""
MEL = MelConfig()
"""The frame grid of files, whatever their rate."""
EMBEDDING = "embedding"
Phones = Sequence[tuple[str, float, float]]
Rows = list[dict[str, Any]]


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
    for place, line in _lines(path):
        try:
            pair = _pair(line, path.parent, None if synthesis is None else Path(synthesis))
            if pair.id in found:
                raise InputError(f"id {pair.id!r} stands in an earlier line too")
            found[pair.id] = pair
        except InputError as error:
            problems.append(f"{path}, line {place}: {error}")
    if not found:
        reason = problems[0] if problems else f"{path} holds no line"
        raise InputError(f"no pair to compare: {reason}")
    return _with_others(list(found.values())), problems


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Number and fields of each line; the error of a line that is not JSON stands in its place."""
    expected = "a manifest of pairs"
    if path.suffix == ".jsonl":
        rows = read_text(path, expected=expected, largest_bytes=LARGEST_FILE_BYTES).split("\n")
        yield from ((place, row) for place, row in enumerate(rows, 1) if row.strip())
    elif path.suffix in DELIMITERS:
        for place, fields in read_csv(path, expected=expected, delimiter=DELIMITERS[path.suffix]):
            yield place, {name: value for name, value in fields.items() if name and value}
    else:
        raise InputError(f"{path}: expected a manifest .jsonl, .csv or .tsv")


def _pair(line: Any, home: Path, synthesis: Path | None) -> FilePair:
    try:
        line = json.loads(line) if isinstance(line, str) else line
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


# -- measures ----------------------------------------------------------------------------------------------------------


class FileMeasurer:
    """Measures files, and what the report shows of them.

    Args:
        settings: How.
        align: One of :data:`~gradtts_interp.evaluation.metric_rows.ALIGNMENTS`.
        shown: Ids that the report shows.
    """

    def __init__(self, settings: MeasuringSettings, *, align: str = "auto", shown: Sequence[str] = ()) -> None:
        self.settings, self.align, self.examples = settings, align, shown
        self.listener = settings.listener_of(MEL)
        self.vocoder = None
        if settings.vocoder is not None:
            self.vocoder = Vocoder.from_pretrained(settings.vocoder).eval().to(settings.device)
            MEL.require_same(self.vocoder.mel_config, "the measures", f"the vocoder {settings.vocoder}")
        self.error_rates = load_recognisers(
            settings.recognisers, TextFrontend(), language=settings.language, device=settings.device
        )

    def compare(self, pair: FilePair) -> tuple[Rows, list[str]]:
        """Measure a synthesis against its reference, and the anchors of the reference.

        Args:
            pair: Two files, and others of the same and of another speaker.

        Returns:
            Rows, and notes on the files.

        Raises:
            InputError: Reference or synthesis cannot be measured.
        """
        paths = {"reference": pair.reference, "synthesis": pair.synthesis}
        signals = {role: self.listener.read(path) for role, path in paths.items()}
        reference, synthesis = signals.values()
        notes = [*reference.notes, *synthesis.notes]
        files = (pair.reference_textgrid, pair.synthesis_textgrid)
        grids = [phones_of(path, notes, of=signal) for path, signal in zip(files, signals.values(), strict=True)]
        found, taken = metric_rows.aligned_distances(reference, synthesis, align=self.align, phones=grids)
        heard = self._heard(pair, synthesis, notes)
        row = partial(_row, "files", pair.id, pair.speaker)
        rows = [row(CONDITION, "synthesis", **found, alignment=taken, **heard)]
        known = {"reference with itself": reference} | self._floor(reference, "reference through the vocoder")
        for name, signal in known.items():
            values = metric_rows.distances(reference, signal) | self._heard(pair, signal, notes)
            rows.append(row(ANCHOR, name, **values))
        others = {"another utterance of the speaker": pair.same_speaker, "another speaker": pair.other_speaker}
        for name, path in others.items():
            if path is None:
                continue
            try:
                far = metric_rows.warped_distances(reference, self.listener.read(path))
                rows.append(row(ANCHOR, f"{name} (DTW)", **far))
            except InputError as error:
                notes.append(f"anchor {name!r} of {pair.id} left out: {error}")
        if pair.id in self.examples:
            rows += self.shown(pair.id, pair.text or "", signals, paths, phones=grids[0])
        for role, signal in signals.items():
            if signal.embedding is not None:
                rows.append({"hidden": EMBEDDING, "of": role, "values": signal.embedding.tolist()})
        return rows, notes

    def blend(
        self, name: str, files: dict[str, str], share: NDArray[Any], textgrid: str | None
    ) -> tuple[Rows, list[str]]:
        """Measure a blend of recordings that share durations.

        Args:
            name: Of the utterance.
            files: Paths of ``A``, ``B`` and ``blend``.
            share: Share of B that was asked for, (T,) or (M, T).
            textgrid: Phone times, the same for all three; None for none.

        Returns:
            Rows, and notes.

        Raises:
            InputError: A file cannot be measured, or lengths differ by more than a frame.
        """
        signals = {role: self.listener.read(path) for role, path in files.items()}
        frames = [signal.frames for signal in signals.values()]
        shortest = min(frames)
        if max(frames) - shortest > 1:
            told = ", ".join(f"{role} {signal.frames}" for role, signal in signals.items())
            raise InputError(f"frames differ: {told}; render A, B and the blend with the same durations")
        if abs(share.shape[-1] - shortest) > 1:
            raise InputError(
                f"share map of {share.shape[-1]} frames for audio of {shortest}; expected one value a frame"
            )
        notes = [note for signal in signals.values() for note in signal.notes]
        phones = phones_of(textgrid, notes, of=signals["blend"])
        shortest = min(shortest, share.shape[-1])
        signals = {role: signal.cut(shortest) for role, signal in signals.items()}
        plane = np.broadcast_to(share[..., :shortest], (MEL.n_mels, shortest)).astype(np.float64)
        a, b, blend = signals.values()
        found = metric_rows.following(a, b, blend, plane.mean(0))
        row = partial(_row, "blend", name, None)
        rows = [row(CONDITION, "blend", **(_against_styles(a, b, blend) | found))]
        known = {"A with itself": a, "B (range)": b} | self._floor(a, "A through the vocoder")
        for condition, signal in known.items():
            rows.append(row(ANCHOR, condition, **_against_styles(a, b, signal.cut(shortest))))
        return rows + self.shown(name, "", signals, files, phones=phones, share=plane), notes

    def shown(
        self,
        name: str,
        text: str,
        signals: Mapping[str, Signal],
        paths: Mapping[str, str],
        *,
        phones: Phones,
        share: NDArray[Any] | None = None,
    ) -> Rows:
        """Draw recordings, and list them with their picture for the report.

        Args:
            name: Of the utterance.
            text: What is said.
            signals: Recordings by role.
            paths: Their files.
            phones: Phones, drawn beside the contours.
            share: Share of B that was asked for (M, T), of a blend.

        Returns:
            A row for each recording.
        """
        picture = f"pictures/{file_name(name)}.png"
        save_figure(utterance_figure(signals, MEL, share, phones=phones), Path(self.settings.out) / picture)
        rows: Rows = []
        for role, signal in signals.items():
            label, path = f"{role}: {Path(paths[role]).name}", Path(paths[role]).resolve()
            pictures = [] if rows else [picture]
            rows.append(shown_row(name, text, label, path, contour=signal.contour, pictures=pictures))
        return rows

    def _heard(self, pair: FilePair, signal: Signal, notes: list[str]) -> dict[str, float]:
        """Error rates of recognisers; a text that none can be measured by is noted."""
        if not self.settings.recognisers:
            return {}
        try:
            if not pair.text:
                raise InputError("no text")
            return self.error_rates(signal.audio, MEL.sample_rate_hz, pair.text)
        except InputError as error:
            note = f"{pair.id}: {error}; measured without intelligibility"
            notes += [] if note in notes else [note]
            return {}

    def _floor(self, signal: Signal, name: str) -> dict[str, Signal]:
        """A recording through the vocoder, where there is one."""
        if self.vocoder is None:
            return {}
        audio = through_vocoder(signal.audio, self.vocoder, MEL, device=self.settings.device)
        return {name: self.listener.hear(audio, f"{signal.name}, {name}")}


def _row(table: str, item: str, speaker: str | None, kind: str, condition: str, **values: Any) -> dict[str, Any]:
    return {"table": table, "item": item, "kind": kind, "condition": condition, "speaker": speaker, **values}


def _against_styles(a: Signal, b: Signal, other: Signal) -> dict[str, Any]:
    return metric_rows.mean_shares(a, b, other) | metric_rows.selective(a, b, other)


def phones_of(path: str | None, notes: list[str], *, of: Signal) -> Phones:
    """Phones of a TextGrid; one that cannot be read is noted, and the rest is measured without it.

    Args:
        path: The file, None for none.
        notes: Where a note is added.
        of: The recording that it labels.

    Returns:
        The phones, none where there is no file or it cannot be read.

    Raises:
        InputError: It is longer or shorter than the recording.
    """
    if path is None:
        return ()
    try:
        phones = read_phones(path)
    except InputError as error:
        notes.append(f"{error}; measured without phone times")
        return ()
    require_same_end(phones, path, recording=of.name, seconds=len(of.audio) / MEL.sample_rate_hz)
    return phones


def set_figures(records: Sequence[Record]) -> tuple[dict[str, Any], list[str]]:
    """Diversity of references and of syntheses, and the Fréchet distance between them, on speaker embeddings.

    Args:
        records: Of a run over files.

    Returns:
        Plain values with n, and the same in sentences; nothing without an encoder, no distance and no sentence with
        fewer than two embeddings in a set.
    """
    found = [row for record in records for row in record.rows if row.get("hidden") == EMBEDDING]
    if not found:
        return {}, []
    roles = ("reference", "synthesis")
    sets = {role: np.array([row["values"] for row in found if row["of"] == role]) for role in roles}
    figures: dict[str, Any] = {"embeddings": "speaker encoder"} | {name: diversity(x) for name, x in sets.items()}
    if min(map(len, sets.values())) < 2:
        return {"sets": figures}, []
    distance = figures["frechet"] = frechet_distance(*sets.values())
    small = "; few files for so many dimensions, so comparable at the same n only" if distance["singular"] else ""
    spread = [number(figures[name]["diversity"]) for name in sets]
    sentence = (
        f"Fréchet distance of speaker embeddings {number(distance['distance'])} (n {distance['n_reference']} and "
        f"{distance['n_other']}, {distance['dimensions']} dimensions{small}); diversity {spread[0]} of the references, "
        f"{spread[1]} of the syntheses."
    )
    return {"sets": figures}, [sentence]
