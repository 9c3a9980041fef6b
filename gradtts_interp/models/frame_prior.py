"""The prior on the level of frames: phones to hidden states, and those, laid out over frames, to the mean mel.

A prior of one vector a phone says nothing of how a phone moves, so that the score network has to find all of it. Here
a one-dimensional network over frames reads the phone, where in it a frame lies, the pitch and the energy asked for
and the style, and predicts the mean mel; it is understood by itself, and the score network adds what a mean cannot
have. The text is encoded without any style, once for all of them.

Source: this library; of supervised durations, pitch and energy, Ren et al. 2021, "FastSpeech 2".
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gradtts_interp.alignment import expand_rows, sequence_mask
from gradtts_interp.config import ModelConfig
from gradtts_interp.models.layers import ConvNeXtBlock, Linear
from gradtts_interp.models.pitch_predictor import PITCH_FROM, PitchPlanes, token_places
from gradtts_interp.models.text_encoder import DURATION_KERNEL, DurationPredictor

PHONE_KERNEL = 5
FRAME_KERNEL = 9
PROSODY_NUMBERS = 4
PHONE_PLACES = 3
DROPOUT = 0.1


class PhoneReading(NamedTuple):
    """What a phone encoder says of a batch of texts.

    Attributes:
        hidden: Hidden states (B, D, L).
        mask: 1 on tokens (B, 1, L).
    """

    hidden: Tensor
    mask: Tensor


class PhoneEncoder(nn.Module):
    """Token ids to hidden states without any style, and from those, with a style, to durations and token means.

    Args:
        config: Shape of the model.
        style_channels: Width of the pooled style (E).
    """

    def __init__(self, config: ModelConfig, style_channels: int) -> None:
        super().__init__()
        width, layers = config.prior_width, config.prior_phone_layers
        self.emb = nn.Embedding(config.n_vocab, width)
        nn.init.normal_(self.emb.weight, 0.0, 0.3)
        self.blocks = nn.ModuleList(ConvNeXtBlock(width, kernel=PHONE_KERNEL, layers=layers) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.duration_style = Linear(style_channels + PROSODY_NUMBERS, width)
        self.proj_w = DurationPredictor(width, config.filter_channels_dp, DURATION_KERNEL, DROPOUT)
        self.means = nn.Sequential(Linear(width + style_channels, width), nn.GELU(), Linear(width, config.n_feats))

    def forward(self, ids: Tensor, lengths: Tensor) -> PhoneReading:
        """Encode a padded batch of texts; what is padded never changes the rest.

        Args:
            ids: Token ids in [0, n_vocab), (B, L).
            lengths: Valid tokens of each item, (B,).

        Returns:
            Hidden states and mask.
        """
        mask = sequence_mask(lengths, max_length=ids.shape[1])[..., None].to(self.emb.weight.dtype)
        x = self.emb(ids) * mask
        for block in self.blocks:
            x = block(x, mask)
        return PhoneReading((self.norm(x) * mask).transpose(1, 2), mask.transpose(1, 2))

    def durations(self, reading: PhoneReading, style: Tensor, prosody: Tensor) -> Tensor:
        """Predict how long each token lasts.

        Args:
            reading: The texts.
            style: Pooled styles (B, E).
            prosody: Normalised prosody vectors (B, 4), or with their flag (B, 5).

        Returns:
            Log-durations in frames (B, 1, L).
        """
        known = self.duration_style(torch.cat([style, prosody[:, :PROSODY_NUMBERS]], dim=1))[..., None]
        return self.proj_w((reading.hidden + known) * reading.mask, reading.mask)

    def token_means(self, reading: PhoneReading, style: Tensor) -> Tensor:
        """Mean mel of each token, which recordings without known durations are aligned by.

        Args:
            reading: The texts; no gradient reaches them.
            style: Pooled styles (B, E), which this is the shortest way to learn for.

        Returns:
            (B, M, L) on the normalised scale.
        """
        hidden = reading.hidden.detach().transpose(1, 2)
        features = torch.cat([hidden, style[:, None].expand(-1, hidden.shape[1], -1)], dim=-1)
        return self.means(features).transpose(1, 2) * reading.mask


class FramePrior(nn.Module):
    """Hidden states of the tokens, prosody and style per frame to the mean mel.

    Args:
        config: Shape of the model.
        style_channels: Width of the pooled style (E).
    """

    def __init__(self, config: ModelConfig, style_channels: int) -> None:
        super().__init__()
        width, layers = config.prior_width, config.prior_frame_layers
        self.planes = PitchPlanes(config.mel)
        self.tokens = Linear(width, width)
        # Place, voicing, height, energy, and the comb over the mel's bins.
        self.features = Linear(PHONE_PLACES + 3 + config.n_feats, width)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(width, kernel=FRAME_KERNEL, layers=layers, style_channels=style_channels)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.out = Linear(width, config.n_feats)

    @property
    def context_frames(self) -> int:
        """Frames on each side that a frame's mean depends on."""
        return len(self.blocks) * (FRAME_KERNEL // 2)

    def forward(
        self, hidden: Tensor, durations: Tensor, style: Tensor, prosody: Tensor, *, first_frame: int = 0
    ) -> Tensor:
        """Predict the mean mel.

        Args:
            hidden: Of each token (B, D, L).
            durations: Frames of each token (B, L).
            style: Pooled style of each frame (B, E, T), or (B, E, 1) where it does not move.
            prosody: What is asked of each frame (B, 8, T), see
                :func:`~gradtts_interp.models.pitch_predictor.asked_prosody`.
            first_frame: Of the utterance's frames, the one that ``style`` and ``prosody`` begin with.

        Returns:
            Mean mel on the normalised scale (B, M, T); 0 on padding.
        """
        stop = first_frame + prosody.shape[-1]
        mask = sequence_mask(durations.sum(1), max_length=stop)[:, first_frame:, None].to(hidden.dtype)
        places = token_places(durations, stop)[:, :PHONE_PLACES, first_frame:].to(hidden.dtype)
        tokens = expand_rows(self.tokens(hidden.transpose(1, 2)), durations, stop)[:, first_frame:]
        return self.of_frames(tokens, places, mask, style, prosody)

    def of_frames(self, tokens: Tensor, places: Tensor, mask: Tensor, style: Tensor, prosody: Tensor) -> Tensor:
        """Predict from what is laid out over frames.

        Args:
            tokens: What :attr:`tokens` makes of the hidden state of each frame (B, T, C).
            places: The first three of :func:`~gradtts_interp.models.pitch_predictor.token_places`, (B, 3, T).
            mask: 1 on frames of the utterance (B, T, 1).
            style: As for :meth:`forward`.
            prosody: As for :meth:`forward`.

        Returns:
            Mean mel (B, M, T).
        """
        pitch, energy = prosody[:, PITCH_FROM : PITCH_FROM + 2], prosody[:, PITCH_FROM + 2 : PITCH_FROM + 3]
        planes = self.planes(pitch).to(tokens.dtype)
        said = torch.cat([places, planes[:, 1:, 0], 0.25 * energy, planes[:, 0]], dim=1).transpose(1, 2)
        h, moving = (tokens + self.features(said)) * mask, style.transpose(1, 2)
        for block in self.blocks:
            h = block(h, mask, moving)
        return (self.out(self.norm(h)) * mask).transpose(1, 2)
