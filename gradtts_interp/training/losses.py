"""The three losses of Grad-TTS (duration, prior, diffusion) on the training mix, and that of the pitch predictor."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, distributed

from gradtts_interp.alignment import maximum_path, sequence_mask
from gradtts_interp.diffusion.schedule import diffuse, noise_level, signal
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.pitch_predictor import pitch_losses
from gradtts_interp.models.style_context import StyleContext, StyleTokens, join
from gradtts_interp.training.mix import Batch

T_MIN = 1e-5


@dataclass(frozen=True)
class Losses:
    """Scalars of one step; ``total`` carries the gradient.

    Attributes:
        duration: Mean squared error of log durations.
        prior: Negative log-likelihood of the mel under the prior, per value, without its constant.
        diffusion: Score-matching loss: squared error of the noise, or of v for a model that answers v.
        pitch: Error of the predicted pitch contours; 0 for a model that predicts none.
        total: Sum of the four.
        per_kind: Diffusion error per item (B,), for logs by kind of reference.
    """

    duration: Tensor
    prior: Tensor
    diffusion: Tensor
    pitch: Tensor
    total: Tensor
    per_kind: Tensor


@dataclass(frozen=True)
class Diffusion:
    """Where on the way to noise the items of a batch are looked at.

    Attributes:
        t: Diffusion times (B,) in (0, 1).
        noise: Standard normal noise (B, M, crop).
    """

    t: Tensor
    noise: Tensor


@dataclass(frozen=True)
class Prior:
    """The prior of a batch.

    Attributes:
        mu: Means per frame (B, M, T).
        duration_error: Sum over the tokens of all items but one-sided ones of the squared error of log durations, ().
        tokens: Number of those tokens, ().
        hidden: The text encoder's hidden states with the first style (B, D, L).
        durations: Frames of each token (B, L).
    """

    mu: Tensor
    duration_error: Tensor
    tokens: Tensor
    hidden: Tensor
    durations: Tensor


@dataclass(frozen=True)
class Conditioning:
    """What the networks read of a batch's references."""

    styles: tuple[StyleTokens, StyleTokens]
    context: StyleContext
    prosody: Tensor


def read_references(model: GradTTS, batch: Batch) -> Conditioning:
    """Encode both references of each item and join them under the batch's shares.

    Args:
        model: Model with a style encoder.
        batch: Training batch.

    Returns:
        Styles, joint context over the whole target, prosody per frame (B, 5, T), or (B, 7, T) with the target's own
        contour for a model that reads pitch.
    """
    encoder = model.style_encoder
    assert encoder is not None
    styles = []
    for side in range(2):
        styles.append(
            encoder(
                model.normalise(batch.reference[side]),
                batch.reference_lengths[side],
                mask=batch.reference_mask[side],
                role=batch.role[side],
                speaker=batch.speaker[side],
                emotion=batch.emotion[side],
                prosody=batch.prosody[side],
            )
        )
    pair = torch.stack([1 - batch.share, batch.share], dim=1)[:, :, None, :]
    shared = batch.shared[:, None, None, None]
    share = shared * pair + (1 - shared)
    alone = batch.side[:, None, None]
    prosody_share = torch.where(alone < 0, batch.share[:, None] * shared[:, 0], alone.to(batch.share.dtype))
    prosody = batch.prosody[0][..., None] * (1 - prosody_share) + batch.prosody[1][..., None] * prosody_share
    kept = encoder.drop(styles, batch.null)
    if model.pitch_predictor is not None:
        prosody = torch.cat([prosody, batch.pitch], dim=1)
    known = batch.prosody_known * (~batch.null).float()
    return Conditioning(
        styles=(styles[0], styles[1]), context=join(kept, share), prosody=prosody * known[:, None, None]
    )


def draw_diffusion(
    seed: int, step: int, *, size: int, shape: tuple[int, int], offset: int = 0, of: int | None = None
) -> Diffusion:
    """Draw times and noise as a pure function of seed, step and place in the global batch.

    Times are stratified over the global batch, one stratum for each item: the same distribution with less variance.

    Args:
        seed: Of the run.
        step: Optimiser step.
        size: Items of this batch (B).
        shape: Mel bins and frames of the noise.
        offset: Place of the first item in the global batch (for one of several processes).
        of: Size of the global batch; ``size`` if None.

    Returns:
        Times and noise, on the CPU.
    """
    of, places = of or size, range(offset, offset + size)
    source = np.random.default_rng([seed, step])
    times = ((np.arange(of) + source.random(of)) / of)[source.permutation(of)]
    noise = [np.random.default_rng([seed, step, place]).standard_normal(shape, dtype=np.float32) for place in places]
    t = torch.tensor(times[offset : offset + size], dtype=torch.float32).clamp(T_MIN, 1 - T_MIN)
    return Diffusion(t, torch.from_numpy(np.stack(noise)))


def training_losses(model: GradTTS, batch: Batch, diffusion: Diffusion | None) -> Losses:
    """Losses of one batch.

    Args:
        model: Model with a style encoder.
        batch: Training batch.
        diffusion: Times, and noise of the length of the random crop that the score network sees; None leaves the score
            network, whose work is nearly all of a step, out, with a loss of 0.

    Returns:
        The losses; on several processes their mean over processes is the loss of the global batch.
    """
    reading = read_references(model, batch)
    mel = model.normalise(batch.mel)
    prior = prior_of_batch(model, batch, reading, mel)
    mu, duration_loss = prior.mu, prior.duration_error / shared_count(prior.tokens).clamp_min(1)
    valid = sequence_mask(batch.lengths, max_length=mel.shape[2])[:, None].to(mel.dtype)
    # A prior of one style alone is not the target's: such items teach the score network only.
    taught = valid * (batch.side < 0)[:, None, None]
    prior_loss = 0.5 * ((mel - mu).square() * taught).sum() / (shared_count(taught.sum()).clamp_min(1) * mel.shape[1])
    error = torch.zeros(len(mel), device=mel.device)
    if diffusion is not None:
        error = diffusion_errors(model, batch, reading, diffusion, mel=mel, mu=mu, valid=valid)
    loss = error.mean()
    pitch_loss = pitch_loss_of_batch(model, batch, prior, valid[:, 0])
    total = duration_loss + prior_loss + loss + pitch_loss
    return Losses(duration_loss, prior_loss, loss, pitch_loss, total, error.detach())


def diffusion_errors(
    model: GradTTS,
    batch: Batch,
    reading: Conditioning,
    diffusion: Diffusion,
    *,
    mel: Tensor,
    mu: Tensor,
    valid: Tensor,
) -> Tensor:
    """Error of the score network on the random crop of each item.

    Args:
        model: The model.
        batch: Training batch.
        reading: What the networks read of the references.
        diffusion: Times and noise.
        mel: Normalised targets (B, M, T).
        mu: Prior means (B, M, T).
        valid: 1 on frames of the targets (B, 1, T).

    Returns:
        Mean squared error of the noise, or of v for a model that answers v, (B,).
    """
    t, noise = diffusion.t.to(mel.device), diffusion.noise.to(mel.device)
    frames = batch.start[:, None] + torch.arange(noise.shape[2], device=mel.device)[None]
    crop = Cropper(frames)
    mask, target, mean = crop(valid), crop(mel), crop(mu)
    x_t = diffuse(target, mean, t, noise, model.schedule)
    score = model.score(x_t, mask, mean, t, context=crop.context(reading.context), prosody=crop(reading.prosody))
    error = (score.float() * noise_level(t, model.schedule)[:, None, None] + noise).square() * mask
    error = error.sum((1, 2)) / (mask.sum((1, 2)) * mel.shape[1]).clamp_min(1)
    if model.settings.prediction == "v":
        error = error / signal(t, model.schedule).square()  # the squared error of v itself
    return error


def pitch_loss_of_batch(model: GradTTS, batch: Batch, prior: Prior, valid: Tensor) -> Tensor:
    """Error of the contours predicted for the first style, which gives the pitch of all items but blends."""
    if model.pitch_predictor is None:
        return torch.zeros((), device=valid.device)
    predicted = model.pitch_predictor(prior.hidden, prior.durations, valid.shape[1])
    voiced, log_f0 = batch.pitch.unbind(1)
    error, frames = pitch_losses(predicted, log_f0, voiced, valid, 1 - batch.shared)
    return error / shared_count(frames).clamp_min(1)


def shared_count(count: Tensor) -> Tensor:
    """Mean of a count over all processes, so that dividing by it weighs every token and frame of them alike."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return count
    total = count.detach().clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


class Cropper:
    """Cuts the same frames out of several tensors (B, C, T)."""

    def __init__(self, frames: Tensor) -> None:
        self.frames = frames

    def __call__(self, x: Tensor) -> Tensor:
        """Cut (B, C, T) to (B, C, crop)."""
        index = self.frames.clamp_max(x.shape[-1] - 1)
        return x.gather(-1, index[:, None].expand(-1, x.shape[1], -1))

    def context(self, context: StyleContext) -> StyleContext:
        """Cut the shares (B, 2, 1, T) of the joined styles."""
        assert context.share is not None
        return replace(context, share=self(context.share.flatten(1, 2)).unflatten(1, (2, 1)))


def prior_of_batch(model: GradTTS, batch: Batch, reading: Conditioning, mel: Tensor) -> Prior:
    """Prior means and the error of the durations; both styles of a blend are encoded and mixed by share.

    Args:
        model: Model with a style encoder.
        batch: Training batch; durations that are all 0 are unknown and found by monotonic alignment search.
        reading: What the networks read of the references.
        mel: Normalised targets (B, M, T).

    Returns:
        The prior.
    """
    size = batch.ids.shape[0]
    null = model.style_encoder.null_pooled.expand(size, -1)  # type: ignore[union-attr]
    a, b = (s.pooled for s in reading.styles)
    alone = batch.side[:, None]
    chosen = [torch.where(alone < 0, own, torch.where(alone == 0, a, b)) for own in (a, b)]
    pooled = [torch.where(batch.null_text[:, None], null, c) for c in chosen]
    mu, logw, mask, hidden = model.read_text(batch.ids.repeat(2, 1), batch.id_lengths.repeat(2), torch.cat(pooled))
    valid = sequence_mask(batch.lengths, max_length=mel.shape[2])
    mean_share = (batch.share * valid).sum(1) / batch.lengths
    logw = logw[:size] * (1 - mean_share)[:, None, None] + logw[size:] * mean_share[:, None, None]
    token_mask = mask[:size, 0]
    taught = token_mask * (batch.side < 0)[:, None]
    durations = batch.durations
    if int(durations.sum()) == 0:
        durations = align(mu[:size].detach(), mel, token_mask, valid)
    target = torch.log(durations.clamp_min(1).to(mel.dtype))
    duration_error = ((logw[:, 0] - target).square() * taught).sum()
    token = frame_tokens(durations, mel.shape[2])[:, None].expand(-1, mel.shape[1], -1)
    share = batch.share[:, None]
    mixed = mu[:size].gather(-1, token) * (1 - share) + mu[size:].gather(-1, token) * share
    return Prior(mixed, duration_error, taught.sum(), hidden[:size], durations)


def frame_tokens(durations: Tensor, frames: int) -> Tensor:
    """Token of each frame, (B, T), from frames per token (B, L); padding gets the last token."""
    ends = durations.cumsum(-1)
    at = torch.arange(frames, device=durations.device).expand(len(ends), -1).contiguous()
    return torch.searchsorted(ends, at, right=True).clamp_max(durations.shape[1] - 1)


@torch.no_grad()
def align(mu: Tensor, mel: Tensor, token_mask: Tensor, frame_valid: Tensor) -> Tensor:
    """Durations (B, L) by monotonic alignment search under a unit Gaussian around ``mu`` (B, M, L)."""
    constant = -0.5 * math.log(2 * math.pi) * mel.shape[1]
    squares = -0.5 * (mel.square().sum(1)[:, None] + mu.square().sum(1)[..., None])
    value = squares + torch.einsum("bml,bmt->blt", mu, mel) + constant
    mask = token_mask[..., None] * frame_valid[:, None].to(mel.dtype)
    return maximum_path(value, mask).sum(-1).long()
