"""Whose voice is it: a small encoder of timbre, trained on the demo corpus (``checkpts/speaker-demo``).

It reads log-mels as liftered cepstra: without the level, and with the harmonics of F0 smoothed away, so that two
recordings of one voice agree whatever their pitch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.audio import log_mel, require_speech
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.files import read_json, read_safetensors, require_same_shapes, write_json, write_safetensors

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
RMS = 10 ** (-26 / 20)
SPEECH_RANGE_NATS = 3.5  # about 30 dB
COSINE_SCALE = 16.0
FEMALE = "jf"
"""What the names of the demo corpus's base voices begin with that are a woman's; the others are a man's."""


@dataclass(frozen=True)
class SpeakerSettings:
    """Size of the encoder, and what its outputs stand for.

    Attributes:
        voices: Names of the voices it was trained on; ``s<n>`` is speaker n of the demo corpus.
        bases: Names of the base voices.
        coefficients: Cepstral coefficients read of each frame, the level left out.
        channels: Width of the convolutions.
        embedding: Length of the embedding (E).
        mel: The mel contract.
    """

    voices: tuple[str, ...]
    bases: tuple[str, ...]
    coefficients: int = 24
    channels: int = 128
    embedding: int = 128
    mel: MelConfig = field(default_factory=MelConfig)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SpeakerSettings:
        """Read plain values, as ``asdict`` gives them."""
        given = dict(values)
        given["mel"] = MelConfig(**given["mel"])
        return cls(**{**given, "voices": tuple(given["voices"]), "bases": tuple(given["bases"])})


class SpeakerNet(nn.Module):
    """Cepstra → dilated convolutions → mean and deviation over speech frames → unit vector, and three read-outs.

    Source: Snyder et al. 2018, x-vectors (statistics pooling over a time-delay network).
    """

    def __init__(self, settings: SpeakerSettings) -> None:
        super().__init__()
        self.settings = settings
        width, coefficients = settings.channels, settings.coefficients
        basis = torchaudio.functional.create_dct(coefficients + 1, settings.mel.n_mels, norm="ortho")
        self.basis: Tensor
        self.lifter: Tensor
        self.register_buffer("basis", basis[:, 1:].T.contiguous(), persistent=False)
        lifter = 1 + 0.5 * torch.arange(coefficients)
        self.register_buffer("lifter", lifter[:, None], persistent=False)
        layers: list[nn.Module] = []
        for inside, outside, kernel, dilation in (
            (coefficients, width, 5, 1),
            (width, width, 3, 2),
            (width, width, 3, 3),
            (width, 2 * width, 1, 1),
        ):
            padding = dilation * (kernel // 2)
            layers += [nn.Conv1d(inside, outside, kernel, padding=padding, dilation=dilation)]
            layers += [nn.ReLU(), nn.BatchNorm1d(outside)]
        self.frames = nn.Sequential(*layers)
        self.project = nn.Linear(4 * width, settings.embedding)
        self.voices = nn.Parameter(torch.randn(len(settings.voices), settings.embedding))
        self.base = nn.Linear(settings.embedding, len(settings.bases))
        self.warp = nn.Linear(settings.embedding, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """Embed log-mels.

        Args:
            mel: Natural log-mels of utterances of one length (B, M, T).

        Returns:
            Unit vectors (B, E).
        """
        level = mel.mean(1, keepdim=True)
        speech = (level > level.amax(-1, keepdim=True) - SPEECH_RANGE_NATS).to(mel.dtype)
        cepstra = torch.einsum("cm,bmt->bct", self.basis, mel) * self.lifter / 4
        hidden = self.frames(cepstra)
        count = speech.sum(-1).clamp_min(1)
        mean = (hidden * speech).sum(-1) / count
        spread = ((hidden - mean[..., None]).square() * speech).sum(-1) / count
        return functional.normalize(self.project(torch.cat([mean, (spread + 1e-5).sqrt()], dim=1)), dim=-1)

    def similarity(self, embedding: Tensor) -> Tensor:
        """Cosine similarity of embeddings (B, E) to each known voice, (B, voices)."""
        return embedding @ functional.normalize(self.voices, dim=-1).T

    def log_warp(self, embedding: Tensor) -> Tensor:
        """Natural log of the formant factor, (B,)."""
        return self.warp(embedding)[:, 0]


class SpeakerEncoder:
    """The trained network with audio in front of it.

    Args:
        net: The network; it is put into evaluation mode.
    """

    def __init__(self, net: SpeakerNet) -> None:
        self.net = net.eval()
        self.settings = net.settings
        self.speakers = {int(v[1:]): i for i, v in enumerate(self.settings.voices) if v[0] == "s" and v[1:].isdigit()}

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> SpeakerEncoder:
        """Read a folder that :meth:`save_pretrained` wrote.

        Args:
            folder: The folder.

        Returns:
            The encoder, on the CPU.

        Raises:
            CheckpointError: A file is missing or damaged, or the weights do not fit the settings.
        """
        folder = Path(folder)
        values = read_json(folder / CONFIG)
        try:
            net = SpeakerNet(SpeakerSettings.from_dict(values))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{folder / CONFIG}: {error!r}; expected settings of a speaker encoder") from error
        state = read_safetensors(folder / WEIGHTS)
        require_same_shapes(state, net.state_dict(), source=folder / WEIGHTS, owner="speaker encoder")
        net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
        return cls(net)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write settings and half-precision weights; each file appears whole or not at all."""
        folder = Path(folder)
        state = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in self.net.state_dict().items()}
        write_safetensors(folder / WEIGHTS, state)
        write_json(folder / CONFIG, asdict(self.settings))

    @torch.no_grad()
    def embed(self, audio: NDArray | Tensor, sample_rate_hz: int) -> NDArray[np.float32]:
        """Embed a recording.

        Args:
            audio: Samples (N,).
            sample_rate_hz: Their rate.

        Returns:
            Unit vector (E,); the same at any level.

        Raises:
            InputError: The audio is not (N,), not finite, silent, or too short.
        """
        return self.net(self._mel(audio, sample_rate_hz)[None])[0].numpy()

    @torch.no_grad()
    def identify(self, audio: NDArray | Tensor, sample_rate_hz: int) -> dict[str, Any]:
        """Say which voice a recording is most like.

        Args:
            audio: Samples (N,).
            sample_rate_hz: Their rate.

        Returns:
            ``speaker``, the nearest one of the demo corpus, and ``similarity``, the cosine to each of them by number;
            ``base``, the nearest base voice, and ``female``, the probability that it is a woman's (all are of a woman
            or a man); ``formant_factor``, on all formants of the base voice: above 1 is a shorter vocal tract.

        Raises:
            InputError: As of :meth:`embed`, or the encoder knows no speakers of the demo corpus.
        """
        embedding = self.net(self._mel(audio, sample_rate_hz)[None])
        if not self.speakers:
            raise InputError(
                f"this encoder knows voices {self.settings.voices[:3]}…; expected speakers s0, s1 and so on"
            )
        to_voices = self.net.similarity(embedding)[0]
        similarity = {speaker: float(to_voices[row]) for speaker, row in sorted(self.speakers.items())}
        bases, chances = self.settings.bases, self.net.base(embedding).softmax(-1)[0]
        return {
            "speaker": max(similarity, key=similarity.__getitem__),
            "similarity": similarity,
            "base": bases[int(chances.argmax())],
            "formant_factor": math.exp(float(self.net.log_warp(embedding)[0])),
            "female": sum(chance for base, chance in zip(bases, chances.tolist(), strict=True) if base[:2] == FEMALE),
        }

    def _mel(self, audio: NDArray | Tensor, sample_rate_hz: int) -> Tensor:
        samples = torch.as_tensor(audio).detach().cpu().float()
        if samples.ndim != 1 or not bool(samples.isfinite().all()):
            raise InputError(f"audio of shape {tuple(samples.shape)}; expected finite samples (N,)")
        require_speech(samples, "audio of a speaker")
        mel = self.settings.mel
        samples = torchaudio.functional.resample(samples, sample_rate_hz, mel.sample_rate_hz)
        return log_mel(samples * (RMS / samples.square().mean().sqrt()), mel)


def cosine_similarity(a: NDArray, b: NDArray) -> float:
    """Cosine of the angle between two embeddings (E,), in [-1, 1].

    Args:
        a: One embedding, not zero.
        b: The other.

    Returns:
        The cosine; 1 for the same direction.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
