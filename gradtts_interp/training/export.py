"""``gradtts-interp export``: from a training run to a checkpoint folder that the pipeline loads."""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gradtts_interp.checkpoints import INDEX, load_model, read_index, save_model
from gradtts_interp.config import ModelConfig, help_of_settings
from gradtts_interp.corpus.plan import load_entries
from gradtts_interp.errors import InputError
from gradtts_interp.files import write_json
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.pitch.contour import f0_skew, prosody_vector
from gradtts_interp.styles import Style, StyleBank
from gradtts_interp.training.data import EMOTIONS, Features, read_features
from gradtts_interp.training.filelist import recordings
from gradtts_interp.training.start import averaged_model, n_speakers

CHOSEN_AT_EXPORT = ("temperature", "formant_emphasis")
"""Settings of a model that nothing in its training hangs on."""
TYPICAL_FRAMES = 260  # about 3 s: long enough to hear a style, short enough to be cheap
SKEW_WEIGHT = 10.0  # 0.03 of skew, a tenth of a semitone of a speaker's level, weighs as much as a third of the length


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--run", required=True, help="folder of a training run")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--corpus", help="corpus the run was trained on, for the bank of styles")
    source.add_argument("--filelist", help="filelist the run was trained on, for the bank of styles")
    parser.add_argument(
        "--start-from", help="checkpoint the run began from, with --filelist: its bank is kept, new speakers follow"
    )
    parser.add_argument("--vocoder", required=True, help="vocoder folder the checkpoint shall use")
    parser.add_argument("--out", required=True, help="checkpoint folder to write")
    texts = help_of_settings(ModelConfig)
    for name in CHOSEN_AT_EXPORT:
        parser.add_argument(
            "--" + name.replace("_", "-"), type=float, metavar="X", help=f"{texts[name]} (default: the run's own)"
        )


def run(args: argparse.Namespace) -> int:
    """Export the averaged weights of the newest checkpoint.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status.

    Raises:
        InputError: The options do not go together, or there is nothing to make a bank of.
    """
    if args.start_from and not args.filelist:
        raise InputError("--start-from goes with --filelist: it tells which speakers of the model are not in the list")
    model, step = averaged_model(Path(args.run))
    chosen = {name: value for name in CHOSEN_AT_EXPORT if (value := getattr(args, name)) is not None}
    if chosen:
        state = model.state_dict()
        model = GradTTS(replace(model.settings, **chosen).to_dict()).eval()
        model.load_state_dict(state)
    out = Path(args.out)
    if args.corpus:
        bank = bank_of_corpus(Path(args.corpus), model)
    else:
        known = Path(args.start_from) if args.start_from else None
        bank = bank_of_filelist(Path(args.filelist), model, cache=Path(args.run) / "features", known=known)
    (out / "styles").mkdir(parents=True, exist_ok=True)
    bank.save(out / "styles")
    save_model(model, out / "model")
    vocoder = os.path.relpath(Path(args.vocoder).resolve(), out.resolve())
    write_json(out / INDEX, {"model": "model", "vocoder": vocoder, "styles": "styles", "step": step})
    return 0


def bank_of_corpus(folder: Path, model: GradTTS) -> StyleBank:
    """One reference for each speaker and emotion of a built corpus; see :func:`bank_of_recordings`.

    Args:
        folder: The corpus.
        model: Gives the mel contract.

    Returns:
        The bank.

    Raises:
        InputError: The corpus has no speakers.
    """
    spoken = bank_of_entries(load_entries(folder), folder, model.settings.mel.frame_rate_hz)
    if not spoken:
        raise InputError(f"{folder}: the corpus has no items of named speakers")
    return bank_of_recordings({key: [features for _, features in heard] for key, heard in spoken.items()})


def bank_of_entries(
    entries: list[dict[str, Any]], folder: Path, frame_rate_hz: float
) -> dict[tuple[int, str], list[tuple[dict[str, Any], Features]]]:
    """Training utterances of a built corpus's named speakers.

    Args:
        entries: Entries of the manifest.
        folder: The corpus.
        frame_rate_hz: Of the model's mels.

    Returns:
        Entry and features of each, by speaker and emotion.
    """
    spoken: dict[tuple[int, str], list[tuple[dict[str, Any], Features]]] = defaultdict(list)
    for entry in entries:
        if entry["kind"] == "bank" and entry["split"] == "train":
            features = read_features(folder / "features" / f"{entry['id']}.npz", frame_rate_hz)
            spoken[entry["speaker"], entry["emotion"]].append((entry, features))
    return spoken


def bank_of_filelist(path: Path, model: GradTTS, *, cache: Path, known: Path | None = None) -> StyleBank:
    """One reference for each speaker and emotion of a filelist; see :func:`bank_of_recordings`.

    Args:
        path: The filelist.
        model: Gives the mel contract, and the number of speakers there may be.
        cache: Folder where features are kept.
        known: Checkpoint folder that the run began from: its bank is kept, and the list's speakers follow its own.

    Returns:
        The bank.

    Raises:
        InputError: No line can be used, or a speaker is not one of the model's.
    """
    first, styles, mel = 0, {}, model.settings.mel
    if known is not None:
        index = read_index(known)
        first = n_speakers(load_model(known / index["model"]))
        styles = StyleBank.load(known / index["styles"], mel).styles if index.get("styles") else {}
    spoken: dict[tuple[int, str], list[Features]] = defaultdict(list)
    for line, features in recordings(path, mel, cache=cache):
        spoken[first + int(line.speaker), line.emotion].append(features)
    highest, rows = max(speaker for speaker, _ in spoken), n_speakers(model)
    if highest >= rows:
        raise InputError(f"{path}: speaker {highest - first} would be {highest}; the run's model has {rows} speakers")
    return StyleBank({**styles, **bank_of_recordings(spoken).styles}, EMOTIONS)


def bank_of_recordings(spoken: Mapping[tuple[int, str], list[Features]]) -> StyleBank:
    """One reference for each speaker and emotion: an utterance of usual length whose F0 is skewed as is usual for them.

    Its prosody vector is the mean over all utterances of that speaker and emotion: one sentence of three seconds says
    little of how a speaker is usually pitched and paced. The skew decides the level of renders too, and is read from
    the reference alone.

    Args:
        spoken: Utterances by speaker and emotion.

    Returns:
        The bank.
    """
    styles = {}
    for (speaker, emotion), heard in sorted(spoken.items(), key=lambda found: found[0]):
        skews = np.array([f0_skew(utterance.contour) for utterance in heard])
        stretches = np.log([len(utterance.contour) / TYPICAL_FRAMES for utterance in heard])
        nearest = heard[int(np.argmin(np.abs(stretches) + SKEW_WEIGHT * np.abs(skews - skews.mean())))]
        styles[speaker, emotion] = Style(
            name=f"speaker {speaker} {emotion}",
            speaker=speaker,
            emotion=np.array([float(emotion == e) for e in EMOTIONS], dtype=np.float32),
            mel=nearest.mel.astype(np.float32),
            contour=nearest.contour,
            prosody=np.mean([prosody_vector(utterance.contour) for utterance in heard], axis=0, dtype=np.float32),
        )
    return StyleBank(styles, EMOTIONS)
