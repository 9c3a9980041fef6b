"""``gradtts-interp train-speaker-encoder``: the encoder of timbre that evaluations use, trained on the demo corpus.

It learns which voice, which base voice, and which formant factor.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.plan import load_entries
from gradtts_interp.corpus.speakers import main_base
from gradtts_interp.corpus.teacher import VOICES
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.speakers import COSINE_SCALE, SpeakerEncoder, SpeakerSettings

logger = logging.getLogger(__name__)

CROP_FRAMES = 160
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
WARP_WEIGHT = 100.0  # brings squared errors of log factors (spread 0.1) to the size of the other losses
NOISE_NATS = 0.3
SMOOTHED = 0.3
UNSEEN = "unseen pitch styles"


class Utterance(NamedTuple):
    """One item of the corpus as the encoder's training sees it.

    Attributes:
        voice: Name of the voice.
        pitch: Name of the pitch style.
        base: Base voice with the largest weight.
        warp: Factor on the formants.
        mel: Log-mel (M, T), float16.
    """

    voice: str
    pitch: str
    base: str
    warp: float
    mel: NDArray[np.float16]


def load_split(folder: str | Path, *, held_out_pitches: int) -> dict[str, list[Utterance]]:
    """Read the items that have one voice.

    Args:
        folder: A built corpus.
        held_out_pitches: Number of continuous pitch styles that are set apart, the last ones by name.

    Returns:
        Items to train on (``train``, validation items too, since nothing is chosen by them), of pitch styles that never
        train (``unseen pitch styles``), and of held-out sentences and voices (``test``).

    Raises:
        InputError: No manifest, a missing file, or nothing to train on.
    """
    folder = Path(folder)
    entries = [e for e in load_entries(folder) if e["kind"] != "blend"]
    free = sorted({e["pitch"] for e in entries if "-" not in e["pitch"] and e["split"] != "test"})
    apart = set(free[len(free) - held_out_pitches :]) if held_out_pitches else set()
    parts: dict[str, list[Utterance]] = {"train": [], UNSEEN: [], "test": []}
    for entry in tqdm(entries, desc="corpus", unit="item"):
        path, factors = folder / "features" / f"{entry['id']}.npz", entry["factors"]
        try:
            with np.load(path) as features:
                mel = features["mel"].astype(np.float16)
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{path}: {error!r}; expected features of the corpus builder") from error
        part = "test" if entry["split"] == "test" else UNSEEN if entry["pitch"] in apart else "train"
        base = VOICES[main_base(factors["timbre"])]
        parts[part].append(Utterance(entry["voice"], entry["pitch"], base, factors["formant"], mel))
    if len({u.voice for u in parts["train"]}) < 2:
        raise InputError(
            f"{folder}: fewer than 2 voices to train on; expected a corpus of 'gradtts-interp corpus build'"
        )
    return parts


def batches(
    utterances: list[Utterance], settings: SpeakerSettings, size: int, random: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Draw batches without end: every voice equally often, and of a voice every pitch style equally often.

    Args:
        utterances: What to draw from.
        settings: Settings of the encoder, whose voices and base voices are numbered.
        size: Crops in a batch (B).
        random: Where the draws come from.

    Yields:
        tuple[Tensor, Tensor, Tensor, Tensor]: Crops (B, M, T), numbers of voices and of base voices, log warps (B,).
    """
    items: dict[str, dict[str, list[Utterance]]] = defaultdict(lambda: defaultdict(list))
    for utterance in utterances:
        items[utterance.voice][utterance.pitch].append(utterance)
    while True:
        drawn = []
        for _ in range(size):
            styles = items[settings.voices[int(random.integers(len(settings.voices)))]]
            alike = styles[sorted(styles)[int(random.integers(len(styles)))]]
            drawn.append(alike[int(random.integers(len(alike)))])
        mels = torch.from_numpy(np.stack([_crop(u.mel, random) for u in drawn]))
        voices = torch.tensor([settings.voices.index(u.voice) for u in drawn])
        bases = torch.tensor([settings.bases.index(u.base) for u in drawn])
        yield mels, voices, bases, torch.tensor([np.log(u.warp) for u in drawn], dtype=torch.float32)


def _crop(mel: NDArray, random: np.random.Generator) -> NDArray[np.float32]:
    """Cut, repeat what is too short, and disturb as vocoders and acoustic models do: noise, smoothing."""
    start = int(random.integers(0, max(mel.shape[1] - CROP_FRAMES, 0) + 1))
    frames = mel.T[start : start + CROP_FRAMES].astype(np.float32)
    part: NDArray[np.float32] = np.resize(frames, (CROP_FRAMES, mel.shape[0])).T
    if random.random() < SMOOTHED:
        part = np.float32(1 / 3) * (np.roll(part, 1, 1) + part + np.roll(part, -1, 1))
    noise = random.standard_normal(part.shape, dtype=np.float32)
    return part + np.float32(random.uniform(0, NOISE_NATS)) * noise


def settings_of(utterances: list[Utterance]) -> SpeakerSettings:
    """Encoder settings for the voices of a corpus: speakers by number, then the others."""
    voices = sorted({u.voice for u in utterances}, key=lambda v: (v[0] != "s", len(v), v))
    return SpeakerSettings(tuple(voices), tuple(sorted({u.base for u in utterances})), mel=MelConfig())


def train_speaker_net(
    utterances: list[Utterance], *, seconds: float, batch_size: int = 48, seed: int = 0
) -> SpeakerEncoder:
    """Train for a given time.

    Args:
        utterances: What to train on.
        seconds: Time of stepping; the rate falls along a cosine to its end.
        batch_size: Crops in a batch.
        seed: Of weights and draws.

    Returns:
        The network in evaluation mode.

    Raises:
        InputError: A number that cannot train.
    """
    if not (seconds > 0 and batch_size > 1):
        raise InputError(f"{seconds} seconds, batches of {batch_size}; expected seconds > 0, batches of 2 or more")
    settings = settings_of(utterances)
    torch.manual_seed(seed)
    net = SpeakerEncoder(settings)
    drawn = batches(utterances, settings, batch_size, np.random.default_rng(seed))
    optimiser = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    start, steps, spent = time.monotonic(), 0, 0.0
    net.train()
    with tqdm(total=round(seconds), unit="s", desc="speaker encoder") as bar:
        while spent < seconds:
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * spent / seconds))
            losses = _losses(net, *next(drawn))
            optimiser.zero_grad()
            losses.sum().backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            steps, spent = steps + 1, time.monotonic() - start
            bar.n = min(round(spent), bar.total)
            if steps % 50 == 0:
                bar.set_postfix(steps=steps, voice=f"{losses[0]:.3f}", base=f"{losses[1]:.3f}")
    logger.info("%d steps of %d crops in %.0f s", steps, batch_size, spent)
    return net.eval()


def _losses(net: SpeakerEncoder, mel: Tensor, voice: Tensor, base: Tensor, log_warp: Tensor) -> Tensor:
    """Losses of voice, base voice and warp, (3,)."""
    embedding = net(mel)
    of_voice = functional.cross_entropy(COSINE_SCALE * net.similarity(embedding), voice)
    of_base = functional.cross_entropy(net.base(embedding), base)
    return torch.stack([of_voice, of_base, WARP_WEIGHT * (net.log_warp(embedding) - log_warp).square().mean()])


@torch.no_grad()
def score_speaker_net(net: SpeakerEncoder, utterances: list[Utterance]) -> dict[str, float]:
    """Score whole utterances.

    Args:
        net: Network in evaluation mode.
        utterances: What to score on.

    Returns:
        Numbers of utterances; share of known speakers found among all known speakers; share of base voices found; mean
        absolute error of the formant factor. What cannot be scored is left out.
    """
    rows = [i for i, voice in enumerate(net.settings.voices) if voice.startswith("s")]
    names = [net.settings.voices[i] for i in rows]
    speakers, bases, warps = [], [], []
    for utterance in utterances:
        embedding = net(torch.from_numpy(utterance.mel.astype(np.float32))[None])
        if utterance.voice in names:
            speakers.append(names[int(net.similarity(embedding)[0, rows].argmax())] == utterance.voice)
        bases.append(net.settings.bases[int(net.base(embedding).argmax())] == utterance.base)
        warps.append(abs(float(net.log_warp(embedding).exp()) - utterance.warp))
    found = {"n": float(len(utterances)), "n speakers": float(len(speakers))}
    for name, values in (("speaker top-1", speakers), ("base voice", bases), ("warp error", warps)):
        if values:
            found[name] = float(np.mean(values))
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--corpus", required=True, help="folder made by 'gradtts-interp corpus build'")
    parser.add_argument("--out", required=True, help="folder of the encoder")
    parser.add_argument("--seconds", type=float, default=240.0, help="time of training")
    parser.add_argument("--batch-size", type=int, default=48, help="crops in a batch")
    parser.add_argument("--held-out-pitches", type=int, default=12, help="pitch styles that never train, for scores")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws")


def run(args: argparse.Namespace) -> int:
    """Train, score and write; return exit status 0."""
    torch.set_num_threads(args.threads)
    split = load_split(args.corpus, held_out_pitches=max(0, args.held_out_pitches))
    net = train_speaker_net(split["train"], seconds=args.seconds, batch_size=args.batch_size, seed=args.seed)
    net.save_pretrained(Path(args.out))
    parts = {
        UNSEEN: split[UNSEEN],
        "held-out sentences": [u for u in split["test"] if u.voice in net.settings.voices],
        "held-out voices": [u for u in split["test"] if u.voice not in net.settings.voices],
    }
    for name, items in parts.items():
        scores = ", ".join(f"{key} {value:.4g}" for key, value in score_speaker_net(net, items).items())
        logger.info("%s: %s", name, scores)
    return 0
