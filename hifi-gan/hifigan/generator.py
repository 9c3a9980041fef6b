"""The HiFi-GAN generator, with the official parameter names."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize

from hifigan.config import GeneratorConfig

SLOPE = 0.1
# The official model uses PyTorch's default slope before its last convolution only.
LAST_SLOPE = 0.01
_G_V = ("weight_g", "weight_v")


class ResBlock(nn.Module):
    """Residual block: for each dilation a dilated convolution, and in a block of kind "1" a plain one after it."""

    def __init__(self, kind: str, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        dilated = nn.ModuleList(_conv(channels, kernel, dilation) for dilation in dilations)
        if kind == "1":
            self.convs1, self.convs2 = dilated, nn.ModuleList(_conv(channels, kernel, 1) for _ in dilations)
        else:
            self.convs = dilated

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, N) to the same shape."""
        for convs in zip(*self.children(), strict=True):
            inner = x
            for conv in convs:
                inner = conv(functional.leaky_relu(inner, SLOPE))
            x = x + inner
        return x


class Generator(nn.Module):
    """Log-mel to waveform by transposed convolutions and multi-receptive-field residual blocks.

    Args:
        config: Shape of the network.

    Source: Kong et al. 2020, HiFi-GAN, section 2.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.upsample_initial_channel
        self.conv_pre = parametrizations.weight_norm(nn.Conv1d(config.num_mels, channels, 7, padding=3))
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for rate, kernel in zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True):
            up = nn.ConvTranspose1d(channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2)
            self.ups.append(_normalised(up))
            channels //= 2
            for size, dilations in zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True):
                self.resblocks.append(ResBlock(config.resblock, channels, size, dilations))
        self.conv_post = _normalised(nn.Conv1d(channels, 1, 7, padding=3))

    def forward(self, mel: Tensor) -> Tensor:
        """Decode log-mels.

        Args:
            mel: Natural-log mel magnitudes (B, M, T).

        Returns:
            Samples (B, 1, T * hop_samples) in [-1, 1].
        """
        x = self.conv_pre(mel)
        parallel = len(self.config.resblock_kernel_sizes)
        for stage, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, SLOPE))
            blocks = self.resblocks[stage * parallel : (stage + 1) * parallel]
            x = sum(block(x) for block in blocks) / parallel
        return torch.tanh(self.conv_post(functional.leaky_relu(x, LAST_SLOPE)))

    @torch.no_grad()
    def load_weights(self, state: dict[str, Tensor]) -> None:
        """Take the weights of a trained generator of the same shape, to train it further.

        Args:
            state: Its state dict: fused, or weight-normed in either naming.

        Raises:
            ValueError: A weight is missing or has another shape; it is named.
        """
        fused = to_fused(state)
        for name, module in self.named_modules():
            if not parametrize.is_parametrized(module, "weight"):
                continue
            for part in ("weight", "bias"):
                mine, given = getattr(module, part), fused.get(f"{name}.{part}")
                if given is None or given.shape != mine.shape:
                    found = "nothing" if given is None else tuple(given.shape)
                    raise ValueError(f"weights to start from: {name}.{part} is {found}, expected {tuple(mine.shape)}")
            module.weight = fused[f"{name}.weight"]
            module.bias.copy_(fused[f"{name}.bias"])

    def fuse(self) -> Generator:
        """Turn every weight norm into a plain weight, for inference; returns itself."""
        for module in self.modules():
            if parametrize.is_parametrized(module, "weight"):
                parametrize.remove_parametrizations(module, "weight")
                module._load_state_dict_pre_hooks.clear()  # what weight norm leaves behind cannot be pickled
        return self


def _conv(channels: int, kernel: int, dilation: int) -> nn.Module:
    """Convolution that keeps the length."""
    padding = dilation * (kernel - 1) // 2
    return _normalised(nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding))


def _normalised(conv: nn.Module) -> nn.Module:
    """Add the small initial weights of the official model, then weight norm."""
    nn.init.normal_(conv.weight, 0.0, 0.01)
    return parametrizations.weight_norm(conv)


def to_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename PyTorch's parametrizations to ``weight_g``, ``weight_v`` as in official files; other names pass."""
    renamed = {}
    for name, value in state.items():
        stem, parametrized, number = name.partition(".parametrizations.weight.original")
        renamed[f"{stem}.{_G_V[int(number)]}" if parametrized else name] = value
    return renamed


def to_fused(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Compute plain weights from weight-normed ones of either naming; other names pass.

    Args:
        state: State dict with ``weight_g``/``weight_v``, parametrizations, or already plain weights.

    Returns:
        State dict of a generator after ``fuse``.

    Raises:
        ValueError: A direction has no magnitude or the other way round.
    """
    state = to_official(state)
    fused = {}
    for name, value in state.items():
        stem, _, last = name.rpartition(".")
        if last not in _G_V:
            fused[name] = value
            continue
        other = f"{stem}.{_G_V[1 - _G_V.index(last)]}"
        if other not in state:
            raise ValueError(f"{name} has no {other}")
        if last == "weight_v":
            dims = tuple(range(1, value.ndim))
            fused[f"{stem}.weight"] = value * (state[other] / value.norm(dim=dims, keepdim=True))
    return fused
