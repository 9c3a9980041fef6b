"""Attention: the mass of each style, which part of which reference a phoneme looks at, and what records both.

A whole map of one site has a number for each head, mel position and token: a gigabyte per evaluation for long
sentences. What is kept is its mean over the positions of each phoneme, over heads unless they are asked for, and over
the evaluations in each interval of diffusion time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.style_attention import AttentionMapProcessor, AttentionMassProcessor, StyleContext
from gradtts_interp.styles import Style

KEY_REGIONS = 2
"""Keys of a style are kept apart as those of its pitch (0) and the rest (1)."""


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


@contextmanager
def processors_set(model: GradTTS, processors: dict[str, Any]) -> Iterator[None]:
    """Give some attention sites other processors, and those that they had back at the end, also after an error."""
    before = model.attn_processors
    model.set_attn_processor(before | processors)
    try:
        yield
    finally:
        model.set_attn_processor(before)


def site_height(model: GradTTS, site: str) -> int:
    """Positions of an attention site over the mel bins."""
    return round(model.settings.n_feats / model.attention_sites[site].cell)


class StyleMassRecorder:
    """Context manager that sums the attention mass of each style at every site while the model runs.

    The maps themselves are never built (see :class:`~gradtts_interp.models.style_attention.AttentionMassProcessor`).
    Only network evaluations that read all styles at once are recorded; where each style is read alone there is no mass
    to divide.

    Args:
        model: The model whose sites are watched.
        styles: Number of styles (n).
        items: Lines in the batch (B); further rows of an evaluation (other branches, the null style) are left out.
    """

    def __init__(self, model: GradTTS, *, styles: int, items: int) -> None:
        self.model, self.styles, self.items = model, styles, items
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = defaultdict(int)
        self._owners = 0

    def _processor(self, site: str) -> Callable[..., Tensor]:
        return AttentionMassProcessor(self._key_sets, partial(self._record, site))

    def __enter__(self) -> StyleMassRecorder:
        self._watched = processors_set(self.model, {site: self._processor(site) for site in self.model.attention_sites})
        self._watched.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self._watched.__exit__(*problem)

    def of_item(self, item: int, frames: int) -> dict[str, dict[str, Any]] | None:
        """What was recorded for one line.

        Args:
            item: Its place in the batch.
            frames: Its mel frames (T).

        Returns:
            For each site ``mass`` (n, M', T'), which sums to 1 over styles, and ``cell``, the mel bins and frames under
            one position; None when no evaluation read several styles.
        """
        answer = {}
        for name, total in self._sums.items():
            cell, height = self.model.attention_sites[name].cell, site_height(self.model, name)
            mean = (total[item] / self._counts[name]).cpu().unflatten(0, (height, -1)).permute(2, 0, 1)
            answer[name] = {"mass": mean[:, :, : -(-frames // int(cell))].numpy(), "cell": cell}
        return answer or None

    def _key_sets(self, context: StyleContext) -> Tensor:
        """One set of keys for each style, (B, S, n)."""
        self._owners = context.n_styles
        sets = functional.one_hot(context.owner, self._owners)
        return sets[None].expand(context.tokens.shape[0], -1, -1)

    @torch.no_grad()
    def _record(self, name: str, mass: Tensor) -> None:
        if self._owners == self.styles > 1:
            mean = mass[: self.items].detach().float().mean(1)
            self._sums[name] = self._sums[name] + mean if name in self._sums else mean
            self._counts[name] += 1


class AttentionMapRecorder(StyleMassRecorder):
    """Records the attention maps as well as the mass of each style.

    Args:
        model: The model whose sites are watched.
        styles: n styles with references.
        sizes: Tokens of each style.
        spans: First frame and frame after the last of each phoneme, for each line of the batch.
        options: What is kept.
    """

    def __init__(
        self,
        model: GradTTS,
        *,
        styles: Sequence[Style],
        sizes: Sequence[int],
        spans: Sequence[Sequence[tuple[int, int]]],
        options: MapOptions,
    ) -> None:
        for style in styles:
            if style.mel is None:
                raise InputError(f"attention maps: {style.name} has no reference of its own to draw them on")
        super().__init__(model, styles=len(styles), items=len(spans))
        self.named, self.sizes, self.spans, self.options = tuple(styles), tuple(sizes), list(spans), options
        self._interval = 0
        self._pools: dict[str, Tensor] = {}
        self._maps: dict[str, Tensor] = {}
        self._evaluations: dict[str, NDArray[np.int64]] = {}

    def _processor(self, site: str) -> Callable[..., Tensor]:
        return AttentionMapProcessor(partial(self._record_part, site))

    def watch(self, score: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        """The same score function; the time of each of its evaluations is known here."""

        def watched(x: Tensor, t: Tensor) -> Tensor:
            bins = self.options.time_bins
            self._interval = min(int((1 - float(t.max())) * bins), bins - 1)
            return score(x, t)

        return watched

    def maps_of_item(self, item: int, phonemes: Sequence[str], names: Sequence[str]) -> AttentionMaps | None:
        """What was recorded for one line.

        Args:
            item: Its place in the batch.
            phonemes: Names of its phonemes.
            names: Names of the styles.

        Returns:
            Its maps; None when no evaluation read all styles.
        """
        if not self._maps:
            return None
        config = self.model.settings.style
        assert config is not None
        planes, vectors = {}, {}
        for name, total in self._maps.items():
            counts = np.maximum(self._evaluations[name], 1)[:, None, None, None]
            mean = total[:, item, :, : len(phonemes)].numpy() / counts
            found, extra = [], []
            ends = np.cumsum(self.sizes)
            for style, start, stop in zip(self.named, ends - self.sizes, ends, strict=True):
                assert style.mel is not None
                height = -(-style.mel.shape[0] // config.patch_bins)
                width = -(-style.mel.shape[1] // config.patch_frames)
                own = mean[..., start:stop].astype(np.float16)
                found.append(own[..., : height * width].reshape(*own.shape[:-1], height, width))
                extra.append(own[..., height * width :])
            planes[name], vectors[name] = tuple(found), np.stack(extra, axis=-2)
        return AttentionMaps(
            planes=planes,
            vectors=vectors,
            evaluations=next(iter(self._evaluations.values())),
            phonemes=tuple(phonemes),
            spans=tuple((int(s), int(e)) for s, e in self.spans[item]),
            references=tuple(s.mel for s in self.named if s.mel is not None),
            patch=(config.patch_bins, config.patch_frames),
            styles=tuple(names),
        )

    @torch.no_grad()
    def _record_part(self, name: str, weights: Tensor, queries: slice, positions: int, context: StyleContext) -> None:
        """Add the mass, and the maps, of some queries of a site."""
        if context.n_styles != self.styles:
            return
        weights = weights[: self.items, ..., : sum(self.sizes)].float()
        if name not in self._maps:
            self._sums[name] = weights.new_zeros(self.items, positions, self.styles)
            self._pools[name] = self._pool(name, positions).to(weights)
            heads = weights.shape[1] if self.options.each_head else 1
            size = (self.options.time_bins, self.items, heads, self._pools[name].shape[1], weights.shape[-1])
            self._maps[name] = torch.zeros(size)
            self._evaluations[name] = np.zeros(self.options.time_bins, dtype=np.int64)
        owners = functional.one_hot(context.owner[: weights.shape[-1]], self.styles).to(weights)
        mean = weights.mean(1, keepdim=True)
        self._sums[name][:, queries] += mean[:, 0] @ owners
        kept = weights if self.options.each_head else mean
        self._maps[name][self._interval] += (self._pools[name][:, None, :, queries] @ kept).cpu()
        self._counts[name] += queries.start == 0
        self._evaluations[name][self._interval] += queries.start == 0

    def _pool(self, name: str, positions: int) -> Tensor:
        """Weights (B, P, Q) that average over the positions of each phoneme."""
        cell, height = float(self.model.attention_sites[name].cell), site_height(self.model, name)
        edges = torch.arange(positions // height + 1) * cell
        most = max(len(spans) for spans in self.spans)
        pool = torch.zeros(self.items, most, height, positions // height)
        for rows, spans in zip(pool, self.spans, strict=True):
            for row, (start, stop) in zip(rows, spans, strict=False):
                overlap = (edges[1:].clamp_max(stop) - edges[:-1].clamp_min(start)).clamp_min(0)
                row[:] = overlap / overlap.sum().clamp_min(1e-9) / height
        return pool.flatten(2)


class AllSeenError(Exception):
    """Ends a network evaluation, or a run of a solver, of which all that is wanted has been seen."""


@contextmanager
def masses_observed(
    model: GradTTS, sites: Collection[str], sets: Tensor, items: int, *, stop: bool = False
) -> Iterator[Callable[[], dict[str, Tensor]]]:
    """Tell the attention mass of key sets in each network evaluation, on the graph.

    With a recorder active outside, that one sees none of these evaluations.

    Args:
        model: The model that is watched.
        sites: Names of its attention sites to watch.
        sets: Key sets (S, n, 2).
        items: Lines in the batch (B); further rows of an evaluation (other branches, the null style) are left out.
        stop: Whether the evaluation ends, by :class:`AllSeenError`, with the last of the sites; what follows is the
            costliest level of the network.

    Yields:
        Callable[[], dict[str, Tensor]]: Takes the masses (B, n, 2, H, W) of the last evaluation by site, which are then
            forgotten here.
    """
    seen: dict[str, Tensor] = {}

    def columns(context: StyleContext) -> Tensor:
        """Sets as columns (B, S, n * 2); keys of other branches' padding belong to none."""
        padded = functional.pad(sets.flatten(1), (0, 0, 0, context.tokens.shape[1] - sets.shape[0]))
        return padded[None].expand(context.tokens.shape[0], -1, -1)

    def record(site: str, mass: Tensor) -> None:
        mean, height = mass[:items].float().mean(1), site_height(model, site)
        seen[site] = rearrange(mean, "b (f t) (n r) -> b n r f t", f=height, r=KEY_REGIONS)
        if stop and len(seen) == len(sites):
            raise AllSeenError

    def take() -> dict[str, Tensor]:
        taken = dict(seen)
        seen.clear()
        return taken

    with processors_set(model, {site: AttentionMassProcessor(columns, partial(record, site)) for site in sites}):
        yield take


def mass_plane(
    attention: dict[str, dict[str, Any]], style: int, frames: int, *, n_mels: int = 80
) -> NDArray[np.float64]:
    """Attention mass of one style on the mel's plane, mean over sites.

    Args:
        attention: As in :attr:`gradtts_interp.speech.Speech.attention`.
        style: Its number, 0 for A.
        frames: Mel frames (T).
        n_mels: Mel bins (M).

    Returns:
        (M, T) in [0, 1].
    """
    planes = []
    for site in attention.values():
        cell = int(site["cell"])
        planes.append(site["mass"][style].repeat(cell, axis=0).repeat(cell, axis=1)[:n_mels, :frames])
    return np.mean(planes, axis=0, dtype=np.float64)
