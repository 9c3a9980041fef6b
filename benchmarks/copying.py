"""How well a recording is aligned with its text, and how well its prosody is copied.

    python -m benchmarks.copying --corpus data/demo --cases 60

The recordings of one style with the highest numbers in a corpus are aligned by the model; their phone times and F0 are
known, since the teacher was told them. Then named speaker i modulo their number speaks sentence i with that prosody,
and once more on those durations with an F0 of his own, which WORLD replaces by the recording's. F0 is
measured by Praat. A stopped run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import TaskItem, VoiceSetting, run_cases, status_of
from gradtts_interp.cli.main import report_errors
from gradtts_interp.corpus.plan import load_entries
from gradtts_interp.evaluation.contours import energy_errors, f0_errors, on_same_frames
from gradtts_interp.evaluation.run import Record
from gradtts_interp.evaluation.signal import Listener
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.pitch.world import world_swap
from gradtts_interp.stimuli import align_recording
from gradtts_interp.training.data import symbols_of

KIND = "grid"
GOOD_MS = 20.0
COPY, WORLD = "copy, from what was asked for", "copy by WORLD, from the same"
ASKED, PRAAT = "what was asked for, from what the teacher was told", "what Praat reads of the recording, from the same"
FROM_PRAAT = "copy, from what Praat reads of the recording"
RMS = ("f0_rms_cents", "f0_rms_octaves_apart_cents")
COMPARISONS = (COPY, WORLD, FROM_PRAAT, ASKED, PRAAT)


class Cases:
    """Recordings, and the pipeline that aligns and copies them."""

    def __init__(self, setting: VoiceSetting) -> None:
        torch.set_grad_enabled(False)
        self.setting, self.pipeline = setting, setting.pipeline()
        self.mel = self.pipeline.model.settings.mel
        self.listener = Listener(self.mel, tracker="praat")
        entries = [entry for entry in load_entries(setting.corpus) if entry["kind"] == KIND]
        said = self.pipeline.frontend
        entries = [e for e in entries if said(e["text"]).tokens == symbols_of(e["tokens"])]
        self.entries = sorted(entries, key=lambda e: e["id"])[-setting.cases :]

    def measure(self, job: TaskItem) -> tuple[list[dict[str, Any]], list[str]]:
        """Align and copy a recording."""
        entry, corpus = self.entries[job.index], Path(self.setting.corpus)
        wav = corpus / "wavs" / f"{entry['id']}.wav"
        with np.load(corpus / "features" / f"{entry['id']}.npz") as features:
            exact = np.cumsum(features["durations"])[:-1]
            told = Contour(features["f0_hz"], features["voiced"] > 0, features["energy_db"], self.mel.frame_rate_hz)
        style = align_recording(self.pipeline, wav, entry["text"])
        assert style.contour is not None
        errors_ms = np.abs(np.cumsum(style.durations)[:-1] - exact) / self.mel.frame_rate_hz * 1000
        speaker = self.pipeline.speakers[job.index % len(self.pipeline.speakers)]
        speak = partial(
            self.pipeline,
            entry["text"],
            self.pipeline.style(speaker=speaker),
            num_inference_steps=self.setting.steps,
            solver=self.setting.solver,
            seed=job.index,
        )
        speech = speak(prosody=style)
        plain = self.listener.hear(speak(durations=[speech.durations.tolist()]).audio, "on the recording's durations")
        swapped = world_swap(plain.audio, *on_same_frames(plain.contour, style.contour), self.mel)
        asked, praat = style.contour, self.listener.read(wav).contour
        copied, by_world = (self.listener.hear(audio, "copy").contour for audio in (speech.audio, swapped))
        pairs = ((asked, copied), (asked, by_world), (praat, copied), (told, asked), (told, praat))
        row = {"id": entry["id"], "text": entry["text"], "speaker": speaker, "errors_ms": errors_ms.tolist()}
        row |= {name: f0_errors(*on_same_frames(*pair)) for name, pair in zip(COMPARISONS, pairs, strict=True)}
        return [{**row, **energy_errors(*on_same_frames(asked, copied))}], []


def table(records: Sequence[Record]) -> str:
    """What was found, in lines of text."""
    rows = [row for record in records for row in record.rows]
    errors = np.concatenate([row["errors_ms"] for row in rows])
    medians = [float(np.median(row["errors_ms"])) for row in rows]
    lines = [
        f"{len(rows)} recordings, {len(errors)} edges of phones: error median {np.median(errors):.1f} ms, mean "
        f"{errors.mean():.1f} ms; {(errors <= GOOD_MS).mean():.1%} within {GOOD_MS:g} ms; largest median of a "
        f"recording {max(medians):.1f} ms"
    ]
    correlation = np.mean([row["energy_correlation"] for row in rows])
    lines.append(f"correlation of the copy's energy with the recording's: {correlation:.3f}")
    columns = ("F0, cents RMS", "all frames", "without octaves", "median recording", "octaves", "coverage")
    lines += ["", "| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for name in COMPARISONS:
        found = {key: np.array([row[name][key] for row in rows]) for key in (*RMS, "n_f0", "octave", "coverage")}
        weights = (found["n_f0"], found["n_f0"] * (1 - found["octave"]))
        rms, near = (np.sqrt(np.average(found[k] ** 2, weights=w)) for k, w in zip(RMS, weights, strict=True))
        octaves = np.average(found["octave"], weights=found["n_f0"])
        lines.append(
            f"| {name} | {rms:.0f} | {near:.0f} | {np.median(found[RMS[0]]):.0f} | {octaves:.2%} | "
            f"{found['coverage'].mean():.0%} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure all cases and print what was found; return 1 when a case failed."""
    return status_of(run_cases("copying", __doc__, Cases, table, count=60, corpus="data/demo")[1])


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
