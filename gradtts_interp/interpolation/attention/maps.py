"""Which part of which reference a phoneme looks at: attention maps, reduced while they are recorded.

A whole map of one site has a number for each head, mel position and token: a gigabyte per evaluation for long
sentences. What is kept is its mean over the positions of each phoneme, over heads unless they are asked for, and over
the evaluations in each interval of diffusion time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path


@dataclass(frozen=True)
class MapOptions:
    """What of the attention maps is kept.

    Attributes:
        time_bins: Equal intervals of diffusion time, from 1 (noise) to 0 (speech), each with its own mean.
        each_head: Keep heads apart; needs as many times the memory.
    """

    time_bins: int = 10
    each_head: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be kept."""
        if self.time_bins < 1:
            raise InputError(f"attention maps: {self.time_bins} intervals of time; expected at least 1")


@dataclass(frozen=True)
class AttentionMaps:
    """Where each phoneme of one utterance looked, on the planes of the references.

    A row of attention sums to 1 over all styles' planes and vectors, for phonemes of at least one frame.

    Attributes:
        planes: For each site one array for each style, (intervals, heads, phonemes, F', K') with one number for each
            token of the reference mel; heads are 1 where they were averaged.
        vectors: For each site (intervals, heads, phonemes, styles, V): attention to each style's speaker and emotion
            token.
        evaluations: Network evaluations in each interval (intervals,); where there were none, maps are 0.
        phonemes: Name of each phoneme.
        spans: First frame and frame after the last of each.
        references: Log-mel (M, K) of each style's reference.
        patch: Mel bins and frames under one token.
        styles: Name of each style.
    """

    planes: dict[str, tuple[NDArray[np.float16], ...]]
    vectors: dict[str, NDArray[np.float16]]
    evaluations: NDArray[np.int64]
    phonemes: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    references: tuple[NDArray[np.float32], ...]
    patch: tuple[int, int]
    styles: tuple[str, ...]

    @property
    def time_edges(self) -> NDArray[np.float64]:
        """Edges of the intervals of diffusion time, falling from 1 to 0."""
        return np.linspace(1.0, 0.0, len(self.evaluations) + 1)

    def of(
        self, style: int, *, phoneme: int | None = None, site: str | None = None, interval: int | None = None
    ) -> NDArray[np.float64]:
        """One map over a reference.

        Args:
            style: Its number, 0 for A.
            phoneme: Its number; the mean over all if None.
            site: Its name; the mean over all if None.
            interval: Its number; the mean over evaluations if None.

        Returns:
            Attention (F', K') of each token of the reference.

        Raises:
            InputError: There is no such site, phoneme or interval.
        """
        _require_one(site, list(self.planes), "site")
        _require_one(phoneme, range(len(self.phonemes)), "phoneme")
        _require_one(interval, range(len(self.evaluations)), "interval")
        sites = list(self.planes) if site is None else [site]
        # Intervals without an evaluation count nothing.
        weights = self.evaluations if interval is None else np.eye(len(self.evaluations))[interval]
        found = [
            np.average(self.planes[name][style].mean(1, dtype=np.float64), axis=0, weights=weights) for name in sites
        ]
        mean = np.mean(found, axis=0)
        return mean.mean(0) if phoneme is None else mean[phoneme]

    def reversed_styles(self) -> AttentionMaps:
        """The same with the styles in the opposite order."""
        return replace(
            self,
            planes={site: planes[::-1] for site, planes in self.planes.items()},
            vectors={site: vectors[..., ::-1, :].copy() for site, vectors in self.vectors.items()},
            references=self.references[::-1],
            styles=self.styles[::-1],
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as named arrays, as :meth:`save` writes them.

        Returns:
            ``<site>.map_<i>`` (intervals, heads, phonemes, F', K') and ``<site>.vectors``
            (intervals, heads, phonemes, styles, V) for each site and style i; ``reference_<i>`` (M, K),
            ``time_edges`` (intervals + 1,), ``evaluations`` (intervals,), ``phonemes`` (P,), ``spans`` (P, 2) in
            frames, ``patch`` (2,) in bins and frames, ``styles`` (n,).
        """
        found: dict[str, NDArray[Any]] = {}
        for site, planes in self.planes.items():
            found |= {f"{site}.map_{i}": plane for i, plane in enumerate(planes)}
            found[f"{site}.vectors"] = self.vectors[site]
        found |= {f"reference_{i}": mel.astype(np.float16) for i, mel in enumerate(self.references)}
        return found | {
            "time_edges": self.time_edges,
            "evaluations": self.evaluations,
            "phonemes": np.array(self.phonemes),
            "spans": np.array(self.spans, dtype=np.int64).reshape(-1, 2),
            "patch": np.array(self.patch),
            "styles": np.array(self.styles),
        }

    def save(self, path: str | Path) -> Path:
        """Write :meth:`arrays` as a compressed npz; it appears whole or not at all."""
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, **self.arrays())  # type: ignore[arg-type]
        return Path(path)


def _require_one(value: Any, known: Sequence[Any], what: str) -> None:
    if value is not None and value not in known:
        named = ", ".join(known) if isinstance(known, list) else f"0 to {len(known) - 1}"
        raise InputError(f"attention maps: {what} {value!r}; expected {named}")
