"""The pitch that is asked for: a contour predicted from text and style, and the planes that show it to the U-Net.

A mel prior is smooth over frequency, so it says nothing of harmonics, and a score network with little training finds
them slowly. Here a small network predicts the *shape* of the contour (log-F0 with zero mean and unit spread over
the utterance) and its voicing, the style's prosody vector gives level and spread, and the score network is shown
where the harmonics of that contour lie. A reference's level and range then reach the target by arithmetic.

Source: of the predictor, Ren et al. 2021, "FastSpeech 2", section 2.3, there with absolute values.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.alignment import expand_rows, frame_tokens, sequence_mask, token_mean
from gradtts_interp.config import MelConfig
from gradtts_interp.models.layers import ConvNeXtBlock, Linear
from gradtts_interp.pitch.contour import PROSODY_MEAN, PROSODY_STD
from gradtts_interp.pitch.masks import filter_centres_hz

PITCH_PLANES = 3
PITCH_CHANNELS = 2  # voicing and log-F0 per frame, after the prosody vector and its flag
PITCH_FROM = 5  # the first of them
PROSODY_CHANNELS = PITCH_FROM + PITCH_CHANNELS + 1  # the last is the energy
PLACES = 5
CONTOUR_KERNEL = 9
CONTOUR_LAYERS = 3
ENERGY_FLOOR = -8.0
"""Lowest energy that is told apart, in units of the prosody vector: about -60 dB."""
INNER_CHANNELS = 192
DROPOUT = 0.1
WINDOW_SPREAD_BINS = 0.75
"""Spread of the Hann window's main lobe, in bins of the Fourier transform."""
SMALLEST_SPREAD = 0.2
F0_LIMITS_HZ = (20.0, 2000.0)
ENERGY_WEIGHT = 0.2
"""Of an error of 4 dB, beside one of a spread of the pitch."""
UNVOICED_WEIGHT = 0.1
ENVELOPE_WIDTH = 0.35
"""Of the bell over frequency that envelopes are read by, in F0."""
ENVELOPE_PEAKS = 3.0
"""Log-weight of a bin on a harmonic; one between two has as much less."""
TINIEST_POWER = 1e-12
"""Beside that of the loudest bin, for the logarithm."""
ENVELOPE_FRAMES = 512  # at once, for memory's sake
FAINTEST = -40.0  # log-weight of a bin
LARGEST_STRETCH = 3.0
"""A contour is stretched to unit spread at most so much: a word of one tone must not become a yodel."""


class PredictedPitch(NamedTuple):
    """A predicted contour.

    Attributes:
        shape: Log-F0 of about zero mean and unit spread (B, T).
        voicing: Logit of a frame being voiced (B, T).
        energy: Level of the frame's token above the utterance's, in units of the prosody vector's third number (B, T).
    """

    shape: Tensor
    voicing: Tensor
    energy: Tensor


class ContourPredictor(nn.Module):
    """Pitch, voicing and energy per frame from hidden states without a style, and a pooled style.

    Args:
        channels: Width of the hidden states (D).
        style_channels: Width of the pooled style (E).
    """

    def __init__(self, channels: int, style_channels: int) -> None:
        super().__init__()
        self.tokens = Linear(channels, INNER_CHANNELS)
        self.places = Linear(PLACES, INNER_CHANNELS)
        self.dropout = nn.Dropout(DROPOUT)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(INNER_CHANNELS, kernel=CONTOUR_KERNEL, layers=CONTOUR_LAYERS, style_channels=style_channels)
            for _ in range(CONTOUR_LAYERS)
        )
        self.norm = nn.LayerNorm(INNER_CHANNELS)
        self.out = Linear(INNER_CHANNELS, 3)

    def forward(self, hidden: Tensor, durations: Tensor, frames: int, style: Tensor) -> PredictedPitch:
        """Predict a contour.

        Args:
            hidden: Of each token (B, D, L).
            durations: Frames of each token (B, L).
            frames: Length of the answer (T).
            style: Pooled style (B, E).

        Returns:
            Shape, voicing, and energy that is the same all through a token, (B, T); of no meaning on padding.
        """
        mask = sequence_mask(durations.sum(1), max_length=frames)[..., None].to(hidden.dtype)
        places = token_places(durations, frames).transpose(1, 2).to(hidden.dtype)
        laid = expand_rows(self.tokens(hidden.transpose(1, 2)), durations, frames)
        found = self.of_frames(laid, places, mask, style)
        return found._replace(energy=token_mean(found.energy, durations))

    def of_frames(self, tokens: Tensor, places: Tensor, mask: Tensor, style: Tensor) -> PredictedPitch:
        """Predict from what is laid out over frames; energies are not yet averaged over tokens.

        Args:
            tokens: What :attr:`tokens` makes of the hidden state of each frame (B, T, C).
            places: Where each frame lies (B, T, 5), see :func:`token_places`.
            mask: 1 on frames of the utterance (B, T, 1).
            style: Pooled style (B, E).

        Returns:
            Shape, voicing and energy (B, T).
        """
        h = self.dropout((tokens + self.places(places)) * mask)
        for block in self.blocks:
            h = block(h, mask, style[:, None])
        return PredictedPitch(*self.out(self.norm(h)).float().unbind(-1))


def token_places(durations: Tensor, frames: int) -> Tensor:
    """Where each frame lies in its token and in the utterance.

    Args:
        durations: Frames of each token (B, L).
        frames: Length of the answer (T).

    Returns:
        (B, 5, T): the place of the frame's centre in the token in (0, 1), the reciprocal and the logarithm of the
        token's frames, the place in the utterance in (0, 1), and the logarithm of the utterance's frames minus 5.
    """
    token = frame_tokens(durations, frames)
    start = (durations.cumsum(1) - durations).gather(1, token)
    duration = durations.gather(1, token).clamp_min(1).float()
    centre = torch.arange(frames, device=durations.device) + 0.5
    whole = durations.sum(1, keepdim=True).clamp_min(1).float()
    length = (whole.log() - 5).expand_as(duration)
    return torch.stack([(centre - start) / duration, 1 / duration, duration.log(), centre / whole, length], dim=1)


def contour_of(predicted: PredictedPitch, durations: Tensor, skew: Tensor) -> Tensor:
    """Bring a prediction to unit spread over the voiced frames of each item, and its median to where it shall be.

    A mean over what could be said is flatter than anything that is said; the spread is put back here. Medians are
    matched rather than means, since a tracker's octave errors on a reference move its mean.

    Args:
        predicted: Shape and voicing (B, T).
        durations: Frames of each token (B, L).
        skew: Spreads by which the median shall lie above the mean (B,), see
            :func:`~gradtts_interp.pitch.contour.f0_skew`.

    Returns:
        Shape, probability of voicing, and energy, (B, 3, T).
    """
    probability = predicted.voicing.sigmoid()
    inside = sequence_mask(durations.sum(1), max_length=predicted.shape.shape[1])
    voiced = ((probability > 0.5) & inside).to(predicted.shape.dtype)
    shape = standardise(predicted.shape, voiced, most=LARGEST_STRETCH)
    median = shape.where(voiced > 0, torch.nan).nanmedian(dim=1, keepdim=True).values.nan_to_num()
    return torch.stack([shape - median + skew[:, None], probability, predicted.energy], dim=1)


def standardise(log_f0: Tensor, voiced: Tensor, *, most: float = 1e4) -> Tensor:
    """Shape of contours (B, T): zero mean and unit spread over the voiced frames (B, T), of 0 and 1.

    Args:
        log_f0: Contours in any unit that is a logarithm.
        voiced: 1 on the frames that count.
        most: Largest factor on what is given.

    Returns:
        (B, T).
    """
    count = voiced.sum(1, keepdim=True).clamp_min(1)
    centred = log_f0 - (log_f0 * voiced).sum(1, keepdim=True) / count
    spread = ((centred.square() * voiced).sum(1, keepdim=True) / count).sqrt()
    return centred / spread.clamp_min(1 / most)


def asked_prosody(numbers: Tensor, flag: Tensor, contour: Tensor) -> Tensor:
    """Say what the networks are told per frame.

    Args:
        numbers: Normalised prosody vectors per frame (B, 4, T).
        flag: 1 where they are given (B, 1, T).
        contour: Shape, probability of voicing, and energy above the utterance's level (B, 3, T).

    Returns:
        (B, 8, T): numbers and flag; voicing (0 or 1) and log-F0 in the units of the prosody vector's first number; and
        the energy in the units of its third, at least :data:`ENERGY_FLOOR`.
    """
    shape, probability, above = contour.split(1, dim=1)
    spread = (numbers[:, 1:2] * float(PROSODY_STD[1]) + float(PROSODY_MEAN[1])).clamp_min(0)
    log_f0 = numbers[:, :1] + shape * spread / float(PROSODY_STD[0])
    voicing, energy = (probability > 0.5).to(numbers.dtype) * flag, numbers[:, 2:3] + above
    return torch.cat([numbers, flag, voicing, log_f0, energy.clamp_min(ENERGY_FLOOR)], dim=1)


def asked_f0_hz(log_f0: Tensor) -> Tensor:
    """Log-F0 in the units of the prosody vector, of any shape, to Hz in :data:`F0_LIMITS_HZ`."""
    return torch.exp(log_f0.float() * float(PROSODY_STD[0]) + float(PROSODY_MEAN[0])).clamp(*F0_LIMITS_HZ)


class PitchPlanes(nn.Module):
    """From a contour to planes over the mel bins: where its harmonics lie, its voicing, and its height."""

    centres: Tensor
    spreads: Tensor

    def __init__(self, mel: MelConfig) -> None:
        super().__init__()
        centres = filter_centres_hz(mel)
        # A triangle of half width w has a spread of w / sqrt(6); the window's lobe is added in square.
        lobe = WINDOW_SPREAD_BINS * mel.sample_rate_hz / mel.n_fft
        spreads = np.sqrt(np.gradient(centres) ** 2 / 6 + lobe**2)
        self.register_buffer("centres", torch.tensor(centres, dtype=torch.float32), persistent=False)
        self.register_buffer("spreads", torch.tensor(spreads, dtype=torch.float32), persistent=False)

    def forward(self, pitch: Tensor) -> Tensor:
        """Draw planes (B, 3, M, T) of voicing and normalised log-F0 (B, 2, T).

        The first is a cosine over frequency whose period is F0, seen through each mel filter: 1 on a harmonic and -1
        between two, fading where filters are wider than harmonics are apart.
        """
        voiced, log_f0 = pitch[:, :1].float(), pitch[:, 1:].float()
        comb = self.comb(asked_f0_hz(log_f0))
        flat = torch.stack([voiced, log_f0 * voiced], dim=1).expand(-1, -1, comb.shape[1], -1)
        return torch.cat([(comb * voiced)[:, None], flat], dim=1)

    def comb(self, f0_hz: Tensor) -> Tensor:
        """Cosine over frequency (B, M, T) whose period is F0 (B, 1, T), seen through each mel filter."""
        period = 1 / f0_hz
        cycles, blur = self.centres[:, None] * period, self.spreads[:, None] * period
        return torch.cos(2 * math.pi * cycles) * torch.exp(-2 * (math.pi * blur).square())

    def envelope(self, mel: Tensor, f0_hz: Tensor, *, of_powers: bool = False, mel_std: float = 1.0) -> Tensor:
        """Read the spectral envelope of a mel off its harmonics.

        Each bin becomes a mean of those around it, in which harmonics count e^6 times as much as what lies between
        two of them. A mean of powers has the harmonics' height almost by itself, and follows a spectrum more closely;
        a mean of logarithms is the smoother, and leaves the bins as they are where filters are wider than harmonics
        are apart.

        Args:
            mel: Log-mel of magnitudes (B, M, T).
            f0_hz: F0 of each frame (B, T) in Hz.
            of_powers: Whether powers are averaged; else their logarithms.
            mel_std: Nepers in one unit of the mel.

        Returns:
            Envelope (B, M, T), in the same unit.
        """
        # What is e^-40 of the bin itself is below the rounding of float32, and exponents far below it are slow.
        apart = -0.5 * ((self.centres[:, None] - self.centres) / ENVELOPE_WIDTH).square()
        parts = []
        for part, f0 in zip(mel.float().split(ENVELOPE_FRAMES, -1), f0_hz.split(ENVELOPE_FRAMES, -1), strict=True):
            loudest, unit = part.amax(1, keepdim=True), 2 * mel_std
            values = ((part - loudest) * unit).exp() if of_powers else part
            near = (apart * f0.square().reciprocal()[..., None, None]).clamp(min=FAINTEST).exp()
            peaks = (ENVELOPE_PEAKS * self.comb(f0[:, None])).exp()
            total, weight = (near @ torch.stack([peaks * values, peaks], dim=-1).transpose(1, 2)).unbind(-1)
            mean = (total / weight).transpose(1, 2)
            parts.append(loudest + mean.clamp_min(TINIEST_POWER).log() / unit if of_powers else mean)
        return torch.cat(parts, dim=-1)


def pitch_losses(
    predicted: PredictedPitch, log_f0: Tensor, voiced: Tensor, valid: Tensor, *, energy: Tensor
) -> tuple[Tensor, Tensor]:
    """Losses of predicted contours against measured ones.

    Args:
        predicted: Shape, voicing and energy (B, T).
        log_f0: Measured, in any logarithm, interpolated through unvoiced frames (B, T).
        voiced: 1 on voiced frames (B, T).
        valid: 1 on frames of the utterance (B, T).
        energy: Measured energy, as it is predicted (B, T).

    Returns:
        Sum of smooth absolute errors of the shape over voiced frames (times :data:`UNVOICED_WEIGHT` over the others, so
        that a blend may be voiced where one of its styles is not), of binary cross entropies of the voicing over all
        frames, and of absolute errors of the energy times :data:`ENERGY_WEIGHT`; and the number of frames; both ().
    """
    voiced = voiced * valid
    target = standardise(log_f0, voiced, most=1 / SMALLEST_SPREAD)
    shape = functional.smooth_l1_loss(predicted.shape, target, reduction="none")
    shape = shape * (voiced + UNVOICED_WEIGHT * (valid - voiced))
    voicing = functional.binary_cross_entropy_with_logits(predicted.voicing, voiced, reduction="none") * valid
    distance = functional.smooth_l1_loss(predicted.energy, energy, reduction="none")
    return (shape + voicing).sum() + ENERGY_WEIGHT * (distance * valid).sum(), valid.sum()
