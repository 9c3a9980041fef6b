"""The flags of all that speaks: models and styles, how A and B are blended, and pitch; and the job that they describe.

The share of B is a product: what follows time (or is the same everywhere) times what follows frequency. Flags that
contradict each other, cannot be read, or name what is not there, give one clear error.
"""

from __future__ import annotations

import argparse
import logging
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gradtts_interp.checkpoints import checkpoint_of
from gradtts_interp.config import MelConfig
from gradtts_interp.diffusion.samplers import SAMPLERS
from gradtts_interp.errors import InputError, require_none
from gradtts_interp.files import read_text
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.asked_pitch import PitchRequest
from gradtts_interp.interpolation.attention import MapOptions
from gradtts_interp.interpolation.mechanisms import BY_SHARE, MECHANISMS, OFFERS, OPEN
from gradtts_interp.interpolation.noise import NOISE, parse_tuning
from gradtts_interp.interpolation.shares import DIMENSIONS, SHARE_LIMITS, Share
from gradtts_interp.job import Job, Sentence, StyleChoice, require_parts, speakers_of
from gradtts_interp.models.precision import COMPILE_MODES, PRECISIONS
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.pitch.files import read_pitch
from gradtts_interp.pitch.masks import BANDS_HZ
from gradtts_interp.sampling import (
    CONVERGED_STEPS,
    DEFAULT_SOLVER,
    DEFAULT_STEPS,
    OFFICIAL_SOLVER,
    OFFICIAL_STEPS,
    SamplingOptions,
)
from gradtts_interp.styles import Style
from gradtts_interp.vocoder import GriffinLimVocoder, MelDecoder, Vocoder

USAGE = "%(prog)s -f FILE [-s A -s2 B] [options]; --help lists them"
PITCH_FORMATS = ("csv", "PitchTier", "npy", "npz")
LARGEST_WHOLE = 2**31 - 1
LARGEST_FILE_BYTES = 64 * 2**20
MODES = ("time", "frequency", "mix", "none")
EVEN = 0.5
_SHIFT = re.compile(r"\s*(\d+)(?:-(\d+))?\s*:\s*([+-]?\d*\.?\d+)\s*st\s*")
_AUDIO = re.compile(r"\.(?:wav|flac|ogg|opus|mp3|m4a|aiff?)$", re.IGNORECASE)
_LISTED = re.compile(r"[^|]+\.(?:wav|flac|ogg|opus|mp3|m4a|aiff?)\s*\||[^\s|]+\|[^|]*\|", re.IGNORECASE)
logger = logging.getLogger(__name__)


# -- numbers, and tables that are printed ------------------------------------------------------------------------------


def number_type(kind: type, expected: str, low: float, high: float) -> Callable[[str], Any]:
    """Type of a flag that holds a number.

    Args:
        kind: ``int`` or ``float``.
        expected: What is expected, for the message.
        low: Smallest number.
        high: Largest number.

    Returns:
        The type, as argparse takes it.
    """

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: expected {expected}")
        return value

    return read


index = number_type(int, "a whole number from 0", 0, LARGEST_WHOLE)
count = number_type(int, "a whole number of at least 1", 1, LARGEST_WHOLE)
not_negative = number_type(float, "a number of at least 0", 0.0, 1e300)
positive = number_type(float, "a number above 0", 1e-9, 1e300)
share_number = number_type(float, "a number from 0 to 1, or beyond from {} to {}".format(*SHARE_LIMITS), *SHARE_LIMITS)


def steps(text: str) -> int:
    """A number of steps; 0 is said on purpose."""
    return 0 if text == "0" else count(text)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells in columns of equal width."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


# -- what a command takes ---------------------------------------------------------------------------------------------


def add_speaking_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of all that speaks: text, styles, blend, sampling, output."""
    parser.usage = USAGE
    add = parser.add_argument_group("what to say").add_argument
    add("-f", "--file", metavar="FILE", help="text file, UTF-8, one sentence per line; # starts a comment")
    add("--text", action="append", metavar="TEXT", help="a sentence, instead of a file; repeatable")
    add_styles(parser.add_argument_group("styles"))
    _add_blend(parser.add_argument_group("how to move from A to B"))
    _add_sampling(parser.add_argument_group("sampling"))
    add_checkpoint(parser.add_argument_group("model"))
    _add_output(parser.add_argument_group("output and machine"))


def _add_sampling(group: argparse._ArgumentGroup) -> None:
    add_sampler(group)
    add, usual = group.add_argument, SamplingOptions
    text = "strength of classifier-free guidance towards the styles; 0 is off (default: %(default)s)"
    add("--guidance", type=not_negative, default=usual.guidance, metavar="G", help=text)
    text = "divides the initial noise, above 0 (default: the checkpoint's own, 1.5 for official ones)"
    add("--temperature", type=positive, metavar="X", help=text)
    text = "factor on durations; above 1 is slower (default: %(default)s)"
    add("--length-scale", type=positive, default=usual.length_scale, metavar="X", help=text)


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--out", default="out", metavar="FOLDER", help="where to write (default: %(default)s)")
    text = "arithmetic of the networks; auto is bf16 where the hardware multiplies it (default: %(default)s)"
    add("--precision", choices=PRECISIONS, default="fp32", help=text)
    text = (
        "compile the score network, which takes a minute or more; reduce-overhead and max-autotune use CUDA graphs and "
        f"compile for each length anew (default: not; without a mode: {COMPILE_MODES[0]})"
    )
    add("--compile", nargs="?", const=COMPILE_MODES[0], choices=COMPILE_MODES, help=text)
    add("--threads", type=count, metavar="N", help="CPU threads (default: torch's choice)")
    add("--json", action="store_true", help="print a machine-readable summary instead of a table")


def add_files(group: argparse._ArgumentGroup) -> None:
    """Declare the flags of what is written of each sentence."""
    add = group.add_argument
    add("--write-pitch", choices=PITCH_FORMATS, help="also write the realised F0, such as sample_0.csv")
    add("--batch-size", type=count, metavar="N", help="sentences rendered at once (default: 1 on a CPU, else 8)")
    text = (
        "render each sentence from so many noises, of seeds in a row, into sample_0_draw_0.wav and so on, and show "
        "whose pitch each has (default: %(default)s)"
    )
    add("--draws", type=count, default=1, metavar="N", help=text)
    text = "no .png, and no plain A and B to compare with: three times as fast"
    add("--no-plots", action="store_true", help=text)
    text = (
        "record attention: one more panel, sample_0_attention.npz with mass and maps, and pictures of where in the "
        "references each phoneme looks"
    )
    add("--attention", action="store_true", help=text)


def speakers(text: str) -> int | tuple[int, ...]:
    """Type of a flag that names a speaker, or several for their average."""
    try:
        return speakers_of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_checkpoint(group: argparse._ActionsContainer) -> None:
    """Declare the flags of the model, and of the device that it works on."""
    add = group.add_argument
    text = (
        "folder of a checkpoint, or an official Grad-TTS .pt file (default: $GRADTTS_INTERP_CHECKPOINT, else "
        "checkpts/demo)"
    )
    add("-c", "--checkpoint", metavar="PATH", help=text)
    text = (
        "hifigan (the checkpoint's), griffin-lim, or the path of a vocoder: a folder, or an official generator file "
        "(default: the checkpoint's; griffin-lim for official .pt files)"
    )
    add("--vocoder", metavar="NAME", help=text)
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")


def add_styles(group: argparse._ActionsContainer) -> None:
    """Declare the flags that name styles A and B."""
    add = group.add_argument
    add("-s", "--speaker", type=speakers, metavar="N", help="speaker of style A from 0; 3,7 or 0-15: their average")
    text = "likewise of style B (default: A alone, where one style will do)"
    add("-s2", "--speaker2", type=speakers, metavar="N", help=text)
    add("--reference", metavar="WAV", help="recording of style A, 0.5 s or longer, instead of a speaker")
    add("--reference2", metavar="WAV", help="recording of style B, 0.5 s or longer")
    add("--emotion", metavar="NAME", help="emotion of the speaker of A (default: neutral)")
    add("--emotion2", metavar="NAME", help="emotion of the speaker of B (default: neutral)")


def add_sampler(group: argparse._ActionsContainer) -> None:
    """Declare the flags of the sampler and of its noise."""
    add = group.add_argument
    text = (
        f"steps of the sampler (default: {DEFAULT_STEPS} of {DEFAULT_SOLVER}, {CONVERGED_STEPS} where the noise "
        f"decides or the prior is of tokens; {OFFICIAL_STEPS} of other solvers); 0 speaks the prior mean, which a "
        "checkpoint with a frame prior can"
    )
    add("-t", "--timesteps", type=steps, metavar="N", help=text)
    text = f"sampler (default: {OFFICIAL_SOLVER} where -t is given, as in Grad-TTS; else {DEFAULT_SOLVER})"
    add("--solver", choices=tuple(SAMPLERS), help=text)
    add("--seed", type=index, default=0, metavar="N", help="start of each sentence's noise (default: %(default)s)")


def _add_blend(group: argparse._ArgumentGroup) -> None:
    """Declare the flags that say who speaks where."""
    add = group.add_argument
    text = (
        "time: from A to B along the sentence; frequency: pitch of one, voice of the other, or --bands; mix: the "
        "same share everywhere; none: A alone (default: none with one style; frequency with --bands alone; mix with "
        "--share alone; else time)"
    )
    add("--mode", choices=MODES, help=text)
    text = "share of B in mode mix, 0 to 1 (default: 0.5; 0 with --share)"
    add("--weight", type=share_number, metavar="W", help=text)
    text = (
        f"share of B in one dimension of speech, of {', '.join(DIMENSIONS)}; repeatable: pitch=0.5, "
        "energy=0:a,1:b as in --curve, timbre=f1-f2:b as in --bands; the other dimensions follow the mode"
    )
    add("--share", action="append", metavar="DIMENSION=W", help=text)
    text = (
        "share of B over time in mode time, as times and shares, such as 0:0,0.4:0,0.6:1,1:1; a time is relative "
        "(0 to 1), in seconds (0.5s) or in words (w2 is the start of word 2, w2.5 its middle); a share is 0 to 1, a or "
        f"b, or beyond to exaggerate, from {SHARE_LIMITS[0]} to {SHARE_LIMITS[1]} (default: a ramp, 0.2:0,0.8:1)"
    )
    add("--curve", metavar="T:W,...", help=text)
    text = (
        "share of B in words, counted from 1, such as 2-4:b,6:0.5; the other words follow --curve, or --weight in "
        "mode mix, and are A's without them; 3:+2st shifts the pitch of word 3 by two semitones"
    )
    add("--words", metavar="N-M:W,...", help=text)
    bands = ", ".join(f"{name} ({low:g}-{high:g})" for name, (low, high) in BANDS_HZ.items())
    text = (
        f"share of B in frequency bands, such as 0-400:a,400-8000:b or by name, f0:a,f1-f2:b; names are {bands} "
        "Hz; all else is A's. In modes time and mix, the share there is multiplied by it"
    )
    add("--bands", metavar="HZ-HZ:W,...", help=text)
    text = "style that gives the pitch in mode frequency; the other gives the voice (default: a)"
    add("--pitch-from", choices=("a", "b"), help=text)
    text = "multiples 1 to N of F0 that count as pitch in mode frequency (default: 1)"
    add("--harmonics", type=count, metavar="N", help=text)
    text = "mel bins on each side of F0 and its multiples that count as pitch in mode frequency (default: 1)"
    add("--pitch-width", type=index, metavar="BINS", help=text)
    text = (
        "F0 of every sentence, in place of the style's own: .csv with time_s and f0_hz, or semitones against the "
        "style; Praat's .PitchTier; .npy or .npz"
    )
    add("--pitch-file", metavar="FILE", help=text)
    text = (
        "share: each style speaks where its share says; open: both are offered alike and the noise decides "
        "(default: %(default)s)"
    )
    add("--offer", choices=OFFERS, default=BY_SHARE, help=text)
    names = ", ".join((*MECHANISMS, NOISE))
    text = (
        f"where in the model the blend takes hold; repeatable; of {names} (default: what suits the checkpoint and "
        "the mode)"
    )
    add("--mechanism", action="append", metavar="NAME", help=text)
    text = (
        "setting of mechanism noise, which offers both styles openly and tunes the noise until each is followed "
        "where its share says; repeatable: target=latent|initial, pool=N, max_move=0.3, budget_seconds=S, "
        "window=0.8-1:steps=4:region=pitch|rest|whole:objective=attention|outcome (default: as here, whole, attention)"
    )
    add("--noise", action="append", metavar="NAME=VALUE", help=text)


def add_copying(group: argparse._ArgumentGroup) -> None:
    """Declare the flags that copy the prosody of a recording."""
    add = group.add_argument
    text = (
        "recording of the sentence whose durations, F0 and energy are copied; it is aligned by the model; --pitch-file "
        "comes before its F0"
    )
    add("--copy", metavar="WAV", help=text)
    text = "TextGrid of that recording, of ARPAbet phones, instead of the model"
    add("--copy-textgrid", metavar="FILE", help=text)
    add("--copy-tier", metavar="NAME", help="tier of its phones (default: found by its usual names)")
    text = "how much is copied, from 0, the styles' own prosody, to 1 (default: %(default)s)"
    add("--copy-weight", type=share_number, default=1.0, metavar="W", help=text)


# -- from flags to a job ----------------------------------------------------------------------------------------------


def job_of(
    args: argparse.Namespace, command: str | None = None, *, pipeline: GradTTSInterpPipeline | None = None
) -> Job:
    """Make a job of parsed flags; cheap checks come first, the checkpoint last.

    Args:
        args: Flags of :func:`gradtts_interp.cli.synthesize.add_arguments`.
        command: How it was started, for the record; as the shell did it if None.
        pipeline: What the flags name, where it is loaded already.

    Returns:
        The job; nothing is written yet.

    Raises:
        InputError: Flags contradict each other, or something they name cannot be used.
    """
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    if args.threads:
        torch.set_num_threads(args.threads)
    words, shifts = split_words(args.words)
    args = argparse.Namespace(**{**vars(args), "words": words})
    check_flags(args)
    lines = numbered(enumerate(args.text, 1)) if args.text else read_lines(args.file)
    share = share_of(args)
    said = {
        "offer": args.offer,
        "mechanisms": tuple(dict.fromkeys(args.mechanism)) if args.mechanism else None,
        "noise_tuning": parse_tuning(args.noise) if args.noise else None,
    }
    curve = None if args.pitch_file is None else read_pitch(args.pitch_file)
    out = Path(args.out)
    require_writable(out)
    pipeline = pipeline or load_pipeline(args)
    a, b = (None if choice is None else choice.load(pipeline) for choice in choices_of(args))
    sampler = {name: getattr(args, name) for name in ("guidance", "temperature", "length_scale")}
    job = Job(
        pipeline=pipeline,
        a=a,
        b=b,
        share=share,
        sampling=pipeline.sampling_options(args.timesteps, args.solver, **sampler, **said),
        seed=args.seed,
        pitch=PitchRequest(curve, shifts) if curve is not None or shifts else None,
        prosody=copied_recording(args, pipeline),
        prosody_weight=args.copy_weight,
        attention=MapOptions() if args.attention else False,
        lines=tuple(lines),
        out=out,
        batch_size=args.batch_size or (1 if pipeline.device.type == "cpu" else 8),
        plots=not args.no_plots,
        write_pitch=args.write_pitch,
        settings={
            "mode": mode_of(args),
            "pitch_from": (args.pitch_from or "a") if share is not None and share.region is not None else None,
            "checkpoint": str(checkpoint_of(args.checkpoint).resolve()),
            "vocoder": args.vocoder or type(pipeline.vocoder).__name__,
            "command": command or getattr(args, "command_line", None) or shlex.join(sys.argv),
        },
        **said,
    )
    require_parts(job)
    pipeline.accelerate(args.precision, compile_mode=args.compile)
    return job


def load_pipeline(args: argparse.Namespace) -> GradTTSInterpPipeline:
    """Load the checkpoint that flags name, with its vocoder, on its device.

    Args:
        args: Flags of :func:`add_checkpoint`.

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


def mode_of(args: argparse.Namespace) -> str:
    """The mode asked for, or what the other flags imply."""
    if args.mode is not None:
        return args.mode
    if choices_of(args)[1] is None:
        return "none"
    if args.curve is not None or args.words is not None:
        return "time"
    return "frequency" if args.bands is not None else "mix" if args.share is not None else "time"


def check_flags(args: argparse.Namespace) -> None:
    """Raise an error for flags that contradict each other.

    Args:
        args: Flags of :func:`gradtts_interp.cli.synthesize.add_arguments`; of ``words`` the shares alone.

    Raises:
        InputError: Two do; the message is that of the first row of the table that applies.
    """
    has_a, has_b = (choice is not None for choice in choices_of(args))
    mode, known = mode_of(args), (*MECHANISMS, NOISE)
    unknown = next((name for name in args.mechanism or () if name not in known), None)
    given = {name for name, value in vars(args).items() if value is not None}
    of_pitch = next((name for name in ("pitch_from", "harmonics", "pitch_width") if name in given), "")
    of_copy = next((name for name in ("copy_textgrid", "copy_tier") if name in given), "")
    pitch_flag, copy_flag = (f"--{name.replace('_', '-')}" for name in (of_pitch, of_copy))
    bands, copied, two = "bands" in given, "copy" in given, "it needs two styles; give -s2/--speaker2 or --reference2"
    require_none(
        {
            "-f/--file and --text: give one of them": bool(args.file) == bool(args.text),
            "-s/--speaker and --reference: both name style A; give one": {"speaker", "reference"} <= given,
            "-s2/--speaker2 and --reference2: both name style B; give one": {"speaker2", "reference2"} <= given,
            "style B without style A: give -s/--speaker or --reference as well": has_b and not has_a,
            "--emotion: it belongs to a speaker; give -s/--speaker as well": args.emotion and "speaker" not in given,
            "--emotion2: it belongs to a speaker; give -s2/--speaker2 as well": args.emotion2
            and "speaker2" not in given,
            f"--mode {mode}: {two}": mode != "none" and not has_b,
            "--mode none: it speaks style A alone; leave style B out": mode == "none" and has_b,
            "--weight: it belongs to --mode mix": "weight" in given and mode != "mix",
            "--curve: it belongs to --mode time": "curve" in given and mode != "time",
            "--words: it belongs to --mode time or mix": "words" in given and mode not in ("time", "mix"),
            f"--bands: {two}": bands and mode == "none",
            f"--share: {two}": "share" in given and mode == "none",
            "--share and --mode frequency: the pitch of one and the voice of the other is --share timbre=b or "
            "--share pitch=b; give --mode mix": "share" in given and mode == "frequency" and not bands,
            f"{pitch_flag}: it belongs to --mode frequency": of_pitch and mode != "frequency",
            f"{pitch_flag} and --bands: give one; bands in Hz have no pitch to follow": of_pitch and bands,
            f"{copy_flag}: it belongs to --copy": of_copy and not copied,
            "--copy: it says one sentence; give --text once": copied and (args.text is None or len(args.text) > 1),
            "--copy-tier: it belongs to --copy-textgrid": "copy_tier" in given and "copy_textgrid" not in given,
            "--copy and --length-scale: durations are the recording's; give a --copy-weight below 1, or one of them": (
                copied and args.length_scale != 1 and args.copy_weight == 1
            ),
            f"mechanism {unknown!r}: expected one of {', '.join(known)}": unknown is not None,
            "--mechanism: it needs two styles": args.mechanism and not has_b,
            "--noise: it needs two styles": args.noise and not has_b,
            "--offer open: it needs two styles": args.offer == OPEN and not has_b,
            "--attention: it shows who is read, so it needs two styles": args.attention and not has_b,
            "--attention: nothing to see without --mechanism attention": args.attention
            and args.mechanism
            and not {"attention", NOISE} & set(args.mechanism),
        }
    )


def share_of(args: argparse.Namespace) -> Share | None:
    """The share of B that flags describe.

    Args:
        args: Flags of :func:`add_speaking_arguments`.

    Returns:
        The share; None for a single style.

    Raises:
        InputError: The mode is unknown, a weight, share, curve, words or bands cannot be read, or ``--share`` does not
            go with the mode.
    """
    mode, base = mode_of(args), None
    if mode not in MODES:
        raise InputError(f"mode {mode!r}: expected one of {', '.join(MODES)}")
    if mode == "none":
        return None
    by_band = None if args.bands is None else _named("--bands", shares.parse_bands, args.bands)
    if mode == "frequency":
        pitch = shares.pitch(args.harmonics or 1, 1 if args.pitch_width is None else args.pitch_width)
        blend = by_band or (~pitch if args.pitch_from == "b" else pitch)
    else:
        if mode == "mix":
            usual = EVEN if args.share is None else 0.0
            base = _named("--weight", shares.constant, usual if args.weight is None else args.weight)
        elif args.curve is not None:
            base = _named("--curve", shares.parse_curve, args.curve)
        elif args.words is None:
            base = shares.ramp()
        timed = base if args.words is None else _named("--words", partial(shares.parse_words, base=base), args.words)
        assert timed is not None
        blend = timed if by_band is None else timed * by_band
    return blend if args.share is None else _named("--share", partial(shares.parse_dimensions, base=blend), args.share)


def _named(flag: str, read: Callable[[Any], Share], value: Any) -> Share:
    """Read the value of a flag; an error names the flag."""
    try:
        return read(value)
    except InputError as error:
        raise InputError(f"{flag}: {error}") from error


def split_words(text: str | None) -> tuple[str | None, dict[int | range, float]]:
    """Take the shifts of pitch out of ``--words``.

    Args:
        text: Such as ``"2-4:b,3:+2st"``; parts that end in ``st`` are shifts, all others are shares.

    Returns:
        The shares alone, None where there are none, and the semitones of words, counted from 0.

    Raises:
        InputError: A shift cannot be read, or a word is shifted twice.
    """
    kept: list[str] = []
    shifts: dict[int | range, float] = {}
    seen: set[int] = set()
    for part in [] if text is None else text.split(","):
        if not part.rstrip().lower().endswith("st"):
            kept.append(part)
            continue
        found = _SHIFT.fullmatch(part.lower())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if found is None or not 1 <= first <= last:
            raise InputError(f"--words: {part.strip()!r} is no shift of words; expected such as 3:+2st or 2-4:-1.5st")
        words = range(first - 1, last)
        if seen & set(words):
            raise InputError(f"--words: word {min(seen & set(words)) + 1} is shifted twice; expected each word once")
        seen |= set(words)
        shifts[words] = float(found[3])
    return ",".join(kept) or None, shifts


def copied_recording(args: argparse.Namespace, pipeline: GradTTSInterpPipeline) -> Style | None:
    """The recording that the flags name, aligned with the sentence; None where they name none."""
    if args.copy is None:
        return None
    # Here, since a job that copies nothing need not wait for what stimuli are drawn with.
    from gradtts_interp.stimuli.forced_alignment import align_recording

    return align_recording(pipeline, args.copy, args.text[0], textgrid=args.copy_textgrid, tier=args.copy_tier)


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
    if any(_LISTED.match(row) for _, row in spoken):
        spoken = [(n, _listed_text(f"{path}, line {n}", row)) for n, row in spoken]
        logger.info("%s is a filelist: its column of texts is spoken", path)
    return numbered(spoken)


def _listed_text(where: str, row: str) -> str:
    """The text of a row of a filelist or of LJSpeech's metadata (``id|text|normalised text``)."""
    fields = [field.strip() for field in row.split("|")]
    if not _LISTED.match(row) or len(fields) > 4 or not fields[1]:
        expected = "expected path|text|speaker in every line, as in the others, or one sentence per line in all"
        raise InputError(f"{where}: {row[:60]!r}; {expected}")
    normalised = len(fields) == 3 and fields[2] and not fields[2].isdigit() and not _AUDIO.search(fields[0])
    return fields[2] if normalised else fields[1]


def numbered(rows: Iterable[tuple[int, str]]) -> list[Sentence]:
    """Make sentences of lines, or of parts of lines.

    Args:
        rows: Number of each line, from 1, and its text; several sentences may have one number.

    Returns:
        The sentences, in their order.
    """
    return [{"line": number, "index": i, "text": text} for i, (number, text) in enumerate(rows)]


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
