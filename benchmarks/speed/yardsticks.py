"""Yardsticks: the neighbours' networks at their published sizes, plainly written and with random weights.

Speed does not depend on what a network has learnt, so nothing has to be downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.config import ModelConfig
from gradtts_interp.diffusion.samplers import sampler_by_name
from gradtts_interp.models import layers
from gradtts_interp.models.estimator import LinearAttention, time_code
from gradtts_interp.models.grad_tts import GradTTS

MELS = 80
MATCHA_EVALUATIONS = 10
GRAD_TTS_STEPS, TIMED_STEPS = 100, 5
"""Of Grad-TTS; each costs the same, so a few are timed."""


@contextmanager
def plain_layers() -> Iterator[None]:
    """Context in which all networks compute by torch's own layers, and self-attention as Grad-TTS does."""
    with (
        mock.patch.object(layers, "at_once", lambda _: False),
        mock.patch.object(LinearAttention, "forward", _linear_attention),
    ):
        yield


def _linear_attention(layer: LinearAttention, x: Tensor, region: Tensor | None) -> Tensor:
    """Self-attention of a plane (B, C, F, T) with queries, keys and values of every position."""
    assert region is None, "one sentence alone, or frames that all count"
    q, k, v = rearrange(layer.to_qkv(x), "b (qkv h c) f t -> qkv b h c (f t)", qkv=3, h=layer.heads)
    context = torch.einsum("bhdn,bhen->bhde", k.softmax(dim=-1), v)
    out = torch.einsum("bhde,bhdn->bhen", context, q)
    return layer.to_out(rearrange(out, "b h c (f t) -> b (h c) f t", f=x.shape[2]))


def grad_tts(frames: int, device: torch.device) -> Callable[[], Tensor]:
    """What Grad-TTS does for one voice after its text encoder: :data:`TIMED_STEPS` Euler steps of its U-Net.

    Args:
        frames: Length of the mel, a multiple of 4.
        device: Where it computes.

    Returns:
        A function that computes the mel (1, M, frames).
    """
    model = GradTTS(ModelConfig().to_dict()).to(device).eval()  # the defaults are the published network
    noise, mu = torch.randn(2, 1, MELS, frames, device=device).unbind()
    euler = sampler_by_name("euler")
    mask = torch.ones(1, 1, frames, device=device)

    @torch.no_grad()
    def sample() -> Tensor:
        with plain_layers():
            return euler(lambda x, t: model.score(x, mask, mu, t), model.schedule, noise, mu, mask, TIMED_STEPS)

    return sample


class _Block(nn.Module):
    """Two convolutions with the time between them, and a skip."""

    def __init__(self, into: int, out: int, time: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv1d(into, out, 3, padding=1), nn.GroupNorm(8, out), nn.Mish())
        self.second = nn.Sequential(nn.Conv1d(out, out, 3, padding=1), nn.GroupNorm(8, out), nn.Mish())
        self.time, self.skip = nn.Sequential(nn.Mish(), nn.Linear(time, out)), nn.Conv1d(into, out, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.second(self.first(x) + self.time(time)[..., None]) + self.skip(x)


class _Transformer(nn.Module):
    """Self-attention and a feed-forward layer with SnakeBeta, both after a normalisation."""

    def __init__(self, width: int, heads: int = 2, head_width: int = 64) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.to_qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.to_out = nn.Linear(heads * head_width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.alpha, self.beta = (nn.Parameter(torch.zeros(4 * width)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        q, k, v = self.to_qkv(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.to_out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        h = self.widen(self.norms[1](x))
        h = h + (h * self.alpha.exp()).sin().square() / (self.beta.exp() + 1e-9)
        return (x + self.narrow(h)).transpose(1, 2)


class MatchaDecoder(nn.Module):
    """The decoder of Matcha-TTS: a one-dimensional U-Net of convolutions and transformers, two levels of 256 channels.

    Source: Mehta et al. 2024, "Matcha-TTS: a fast TTS architecture with conditional flow matching"; sizes are those of
        its published configuration. Masks are left out, since one sentence needs none.
    """

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        time, given = 4 * width, 2 * MELS
        self.time = nn.Sequential(nn.Linear(given, time), nn.SiLU(), nn.Linear(time, time))

        def stage(into: int, after: nn.Module) -> nn.ModuleList:
            return nn.ModuleList([_Block(into, width, time), _Transformer(width), after])

        def level() -> nn.Module:
            return nn.Conv1d(width, width, 3, padding=1)

        self.downs = nn.ModuleList([stage(given, nn.Conv1d(width, width, 3, 2, 1)), stage(width, level())])
        self.middle = nn.ModuleList([stage(width, nn.Identity()), stage(width, nn.Identity())])
        up = nn.ConvTranspose1d(width, width, 4, 2, 1)
        self.ups = nn.ModuleList([stage(2 * width, up), stage(2 * width, level())])
        self.last = nn.Sequential(level(), nn.GroupNorm(8, width), nn.Mish(), nn.Conv1d(width, MELS, 1))

    def forward(self, x: Tensor, mu: Tensor, t: Tensor) -> Tensor:
        """Velocity (B, M, T) of a noisy mel (B, M, T) around a mean (B, M, T) at times (B,); T is even."""
        time, h, skips = self.time(time_code(t, 2 * MELS, 1000)), torch.cat([x, mu], dim=1), []
        for block, transformer, after in self.downs:
            skips.append(transformer(block(h, time)))
            h = after(skips[-1])
        for block, transformer, _ in self.middle:
            h = transformer(block(h, time))
        for block, transformer, after in self.ups:
            h = after(transformer(block(torch.cat([h, skips.pop()], dim=1), time)))
        return self.last(h)


def matcha(frames: int, device: torch.device) -> Callable[[], Tensor]:
    """What Matcha-TTS does for one voice after its text encoder: :data:`MATCHA_EVALUATIONS` Euler steps of its decoder.

    Args:
        frames: Length of the mel, even.
        device: Where it computes.

    Returns:
        A function that computes the mel (1, M, frames).
    """
    decoder = MatchaDecoder().to(device).eval()
    noise, mu = torch.randn(2, 1, MELS, frames, device=device).unbind()

    @torch.no_grad()
    def sample() -> Tensor:
        x = noise
        for step in range(MATCHA_EVALUATIONS):
            t = torch.full((1,), step / MATCHA_EVALUATIONS, device=device)
            x = x + decoder(x, mu, t) / MATCHA_EVALUATIONS
        return x

    return sample
