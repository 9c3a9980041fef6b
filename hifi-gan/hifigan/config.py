"""Shapes of the generator: the three published ones, a small one, and one with a harmonic source."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GeneratorConfig:
    """Shape of a HiFi-GAN generator, with the field names of the official ``config.json``.

    Attributes:
        resblock: ``"1"`` (two convolutions per dilation) or ``"2"`` (one).
        upsample_rates: Factor of each upsampling; their product is the hop in samples.
        upsample_kernel_sizes: Kernel of each upsampling.
        upsample_initial_channel: Channels after the first convolution, halved by each upsampling.
        resblock_kernel_sizes: Kernel of each parallel residual block.
        resblock_dilation_sizes: Dilations of each parallel residual block.
        num_mels: Mel bins (M).
    """

    resblock: str = "1"
    upsample_rates: tuple[int, ...] = (8, 8, 2, 2)
    upsample_kernel_sizes: tuple[int, ...] = (16, 16, 4, 4)
    upsample_initial_channel: int = 512
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    num_mels: int = 80

    def __post_init__(self) -> None:
        """Let JSON lists stand for tuples, and check that the shapes fit each other."""
        for name in ("upsample_rates", "upsample_kernel_sizes", "resblock_kernel_sizes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "resblock_dilation_sizes", tuple(tuple(d) for d in self.resblock_dilation_sizes))
        object.__setattr__(self, "resblock", str(self.resblock))
        if self.resblock not in ("1", "2"):
            raise ValueError(f"resblock is {self.resblock!r}; expected '1' or '2'")
        pairs = (("upsample_rates", "upsample_kernel_sizes"), ("resblock_kernel_sizes", "resblock_dilation_sizes"))
        for first, second in pairs:
            ours, theirs = getattr(self, first), getattr(self, second)
            if len(ours) != len(theirs):
                raise ValueError(f"{first} {ours} and {second} {theirs} must have the same length")
        for rate, kernel in zip(self.upsample_rates, self.upsample_kernel_sizes, strict=True):
            if kernel < rate or (kernel - rate) % 2:
                raise ValueError(f"upsampling by {rate} with kernel {kernel}; expected rate + an even number")
        channels, times = self.upsample_initial_channel, len(self.upsample_rates)
        if channels % 2**times:
            raise ValueError(f"upsample_initial_channel {channels} cannot be halved {times} times")

    @property
    def hop_samples(self) -> int:
        """Samples made from one mel frame."""
        return math.prod(self.upsample_rates)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> GeneratorConfig:
        """Build from a mapping, such as an official ``config.json``.

        Args:
            values: Fields of this class; others (training and mel settings) are left aside.

        Returns:
            The configuration.

        Raises:
            ValueError: A field that has no usual value is missing, or the fields do not fit each other.
        """
        for name in ("resblock", "upsample_rates", "upsample_kernel_sizes", "upsample_initial_channel"):
            if name not in values:
                raise ValueError(f"generator configuration lacks {name!r}; it has {sorted(values)}")
        return cls(**{f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values})


@dataclass(frozen=True)
class HarmonicConfig:
    """Shape of a generator with a harmonic source, and of the mel it reads.

    Attributes:
        width: Channels of the network over frames.
        blocks: ConvNeXt blocks.
        kernel: Frames under each convolution, odd.
        expansion: Channels inside a block, as a multiple of its width.
        reach: Bound of a log gain, in nats on either side of what the mel says.
        voiced_noise_cut: What noise loses in voiced frames when speaking, in nats, not in training.
        pitch_width: Channels of the network that reads F0 and voicing from a mel.
        pitch_blocks: Its blocks.
        num_mels: Mel bins (M).
        n_fft: Points of the transform, a multiple of the hop.
        hop_samples: Samples made from one mel frame.
        sample_rate_hz: Samples per second.
        fmin_hz: Lower edge of the lowest mel filter.
        fmax_hz: Upper edge of the highest mel filter.
    """

    width: int = 256
    blocks: int = 6
    kernel: int = 7
    expansion: int = 3
    reach: float = 6.0
    voiced_noise_cut: float = 2.0
    pitch_width: int = 128
    pitch_blocks: int = 3
    num_mels: int = 80
    n_fft: int = 1024
    hop_samples: int = 256
    sample_rate_hz: int = 22050
    fmin_hz: float = 0.0
    fmax_hz: float = 8000.0

    def __post_init__(self) -> None:
        """Check that the shapes fit each other."""
        if self.hop_samples < 1 or self.n_fft % self.hop_samples or (self.n_fft - self.hop_samples) % 2:
            raise ValueError(f"n_fft {self.n_fft} with hop {self.hop_samples}; expected a multiple, an even rest")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel of {self.kernel} frames; expected an odd number")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> HarmonicConfig:
        """Build from a mapping.

        Args:
            values: Every field of this class.

        Returns:
            The configuration.

        Raises:
            ValueError: A field is missing or unknown, or the fields do not fit each other.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        if set(values) != known:
            differ = sorted(known ^ set(values))
            raise ValueError(f"harmonic generator configuration: {differ} missing or unknown; it has {sorted(values)}")
        return cls(**values)


AnyConfig = GeneratorConfig | HarmonicConfig

_V3_DILATIONS = ((1, 2), (2, 6), (3, 12))

CONFIGS: dict[str, AnyConfig] = {
    "v1": GeneratorConfig(),
    "v2": GeneratorConfig(upsample_initial_channel=128),
    "v3": GeneratorConfig("2", (8, 8, 4), (16, 16, 8), 256, (3, 5, 7), _V3_DILATIONS),
    "demo": GeneratorConfig("2", (8, 8, 4), (16, 16, 8), 192, (3, 5, 7), _V3_DILATIONS),
    "harmonic": HarmonicConfig(),
}
