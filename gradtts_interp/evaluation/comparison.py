"""Measures one pair of files, or one blend of files against its styles, with the anchors beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.audio import log_mel
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.excerpt import Excerpt, Phones, folder_name
from gradtts_interp.evaluation.intelligibility import Recognisers, load_recognisers
from gradtts_interp.evaluation.manifest import FilePair
from gradtts_interp.evaluation.signal import Listener, Signal, encoder_of
from gradtts_interp.evaluation.tables import ANCHOR, CONDITION
from gradtts_interp.evaluation.textgrid import read_phones, require_same_end
from gradtts_interp.text import TextFrontend
from gradtts_interp.vocoder import MelDecoder, Vocoder

FILES = "files"
MEL = MelConfig()
"""The frame grid of files, whatever their rate."""
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class FileSettings:
    """What a process needs to compare files.

    Attributes:
        listener: How to measure, without mel contract and encoder.
        encoder: Folder of the speaker encoder, None for none.
        vocoder: Folder of the vocoder of the floor, None for none.
        align: One of :data:`~gradtts_interp.evaluation.metric_rows.ALIGNMENTS`.
        out: Folder of the run.
        shown: Ids that the report shows.
        recognisers: Who measures intelligibility, as in :mod:`gradtts_interp.evaluation.intelligibility`.
        language: What they hear, where they know several.
        device: Where they work.
    """

    listener: dict[str, Any]
    encoder: str | None
    vocoder: str | None
    align: str
    out: str
    shown: tuple[str, ...] = ()
    recognisers: tuple[str, ...] = ()
    language: str = "en"
    device: str = "cpu"

    def open(self) -> FileContext:
        """Load the models."""
        vocoder = None if self.vocoder is None else Vocoder.from_pretrained(self.vocoder).eval()
        if vocoder is not None:
            MEL.require_same(vocoder.mel_config, "the measures", f"the vocoder {self.vocoder}")
        recognisers = load_recognisers(self.recognisers, TextFrontend(), language=self.language, device=self.device)
        return FileContext(Listener(MEL, encoder=encoder_of(self.encoder), **self.listener), vocoder, recognisers, self)


@dataclass(frozen=True)
class FileContext:
    """What the comparisons of one process share.

    Attributes:
        listener: Measures files.
        vocoder: Of the floor, None for none.
        recognisers: Of what is said.
        settings: Settings of the run.
    """

    listener: Listener
    vocoder: MelDecoder | None
    recognisers: Recognisers
    settings: FileSettings


def compare_files(context: FileContext, pair: FilePair) -> tuple[Rows, list[str]]:
    """Measure a synthesis against its reference, and the anchors of the reference.

    Args:
        context: Models and settings.
        pair: Two files, and others of the same and of another speaker.

    Returns:
        Rows, and notes on the files.

    Raises:
        InputError: Reference or synthesis cannot be measured.
    """
    reference = context.listener.read(pair.reference)
    synthesis = context.listener.read(pair.synthesis)
    notes = [*reference.notes, *synthesis.notes]
    grids = [
        phones_of(path, notes, of=signal)
        for path, signal in ((pair.reference_textgrid, reference), (pair.synthesis_textgrid, synthesis))
    ]
    align = context.settings.align
    found, taken = metric_rows.aligned_distances(reference, synthesis, align=align, phones=grids)
    rows = [_row(pair, CONDITION, "synthesis", **found, alignment=taken, **_heard(context, pair, synthesis, notes))]
    known = {"reference with itself": reference}
    if context.vocoder is not None:
        known["reference through the vocoder"] = _vocoded(context, reference)
    for name, signal in known.items():
        values = {**metric_rows.distances(reference, signal), **_heard(context, pair, signal, notes)}
        rows.append(_row(pair, ANCHOR, name, **values))
    for name, path in (
        ("another utterance of the speaker", pair.same_speaker),
        ("another speaker", pair.other_speaker),
    ):
        if path is not None:
            rows += _far(context, pair, reference, name, path, notes)
    if pair.id in context.settings.shown:
        keep_excerpts(context, pair.id, {"reference": (reference, grids[0]), "synthesis": (synthesis, grids[1])})
    for name, signal in (("reference", reference), ("synthesis", synthesis)):
        if signal.embedding is not None:
            rows.append({"hidden": "embedding", "of": name, "values": signal.embedding.tolist()})
    return rows, notes


def _heard(context: FileContext, pair: FilePair, signal: Signal, notes: list[str]) -> dict[str, float]:
    """Error rates of recognisers; a text that none can be measured by is noted."""
    if not context.settings.recognisers:
        return {}
    try:
        if not pair.text:
            raise InputError("no text")
        return context.recognisers.errors(signal.audio, context.listener.mel.sample_rate_hz, pair.text)
    except InputError as error:
        note = f"{pair.id}: {error}; measured without intelligibility"
        notes += [] if note in notes else [note]
        return {}


def keep_excerpts(context: FileContext, name: str, signals: dict[str, tuple[Signal, Phones]]) -> None:
    """Keep what the report shows of some signals, by role."""
    for role, (signal, phones) in signals.items():
        title = f"{role}: {Path(signal.name).name}"
        excerpt = Excerpt(title, signal.audio, signal.mel, signal.contour, context.listener.mel, named_phones(phones))
        excerpt.save(Path(context.settings.out) / "excerpts" / folder_name(name) / f"{role}.npz")


def named_phones(phones: Phones) -> Phones:
    """The phones without intervals that have no label: what a picture shows."""
    return tuple(phone for phone in phones if phone[0])


def _row(pair: FilePair, kind: str, condition: str, **values: Any) -> dict[str, Any]:
    head = {"table": FILES, "item": pair.id, "kind": kind, "condition": condition, "speaker": pair.speaker}
    return metric_rows.finite({**head, **values})


def _vocoded(context: FileContext, reference: Signal) -> Signal:
    assert context.vocoder is not None
    with torch.no_grad():
        mel = log_mel(torch.from_numpy(reference.audio), context.listener.mel)
        audio = context.vocoder(mel, context.listener.mel).float().numpy()
    return context.listener.hear(audio, f"{reference.name} through the vocoder")


def _far(context: FileContext, pair: FilePair, reference: Signal, name: str, path: str, notes: list[str]) -> Rows:
    """An anchor of other words, aligned by warping; one that cannot be read is noted and left out."""
    try:
        other = context.listener.read(path)
    except InputError as error:
        notes.append(f"anchor {name!r} of {pair.id} left out: {error}")
        return []
    return [_row(pair, ANCHOR, f"{name} (DTW)", **metric_rows.warped_distances(reference, other))]


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


# -- a blend of files -----------------------------------------------------------------------------------------------


def measure_blend(
    context: FileContext, files: dict[str, str], share: NDArray[Any], *, name: str
) -> tuple[dict[str, Rows], dict[str, Signal], list[str]]:
    """Measure a blend of recordings that share durations.

    Args:
        context: Models and settings.
        files: Paths of ``A``, ``B`` and ``blend``.
        share: Share of B that was asked for, (T,) or (M, T).
        name: Of the utterance.

    Returns:
        Rows by table, the three signals, and notes.

    Raises:
        InputError: A file cannot be measured, or lengths differ by more than a frame.
    """
    signals = {role: context.listener.read(path) for role, path in files.items()}
    frames = {role: signal.frames for role, signal in signals.items()}
    if max(frames.values()) - min(frames.values()) > 1:
        told = ", ".join(f"{role} {count}" for role, count in frames.items())
        raise InputError(f"frames differ: {told}; render A, B and the blend with the same durations")
    shortest = min(frames.values())
    if abs(share.shape[-1] - shortest) > 1:
        raise InputError(f"share map of {share.shape[-1]} frames for audio of {shortest}; expected one value a frame")
    shortest = min(shortest, share.shape[-1])
    signals = {role: signal.cut(shortest) for role, signal in signals.items()}
    wanted = np.asarray(share[..., :shortest], dtype=np.float64)
    wanted = wanted.mean(0) if wanted.ndim == 2 else wanted
    three = (signals["A"], signals["B"], signals["blend"])
    pair = FilePair(name, files["A"], files["blend"])
    row = {**metric_rows.mean_shares(*three), **metric_rows.following(*three, wanted), **metric_rows.selective(*three)}
    rows = [_row(pair, CONDITION, "blend", **row)]
    for role, condition in (("A", "A with itself"), ("B", "B (range)")):
        known = (signals["A"], signals["B"], signals[role])
        values = {**metric_rows.mean_shares(*known), **metric_rows.selective(*known)}
        rows.append(_row(pair, ANCHOR, condition, **values))
    if context.vocoder is not None:
        floor = (signals["A"], signals["B"], _vocoded(context, signals["A"]).cut(shortest))
        values = {**metric_rows.mean_shares(*floor), **metric_rows.selective(*floor)}
        rows.append(_row(pair, ANCHOR, "A through the vocoder", **values))
    to_a = [_row(pair, CONDITION, "blend against A", **metric_rows.distances(signals["A"], signals["blend"]))]
    to_a.append(_row(pair, CONDITION, "blend against B", **metric_rows.distances(signals["B"], signals["blend"])))
    to_a.append(_row(pair, ANCHOR, "A with itself", **metric_rows.distances(signals["A"], signals["A"])))
    to_a.append(_row(pair, ANCHOR, "A against B", **metric_rows.distances(signals["A"], signals["B"])))
    notes = [note for signal in signals.values() for note in signal.notes]
    return {"blend": [{**r, "table": "blend"} for r in rows], FILES: to_a}, signals, notes
