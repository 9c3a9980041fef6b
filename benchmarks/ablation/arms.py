"""The arms: each adds one part of the training mix to the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.training.data import Corpus, Item
from gradtts_interp.training.mix import Batch, MixConfig, Mixer, Reference
from gradtts_interp.training.start import PITCH_PARTS


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: As in the table.
        dual: Whether pitch and voice come from two references in part of the items.
        masks: Whether the planes of dual references are masked to their part, and random tokens are hidden.
        blends: Whether part of the items are true blends.
        prosody: Whether the networks read the prosody numbers.
        pitch: Whether a pitch contour is predicted and shown to the score network.
    """

    name: str
    dual: bool = False
    masks: bool = False
    blends: bool = False
    prosody: bool = False
    pitch: bool = False

    def mix(self, crop_frames: int, reference_frames: int) -> MixConfig:
        """Shares of the mix; what an arm lacks goes to matched references."""
        usual = MixConfig(crop_frames=crop_frames, reference_frames=reference_frames)
        dual, blend = usual.dual * self.dual, usual.blend * self.blends
        return replace(usual, dual=dual, blend=blend, matched=1 - dual - blend, one_sided=0.0)


ARMS = (
    Arm("matched only"),
    Arm("+ dual", dual=True),
    Arm("+ token masks", dual=True, masks=True),
    Arm("+ blends", dual=True, masks=True, blends=True),
    Arm("+ prosody vector", dual=True, masks=True, blends=True, prosody=True),
    Arm("+ pitch contour", dual=True, masks=True, blends=True, prosody=True, pitch=True),
)


class ArmMixer(Mixer):
    """The training mix of an arm.

    Args:
        corpus: Training items.
        arm: What it has.
        config: Its shares.
        seed: Of all draws.
    """

    def __init__(self, corpus: Corpus, arm: Arm, config: MixConfig, *, seed: int = 0) -> None:
        super().__init__(corpus, config, MelConfig(), seed=seed)
        self.arm = arm

    def batch(self, step: int, size: int, **place: Any) -> Batch:
        """The batch of a step, without prosody numbers where the arm has none."""
        found = super().batch(step, size, **place)
        return found if self.arm.prosody else replace(found, prosody=torch.zeros_like(found.prosody))

    def _reference(self, rng: np.random.Generator, item: Item, **options: Any) -> Reference:
        found = super()._reference(rng, item, **options)
        return found if self.arm.masks else replace(found, mask=_everything(found.mask))


def _everything(mask: NDArray) -> NDArray:
    return np.ones_like(mask)


def model_of(arm: Arm, body: GradTTS, *, seed: int = 0) -> GradTTS:
    """A model that speaks but cannot read references yet.

    Args:
        arm: Without prosody it has no input for it.
        body: Trained model; its text encoder and U-Net are taken, its style encoder and style attention are not.
        seed: Of the fresh weights, the same for all arms.

    Returns:
        The model in training mode.
    """
    style = body.settings.style
    assert style is not None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        everything = replace(body.settings, style=replace(style, prosody=True, pitch=True))
        fresh = GradTTS(everything.to_dict()).state_dict()
    model = GradTTS(replace(body.settings, style=replace(style, prosody=arm.prosody, pitch=arm.pitch)).to_dict())
    known = body.state_dict()
    state = {name: fresh[name] if reads_style(name) else known[name] for name in model.state_dict()}
    model.load_state_dict(state)
    assert model.style_encoder is not None
    if not arm.prosody:  # its input is always 0 in training: with these weights it has no effect afterwards either
        torch.nn.init.zeros_(model.style_encoder.pool_prosody.weight)
    return model.train()


def reads_style(name: str) -> bool:
    """Whether a parameter belongs to what reads references."""
    parts = ("style_encoder.", "decoder.estimator.style_attn.", "decoder.estimator.prosody_", *PITCH_PARTS)
    return name.startswith(parts)
