"""Words understood and opinion of a voice: held-out sentences, alone and blended, before two judges.

    python -m benchmarks.listening --checkpoint checkpts/demo --cases 200 --jobs 2

Sentence i is spoken by named speaker i modulo their number in an emotion drawn for it, and blended with another one:
as the prior's mean, in one style, ramping from one style to the other, and with the pitch of the first and the voice of
the second. With ``--corpus``, the recordings of held-out sentences and their copies through the vocoder are judged too.
A stopped run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import TaskItem, VoiceSetting, run_cases, status_of
from benchmarks.judges import OpinionScorer, WhisperListener
from gradtts_interp.audio import log_mel, read_audio
from gradtts_interp.cli.main import report_errors
from gradtts_interp.corpus.plan import held_out_texts, load_entries
from gradtts_interp.evaluation.intelligibility import plain_words, word_error_rate
from gradtts_interp.evaluation.run import Record
from gradtts_interp.evaluation.tables import interval_text, mean_with_interval, ratio_with_interval
from gradtts_interp.interpolation import shares
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.styles import Style

MEAN, ONE, RAMP, DUAL = "prior's mean", "one style", "ramp", "A's pitch, B's voice"
RECORDING, COPY = "recording", "recording, vocoder"
KINDS = (MEAN, ONE, RAMP, DUAL, RECORDING, COPY)


def case_of(index: int, texts: Sequence[str], pipeline: GradTTSInterpPipeline) -> tuple[str, Style, Style]:
    """Text and styles of a case: a sentence, and two speakers with an emotion drawn for each."""
    bank, draw = pipeline.bank, np.random.default_rng([2026, index])
    assert bank is not None
    speakers = bank.speakers
    first = index % len(speakers)
    second = (first + 1 + int(draw.integers(len(speakers) - 1))) % len(speakers)
    a, b = (bank.style(speakers[i], str(draw.choice(bank.emotions))) for i in (first, second))
    return texts[index % len(texts)], a, b


class Cases:
    """Sentences and styles, the pipeline that speaks them, and the judges."""

    def __init__(self, setting: VoiceSetting) -> None:
        torch.set_grad_enabled(False)
        self.setting = setting
        self.listener, self.opinion = WhisperListener(), OpinionScorer()
        self.pipeline = setting.pipeline()
        self.texts = held_out_texts()
        entries = load_entries(setting.corpus) if setting.corpus else []
        self.recordings = {entry["text"]: entry for entry in entries if entry["kind"] == "test"}

    def case(self, index: int) -> tuple[str, Style, Style]:
        """Text and styles of a case."""
        return case_of(index, self.texts, self.pipeline)

    def measure(self, job: TaskItem) -> tuple[list[dict[str, Any]], list[str]]:
        """Speak and judge a case."""
        text, a, b = self.case(job.index)
        usual = {"num_inference_steps": self.setting.steps, "solver": self.setting.solver, "seed": job.index}
        spoken = {
            MEAN: self.pipeline(text, a, **{**usual, "num_inference_steps": 0}),
            ONE: self.pipeline(text, a, **usual),
            RAMP: self.pipeline(text, a, b, share=shares.ramp(), **usual),
            DUAL: self.pipeline(text, a, b, share=shares.pitch(), **usual),
        }
        heard = {kind: speech.audio for kind, speech in spoken.items()} | self._recorded(text)
        rows = []
        for kind, audio in heard.items():
            row = self.judged(kind, text, audio)
            if kind in spoken:
                row["wav"] = str(Path(self.setting.out) / "wavs" / f"{job.index:03d}_{KINDS.index(kind)}.wav")
                spoken[kind].save(row["wav"])
            rows.append({**row, "a": a.name, "b": b.name})
        return rows, []

    def judged(self, kind: str, text: str, audio: np.ndarray) -> dict[str, Any]:
        """What the judges say of one piece of speech (N,)."""
        rate = self.pipeline.model.settings.mel.sample_rate_hz
        words, count = self.listener.transcribe(audio, rate), len(plain_words(text).split())
        errors = round(word_error_rate(text, words) * count)
        opinion = self.opinion.score(audio, rate)
        return {"kind": kind, "text": text, "heard": words, "opinion": opinion, "words": count, "errors": errors}

    def _recorded(self, text: str) -> dict[str, np.ndarray]:
        """The recording of a sentence and its copy, where there is one."""
        entry = self.recordings.get(text)
        if entry is None:
            return {}
        mel = self.pipeline.model.settings.mel
        audio = read_audio(Path(self.setting.corpus) / "wavs" / f"{entry['id']}.wav")
        return {RECORDING: audio.numpy(), COPY: self.pipeline.vocoder(log_mel(audio, mel), mel).numpy()}


def table(records: Sequence[Record]) -> str:
    """A line for each kind: word error rate, pooled over sentences, and opinion, with 95 % bootstrap intervals."""
    rows = [row for record in records for row in record.rows]
    lines = ["| | n | WER | opinion |", "|---|---|---|---|"]
    for kind in KINDS:
        found = [row for row in rows if row["kind"] == kind]
        if found:
            lines.append(f"| {kind} | {judgement(found)} |")
    return "\n".join(lines)


def judgement(rows: Sequence[dict[str, Any]]) -> str:
    """Number, word error rate and opinion of rows of :meth:`Cases.judged`, as cells of a table."""
    wrong = ratio_with_interval([row["errors"] for row in rows], [row["words"] for row in rows])
    rate = "{mean:.3f} [{low:.3f}, {high:.3f}]".format(**wrong)
    return f"{len(rows)} | {rate} | {interval_text(mean_with_interval([row['opinion'] for row in rows]))}"


def main() -> int:
    """Judge all cases and print the table; return 1 when a case failed."""
    return status_of(run_cases("listening", __doc__, Cases, table, count=200)[1])


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
