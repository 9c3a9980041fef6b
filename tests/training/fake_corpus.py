"""A fake corpus in memory and on disk, and the settings of a model that trains in milliseconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import tiny

from gradtts_interp.config import MelConfig
from gradtts_interp.pitch.contour import PROSODY_MEAN, PROSODY_STD, Contour
from gradtts_interp.training.data import EMOTIONS, Item, StyleRef
from gradtts_interp.training.loop import TrainConfig
from gradtts_interp.training.mix import MixConfig

STYLES = [StyleRef(voice, pitch) for voice in ("s0", "s1") for pitch in ("s0-neutral", "s1-happy", "p3")]
STYLES += [StyleRef("v7", "p3"), StyleRef("v7", "s1-happy")]
MIX = MixConfig(crop_frames=16, reference_frames=16)
CONFIG = TrainConfig(
    batch_size=4, steps=4, warmup_steps=1, mixed_precision="no", validate_every=100, sample_every=0,
    save_every_seconds=1e9, mix=MIX,
)  # fmt: skip
TINY = replace(
    tiny.TINY,
    prediction="v",
    mel_std=2.0,
    style=replace(tiny.TINY_STYLE, n_speakers=2, emotion_dim=len(EMOTIONS)),
)


def fake_item(index: int, styles: tuple[StyleRef, ...], *, split: str = "train", kind: str = "grid") -> Item:
    """An utterance whose mel and F0 tell its first style and whose text is its own."""
    rng = np.random.default_rng(index)
    tokens = 4 + index % 3
    durations = rng.integers(3, 6, tokens)
    frames = int(durations.sum())
    level = sum(map(ord, styles[0].voice + styles[0].pitch)) % 7
    mel = rng.normal(-6 + 0.3 * level, 0.5, (80, frames))
    return Item(
        id=f"item-{index}",
        kind=kind,
        split=split,
        text=f"text {index}",
        ids=rng.integers(64, 148, tokens),
        durations=durations,
        mel=mel.astype(np.float16),
        contour=Contour(
            f0_hz=np.full(frames, 100.0 + 20 * level, dtype=np.float32),
            voiced=np.arange(frames) % 5 > 0,
            energy_db=rng.normal(-27, 3, frames).astype(np.float32),
            frame_rate_hz=MelConfig().frame_rate_hz,
        ),
        prosody=(PROSODY_MEAN + 0.1 * level * PROSODY_STD).astype(np.float32),
        styles=styles,
        share=np.linspace(0, 1, frames, dtype=np.float32) if len(styles) == 2 else None,
    )


def fake_items(*, split: str = "train", start: int = 0) -> list[Item]:
    """Three utterances of each style, and two blends of each neighbouring pair."""
    singles = [fake_item(start + i, (STYLES[i % len(STYLES)],), split=split) for i in range(3 * len(STYLES))]
    pairs = [(STYLES[i], STYLES[(i + 3) % len(STYLES)]) for i in range(len(STYLES))] * 2
    blends = [fake_item(start + 100 + i, pair, split=split, kind="blend") for i, pair in enumerate(pairs)]
    return singles + blends


def write_corpus(folder: Path) -> Path:
    """Write a folder as the corpus builder does: two speakers, one blend, a valid item, a held-out one."""
    (folder / "features").mkdir(parents=True)
    lines = []
    for name, kind, split, speaker, emotion, frames in (
        ("bank-0", "bank", "train", 0, "neutral", 40),
        ("bank-1", "bank", "train", 0, "neutral", 50),
        ("bank-2", "bank", "train", 0, "happy", 60),
        ("bank-3", "bank", "train", 1, "neutral", 70),
        ("bank-valid", "bank", "valid", 0, "neutral", 50),
        ("test-0", "test", "test", 1, "neutral", 30),
        ("blend-0", "blend", "train", 0, "neutral", 40),
    ):
        rng, tokens = np.random.default_rng(frames), [" ", "B", "AH0", "."]
        durations = np.full(len(tokens), frames // len(tokens))
        durations[-1] += frames - durations.sum()
        np.savez(
            folder / "features" / f"{name}.npz",
            mel=rng.normal(-6, 1, (80, frames)).astype(np.float16),
            f0_hz=np.full(frames, 120.0, dtype=np.float32),
            voiced=np.ones(frames, dtype=np.uint8),
            energy_db=(-25 + rng.normal(0, 3, frames)).astype(np.float32),
            durations=durations,
            share=np.linspace(0, 1, frames),
        )
        single = {"speaker": speaker, "emotion": emotion, "voice": f"s{speaker}", "pitch": f"s{speaker}-{emotion}"}
        pair = {side: {"voice": f"s{n}", "pitch": f"s{n}-neutral"} for n, side in enumerate("ab")}
        line = {"id": name, "kind": kind, "split": split, "text": f"Text of {name}.", "tokens": tokens}
        lines.append(json.dumps({**line, "frames": frames, **(pair if kind == "blend" else single)}) + "\n")
    (folder / "manifest.jsonl").write_text("".join(lines))
    return folder
