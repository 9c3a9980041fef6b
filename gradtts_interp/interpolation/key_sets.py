"""From masks of the reference plane to sets of keys, and the mass each set gets at every attention site.

Two planes, never mixed up: *keys* lie on the reference plane (M, K) and are chosen here; *queries* lie on the target
plane (M, T) and keep their place, (B, H, W) at each site.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.objectives import KEY_REGIONS
from gradtts_interp.interpolation.reading import region_mask
from gradtts_interp.interpolation.shares import PitchRegion
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.style_attention import AttentionMassProcessor
from gradtts_interp.models.style_context import StyleContext
from gradtts_interp.styles import Style


def style_key_sets(model: GradTTS, styles: Sequence[Style], sizes: Sequence[int], pitch: PitchRegion) -> Tensor:
    """Key sets of several styles side by side.

    Args:
        model: The model whose style encoder cuts a reference into tokens.
        styles: n styles with a reference.
        sizes: Tokens of each.
        pitch: What counts as pitch on the reference plane.

    Returns:
        (S, n, 2) in [0, 1] with S = sum of sizes: by how much of its area each token lies inside its own style's pitch
        mask, and by how much not; 0 for tokens of other styles. The token of the manner is pitch; those of
        speaker, emotion and voice are not.

    Raises:
        InputError: A style has no reference, or the model no style encoder.
    """
    if model.style_encoder is None:
        raise InputError("noise tuning: this checkpoint has no style attention")
    rows = []
    for i, (style, size) in enumerate(zip(styles, sizes, strict=True)):
        if style.contour is None:
            raise InputError(f"style {style.name}: noise tuning needs a reference with an F0 contour")
        plane = region_mask(style.contour, pitch, model.settings.mel)
        area = model.style_encoder.tokens_of_mask(torch.from_numpy(plane)[None].to(model.device))[0]
        area = functional.pad(area, (0, size - area.shape[0]))
        if model.style_encoder.manner is not None:
            area[-2] = 1
        row = area.new_zeros(size, len(styles), KEY_REGIONS)
        row[:, i] = torch.stack([area, 1 - area], dim=-1)
        rows.append(row)
    return torch.cat(rows)


class AllSeenError(Exception):
    """Ends a network evaluation of which nothing but the attention mass is wanted."""


class MassObserver:
    """Context manager under which network evaluations also give the mass of key sets, on the graph.

    The model gets back the processors it had, whatever happens; with a recorder active outside, it sees none of these
    evaluations.

    Args:
        model: The model that is watched.
        sites: Names of its attention sites to watch.
        sets: Key sets (S, n, 2).
        items: Lines in the batch (B); further rows of an evaluation (other branches, the null style) are left out.
        stop: Whether the evaluation ends, by :class:`AllSeenError`, with the last of the sites; what follows is the
            costliest level of the network.
    """

    def __init__(self, model: GradTTS, sites: Sequence[str], sets: Tensor, items: int, *, stop: bool = False) -> None:
        self.model, self.sites, self.sets, self.items, self.stop = model, tuple(sites), sets, items, stop
        self._seen: dict[str, Tensor] = {}
        self._before: dict[str, Any] = {}

    def __enter__(self) -> MassObserver:
        self._before = self.model.attn_processors
        ours = {name: AttentionMassProcessor(self._key_sets, self._recorder(name)) for name in self.sites}
        self.model.set_attn_processor({**self._before, **ours})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.model.set_attn_processor(self._before)
        self._seen = {}

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
