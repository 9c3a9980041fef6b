"""The families of discriminators: by period and by scale, as published, and by spectrogram, which is cheap on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

SLOPE = 0.1
PERIODS = (2, 3, 5, 7, 11)
# Output channels, kernel, stride, groups of each convolution, as published.
_PERIOD_CHANNELS = (32, 128, 512, 1024, 1024)
_SCALE_LAYERS = (
    (128, 15, 1, 1), (128, 41, 2, 4), (256, 41, 2, 16), (512, 41, 4, 16), (1024, 41, 4, 16), (1024, 41, 1, 16),
    (1024, 5, 1, 1),
)  # fmt: skip
# Kernel and stride over (bins, frames) of each convolution of a spectrogram.
_SPECTROGRAM_LAYERS = (((7, 3), (2, 1)), ((5, 3), (2, 2)), ((5, 3), (2, 1)), ((5, 3), (2, 2)), ((3, 3), (1, 1)))
SPECTROGRAM_FLOOR = 1e-3
Judgement = tuple[Tensor, list[Tensor]]


class PeriodDiscriminator(nn.Module):
    """Judges every ``period``-th sample as a two-dimensional signal.

    Args:
        period: Distance of the samples seen together.
        divisor: Divides the published channels.
    """

    def __init__(self, period: int, divisor: int = 1) -> None:
        super().__init__()
        self.period = period
        self.convs = nn.ModuleList()
        channels = [1, *(wide // divisor for wide in _PERIOD_CHANNELS)]
        for (before, after), stride in zip(pairwise(channels), (3, 3, 3, 3, 1), strict=True):
            conv = nn.Conv2d(before, after, (5, 1), (stride, 1), padding=(2, 0))
            self.convs.append(parametrizations.weight_norm(conv))
        self.conv_post = parametrizations.weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, audio: Tensor) -> Judgement:
        """Judge (B, 1, N); returns scores (B, S) and the features of each layer."""
        missing = -audio.shape[-1] % self.period
        x = functional.pad(audio, (0, missing), mode="reflect").unflatten(-1, (-1, self.period))
        return _judge(self.convs, self.conv_post, x)


class ScaleDiscriminator(nn.Module):
    """Judges the waveform at one scale.

    Args:
        divisor: Divides the published channels.
        spectral: Use spectral norm in place of weight norm (published for the finest scale).
    """

    def __init__(self, divisor: int = 1, *, spectral: bool = False) -> None:
        super().__init__()
        norm = parametrizations.spectral_norm if spectral else parametrizations.weight_norm
        self.convs = nn.ModuleList()
        before = 1
        for channels, kernel, stride, groups in _SCALE_LAYERS:
            channels //= divisor
            groups = max(1, groups // divisor)
            conv = nn.Conv1d(before, channels, kernel, stride, padding=(kernel - 1) // 2, groups=groups)
            self.convs.append(norm(conv))
            before = channels
        self.conv_post = norm(nn.Conv1d(before, 1, 3, padding=1))

    def forward(self, audio: Tensor) -> Judgement:
        """Judge (B, 1, N); returns scores (B, S) and the features of each layer."""
        return _judge(self.convs, self.conv_post, audio)


class PictureDiscriminator(nn.Module):
    """Judges a picture of bins and frames: a log-magnitude spectrogram, or a log-mel.

    Args:
        channels: Of the first convolution; those after have up to four times as many.

    Source: Jang et al. 2021, "UnivNet", section 2.2; narrower, and with strides over bins and frames.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        before = 1
        for index, (kernel, stride) in enumerate(_SPECTROGRAM_LAYERS):
            after = channels * min(4, 2 ** (index // 2))
            padding = (kernel[0] // 2, kernel[1] // 2)
            self.convs.append(parametrizations.weight_norm(nn.Conv2d(before, after, kernel, stride, padding=padding)))
            before = after
        self.conv_post = parametrizations.weight_norm(nn.Conv2d(before, 1, (3, 3), padding=1))

    def forward(self, picture: Tensor) -> Judgement:
        """Judge (B, 1, F, T); returns scores (B, S) and the features of each layer."""
        return _judge(self.convs, self.conv_post, picture)


class SpectrogramDiscriminator(PictureDiscriminator):
    """Judges log-magnitudes of one short-time transform, as a picture.

    Args:
        n_fft: Points of the transform, which are its window; the hop is a quarter.
        channels: Of the first convolution; those after have up to four times as many.
    """

    window: Tensor

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__(channels)
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, audio: Tensor) -> Judgement:
        """Judge (B, 1, N); returns scores (B, S) and the features of each layer."""
        samples = audio[:, 0].float()
        window = self.window.to(samples)
        spectrum = torch.stft(samples, self.n_fft, self.n_fft // 4, window=window, return_complex=True)
        power = torch.view_as_real(spectrum).square().sum(-1)
        log = 0.5 * power.clamp(min=SPECTROGRAM_FLOOR**2).log()
        return super().forward(0.5 * log[:, None])


class Discriminators(nn.Module):
    """All discriminators behind one call.

    Args:
        divisor: Divides the published channels; 1 is the published size, 8 suits a CPU.
        periods: Periods judged.
        scales: Number of scales, each half the rate of the one before.
        windows: Points of the transform of each discriminator by spectrogram.
        window_channels: Channels of their first convolution.

    Source: Kong et al. 2020, HiFi-GAN, section 2.3.
    """

    def __init__(
        self,
        divisor: int = 1,
        *,
        periods: Sequence[int] = PERIODS,
        scales: int = 3,
        windows: Sequence[int] = (),
        window_channels: int = 16,
    ) -> None:
        super().__init__()
        self.mpd = nn.ModuleList(PeriodDiscriminator(period, divisor) for period in periods)
        self.msd = nn.ModuleList(ScaleDiscriminator(divisor, spectral=index == 0) for index in range(scales))
        self.mrd = nn.ModuleList(SpectrogramDiscriminator(n_fft, window_channels) for n_fft in windows)
        self.pool = nn.AvgPool1d(4, 2, padding=2)

    def forward(self, audio: Tensor) -> list[Judgement]:
        """Judge samples.

        Args:
            audio: Samples (B, 1, N).

        Returns:
            Scores and features of each discriminator, those by period first, those by spectrogram last.
        """
        whole = audio
        judgements = [discriminator(audio) for discriminator in self.mpd]
        for index, discriminator in enumerate(self.msd):
            audio = audio if index == 0 else self.pool(audio)
            judgements.append(discriminator(audio))
        return judgements + [discriminator(whole) for discriminator in self.mrd]


def _judge(convs: nn.ModuleList, last: nn.Module, x: Tensor) -> Judgement:
    """Run a stack of convolutions, keeping what each makes."""
    features = []
    for conv in convs:
        x = functional.leaky_relu(conv(x), SLOPE)
        features.append(x)
    x = last(x)
    features.append(x)
    return torch.flatten(x, 1), features
