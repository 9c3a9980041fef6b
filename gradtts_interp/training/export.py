"""``gradtts-interp export``: from a training run to a checkpoint folder that the pipeline loads."""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file

from gradtts_interp.checkpoints import save_model
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.pipeline import INDEX
from gradtts_interp.pitch.contour import Contour, prosody_vector
from gradtts_interp.styles import Style, StyleBank
from gradtts_interp.training.data import EMOTIONS, load_entries
from gradtts_interp.training.state import checkpoints

TYPICAL_FRAMES = 260  # about 3 s: long enough to hear a style, short enough to be cheap


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--run", required=True, help="folder of a training run")
    parser.add_argument("--corpus", required=True, help="corpus the run was trained on, for the bank of styles")
    parser.add_argument("--vocoder", required=True, help="vocoder folder the checkpoint shall use")
    parser.add_argument("--out", required=True, help="checkpoint folder to write")


def run(args: argparse.Namespace) -> int:
    """Export the averaged weights of the newest checkpoint; return the exit status."""
    model, step = averaged_model(Path(args.run))
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    save_model(model, out / "model")
    (out / "styles").mkdir(exist_ok=True)
    bank_of_corpus(Path(args.corpus), model).save(out / "styles")
    vocoder = os.path.relpath(Path(args.vocoder).resolve(), out.resolve())
    index = {"model": "model", "vocoder": vocoder, "styles": "styles", "step": step}
    with atomic_path(out / INDEX) as temporary:
        temporary.write_text(json.dumps(index, indent=1))
    return 0


def averaged_model(folder: Path) -> tuple[GradTTS, int]:
    """The averaged weights of a run's newest checkpoint, and its step.

    Args:
        folder: Folder of the run.

    Returns:
        Model in evaluation mode, and the optimiser step.

    Raises:
        CheckpointError: The run has no checkpoint.
    """
    found = checkpoints(folder)
    if not found:
        raise CheckpointError(f"{folder}: no checkpoint; expected the folder of a training run")
    state = json.loads((found[-1] / "state.json").read_text())
    model = GradTTS(state["settings"])
    model.load_state_dict(load_file(found[-1] / "ema.safetensors"))
    return model.eval(), state["step"]


def bank_of_corpus(folder: Path, model: GradTTS) -> StyleBank:
    """One reference for each speaker and emotion: the training utterance nearest to the typical length.

    Its prosody vector is the mean over all training utterances of that speaker and emotion: one sentence of three
    seconds says little of how a speaker is usually pitched and paced.

    Args:
        folder: The corpus.
        model: Gives the mel contract.

    Returns:
        The bank.

    Raises:
        InputError: The corpus has no speakers.
    """
    spoken: dict[tuple[int, str], list[dict]] = defaultdict(list)
    for entry in load_entries(folder):
        if entry["kind"] != "bank" or entry["split"] != "train":
            continue
        spoken[entry["speaker"], entry["emotion"]].append(entry)
    if not spoken:
        raise InputError(f"{folder}: the corpus has no items of named speakers")
    styles = {key: _style(folder, entries, model) for key, entries in sorted(spoken.items())}
    return StyleBank(styles, EMOTIONS)


def _distance(entry: dict) -> int:
    return abs(entry["frames"] - TYPICAL_FRAMES)


def _style(folder: Path, entries: list[dict], model: GradTTS) -> Style:
    read = [_features(folder, entry, model.settings.mel.frame_rate_hz) for entry in entries]
    nearest = min(range(len(entries)), key=lambda i: _distance(entries[i]))
    entry, (contour, mel) = entries[nearest], read[nearest]
    return Style(
        name=f"speaker {entry['speaker']} {entry['emotion']}",
        speaker=entry["speaker"],
        emotion=np.array([float(e == entry["emotion"]) for e in EMOTIONS], dtype=np.float32),
        mel=mel,
        contour=contour,
        prosody=np.mean([prosody_vector(contour) for contour, _ in read], axis=0, dtype=np.float32),
    )


def _features(folder: Path, entry: dict, frame_rate_hz: float) -> tuple[Contour, NDArray[np.float32]]:
    """Contour and log-mel (M, T) of an entry."""
    with np.load(folder / "features" / f"{entry['id']}.npz") as features:
        contour = Contour(
            f0_hz=features["f0_hz"],
            voiced=features["voiced"].astype(bool),
            energy_db=features["energy_db"],
            frame_rate_hz=frame_rate_hz,
        )
        return contour, features["mel"].astype(np.float32)
