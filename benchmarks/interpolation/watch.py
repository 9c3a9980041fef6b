"""What one rendering asks of the network, and where its attention goes, evaluation by evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from gradtts_interp.interpolation.key_sets import MassObserver, style_key_sets
from gradtts_interp.interpolation.objectives import KEY_REGIONS
from gradtts_interp.interpolation.shares import PitchRegion
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.styles import Style

PITCH = 0


@dataclass
class Watch:
    """What was seen.

    Attributes:
        evaluations: Network evaluations, each style of a score mix and each look of a tuning counted.
        gradients: Evaluations among them whose gradient was kept.
        mass: For each evaluation of the sampler: its time, and A's pitch keys' attention mass, mean over positions and
            heads, by site.
    """

    evaluations: int = 0
    gradients: int = 0
    mass: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def pitch_mass(self, t_from: float = 0.0) -> float:
        """Mean mass over sites and over evaluations at times above ``t_from``, NaN where nothing was seen."""
        rows = [sum(sites.values()) / len(sites) for t, sites in self.mass if t > t_from and sites]
        return sum(rows) / len(rows) if rows else math.nan

    def by_site(self) -> dict[str, float]:
        """Mean mass over all evaluations, by site."""
        found: dict[str, list[float]] = {}
        for _, sites in self.mass:
            for site, mass in sites.items():
                found.setdefault(site, []).append(mass)
        return {site: sum(values) / len(values) for site, values in found.items()}


@contextmanager
def watching(tts: GradTTSInterpPipeline, styles: Sequence[Style] | None = None) -> Iterator[Watch]:
    """Count the evaluations of what runs inside, and watch its attention.

    Args:
        tts: The pipeline.
        styles: The styles it reads side by side, for the mass of the first one's pitch; None only counts.

    Yields:
        What was seen so far.
    """
    watch, estimator = Watch(), tts.model.decoder.estimator
    with ExitStack() as stack:
        observer = None
        if styles is not None and tts.model.attention_sites:
            encoder = tts.model.style_encoder
            sizes = [_tokens(tts, encoder, style) for style in styles]
            sets = style_key_sets(tts.model, styles, sizes, PitchRegion())
            assert sets.shape[-1] == KEY_REGIONS
            observer = stack.enter_context(MassObserver(tts.model, tuple(tts.model.attention_sites), sets, 1))

        def asked(_: Any, args: tuple[Any, ...]) -> None:
            watch.evaluations += args[0].shape[0]
            watch.gradients += args[0].shape[0] * int(torch.is_grad_enabled())

        def seen(_: Any, args: tuple[Any, ...], __: Any) -> None:
            masses = observer.take() if observer is not None else {}
            if masses:  # while a tuning looks, its own observer has taken the place of this one
                watch.mass.append(
                    (float(args[3][0]), {site: float(m[0, 0, PITCH].mean()) for site, m in masses.items()})
                )

        for handle in (estimator.register_forward_pre_hook(asked), estimator.register_forward_hook(seen)):
            stack.callback(handle.remove)
        yield watch


def _tokens(tts: GradTTSInterpPipeline, encoder: Any, style: Style) -> int:
    """Tokens a style has beside another one when pitch and the rest are read from different references."""
    assert style.mel is not None
    mel = torch.from_numpy(style.mel)[None]
    return int(encoder(mel, torch.tensor([mel.shape[2]])).tokens.shape[1])
