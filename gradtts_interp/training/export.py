"""``gradtts-interp export``: from a training run to a checkpoint folder that the pipeline loads."""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from gradtts_interp.checkpoints import INDEX, load_model, read_index, save_model
from gradtts_interp.config import ModelConfig, help_of_settings
from gradtts_interp.errors import InputError
from gradtts_interp.files import write_json
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.pitch.contour import f0_skew, prosody_vector
from gradtts_interp.styles import Style, StyleBank
from gradtts_interp.training.data import EMOTIONS, Item, load_items
from gradtts_interp.training.filelist import load_filelist
from gradtts_interp.training.state import averaged_model, n_speakers

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
    bank = _bank(args, model)
    (out / "styles").mkdir(parents=True, exist_ok=True)
    bank.save(out / "styles")
    save_model(model, out / "model")
    vocoder = os.path.relpath(Path(args.vocoder).resolve(), out.resolve())
    write_json(out / INDEX, {"model": "model", "vocoder": vocoder, "styles": "styles", "step": step})
    return 0


def _bank(args: argparse.Namespace, model: GradTTS) -> StyleBank:
    """One reference for each speaker and emotion of the data, after those of the checkpoint that the run began from."""
    if args.corpus:
        items = load_items(args.corpus, kinds=("bank",))
        if not items:
            raise InputError(f"{args.corpus}: the corpus has no items of named speakers")
        return bank_of_items(items)
    first, styles = 0, {}
    if args.start_from:
        known = Path(args.start_from)
        index = read_index(known)
        first = n_speakers(load_model(known / index["model"]))
        styles = StyleBank.load(known / index["styles"], model.settings.mel).styles if index.get("styles") else {}
    items = load_filelist(args.filelist, model.settings, cache=Path(args.run) / "features")
    highest, rows = max(item.styles[0].speaker for item in items), n_speakers(model)
    if first + highest >= rows:
        place = f"speaker {highest} would be {first + highest}"
        raise InputError(f"{args.filelist}: {place}; the run's model has {rows} speakers")
    return StyleBank({**styles, **bank_of_items(items, first=first).styles}, EMOTIONS)


def bank_of_items(items: Iterable[Item], *, first: int = 0) -> StyleBank:
    """One reference for each speaker and emotion: an utterance of usual length whose F0 is skewed as is usual for them.

    Its prosody vector is the mean over all utterances of that speaker and emotion: one sentence of three seconds says
    little of how a speaker is usually pitched and paced. The skew decides the level of renders too, and is read from
    the reference alone.

    Args:
        items: Utterances of named speakers, one style each.
        first: Number that speaker 0 of the items has in the bank.

    Returns:
        The bank.
    """
    spoken: dict[tuple[int, str], list[Item]] = defaultdict(list)
    for item in items:
        spoken[first + item.styles[0].speaker, item.styles[0].emotion_name].append(item)
    styles = {}
    for (speaker, emotion), heard in sorted(spoken.items(), key=lambda found: found[0]):
        skews = np.array([f0_skew(item.contour) for item in heard])
        stretches = np.log([item.frames / TYPICAL_FRAMES for item in heard])
        nearest = heard[int(np.argmin(np.abs(stretches) + SKEW_WEIGHT * np.abs(skews - skews.mean())))]
        styles[speaker, emotion] = Style(
            name=f"speaker {speaker} {emotion}",
            speaker=speaker,
            emotion=nearest.styles[0].emotion,
            mel=nearest.mel.astype(np.float32),
            contour=nearest.contour,
            prosody=np.mean([prosody_vector(item.contour) for item in heard], axis=0, dtype=np.float32),
        )
    return StyleBank(styles, EMOTIONS)
