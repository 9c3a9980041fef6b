"""``gradtts-interp synthesize-corpus``: a manifest of sentences on many workers, each output made exactly once."""

from __future__ import annotations

import argparse
from pathlib import Path

from gradtts_interp.cli.job_flags import checkpoint_of
from gradtts_interp.models.precision import PRECISIONS
from gradtts_interp.scale import Settings, synthesize_manifest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("manifest", help="JSON lines: id, text, and optionally speaker, speaker2, weight, seed")
    parser.add_argument("-c", "--checkpoint", help="folder of a checkpoint; None is checkpts/demo")
    parser.add_argument(
        "--out", default="out/corpus", help="folder to write to; what is in it already is not made again"
    )
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    parser.add_argument("--gpus-per-worker", type=float, default=0, help="part of a GPU that each worker takes")
    parser.add_argument("--cpus-per-worker", type=float, default=1, help="CPUs that each worker takes")
    parser.add_argument("--batch-size", type=int, default=1, help="sentences rendered at once")
    parser.add_argument("-t", "--timesteps", type=int, help="steps of the sampler; None is the default sampler's")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="arithmetic of the networks")
    parser.add_argument("--address", help="Ray cluster to join, such as auto; None starts one here")


def run(args: argparse.Namespace) -> int:
    """Synthesise what is not there yet.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status: 0 when all are there, 1 when some failed.
    """
    settings = Settings(
        checkpoint=str(checkpoint_of(args).resolve()),
        out=str(Path(args.out).resolve()),
        steps=args.timesteps,
        precision=args.precision,
        batch_size=args.batch_size,
        workers=args.workers,
        gpus=args.gpus_per_worker,
        cpus=args.cpus_per_worker,
        address=args.address,
    )
    summary = synthesize_manifest(Path(args.manifest), settings)
    print(f"{summary['made']} made, {summary['there']} were there, {summary['failed']} failed; in {settings.out}")
    return 1 if summary["failed"] else 0
