"""A picture of what a model has learnt: one matched, one dual and one blended draw, sampled and measured.

Only matplotlib's object interface is used, so no window, backend or global setting is touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from gradtts_interp.alignment import fix_length, sequence_mask
from gradtts_interp.diffusion.diffusers_adapter import unipc
from gradtts_interp.files import atomic_path
from gradtts_interp.interpolation.attention_record import StyleMassRecorder, mass_over_time
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.pitch.contour import Contour, extract_contour
from gradtts_interp.pitch.masks import pitch_mask
from gradtts_interp.training.losses import Cropper, prior_of_batch, read_references
from gradtts_interp.training.mix import KINDS, Mixer, collate
from gradtts_interp.vocoder import GriffinLimVocoder

SAMPLE_STEPS = 8
LONGEST_FRAMES = 384
FIRST_INDEX = 2 * 10**9
HIGHEST_LOG_MEL = 3.0
GRIFFIN_LIM_ROUNDS = 16
F0_LIMITS_HZ = (60.0, 450.0)


@dataclass(frozen=True)
class Sampled:
    """One draw of the mix and what the model makes of it.

    Attributes:
        kind: ``matched``, ``dual`` or ``blend``.
        target: Log-mel of the target (M, T).
        mel: Log-mel that the model samples, (M, T).
        share: Who should speak at each point, (M, T): 0 is A, 1 is B; for a dual, 0 on the target's pitch.
        mass: Attention mass on A's and B's tokens (2, T), mean over sites and bins.
        f0_target: Contour of the target (T,): F0 in Hz, NaN where unvoiced.
        f0_sample: The same of the sample, through Griffin-Lim.
    """

    kind: str
    target: NDArray[np.float32]
    mel: NDArray[np.float32]
    share: NDArray[np.float32]
    mass: NDArray[np.float64]
    f0_target: NDArray[np.float32]
    f0_sample: NDArray[np.float32]


def write_sample(model: GradTTS, mixer: Mixer, path: str | Path, *, title: str = "") -> NDArray[np.uint8]:
    """Sample the fixed draws and write their picture, whole or not at all.

    Args:
        model: Model in evaluation mode.
        mixer: Where the draws come from.
        path: The picture to write.
        title: Over the picture.

    Returns:
        The picture's points (height, width, 3).
    """
    figure = draw(sample_draws(model, mixer), title=title)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=figure.dpi)
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@torch.no_grad()
def sample_draws(model: GradTTS, mixer: Mixer, *, steps: int = SAMPLE_STEPS, seed: int = 0) -> list[Sampled]:
    """Sample one draw of each kind that the mixer can give, with the targets' own durations.

    Args:
        model: Model in evaluation mode.
        mixer: Where the draws come from.
        steps: Steps of the sampler.
        seed: Of the noise.

    Returns:
        The draws, cut to the first :data:`LONGEST_FRAMES` frames.
    """
    drawn = [mixer.example_of(kind, FIRST_INDEX + i) for i, kind in enumerate(KINDS)]
    examples = [e for e in drawn if e is not None]
    device = model.device
    batch = collate(examples, mixer.config, mixer.mel).to(device)
    reading = read_references(model, batch)
    prior = prior_of_batch(model, batch, reading, model.normalise(batch.mel))
    lengths = batch.lengths.clamp_max(LONGEST_FRAMES)
    frames = fix_length(int(lengths.max()), model.frame_multiple)
    crop = Cropper(torch.arange(frames, device=device).expand(len(examples), -1))
    mask = sequence_mask(lengths, max_length=frames)[:, None].float()
    source = np.random.default_rng(seed)
    noise = torch.from_numpy(source.standard_normal((len(examples), mixer.mel.n_mels, frames), dtype=np.float32))
    assert reading.context.share is not None
    share = crop(reading.context.share.flatten(1, 2)).unflatten(1, (2, 1))
    context = replace(reading.context, share=share)
    mu, prosody = crop(prior.mu).float(), crop(reading.prosody)

    def score(x: Tensor, t: Tensor) -> Tensor:
        return model.score(x, mask, mu, t, context=context, prosody=prosody, region=mask).float()

    with StyleMassRecorder(model, styles=2, items=len(examples)) as recorder:
        mels = model.denormalise(unipc(score, model.schedule, noise.to(device), mu, mask, steps)).float().cpu()
    with torch.autocast("cpu", enabled=False):  # there is no Fourier transform in bfloat16
        vocoder = GriffinLimVocoder(mixer.mel, iterations=GRIFFIN_LIM_ROUNDS, inverse_rounds=GRIFFIN_LIM_ROUNDS)
        return [
            _sampled(example, mels[i, :, : int(lengths[i])], recorder.of_item(i, int(lengths[i])), mixer, vocoder)
            for i, example in enumerate(examples)
        ]


def _sampled(
    example: dict, mel: Tensor, attention: dict[str, Any] | None, mixer: Mixer, vocoder: GriffinLimVocoder
) -> Sampled:
    target, kind, frames = example["target"], KINDS[example["kind"]], mel.shape[1]
    share = np.broadcast_to(example["share"][:frames], mel.shape).astype(np.float32)
    if kind == "dual":
        share = 1 - pitch_mask(target.f0_hz[:frames], target.voiced[:frames], mixer.mel)
    mass = np.zeros((2, frames))
    if attention is not None:
        bins = mixer.mel.n_mels
        mass = np.stack([mass_over_time(attention, style, frames, n_mels=bins) for style in range(2)])
    sane = mel.clamp(mixer.mel.log_silence, HIGHEST_LOG_MEL)  # an untrained model must not overflow the vocoder
    contour = extract_contour(vocoder(sane, mixer.mel), mixer.mel)
    truth = np.where(target.voiced, target.f0_hz, np.nan)[:frames]
    return Sampled(kind, target.mel[:, :frames].astype(np.float32), mel.numpy(), share, mass, truth, _gapped(contour))


def _gapped(contour: Contour) -> NDArray[np.float32]:
    return np.where(contour.voiced, contour.f0_hz, np.nan)


# -- the picture ----------------------------------------------------------------------------------------------------


def draw(samples: list[Sampled], *, title: str = "") -> Figure:
    """Draw samples side by side: target, sample, share, attention mass and F0 over the same frames."""
    figure = Figure(figsize=(5.0 * len(samples), 11.0), dpi=80, layout="constrained")
    axes = figure.subplots(5, len(samples), squeeze=False, sharex="col")
    for column, sample in zip(axes.T, samples, strict=True):
        low, high = float(sample.target.min()), float(sample.target.max())
        column[0].set_title(sample.kind)
        _plane(column[0], sample.target, "target", (low, high))
        _plane(column[1], sample.mel, "sample", (low, high))
        _plane(column[2], sample.share, "share of B", (0.0, 1.0), colours="cividis")
        _mass(column[3], sample)
        _f0(column[4], sample)
    figure.suptitle(title)
    return figure


def _plane(axes: Axes, plane: NDArray, label: str, limits: tuple[float, float], *, colours: str = "magma") -> None:
    axes.imshow(plane, origin="lower", aspect="auto", cmap=colours, vmin=limits[0], vmax=limits[1])
    axes.set_ylabel(f"{label}\nmel bin")


def _mass(axes: Axes, sample: Sampled) -> None:
    for mass, name in zip(sample.mass, "AB", strict=True):
        axes.plot(mass, label=f"mass on {name}")
    axes.plot(sample.share.mean(0), color="0.5", linestyle=":", label="share of B")
    axes.set_ylim(-0.05, 1.05)
    axes.set_ylabel("attention")
    axes.legend(loc="upper right", fontsize=8)


def _f0(axes: Axes, sample: Sampled) -> None:
    axes.plot(sample.f0_target, color="0.5", linewidth=3, label="target")
    axes.plot(sample.f0_sample, color="black", label="sample, Griffin-Lim")
    axes.set_yscale("log")
    axes.set_ylim(*F0_LIMITS_HZ)
    axes.set_ylabel("F0 (Hz)")
    axes.set_xlabel("frame")
    axes.legend(loc="upper right", fontsize=8)
