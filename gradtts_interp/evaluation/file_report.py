"""Examples and figures of sets for reports on files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.evaluation.excerpt import Excerpt, Phones, folder_name
from gradtts_interp.evaluation.figures import asked_trace, contour_figure, planes_figure, trace_of
from gradtts_interp.evaluation.frechet import diversity, frechet_distance
from gradtts_interp.evaluation.manifest import FilePair
from gradtts_interp.evaluation.report import Example, Picture, Player
from gradtts_interp.evaluation.run import Record
from gradtts_interp.evaluation.signal import Signal
from gradtts_interp.evaluation.tables import number


def file_examples(pairs: Sequence[FilePair], folder: Path, config: MelConfig) -> tuple[Example, ...]:
    """Players and pictures of the pairs that were kept; those that failed are left out."""
    found = []
    for pair in pairs:
        home = folder / "excerpts" / folder_name(pair.id)
        if (home / "reference.npz").exists() and (home / "synthesis.npz").exists():
            excerpts = [Excerpt.load(home / f"{role}.npz", config) for role in ("reference", "synthesis")]
            found.append(_file_example(pair, *excerpts))
    return tuple(found)


def _file_example(pair: FilePair, reference: Excerpt, synthesis: Excerpt) -> Example:
    players = tuple(Player(v.name, v.audio, v.mel_config.sample_rate_hz) for v in (reference, synthesis))
    traces = [trace_of(reference, "reference"), trace_of(synthesis, "synthesis")]
    pictures = [
        Picture("Contours", "Each on its own time; the phones are the reference's.", contour_figure(traces, reference)),
        Picture("Mels", "Each on its own time.", planes_figure([reference, synthesis], None)),
    ]
    return Example(pair.id, pair.text or "", players, tuple(pictures))


def blend_example(
    signals: Mapping[str, Signal], share: NDArray[Any], config: MelConfig, phones: Phones = ()
) -> Example:
    """Players and pictures of a blend of files.

    Args:
        signals: ``A``, ``B`` and ``blend``, on one frame grid.
        share: Share of B that was asked for, (T,) or (M, T).
        config: Mel contract.
        phones: Phone times that all share.

    Returns:
        The example.
    """
    frames = signals["blend"].frames
    plane = (
        np.broadcast_to(share, (config.n_mels, share.shape[-1]))[:, :frames] if share.ndim == 1 else share[:, :frames]
    )
    excerpts = {
        role: Excerpt(f"{role}: {Path(s.name).name}", s.audio, s.mel, s.contour, config, phones)
        for role, s in signals.items()
    }
    traces = [trace_of(excerpts[role], role) for role in ("A", "B", "blend")]
    traces.append(asked_trace(excerpts["A"], excerpts["B"], plane))
    pictures = (
        Picture("Contours", "Dashed is what was asked for.", contour_figure(traces, excerpts["blend"])),
        Picture(
            "Mels and share map",
            "A, blend and B on one scale.",
            planes_figure([excerpts["A"], excerpts["blend"], excerpts["B"]], plane),
        ),
    )
    players = tuple(Player(v.name, v.audio, config.sample_rate_hz) for v in excerpts.values())
    return Example("The three files", "", players, pictures)


def embeddings_of(records: Sequence[Record]) -> dict[str, NDArray[np.float64]]:
    """Speaker embeddings (n, E) of references and syntheses, where there are any."""
    found: dict[str, list[list[float]]] = {}
    for record in records:
        for row in record.rows:
            if row.get("hidden") == "embedding":
                found.setdefault(row["of"], []).append(row["values"])
    return {name: np.array(values, dtype=np.float64) for name, values in found.items()}


def set_figures(records: Sequence[Record]) -> dict[str, Any]:
    """Diversity of references and of syntheses, and the Fréchet distance between them, on speaker embeddings.

    Args:
        records: Of a run over files.

    Returns:
        Plain values with n; nothing without an encoder, no distance with fewer than two embeddings in a set.
    """
    sets = embeddings_of(records)
    if not sets:
        return {}
    found: dict[str, Any] = {"embeddings": "speaker encoder"}
    found |= {name: diversity(values) for name, values in sets.items()}
    if len(sets) == 2 and min(map(len, sets.values())) > 1:
        found["frechet"] = frechet_distance(sets["reference"], sets["synthesis"]).to_dict()
    return {"sets": found}


def set_sentence(figures: Mapping[str, Any]) -> tuple[str, ...]:
    """The same in a sentence, for the head of a report."""
    found = figures.get("sets", {}).get("frechet")
    if found is None:
        return ()
    small = "; few files for so many dimensions, so comparable at the same n only" if found["singular"] else ""
    spread = [figures["sets"][name]["diversity"] for name in ("reference", "synthesis")]
    return (
        f"Fréchet distance of speaker embeddings {number(found['distance'])} (n {found['n_reference']} and "
        f"{found['n_other']}, {found['dimensions']} dimensions{small}); "
        f"diversity {number(spread[0])} of the references, "
        f"{number(spread[1])} of the syntheses.",
    )
