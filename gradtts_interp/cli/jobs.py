"""From flags to a job: sentences, pipeline, styles and share, with one clear error for what does not fit."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import gradtts_interp
from gradtts_interp.cli.blend_flags import blend_conflicts, mode_of, share_of
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.interpolation.mechanisms import MECHANISMS
from gradtts_interp.interpolation.noise import NOISE
from gradtts_interp.interpolation.noise_text import parse_tuning
from gradtts_interp.interpolation.shares import Share
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import choose_sampler
from gradtts_interp.styles import Style
from gradtts_interp.vocoder import GriffinLimVocoder, MelDecoder, Vocoder

CHECKPOINT_VARIABLE = "GRADTTS_INTERP_CHECKPOINT"
DEMO = Path("checkpts") / "demo"
NEED_STYLE_PARTS = ("attention", "prosody")
LARGEST_FILE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Line:
    """A sentence to speak.

    Attributes:
        index: Its place among the sentences, from 0; names its files.
        number: Its line in the file, from 1, for messages.
        text: The sentence.
    """

    index: int
    number: int
    text: str


@dataclass(frozen=True)
class Job:
    """Everything the main job needs.

    Attributes:
        lines: Sentences.
        pipeline: Loaded, on its device.
        a: Style A; None for a checkpoint with a single voice.
        b: Style B, if there are two.
        mode: One of :data:`~gradtts_interp.cli.blend_flags.MODES`.
        share: How much of B speaks where; None for a single style.
        mechanisms: Names, or None for the pipeline's choice.
        sampling: Keyword arguments of the pipeline: steps, solver and so on.
        out: Folder.
        batch_size: Sentences rendered at once.
        plots: Whether to draw, and to render A and B alone.
        attention: Whether to record attention.
        settings: What the json of each sentence says beyond the pipeline's own settings.
    """

    lines: list[Line]
    pipeline: GradTTSInterpPipeline
    a: Style | None
    b: Style | None
    mode: str
    share: Share | None
    mechanisms: tuple[str, ...] | None
    sampling: dict[str, Any]
    out: Path
    batch_size: int
    plots: bool
    attention: bool
    settings: dict[str, Any]


def job_of(args: argparse.Namespace, command_line: str, *, pipeline: GradTTSInterpPipeline | None = None) -> Job:
    """Make a job of parsed flags; cheap checks come first, the checkpoint last.

    Args:
        args: Flags of :func:`gradtts_interp.cli.synthesize.add_arguments`.
        command_line: How it was started, for the record.
        pipeline: Already loaded from ``args.checkpoint``, such as by the app; loaded if None.

    Returns:
        The job.

    Raises:
        InputError: Flags contradict each other, or something they name cannot be used.
    """
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    check_flags(args)
    lines = _lines(args)
    mode = mode_of(args)
    share = share_of(args, mode)
    mechanisms = mechanisms_of(args)
    out = Path(args.out)
    require_writable(out)
    device = device_of(args.device)
    checkpoint = Path(args.checkpoint) if args.checkpoint else default_checkpoint()
    if pipeline is None:
        pipeline = GradTTSInterpPipeline.from_pretrained(checkpoint, vocoder=vocoder_of(args.vocoder, checkpoint))
    pipeline = pipeline.to(device)
    a, b = styles_of(args, pipeline)
    require_parts(args, pipeline)
    if share is not None and share.pitch is not None:
        _require_contour(b if share.pitch.from_second else a)
    pipeline.accelerate(args.precision, compile_mode=args.compile)
    steps, solver = choose_sampler(args.timesteps, args.solver)
    tuning = parse_tuning(args.noise) if args.noise else None
    if steps == 0:
        pipeline.require_speaking_prior(args.guidance, mechanisms, tuning)
    sampling = {
        "num_inference_steps": steps,
        "solver": solver,
        "guidance": args.guidance,
        "temperature": args.temperature,
        "length_scale": args.length_scale,
        "seed": args.seed,
        "noise_tuning": tuning,
    }
    settings = {
        "mode": mode,
        "pitch_from": (args.pitch_from or "a") if share is not None and share.pitch is not None else None,
        "checkpoint": str(checkpoint.resolve()),
        "vocoder": args.vocoder or type(pipeline.vocoder).__name__,
        "command": command_line,
    }
    return Job(
        lines=lines,
        pipeline=pipeline,
        a=a,
        b=b,
        mode=mode,
        share=share,
        mechanisms=mechanisms,
        sampling=sampling,
        out=out,
        batch_size=args.batch_size or (1 if device.type == "cpu" else 8),
        plots=not args.no_plots,
        attention=args.attention,
        settings=settings,
    )


# -- flags ----------------------------------------------------------------------------------------------------------


def check_flags(args: argparse.Namespace) -> None:
    """Raise an error for flags that contradict each other."""
    has_a = args.speaker is not None or args.reference is not None
    has_b = args.speaker2 is not None or args.reference2 is not None
    mode = mode_of(args)
    wrong = {
        "-f/--file and --text: give one of them": bool(args.file) == bool(args.text),
        "-s/--speaker and --reference: both name style A; give one": args.speaker is not None and args.reference,
        "-s2/--speaker2 and --reference2: both name style B; give one": args.speaker2 is not None and args.reference2,
        "style B without style A: give -s/--speaker or --reference as well": has_b and not has_a,
        "--emotion: it belongs to a speaker; give -s/--speaker as well": args.emotion and args.speaker is None,
        "--emotion2: it belongs to a speaker; give -s2/--speaker2 as well": args.emotion2 and args.speaker2 is None,
        f"--mode {mode}: it needs two styles; give -s2/--speaker2 or --reference2": mode != "none" and not has_b,
        "--mode none: it speaks style A alone; leave style B out": mode == "none" and has_b,
        **blend_conflicts(args, mode),
        "--mechanism: it needs two styles": args.mechanism and not has_b,
        "--noise: it needs two styles": args.noise and not has_b,
        "--attention: it shows who is read, so it needs two styles": args.attention and not has_b,
        "--attention: nothing to see without --mechanism attention": args.attention
        and args.mechanism
        and "attention" not in args.mechanism,
    }
    for message, is_wrong in wrong.items():
        if is_wrong:
            raise InputError(message)


def mechanisms_of(args: argparse.Namespace) -> tuple[str, ...] | None:
    """Names of mechanisms, each known; None where none were named."""
    if not args.mechanism:
        return None
    for name in args.mechanism:
        if name not in (*MECHANISMS, NOISE):
            raise InputError(f"mechanism {name!r}: expected one of {', '.join((*MECHANISMS, NOISE))}")
    if NOISE in args.mechanism and "attention" not in args.mechanism:
        raise InputError("mechanism 'noise': it steers attention; expected --mechanism attention beside it")
    return tuple(dict.fromkeys(args.mechanism))


def _lines(args: argparse.Namespace) -> list[Line]:
    if args.text:
        return [Line(i, i + 1, text) for i, text in enumerate(args.text)]
    return read_lines(args.file)


def read_lines(path: str | Path) -> list[Line]:
    """Read sentences, one per line; blank lines and lines that start with ``#`` are left out.

    Args:
        path: A text file in UTF-8.

    Returns:
        At least one sentence.

    Raises:
        InputError: The file is missing, a folder, too large, no text, or holds no sentence.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a text file with one sentence per line")
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise InputError(f"{path} is larger than {LARGEST_FILE_BYTES // 2**20} MiB; expected lines of text")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text (byte {error.start}); expected one sentence per line") from error
    if "\0" in text:
        raise InputError(f"{path} is a binary file; expected UTF-8 text, one sentence per line")
    rows = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    spoken = [(n, row.strip()) for n, row in enumerate(rows, 1) if row.strip() and not row.lstrip().startswith("#")]
    if not spoken:
        raise InputError(f"{path} holds no sentence; expected one per line")
    return [Line(i, number, row) for i, (number, row) in enumerate(spoken)]


# -- machine and files ----------------------------------------------------------------------------------------------


def device_of(name: str) -> torch.device:
    """The device of a name; ``auto`` is CUDA, else MPS, else the CPU."""
    mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"--device {name}: expected auto, cpu, cuda, cuda:1 or mps") from error
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(mps)}.get(device.type, 0)
    if (device.index or 0) >= count:
        raise InputError(f"--device {name}: this machine has none, or torch was built without it; use --device cpu")
    return device


def require_writable(folder: Path) -> None:
    """Make a folder and raise unless a file can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--out {folder}: cannot write there: {error.strerror or error}") from error


def default_checkpoint() -> Path:
    """The checkpoint used when none is named: of the environment, else the demo that lies beside the program."""
    named = os.environ.get(CHECKPOINT_VARIABLE)
    if named:
        return Path(named)
    homes = [Path.cwd(), Path(sys.argv[0]).resolve().parent, Path(gradtts_interp.__file__).resolve().parent.parent]
    for home in homes:
        if (home / DEMO).is_dir():
            return home / DEMO
    places = ", ".join(dict.fromkeys(map(str, homes)))
    raise CheckpointError(
        f"no checkpoint: {DEMO} lies in none of {places}; the demo is part of the repository, not of the wheel: copy "
        f"{DEMO.parent} from there, and name it with ${CHECKPOINT_VARIABLE} or give -c"
    )


def vocoder_of(name: str | None, checkpoint: Path) -> MelDecoder | None:
    """The vocoder of a name or path; None leaves it to the checkpoint."""
    if name is None:
        return None
    if name == "griffin-lim":
        return GriffinLimVocoder(MelConfig())
    if name == "hifigan":
        return Vocoder.from_pretrained(default_checkpoint() / "vocoder") if checkpoint.is_file() else None
    path = Path(name)
    if not path.exists():
        raise InputError(f"--vocoder {name}: expected hifigan, griffin-lim, or the path of a vocoder")
    return Vocoder.from_pretrained(path) if path.is_dir() else Vocoder.from_official(path)


# -- styles ---------------------------------------------------------------------------------------------------------


def styles_of(args: argparse.Namespace, pipeline: GradTTSInterpPipeline) -> tuple[Style | None, Style | None]:
    """Styles A and B of the flags."""
    if args.speaker is None and args.reference is None:
        if pipeline.model.has_style or pipeline.model.settings.n_spks > 1:
            known = f" (it has {len(pipeline.speakers)} speakers)" if pipeline.speakers else ""
            raise InputError(f"no style: this checkpoint needs -s/--speaker or --reference{known}")
        return None, None
    a = pipeline.style(args.reference, speaker=args.speaker, emotion=args.emotion)
    if args.speaker2 is None and args.reference2 is None:
        return a, None
    return a, pipeline.style(args.reference2, speaker=args.speaker2, emotion=args.emotion2)


def require_parts(args: argparse.Namespace, pipeline: GradTTSInterpPipeline) -> None:
    """Raise unless the checkpoint has what the flags work on."""
    if pipeline.model.has_style:
        return
    for name in args.mechanism or ():
        if name in NEED_STYLE_PARTS:
            raise InputError(f"mechanism {name!r}: this checkpoint has no style attention; choose among prior, score")
    if args.attention:
        raise InputError("--attention: this checkpoint has no style attention")
    if args.guidance > 0:
        raise InputError("--guidance: this checkpoint has no null style; leave it at 0")


def _require_contour(style: Style | None) -> None:
    if style is None or style.contour is None:
        name = "style A" if style is None else style.name
        raise InputError(
            f"--mode frequency: {name} has no F0 contour; this checkpoint reads no references; give --bands"
        )
