"""Train a small multi-speaker checkpoint of the official kind, to measure on it what official checkpoints can do.

    python -m benchmarks.official_checkpoint --corpus corpus --out out/official-checkpoint --minutes 70

The network is Grad-TTS with a table of speakers, at half its width: no style attention, and a text encoder that knows
no speaker. The corpus brings the durations, so none are searched for. First the text encoder learns alone, then the
U-Net around its means. Every voice at every manner of speaking is a speaker of its own in training; the table that is
written to ``grad-tts.pt`` keeps the named speakers, as they speak neutrally.
"""

from __future__ import annotations

import argparse
import copy
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gradtts_interp.alignment import expand, sequence_mask
from gradtts_interp.cli.main import report_errors
from gradtts_interp.config import ModelConfig
from gradtts_interp.diffusion.schedule import diffuse, noise_level, signal
from gradtts_interp.files import atomic_path
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.precision import choose_precision, lay_out
from gradtts_interp.text.official import SYMBOLS
from gradtts_interp.training.data import Item, StyleRef, load_items

logger = logging.getLogger(__name__)

SIZE = {"n_enc_channels": 128, "filter_channels": 512, "n_enc_layers": 4, "dec_dim": 32}
PRIOR_SHARE = 0.12  # of the time
PRIOR_BATCH, BATCH, CROP_FRAMES = 16, 4, 128
LEARNING_RATE, SPEAKER_RATE = 1e-3, 1e-2
NAMED_SHARE = 0.6  # of the U-Net's items are of named speakers
LEAST_TIME = 0.03
LARGEST_WEIGHT = 6.0
"""Of the error of the noise. What it leaves of the clean mel grows with 1 / signal(t)^2, which is without bound."""
AVERAGE = 0.998
SAVE_SECONDS = 300.0


def train(items: Sequence[Item], out: Path, *, seconds: float, seed: int) -> None:
    """Train the text encoder, then the U-Net, and write the checkpoint from time to time.

    Args:
        items: Of the training split.
        out: Folder of the checkpoint.
        seconds: Time for both.
        seed: Of weights and draws.
    """
    torch.manual_seed(seed)
    single = [item for item in items if len(item.styles) == 1]
    rows = {style: i for i, style in enumerate(sorted({i.styles[0] for i in single}, key=_named_neutral_first))}
    settings = ModelConfig(n_vocab=len(SYMBOLS), n_spks=len(rows), add_blank=False, **SIZE)
    model = GradTTS(settings.to_dict())
    begun = time.monotonic()
    train_text_encoder(model, items, begun + PRIOR_SHARE * seconds, seed=seed)
    means = [prior_mean(model, item) for item in single]
    train_unet(model, single, means, [rows[i.styles[0]] for i in single], begun + seconds, out=out, seed=seed)


def train_text_encoder(model: GradTTS, items: Sequence[Item], until: float, *, seed: int) -> None:
    """Learn means and durations of the tokens, from all items, until a time of the monotonic clock."""
    mean = np.mean([item.mel.astype(np.float32).mean(1) for item in items], axis=0)
    model.encoder.proj_m.bias.data.copy_(torch.from_numpy(mean))  # type: ignore[operator, union-attr]
    optimiser = torch.optim.Adam(model.encoder.parameters(), lr=LEARNING_RATE)
    model.encoder.train()
    begun = time.monotonic()
    for step, numbers in enumerate(_batches(np.ones(len(items)), PRIOR_BATCH, seed)):
        if time.monotonic() > until:
            break
        optimiser.param_groups[0]["lr"] = _rate(LEARNING_RATE, step, begun, until)
        batch = [items[n] for n in numbers]
        lengths = torch.tensor([len(i.ids) for i in batch])
        ids, durations = (
            _padded([torch.from_numpy(v) for v in of])
            for of in zip(*[(i.ids, i.durations) for i in batch], strict=True)
        )
        mel = _padded([torch.from_numpy(i.mel.astype(np.float32)) for i in batch])
        means, log_durations, mask = model.encoder(ids, lengths)
        frames = sequence_mask(torch.tensor([i.frames for i in batch]), max_length=mel.shape[2])[:, None]
        error = (mel - expand(means, durations, frames=mel.shape[2])).square() * frames
        prior = 0.5 * error.sum() / (frames.sum() * mel.shape[1])
        wanted = torch.log(durations.clamp_min(1).float())[:, None]
        duration = ((log_durations - wanted).square() * mask).sum() / mask.sum()
        optimiser.zero_grad()
        (prior + duration).backward()
        nn.utils.clip_grad_norm_(model.encoder.parameters(), 1.0)
        optimiser.step()
        if step % 50 == 0:
            logger.info("text encoder, step %d: prior %.4f, duration %.4f", step, prior.item(), duration.item())
    model.encoder.eval()


@torch.no_grad()
def prior_mean(model: GradTTS, item: Item) -> Tensor:
    """Prior mean (M, T) of an item under its own durations."""
    means = model.encoder(torch.from_numpy(item.ids)[None], torch.tensor([len(item.ids)]))[0]
    return expand(means, torch.from_numpy(item.durations)[None])[0]


def train_unet(
    model: GradTTS,
    items: Sequence[Item],
    means: Sequence[Tensor],
    rows: Sequence[int],
    until: float,
    *,
    out: Path,
    seed: int,
) -> None:
    """Learn the score of random crops around the means, until a time of the monotonic clock."""
    unet = model.decoder
    assert unet is not None
    model.precision = choose_precision("auto", model.device)
    lay_out(unet, model.precision)
    average = copy.deepcopy(model)
    unet.estimator.compile()
    optimiser = torch.optim.Adam(
        [
            {"params": list(unet.parameters()), "lr": LEARNING_RATE, "rate": LEARNING_RATE},
            {"params": list(model.spk_emb.parameters()), "lr": SPEAKER_RATE, "rate": SPEAKER_RATE},
        ]
    )
    known = np.array([i.styles[0].speaker >= 0 and i.kind == "bank" for i in items])
    odds = np.where(known, NAMED_SHARE / max(known.sum(), 1), (1 - NAMED_SHARE) / max((~known).sum(), 1))
    draw = np.random.default_rng([seed, 1])
    begun = saved = time.monotonic()
    recent: list[float] = []
    for step, numbers in enumerate(_batches(odds, BATCH, seed)):
        now = time.monotonic()
        if step and (now > until or now - saved > SAVE_SECONDS):
            save(average, items, out)
            saved = now
            if now > until:
                break
        for group in optimiser.param_groups:
            group["lr"] = _rate(group["rate"], step, begun, until)
        crops = [_crop(items[n], means[n], draw) for n in numbers]
        mel, mu, mask = (torch.stack(parts) for parts in zip(*crops, strict=True))
        places = (np.arange(BATCH) + draw.random(BATCH)) / BATCH
        t = torch.tensor(LEAST_TIME + (1 - LEAST_TIME) * places, dtype=torch.float32)
        noise = torch.from_numpy(draw.standard_normal(mel.shape, dtype=np.float32))
        noisy = diffuse(mel, mu, t, noise, model.schedule) * mask
        score = model.score(noisy, mask, mu, t, model.spk_emb(torch.tensor([rows[n] for n in numbers])))
        found = score * noise_level(t, model.schedule)[:, None, None]
        error = ((found + noise).square() * mask).sum((1, 2)) / (mask.sum((1, 2)) * mel.shape[1])
        weight = signal(t, model.schedule).pow(-2).clamp(max=LARGEST_WEIGHT)
        optimiser.zero_grad()
        (error * weight).mean().backward()
        nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            kept = min(AVERAGE, (1 + step) / (10 + step))
            for old, new in zip(average.parameters(), model.parameters(), strict=True):
                old.lerp_(new, 1 - kept)
        recent.append(error.mean().item())
        if step % 50 == 0:
            logger.info("U-Net, step %d: diffusion %.4f", step, np.mean(recent[-50:]))


def save(model: GradTTS, items: Sequence[Item], out: Path) -> None:
    """Write the weights under their official names, with the neutral rows of the named speakers alone."""
    speakers = len({i.styles[0] for i in items if _named_neutral_first(i.styles[0])[0] == 0})
    state = {
        name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in model.state_dict().items()
    }
    state["spk_emb.weight"] = state["spk_emb.weight"][:speakers].clone()
    with atomic_path(out / "grad-tts.pt") as temporary:
        torch.save(state, temporary)


def _named_neutral_first(style: StyleRef) -> tuple[int, int, str, str]:
    named = style.speaker >= 0 and style.pitch == f"s{style.speaker}-neutral"
    return (not named, style.speaker, style.voice, style.pitch)


def _batches(odds: np.ndarray, size: int, seed: int) -> Iterator[np.ndarray]:
    """Numbers of the items of each batch, without end."""
    draw = np.random.default_rng([seed, 0])
    while True:
        yield draw.choice(len(odds), size, p=odds / odds.sum())


def _rate(highest: float, step: int, begun: float, until: float) -> float:
    """Learning rate: 100 steps up, then down to a twentieth with the time, which ends when it ends."""
    gone = (time.monotonic() - begun) / max(until - begun, 1e-9)
    return highest * min((step + 1) / 100, 1.0) * (0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * min(gone, 1.0))))


def _crop(item: Item, mean: Tensor, draw: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Mel and mean (M, crop) and mask (1, crop) of a random stretch of an item."""
    first = int(draw.integers(max(item.frames - CROP_FRAMES, 0) + 1))
    mel = torch.from_numpy(item.mel[:, first : first + CROP_FRAMES].astype(np.float32))
    missing = (0, CROP_FRAMES - mel.shape[1])
    mu = mean[:, first : first + CROP_FRAMES]
    return tuple(nn.functional.pad(x, missing) for x in (mel, mu, torch.ones(1, mel.shape[1])))  # type: ignore[return-value]


def _padded(values: Sequence[Tensor]) -> Tensor:
    """Stack tensors of one shape but for the last axis."""
    length = max(v.shape[-1] for v in values)
    return torch.stack([nn.functional.pad(v, (0, length - v.shape[-1])) for v in values])


def main() -> int:
    """Train; return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="folder made by 'gradtts-interp corpus build'")
    parser.add_argument("--out", default="out/official-checkpoint", help="folder of the checkpoint")
    parser.add_argument("--minutes", type=float, default=70.0, help="time to train")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    Path(args.out).mkdir(parents=True, exist_ok=True)
    train(load_items(args.corpus), Path(args.out), seconds=60 * args.minutes, seed=args.seed)
    return 0


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
