"""The acoustic model: text encoder, score network, and style encoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from gradtts_interp.alignment import sequence_mask
from gradtts_interp.config import ModelConfig
from gradtts_interp.diffusion.schedule import LinearSchedule, noise_level, signal
from gradtts_interp.errors import InputError
from gradtts_interp.models.estimator import Estimator
from gradtts_interp.models.frame_prior import FramePrior, PhoneEncoder
from gradtts_interp.models.pitch_predictor import ContourPredictor
from gradtts_interp.models.precision import arithmetic
from gradtts_interp.models.style_attention import StyleContext, StyleCrossAttention
from gradtts_interp.models.style_encoder import StyleEncoder
from gradtts_interp.models.text_encoder import TextEncoder

FORMANT_QUEFRENCIES = (3, 13)
"""Cosines over the mel bins that hold formants: below is the tilt of the spectrum, above are harmonics."""


def _score_of_v(v: Tensor, residual: Tensor, t: Tensor, schedule: LinearSchedule) -> Tensor:
    """Score of a velocity v = signal * noise - noise_level * (x0 - mu) (Salimans and Ho 2022, appendix D).

    Near t = 1 the noise is almost all of the residual. A network that answers v says only the small rest, so that an
    untrained or little trained one cannot drive the sampler away, as one that answers the noise does.
    """
    return -residual - signal(t, schedule) / noise_level(t, schedule) * v


SCORE_OF_ANSWER: dict[str, Callable[[Tensor, Tensor, Tensor, LinearSchedule], Tensor]] = {
    "score": lambda answer, residual, t, schedule: answer,
    "epsilon": lambda answer, residual, t, schedule: -answer / noise_level(t, schedule),
    "v": _score_of_v,
}


class GradTTS(nn.Module):
    """Grad-TTS with style attention.

    State-dict names shared with the official model are the official ones: ``spk_emb.weight``, ``encoder.*``,
    ``decoder.estimator.*``.

    Args:
        settings: Fields of :class:`~gradtts_interp.config.ModelConfig`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self.settings = ModelConfig.from_dict(settings)
        if self.settings.prediction not in SCORE_OF_ANSWER:
            raise InputError(f"prediction {self.settings.prediction!r}: expected one of {', '.join(SCORE_OF_ANSWER)}")
        style = self.settings.style
        if self.settings.n_spks > 1:
            self.spk_emb = nn.Embedding(self.settings.n_spks, self.settings.spk_emb_dim)
        pooled = self.settings.spk_emb_dim
        self.encoder = PhoneEncoder(self.settings, pooled) if style else TextEncoder(self.settings)
        self.pitch_predictor = ContourPredictor(self.settings.prior_width, pooled) if style else None
        self.frame_prior = FramePrior(self.settings, pooled) if style else None
        if not (self.settings.dec_dim or style):
            raise InputError("dec_dim 0 is no score network; expected one, or prior 'frame', which is spoken alone")
        self.decoder: Any = nn.ModuleDict({"estimator": Estimator(self.settings)}) if self.settings.dec_dim else None
        widths = {"pooled_channels": pooled, "timbre_width": self.settings.timbre_width}
        self.style_encoder = StyleEncoder(style, n_mels=self.settings.n_feats, **widths) if style else None
        self.schedule = LinearSchedule(self.settings.beta_min, self.settings.beta_max)
        self.precision = "fp32"  # of the score network's arithmetic; see `models.precision`

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.parameters()).device

    @property
    def has_style(self) -> bool:
        """Whether the model reads references and has a frame prior (official checkpoints have neither)."""
        return self.style_encoder is not None

    @property
    def frame_multiple(self) -> int:
        """The number of mel frames the score network takes must be a multiple of this."""
        return 1 if self.decoder is None else self.decoder.estimator.frame_multiple

    def normalise(self, mel: Tensor) -> Tensor:
        """Log-mel to the network's scale."""
        return (mel - self.settings.mel_mean) / self.settings.mel_std

    def denormalise(self, mel: Tensor) -> Tensor:
        """Undo :meth:`normalise`."""
        return mel * self.settings.mel_std + self.settings.mel_mean

    def to_diffusion(self, mel: Tensor, mu: Tensor) -> Tensor:
        """Bring the residual around the prior to about unit spread, as the diffusion sees it.

        Args:
            mel: Normalised mel (B, M, T).
            mu: Prior mean (B, M, T).

        Returns:
            The mean plus the residual over ``residual_std``, (B, M, T).
        """
        std = self.settings.residual_std
        return mel if std == 1 else mu + (mel - mu) / std

    def from_diffusion(self, x: Tensor, mu: Tensor) -> Tensor:
        """Undo :meth:`to_diffusion`."""
        std = self.settings.residual_std
        return x if std == 1 else mu + (x - mu) * std

    def to_mel(self, x: Tensor) -> Tensor:
        """Turn what was sampled into the log-mel to be decoded.

        Args:
            x: Normalised mel (B, M, T).

        Returns:
            Log-mel (B, M, T), its formants emphasised where the settings say so.
        """
        mel, gain = self.denormalise(x), self.settings.formant_emphasis
        return mel if gain == 1 else emphasise_formants(mel, gain).clamp(min=self.settings.mel.log_silence)

    def score(
        self,
        x: Tensor,
        mask: Tensor,
        mu: Tensor,
        t: Tensor,
        speaker: Tensor | None = None,
        *,
        context: StyleContext | None = None,
        prosody: Tensor | None = None,
        region: Tensor | None = None,
    ) -> Tensor:
        """Score of the noisy mel (B, M, T); arguments as in :meth:`Estimator.forward`, an error for a prior alone."""
        if self.decoder is None:
            raise InputError("this checkpoint has no score network; expected 0 steps (-t 0), which speak its prior")
        with arithmetic(self.precision, x.device):
            answer = self.decoder.estimator(x, mask, mu, t, speaker, context=context, prosody=prosody, region=region)
        answer = answer.to(x.dtype)
        return SCORE_OF_ANSWER[self.settings.prediction](answer, x - mu, t[:, None, None], self.schedule)

    def speaker_vector(self, speaker: int) -> Tensor:
        """Row of the official speaker table, (1, E)."""
        if self.settings.n_spks <= 1:
            raise InputError(f"speaker {speaker}: this checkpoint has one speaker; leave the speaker out")
        if not 0 <= speaker < self.settings.n_spks:
            raise InputError(f"speaker {speaker}: this checkpoint has speakers 0 to {self.settings.n_spks - 1}")
        return self.spk_emb.weight[speaker][None]

    @property
    def attention_sites(self) -> dict[str, StyleCrossAttention]:
        """Cross-attention by site name, in the order of evaluation."""
        order = ("down0", "down1", "down2", "mid", "up0", "up1")
        sites: Any = {} if self.decoder is None else self.decoder.estimator.style_attn
        return {name: sites[name] for name in order if name in sites}

    @property
    def attn_processors(self) -> dict[str, Any]:
        """Processor of each style-attention site."""
        return {name: site.attn.processor for name, site in self.attention_sites.items()}

    def set_attn_processor(self, processor: Any) -> None:
        """Set one processor for all style-attention sites, or a dict by site name.

        Args:
            processor: A processor, or a dict with a processor for each key of :attr:`attn_processors`.

        Raises:
            InputError: The dict's names are not the sites' names.
        """
        sites = self.attention_sites
        if isinstance(processor, dict):
            if set(processor) != set(sites):
                raise InputError(f"processors for {sorted(processor)} were given; expected {sorted(sites)}")
        else:
            processor = dict.fromkeys(sites, processor)
        for name, site in sites.items():
            site.attn.processor = processor[name]


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """Mask (B, 1, frames) that is 1 before each length (B,)."""
    return sequence_mask(lengths, max_length=frames)[:, None].to(torch.float32)


def emphasise_formants(mel: Tensor, gain: float) -> Tensor:
    """Bring out formants that a model trained on means leaves too flat.

    Args:
        mel: Log-mel (..., M, T), M > 12.
        gain: Factor, 1 for none; 1.1 to 1.4 is usual.

    Returns:
        Log-mel of the same shape and level.

    Source: Yoshimura et al. 2005, "Incorporating a mixed excitation model and postfilter into an HMM-based
        text-to-speech synthesis system", which multiplies all mel-cepstra but the first two; here those of formants
        alone, since those above are the harmonics', whose level the pitch decides.
    """
    return mel + (gain - 1.0) * lifter(mel, *FORMANT_QUEFRENCIES)


def lifter(mel: Tensor, first: int, end: int) -> Tensor:
    """Keep some quefrencies of a log-mel (..., M, T): cosines number ``first`` to ``end`` - 1 over the bins."""
    return _projection(mel.shape[-2], first, end).to(mel) @ mel


@lru_cache(maxsize=8)
def _projection(n_mels: int, first: int, end: int) -> Tensor:
    """Matrix (M, M) that keeps quefrencies from 1 on alone."""
    with torch.inference_mode(False):
        quefrencies = torch.arange(first, end, dtype=torch.float64)[:, None]
        places = (torch.arange(n_mels, dtype=torch.float64) + 0.5) / n_mels
        cosines = (2.0 / n_mels) ** 0.5 * torch.cos(math.pi * quefrencies * places)
        return (cosines.T @ cosines).float()
