"""One self-contained HTML page: tables, pictures and players, with nothing fetched from anywhere."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gradtts_interp.evaluation.tables import Table, number
from gradtts_interp.files import atomic_path
from gradtts_interp.plots.data_uri import audio_uri, picture_uri

TEMPLATE = Path(__file__).with_name("report.html")


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
class Player:
    """Something to listen to.

    Attributes:
        label: What it is.
        audio: Samples (N,) in [-1, 1].
        sample_rate_hz: Their rate.
        note: What was measured of it, in a few words.
    """

    label: str
    audio: NDArray[np.floating[Any]]
    sample_rate_hz: int
    note: str = ""


@dataclass(frozen=True)
class Example:
    """One utterance to look at and listen to.

    Attributes:
        title: Heading.
        text: The sentence, or what else should be known.
        players: What is heard.
        pictures: What is seen.
    """

    title: str
    text: str
    players: tuple[Player, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Report:
    """Everything on the page.

    Attributes:
        title: Heading.
        summary: What was found, in sentences.
        facts: Names and values: date, command, checkpoint, machine, n.
        tables: Tables, each with its anchors.
        pictures: Pictures of the whole run.
        examples: Single utterances.
        failures: Items that failed, with the reason.
        notes: Warnings.
        weak: What is weak, in sentences; beside the summary.
    """

    title: str
    summary: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    examples: tuple[Example, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    weak: tuple[str, ...] = field(default=())


@functools.cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(TEMPLATE.parent)
    world = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    world.filters["number"] = number
    return world.get_template(TEMPLATE.name)


def report_html(report: Report, *, audio_format: str = "flac") -> str:
    """Make the page; all text is escaped, pictures and audio are data URIs.

    Args:
        report: What it holds.
        audio_format: Of the players; see :func:`audio_uri`.

    Returns:
        The page.

    Raises:
        InputError: Audio that cannot be written.
    """
    sound = functools.partial(audio_uri, audio_format=audio_format)
    return _template().render(report=report, picture_uri=picture_uri, audio_uri=sound)


def write_report(report: Report, path: str | Path, *, audio_format: str = "flac") -> Path:
    """Write the page; the file appears whole or not at all.

    Args:
        report: What it holds.
        path: Where to write.
        audio_format: Of the players; see :func:`audio_uri`.

    Returns:
        The path.
    """
    page = report_html(report, audio_format=audio_format)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Path(path)


def failures_of(records: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Names and reasons of the records that failed."""
    return tuple((record.id, record.error) for record in records if record.error is not None)
