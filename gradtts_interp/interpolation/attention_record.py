"""Record which style each position of the mel reads: attention mass by style, averaged over heads and steps."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.style_attention import AttentionMassProcessor
from gradtts_interp.models.style_context import StyleContext

MIXED_STYLES = 2


class StyleMassRecorder:
    """Context manager that sums the attention mass of each style at every site while the model runs.

    The maps themselves are never built (see :class:`~gradtts_interp.models.style_attention.AttentionMassProcessor`).
    The model gets its own processors back at the end, also after an error. Only network evaluations that read all
    styles at once are recorded; where each style is read alone there is no mass to divide.

    Args:
        model: The model whose sites are watched.
        styles: Number of styles (n).
        items: Lines in the batch (B); further rows of an evaluation (other branches, the null style) are left out.
    """

    def __init__(self, model: GradTTS, *, styles: int, items: int) -> None:
        self.model, self.styles, self.items = model, styles, items
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._before: dict[str, Any] = {}
        self._owners = 0

    def __enter__(self) -> StyleMassRecorder:
        self._before = self.model.attn_processors
        self.model.set_attn_processor(
            {name: AttentionMassProcessor(self._key_sets, self._recorder(name)) for name in self._before}
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.model.set_attn_processor(self._before)

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


def mass_over_time(
    attention: dict[str, dict[str, Any]], style: int, frames: int, *, bins: slice = slice(None), n_mels: int = 80
) -> NDArray[np.float64]:
    """Attention mass of one style on the mel's frames, mean over sites and bins.

    Args:
        attention: As in :attr:`gradtts_interp.speech.Speech.attention`.
        style: Its number, 0 for A.
        frames: Mel frames (T).
        bins: Mel bins that count, such as those of F0.
        n_mels: Mel bins (M).

    Returns:
        (T,) in [0, 1].
    """
    rows = []
    for site in attention.values():
        cell = int(site["cell"])
        plane = np.repeat(np.repeat(site["mass"][style], cell, axis=0), cell, axis=1)[:n_mels, :frames]
        rows.append(plane[bins].mean(0))
    return np.mean(rows, axis=0, dtype=np.float64)
