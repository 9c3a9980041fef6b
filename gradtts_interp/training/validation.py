"""A picture of what a model has learnt: one matched, one dual and one blended draw, sampled and measured.

Only matplotlib's object interface is used, so no window, backend or global setting is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from gradtts_interp.files import atomic_path
from gradtts_interp.interpolation.attention.recorder import StyleMassRecorder, mass_over_time
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.pitch.contour import PROSODY_MEAN, PROSODY_STD, Contour, extract_contour
from gradtts_interp.pitch.masks import pitch_mask
from gradtts_interp.training.mix import KINDS, Mixer
from gradtts_interp.training.predicted_mels import sample_targets
from gradtts_interp.units import CENTS_PER_NAT
from gradtts_interp.vocoder import GriffinLimVocoder

SAMPLE_STEPS = 8
LONGEST_FRAMES = 384
FIRST_INDEX = 2 * 10**9
HIGHEST_LOG_MEL = 3.0
GRIFFIN_LIM_ROUNDS = 16
F0_LIMITS_HZ = (60.0, 450.0)
SMALLEST_SPAN_SEMITONES = 2.0
SEMITONES_PER_NAT = CENTS_PER_NAT / 100


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
        levels: Mean log-F0 of the references A and B.
        role_mass: Attention mass on A where A should speak, and on B where B should; NaN where nobody should.
    """

    kind: str
    target: NDArray[np.float32]
    mel: NDArray[np.float32]
    share: NDArray[np.float32]
    mass: NDArray[np.float64]
    f0_target: NDArray[np.float32]
    f0_sample: NDArray[np.float32]
    levels: tuple[float, float]
    role_mass: tuple[float, float]

    def figures(self) -> dict[str, float]:
        """Measures for the log; NaN where nothing is voiced.

        Returns:
            By name: median F0 of the sample against the target's in semitones, attention mass by role, and for a blend
            of levels at least 2 semitones apart the wanted and the realised mean share of B in log-F0.
        """
        f0, target = (np.log(f[np.isfinite(f)]) for f in (self.f0_sample, self.f0_target))
        name = f"sample/{self.kind}"
        error = SEMITONES_PER_NAT * abs(np.median(f0) - np.median(target)) if f0.size and target.size else np.nan
        found = {f"{name}/f0_error": float(error)}
        found |= {f"{name}/mass_on_{style}": mass for style, mass in zip("ab", self.role_mass, strict=True)}
        span = self.levels[1] - self.levels[0]
        if self.kind == "blend" and SEMITONES_PER_NAT * abs(span) >= SMALLEST_SPAN_SEMITONES:
            found[f"{name}/share_wanted"] = float(self.share.mean())
            found[f"{name}/share_realised"] = float((f0.mean() - self.levels[0]) / span) if f0.size else np.nan
        return found


def write_sample(
    model: GradTTS, mixer: Mixer, path: str | Path, *, title: str = "", steps: int = SAMPLE_STEPS
) -> tuple[NDArray[np.uint8], dict[str, float]]:
    """Sample the fixed draws and write their picture, whole or not at all.

    Args:
        model: Model in evaluation mode.
        mixer: Where the draws come from.
        path: The picture to write.
        title: Over the picture.
        steps: Steps of the sampler; 0 shows the prior means.

    Returns:
        The picture's points (height, width, 3), and the figures of all draws.
    """
    samples = sample_draws(model, mixer, steps=steps)
    figure = draw(samples, title=title)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=figure.dpi)
    figures = {name: value for sample in samples for name, value in sample.figures().items()}
    return np.asarray(canvas.buffer_rgba())[..., :3].copy(), figures


@torch.no_grad()
def sample_draws(model: GradTTS, mixer: Mixer, *, steps: int = SAMPLE_STEPS, seed: int = 0) -> list[Sampled]:
    """Sample one draw of each kind that the mixer can give, with the targets' own durations and pitch contours.

    Args:
        model: Model in evaluation mode.
        mixer: Where the draws come from.
        steps: Steps of the sampler; 0 shows the prior means.
        seed: Of the noise.

    Returns:
        The draws, cut to the first :data:`LONGEST_FRAMES` frames.
    """
    drawn = [mixer.example_of(kind, FIRST_INDEX + i) for i, kind in enumerate(KINDS)]
    examples = [e for e in drawn if e is not None]
    with StyleMassRecorder(model, styles=2, items=len(examples)) as recorder:
        mels = sample_targets(model, mixer, examples, steps=steps, seed=seed, longest=LONGEST_FRAMES)
    with torch.autocast("cpu", enabled=False):  # there is no Fourier transform in bfloat16
        vocoder = GriffinLimVocoder(mixer.mel, iterations=GRIFFIN_LIM_ROUNDS, inverse_rounds=GRIFFIN_LIM_ROUNDS)
        return [
            _sampled(example, mel, recorder.of_item(i, mel.shape[1]), mixer, vocoder)
            for i, (example, mel) in enumerate(zip(examples, mels, strict=True))
        ]


def _sampled(
    example: dict, mel: Tensor, attention: dict[str, Any] | None, mixer: Mixer, vocoder: GriffinLimVocoder
) -> Sampled:
    target, kind, frames = example["target"], KINDS[example["kind"]], mel.shape[1]
    share = np.broadcast_to(example["share"][:frames], mel.shape).astype(np.float32)
    if kind == "dual":
        share = 1 - pitch_mask(target.f0_hz[:frames], target.voiced[:frames], mixer.mel)
    mass, role_mass = np.zeros((2, frames)), (np.nan, np.nan)
    if attention is not None:
        bins = mixer.mel.n_mels
        mass = np.stack([mass_over_time(attention, style, frames, n_mels=bins) for style in range(2)])
        role_mass = _mass_by_role(attention, share)
    sane = mel.clamp(mixer.mel.log_silence, HIGHEST_LOG_MEL)  # an untrained model must not overflow the vocoder
    contour = extract_contour(vocoder(sane, mixer.mel), mixer.mel)
    truth = np.where(target.voiced, target.f0_hz, np.nan)[:frames]
    levels = [float(example[k].prosody[0] * PROSODY_STD[0] + PROSODY_MEAN[0]) for k in ("a", "b")]
    return Sampled(
        kind=kind,
        target=target.mel[:, :frames].astype(np.float32),
        mel=mel.numpy(),
        share=share,
        mass=mass,
        f0_target=truth,
        f0_sample=_gapped(contour),
        levels=(levels[0], levels[1]),
        role_mass=role_mass,
    )


def _mass_by_role(attention: dict[str, Any], share: NDArray[np.float32]) -> tuple[float, float]:
    """Attention mass on A weighted by 1 - share, and on B weighted by share, mean over sites."""
    found = []
    for style, weight in enumerate((1 - share, share)):
        sites = []
        for site in attention.values():
            cell = int(site["cell"])
            plane = np.repeat(np.repeat(site["mass"][style], cell, axis=0), cell, axis=1)
            plane = plane[: share.shape[0], : share.shape[1]]
            sites.append(float((plane * weight).sum() / weight.sum()) if weight.sum() > 0 else np.nan)
        found.append(float(np.mean(sites)))
    return found[0], found[1]


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
