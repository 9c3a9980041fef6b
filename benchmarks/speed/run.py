"""How fast it is: each figure that is asked for, beside plain networks of Matcha-TTS's and Grad-TTS's sizes.

    python -m benchmarks.speed.run                # within 12 minutes on 2 idle cores
    python -m benchmarks.speed.run --quick --out out/speed

Wall-clock time of the named work alone on a loaded pipeline (but for the cold start), the median of repetitions after
a warm-up that reads the styles; on a GPU the clock waits for the device. Prints the table, and writes it to
``benchmarks/RESULTS.md`` and ``.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import stamp
from benchmarks.speed import figures
from benchmarks.speed.figures import Figure, Voice
from gradtts_interp.cli.main import report_errors
from gradtts_interp.files import atomic_path
from gradtts_interp.models.precision import bf16_is_fast

RUNS, QUICK_RUNS = 7, 1
PARTS: tuple[Callable[[Voice], list[Figure]], ...] = (
    figures.text_to_speech,
    figures.batch,
    figures.cold_start,
    figures.first_sound,
    figures.mass,
    figures.precision,
    figures.compiling,
    figures.training,
    figures.gpu,
    figures.tuning,
)


def main() -> int:
    """Measure all figures and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="checkpts/demo", help="checkpoint folder")
    parser.add_argument("--out", default="benchmarks/RESULTS", help="results, without suffix")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="CPU threads")
    parser.add_argument("--quick", action="store_true", help="a rehearsal without repetitions; figures mean little")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    begun = time.perf_counter()
    found: list[Figure] = []
    about: dict[str, Any] = {**stamp(), "machine": _machine(args.threads), "rehearsal": args.quick}
    about["load before"] = round(os.getloadavg()[0], 1)
    voice = Voice.load(args.checkpoint, runs=QUICK_RUNS if args.quick else RUNS)
    for part in PARTS:
        found += part(voice)
        about["seconds"] = round(time.perf_counter() - begun)
        print(f"{part.__name__}: {about['seconds']} s", flush=True)
        _write(Path(args.out), found, about)
    print(f"\n{table(found)}")
    return 0


def _write(out: Path, found: list[Figure], about: dict[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps({**about, "figures": rows(found)}, indent=1) + "\n")
    with atomic_path(out.with_suffix(".md")) as temporary:
        temporary.write_text(page(table(found), about))


def rows(found: list[Figure]) -> list[dict[str, Any]]:
    """Figures as plain values."""
    values = ({"what": f.what, "value": f.value, "asked": f.asked, "answer": f.answer} for f in found)
    return [{**value, "beside": f.beside} for value, f in zip(values, found, strict=True)]


def table(found: list[Figure]) -> str:
    """Figures as a Markdown table."""
    lines = ["| figure | measured | asked | answer | beside it |", "| --- | --- | --- | --- | --- |"]
    for f in found:
        value = "" if f.value is None else f"{f.value:.3g}"
        lines.append(f"| {f.what} | {value} | {f.asked} | {f.answer} | {f.beside} |")
    return "\n".join(lines)


def page(text: str, about: dict[str, Any]) -> str:
    """The table with how it was made."""
    made = "a rehearsal without repetitions: figures mean little" if about["rehearsal"] else f"median of {RUNS}"
    lines = [
        "# How fast it is",
        "",
        f"Written by `make benchmark` (`python -m benchmarks.speed.run`), {made}. RTF is seconds of work over seconds "
        "of speech, of a loaded pipeline that has read its two styles. The neighbours' networks are plain "
        "re-implementations at published sizes with random weights, without their text encoders and vocoders.",
        "",
        text,
        "",
        f"{about['date']}, commit {about['commit']}, {about['machine']}, load before {about['load before']}, "
        f"{about['seconds']} s.",
    ]
    return "\n".join(lines) + "\n"


def _machine(threads: int) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    name = next(names, platform.machine())
    if torch.cuda.is_available():
        name = f"{torch.cuda.get_device_name()} (GPU), {name}"
    units = "with" if bf16_is_fast(torch.device("cpu")) else "without"
    return f"{name} {units} units for bf16, {threads} threads, {os.cpu_count()} cores, torch {torch.__version__}"


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
