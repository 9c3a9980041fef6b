"""Losses of HiFi-GAN, and the multi-resolution STFT loss of the warm-up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from hifigan.discriminators import Judgement

# Points of the transform, hop, window, in samples (Parallel WaveGAN).
RESOLUTIONS = ((512, 128, 512), (1024, 256, 1024), (256, 64, 256))
MAGNITUDE_FLOOR = 1e-5


def discriminator_loss(real: Sequence[Judgement], fake: Sequence[Judgement]) -> Tensor:
    """Least-squares loss of the discriminators: real towards 1, fake towards 0.

    Args:
        real: Judgements of recordings.
        fake: Judgements of detached generated audio.

    Returns:
        Sum over discriminators, shape ().
    """
    pairs = zip(real, fake, strict=True)
    return torch.stack([(1 - r).square().mean() + f.square().mean() for (r, _), (f, _) in pairs]).sum()


def generator_loss(fake: Sequence[Judgement]) -> Tensor:
    """Least-squares loss of the generator: fake towards 1; shape ()."""
    return torch.stack([(1 - scores.float()).square().mean() for scores, _ in fake]).sum()


def feature_loss(real: Sequence[Judgement], fake: Sequence[Judgement]) -> Tensor:
    """L1 distance of the discriminators' features, summed over layers; shape ()."""
    distances = [
        functional.l1_loss(f.float(), r.detach().float())
        for (_, reals), (_, fakes) in zip(real, fake, strict=True)
        for r, f in zip(reals, fakes, strict=True)
    ]
    return torch.stack(distances).sum()


def stft_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Spectral convergence plus log-magnitude distance, mean over three resolutions.

    Args:
        fake: Generated samples (B, N).
        real: Recorded samples (B, N).

    Returns:
        Loss, shape ().

    Source: Yamamoto et al. 2020, Parallel WaveGAN, section 2.2.
    """
    total = fake.new_zeros(())
    for resolution in RESOLUTIONS:
        x, y = _magnitude(fake, *resolution), _magnitude(real, *resolution)
        total = total + (y - x).norm() / y.norm().clamp(min=MAGNITUDE_FLOOR)
        total = total + functional.l1_loss(x.log(), y.log())
    return total / len(RESOLUTIONS)


def _magnitude(audio: Tensor, n_fft: int, hop: int, window: int) -> Tensor:
    """Return STFT magnitudes (B, F, T), never 0 so that gradients stay finite."""
    spectrum = torch.stft(audio, n_fft, hop, window, _window(window, audio.device), return_complex=True)
    return torch.view_as_real(spectrum).square().sum(-1).clamp(min=MAGNITUDE_FLOOR**2).sqrt()


@lru_cache(maxsize=16)
def _window(samples: int, device: torch.device) -> Tensor:
    """Return a Hann window (samples,)."""
    return torch.hann_window(samples, device=device)
