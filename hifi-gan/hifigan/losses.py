"""Losses of HiFi-GAN, and the multi-resolution STFT loss of the warm-up and of generators with a harmonic source."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hifigan.discriminators import Judgement

# Points of the transform, hop, window, in samples (Parallel WaveGAN).
RESOLUTIONS = ((512, 128, 512), (1024, 256, 1024), (256, 64, 256))
MAGNITUDE_FLOOR = 1e-5
# For a harmonic source: long windows tell harmonics apart, and what is 100 dB below a vowel is not heard.
HARMONIC_RESOLUTIONS = ((512, 128, 512), (1024, 256, 1024), (2048, 512, 2048))
HARMONIC_FLOOR = 1e-3


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


def stft_loss(
    fake: Tensor,
    real: Tensor,
    resolutions: Sequence[tuple[int, int, int]] = RESOLUTIONS,
    *,
    floor: float = MAGNITUDE_FLOOR,
    other: Tensor | None = None,
) -> Tensor:
    """Spectral convergence plus log-magnitude distance, mean over resolutions.

    Another draw of the same speech, which differs in its noise alone, makes this a *spectral energy distance*: what the
    two differ from each other is taken off. Its gradient vanishes where the generated noise is distributed as the
    recorded one; that of the plain distance where there is too little of it, and harmonics in its place.

    Args:
        fake: Generated samples (B, N).
        real: Recorded samples (B, N).
        resolutions: Points of the transform, hop, window, in samples.
        floor: Magnitudes below count as this.
        other: The same speech with other noise (B, N), or None; no gradient reaches it, since by symmetry that of
            ``fake`` stands for both.

    Returns:
        Loss, shape (); near 0 at best with ``other``, and it may be below.

    Source: Yamamoto et al. 2020, Parallel WaveGAN, section 2.2; of the energy distance, Gritsenko et al. 2020, "A
        Spectral Energy Distance for Parallel Speech Synthesis".
    """
    total = fake.new_zeros(())
    for resolution in resolutions:
        y = _magnitude(real, *resolution, floor)
        norm = y.norm().clamp(min=MAGNITUDE_FLOOR)
        x = _magnitude(fake, *resolution, floor)
        log = x.log()
        total = total + (y - x).norm() / norm + functional.l1_loss(log, y.log())
        if other is not None:
            z = _magnitude(other.detach(), *resolution, floor)
            total = total - (z - x).norm() / norm - functional.l1_loss(log, z.log())
    return total / len(resolutions)


def _magnitude(audio: Tensor, n_fft: int, hop: int, window: int, floor: float) -> Tensor:
    """Return STFT magnitudes (B, T, F), never 0 so that gradients stay finite."""
    padded = functional.pad(audio[:, None], (n_fft // 2, n_fft // 2), mode="reflect")[:, 0]
    points = _window(window, audio.device)
    if window < n_fft:
        points = functional.pad(points, ((n_fft - window) // 2, n_fft - window - (n_fft - window) // 2))
    return _Magnitude.apply(padded, points, hop).clamp(min=floor)


class _Magnitude(torch.autograd.Function):
    """Magnitudes (B, T, F) of windowed frames of samples (B, N), with a backward pass of real transforms.

    That of ``torch.stft`` takes complex ones of twice the length and adds frames one index after the other: a third of
    a training step on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, audio: Tensor, window: Tensor, hop: int) -> Tensor:
        spectrum = torch.fft.rfft(audio.unfold(-1, len(window), hop) * window)
        magnitude = spectrum.abs()
        ctx.hop, ctx.samples = hop, audio.shape[-1]
        ctx.save_for_backward(spectrum, magnitude, window)
        return magnitude

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        spectrum, magnitude, window = ctx.saved_tensors
        n_fft, hop = len(window), ctx.hop
        # The real transform counts each bin twice but the first and last, and divides by the length.
        pointing = spectrum * (gradients[0] * (0.5 * n_fft) / magnitude.clamp(min=1e-12))
        pointing[..., 0] *= 2
        pointing[..., -1] *= 2
        frames = torch.fft.irfft(pointing, n_fft) * window
        overlap = -(-n_fft // hop)
        pieces = functional.pad(frames, (0, overlap * hop - n_fft)).unflatten(-1, (overlap, hop))
        total = sum(functional.pad(pieces[:, :, k], (0, 0, k, overlap - 1 - k)) for k in range(overlap))
        flat = total.flatten(1)[:, : ctx.samples]
        return functional.pad(flat, (0, ctx.samples - flat.shape[1])), None, None


@lru_cache(maxsize=16)
def _window(samples: int, device: torch.device) -> Tensor:
    """Return a Hann window (samples,)."""
    return torch.hann_window(samples, device=device)
