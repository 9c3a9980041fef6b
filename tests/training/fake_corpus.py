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
from gradtts_interp.training.mix import MixConfig

STYLES = [StyleRef(voice, pitch) for voice in ("s0", "s1") for pitch in ("s0-neutral", "s1-happy", "p3")]
STYLES += [StyleRef("v7", "p3"), StyleRef("v7", "s1-happy")]
MIX = MixConfig(crop_frames=16, reference_frames=16)
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
    for i, (speaker, emotion) in enumerate([(0, "neutral"), (0, "neutral"), (0, "happy"), (1, "neutral")]):
        lines.append(_bank_line(folder, f"bank-{i}", speaker, emotion, frames=40 + 10 * i))
    lines.append({**_bank_line(folder, "bank-valid", 0, "neutral", frames=50), "split": "valid"})
    lines.append({**_bank_line(folder, "test-0", 1, "neutral", frames=30), "kind": "test", "split": "test"})
    sides = {k: {"voice": f"s{n}", "pitch": f"s{n}-neutral"} for n, k in enumerate("ab")}
    blend = {**_bank_line(folder, "blend-0", 0, "neutral", frames=40), "kind": "blend", **sides}
    lines.append({k: v for k, v in blend.items() if k not in ("voice", "pitch", "speaker", "emotion")})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def _bank_line(folder: Path, name: str, speaker: int, emotion: str, *, frames: int) -> dict:
    rng = np.random.default_rng(frames)
    tokens = [" ", "B", "AH0", "."]
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
    return {
        "id": name,
        "kind": "bank",
        "split": "train",
        "text": f"Text of {name}.",
        "tokens": tokens,
        "speaker": speaker,
        "emotion": emotion,
        "voice": f"s{speaker}",
        "pitch": f"s{speaker}-{emotion}",
        "frames": frames,
    }
