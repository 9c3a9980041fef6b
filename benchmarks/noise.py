"""Whether the noise decides: what styles that are offered openly become, and what tuning the noise makes of them.

    python -m benchmarks.noise --checkpoint checkpts/demo --cases 40 --jobs 2

A case is a held-out sentence and two styles of the checkpoint whose F0 is at least four semitones apart. All of its
renders have the same durations, so that pitch and envelope are compared frame by frame with those of A and B alone.
Prints the table of ``docs/concepts/noise.rst``, and leaves the wavs in lists that ``listen.py`` reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import TaskItem, VoiceSetting, run_cases, status_of
from gradtts_interp.cli.main import report_errors
from gradtts_interp.corpus.plan import held_out_texts
from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.blend import measured
from gradtts_interp.evaluation.contours import level_semitones
from gradtts_interp.evaluation.run import Record
from gradtts_interp.evaluation.signal import Listener, Signal
from gradtts_interp.files import write_text
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.noise import NoiseTuning
from gradtts_interp.interpolation.shares import Share
from gradtts_interp.sampling import CONVERGED_STEPS
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style

LEAST_SEMITONES = 4.0
FREE_DRAWS = 4
UNDECIDED = (0.2, 0.8)
FREE = "open"
PARTS = ("pitch", "voice")


@dataclass(frozen=True)
class Wish:
    """What an open offer is tuned to.

    Attributes:
        share: As a share of B.
        is_met: Whether a row of measurements has the pitch and the voice wished for: nearer to that style than to the
            other.
        has_control: Whether the same is rendered by its share, since words and opinion of one style alone are no
            measure of a blend.
    """

    share: Share
    is_met: Callable[[dict[str, Any]], tuple[bool, bool]]
    has_control: bool = False


WISHES = {
    "A": Wish(shares.constant(0.0), lambda r: (r["pitch"] < 0.5, r["envelope"] < 0.5)),
    "B": Wish(shares.constant(1.0), lambda r: (r["pitch"] > 0.5, r["envelope"] > 0.5)),
    "A, then B": Wish(
        shares.step(0.5),
        lambda r: (
            r["pitch first"] < 0.5 < r["pitch second"],
            r["envelope first"] < 0.5 < r["envelope second"],
        ),
        has_control=True,
    ),
    "A's pitch, B's voice": Wish(shares.pitch(), lambda r: (r["pitch"] < 0.5, r["envelope"] > 0.5), has_control=True),
}
TUNED = {f"tuned to {name}": wish for name, wish in WISHES.items()}
BY_SHARE = {f"{name} by share": wish for name, wish in WISHES.items() if wish.has_control}


class Cases:
    """Sentences and pairs of styles, and the pipeline that speaks them."""

    def __init__(self, setting: VoiceSetting) -> None:
        self.setting = setting
        self.pipeline = setting.pipeline()
        bank = self.pipeline.bank
        assert bank is not None
        self.styles = [bank.styles[key] for key in sorted(bank.styles)]
        self.texts = held_out_texts()
        self.listener = Listener(self.pipeline.model.settings.mel)

    def case(self, index: int) -> tuple[str, Style, Style]:
        """Text and styles of a case."""
        draw = np.random.default_rng([2026, index])
        text = self.texts[int(draw.integers(len(self.texts)))]
        while True:
            a, b = (self.styles[int(i)] for i in draw.choice(len(self.styles), 2, replace=False))
            if a.speaker != b.speaker and abs(level_semitones(a.contour, b.contour)) >= LEAST_SEMITONES:
                return text, a, b

    def measure(self, job: TaskItem) -> tuple[list[dict[str, Any]], list[str]]:
        """Render and measure a case."""
        text, a, b = self.case(job.index)
        options = {"num_inference_steps": self.setting.steps, "solver": self.setting.solver}
        renders: list[tuple[str, int, Speech, float]] = []

        def speak(name: str, seed: int, *styles: Style, **others: Any) -> Speech:
            begun = time.perf_counter()
            speech = self.pipeline(text, *styles, seed=seed, **options, **others)
            renders.append((name, seed, speech, time.perf_counter() - begun))
            return speech

        free = speak(FREE, 0, a, b, offer="open")
        durations = [free.durations.tolist()]
        for seed in range(1, FREE_DRAWS):
            speak(FREE, seed, a, b, offer="open", durations=durations)
        for name, wish in TUNED.items():
            speak(name, 0, a, b, offer="open", durations=durations, share=wish.share, noise_tuning=NoiseTuning())
        for name, wish in BY_SHARE.items():
            speak(name, 0, a, b, durations=durations, share=wish.share)
        alone = [self.pipeline(text, style, seed=0, durations=durations, **options) for style in (a, b)]
        ends = [self.listener.hear(speech.audio, "alone") for speech in alone]
        rows = []
        for name, seed, speech, seconds in renders:
            path = Path(self.setting.out) / "wavs" / f"{job.index:02d}_{'_'.join(name.split())}_{seed}.wav"
            speech.save(path)
            row = {"kind": name, "seed": seed, "seconds": round(seconds / speech.seconds, 4), "wav": str(path)}
            rows.append(
                {
                    **row,
                    "text": text,
                    "a": a.name,
                    "b": b.name,
                    **shares_of(ends, self.listener.hear(speech.audio, name)),
                }
            )
        return rows, []


def shares_of(ends: Sequence[Signal], heard: Signal) -> dict[str, float]:
    """Share of B in pitch and envelope, whole and by halves."""
    realised = metric_rows.realised_shares(*ends, heard)
    half = heard.frames // 2
    parts = {"": slice(None), " first": slice(half), " second": slice(half, None)}
    names = {"pitch": "f0", "envelope": "envelope"}
    found = {f"{n}{part}": measured(realised[k][frames]) for n, k in names.items() for part, frames in parts.items()}
    return {name: float(shares.mean()) if shares.size else float("nan") for name, shares in found.items()}


def rows_of(record: Record) -> list[dict[str, Any]]:
    """What was measured of a case; NaN where nothing could be."""
    return [{k: np.nan if v is None else v for k, v in row.items()} for row in record.rows]


def write_list(path: Path, records: Sequence[Record], **wanted: str) -> None:
    """Write the wavs and texts of some rows as ``listen.py`` reads them."""
    rows = [row for record in records for row in record.rows if all(row.get(k) == v for k, v in wanted.items())]
    write_text(path, "".join(f"{row['wav']}|{row['text']}\n" for row in rows))


def table(records: Sequence[Record]) -> str:
    """What became of the open offers, in lines of text."""
    rows = [row for record in records for row in rows_of(record)]
    of = {name: [r for r in rows if r["kind"] == name] for name in (FREE, *TUNED, *BY_SHARE)}
    free = np.array([r["pitch"] for r in of[FREE]])
    free = free[np.isfinite(free)]
    plain = float(np.mean([r["seconds"] for r in of[FREE]]))
    low, high = UNDECIDED
    parts = [(free < low).mean(), (free > high).mean(), ((free >= low) & (free <= high)).mean(), (free < 0.5).mean()]
    lines = [
        "open, untuned: {} draws; share of B in pitch below {:g} {:.0%}, above {:g} {:.0%}, between {:.0%}; below 0.5 "
        "{:.0%}".format(len(free), low, parts[0], high, *parts[1:]),
        f"envelope: share of B {np.nanmean([r['envelope'] for r in of[FREE]]):.2f}",
    ]
    for name, wish in (TUNED | BY_SHARE).items():
        found, untuned = ([wish.is_met(r) for r in of[kind] if _is_measured(r)] for kind in (name, FREE))
        cost = float(np.mean([r["seconds"] for r in of[name]])) / plain
        parts = [f"{what} {_part(found, i):.0%} (untuned {_part(untuned, i):.0%})" for i, what in enumerate(PARTS)]
        both = np.mean([all(f) for f in found])
        lines.append(f"{name}: {len(found)} cases; {', '.join(parts)}, both {both:.0%}; cost {cost:.2f} of plain")
    return "\n".join(lines)


def _is_measured(row: dict[str, Any]) -> bool:
    return bool(np.isfinite([row[name] for name in ("pitch first", "pitch second", "envelope")]).all())


def _part(found: Sequence[tuple[bool, bool]], part: int) -> float:
    return float(np.mean([f[part] for f in found]))


def main() -> int:
    """Measure all cases, print the table, and write the lists of wavs; return 1 when a case failed."""
    given = {"count": 40, "checkpoint": "checkpts/demo", "steps": CONVERGED_STEPS}
    setting, records = run_cases("noise", __doc__, Cases, table, **given)
    for name in (FREE, *TUNED, *BY_SHARE):
        write_list(Path(setting.out) / f"{'_'.join(name.split())}.list", records, kind=name)
    return status_of(records)


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
