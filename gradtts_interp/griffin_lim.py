"""Griffin-Lim and what it stands on: magnitudes behind a mel, and phases that fit them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.audio import mel_filters
from gradtts_interp.config import MelConfig

EDGE_FRAMES = 2
"""Frames repeated on either side, so that the signal is longer than half a transform and its ends are not bent."""

MOMENTUM = 0.9
INVERSE_ROUNDS = 30


class MelInverse(nn.Module):
    """Finds non-negative magnitudes behind a mel.

    Args:
        config: The mel contract.
        rounds: Multiplicative updates (Lee and Seung 2001).
    """

    filters: Tensor
    inverse: Tensor
    covered: Tensor
    """Bins that some filter sees (F,); of those above ``fmax_hz`` a mel says nothing."""

    def __init__(self, config: MelConfig, *, rounds: int = INVERSE_ROUNDS) -> None:
        super().__init__()
        self.floor, self.rounds = config.log_floor, rounds
        filters = torch.from_numpy(mel_filters(config))
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("inverse", torch.linalg.pinv(filters), persistent=False)
        self.register_buffer("covered", filters.sum(0) > 0, persistent=False)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Magnitudes (B, F, T) whose mels are near the log-mels (B, M, T)."""
        mel = log_mel.to(self.filters).exp()
        magnitude = torch.matmul(self.inverse, mel).clamp(min=self.floor)
        target = torch.matmul(self.filters.T, mel)
        for _ in range(self.rounds):
            reached = torch.matmul(self.filters.T, torch.matmul(self.filters, magnitude))
            magnitude = magnitude * target / reached.clamp(min=1e-12)
        return magnitude


def refine_phase(
    audio: Tensor,
    magnitude: Tensor,
    window: Tensor,
    config: MelConfig,
    *,
    rounds: int,
    covered: Tensor | None = None,
) -> Tensor:
    """Move audio towards given magnitudes, keeping as much of its phase as fits: fast Griffin-Lim from its own phase.

    A vocoder that is not fully trained repeats its waveform at the frame rate, which is heard as a buzz and measured
    as a wrong F0. A few rounds give back the magnitudes that the mel asks for, and the F0 with them.

    Args:
        audio: Samples (B, N), N = T * hop.
        magnitude: Wanted magnitudes (B, F, T) on the mel's frames.
        window: Analysis window (``config.window_samples``,).
        config: The mel contract.
        rounds: Rounds; 0 returns ``audio``.
        covered: Bins (F,) bool that ``magnitude`` speaks of; the others keep the magnitudes of ``audio``. All if None.

    Returns:
        Samples (B, N).

    Source: Perraudin, Balazs, Soendergaard 2013, "A fast Griffin-Lim algorithm".
    """
    if rounds == 0:
        return audio
    hop, samples = config.hop_samples, audio.shape[-1]
    # Centred frames stand at multiples of the hop, the mel's half a hop later.
    lead = EDGE_FRAMES * hop - hop // 2
    length = samples + 2 * lead

    def analyse(x: Tensor) -> Tensor:
        return torch.stft(x, config.n_fft, hop, config.window_samples, window, return_complex=True)

    def synthesise(spectrum: Tensor) -> Tensor:
        fitted = _with_magnitude(spectrum, wanted)
        return torch.istft(fitted, config.n_fft, hop, config.window_samples, window, length=length)

    wanted = functional.pad(magnitude, (EDGE_FRAMES, EDGE_FRAMES), mode="replicate")
    spectrum = previous = analyse(functional.pad(audio, (lead, lead)))
    if covered is not None:
        wanted = wanted.where(covered[:, None], spectrum.abs())
    for _ in range(rounds):
        reached = analyse(synthesise(spectrum))
        spectrum, previous = reached + MOMENTUM * (reached - previous), reached
    return synthesise(spectrum)[:, lead : lead + samples].clamp(-1.0, 1.0)


def _with_magnitude(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    return magnitude * spectrum / spectrum.abs().clamp(min=1e-9)
