"""From styles and texts to what the mechanisms work on: prior means, tokens and prosody of each style."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gradtts_interp.alignment import durations_from_log, expand
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.mechanisms import StyleReading, mean_of_frames, single
from gradtts_interp.interpolation.shares import PitchRegion
from gradtts_interp.models.frame_prior import PhoneEncoder, PhoneReading
from gradtts_interp.models.grad_tts import FORMANT_QUEFRENCIES, GradTTS, lifter
from gradtts_interp.models.pitch_predictor import PITCH_FROM, contour_of
from gradtts_interp.models.style_attention import StyleContext
from gradtts_interp.models.style_encoder import NAMED_IN
from gradtts_interp.pitch.contour import Contour, f0_skew, normalise_prosody
from gradtts_interp.pitch.masks import pitch_mask
from gradtts_interp.styles import Style

KEPT_READINGS = 12
"""References whose tokens are kept: two styles in each of their roles, and room for others."""
READING = threading.Lock()  # lines that are rendered side by side read a style once
FEWEST_VOICED = 20
"""Frames of a recording whose spectrum is followed."""
FOLLOWED_SPREAD = 0.75
"""How much of a recording's spread about its mean spectrum is taken over, in log; its noise is part of it."""


Texts = tuple[Tensor, Tensor]
"""Token ids of a batch (B, L), 0 on padding, and how many each text has (B,)."""


def pad_ids(ids: list[tuple[int, ...]], device: torch.device) -> Texts:
    """Put token ids in one padded batch."""
    rows = [torch.tensor(row, device=device) for row in ids]
    return pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in ids], device=device)


def encode_styles(
    model: GradTTS, texts: Texts, styles: list[Style], *, pitch: PitchRegion | None = None
) -> list[StyleReading]:
    """Encode each text in each style.

    Args:
        model: The acoustic model.
        texts: B texts.
        styles: n styles.
        pitch: Set where the first or the last style gives its pitch and the other the rest: references are masked
            accordingly, and durations read the prosody of the one, as in the dual references of the training.

    Returns:
        n answers; that of an average of styles is the mean of theirs.

    Raises:
        InputError: A style lacks what the model reads.
    """
    # What is read of the text is the same in all styles.
    text = model.encoder(*texts)
    answers = []
    for i, style in enumerate(styles):
        role, prosody = "whole", None
        if pitch is not None:
            gives = i == pitch.giver % len(styles)
            role, prosody = "pitch" if gives else "rest", styles[pitch.giver].prosody
        parts = style.parts or (style,)
        if isinstance(text, PhoneReading):
            encoded = [_encode(model, text, part, role, prosody, pitch) for part in parts]
        else:
            encoded = [_encode_official(model, text, part) for part in parts]
        answers.append(encoded[0] if len(encoded) == 1 else _average(encoded))
    return answers


def _encode(
    model: GradTTS,
    text: PhoneReading,
    style: Style,
    role: str,
    prosody: NDArray[np.float32] | None,
    pitch: PitchRegion | None,
) -> StyleReading:
    """Encode texts in a style, which is read for its own prosody (4,) where none is given."""
    if style.mel is None or style.contour is None or style.prosody is None:
        raise InputError(f"style {style.name}: this checkpoint reads references, and the style has none")
    assert isinstance(model.encoder, PhoneEncoder)
    (tokens, pooled), size = _style_tokens(model, style, role, pitch), len(text.hidden)
    vector = _prosody_input(style.prosody, model.device).expand(size, -1)
    skew = torch.full_like(vector[:, 0], f0_skew(style.contour))
    numbers = vector if prosody is None else _prosody_input(prosody, model.device).expand(size, -1)
    told = replace(tokens, tokens=_repeat(tokens.tokens, size), log_weight=_repeat(tokens.log_weight, size))
    reading = style_reading(model.encoder, text, told, _repeat(pooled, size), numbers)
    if role != "whole":
        # A frame prior is told the pitch, so it may see all of the reference; and who gives the pitch gives the contour
        # that it has alone.
        _, pooled = _style_tokens(model, style, "whole", None)
    spectrum = None if style.speaker is not None else _spectrum(model, style)
    return replace(reading, pooled=_repeat(pooled, size), prosody=vector, skew=skew, spectrum=spectrum)


def _repeat(x: Tensor, size: int) -> Tensor:
    """What is of one reference (1, ...) for each of some texts."""
    return x.expand(size, *x.shape[1:])


def style_reading(
    encoder: PhoneEncoder, text: PhoneReading, tokens: StyleContext, pooled: Tensor, prosody: Tensor
) -> StyleReading:
    """Read texts in a style.

    Args:
        encoder: Of the model.
        text: B texts, as it reads them.
        tokens: The style of each.
        pooled: Its summary (B, E).
        prosody: Normalised prosody of each with its flag (B, 5), by which durations go.

    Returns:
        The reading, not yet laid out over frames.
    """
    logw = encoder.durations(text, pooled, prosody)
    return StyleReading(logw, text.mask, tokens, pooled, prosody, hidden=text.hidden)


def _average(styles: list[StyleReading]) -> StyleReading:
    """The mean of what is read of n styles; of their tokens each may be read, so much less."""

    def mean(name: str) -> Any:
        values = [getattr(style, name) for style in styles]
        return None if any(value is None for value in values) else torch.stack(values).mean(0)

    tokens, each = None, [style.tokens for style in styles if style.tokens is not None]
    if each:
        share = math.log(len(each))
        weight = torch.cat([torch.where(t.readable, t.log_weight - share, t.log_weight) for t in each], dim=1)
        owner = torch.cat([t.owner for t in each])
        tokens = StyleContext(torch.cat([t.tokens for t in each], dim=1), weight, owner)
    names = ("means", "logw", "pooled", "prosody", "speaker", "hidden", "skew", "spectrum")
    parts = {name: mean(name) for name in names}
    return replace(styles[0], tokens=tokens, **parts)


def _spectrum(model: GradTTS, style: Style) -> Tensor | None:
    """Mean and spread (2, M) of a recording's voiced frames; None where they are too few to tell."""
    assert style.mel is not None and style.contour is not None
    voiced = style.contour.voiced[: style.mel.shape[1]]
    if voiced.sum() < FEWEST_VOICED:
        return None
    mel = torch.from_numpy(style.mel[:, : len(voiced)][:, voiced]).to(model.device).float()
    return torch.stack([mel.mean(1), mel.std(1)])


def _encode_official(model: GradTTS, text: tuple[Tensor, Tensor, Tensor], style: Style) -> StyleReading:
    (means, logw, mask), speaker = text, None
    if model.settings.n_spks > 1:
        if style.speaker is None:
            known = f"one of its speakers 0 to {model.settings.n_spks - 1}"
            raise InputError(f"style {style.name}: this checkpoint reads no recordings; expected {known}")
        speaker = model.speaker_vector(style.speaker)
    return StyleReading(logw, mask, means=means, speaker=speaker)


def _style_tokens(model: GradTTS, style: Style, role: str, pitch: PitchRegion | None) -> tuple[StyleContext, Tensor]:
    """The tokens of a style, and their summary (1, E); the last few are kept for as long as no weight changes."""
    if torch.is_grad_enabled():
        return _encode_tokens(model, style, role, pitch)
    assert model.style_encoder is not None
    known, autocast = model.style_encoder.known, torch.is_autocast_enabled(model.device.type)
    sums = tuple(torch.stack([weight.sum() for weight in model.style_encoder.parameters()]).tolist())
    key = (id(style), role, pitch, model.device, autocast, sums)
    with READING:
        if key not in known:
            # The style is kept beside the tokens, so that no other object gets its id.
            known[key] = (style, _encode_tokens(model, style, role, pitch))
            if len(known) > KEPT_READINGS:
                del known[next(iter(known))]
        return known[key][-1]


def _encode_tokens(model: GradTTS, style: Style, role: str, pitch: PitchRegion | None) -> tuple[StyleContext, Tensor]:
    encoder = model.style_encoder
    assert encoder is not None and style.mel is not None and style.contour is not None
    mel = torch.from_numpy(style.mel)[None].to(model.device, torch.float32)
    mask = None
    if pitch is not None:
        mask = torch.from_numpy(readable_part(style.contour, role, pitch, model.settings.mel))[None].to(mel)
    (names_speaker, names_emotion), speaker, emotion = NAMED_IN[role], None, None
    if encoder.speakers is not None and style.speaker is not None and names_speaker:
        speaker = torch.tensor([style.speaker], device=model.device)
    if encoder.emotion is not None and style.emotion is not None and names_emotion:
        if style.emotion.shape != (encoder.config.emotion_dim,):
            wanted = f"({encoder.config.emotion_dim},)"
            raise InputError(f"style {style.name}: emotion vector {style.emotion.shape}; expected {wanted}")
        emotion = torch.from_numpy(style.emotion)[None].to(mel)
    return encoder(
        model.normalise(mel),
        torch.tensor([mel.shape[2]], device=model.device),
        mask=mask,
        role=role,
        speaker=speaker,
        emotion=emotion,
    )


def region_mask(contour: Contour, pitch: PitchRegion, mel: MelConfig) -> NDArray[np.float32]:
    """Pitch region of a reference on its own plane, (M, K)."""
    return pitch_mask(contour.f0_hz, contour.voiced, mel, harmonics=pitch.harmonics, width_bins=pitch.width_bins)


def readable_part(contour: Contour, role: str, pitch: PitchRegion, mel: MelConfig) -> NDArray[np.float32]:
    """What may be read of a reference in a role, 0 or 1 on its own plane (M, K)."""
    if role == "whole":
        return np.ones((mel.n_mels, len(contour.f0_hz)), dtype=np.float32)
    region = region_mask(contour, pitch, mel)
    return region if role == "pitch" else 1 - region


def _prosody_input(prosody: np.ndarray, device: torch.device) -> Tensor:
    """Normalised prosody with the flag that it is given, (1, 5)."""
    return torch.from_numpy(np.append(normalise_prosody(prosody), np.float32(1)))[None].float().to(device)


def blend_durations(styles: list[StyleReading], mean_shares: Tensor, *, length_scale: float, rounding: str) -> Tensor:
    """Durations (B, L) in frames: blended in log by mean share, so that half-way is the geometric mean.

    Args:
        styles: n encoded styles.
        mean_shares: (B, n), sums to 1.
        length_scale: Factor on all durations.
        rounding: See :func:`~gradtts_interp.alignment.durations_from_log`.

    Returns:
        Frames of each token (B, L), 0 on padding.
    """
    logw = blend_log_durations(styles, mean_shares)
    return durations_from_log(logw, styles[0].mask, length_scale=length_scale, rounding=rounding)


def blend_log_durations(styles: Sequence[StyleReading], mean_shares: Tensor) -> Tensor:
    """Log durations (B, 1, L) of n encoded styles, by their mean shares (B, n)."""
    parts = [s.logw * mean_shares[:, i, None, None] for i, s in enumerate(styles)]
    return sum(parts[1:], start=parts[0])


def blend_rates(styles: list[StyleReading], shares: Tensor, *, length_scale: float, rounding: str) -> Tensor:
    """Durations (B, L) in frames between those of the styles alone, in log, by a share for each token.

    Running sums are rounded, since styles may differ by less than a frame a token.

    Args:
        styles: n encoded styles.
        shares: Of each style and token (B, n, L), sums to 1 over n.
        length_scale: Factor on all durations.
        rounding: See :func:`~gradtts_interp.alignment.durations_from_log`.

    Returns:
        Frames of each token (B, L), 0 on padding.
    """
    alone = [durations_from_log(s.logw, s.mask, length_scale=length_scale, rounding=rounding) for s in styles]
    logs, mask = torch.stack(alone, dim=1).clamp_min(1).log(), styles[0].mask[:, 0]
    ends = (((logs * shares).sum(1).exp()) * mask).cumsum(1).round()
    return (ends.diff(dim=1, prepend=torch.zeros_like(ends[:, :1])).clamp_min(1) * mask).long()


def read_style(
    model: GradTTS, style: StyleReading, durations: Tensor, frames: int, *, spoken: Tensor | None = None
) -> StyleReading:
    """Lay one style out over the target's frames.

    Args:
        model: The acoustic model.
        style: What :func:`encode_styles` gave.
        durations: Frames of each token (B, L).
        frames: Frames of the target (T).
        spoken: In training: voicing, log-F0 and energy of the target itself (B, 3, T), see :class:`StyleReading`; of a
            model with a frame prior.

    Returns:
        The same with all that is laid out over frames.
    """
    if style.means is not None:
        plane = None
        if style.speaker is not None:
            assert model.decoder is not None, "official models have a score network"
            plane = model.decoder.estimator.speaker_plane(style.speaker, frames).expand(len(durations), -1, -1)
        return replace(style, plane=plane, mu=expand(style.means, durations, frames=frames))
    predictor, prior = model.pitch_predictor, model.frame_prior
    assert predictor is not None and prior is not None and style.pooled is not None
    mean = partial(prior, style.hidden, durations)
    if spoken is not None:
        return replace(style, spoken=spoken, mean=mean)
    assert style.skew is not None
    contour = contour_of(predictor(style.hidden, durations, frames, style.pooled), durations, style.skew)
    envelope = partial(prior.planes.envelope, mel_std=model.settings.mel_std)
    reading = replace(style, contour=contour, mean=mean, envelope=envelope, level=partial(_level, model))
    return reading if style.spectrum is None else replace(reading, towards=_towards(model, reading, style.spectrum))


def _level(model: GradTTS, mean: Tensor) -> Tensor:
    """Level (B, 1, T) of a mean (B, M, T), as it is heard: of the sum of the powers of its bins, in the mean's unit."""
    return (2 * model.to_mel(mean)).logsumexp(1, keepdim=True) / (2 * model.settings.mel_std)


def _towards(model: GradTTS, reading: StyleReading, spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """Factor and summand (B, M, 1) that bring the means of voiced frames to a recording's spectrum, at their own level.

    The pooled style says of a voice that training never heard only what it has in common with those that it did.
    """
    branch = single((reading,))
    own, emphasis = mean_of_frames((reading,), branch, slice(None)), model.settings.formant_emphasis
    assert branch.prosody is not None
    voiced = (branch.prosody[:, PITCH_FROM] > 0).to(own)[:, None]
    heard, count = model.to_mel(own), voiced.sum(-1, keepdim=True).clamp_min(1)
    mean = (heard * voiced).sum(-1, keepdim=True) / count
    spread = ((heard - mean).square() * voiced).sum(-1, keepdim=True).div(count).sqrt().clamp_min(1e-3)
    factor = (spectrum[1][:, None] / spread).clamp(0.5, 2) ** FOLLOWED_SPREAD
    change = spectrum[0][:, None] - mean
    change = change - change.mean(1, keepdim=True)
    # What is decoded has its formants emphasised; before that, the change is so much smaller.
    change = (change - (1 - 1 / emphasis) * lifter(change, *FORMANT_QUEFRENCIES)) / model.settings.mel_std
    centre = (own * voiced).sum(-1, keepdim=True) / count
    return factor, centre + change - factor * centre
