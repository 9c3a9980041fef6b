"""How fast it is: solvers, steps, attention, noise tuning, vocoder, training, sentences, and a profile.

    python -m benchmarks.speed.run                 # all parts, within 20 minutes on 2 cores
    python -m benchmarks.speed.run --part a --part e --quick

Timed is wall-clock time of the named work alone, without loading; warm-up runs are not counted; on a GPU the clock
waits for the device. Prints tables, and writes ``benchmarks/RESULTS.md`` and ``.json`` after each part. A part that
has results of the same commit, machine and checkpoint is not run again, so that a run that was stopped goes on;
``--again`` runs it all the same. Parts that were not asked for keep what they had.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import stamp
from benchmarks.speed import networks, parts
from benchmarks.speed.profile import evaluation
from benchmarks.speed.ratios import ratios
from benchmarks.speed.setup import SpeedSetup
from benchmarks.speed.solvers import solvers
from gradtts_interp.cli.main import report_errors
from gradtts_interp.files import atomic_path
from gradtts_interp.models.precision import bf16_is_fast

PARTS: dict[str, tuple[str, Callable[[SpeedSetup], list[dict[str, Any]]]]] = {
    "a": ("Solvers", solvers),
    "b": ("One evaluation of the score", parts.steps),
    "c": ("Recording attention", networks.attention),
    "d": ("Noise tuning", networks.tuning),
    "e": ("Vocoder", parts.vocoder),
    "f": ("Training", networks.training),
    "g": ("Text to waveform", parts.sentences),
    "h": ("Profile of one evaluation", evaluation),
}


def main() -> int:
    """Run the chosen parts and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=sorted(PARTS), help="only these (repeatable)")
    parser.add_argument("--checkpoint", default="checkpts/demo", help="checkpoint folder")
    parser.add_argument("--out", default="benchmarks/RESULTS", help="results, without suffix")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="CPU threads")
    parser.add_argument("--quick", action="store_true", help="a rehearsal: few repetitions, figures mean little")
    parser.add_argument("--again", action="store_true", help="repeat parts that have results of this commit")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    out = Path(args.out)
    known = json.loads(out.with_suffix(".json").read_text()) if out.with_suffix(".json").exists() else {}
    setup = SpeedSetup.load(args.checkpoint, quick=args.quick)
    of = {**_circumstances(args), "commit": stamp()["commit"]}
    print("; ".join(f"{name}: {value}" for name, value in of.items()), flush=True)
    for name in args.part or sorted(PARTS):
        title, part = PARTS[name]
        if not args.again and all(known.get(name, {}).get(key) == value for key, value in of.items()):
            print(f"({name}) {title}: measured already; --again repeats it", flush=True)
            continue
        load, start = round(os.getloadavg()[0], 1), time.perf_counter()
        rows = part(setup)
        took = round(time.perf_counter() - start)
        about = {"title": title, "what": (part.__doc__ or "").strip(), **stamp(), **of}
        known[name] = {**about, "load before": load, "benchmark seconds": took, "rows": rows}
        print(f"\n({name}) {title}, {took} s\n{table(rows)}", flush=True)
        _write(out, known)
    print(f"\n{table(ratios(known))}\n\n{out}.md")
    return 0


def _circumstances(args: argparse.Namespace) -> dict[str, Any]:
    device = torch.cuda.get_device_name() + " (GPU)" if torch.cuda.is_available() else _cpu_name()
    machine = f"{device}, bf16 by {_bf16_units()}, {args.threads} threads, {os.cpu_count()} cores, "
    weights = Path(args.checkpoint) / "model" / "model.safetensors"
    checkpoint = hashlib.sha256(weights.read_bytes()).hexdigest()[:8] if weights.exists() else ""
    return {
        "machine": machine + f"torch {torch.__version__}",
        "checkpoint": f"{args.checkpoint} {checkpoint}".strip(),
        "quick": args.quick,
    }


def _bf16_units() -> str:
    if torch.cuda.is_available():
        return "the GPU" if bf16_is_fast(torch.device("cuda")) else "nothing"
    units = {"AMX": "_is_amx_tile_supported", "AVX512-BF16": "_is_avx512_bf16_supported"}
    return next((name for name, probe in units.items() if getattr(torch.cpu, probe, bool)()), "nothing")


def _cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    heads = list(dict.fromkeys(key for row in rows for key in row))
    body = [[("" if row.get(head) is None else str(row[head])) for head in heads] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [heads, ["---"] * len(heads), *body])


def _write(out: Path, known: dict[str, Any]) -> None:
    ordered = {name: known[name] for name in sorted(known)}
    with atomic_path(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(ordered, indent=1) + "\n")
    lines = [
        "# How fast it is",
        "",
        "Written by `make benchmark` (`python -m benchmarks.speed.run`). Wall-clock time of the named work alone, "
        "after a warm-up; loading is not counted. GPU figures: unmeasured unless a part names a GPU as its machine.",
        "",
        "## Ratios asked for: met, or not and what limits it",
        "",
        table(ratios(known)),
    ]
    for name, part in ordered.items():
        lines += ["", f"## ({name}) {part['title']}", "", part["what"], "", table(part["rows"]), ""]
        note = f"{part['date']}, commit {part['commit']}, {part['checkpoint']}, {part['machine']}, "
        note += f"load before {part['load before']}, "
        lines.append(note + f"{part['benchmark seconds']} s" + (", a rehearsal" if part["quick"] else "") + ".")
    with atomic_path(out.with_suffix(".md")) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
