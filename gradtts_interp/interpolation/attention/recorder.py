"""Recorders of attention: the mass of each style, whole maps by phoneme, and the mass of key sets on the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.attention.maps import AttentionMaps, MapOptions
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.style_attention import AttentionMapProcessor, AttentionMassProcessor
from gradtts_interp.models.style_context import StyleContext
from gradtts_interp.styles import Style

Watch = TypeVar("Watch", bound="AttentionWatch")
Spans = Sequence[tuple[int, int]]
MIXED_STYLES = 2
KEY_REGIONS = 2
"""Keys of a style are kept apart as those of its pitch (0) and the rest (1)."""


class AttentionWatch:
    """Context manager under which attention sites of a model have other processors.

    The model gets back those that it had at the end, also after an error.

    Args:
        model: The model that is watched.
        items: Lines in the batch (B); further rows of an evaluation (other branches, the null style) are left out.
    """

    def __init__(self, model: GradTTS, *, items: int) -> None:
        self.model, self.items = model, items
        self._before: dict[str, Any] = {}

    def _processors(self) -> dict[str, Any]:
        """Processors of the sites that are watched."""
        raise NotImplementedError

    def __enter__(self: Watch) -> Watch:
        self._before = self.model.attn_processors
        self.model.set_attn_processor(self._before | self._processors())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.model.set_attn_processor(self._before)


class StyleMassRecorder(AttentionWatch):
    """Sums the attention mass of each style at every site while the model runs.

    The maps themselves are never built (see :class:`~gradtts_interp.models.style_attention.AttentionMassProcessor`).
    Only network evaluations that read all styles at once are recorded; where each style is read alone there is no mass
    to divide.

    Args:
        model: The model whose sites are watched.
        styles: Number of styles (n).
        items: Lines in the batch (B); further rows of an evaluation (other branches, the null style) are left out.
    """

    def __init__(self, model: GradTTS, *, styles: int, items: int) -> None:
        super().__init__(model, items=items)
        self.styles = styles
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._owners = 0

    def _processors(self) -> dict[str, Any]:
        return {
            name: AttentionMassProcessor(self._key_sets, self._recorder(name)) for name in self.model.attention_sites
        }

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
            cell = self.model.attention_sites[name].cell
            height = round(self.model.settings.n_feats / cell)
            mean = (total[item] / self._counts[name]).cpu().unflatten(0, (height, -1)).permute(2, 0, 1)
            answer[name] = {"mass": mean[:, :, : -(-frames // int(cell))].numpy(), "cell": cell}
        return answer or None

    def _key_sets(self, context: StyleContext) -> Tensor:
        """One set of keys for each style, (B, S, n)."""
        self._owners = context.n_styles
        sets = functional.one_hot(context.owner, self._owners)
        return sets[None].expand(context.tokens.shape[0], -1, -1)

    def _recorder(self, name: str) -> Callable[[Tensor], None]:
        @torch.no_grad()
        def record(mass: Tensor) -> None:
            if self._owners != self.styles or self.styles < MIXED_STYLES:
                return
            mean = mass[: self.items].detach().float().mean(1)
            self._sums[name] = self._sums[name] + mean if name in self._sums else mean
            self._counts[name] = self._counts.get(name, 0) + 1

        return record


class AttentionMapRecorder(StyleMassRecorder):
    """Context manager that records attention maps, and the mass of each style, while the model runs.

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
        spans: Sequence[Spans],
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

    def _processors(self) -> dict[str, Any]:
        return {name: AttentionMapProcessor(self._map_recorder(name)) for name in self.model.attention_sites}

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

    def _map_recorder(self, name: str) -> Callable[[Tensor, slice, int, StyleContext], None]:
        @torch.no_grad()
        def record(weights: Tensor, queries: slice, positions: int, context: StyleContext) -> None:
            if context.n_styles != self.styles:
                return
            kept = weights[: self.items, ..., : sum(self.sizes)].float()
            self._add_mass(name, kept, queries, context.owner[: kept.shape[-1]], positions)
            self._add_map(name, kept, queries, positions)

        return record

    def _add_mass(self, name: str, weights: Tensor, queries: slice, owner: Tensor, positions: int) -> None:
        sets = functional.one_hot(owner, self.styles).to(weights)
        if name not in self._sums:
            self._sums[name] = weights.new_zeros(self.items, positions, self.styles)
        self._sums[name][:, queries] += weights.mean(1) @ sets
        self._counts[name] = self._counts.get(name, 0) + (queries.start == 0)

    def _add_map(self, name: str, weights: Tensor, queries: slice, positions: int) -> None:
        if name not in self._maps:
            self._pools[name] = self._pool(name, positions).to(weights)
            heads = weights.shape[1] if self.options.each_head else 1
            size = (self.options.time_bins, self.items, heads, self._pools[name].shape[1], weights.shape[-1])
            self._maps[name] = torch.zeros(size)
            self._evaluations[name] = np.zeros(self.options.time_bins, dtype=np.int64)
        if not self.options.each_head:
            weights = weights.mean(1, keepdim=True)
        self._maps[name][self._interval] += (self._pools[name][:, None, :, queries] @ weights).cpu()
        self._evaluations[name][self._interval] += queries.start == 0

    def _pool(self, name: str, positions: int) -> Tensor:
        """Weights (B, P, Q) that average over the positions of each phoneme."""
        cell = float(self.model.attention_sites[name].cell)
        height = round(self.model.settings.n_feats / cell)
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


class MassObserver(AttentionWatch):
    """Gives the attention mass of key sets in each network evaluation, on the graph.

    With a recorder active outside, that one sees none of these evaluations.

    Args:
        model: The model that is watched.
        sites: Names of its attention sites to watch.
        sets: Key sets (S, n, 2).
        items: Lines in the batch (B); further rows of an evaluation (other branches, the null style) are left out.
        stop: Whether the evaluation ends, by :class:`AllSeenError`, with the last of the sites; what follows is the
            costliest level of the network.
    """

    def __init__(self, model: GradTTS, sites: Sequence[str], sets: Tensor, items: int, *, stop: bool = False) -> None:
        super().__init__(model, items=items)
        self.sites, self.sets, self.stop = tuple(sites), sets, stop
        self._seen: dict[str, Tensor] = {}

    def _processors(self) -> dict[str, Any]:
        return {name: AttentionMassProcessor(self._key_sets, self._recorder(name)) for name in self.sites}

    def take(self) -> dict[str, Tensor]:
        """Masses (B, n, 2, H, W) of the last evaluation by site; they are then forgotten here."""
        seen, self._seen = self._seen, {}
        return seen

    def _key_sets(self, context: StyleContext) -> Tensor:
        """Sets as columns (B, S, n * 2); keys of other branches' padding belong to none."""
        sets = functional.pad(self.sets.flatten(1), (0, 0, 0, context.tokens.shape[1] - self.sets.shape[0]))
        return sets[None].expand(context.tokens.shape[0], -1, -1)

    def _recorder(self, name: str) -> Callable[[Tensor], None]:
        height = round(self.model.settings.n_feats / self.model.attention_sites[name].cell)

        def record(mass: Tensor) -> None:
            mean = mass[: self.items].float().mean(1)
            self._seen[name] = rearrange(mean, "b (f t) (n r) -> b n r f t", f=height, r=KEY_REGIONS)
            if self.stop and len(self._seen) == len(self.sites):
                raise AllSeenError

        return record


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
