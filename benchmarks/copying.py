"""How well a recording is aligned with its text, and how well its prosody is copied.

    python -m benchmarks.copying --corpus data/demo --cases 60

The recordings of one style with the highest numbers in a corpus are aligned by the model; their phone times are known,
since the teacher was told them. Then named speaker i modulo their number speaks sentence i with that prosody. F0 is
measured by Praat in the copy, and compared with what was read of the recording, by the library as it copies and by
Praat. A stopped run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import TaskItem, VoiceSetting, run_cases, status_of
from gradtts_interp.cli.main import report_errors
from gradtts_interp.corpus.manifest import load_entries
from gradtts_interp.evaluation.contours import energy_errors, f0_errors
from gradtts_interp.evaluation.run import Record
from gradtts_interp.evaluation.signal import Listener
from gradtts_interp.evaluation.time_alignment import align_frames
from gradtts_interp.stimuli import align_recording
from gradtts_interp.training.data import symbols_of

KIND = "grid"
GOOD_MS = 20.0
READ, PRAAT = "was read and asked for", "Praat reads of the recording"


class Cases:
    """Recordings, and the pipeline that aligns and copies them."""

    def __init__(self, setting: VoiceSetting) -> None:
        torch.set_grad_enabled(False)
        self.setting, self.pipeline = setting, setting.pipeline()
        self.listener = Listener(self.pipeline.model.settings.mel, tracker="praat")
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
        style = align_recording(self.pipeline, wav, entry["text"])
        rate_hz = self.pipeline.model.settings.mel.frame_rate_hz
        errors_ms = np.abs(np.cumsum(style.durations)[:-1] - exact) / rate_hz * 1000
        speaker = self.pipeline.speakers[job.index % len(self.pipeline.speakers)]
        speech = self.pipeline(
            entry["text"],
            self.pipeline.style(speaker=speaker),
            prosody=style,
            num_inference_steps=self.setting.steps,
            solver=self.setting.solver,
            seed=job.index,
        )
        copied = self.listener.hear(speech.audio, "copy").contour
        row = {"id": entry["id"], "text": entry["text"], "speaker": speaker, "errors_ms": errors_ms.tolist()}
        for name, contour in ((READ, style.contour), (PRAAT, self.listener.read(wav).contour)):
            assert contour is not None
            pair = align_frames(len(contour), len(copied)).read(contour, copied)
            row[name] = {**f0_errors(*pair), **energy_errors(*pair)}
        return [row], []


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
    for name in (READ, PRAAT):
        found = [row[name] for row in rows]
        rms, frames = (np.array([f[key] for f in found]) for key in ("f0_rms_cents", "n_f0"))
        lines.append(
            f"F0 against what {name}: {np.sqrt((rms**2 * frames).sum() / frames.sum()):.1f} cents RMS over all frames "
            f"that are voiced in both, median of a recording {np.median(rms):.1f}; coverage "
            f"{np.mean([f['coverage'] for f in found]):.0%}; energy correlation "
            f"{np.mean([f['energy_correlation'] for f in found]):.3f}"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure all cases and print what was found; return 1 when a case failed."""
    return status_of(run_cases("copying", __doc__, Cases, table, count=60, corpus="data/demo")[1])


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
