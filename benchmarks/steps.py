"""How many steps are enough: words, opinion, pitch and envelope of the same sentences at every number of steps.

    python -m benchmarks.steps --checkpoint checkpts/demo --cases 40 --jobs 2

Sentences and styles are those of :mod:`benchmarks.listening`. Each is spoken in one style, ramping to another, and with
the pitch of the first and the voice of the second, with equal durations and noise at all numbers of steps. The prior's
mean is the line of 0 steps, the last line is the exact sampler: Euler, 100 steps. A stopped run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import listening
from benchmarks.common import TaskItem, run_cases, status_of
from benchmarks.listening import DUAL, ONE, RAMP
from gradtts_interp.cli.main import report_errors
from gradtts_interp.config import MelConfig
from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.intelligibility import phone_error_rate, plain_phones
from gradtts_interp.evaluation.run import Record
from gradtts_interp.evaluation.signal import Listener, Signal
from gradtts_interp.evaluation.tables import interval_text, mean_with_interval, ratio_with_interval
from gradtts_interp.interpolation import shares
from gradtts_interp.sampling import OFFICIAL_SOLVER
from gradtts_interp.text.frontend import TextFrontend

STEPS = (0, 1, 2, 4, 8, 18, 100)
MEASURES = ("f0_control_error", "envelope_control_error", "f0_rms_to_a", "envelope_share")


class Cases(listening.Cases):
    """The cases of :mod:`benchmarks.listening`, at every number of steps."""

    def measure(self, job: TaskItem) -> tuple[list[dict[str, Any]], list[str]]:
        """Speak and judge a case."""
        text, a, b = self.case(job.index)
        ear, durations, rows = Listener(MelConfig()), None, []
        for steps in STEPS:
            options: dict[str, Any] = {"num_inference_steps": steps, "seed": job.index, "durations": durations}
            options["solver"] = self.setting.solver if 0 < steps < max(STEPS) else OFFICIAL_SOLVER
            ramp = self.pipeline(text, a, b, share=shares.ramp(), **options)
            options["durations"] = durations = [ramp.durations.tolist()]
            spoken = {ONE: self.pipeline(text, a, **options), RAMP: ramp}
            spoken[DUAL] = self.pipeline(text, a, b, share=shares.pitch(), **options)
            other = self.pipeline(text, b, **options)
            signals = {kind: ear.hear(speech.audio, kind) for kind, speech in {**spoken, "B": other}.items()}
            followed = metric_rows.following(*_cut(signals[ONE], signals["B"], signals[RAMP]), ramp.share.mean(0))
            kept = metric_rows.selective(*_cut(signals[ONE], signals["B"], signals[DUAL]))
            found = {**followed, **kept}
            for kind, speech in spoken.items():
                rows.append({"steps": steps, **self.judged(kind, text, speech.audio)})
            rows[-1].update({name: found[name] for name in MEASURES})
        return rows, []


def _cut(*signals: Signal) -> tuple[Signal, ...]:
    frames = min(signal.frames for signal in signals)
    return tuple(signal.cut(frames) for signal in signals)


def table(records: Sequence[Record]) -> str:
    """A line for each number of steps, all kinds together: means with 95 % bootstrap intervals."""
    rows = [row for record in records for row in record.rows]
    lines = ["| steps | n | WER | opinion | PER | " + " | ".join(MEASURES) + " |", "|---" * (5 + len(MEASURES)) + "|"]
    frontend = TextFrontend()
    for steps in STEPS:
        found = [row for row in rows if row["steps"] == steps]
        cells = [str(steps), listening.judgement(found), _phone_errors(found, frontend)]
        for name in MEASURES:
            values = [row[name] for row in found if row.get(name) is not None]
            cells.append(interval_text(mean_with_interval(values)) if values else "–")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _phone_errors(rows: Sequence[dict[str, Any]], frontend: TextFrontend) -> str:
    """Error rate between the phones of the texts and those of the words that were heard."""
    spoken, heard = ([plain_phones(frontend(row[name]).tokens) for row in rows] for name in ("text", "heard"))
    wrong = [phone_error_rate(a, b) * len(a) for a, b in zip(spoken, heard, strict=True)]
    return interval_text(ratio_with_interval(wrong, [len(a) for a in spoken]))


def main() -> int:
    """Judge all cases and print the table; return 1 when a case failed."""
    return status_of(run_cases("steps", __doc__, Cases, table, count=40, steps=max(STEPS))[1])


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
