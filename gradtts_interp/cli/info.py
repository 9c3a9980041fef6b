"""``gradtts-interp info``: the card of a checkpoint, read off its files."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from gradtts_interp.checkpoints import INDEX, checkpoint_of
from gradtts_interp.files import read_json
from gradtts_interp.interpolation.mechanisms import MECHANISMS
from gradtts_interp.interpolation.noise import NOISE
from gradtts_interp.job import NEED_STYLE_PARTS
from gradtts_interp.pipeline import ENVELOPE, GradTTSInterpPipeline

CARD = "README.md"
OFFICIAL_LICENCE = "not stated in the file; the official files are published with Grad-TTS (MIT)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    text = "checkpoint folder, or official .pt file (default: the one synthesize takes)"
    parser.add_argument("checkpoint", nargs="?", help=text)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Print the card.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status 0.

    Raises:
        CheckpointError: The checkpoint is missing or damaged.
    """
    card = card_of(checkpoint_of(args.checkpoint))
    if args.json:
        print(json.dumps(card, indent=1, ensure_ascii=False))
        return 0
    width = max(map(len, card))
    for name, value in card.items():
        if isinstance(value, list):
            value = ", ".join(map(str, value)) or "none"
        print(f"{name.replace('_', ' '):{width}}  {'unknown' if value is None else value}")
    return 0


def card_of(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint is, as plain JSON values.

    Args:
        checkpoint: A folder of this library, or an official ``.pt`` file.

    Returns:
        Kind, sizes, mel contract, kind of prior, speakers, emotions, training steps, mechanisms and licence; None where
        unknown.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    pipeline = GradTTSInterpPipeline.from_pretrained(checkpoint)
    model, mel = pipeline.model, pipeline.model.settings.mel
    files, kind, steps, card = [checkpoint], "official Grad-TTS file", None, checkpoint / CARD
    licence: str | None = OFFICIAL_LICENCE
    if checkpoint.is_dir():
        index = read_json(checkpoint / INDEX)
        parts = (checkpoint, checkpoint / str(index["vocoder"]))  # the vocoder may lie beside it
        files = sorted({file.resolve() for part in parts for file in part.rglob("*") if file.is_file()})
        text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
        found = re.search(r"Licen[cs]e:?\s+([^.\n]+)", text)
        kind, steps, licence = "gradtts-interp folder", index.get("step"), found and found[1].strip()
    missing = () if model.has_style else (*NEED_STYLE_PARTS, ENVELOPE, NOISE)
    return {
        "checkpoint": str(checkpoint.resolve()),
        "kind": kind,
        "acoustic_parameters": sum(p.numel() for p in model.parameters()),
        "vocoder": pipeline.vocoder.kind,
        "vocoder_parameters": sum(p.numel() for p in pipeline.vocoder.parameters()),
        "bytes_on_disk": sum(file.stat().st_size for file in files),
        "sample_rate_hz": mel.sample_rate_hz,
        "mel": f"{mel.n_mels} bins, {mel.fmin_hz:g} to {mel.fmax_hz:g} Hz, hop {mel.hop_samples}, fft {mel.n_fft}",
        "speakers": pipeline.speakers or [0],
        "emotions": list(pipeline.bank.emotions) if pipeline.bank else [],
        "prior": model.settings.prior,
        "recordings_as_styles": model.has_style,
        "mechanisms": [m for m in (*MECHANISMS, NOISE) if m not in missing],
        "training_steps": steps,
        "licence": licence,
        "model_card": str(card.resolve()) if card.is_file() else None,
    }
