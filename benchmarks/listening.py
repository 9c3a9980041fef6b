"""Words understood and opinion of a voice: held-out sentences, alone and blended, before two judges.

    python -m benchmarks.listening --checkpoint checkpts/demo --sentences 200 --jobs 2

Sentence i is spoken by named speaker i modulo their number in an emotion drawn for it, and blended with another one:
as the prior's mean, in one style, ramping from one style to the other, and with the pitch of the first and the voice of
the second. With ``--corpus``, the recordings of held-out sentences and their copies through the vocoder are judged too.
A stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import TaskItem, stamp
from gradtts_interp.audio import log_mel, read_audio
from gradtts_interp.cli.main import report_errors
from gradtts_interp.corpus.texts import held_out_texts
from gradtts_interp.evaluation.bootstrap import mean_with_interval
from gradtts_interp.evaluation.intelligibility import plain_words, word_error_rate
from gradtts_interp.evaluation.listening import OpinionScorer, WhisperListener
from gradtts_interp.evaluation.run import Record, RunFolder, Work, run_items
from gradtts_interp.interpolation import shares
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import SamplingOptions
from gradtts_interp.styles import Style
from gradtts_interp.training.data import load_entries

MEAN, ONE, RAMP, DUAL = "prior's mean", "one style", "ramp", "A's pitch, B's voice"
RECORDING, COPY = "recording", "recording, vocoder"
KINDS = (MEAN, ONE, RAMP, DUAL, RECORDING, COPY)
ROUNDS = 1000


@dataclass(frozen=True)
class Setting:
    """What decides the results.

    Attributes:
        checkpoint: Its folder.
        steps: Of the sampler.
        solver: The sampler.
        corpus: Folder of a corpus with held-out recordings; "" for none.
        out: Folder of the wavs.
    """

    checkpoint: str
    steps: int
    solver: str
    corpus: str
    out: str


class Cases:
    """Sentences and styles, the pipeline that speaks them, and the judges."""

    def __init__(self, setting: Setting) -> None:
        torch.set_grad_enabled(False)
        self.setting = setting
        self.listener, self.opinion = WhisperListener(), OpinionScorer()
        self.pipeline = GradTTSInterpPipeline.from_pretrained(setting.checkpoint)
        self.pipeline.set_progress_bar_config(disable=True)
        self.texts = held_out_texts()
        entries = load_entries(setting.corpus) if setting.corpus else []
        self.recordings = {entry["text"]: entry for entry in entries if entry["kind"] == "test"}

    def case(self, index: int) -> tuple[str, Style, Style]:
        """Text and styles of a case."""
        bank, draw = self.pipeline.bank, np.random.default_rng([2026, index])
        assert bank is not None
        speakers = bank.speakers
        first = index % len(speakers)
        second = (first + 1 + int(draw.integers(len(speakers) - 1))) % len(speakers)
        a, b = (bank.style(speakers[i], str(draw.choice(bank.emotions))) for i in (first, second))
        return self.texts[index % len(self.texts)], a, b

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
        rate = self.pipeline.model.settings.mel.sample_rate_hz
        heard = {kind: speech.audio for kind, speech in spoken.items()} | self._recorded(text)
        rows = []
        for kind, audio in heard.items():
            words = self.listener.transcribe(audio, rate)
            row = {"kind": kind, "text": text, "heard": words, "opinion": self.opinion.score(audio, rate)}
            row["words"] = len(plain_words(text).split())
            row["errors"] = round(word_error_rate([text], [words]) * row["words"])
            if kind in spoken:
                row["wav"] = str(Path(self.setting.out) / "wavs" / f"{job.index:03d}_{KINDS.index(kind)}.wav")
                spoken[kind].save(row["wav"])
            rows.append({**row, "a": a.name, "b": b.name})
        return rows, []

    def _recorded(self, text: str) -> dict[str, np.ndarray]:
        """The recording of a sentence and its copy, where there is one."""
        entry = self.recordings.get(text)
        if entry is None:
            return {}
        audio, mel = (
            read_audio(Path(self.setting.corpus) / "wavs" / f"{entry['id']}.wav"),
            self.pipeline.model.settings.mel,
        )
        return {RECORDING: audio.numpy(), COPY: self.pipeline.vocoder(log_mel(audio, mel), mel).numpy()}


def table(records: Sequence[Record]) -> str:
    """A line for each kind: word error rate, pooled over sentences, and opinion, with 95 % bootstrap intervals."""
    rows = [row for record in records for row in record.rows]
    lines = ["| | n | WER | opinion |", "|---|---|---|---|"]
    for kind in KINDS:
        found = [row for row in rows if row["kind"] == kind]
        if not found:
            continue
        counts = np.array([(row["errors"], row["words"]) for row in found], dtype=np.float64)
        low, high = _interval(counts, lambda c: c[:, 0].sum() / c[:, 1].sum())
        rate, liked = counts[:, 0].sum() / counts[:, 1].sum(), mean_with_interval([row["opinion"] for row in found])
        lines.append(f"| {kind} | {len(found)} | {rate:.3f} [{low:.3f}, {high:.3f}] | {liked.text()} |")
    return "\n".join(lines)


def _interval(rows: np.ndarray, figure: Callable[[np.ndarray], float]) -> tuple[float, float]:
    """95 % bootstrap interval of a figure over rows."""
    draw = np.random.default_rng(0)
    values = [figure(rows[draw.integers(len(rows), size=len(rows))]) for _ in range(ROUNDS)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def main() -> int:
    """Judge all cases and print the table; return 1 when a case failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="checkpts/demo", help="checkpoint folder")
    parser.add_argument("--corpus", default="", help="corpus folder, whose held-out recordings are judged too")
    parser.add_argument("--out", default="out/listening", help="folder of the run: a file for each case, and the wavs")
    parser.add_argument("--sentences", type=int, default=200, help="held-out sentences")
    parser.add_argument("--steps", type=int, default=SamplingOptions.steps, help="sampler steps")
    parser.add_argument("--solver", default=SamplingOptions.solver, help="sampler")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    args = parser.parse_args()
    setting = Setting(args.checkpoint, args.steps, args.solver, args.corpus, args.out)
    work = Work(functools.partial(Cases, setting), Cases.measure)
    with RunFolder(args.out, asdict(setting)) as folder:
        items = [TaskItem("listening", i) for i in range(args.sentences)]
        records = run_items(items, work, folder, jobs=args.jobs, name="listening")
    print(table(records))
    print(f"\n{', '.join(stamp().values())}; {args.solver}, {args.steps} steps; Whisper base, DistillMOS")
    return int(any(record.error for record in records))


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
