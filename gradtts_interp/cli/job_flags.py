"""From flags to a job, with one clear error for what does not fit."""

from __future__ import annotations

import argparse
import logging
import re
import tempfile
from pathlib import Path

import torch

from gradtts_interp.checkpoints import checkpoint_of
from gradtts_interp.cli import flags
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError, require_none
from gradtts_interp.files import read_text
from gradtts_interp.interpolation.asked_pitch import PitchRequest
from gradtts_interp.interpolation.attention import MapOptions
from gradtts_interp.interpolation.mechanisms import MECHANISMS, OPEN
from gradtts_interp.interpolation.noise import NOISE, parse_tuning
from gradtts_interp.job import Job, Sentence, StyleChoice, require_parts
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.pitch.files import read_pitch
from gradtts_interp.vocoder import GriffinLimVocoder, MelDecoder, Vocoder

LARGEST_FILE_BYTES = 64 * 2**20
_AUDIO = re.compile(r"\.(?:wav|flac|ogg|opus|mp3|m4a|aiff?)$", re.IGNORECASE)
_LISTED = re.compile(r"[^|]+\.(?:wav|flac|ogg|opus|mp3|m4a|aiff?)\s*\||[^\s|]+\|[^|]*\|", re.IGNORECASE)
logger = logging.getLogger(__name__)


def job_of(args: argparse.Namespace, command_line: str, *, pipeline: GradTTSInterpPipeline | None = None) -> Job:
    """Make a job of parsed flags; cheap checks come first, the checkpoint last.

    Args:
        args: Flags of :func:`gradtts_interp.cli.synthesize.add_arguments`.
        command_line: How it was started, for the record.
        pipeline: What the flags name, where it is loaded already.

    Returns:
        The job; nothing is written yet.

    Raises:
        InputError: Flags contradict each other, or something they name cannot be used.
    """
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    words, shifts = flags.split_words(args.words)
    args = argparse.Namespace(**{**vars(args), "words": words})
    check_flags(args)
    lines = [Sentence(i, i + 1, t) for i, t in enumerate(args.text)] if args.text else read_lines(args.file)
    mode = flags.mode_of(args)
    share = flags.share_of(args)
    mechanisms = tuple(dict.fromkeys(args.mechanism)) if args.mechanism else None
    noise_tuning = parse_tuning(args.noise) if args.noise else None
    curve = None if args.pitch_file is None else read_pitch(args.pitch_file)
    out = Path(args.out)
    require_writable(out)
    pipeline = pipeline or load_pipeline(args)
    a, b = (None if choice is None else choice.load(pipeline) for choice in choices_of(args))
    said = {"offer": args.offer, "mechanisms": mechanisms, "noise_tuning": noise_tuning}
    sampler = {name: getattr(args, name) for name in ("guidance", "temperature", "length_scale")}
    job = Job(
        pipeline=pipeline,
        a=a,
        b=b,
        share=share,
        sampling=pipeline.sampling_options(args.timesteps, args.solver, **sampler, **said),
        seed=args.seed,
        pitch=PitchRequest(curve, shifts) if curve is not None or shifts else None,
        prosody=flags.copied_recording(args, pipeline),
        prosody_weight=args.copy_weight,
        attention=MapOptions() if args.attention else False,
        lines=tuple(lines),
        out=out,
        batch_size=args.batch_size or (1 if pipeline.device.type == "cpu" else 8),
        plots=not args.no_plots,
        write_pitch=args.write_pitch,
        settings={
            "mode": mode,
            "pitch_from": (args.pitch_from or "a") if share is not None and share.region is not None else None,
            "checkpoint": str(checkpoint_of(args.checkpoint).resolve()),
            "vocoder": args.vocoder or type(pipeline.vocoder).__name__,
            "command": command_line,
        },
        **said,
    )
    require_parts(job)
    pipeline.accelerate(args.precision, compile_mode=args.compile)
    return job


def load_pipeline(args: argparse.Namespace) -> GradTTSInterpPipeline:
    """Load the checkpoint that flags name, with its vocoder, on its device.

    Args:
        args: Flags of :func:`~gradtts_interp.cli.flags.add_checkpoint`.

    Returns:
        The pipeline.

    Raises:
        InputError: The device is not there, or checkpoint or vocoder cannot be used.
    """
    device, checkpoint = device_of(args.device), checkpoint_of(args.checkpoint)
    pipeline = GradTTSInterpPipeline.from_pretrained(checkpoint, vocoder=vocoder_of(args.vocoder, checkpoint))
    return pipeline.to(device)


def choices_of(args: argparse.Namespace) -> tuple[StyleChoice | None, StyleChoice | None]:
    """Styles A and B that the flags name."""
    named = ((args.speaker, args.emotion, args.reference), (args.speaker2, args.emotion2, args.reference2))
    a, b = (StyleChoice(*each) if each[0] is not None or each[2] is not None else None for each in named)
    return a, b


# -- flags ----------------------------------------------------------------------------------------------------------


def check_flags(args: argparse.Namespace) -> None:
    """Raise an error for flags that contradict each other."""
    has_a = args.speaker is not None or args.reference is not None
    has_b = args.speaker2 is not None or args.reference2 is not None
    mode, known = flags.mode_of(args), (*MECHANISMS, NOISE)
    unknown = next((name for name in args.mechanism or () if name not in known), None)
    wrong = {
        "-f/--file and --text: give one of them": bool(args.file) == bool(args.text),
        "-s/--speaker and --reference: both name style A; give one": args.speaker is not None and args.reference,
        "-s2/--speaker2 and --reference2: both name style B; give one": args.speaker2 is not None and args.reference2,
        "style B without style A: give -s/--speaker or --reference as well": has_b and not has_a,
        "--emotion: it belongs to a speaker; give -s/--speaker as well": args.emotion and args.speaker is None,
        "--emotion2: it belongs to a speaker; give -s2/--speaker2 as well": args.emotion2 and args.speaker2 is None,
        f"--mode {mode}: it needs two styles; give -s2/--speaker2 or --reference2": mode != "none" and not has_b,
        "--mode none: it speaks style A alone; leave style B out": mode == "none" and has_b,
        **flags.blend_conflicts(args, mode),
        **flags.copying_conflicts(args),
        f"mechanism {unknown!r}: expected one of {', '.join(known)}": unknown is not None,
        "--mechanism: it needs two styles": args.mechanism and not has_b,
        "--noise: it needs two styles": args.noise and not has_b,
        "--offer open: it needs two styles": args.offer == OPEN and not has_b,
        "--attention: it shows who is read, so it needs two styles": args.attention and not has_b,
        "--attention: nothing to see without --mechanism attention": args.attention
        and args.mechanism
        and not {"attention", NOISE} & set(args.mechanism),
    }
    require_none(wrong)


def read_lines(path: str | Path) -> list[Sentence]:
    """Read sentences, one per line; blank lines and lines that start with ``#`` are left out.

    Args:
        path: A text file in UTF-8; of a filelist (``path|text|speaker``) the texts are taken.

    Returns:
        At least one sentence.

    Raises:
        InputError: The file is missing, a folder, too large, no text, holds no sentence, or is a
            filelist in some of its lines.
    """
    text = read_text(path, expected="a text file with one sentence per line", largest_bytes=LARGEST_FILE_BYTES)
    rows = [(n, row.strip()) for n, row in enumerate(text.split("\n"), 1)]
    spoken = [(n, row) for n, row in rows if row and not row.startswith("#")]
    if not spoken:
        raise InputError(f"{path} holds no sentence; expected one per line")
    spoken = _text_column(path, spoken)
    return [Sentence(i, number, row) for i, (number, row) in enumerate(spoken)]


def _text_column(path: str | Path, rows: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The texts of a filelist or of LJSpeech's metadata (``id|text|normalised text``); other rows as they are."""
    listed = [_LISTED.match(row) is not None for _, row in rows]
    if not any(listed):
        return rows
    found = []
    for (number, row), is_listed in zip(rows, listed, strict=True):
        fields = [field.strip() for field in row.split("|")]
        if not is_listed or len(fields) > 4 or not fields[1]:
            expected = "expected path|text|speaker in every line, as in the others, or one sentence per line in all"
            raise InputError(f"{path}, line {number}: {row[:60]!r}; {expected}")
        normalised = len(fields) == 3 and fields[2] and not fields[2].isdigit() and not _AUDIO.search(fields[0])
        found.append((number, fields[2] if normalised else fields[1]))
    logger.info("%s is a filelist: its column of texts is spoken", path)
    return found


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
    """Raise unless files can be written into a folder; what is written first makes it, so a wrong command does not."""
    home = folder
    while not home.exists() and home != home.parent:
        home = home.parent
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise InputError(f"--out {folder}: cannot write there: {error.strerror or error}") from error


def vocoder_of(name: str | None, checkpoint: Path) -> MelDecoder | None:
    """The vocoder of a name or path; None leaves it to the checkpoint."""
    if name is None:
        return None
    if name == "griffin-lim":
        return GriffinLimVocoder(MelConfig())
    if name == "hifigan":
        return Vocoder.from_pretrained(checkpoint_of() / "vocoder") if checkpoint.is_file() else None
    path = Path(name)
    if not path.exists():
        raise InputError(f"--vocoder {name}: expected hifigan, griffin-lim, or the path of a vocoder")
    return Vocoder.from_pretrained(path) if path.is_dir() else Vocoder.from_official(path)
