"""How equal the steps of equalised continua are.

    python -m benchmarks.continua --cases 10

Case i is held-out sentence i, from named speaker i modulo their number to another one, both in styles drawn for it, as
in :mod:`benchmarks.listening`. For each kind of continuum, 11 steps are equalised as ``gradtts-interp continuum
--equalise`` does. Then each step is rendered and measured once more, at the share that was found. A stopped run goes on
where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.common import TaskItem, VoiceSetting, run_cases, status_of
from benchmarks.listening import case_of
from gradtts_interp.cli.main import report_errors
from gradtts_interp.corpus.plan import held_out_texts
from gradtts_interp.evaluation.run import Record
from gradtts_interp.stimuli import make_continuum

STEPS, LIMIT = 11, 0.03
KINDS = (("all", "f0"), ("all", "envelope"), ("pitch", "f0"), ("timbre", "envelope"))
"""What moves, and what is equalised."""


class Cases:
    """Sentences and styles, and the pipeline that speaks them."""

    def __init__(self, setting: VoiceSetting) -> None:
        torch.set_grad_enabled(False)
        self.setting, self.pipeline, self.texts = setting, setting.pipeline(), held_out_texts()

    def measure(self, job: TaskItem) -> tuple[list[dict[str, Any]], list[str]]:
        """Make all continua of a case."""
        text, a, b = case_of(job.index, self.texts, self.pipeline)
        options: dict[str, Any] = {"num_inference_steps": self.setting.steps, "solver": self.setting.solver}
        rows = []
        for of, measure in KINDS:
            found = make_continuum(
                self.pipeline, text, a, b, steps=STEPS, of=of, equalise=measure, seed=job.index, **options
            )
            realised = np.array([step.measure(measure) for step in found.steps])
            errors = realised - np.linspace(realised[0], realised[-1], STEPS)
            row = {"of": of, "equalise": measure, "a": a.name, "b": b.name, "text": text}
            shares = [step.share for step in found.steps]
            rows.append({**row, "shares": shares, "realised": realised.tolist(), "errors": errors.tolist()})
        return rows, []


def table(records: Sequence[Record]) -> str:
    """A line for each kind of continuum: distances from equal spacing, and how many continua keep the limit."""
    rows = [row for record in records for row in record.rows]
    head = ("--of", "--equalise", "continua", f"within {LIMIT:g}", "largest", "95th percentile")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for of, measure in KINDS:
        errors = np.abs([row["errors"] for row in rows if (row["of"], row["equalise"]) == (of, measure)])
        kept, inner = int((errors.max(1) <= LIMIT).sum()), errors[:, 1:-1]  # the ends are equal by definition
        figures = f"{errors.max():.3f} | {np.percentile(inner, 95):.3f}"
        lines.append(f"| {of} | {measure} | {len(errors)} | {kept} | {figures} |")
    return "\n".join(lines)


def main() -> int:
    """Make all continua and print the table; return 1 when a case failed."""
    return status_of(run_cases("continua", __doc__, Cases, table, count=10)[1])


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
