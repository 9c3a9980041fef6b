"""One self-contained HTML page: tables, pictures and players, with nothing fetched from anywhere."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from gradtts_interp.audio import read_audio
from gradtts_interp.config import MelConfig
from gradtts_interp.evaluation.run import Record
from gradtts_interp.evaluation.tables import Table, number
from gradtts_interp.files import write_text
from gradtts_interp.pitch.contour import Contour, f0_statistics
from gradtts_interp.plots.drawing import audio_uri, picture_uri

TEMPLATE = Path(__file__).with_name("report.html")
SHOWN = "shown"
AUDIO_RATE_HZ = MelConfig().sample_rate_hz


@dataclass(frozen=True)
class Picture:
    """A picture with what it shows.

    Attributes:
        title: Heading.
        text: What is seen, in a sentence or two.
        figure: The picture.
    """

    title: str
    text: str
    figure: Figure


@dataclass(frozen=True)
class Report:
    """Everything on the page.

    Attributes:
        title: Heading.
        summary: What was found, in sentences.
        weak: What is weak, in sentences; beside the summary.
        facts: Names and values: date, command, checkpoint, machine, n.
        tables: Tables, each with its anchors.
        pictures: Pictures of the whole run.
        examples: Single utterances: rows of :func:`shown_row` by their title.
        failures: Items that failed, with the reason.
        notes: Warnings.
    """

    title: str
    summary: Sequence[str] = ()
    weak: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    examples: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
    failures: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


def shown_row(
    title: str, text: str, label: str, wav: str | Path, *, contour: Contour, pictures: Sequence[str | Path] = ()
) -> dict[str, Any]:
    """A row of a record that is no measure: something to listen to, and to look at, in the report.

    Args:
        title: Heading of the utterance, which has other rows too.
        text: The sentence.
        label: What is heard.
        wav: The sound; it and pictures are named by paths relative to the folder of the run.
        contour: Its contour, whose median stands beside it.
        pictures: Paths of PNGs.

    Returns:
        The row.
    """
    median_hz = f0_statistics(contour).median_hz
    note = "unvoiced" if median_hz is None else f"median F0 {median_hz:.0f} Hz"
    paths = [str(path) for path in pictures]
    return {"hidden": SHOWN, "title": title, "text": text, "label": label, "wav": str(wav), "note": note, "png": paths}


def shown_in(records: Sequence[Record]) -> dict[str, list[dict[str, Any]]]:
    """Rows of :func:`shown_row` by their title."""
    examples: dict[str, list[dict[str, Any]]] = {}
    for row in (row for record in records for row in record.rows if row.get("hidden") == SHOWN):
        examples.setdefault(row["title"], []).append(row)
    return examples


@functools.cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(TEMPLATE.parent)
    world = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    world.filters["number"] = number
    return world.get_template(TEMPLATE.name)


def write_report(report: Report, path: str | Path, *, audio_format: str = "flac") -> Path:
    """Write the page; the file appears whole or not at all. All text is escaped, pictures and audio are data URIs.

    Args:
        report: What it holds.
        path: Where to write, in the folder of the run.
        audio_format: Of the players; see :func:`~gradtts_interp.plots.drawing.audio_uri`.

    Returns:
        The path.

    Raises:
        InputError: Audio that cannot be read or written.
    """
    path = Path(path)

    def sound(wav: str) -> str:
        samples = read_audio(path.parent / wav, AUDIO_RATE_HZ).numpy()
        return audio_uri(samples, AUDIO_RATE_HZ, audio_format=audio_format)

    def image(png: str) -> str:
        return f"data:image/png;base64,{base64.b64encode((path.parent / png).read_bytes()).decode('ascii')}"

    page = _template().render(report=report, picture_uri=picture_uri, sound=sound, image=image)
    write_text(path, page)
    return path
