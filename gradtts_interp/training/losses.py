"""The three losses of Grad-TTS (duration, prior, diffusion) on the training mix, and those of contour and alignment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, distributed
from torch.func import functional_call

from gradtts_interp.alignment import expand_rows, maximum_path, sequence_mask, token_mean
from gradtts_interp.diffusion.schedule import diffuse, noise_level, signal
from gradtts_interp.interpolation.conditioning import blend_log_durations, read_style, style_reading
from gradtts_interp.interpolation.mechanisms import (
    Branch,
    Plan,
    Shares,
    StyleReading,
    make_score,
    mean_of_frames,
    read_together,
)
from gradtts_interp.models.frame_prior import PhoneEncoder
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.pitch_predictor import ENERGY_FLOOR, PITCH_CHANNELS, pitch_losses
from gradtts_interp.models.style_attention import StyleContext, context_of
from gradtts_interp.training.mix import Batch
from hifigan.discriminators import PictureDiscriminator
from hifigan.losses import discriminator_loss, feature_loss, generator_loss

T_MIN = 1e-5

Pair = tuple[Tensor, Tensor]
"""Something of reference A and of reference B."""
Diffusion = tuple[Tensor, Tensor]
"""Where on the way to noise the items of a batch are looked at: times (B,) in (0, 1) and normal noise (B, M, crop)."""


@dataclass(frozen=True)
class Losses:
    """Scalars of one step.

    Attributes:
        duration: Mean squared error of log durations.
        prior: Negative log-likelihood of the mel under the prior, per value, without its constant, and absolute error.
        diffusion: Score-matching loss: squared error of the noise, or of v for a model that answers v.
        pitch: Error of the predicted contours.
        alignment: Error of the token means, by which recordings are aligned.
        adversarial: What a discriminator makes the mels of the score network or the prior lose; 0 without one.
        discriminator: Loss of that discriminator.
        per_kind: Diffusion error per item (B,), for logs by kind of reference.
        residual: Spread of what the prior leaves to the score network; ``residual_std`` of the model may be set to it.
    """

    duration: Tensor
    prior: Tensor
    diffusion: Tensor
    pitch: Tensor
    alignment: Tensor
    adversarial: Tensor
    discriminator: Tensor
    per_kind: Tensor
    residual: Tensor

    @property
    def total(self) -> Tensor:
        """Sum of the seven, which carries the gradient."""
        of_model = self.duration + self.prior + self.diffusion + self.pitch + self.alignment
        return of_model + self.adversarial + self.discriminator


def read_references(model: GradTTS, batch: Batch, *, attended: bool = True) -> tuple[list[StyleContext], list[Tensor]]:
    """Read both references of each item, each in its role, with what is withheld of them.

    Args:
        model: Model with a style encoder.
        batch: Training batch.
        attended: Whether the score network reads them; if not, there are pooled styles alone, which are all that a
            frame prior reads.

    Returns:
        Tokens of A and of B, and their pooled styles (B, E); that of a reference of which nothing can be read counts
        for nothing, and is 0 where it is not attended to.
    """
    encoder = model.style_encoder
    assert encoder is not None
    if attended:
        whole = [
            encoder(
                model.normalise(batch.reference[side]),
                batch.reference_lengths[side],
                mask=batch.reference_mask[side],
                role=batch.role[side],
                speaker=batch.speaker[side],
                emotion=batch.emotion[side],
            )
            for side in range(2)
        ]
        pooled = [each for _, each in whole]
        tokens = encoder.drop([each for each, _ in whole], batch.null)
    else:
        pooled = list(pooled_references(model, batch))
        none = pooled[0].new_zeros(len(pooled[0]), 0, encoder.config.width)
        tokens = [context_of(none, none[..., 0])] * 2
    nobody = encoder.null_pooled.expand(len(pooled[0]), -1)
    return tokens, [torch.where(batch.null_text[:, None], nobody, each) for each in pooled]


def pooled_references(model: GradTTS, batch: Batch) -> Pair:
    """Pooled styles (B, E) of both references of each item; that of one of which nothing can be read is 0."""
    assert model.style_encoder is not None
    size = batch.ids.shape[0]
    seen = (batch.reference_mask.flatten(2).amax(-1) > 0).flatten().nonzero()[:, 0]
    lengths = batch.reference_lengths.flatten(0, 1)[seen]
    found = model.style_encoder.timbre(
        model.normalise(batch.reference.flatten(0, 1)[seen]),
        lengths,
        mask=batch.reference_mask.flatten(0, 1)[seen],
        speaker=batch.speaker.flatten()[seen],
        emotion=batch.emotion.flatten(0, 1)[seen],
    )
    pooled = found.new_zeros(2 * size, found.shape[1]).index_copy(0, seen, found)
    return pooled[:size], pooled[size:]


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
    return t, torch.from_numpy(np.stack(noise))


def training_losses(
    model: GradTTS,
    batch: Batch,
    diffusion: Diffusion | None,
    *,
    discriminator: PictureDiscriminator | None = None,
    weight: float = 0.0,
    beginning: GradTTS | None = None,
) -> Losses:
    """Losses of one batch.

    Args:
        model: Model with a style encoder.
        batch: Training batch.
        diffusion: Times, and noise of the length of the random crop that the score network sees; None leaves the score
            network, whose work is nearly all of a step, out, with a loss of 0.
        discriminator: Judge, trained beside the model, of the clean mels that the score network sees, or where
            ``diffusion`` is None of the prior's mels; None for none.
        weight: Of its scores.
        beginning: A model whose mean, beside the prior's, is taken off the targets of the score network; None leaves
            them as they are.

    Returns:
        The losses; on several processes their mean over processes is the loss of the global batch.
    """
    mel = model.normalise(batch.mel)
    references = read_references(model, batch, attended=diffusion is not None)
    told, readings, durations = condition(model, batch, mel, *references)
    mu = Plan((told,)).mu
    valid = sequence_mask(batch.lengths, max_length=mel.shape[2])[:, None].to(mel.dtype)
    count = shared_count(valid.sum()) * mel.shape[1]
    squares = ((mel - mu).square() * valid).sum() / count
    prior_loss = 0.5 * squares + ((mel - mu).abs() * valid).sum() / count
    error, clean = torch.zeros(len(mel), device=mel.device), None
    if diffusion is not None:
        crop = Cropper(batch.start[:, None] + torch.arange(diffusion[1].shape[2], device=mel.device)[None])
        target, branch, mask = crop(mel), crop.branch(told), crop(valid)
        if beginning is not None:
            target = target - shift_of_mean(beginning, batch, diffusion, crop, mean=crop(mu), mask=mask)
        error, clean = answer_of_score_network(model, diffusion, branch, target=target, mask=mask)
    loss = error.mean()
    adversarial, own = torch.zeros_like(loss), torch.zeros_like(loss)
    if discriminator is not None:
        # Of nobody, and without a contour, a mean is all there is.
        if clean is not None:
            real, fake, distance, judged = crop(mel), clean, loss, crop(valid) * (~batch.null)[:, None, None]
        else:
            real, fake, distance, judged = mel, mu, prior_loss, valid * (~batch.null_text)[:, None, None]
        adversarial, own = adversarial_losses(
            discriminator, real * judged, fake * judged, distance=distance, weight=weight
        )
    return Losses(
        duration=error_of_durations(batch, readings, durations),
        prior=prior_loss,
        diffusion=loss,
        pitch=error_of_contours(model, batch, readings[0], durations, valid[:, 0]),
        alignment=error_of_token_means(batch, mel, readings[0], durations, valid[:, 0]),
        adversarial=adversarial,
        discriminator=own,
        per_kind=error.detach(),
        residual=squares.detach().sqrt(),
    )


def adversarial_losses(
    discriminator: PictureDiscriminator, real: Tensor, fake: Tensor, *, distance: Tensor, weight: float
) -> tuple[Tensor, Tensor]:
    """Losses of the model and of a discriminator of mels, whose gradients reach each its own weights alone.

    What minimises the distance to the target is the mean of all the mels that text, contour and style leave open:
    without the edges and the texture of any of them. A discriminator tells such means from recordings.

    Args:
        discriminator: Judge of mels.
        real: Recorded mels (B, M, T), normalised, 0 where nothing is judged.
        fake: Predicted mels (B, M, T), 0 in the same places.
        distance: Loss of the predicted mels (), to whose size the feature distance is scaled.
        weight: Of the discriminator's scores.

    Returns:
        Loss of the model and loss of the discriminator, shapes ().

    Source: Yang et al. 2021, "GANSpeech": least squares, and the feature distance scaled to the distance of the mels.
    """
    judged = discriminator(real[:, None])
    own = discriminator_loss([judged], [discriminator(fake.detach()[:, None])])
    frozen = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
    seen = functional_call(discriminator, frozen, (fake[:, None],))
    features = feature_loss([judged], [seen])
    scale = distance.detach() / features.detach().clamp_min(1e-6)
    return weight * generator_loss([seen]) + scale * features, own


def answer_of_score_network(
    model: GradTTS,
    diffusion: Diffusion,
    branch: Branch,
    *,
    target: Tensor,
    mask: Tensor,
) -> tuple[Tensor, Tensor]:
    """Ask the score network about the random crop of each item.

    Args:
        model: The model.
        diffusion: Times and noise.
        branch: What it is told, cut like all that follows.
        target: Normalised mels (B, M, crop).
        mask: 1 on frames of the targets (B, 1, crop).

    Returns:
        Mean squared error of the noise, or of v for a model that answers v, (B,); and the normalised mel without noise
        that it sees in the noisy one, (B, M, crop).
    """
    t, noise = (part.to(target.device) for part in diffusion)
    plan = Plan((branch,))
    mean = plan.mu
    x_t = diffuse(model.to_diffusion(target, mean), mean, t, noise, model.schedule)
    score = make_score(model, plan, mask)(x_t, t)
    scale, level = (f(t, model.schedule)[:, None, None] for f in (signal, noise_level))
    found = -score.float() * level
    error = ((found - noise).square() * mask).sum((1, 2)) / (mask.sum((1, 2)) * target.shape[1]).clamp_min(1)
    if model.settings.prediction == "v":
        error = error / scale[:, 0, 0].square()  # the squared error of v itself
    clean = mean + (x_t - mean - level * found) / scale
    return error, model.from_diffusion(clean, mean)


@torch.no_grad()
def shift_of_mean(
    model: GradTTS, batch: Batch, diffusion: Diffusion, crop: Cropper, *, mean: Tensor, mask: Tensor
) -> Tensor:
    """How far the mean of what a score network would draw lies from the prior's.

    At t = 1 it sees noise alone, and answers with the mean of all that text, contour and style leave open. Around a
    prior that a discriminator has sharpened that mean is a blunter one.

    Args:
        model: A model that is not trained.
        batch: Training batch.
        diffusion: Whose noise is taken.
        crop: The random crops.
        mean: Prior means (B, M, crop), around which it is asked.
        mask: 1 on frames of the targets (B, 1, crop).

    Returns:
        The shift, normalised, (B, M, crop).
    """
    mel = model.normalise(batch.mel)  # of which nothing is left at t = 1
    told, _, _ = condition(model, batch, mel, *read_references(model, batch))
    branch, last = replace(crop.branch(told), mu=mean), (torch.full_like(diffusion[0], 1 - T_MIN), diffusion[1])
    _, clean = answer_of_score_network(model, last, branch, target=crop(mel), mask=mask)
    return (clean - mean) * mask


def mean_shares(batch: Batch) -> Tensor:
    """Mean share of both styles over each item's own frames (B, 2)."""
    valid = sequence_mask(batch.lengths, max_length=batch.share.shape[1])
    of_second = (batch.share * valid).sum(1) / batch.lengths
    return torch.stack([1 - of_second, of_second], dim=1)


def error_of_durations(batch: Batch, readings: Sequence[StyleReading], durations: Tensor) -> Tensor:
    """Mean squared error of the log durations that are predicted for the styles by their mean shares."""
    predicted, mask = blend_log_durations(readings, mean_shares(batch)), readings[0].mask
    wrong = predicted - durations.clamp_min(1).log()[:, None]
    return (wrong.float().square() * mask).sum() / shared_count(mask.sum())


def error_of_token_means(batch: Batch, mel: Tensor, reading: StyleReading, durations: Tensor, valid: Tensor) -> Tensor:
    """Error of the means of tokens, by which recordings are aligned, over all items but blends."""
    assert reading.means is not None
    laid = expand_rows(reading.means.transpose(1, 2), durations, mel.shape[2]).transpose(1, 2)
    taught = valid * (batch.shared == 0)[:, None]
    error = ((mel - laid).square() * taught[:, None]).sum() * 0.5
    return error / (shared_count(taught.sum()).clamp_min(1) * mel.shape[1])


def error_of_contours(model: GradTTS, batch: Batch, reading: StyleReading, durations: Tensor, valid: Tensor) -> Tensor:
    """Error of the contours predicted for the first style, which gives the pitch of all items but blends."""
    assert model.pitch_predictor is not None and reading.hidden is not None and reading.pooled is not None
    taught = (batch.shared == 0).nonzero()[:, 0]
    hidden, pooled, durations = reading.hidden[taught], reading.pooled[taught], durations[taught]
    predicted = model.pitch_predictor(hidden, durations, valid.shape[1], pooled)
    level = token_mean(batch.pitch[taught, 2], durations).clamp_min(ENERGY_FLOOR) - batch.level[taught, None]
    voiced, log_f0 = batch.pitch[taught, 0], batch.pitch[taught, 1]
    error, count = pitch_losses(predicted, log_f0, voiced, valid[taught], energy=level)
    return error / shared_count(count).clamp_min(1)


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

    def branch(self, branch: Branch) -> Branch:
        """Cut what an evaluation is told: prosody, prior mean, and the shares (B, 2, 1, T) of the joined styles."""
        context, prosody, mu = branch.context, branch.prosody, branch.mu
        assert context is not None and context.share is not None and prosody is not None and mu is not None
        context = replace(context, share=self(context.share.flatten(1, 2)).unflatten(1, (2, 1)))
        return replace(branch, context=context, prosody=self(prosody), mu=self(mu))


def condition(
    model: GradTTS, batch: Batch, mel: Tensor, tokens: Sequence[StyleContext], pooled: Sequence[Tensor]
) -> tuple[Branch, tuple[StyleReading, ...], Tensor]:
    """Lay texts and references out over the targets, as inference does, with the targets' own pitch and energy.

    Args:
        model: Model with a style encoder.
        batch: Training batch; durations that are all 0 are unknown and found by monotonic alignment search.
        mel: Normalised targets (B, M, T).
        tokens: Of both references, as :func:`read_references` gives them.
        pooled: Of both references, (B, E).

    Returns:
        What the networks are told, on all frames of the targets: an item without a style has no prosody in its prior,
        one whose prosody is withheld none in its score network. Then how each style was read, with the means of
        tokens; and the frames of each token (B, L).
    """
    encoder = model.encoder
    assert isinstance(encoder, PhoneEncoder)
    text, blended = encoder(batch.ids, batch.id_lengths), (batch.shared > 0)[:, None]
    (a, b), of_second = pooled, (batch.share[:, :1] > 0) & ~blended
    means, durations = encoder.token_means(text, torch.where(of_second, b, a)), batch.durations
    if int(durations.sum()) == 0:
        valid = sequence_mask(batch.lengths, max_length=mel.shape[2])
        durations = align(means.detach().float(), mel, text.mask[:, 0], valid)
    energy = token_mean(batch.pitch[:, PITCH_CHANNELS], durations).clamp_min(ENERGY_FLOOR)[:, None]
    spoken = torch.cat([batch.pitch[:, :PITCH_CHANNELS], energy], dim=1)
    styles = [style_reading(encoder, text, *told) for told in zip(tokens, pooled, batch.prosody, strict=True)]
    readings = tuple(read_style(model, style, durations, mel.shape[2], spoken=spoken) for style in styles)
    plane = torch.stack([1 - batch.share, batch.share], dim=1)[:, :, None]  # the same at all bins
    shares = Shares(plane, plane, plane, plane, mean_shares(batch), by_pitch=~blended[:, 0])
    branch = read_together(readings, shares)
    assert branch.prosody is not None
    known, styled = batch.prosody_known * ~batch.null, (~batch.null_text).float()
    of_prior = replace(branch, prosody=branch.prosody * styled[:, None, None])
    mu = mean_of_frames(readings, of_prior, slice(None))
    branch = replace(branch, mu=mu, prosody=branch.prosody * known[:, None, None])
    return branch, tuple(replace(reading, means=means) for reading in readings), durations


@torch.no_grad()
def align(mu: Tensor, mel: Tensor, token_mask: Tensor, frame_valid: Tensor) -> Tensor:
    """Durations (B, L) by monotonic alignment search under a unit Gaussian around ``mu`` (B, M, L)."""
    constant = -0.5 * math.log(2 * math.pi) * mel.shape[1]
    squares = -0.5 * (mel.square().sum(1)[:, None] + mu.square().sum(1)[..., None])
    value = squares + torch.einsum("bml,bmt->blt", mu, mel) + constant
    mask = token_mask[..., None] * frame_valid[:, None].to(mel.dtype)
    return maximum_path(value, mask).sum(-1).long()
