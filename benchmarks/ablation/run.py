"""Ablation of the training mix: arms trained equally, scored by the same functions as the shipped model.

    python -m benchmarks.ablation.run --corpus data/demo --body checkpts/demo

All arms begin from one trained text encoder and U-Net with fresh style encoder and style attention, see the same
number of equal batches, and are scored on the same held-out references. Writes ``RESULTS.json`` and ``RESULTS.md``;
a stopped run goes on: training within an arm, scoring with the next item.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.ablation.arms import ARMS, Arm, ArmMixer, model_of
from benchmarks.common import TaskItem, stamp
from benchmarks.quality.context import QualityContext, Setting
from benchmarks.quality.report import column
from gradtts_interp.cli.main import report_errors
from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.bootstrap import mean_with_interval
from gradtts_interp.evaluation.contours import f0_spread, level_semitones
from gradtts_interp.evaluation.run import RunFolder, Work, run_items
from gradtts_interp.files import atomic_path
from gradtts_interp.interpolation import shares
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.styles import Style
from gradtts_interp.training.data import Corpus, load_items
from gradtts_interp.training.export import averaged_model
from gradtts_interp.training.loop import TrainConfig, Trainer
from gradtts_interp.training.start import model_from_checkpoint

WEIGHTS = tuple(float(weight) for weight in np.linspace(0, 1, 11))


@dataclass(frozen=True)
class Size:
    """How large the ablation is; the same for all arms.

    Attributes:
        steps: Optimiser steps of an arm.
        batch_size: Items in a batch.
        crop_frames: Target frames of a crop.
        reference_frames: Frames of a reference.
        references: Held-out references to follow.
        pairs: Pairs of references for dual references.
        sweeps: Pairs for sweeps over 11 weights.
    """

    steps: int = 300
    batch_size: int = 8
    crop_frames: int = 64
    reference_frames: int = 96
    references: int = 12
    pairs: int = 8
    sweeps: int = 3


class ArmContext(QualityContext):
    """What the quality benchmark shares, with an arm's model in it.

    Args:
        setting: Body and corpus.
        run: Folder of the arm's training.
        arm: The arm.
    """

    def __init__(self, setting: Setting, run: Path, arm: Arm) -> None:
        super().__init__(setting)
        model, self.trained = averaged_model(run)
        self.tts = GradTTSInterpPipeline(model, self.tts.vocoder, self.tts.frontend)
        self.tts.set_progress_bar_config(disable=True)
        self.arm = arm

    def mechanisms(self, *names: str) -> tuple[str, ...]:
        """Mechanisms that the arm has."""
        return tuple(n for n in names if n != "prosody" or self.arm.prosody)


def following(context: ArmContext, index: int) -> dict[str, Any]:
    """F0 of a render against its reference."""
    style = context.style(context.unseen[index])
    speech = context.render(context.sentence(index), style)
    error = abs(level_semitones(style.contour, speech.contour))
    return {"F0 error to the reference (semitones)": error, "F0 spread (log)": f0_spread(speech.contour)}


def dual(context: ArmContext, index: int) -> dict[str, Any]:
    """A's pitch, B's voice."""
    a, b, text, given, plain = _pair(context, index)
    chosen = context.mechanisms("prosody", "attention")
    blend = context.signal(context.render(text, a, b, share=shares.pitch(), mechanisms=chosen, **given))
    return {
        "dual: F0 error to A (semitones)": abs(level_semitones(a.contour, blend.contour)),
        "dual: F0 error to B (semitones)": abs(level_semitones(b.contour, blend.contour)),
        "dual: envelope share of B": metric_rows.mean_shares(*plain, blend)["envelope_share"],
    }


def sweep(context: ArmContext, index: int) -> dict[str, Any]:
    """Realised share over 11 weights."""
    a, b, text, given, plain = _pair(context, index)
    chosen = context.mechanisms("prior", "prosody", "attention")
    found = {}
    for weight in WEIGHTS:
        blend = context.render(text, a, b, share=shares.constant(weight), mechanisms=chosen, **given)
        found[weight] = metric_rows.mean_shares(*plain, context.signal(blend))
    row: dict[str, Any] = {}
    for name, key in (("F0", "f0"), ("envelope", "envelope")):
        points = {weight: point[f"{key}_share"] for weight, point in found.items()}
        curve = metric_rows.sweep(key, points)
        row[f"{name} curve"] = list(points.values())
        row[f"sweep: {name} Spearman"] = curve.get(f"{key}_monotonicity")
        row[f"sweep: {name} R2"] = curve.get(f"{key}_linearity")
    row["sweep: F0 distance of A and B (semitones)"] = abs(level_semitones(plain[0].contour, plain[1].contour))
    return row


def _pair(context: ArmContext, index: int) -> tuple[Style, Style, str, dict, list]:
    a, b = (context.style(entry) for entry in context.pairs[index])
    text = context.sentence(index)
    given = {"durations": [context.render(text, a).durations.tolist()]}
    return a, b, text, given, [context.signal(context.render(text, style, **given)) for style in (a, b)]


SCORES = {"following": following, "dual": dual, "sweep": sweep}


def measure(context: ArmContext, job: TaskItem) -> tuple[list[dict], list[str]]:
    """Rows of one job."""
    return [{"condition": context.arm.name, "item": job.id, **SCORES[job.task](context, job.index)}], []


def main() -> int:
    """Train and score the arms; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="corpus folder")
    parser.add_argument("--body", default="checkpts/demo", help="checkpoint whose text encoder and U-Net all arms get")
    parser.add_argument("--runs", default="runs/ablation", help="folder of the trainings and scores")
    parser.add_argument("--out", default="benchmarks/ablation/RESULTS", help="results, without suffix")
    parser.add_argument("--arm", action="append", choices=[a.name for a in ARMS], help="only these (repeatable)")
    for name, value in asdict(Size()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    size = Size(**{name: getattr(args, name) for name in asdict(Size())})
    setting, runs, out = Setting(args.body, args.corpus), Path(args.runs), Path(args.out)
    results = json.loads(out.with_suffix(".json").read_text()) if out.with_suffix(".json").exists() else {}
    for arm in ARMS:
        if args.arm and arm.name not in args.arm:
            continue
        run = runs / arm.name.replace("+ ", "").replace(" ", "-")
        seconds = train(arm, size, setting, run)
        results[arm.name] = score(arm, size, setting, run, seconds)
        write_results(out, results)
    return 0


def train(arm: Arm, size: Size, setting: Setting, run: Path) -> float:
    """Train an arm to its end, or go on with it; return the seconds of stepping."""
    mix = arm.mix(size.crop_frames, size.reference_frames)
    config = TrainConfig(
        batch_size=size.batch_size,
        steps=size.steps,
        warmup_steps=min(20, size.steps),
        ema_decay=0.98,
        save_every_seconds=60,
        validate_every=10**9,
        sample_every=0,
        mix=mix,
    )
    items = _items(setting.corpus)
    mixer = ArmMixer(Corpus(items, minimum_frames=size.crop_frames), arm, mix)
    with torch.enable_grad():
        trainer = Trainer(model_of(arm, model_from_checkpoint(setting.checkpoint)), mixer, config, run)
        trainer.train()
    if trainer.stopped_by:
        raise KeyboardInterrupt
    return trainer.progress.seconds


@functools.lru_cache(maxsize=1)
def _items(corpus: str) -> list:
    return load_items(corpus, ("train",))


def score(arm: Arm, size: Size, setting: Setting, run: Path, seconds: float) -> dict[str, Any]:
    """Score an arm on held-out references."""
    counts = {"following": size.references, "dual": size.pairs, "sweep": size.sweeps}
    jobs = [TaskItem(task, i) for task, count in counts.items() for i in range(count)]
    settings = {**setting.to_dict(), "size": asdict(size), "arm": asdict(arm)}
    begun = time.monotonic()
    with RunFolder(run / "scores", settings) as folder:
        records = run_items(
            jobs, Work(functools.partial(ArmContext, setting, run, arm), measure), folder, name=arm.name
        )
    torch.set_grad_enabled(True)
    return {
        "rows": [row for record in records for row in record.rows],
        "size": asdict(size),
        "training seconds": round(seconds, 1),
        "scoring seconds": round(time.monotonic() - begun, 1),
        **stamp(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} thread",
        "weights": settings["weights"],
    }


def write_results(out: Path, results: dict[str, Any]) -> None:
    """Write both files."""
    ordered = {arm.name: results[arm.name] for arm in ARMS if arm.name in results}
    with atomic_path(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(ordered, indent=1) + "\n")
    with atomic_path(out.with_suffix(".md")) as temporary:
        temporary.write_text(page(ordered))


def page(results: dict[str, Any]) -> str:
    """Tables of an ablation."""
    some = next(iter(results.values()))
    size = some["size"]
    lines = [
        "# Ablation of the training mix",
        "",
        "Made by `python -m benchmarks.ablation.run`. **Small and equally short trainings**: each arm "
        f"{size['steps']} steps of batch {size['batch_size']}, crops of {size['crop_frames']} frames, from the same "
        f"text encoder and U-Net (weights {some['weights']}) with fresh parts for styles. The "
        "figures compare the arms; they say nothing about what a long training reaches. Means with 95 % bootstrap "
        "intervals over held-out references; all arms are scored with masked dual references.",
        "",
        _table(results),
        "Realised share of F0 (cents) at weights 0, 0.1, … 1, mean over pairs:",
        "",
        _curves(results, "F0 curve"),
        "Realised share of the envelope:",
        "",
        _curves(results, "envelope curve"),
    ]
    made = [f"{name}: {r['training seconds']:.0f} s of training, {r['date']}" for name, r in results.items()]
    return "\n".join([*lines, "; ".join(made) + f". Commit {some['commit']}, {some['machine']}.", ""])


def _table(results: dict[str, Any]) -> str:
    names = [n for n in dict.fromkeys(k for r in results.values() for row in r["rows"] for k in row)]
    names = [n for n in names if n not in ("condition", "item") and not n.endswith("curve")]
    lines = ["| arm | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for arm, result in results.items():
        found = [column(result["rows"], name) for name in names]
        cells = [mean_with_interval(list(v)).text() if v.size else "not measurable" for v in found]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _curves(results: dict[str, Any], name: str) -> str:
    lines = ["| arm | " + " | ".join(f"{w:.1f}" for w in WEIGHTS) + " |", "|---" * (len(WEIGHTS) + 1) + "|"]
    for arm, result in results.items():
        curves = np.array([row[name] for row in result["rows"] if name in row], dtype=np.float64)
        means = [f"{v:.2f}" if np.isfinite(v) else "-" for v in _means(curves)]
        lines.append(f"| {arm} | " + " | ".join(means) + " |")
    return "\n".join(lines) + "\n"


def _means(curves: np.ndarray) -> np.ndarray:
    """Mean over pairs of what could be measured, (11,)."""
    counted = np.isfinite(curves).sum(0)
    total = np.where(np.isfinite(curves), curves, 0).sum(0)
    return np.where(counted > 0, total / np.maximum(counted, 1), np.nan)


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
