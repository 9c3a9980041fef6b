"""A generator with a harmonic source: pitch is exact by construction, the network decides level and phase of each bin.

Two signals are known before any network is asked: a train of pulses whose phase is the sum of the F0 contour, and white
noise. A stack of ConvNeXt blocks over mel frames gives each bin of their short-time spectra a bounded gain, and the
pulses a phase; the two spectra are added and inverted. The sum of two signals, one of them random, never has quite the
level that the mel says, so that each mel bin is brought to it once. Nothing iterates, and nothing can move the pitch.

Source: of the source and its filters, Wang, Takaki, Yamagishi 2019, "Neural source-filter waveform models"; of pulses
in closed form, Winham and Steiglitz 1970; of blocks and inverse transform, Siuzdak 2023, "Vocos".
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hifigan.config import HarmonicConfig

REFERENCE_F0_HZ = 150.0
LOWEST_F0_HZ, HIGHEST_F0_HZ = 40.0, 1200.0
"""What F0 is clamped to: far beyond speech, so that the number of harmonics stays finite."""

MEL_CENTRE, MEL_SCALE = -5.0, 2.5
HIGHEST_LOG_MEL = 4.0
"""Log-mels above are taken for this, so that a wrong mel is loud and not infinite."""

NOISE_CUT_HZ = (3000.0, 5000.0)
"""Below the first, noise of voiced frames is lowered in full; above the second not at all."""

GREATEST_CORRECTION = 3.0
"""Bound of what a mel bin is raised or lowered by, in nats."""

LEAST_MAGNITUDE = 1e-5
NOISE_BLOCK_FRAMES = 64
HARMONIC_SHARE_OF_NYQUIST = 0.98


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over frames, then two layers at each frame, added to what came in.

    Args:
        width: Channels (C).
        kernel: Frames of the convolution.
        expansion: Channels between the two layers, as a multiple of ``width``.

    Source: Liu et al. 2022, "A ConvNet for the 2020s".
    """

    def __init__(self, width: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, C) to the same shape."""
        inner = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return x + self.scale * self.narrow(functional.silu(self.widen(self.norm(inner))))


class PitchReader(nn.Module):
    """Reads F0 and voicing from a mel, for where no contour is given.

    Args:
        config: Shape of the generator, whose ``pitch_width`` and ``pitch_blocks`` these are.
    """

    def __init__(self, config: HarmonicConfig) -> None:
        super().__init__()
        self.enter = nn.Conv1d(config.num_mels, config.pitch_width, config.kernel, padding=config.kernel // 2)
        self.blocks = nn.Sequential(
            *(ConvNeXtBlock(config.pitch_width, config.kernel, config.expansion) for _ in range(config.pitch_blocks))
        )
        self.norm = nn.LayerNorm(config.pitch_width)
        self.leave = nn.Linear(config.pitch_width, 2)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Read log-mels.

        Args:
            mel: Natural-log mel magnitudes (B, M, T).

        Returns:
            Natural log of F0 in Hz, and the logit of voicing, (B, T) each.
        """
        x = self.enter(_normalised(mel)).transpose(1, 2)
        log_f0, voicing = self.leave(self.norm(self.blocks(x))).float().unbind(-1)
        lowest, highest = math.log(LOWEST_F0_HZ), math.log(HIGHEST_F0_HZ)
        return (log_f0 + math.log(REFERENCE_F0_HZ)).clamp(lowest, highest), voicing


class HarmonicGenerator(nn.Module):
    """Log-mel and pitch contour to waveform: pulses and noise, filtered by bounded gains.

    Args:
        config: Shape of the network.
    """

    window: Tensor
    filters: Tensor
    between: Tensor
    noise_cut: Tensor

    def __init__(self, config: HarmonicConfig) -> None:
        super().__init__()
        self.config = config
        bins = config.n_fft // 2 + 1
        self.enter = nn.Conv1d(config.num_mels + 2, config.width, config.kernel, padding=config.kernel // 2)
        self.blocks = nn.Sequential(
            *(ConvNeXtBlock(config.width, config.kernel, config.expansion) for _ in range(config.blocks))
        )
        self.norm = nn.LayerNorm(config.width)
        self.leave = nn.Linear(config.width, 3 * bins)
        # What a gain is counted from: the magnitude that the mel itself says, between the centres of its filters.
        self.envelope = nn.Linear(config.num_mels, bins)
        self.pitch = PitchReader(config)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)
        self.register_buffer("filters", torch.from_numpy(_mel_filters(config)), persistent=False)
        self.register_buffer("between", torch.from_numpy(_between_filters(config)), persistent=False)
        low, high = NOISE_CUT_HZ
        hz = torch.arange(bins) * config.sample_rate_hz / config.n_fft
        cut = config.voiced_noise_cut * ((high - hz) / (high - low)).clamp(0.0, 1.0)
        self.register_buffer("noise_cut", cut, persistent=False)
        with torch.no_grad():
            nn.init.normal_(self.leave.weight, std=0.01)
            nn.init.zeros_(self.leave.bias)
            self.envelope.weight.copy_(self.between)
            # A Slaney filter gathers the magnitudes of its bins with weights that sum to about 1 / (Hz per bin).
            per_bin = config.sample_rate_hz / config.n_fft
            self.envelope.bias.fill_(math.log(per_bin) - 0.5 * math.log(float(self.window.square().sum())))

    def forward(
        self,
        mel: Tensor,
        f0_hz: Tensor,
        voiced: Tensor,
        *,
        seed: int = 0,
        first_frame: int = 0,
        start_phase: Tensor | None = None,
    ) -> Tensor:
        """Decode log-mels.

        Args:
            mel: Natural-log mel magnitudes (B, M, T).
            f0_hz: F0 at the centre of each frame (B, T), in Hz, > 0 everywhere.
            voiced: Voicing of each frame (B, T), from 0 to 1.
            seed: Of the noise; every item of a batch gets the same.
            first_frame: Frame of a longer signal at which this piece begins; the noise is then that of the piece.
            start_phase: Phase at the centre of the first frame (B,), in cycles, float64; 0 if None.

        Returns:
            Samples (B, 1, T * hop_samples).
        """
        config = self.config
        noise = white_noise(mel.shape[-1], config.hop_samples, seed=seed, first_frame=first_frame)
        phase = centre_phase(f0_hz, config.sample_rate_hz, config.hop_samples, start=start_phase)
        pulses = pulse_train(f0_hz, phase, config.sample_rate_hz, config.hop_samples)
        noise = noise.to(mel.device).expand(len(mel), -1)
        return self.render(self.spoken_gains(mel, f0_hz, voiced), pulses, noise, mel)[:, None]

    def gains(self, mel: Tensor, f0_hz: Tensor, voiced: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decide the filters.

        Args:
            mel: Natural-log mel magnitudes (B, M, T).
            f0_hz: F0 at the centre of each frame (B, T), in Hz.
            voiced: Voicing of each frame (B, T), from 0 to 1.

        Returns:
            Log gain and phase in radians of the pulses, and log gain of the noise, (B, T, bins) each.
        """
        log_f0 = (f0_hz.clamp(LOWEST_F0_HZ, HIGHEST_F0_HZ) / REFERENCE_F0_HZ).log()
        known = torch.stack([log_f0.to(mel), voiced.to(mel)], 1)
        x = self.enter(torch.cat([_normalised(mel), known], 1)).transpose(1, 2)
        pulses, phase, noise = self.leave(self.norm(self.blocks(x))).float().chunk(3, -1)
        with torch.autocast(mel.device.type, enabled=False):
            weight, bias = self.envelope.weight.float(), self.envelope.bias.float()
            base = functional.linear(mel.float().clamp(max=HIGHEST_LOG_MEL).transpose(1, 2), weight, bias)
        reach = self.config.reach
        return (
            base + reach * torch.tanh(pulses / reach),
            math.pi * torch.tanh(phase / math.pi),
            base + reach * torch.tanh(noise / reach),
        )

    def spoken_gains(self, mel: Tensor, f0_hz: Tensor, voiced: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decide the filters that are spoken with: those of :meth:`gains`, with less noise in voiced frames.

        In training, noise stands for all that the mel does not tell of a vowel, not for breath alone.

        Args:
            mel: As for :meth:`gains`.
            f0_hz: The same.
            voiced: The same.

        Returns:
            As :meth:`gains`.
        """
        pulses, phase, noise = self.gains(mel, f0_hz, voiced)
        return pulses, phase, noise - voiced.to(noise)[..., None] * self.noise_cut

    def render(self, gains: tuple[Tensor, Tensor, Tensor], pulses: Tensor, noise: Tensor, mel: Tensor) -> Tensor:
        """Filter the sources, add them, and bring the sum to the levels of the mel.

        Args:
            gains: What :meth:`gains` or :meth:`spoken_gains` gave.
            pulses: Pulse train (B, N).
            noise: White noise (B, N).
            mel: Natural-log mel magnitudes (B, M, T).

        Returns:
            Samples (B, N).
        """
        return self.match(self.filter(gains, pulses, noise), mel)

    def filter(self, gains: tuple[Tensor, Tensor, Tensor], pulses: Tensor, noise: Tensor) -> Tensor:
        """Filter the sources and add them.

        Args:
            gains: What :meth:`gains` gave.
            pulses: Pulse train (B, N).
            noise: White noise (B, N).

        Returns:
            Samples (B, N).
        """
        log_pulses, phase, log_noise = gains
        source = self._analyse(pulses)
        breath = self._analyse(noise) * log_noise.exp()
        level = log_pulses.exp()
        filtered = torch.complex(level * phase.cos(), level * phase.sin())
        return self._synthesise(source * filtered + breath)

    def match(self, audio: Tensor, mel: Tensor) -> Tensor:
        """Bring samples to the levels of a mel, by a gain that is smooth over the bins of the spectrum.

        Args:
            audio: Samples (B, N), N = T * hop_samples.
            mel: Natural-log mel magnitudes (B, M, T).

        Returns:
            Samples (B, N).
        """
        # As in the mel, the ends go on as their mirror images, where they are long enough for it.
        mirrored = audio.shape[-1] > (self.config.n_fft - self.config.hop_samples) // 2
        spectrum = self._analyse(audio, mode="reflect" if mirrored else "constant")
        with torch.autocast(mel.device.type, enabled=False):
            found = functional.linear(spectrum.abs(), self.filters.to(audio)).clamp(min=LEAST_MAGNITUDE).log()
            missing = mel.to(audio).clamp(max=HIGHEST_LOG_MEL).transpose(1, 2) - found
            gain = functional.linear(missing.clamp(-GREATEST_CORRECTION, GREATEST_CORRECTION), self.between.to(audio))
        return self._synthesise(spectrum * gain.exp())

    def _analyse(self, audio: Tensor, *, mode: str = "constant") -> Tensor:
        """Transform samples (B, N) in windowed frames centred as those of the mel; returns spectra (B, T, bins)."""
        pad = (self.config.n_fft - self.config.hop_samples) // 2
        padded = functional.pad(audio[:, None], (pad, pad), mode=mode)[:, 0]
        return torch.fft.rfft(padded.unfold(-1, self.config.n_fft, self.config.hop_samples) * self.window.to(audio))

    def _synthesise(self, spectrum: Tensor) -> Tensor:
        """Overlap and add spectra (B, T, bins); returns samples (B, N)."""
        config = self.config
        hop, overlap, frames = config.hop_samples, config.n_fft // config.hop_samples, spectrum.shape[-2]
        window = self.window.to(spectrum.real)
        pieces = (torch.fft.irfft(spectrum, config.n_fft) * window).unflatten(-1, (overlap, hop))
        squared = window.square().view(overlap, hop).expand(frames, -1, -1)
        start = (config.n_fft - hop) // 2
        total, weight = (
            sum(functional.pad(x[..., k, :], (0, 0, k, overlap - 1 - k)) for k in range(overlap))
            for x in (pieces, squared)
        )
        audio = total.flatten(-2) / weight.flatten(-2).clamp(min=1e-3)
        return audio[..., start : start + frames * hop]


def centre_phase(f0_hz: Tensor, sample_rate_hz: int, hop_samples: int, *, start: Tensor | None = None) -> Tensor:
    """Sum F0 up to the centre of each frame.

    F0 goes from one centre to the next along a line in log-frequency, so that the sum over its samples is geometric.

    Args:
        f0_hz: F0 at the centres (B, T), in Hz.
        sample_rate_hz: Samples per second.
        hop_samples: Samples from one centre to the next.
        start: Phase at the first centre (B,), in cycles; 0 if None.

    Returns:
        Phase (B, T) in cycles, in [0, 1), float64.
    """
    f0 = f0_hz.double().clamp(LOWEST_F0_HZ, HIGHEST_F0_HZ)
    steps = _cycles(f0[:, :-1], f0[:, 1:].log() - f0[:, :-1].log(), hop_samples, hop_samples) / sample_rate_hz
    first = f0.new_zeros(len(f0)) if start is None else start.double()
    return torch.cat([first[:, None], steps], 1).cumsum(1).remainder(1.0)


def pulse_train(f0_hz: Tensor, phase: Tensor, sample_rate_hz: int, hop_samples: int) -> Tensor:
    """Make pulses that hold every harmonic below the Nyquist frequency at the same level, and none above.

    Args:
        f0_hz: F0 at the centres of frames (B, T), in Hz.
        phase: Phase at the centres (B, T), in cycles, float64.
        sample_rate_hz: Samples per second.
        hop_samples: Samples of a frame (H).

    Returns:
        Samples (B, T * H), float32, of mean square 1/2: the sum of K cosines divided by the root of K.
    """
    f0 = f0_hz.double().clamp(LOWEST_F0_HZ, HIGHEST_F0_HZ)
    around = torch.cat([f0[:, :1], f0, f0[:, -1:]], 1)
    # The first centre lies half a frame after the first sample: F0 is held there, and phase counted backwards.
    before = phase[:, :1] - f0[:, :1] * hop_samples / sample_rate_hz
    base = torch.cat([before, phase], 1)[..., None]
    slope = (around[:, 1:].log() - around[:, :-1].log())[..., None]
    at = torch.arange(hop_samples, dtype=torch.float64, device=f0.device)
    half = hop_samples // 2
    span = slice(half, half + f0.shape[1] * hop_samples)
    low = around[:, :-1, None]
    cycles = (base + _cycles(low, slope, at, hop_samples) / sample_rate_hz).flatten(1)[:, span]
    here = (low * torch.exp(slope * at / hop_samples)).flatten(1)[:, span].float()
    angle = (2 * math.pi * (cycles - cycles.round())).float()  # in [-pi, pi], where float32 is exact enough
    highest = HARMONIC_SHARE_OF_NYQUIST * 0.5 * sample_rate_hz / here
    whole = highest.floor()
    sine = torch.sin(0.5 * angle)
    near = sine.abs() < 1e-4
    closed = 0.5 * torch.sin((whole + 0.5) * angle) / sine.where(~near, torch.ones_like(sine)) - 0.5
    # The next harmonic comes in by the fraction that is left, so that a moving F0 makes no clicks.
    pulses = closed.where(~near, whole) + (highest - whole) * torch.cos((whole + 1) * angle)
    return pulses / highest.sqrt()


def white_noise(frames: int, hop_samples: int, *, seed: int, first_frame: int = 0) -> Tensor:
    """Draw noise that depends on the place in the signal only, so that pieces of a signal get the noise of the whole.

    Args:
        frames: Frames wanted (T).
        hop_samples: Samples of a frame.
        seed: Same seed, same noise.
        first_frame: Place of the first one.

    Returns:
        Samples (1, T * hop_samples), of variance 1.
    """
    first, last = first_frame // NOISE_BLOCK_FRAMES, (first_frame + frames - 1) // NOISE_BLOCK_FRAMES
    size = NOISE_BLOCK_FRAMES * hop_samples
    blocks = [
        np.random.default_rng((seed, block)).standard_normal(size, dtype=np.float32) for block in range(first, last + 1)
    ]
    start = (first_frame - first * NOISE_BLOCK_FRAMES) * hop_samples
    return torch.from_numpy(np.concatenate(blocks))[None, start : start + frames * hop_samples]


def _cycles(f0: Tensor, slope: Tensor, samples: Tensor | int, hop: int) -> Tensor:
    """Sum of F0 over samples 1 to ``samples`` after a centre, F0 being multiplied by exp(slope) over a hop."""
    rate = slope / hop
    steady = rate.abs() < 1e-12
    rate = rate.where(~steady, torch.ones_like(rate))
    moving = rate.exp() * torch.expm1(rate * samples) / torch.expm1(rate)
    return f0 * moving.where(~steady, torch.ones_like(moving) * samples)


def _normalised(mel: Tensor) -> Tensor:
    return (mel.clamp(max=HIGHEST_LOG_MEL) - MEL_CENTRE) / MEL_SCALE


def _mel_filters(config: HarmonicConfig) -> np.ndarray:
    """Slaney's mel filters (M, bins), each of unit area over Hz."""
    mels = np.linspace(*_hz_to_mel(np.array([config.fmin_hz, config.fmax_hz])), config.num_mels + 2)
    edges = np.where(mels < 15.0, mels * 200.0 / 3.0, 1000.0 * np.exp((mels - 15.0) * np.log(6.4) / 27.0))[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    hz = np.arange(config.n_fft // 2 + 1) * config.sample_rate_hz / config.n_fft
    triangles = np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)).clip(min=0.0)
    return (triangles * 2.0 / (high - low)).astype(np.float32)


def _between_filters(config: HarmonicConfig) -> np.ndarray:
    """Weights (bins, M) that interpolate a mel between its filters' centres, held outside of them."""
    edges = _hz_to_mel(np.array([config.fmin_hz, config.fmax_hz]))
    centres = np.linspace(*edges, config.num_mels + 2)[1:-1]
    bins = _hz_to_mel(np.arange(config.n_fft // 2 + 1) * config.sample_rate_hz / config.n_fft)
    unit = np.eye(config.num_mels, dtype=np.float32)
    return np.stack([np.interp(bins, centres, row) for row in unit], 1).astype(np.float32)


def _hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Slaney's scale: even below 1 kHz, logarithmic above."""
    above = 15.0 + np.log(np.maximum(hz, 1000.0) / 1000.0) * 27.0 / np.log(6.4)
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, above)
