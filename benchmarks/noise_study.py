"""When the noise decides, and what each way of tuning it brings: the study of ``docs/concepts/noise.rst``.

    python -m benchmarks.noise_study --checkpoint checkpts/demo --cases 16 --jobs 2

Cases are those of :mod:`benchmarks.noise`. First, over untuned draws of a pair: does the attention at a diffusion time
tell whose pitch and whose voice will be heard? Then each way of tuning, for A, for B, for A first and B second, and for
A's pitch with B's voice.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import TaskItem, run_cases, status_of
from benchmarks.noise import PARTS, WISHES, Cases, rows_of, shares_of, write_list
from gradtts_interp.cli.main import report_errors
from gradtts_interp.evaluation.run import Record
from gradtts_interp.interpolation.attention import AttentionMaps, MapOptions
from gradtts_interp.interpolation.noise import NoiseTuning, NoiseWindow
from gradtts_interp.sampling import CONVERGED_STEPS

DRAWS = 4
INTERVALS = 10


def _followed(**others: Any) -> tuple[NoiseWindow, ...]:
    return (NoiseWindow(**{"t_from": 0.8, "t_to": 1.0, **others}),)


WAYS: dict[str, NoiseTuning] = {
    "default: 4 steps in (0.8, 1]": NoiseTuning(),
    "(0.9, 1]": NoiseTuning(windows=_followed(t_from=0.9)),
    "(0.6, 1]": NoiseTuning(windows=_followed(t_from=0.6)),
    "2 steps": NoiseTuning(windows=_followed(steps=2)),
    "8 steps": NoiseTuning(windows=_followed(steps=8)),
    "half as long steps": NoiseTuning(windows=_followed(learning_rate=0.015)),
    "steps of 0.05": NoiseTuning(windows=_followed(learning_rate=0.05)),
    "pitch keys alone": NoiseTuning(windows=_followed(region="pitch")),
    "by the outcome": NoiseTuning(windows=_followed(objective="outcome")),
    "initial noise": NoiseTuning(target="initial"),
    "best of 4, then 4 steps": NoiseTuning(pool=4),
    "best of 4, no gradient": NoiseTuning(pool=4, windows=_followed(steps=0)),
}


class StudyCases(Cases):
    """The same cases, rendered in more ways."""

    def measure(self, job: TaskItem) -> tuple[list[dict[str, Any]], list[str]]:
        """Render and measure a case."""
        text, a, b = self.case(job.index)
        options = {"num_inference_steps": self.setting.steps, "solver": self.setting.solver, "offer": "open"}
        first = self.pipeline(text, a, b, seed=0, **options)
        durations = [first.durations.tolist()]
        alone = [self.pipeline(text, s, seed=0, durations=durations, **{**options, "offer": "share"}) for s in (a, b)]
        ends = [self.listener.hear(speech.audio, "alone") for speech in alone]
        rows = []
        for seed in range(DRAWS):
            speech = self.pipeline(
                text, a, b, seed=seed, durations=durations, output_attention=MapOptions(time_bins=INTERVALS), **options
            )
            assert speech.attention_maps is not None
            rows.append(
                {
                    "way": "untuned",
                    "mass": _mass_of_b(speech.attention_maps),
                    **shares_of(ends, self.listener.hear(speech.audio, "draw")),
                }
            )
        begun = time.perf_counter()
        self.pipeline(text, a, b, seed=0, durations=durations, **options)
        plain = time.perf_counter() - begun
        for way, tuning in WAYS.items():
            for name, wish in WISHES.items():
                begun = time.perf_counter()
                speech = self.pipeline(
                    text, a, b, seed=0, durations=durations, share=wish.share, noise_tuning=tuning, **options
                )
                seconds = time.perf_counter() - begun
                path = Path(self.setting.out) / "wavs" / f"{job.index:02d}_{len(rows):02d}.wav"
                speech.save(path)
                row = {"way": way, "wish": name, "cost": seconds / plain, "wav": str(path), "text": text}
                rows.append({**row, **shares_of(ends, self.listener.hear(speech.audio, "draw"))})
        return rows, []


def _mass_of_b(maps: AttentionMaps) -> list[float]:
    """Attention mass of B minus that of A in each interval of diffusion time, mean over sites and phonemes."""
    found = []
    for site, planes in maps.planes.items():
        vectors = maps.vectors[site].astype(np.float64).sum(-1)  # intervals, heads, phonemes, styles
        mass = [planes[i].astype(np.float64).sum((-1, -2)) + vectors[..., i] for i in (0, 1)]
        found.append((mass[1] - mass[0]).mean((1, 2)))
    return np.mean(found, axis=0).tolist()


def table(records: Sequence[Record]) -> str:
    """Both parts of the study, in lines of text."""
    cases = [rows_of(record) for record in records]
    draws = [[row for row in rows if row["way"] == "untuned"] for rows in cases]
    lines = ["correlation, within pairs, of attention's lean to B with the share of B that is heard:"]
    for i in range(INTERVALS):
        if not any(r["mass"][i] for d in draws for r in d):
            continue  # the solver has no evaluation there
        high = 1 - i / INTERVALS
        parts = [
            f"{name} {_within([[r['mass'][i] for r in d] for d in draws], [[r[key] for r in d] for d in draws]):.2f}"
            for name, key in zip(PARTS, ("pitch", "envelope"), strict=True)
        ]
        lines.append(f"  t in ({high - 1 / INTERVALS:.1f}, {high:.1f}]: {', '.join(parts)}")
    for way in WAYS:
        of = defaultdict(list)
        for row in chain.from_iterable(cases):
            if row["way"] == way and np.isfinite([row["pitch"], row["envelope"]]).all():
                of[row["wish"]].append(row)
        parts = [
            f"{name}: "
            + ", ".join(f"{p} {np.mean([wish.is_met(r)[i] for r in of[name]]):.2f}" for i, p in enumerate(PARTS))
            for name, wish in WISHES.items()
        ]
        cost = np.mean([r["cost"] for found in of.values() for r in found])
        lines.append(f"{way}: {'; '.join(parts)}; cost {cost:.2f}")
    return "\n".join(lines)


def _within(x: Sequence[Sequence[float]], y: Sequence[Sequence[float]]) -> float:
    """Correlation of two quantities (cases, draws) after each case's own mean is taken off."""
    a, b = (np.asarray(v, dtype=np.float64) for v in (x, y))
    known = np.isfinite(a).all(1) & np.isfinite(b).all(1)
    a, b = (v[known] - v[known].mean(1, keepdims=True) for v in (a, b))
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def main() -> int:
    """Measure all cases, print the tables, and write a list of wavs for each way; return 1 when a case failed."""
    given = {"count": 16, "checkpoint": "checkpts/demo", "steps": CONVERGED_STEPS}
    setting, records = run_cases("noise_study", __doc__, StudyCases, table, **given)
    for i, way in enumerate(WAYS):
        write_list(Path(setting.out) / f"{i}.list", records, way=way)
    return status_of(records)


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
