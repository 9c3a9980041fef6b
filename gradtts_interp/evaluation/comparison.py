"""Measures one pair of files, or one blend of files against its styles, with the anchors beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.intelligibility import load_recognisers
from gradtts_interp.evaluation.manifest import FilePair
from gradtts_interp.evaluation.report import shown_row, utterance_figure
from gradtts_interp.evaluation.run import Record, file_name
from gradtts_interp.evaluation.signal import MeasuringSettings, Signal, through_vocoder
from gradtts_interp.evaluation.speakers import diversity, frechet_distance
from gradtts_interp.evaluation.tables import ANCHOR, CONDITION, number
from gradtts_interp.evaluation.textgrid import read_phones, require_same_end
from gradtts_interp.plots.drawing import save_figure
from gradtts_interp.text import TextFrontend
from gradtts_interp.vocoder import Vocoder

MEL = MelConfig()
"""The frame grid of files, whatever their rate."""
EMBEDDING = "embedding"
Phones = Sequence[tuple[str, float, float]]
Rows = list[dict[str, Any]]


class FileMeasurer:
    """Measures files, and what the report shows of them.

    Args:
        settings: How.
        vocoder: Folder of the vocoder of the floor, None for none.
        align: One of :data:`~gradtts_interp.evaluation.metric_rows.ALIGNMENTS`.
        shown: Ids that the report shows.
    """

    def __init__(
        self, settings: MeasuringSettings, *, vocoder: str | None = None, align: str = "auto", shown: Sequence[str] = ()
    ) -> None:
        self.settings, self.align, self.examples = settings, align, shown
        self.listener = settings.listener_of(MEL)
        self.vocoder = None
        if vocoder is not None:
            self.vocoder = Vocoder.from_pretrained(vocoder).eval().to(settings.device)
            MEL.require_same(self.vocoder.mel_config, "the measures", f"the vocoder {vocoder}")
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
        rows = [_row(pair, "files", CONDITION, "synthesis", **found, alignment=taken, **heard)]
        known = {"reference with itself": reference} | self._floor(reference, "reference through the vocoder")
        for name, signal in known.items():
            values = metric_rows.distances(reference, signal) | self._heard(pair, signal, notes)
            rows.append(_row(pair, "files", ANCHOR, name, **values))
        others = {"another utterance of the speaker": pair.same_speaker, "another speaker": pair.other_speaker}
        for name, path in others.items():
            if path is None:
                continue
            try:
                far = metric_rows.warped_distances(reference, self.listener.read(path))
                rows.append(_row(pair, "files", ANCHOR, f"{name} (DTW)", **far))
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
        pair, a, b, blend = FilePair(name, files["A"], files["blend"]), *signals.values()
        found = metric_rows.following(a, b, blend, plane.mean(0))
        rows = [_row(pair, "blend", CONDITION, "blend", **(_against_styles(a, b, blend) | found))]
        known = {"A with itself": a, "B (range)": b} | self._floor(a, "A through the vocoder")
        for condition, signal in known.items():
            rows.append(_row(pair, "blend", ANCHOR, condition, **_against_styles(a, b, signal.cut(shortest))))
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


def _row(pair: FilePair, table: str, kind: str, condition: str, **values: Any) -> dict[str, Any]:
    head = {"table": table, "item": pair.id, "kind": kind, "condition": condition, "speaker": pair.speaker}
    return {**head, **values}


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
