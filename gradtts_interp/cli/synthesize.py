"""The main job: speak sentences while moving from one style to another, and write what was heard and measured."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

import torch

from gradtts_interp.cli import flags
from gradtts_interp.cli.job_flags import job_of
from gradtts_interp.cli.rendering import Outcome, render_lines
from gradtts_interp.interpolation.mechanisms import BY_SHARE, MECHANISMS, OFFERS
from gradtts_interp.interpolation.noise import NOISE
from gradtts_interp.models.precision import COMPILE_MODES, PRECISIONS
from gradtts_interp.sampling import SamplingOptions

PITCH_FORMATS = ("csv", "PitchTier", "npy", "npz")
USAGE = "%(prog)s -f FILE [-s A -s2 B] [options]; --help lists them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the main job on a parser."""
    add_speaking_arguments(parser)
    flags.add_copying(parser.add_argument_group("a recording whose prosody is copied"))
    _add_files(parser.add_argument_group("what is written of each sentence"))


def add_speaking_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of all that speaks: text, styles, blend, sampling, output."""
    parser.usage = USAGE
    add = parser.add_argument_group("what to say").add_argument
    add("-f", "--file", metavar="FILE", help="text file, UTF-8, one sentence per line; # starts a comment")
    add("--text", action="append", metavar="TEXT", help="a sentence, instead of a file; repeatable")
    flags.add_styles(parser.add_argument_group("styles"))
    _add_blend(parser.add_argument_group("how to move from A to B"))
    _add_sampling(parser.add_argument_group("sampling"))
    flags.add_checkpoint(parser.add_argument_group("model"))
    _add_output(parser.add_argument_group("output and machine"))


def _add_blend(group: argparse._ArgumentGroup) -> None:
    flags.add_blend_arguments(group)
    add = group.add_argument
    add(
        "--pitch-file",
        metavar="FILE",
        help="F0 of every sentence, in place of the style's own: .csv with time_s and f0_hz, or semitones against the "
        "style; Praat's .PitchTier; .npy or .npz",
    )
    add(
        "--offer",
        choices=OFFERS,
        default=BY_SHARE,
        help="share: each style speaks where its share says; open: both are offered alike and the noise decides "
        "(default: %(default)s)",
    )
    names = ", ".join((*MECHANISMS, NOISE))
    add(
        "--mechanism",
        action="append",
        metavar="NAME",
        help=f"where in the model the blend takes hold; repeatable; of {names} (default: what suits the checkpoint and "
        "the mode)",
    )
    add(
        "--noise",
        action="append",
        metavar="NAME=VALUE",
        help="setting of mechanism noise, which offers both styles openly and tunes the noise until each is followed "
        "where its share says; repeatable: target=latent|initial, pool=N, max_move=0.3, budget_seconds=S, "
        "window=0.8-1:steps=4:region=pitch|rest|whole:objective=attention|outcome (default: as here, whole, attention)",
    )


def _add_sampling(group: argparse._ArgumentGroup) -> None:
    flags.add_sampler(group)
    add, usual = group.add_argument, SamplingOptions
    text = "strength of classifier-free guidance towards the styles; 0 is off (default: %(default)s)"
    add("--guidance", type=flags.not_negative, default=usual.guidance, metavar="G", help=text)
    text = "divides the initial noise, above 0 (default: the checkpoint's own, 1.5 for official ones)"
    add("--temperature", type=flags.positive, metavar="X", help=text)
    text = "factor on durations; above 1 is slower (default: %(default)s)"
    add("--length-scale", type=flags.positive, default=usual.length_scale, metavar="X", help=text)


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
    add("--threads", type=flags.count, metavar="N", help="CPU threads (default: torch's choice)")
    add("--json", action="store_true", help="print a machine-readable summary instead of a table")


def _add_files(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--write-pitch", choices=PITCH_FORMATS, help="also write the realised F0, such as sample_0.csv")
    add("--batch-size", type=flags.count, metavar="N", help="sentences rendered at once (default: 1 on a CPU, else 8)")
    text = (
        "render each sentence from so many noises, of seeds in a row, into sample_0_draw_0.wav and so on, and show "
        "whose pitch each has (default: %(default)s)"
    )
    add("--draws", type=flags.count, default=1, metavar="N", help=text)
    text = "no .png, and no plain A and B to compare with: three times as fast"
    add("--no-plots", action="store_true", help=text)
    text = (
        "record attention: one more panel, sample_0_attention.npz with mass and maps, and pictures of where in the "
        "references each phoneme looks"
    )
    add("--attention", action="store_true", help=text)


def run(args: argparse.Namespace) -> int:
    """Do the main job.

    Args:
        args: Parsed flags of :func:`add_arguments`.

    Returns:
        Exit status: 0 when each sentence was rendered, 1 when some were not.

    Raises:
        InputError: Nothing could be started; the message says why.
    """
    if args.threads:
        torch.set_num_threads(args.threads)
    job = job_of(args, getattr(args, "command_line", None) or shlex.join(sys.argv))
    outcomes = [outcome for draw in job.drawn(args.draws) for outcome in render_lines(draw)]
    failed = sum("error" in outcome for outcome in outcomes)
    if args.json:
        summary = {"rendered": len(outcomes) - failed, "failed": failed, "device": str(job.pipeline.device)}
        summary["sentences"] = outcomes
        print(json.dumps(summary, indent=1, ensure_ascii=False))
    else:
        _print_table(outcomes)
        _print_draws(outcomes)
    return 1 if failed else 0


def _print_table(outcomes: list[Outcome]) -> None:
    rows = [("file", "seconds", "RTF", "F0 first third -> last (Hz)", "path")]
    for outcome in outcomes:
        if "error" not in outcome:
            ends = [outcome["f0"]["thirds_median_hz"][i] for i in (0, 2)]
            moved = " -> ".join("unvoiced" if hz is None else f"{hz:.0f}" for hz in ends)
            seconds, rtf = (f"{outcome[name]:.2f}" for name in ("seconds", "rtf"))
            wav = outcome["files"]["wav"]
            rows.append((Path(wav).name, seconds, rtf, moved, wav))
    if len(rows) > 1:
        print(flags.aligned(rows))


def _print_draws(outcomes: list[Outcome]) -> None:
    """How the draws of each sentence fell, where the pitch of A and B alone is known."""
    drawn: dict[int, list[float]] = {}
    for outcome in outcomes:
        share = outcome.get("realised_blend", {}).get("whole")
        if share is not None and share["value"] is not None:
            drawn.setdefault(outcome["index"], []).append(share["value"])
    for number, shares in drawn.items():
        if len(shares) > 1:
            b = sum(share > 0.5 for share in shares)
            each = " ".join(f"{share:.2f}" for share in sorted(shares))
            print(f"sample_{number}: pitch of A in {len(shares) - b} draws, of B in {b}; shares of B: {each}")
