"""The floor of the vocoder, which no blend can pass. Other baselines are in :mod:`.grid` and by WORLD."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.audio import log_mel
from gradtts_interp.config import MelConfig
from gradtts_interp.vocoder import MelDecoder


def through_vocoder(
    audio: NDArray[np.float32], vocoder: MelDecoder, config: MelConfig, *, device: str = "cpu"
) -> NDArray[np.float32]:
    """What a vocoder makes of the mel of a recording (N,): the floor that no synthesis with it can pass.

    Args:
        audio: Samples (N,).
        vocoder: The vocoder.
        config: Its mel contract.
        device: Where it works.

    Returns:
        Samples, as many to a hop.
    """
    with torch.no_grad():
        mel = log_mel(torch.from_numpy(audio), config).to(device)
        return vocoder(mel, config).float().cpu().numpy()
