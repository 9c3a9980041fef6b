"""A picture of what a model has learnt: one matched, one dual and one blended draw, sampled and measured.

Only matplotlib's object interface is used, so no window, backend or global setting is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from gradtts_interp.files import atomic_path
from gradtts_interp.interpolation.attention import StyleMassRecorder, mass_plane
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.pitch.contour import PROSODY_MEAN, PROSODY_STD, extract_contour
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
        mass: Attention mass on A's and B's tokens (2, M, T), mean over sites; 0 where none was recorded.
        f0_target: Contour of the target (T,): F0 in Hz, NaN where unvoiced.
        f0_sample: The same of the sample, through Griffin-Lim.
        levels: Mean log-F0 of the references A and B.
    """

    kind: str
    target: NDArray[np.float32]
    mel: NDArray[np.float32]
    share: NDArray[np.float32]
    mass: NDArray[np.float64]
    f0_target: NDArray[np.float32]
    f0_sample: NDArray[np.float32]
    levels: tuple[float, float]

    def figures(self) -> dict[str, float]:
        """Measures for the log; NaN where nothing is voiced.

        Returns:
            By name: median F0 of the sample against the target's in semitones, attention mass on A where A should
            speak, and on B where B should (NaN where nobody should), and for a blend of levels at least 2 semitones
            apart the wanted and the realised mean share of B in log-F0.
        """
        f0, target = (np.log(f[np.isfinite(f)]) for f in (self.f0_sample, self.f0_target))
        name = f"sample/{self.kind}"
        error = SEMITONES_PER_NAT * abs(np.median(f0) - np.median(target)) if f0.size and target.size else np.nan
        found = {f"{name}/f0_error": float(error)}
        for style, mass, wanted in zip("ab", self.mass, (1 - self.share, self.share), strict=True):
            known = self.mass.any() and wanted.any()
            found[f"{name}/mass_on_{style}"] = float((mass * wanted).sum() / wanted.sum()) if known else np.nan
        span = self.levels[1] - self.levels[0]
        if self.kind == "blend" and SEMITONES_PER_NAT * abs(span) >= SMALLEST_SPAN_SEMITONES:
            found[f"{name}/share_wanted"] = float(self.share.mean())
            found[f"{name}/share_realised"] = float((f0.mean() - self.levels[0]) / span) if f0.size else np.nan
        return found


def write_sample(
    model: GradTTS, mixer: Mixer, path: str | Path, *, title: str = "", steps: int = SAMPLE_STEPS
) -> dict[str, float]:
    """Sample the fixed draws and write their picture, whole or not at all.

    Args:
        model: Model in evaluation mode.
        mixer: Where the draws come from.
        path: The picture to write.
        title: Over the picture.
        steps: Steps of the sampler; 0 shows the prior means.

    Returns:
        The figures of all draws.
    """
    samples = sample_draws(model, mixer, steps=steps)
    with atomic_path(path) as temporary:
        draw(samples, title=title).savefig(temporary)
    return {name: value for sample in samples for name, value in sample.figures().items()}


@torch.no_grad()
def sample_draws(model: GradTTS, mixer: Mixer, *, steps: int = SAMPLE_STEPS) -> list[Sampled]:
    """Sample one draw of each kind that the mixer can give, with the targets' own durations and pitch contours.

    Args:
        model: Model in evaluation mode.
        mixer: Where the draws come from.
        steps: Steps of the sampler; 0 shows the prior means.

    Returns:
        The draws, cut to the first :data:`LONGEST_FRAMES` frames.
    """
    drawn = [mixer.example_of(kind, FIRST_INDEX + i) for i, kind in enumerate(KINDS)]
    examples = [e for e in drawn if e is not None]
    with StyleMassRecorder(model, styles=2, items=len(examples)) as recorder:
        mels = sample_targets(model, mixer, examples, steps=steps, longest=LONGEST_FRAMES)
    with torch.autocast("cpu", enabled=False):  # there is no Fourier transform in bfloat16
        vocoder = GriffinLimVocoder(mixer.mel, iterations=GRIFFIN_LIM_ROUNDS, inverse_rounds=GRIFFIN_LIM_ROUNDS)
        return [
            _sampled(example, mel, recorder.of_item(i, mel.shape[1]), mixer, vocoder)
            for i, (example, mel) in enumerate(zip(examples, mels, strict=True))
        ]


def _sampled(
    example: dict, mel: Tensor, attention: dict[str, Any] | None, mixer: Mixer, vocoder: GriffinLimVocoder
) -> Sampled:
    target, kind, (bins, frames) = example["target"], KINDS[example["kind"]], mel.shape
    share = np.broadcast_to(example["share"][:frames], mel.shape).astype(np.float32)
    if kind == "dual":
        share = 1 - pitch_mask(target.f0_hz[:frames], target.voiced[:frames], mixer.mel)
    mass = np.zeros((2, bins, frames))
    if attention is not None:
        mass = np.stack([mass_plane(attention, style, frames, n_mels=bins) for style in range(2)])
    sane = mel.clamp(mixer.mel.log_silence, HIGHEST_LOG_MEL)  # an untrained model must not overflow the vocoder
    contour = extract_contour(vocoder(sane, mixer.mel), mixer.mel)
    levels = [float(example[k].prosody[0] * PROSODY_STD[0] + PROSODY_MEAN[0]) for k in ("a", "b")]
    return Sampled(
        kind=kind,
        target=target.mel[:, :frames].astype(np.float32),
        mel=mel.numpy(),
        share=share,
        mass=mass,
        f0_target=np.where(target.voiced, target.f0_hz, np.nan)[:frames],
        f0_sample=np.where(contour.voiced, contour.f0_hz, np.nan),
        levels=(levels[0], levels[1]),
    )


def draw(samples: list[Sampled], *, title: str = "") -> Figure:
    """Draw samples side by side: target, sample, share, attention mass and F0 over the same frames."""
    figure = Figure(figsize=(5.0 * len(samples), 11.0), dpi=80, layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(5, len(samples), squeeze=False, sharex="col")
    for (*planes, mass, f0), sample in zip(axes.T, samples, strict=True):
        planes[0].set_title(sample.kind)
        levels = {"vmin": float(sample.target.min()), "vmax": float(sample.target.max()), "cmap": "magma"}
        shares = {"vmin": 0.0, "vmax": 1.0, "cmap": "cividis"}
        pictures, labels = (sample.target, sample.mel, sample.share), ("target", "sample", "share of B")
        for panel, plane, label, colours in zip(planes, pictures, labels, (levels, levels, shares), strict=True):
            panel.imshow(plane, origin="lower", aspect="auto", **colours)
            panel.set_ylabel(f"{label}\nmel bin")
        for name, own in zip("AB", sample.mass, strict=True):
            mass.plot(own.mean(0), label=f"mass on {name}")
        mass.plot(sample.share.mean(0), color="0.5", linestyle=":", label="share of B")
        mass.set(ylim=(-0.05, 1.05), ylabel="attention")
        f0.plot(sample.f0_target, color="0.5", linewidth=3, label="target")
        f0.plot(sample.f0_sample, color="black", label="sample, Griffin-Lim")
        f0.set(yscale="log", ylim=F0_LIMITS_HZ, ylabel="F0 (Hz)", xlabel="frame")
        for panel in (mass, f0):
            panel.legend(loc="upper right", fontsize=8)
    return figure
