"""Mels as the acoustic model makes them, frame for frame those of recordings, for vocoders and for pictures.

A vocoder that was trained on the mels of recordings alone has never seen what an acoustic model smooths or adds. So
each recording's mel is noised up to a time and denoised by the model, with the recording's own durations and pitch
contour and another utterance of its style as the reference: what text and style decide is then the model's, and every
frame still belongs to its samples. ``gradtts-interp predict-mels`` writes them, ``train-vocoder --mels`` trains on the
pairs.

A run's pictures show what its model has learnt: one matched, one dual and one blended draw, sampled and measured. Only
matplotlib's object interface is used, so no window, backend or global setting is touched.

Source: of training a vocoder on predicted mels, Shen et al. 2018, "Tacotron 2", section 3.2, and Kong et al. 2020,
"HiFi-GAN", section 4.4; of noising up to a time, Meng et al. 2022, "SDEdit".
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from gradtts_interp.alignment import fix_length, sequence_mask
from gradtts_interp.diffusion.samplers import sample
from gradtts_interp.diffusion.schedule import diffuse
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.interpolation.attention import StyleMassRecorder, mass_plane
from gradtts_interp.interpolation.mechanisms import Plan, make_score
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.pitch.contour import extract_contour
from gradtts_interp.pitch.masks import pitch_mask
from gradtts_interp.training.data import Item, load_items
from gradtts_interp.training.filelist import load_filelist
from gradtts_interp.training.losses import Cropper, condition, read_references
from gradtts_interp.training.mix import KINDS, MixConfig, Mixer, collate
from gradtts_interp.training.state import model_from_checkpoint, stop_signals
from gradtts_interp.units import CENTS_PER_NAT
from gradtts_interp.vocoder import GriffinLimVocoder

logger = logging.getLogger(__name__)

STEPS = 8
START_TIME = 0.5
BATCH_SIZE = 8

SAMPLE_STEPS = 8
LONGEST_FRAMES = 384
FIRST_INDEX = 2 * 10**9
HIGHEST_LOG_MEL = 3.0
GRIFFIN_LIM_ROUNDS = 16
F0_LIMITS_HZ = (60.0, 450.0)
SMALLEST_SPAN_SEMITONES = 2.0
SEMITONES_PER_NAT = CENTS_PER_NAT / 100


@torch.no_grad()
def sample_targets(
    model: GradTTS,
    mixer: Mixer,
    examples: Sequence[dict],
    *,
    steps: int,
    seed: int = 0,
    start_time: float = 1.0,
    longest: int | None = None,
) -> list[Tensor]:
    """Sample drawn examples with their targets' own durations and pitch contours.

    Args:
        model: Model in evaluation mode.
        mixer: Where the examples were drawn.
        examples: Draws of :class:`~gradtts_interp.training.mix.Mixer` (B).
        steps: Steps of the sampler, UniPC; 0 gives the prior means.
        seed: Of the noise.
        start_time: In (0, 1]: 1 starts from noise, less from the target noised up to that time.
        longest: Most frames of a sample; all of the target if None.

    Returns:
        Log-mel (M, T) of each, float32 on the CPU.
    """
    device = model.device
    batch = collate(list(examples), mixer.config, mixer.mel).to(device)
    target = model.normalise(batch.mel)
    told, _, _ = condition(model, batch, target, *read_references(model, batch))
    lengths = batch.lengths if longest is None else batch.lengths.clamp_max(longest)
    frames = fix_length(int(lengths.max()), model.frame_multiple)
    crop = Cropper(torch.arange(frames, device=device).expand(len(examples), -1))
    mask = sequence_mask(lengths, max_length=frames)[:, None].float()
    plan = Plan((crop.branch(told),))
    mu, score = plan.mu, make_score(model, plan, mask, region=mask)
    found = mu
    if steps > 0:
        shape = (len(examples), mixer.mel.n_mels, frames)
        noise = torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)).to(device)
        if start_time < 1:
            t = torch.full((len(examples),), start_time, device=device)
            known = model.to_diffusion(crop(target), mu)
            noise = diffuse(known, mu, t, noise, model.schedule) - mu  # the sampler starts from mu + noise
        sampled = sample("unipc", score, model.schedule, noise, mu, mask, steps, start_time=start_time)
        found = model.from_diffusion(sampled, mu)
    mels = model.denormalise(found).float().cpu()
    return [mel[:, : int(length)] for mel, length in zip(mels, lengths, strict=True)]


def predict_mels(
    model: GradTTS,
    items: Sequence[Item],
    *,
    references: Sequence[Item] | None = None,
    steps: int = STEPS,
    start_time: float = START_TIME,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
) -> Iterator[tuple[Item, NDArray[np.float16]]]:
    """Predict the mel of each item, each with another utterance of its own style as the reference.

    Args:
        model: Model with a style encoder, in evaluation mode.
        items: Utterances in one style each.
        references: Where references are taken from; ``items`` if None.
        steps: Steps of the sampler; 0 gives the means of a frame prior.
        start_time: In (0, 1]; see :func:`sample_targets`.
        batch_size: Items sampled together.
        seed: Of references and noise.

    Yields:
        tuple[Item, NDArray[np.float16]]: The item and its log-mel (M, T), float16.

    Raises:
        InputError: A setting cannot be used, or no item has one style.
    """
    if not 0 < start_time <= 1 or steps < 0 or batch_size < 1:
        given = f"start time {start_time}, {steps} steps, batches of {batch_size}"
        raise InputError(f"{given}: expected a time in (0, 1], steps from 0 and batches from 1")
    alone = MixConfig(matched=1.0, dual=0.0, blend=0.0, drop_name=0.0, drop_tokens=0.0)
    mixer = Mixer(references or items, alone, model.settings.mel, seed=seed)
    # Neighbours in length share a batch, so that little of it is padding.
    ordered = sorted((item for item in items if len(item.styles) == 1), key=lambda item: item.frames)
    for start in range(0, len(ordered), batch_size):
        part = ordered[start : start + batch_size]
        examples = [mixer.example_of("matched", start + i, target=item) for i, item in enumerate(part)]
        mels = sample_targets(model, mixer, examples, steps=steps, seed=seed + start, start_time=start_time)
        yield from ((item, mel.numpy().astype(np.float16)) for item, mel in zip(part, mels, strict=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="acoustic model that reads styles")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--corpus", help="folder made by 'gradtts-interp corpus build'")
    source.add_argument("--filelist", help="recordings of your own: lines path|text|speaker[|emotion]")
    parser.add_argument("--out", type=Path, required=True, help="folder of the mels, NAME.npy for recording NAME.wav")
    parser.add_argument("--limit", type=int, help="so many recordings, drawn at random; those in the folder count")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of the sampler; 0: means of a frame prior")
    parser.add_argument(
        "--start-time", type=float, default=START_TIME, help="up to where recordings are noised; 1: nothing is kept"
    )
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, help="recordings sampled together")
    parser.add_argument("--seed", type=int, default=0, help="of the choice, of references and of noise")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, …")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")


def run(args: argparse.Namespace) -> int:
    """Predict the mels that the folder lacks.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status: 0 when all are there, 128 + its number after a signal.

    Raises:
        InputError: A setting or the data cannot be used.
    """
    if args.limit is not None and args.limit < 1:
        raise InputError(f"limit {args.limit}: expected 1 or more recordings")
    if args.threads:
        torch.set_num_threads(args.threads)
    model = model_from_checkpoint(args.checkpoint).eval().to(args.device)
    if args.corpus:
        items = load_items(args.corpus, ("train",), add_blank=model.settings.add_blank)
    else:
        items = load_filelist(args.filelist, model.settings, cache=args.out / "features")
    # An item of a filelist is named by its recording and its line.
    wanted = {i.id if args.corpus else i.id.rpartition("-")[0]: i for i in items if len(i.styles) == 1}
    chosen = np.random.default_rng(args.seed).permutation(sorted(wanted))[: args.limit].tolist()
    missing = {wanted[name].id: name for name in chosen if not (args.out / f"{name}.npy").is_file()}
    lacking = [item for item in items if item.id in missing]
    settings = {"steps": args.steps, "start_time": args.start_time, "batch_size": args.batch_size, "seed": args.seed}
    found = predict_mels(model, lacking, references=items, **settings)
    with stop_signals() as received:
        for item, mel in tqdm(found, total=len(lacking), unit="item"):
            with atomic_path(args.out / f"{missing[item.id]}.npy") as temporary, open(temporary, "wb") as file:
                np.save(file, mel)
            if received:
                return 128 + received[-1]
    logger.info("%s holds %d mels, %d of them new", args.out, len(chosen), len(lacking))
    return 0


# -- pictures of a run -------------------------------------------------------------------------------------------------


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
    examples = [mixer.example_of(kind, FIRST_INDEX + i) for i, kind in enumerate(KINDS) if mixer.kind_shares[i]]
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
    asked = target.contour
    share = np.broadcast_to(example["share"][:frames], mel.shape).astype(np.float32)
    if kind == "dual":
        share = 1 - pitch_mask(asked.f0_hz[:frames], asked.voiced[:frames], mixer.mel)
    mass = np.zeros((2, bins, frames))
    if attention is not None:
        mass = np.stack([mass_plane(attention, style, frames, n_mels=bins) for style in range(2)])
    sane = mel.clamp(mixer.mel.log_silence, HIGHEST_LOG_MEL)  # an untrained model must not overflow the vocoder
    contour = extract_contour(vocoder(sane, mixer.mel), mixer.mel)
    levels = [float(example[k][0].prosody[0]) for k in ("a", "b")]
    return Sampled(
        kind=kind,
        target=target.mel[:, :frames].astype(np.float32),
        mel=mel.numpy(),
        share=share,
        mass=mass,
        f0_target=np.where(asked.voiced, asked.f0_hz, np.nan)[:frames],
        f0_sample=np.where(contour.voiced, contour.f0_hz, np.nan),
        levels=(levels[0], levels[1]),
    )


def draw(samples: list[Sampled], *, title: str = "") -> Figure:
    """Draw samples side by side: target, sample, share, attention mass and F0 over the same frames."""
    figure = Figure(figsize=(5.0 * len(samples), 11.0), dpi=80, layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(5, len(samples), squeeze=False, sharex="col")
    for (*planes, mass, f0), drawn in zip(axes.T, samples, strict=True):
        planes[0].set_title(drawn.kind)
        levels = {"vmin": float(drawn.target.min()), "vmax": float(drawn.target.max()), "cmap": "magma"}
        shares = {"vmin": 0.0, "vmax": 1.0, "cmap": "cividis"}
        pictures, labels = (drawn.target, drawn.mel, drawn.share), ("target", "sample", "share of B")
        for panel, plane, label, colours in zip(planes, pictures, labels, (levels, levels, shares), strict=True):
            panel.imshow(plane, origin="lower", aspect="auto", **colours)
            panel.set_ylabel(f"{label}\nmel bin")
        for name, own in zip("AB", drawn.mass, strict=True):
            mass.plot(own.mean(0), label=f"mass on {name}")
        mass.plot(drawn.share.mean(0), color="0.5", linestyle=":", label="share of B")
        mass.set(ylim=(-0.05, 1.05), ylabel="attention")
        f0.plot(drawn.f0_target, color="0.5", linewidth=3, label="target")
        f0.plot(drawn.f0_sample, color="black", label="sample, Griffin-Lim")
        f0.set(yscale="log", ylim=F0_LIMITS_HZ, ylabel="F0 (Hz)", xlabel="frame")
        for panel in (mass, f0):
            panel.legend(loc="upper right", fontsize=8)
    return figure
