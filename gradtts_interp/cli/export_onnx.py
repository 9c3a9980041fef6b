"""``gradtts-interp export-onnx``: the networks of a checkpoint as ONNX files."""

from __future__ import annotations

import argparse

from gradtts_interp.cli.job_flags import checkpoint_of
from gradtts_interp.pipeline import GradTTSInterpPipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("-c", "--checkpoint", help="folder of a checkpoint; None is checkpts/demo")
    parser.add_argument("--out", default="out/onnx", help="folder to write to")


def run(args: argparse.Namespace) -> int:
    """Export, check, and print the differences.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status 0.
    """
    from gradtts_interp.onnx_export import export_onnx

    tts = GradTTSInterpPipeline.from_pretrained(checkpoint_of(args))
    for name, error in export_onnx(tts, args.out).items():
        print(f"{args.out}/{name}.onnx: differs from torch by at most {error:.1e}")
    return 0
