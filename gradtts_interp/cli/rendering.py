"""Render a job's sentences in batches, measure them, and write their files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from gradtts_interp.cli.outputs import Take, write_outputs
from gradtts_interp.errors import InputError
from gradtts_interp.job import Job, Sentence
from gradtts_interp.sampling import SamplingOptions, length_batches
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style
from gradtts_interp.text.ssml import tokenize_line

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "failed to allocate")

COMPARISON = SamplingOptions()
"""How plain A and B are solved beside a blend of more steps: only contours are taken from them."""


@dataclass(frozen=True)
class Outcome:
    """The result of one sentence.

    Attributes:
        line: The sentence.
        report: What its json says; None when it failed.
        files: Files that were written, by kind.
        error: Why it failed, else None.
    """

    line: Sentence
    report: dict[str, Any] | None
    files: dict[str, Path]
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for the summary of a run."""
        answer: dict[str, Any] = {"line": self.line.number, "index": self.line.index, "text": self.line.text}
        if self.report is None:
            return answer | {"error": self.error}
        chosen = {name: self.report[name] for name in ("seconds", "rtf", "f0", "realised_blend")}
        return answer | chosen | {"files": {kind: str(path) for kind, path in self.files.items()}}


def render_lines(job: Job) -> list[Outcome]:
    """Render all sentences of a job. One that fails is reported on stderr and does not stop the others.

    Args:
        job: The job.

    Returns:
        The result of each sentence, in order.
    """
    outcomes: dict[int, Outcome] = {}
    with tqdm(total=len(job.lines), desc="sentences", unit="sentence", disable=None, file=sys.stderr) as bar:
        ready, tokens = [], []
        for line in job.lines:
            try:
                tokens.append(len(tokenize_line(job.pipeline.frontend, line.text)[0].ids))
                ready.append(line)
            except InputError as error:
                outcomes[line.index] = failed(line, str(error))
                bar.update()
        for batch in length_batches(tokens, job.batch_size):
            for outcome in _render_batch(job, [ready[i] for i in batch]):
                outcomes[outcome.line.index] = outcome
                bar.update()
    return [outcomes[line.index] for line in job.lines]


def _render_batch(job: Job, lines: Sequence[Sentence]) -> Iterator[Outcome]:
    """Render some sentences at once, or one by one where that fails, so that only the bad one fails."""
    takes, problem = try_to_speak(job, lines)
    if problem is None:
        for line, take in zip(lines, takes, strict=True):
            yield _write(job, line, take)
    elif len(lines) == 1:
        yield failed(lines[0], problem)
    else:
        for line in lines:
            yield from _render_batch(job, [line])


def try_to_speak(job: Job, lines: Sequence[Sentence]) -> tuple[list[Take], str | None]:
    """Render some sentences at once, or say why not.

    Args:
        job: The job.
        lines: One batch.

    Returns:
        A take of each sentence, and None; or nothing, and the reason. What an error held is freed on the way out.
    """
    try:
        return speak(job, [line.text for line in lines]), None
    except InputError as error:
        return [], str(error)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(lines) > 1:
        _tell(f"warning: out of memory with {len(lines)} sentences at once; going on one by one; lower --batch-size")
    return [], "out of memory with this sentence alone; use --batch-size 1, a shorter sentence, or --device cpu"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of whatever device, did not suffice."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return any(sign in str(error).lower() for sign in OUT_OF_MEMORY)


def speak(job: Job, texts: list[str], *, on_step: Callable[..., Any] | None = None) -> list[Take]:
    """Render texts as the job says, and in A and in B alone where a plot is wanted.

    Args:
        job: The job.
        texts: One batch.
        on_step: Called after each step of the sampler, those of A and B alone included.

    Returns:
        A take of each text.
    """
    _name_steps(job, "blend" if job.share else "speech")
    start = time.perf_counter()
    speeches = job.speak(texts, on_step=on_step)
    wall_seconds = time.perf_counter() - start
    rtf = wall_seconds / sum(speech.seconds for speech in speeches)
    durations = [speech.durations.tolist() for speech in speeches]
    alone: list[list[Speech] | list[None]] = [[None] * len(texts), [None] * len(texts)]
    if job.plots and job.share is not None:
        for i, (style, name) in enumerate(((job.a, "A"), (job.b, "B"))):
            _name_steps(job, f"{name} alone")
            alone[i] = _comparison(job, style).speak(texts, durations=durations, on_step=on_step)
    return [Take(x, a, b, rtf) for x, a, b in zip(speeches, *alone, strict=True)]


def _comparison(job: Job, style: Style | None) -> Job:
    """One style alone, by the cheapest solver that has converged where the job's own takes more steps."""
    sampling = job.sampling
    if sampling.steps > COMPARISON.steps:
        sampling = replace(sampling, steps=COMPARISON.steps, solver=COMPARISON.solver)
    return replace(job.alone(style), sampling=sampling)


def _name_steps(job: Job, name: str) -> None:
    job.pipeline.set_progress_bar_config(desc=name, unit="step", position=1, leave=False, disable=None)


def _write(job: Job, line: Sentence, take: Take) -> Outcome:
    try:
        report, files = write_outputs(job, line, take)
    except InputError as error:
        return failed(line, str(error))
    except (OSError, RuntimeError) as error:  # a full disk reaches us through soundfile as a RuntimeError
        if isinstance(error, RuntimeError) and "soundfile" not in type(error).__module__:
            raise
        return failed(line, f"cannot write to {job.out}: {getattr(error, 'strerror', None) or error}")
    return Outcome(line, report, files)


def failed(line: Sentence, problem: str) -> Outcome:
    """Say on stderr why a sentence failed, and keep it."""
    problem = " ".join(problem.split())
    _tell(f"error: line {line.number}: {problem}")
    return Outcome(line, None, {}, problem)


def _tell(message: str) -> None:
    tqdm.write(message, file=sys.stderr)
