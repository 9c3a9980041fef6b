"""``gradtts-interp continuum``: a sentence in measured steps from style A to style B, and experiments with them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from gradtts_interp.cli.flags import (
    add_checkpoint,
    add_sampler,
    add_styles,
    choices_of,
    load_pipeline,
    require_writable,
)
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.metric_rows import morph_measures
from gradtts_interp.stimuli.continuum import CONTINUA, EQUALISED, Continuum, make_continuum
from gradtts_interp.stimuli.experiments import EXPERIMENTS, TASKS, write_experiment
from gradtts_interp.stimuli.folder import save_continuum


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    what = parser.add_argument_group("what to say, and in which styles")
    what.add_argument("--text", required=True, metavar="TEXT", help="a sentence, plain or SSML")
    add_styles(what)
    steps = parser.add_argument_group("steps")
    steps.add_argument("--steps", type=int, default=11, metavar="N", help="with both ends (default: %(default)s)")
    steps.add_argument(
        "--of",
        choices=tuple(CONTINUA),
        default="all",
        help="what moves from A to B: all; pitch, timbre, energy or rate alone, the rest is A's; time: B begins "
        "earlier and earlier; frequency: B above an edge that goes down (default: %(default)s)",
    )
    steps.add_argument(
        "--equalise",
        choices=EQUALISED,
        help="put the steps at equal distances of what is realised: in F0, in the envelope, or in the mean of both "
        "(default: equal distances of what is asked for)",
    )
    sounds = parser.add_argument_group("sounds")
    sounds.add_argument("--loudness", type=float, metavar="LUFS", help="bring each file to it, such as -23 (BS.1770)")
    sounds.add_argument("--equal-length", action="store_true", help="fill shorter files up with silence at their end")
    add_sampler(sounds)
    add_checkpoint(sounds)
    tests = parser.add_argument_group("experiments")
    tests.add_argument(
        "--experiment", action="append", choices=tuple(EXPERIMENTS), help="write an experiment that runs; repeatable"
    )
    tests.add_argument("--task", choices=TASKS, default=TASKS[0], help="what listeners do (default: %(default)s)")
    tests.add_argument(
        "--labels", nargs=2, default=("A", "B"), metavar=("A", "B"), help="what A and B are called (default: A B)"
    )
    tests.add_argument("--repeats", type=int, default=5, metavar="N", help="of each trial (default: %(default)s)")
    tests.add_argument("--question", metavar="TEXT", help="what listeners are asked (default: a usual one of the task)")
    parser.add_argument("--out", default="out/stimuli", metavar="FOLDER", help="where to write (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Render, measure and write; exit status 0.

    Args:
        args: Parsed flags of :func:`add_arguments`.

    Returns:
        Exit status.

    Raises:
        InputError: A style is missing, or something named by the flags cannot be used.
    """
    for first, second, name in (("speaker", "reference", "A"), ("speaker2", "reference2", "B")):
        if (getattr(args, first) is None) == (getattr(args, second) is None):
            raise InputError(f"style {name}: give one of --{first} and --{second}")
    out = Path(args.out)
    require_writable(out)
    tts = load_pipeline(args)
    tts.set_progress_bar_config(disable=True)
    a, b = (choice.load(tts) for choice in choices_of(args) if choice is not None)
    with tqdm(desc="renderings", unit="rendering", disable=None, file=sys.stderr) as bar:
        continuum = make_continuum(
            tts,
            args.text,
            a,
            b,
            steps=args.steps,
            of=args.of,
            equalise=args.equalise,
            seed=args.seed,
            progress=lambda *_: bar.update(),
            num_inference_steps=args.timesteps,
            solver=args.solver,
        )
    table = save_continuum(continuum, out, loudness=args.loudness, equal_length=args.equal_length)
    _print(continuum, table)
    for kind in dict.fromkeys(args.experiment or ()):
        options = {"task": args.task, "labels": args.labels, "repeats": args.repeats, "question": args.question}
        print(f"{kind}: {write_experiment(kind, out, **options)}")
    return 0


def _print(continuum: Continuum, table: Path) -> None:
    names = ("f0", "envelope", "energy", "rate")
    print("step  asked  " + "  ".join(f"{name:>8}" for name in names))
    for i, step in enumerate(continuum.steps):
        cells = ("-" if step.realised[name] is None else f"{step.realised[name]:.3f}" for name in names)
        print(f"{i:4d}  {step.share:.3f}  " + "  ".join(f"{cell:>8}" for cell in cells))
    if continuum.error is not None:
        print(f"largest distance of {continuum.equalised} from equal steps: {continuum.error:.4f}")
    if len(continuum.steps) > 2 and continuum.of != "rate":
        signals = [step.signal for step in continuum.steps]
        found = morph_measures(signals, *continuum.poles)
        print(", ".join(f"{name} {value:.3f}" for name, value in found.items()))
    print(f"table: {table}")
