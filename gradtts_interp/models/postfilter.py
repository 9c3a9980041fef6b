"""A postfilter of mels: formants are brought out that a model trained on means has left too flat.

Source: Yoshimura et al. 2005, "Incorporating a mixed excitation model and postfilter into an HMM-based text-to-speech
    synthesis system", which multiplies all mel-cepstra but the first two; here those of formants alone, since those
    above are the harmonics', whose level the pitch decides.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

FORMANT_QUEFRENCIES = (3, 13)
"""Cosines over the mel bins that hold formants: below is the tilt of the spectrum, above are harmonics."""


def emphasise_formants(mel: Tensor, gain: float) -> Tensor:
    """Multiply what a log-mel has at the quefrencies of formants.

    Args:
        mel: Log-mel (..., M, T), M > 12.
        gain: Factor, 1 for none; 1.1 to 1.4 is usual.

    Returns:
        Log-mel of the same shape and level.
    """
    return mel + (gain - 1.0) * lifter(mel, *FORMANT_QUEFRENCIES)


def lifter(mel: Tensor, first: int, end: int) -> Tensor:
    """Keep some quefrencies of a log-mel (..., M, T): cosines number ``first`` to ``end`` - 1 over the bins."""
    return _projection(mel.shape[-2], first, end).to(mel) @ mel


@lru_cache(maxsize=8)
def _projection(n_mels: int, first: int, end: int) -> Tensor:
    """Matrix (M, M) that keeps quefrencies from 1 on alone."""
    with torch.inference_mode(False):
        quefrencies = torch.arange(first, end, dtype=torch.float64)[:, None]
        places = (torch.arange(n_mels, dtype=torch.float64) + 0.5) / n_mels
        cosines = (2.0 / n_mels) ** 0.5 * torch.cos(math.pi * quefrencies * places)
        return (cosines.T @ cosines).float()
