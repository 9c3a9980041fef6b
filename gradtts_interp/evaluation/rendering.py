"""Renders what an interpolation run asks for: A, B and their blends with the same durations and the same noise."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.audio import write_wav
from gradtts_interp.evaluation.baselines import world_morph, world_swap
from gradtts_interp.evaluation.grid import BY_WORLD, SENTENCES, WORLD, Condition, Pair, slug
from gradtts_interp.evaluation.intelligibility import load_recognisers
from gradtts_interp.evaluation.signal import MeasuringSettings, Signal
from gradtts_interp.evaluation.textgrid import to_textgrid, write_textgrid
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.job import Job
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import SamplingOptions
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style

KEPT_PAIRS = 2
OTHER_SEED = 1000
OTHER_SENTENCE = "A-other-sentence"
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class GridSettings(MeasuringSettings):
    """What a process needs to render and to measure.

    Attributes:
        checkpoint: Folder or official file.
        sampling: How the noise becomes a mel.
        seed: Start of the noise.
        textgrids: Whether phones are written beside each wav.
        texts: Sentences, for anchors that say another.
    """

    checkpoint: str
    sampling: SamplingOptions
    seed: int
    textgrids: bool = False
    texts: tuple[str, ...] = SENTENCES


@dataclass(frozen=True)
class Rendered:
    """Something rendered, with what was measured of it.

    Attributes:
        name: What it is, fit for a file.
        signal: Its measures; the mel is the rendered one.
        speech: How it was rendered, None for what was made of recordings.
        seconds: Wall-clock time of the rendering.
        peak_mib: Peak memory, where it is known.
    """

    name: str
    signal: Signal
    speech: Speech | None
    seconds: float
    peak_mib: float | None


class Renderer:
    """Renders, measures, and keeps A and B alone for the conditions that follow.

    Args:
        settings: The model under test, its sampling, and how to measure.
    """

    def __init__(self, settings: GridSettings) -> None:
        self.folder = Path(settings.out)
        self.pipeline = GradTTSInterpPipeline.from_pretrained(settings.checkpoint).to(torch.device(settings.device))
        self.pipeline.set_progress_bar_config(disable=True)
        self.mel = self.pipeline.model.settings.mel
        self.listener = settings.listener_of(self.mel)
        self.recognisers = load_recognisers(
            settings.recognisers, self.pipeline.frontend, language=settings.language, device=settings.device
        )
        self.style = functools.cache(lambda choice: choice.load(self.pipeline))
        self.plain = functools.lru_cache(KEPT_PAIRS)(self._plain)
        self.settings = settings
        self.job = Job(self.pipeline, None, sampling=settings.sampling, seed=settings.seed)

    def sample_by(self, sampling: SamplingOptions) -> None:
        """Sample otherwise: what suits a checkpoint is known when it is loaded."""
        self.settings, self.job = replace(self.settings, sampling=sampling), replace(self.job, sampling=sampling)

    def render(self, name: str, text: str, *styles: Style, durations: Any = None, **changes: Any) -> Rendered:
        """Render and measure.

        Args:
            name: What it is, fit for a file.
            text: The sentence.
            *styles: One style or two.
            durations: Frames of each token (L,), instead of the predicted ones.
            **changes: Fields of the job that differ, such as ``share`` and ``mechanisms``.

        Returns:
            What was rendered, with its measures.
        """
        a, b = (*styles, None)[:2]
        job = replace(self.job, a=a, b=b, **changes)
        with Cost(self.pipeline.device) as cost:
            (speech,) = job.speak([text], durations=None if durations is None else [durations])
        signal = self.listener.hear(speech.audio, name, mel=speech.mel)
        return Rendered(name, signal, speech, cost.seconds, cost.peak_mib)

    def made(self, name: str, make: Callable[[], NDArray[np.float32]]) -> Rendered:
        """Measure samples (N,) that are made of others, such as by WORLD."""
        with Cost(self.pipeline.device) as cost:
            audio = make()
        return Rendered(name, self.listener.hear(audio, name), None, cost.seconds, cost.peak_mib)

    def _plain(self, pair: Pair) -> tuple[Rendered, Rendered]:
        """A and B alone, with the durations of the even blend."""
        a, b = self.style(pair.a), self.style(pair.b)
        prepared = self.pipeline.prepare([self.pipeline.frontend(pair.text)], [a, b], shares.constant(0.5))
        durations = prepared.durations[0].tolist()
        first, second = (self.render(name, pair.text, s, durations=durations) for name, s in (("A", a), ("B", b)))
        return first, second

    def again(self, pair: Pair) -> Rendered:
        """Style A again with the same durations and other noise."""
        seed = self.job.seed + OTHER_SEED
        durations = self._durations(pair)
        return self.render("A-other-noise", pair.text, self.style(pair.a), durations=durations, seed=seed)

    def blend(self, pair: Pair, condition: Condition, weight: float = 0.5, *, attention: bool = False) -> Rendered:
        """Render a blend with the durations and the noise of the pair's A and B, or make it of them by WORLD.

        Args:
            pair: The utterance.
            condition: How to blend.
            weight: Share of B in mode mix.
            attention: Whether to record attention where both styles are read.

        Returns:
            The blend; the time of one by WORLD is that of rendering A and B, and of WORLD.
        """
        name = slug(condition) + (f"-w{round(100 * weight):03d}" if condition.weights else "")
        if condition.name not in BY_WORLD:
            return self.render(
                name,
                pair.text,
                self.style(pair.a),
                self.style(pair.b),
                share=condition.share(weight),
                mechanisms=condition.mechanisms,
                durations=self._durations(pair),
                attention=attention and (condition.mechanisms is None or "attention" in condition.mechanisms),
            )
        plain = self.plain(pair)
        a, b = (end.signal for end in plain)
        if condition.name == WORLD:
            found = self.made(name, lambda: world_swap(b.audio, b.contour, a.contour, self.mel))
        else:
            share = condition.share(weight).render(Layout(len(a.contour), self.mel)).timbre.mean(0)
            found = self.made(name, lambda: world_morph(a.audio, a.contour, b.audio, b.contour, share, self.mel))
        return replace(found, seconds=found.seconds + sum(end.seconds for end in plain))

    def keep(self, pair: Pair, rendering: Rendered, *, like: Rendered | None = None) -> Path:
        """Write the wav of a rendering, and its phones where they were asked for.

        Args:
            pair: The utterance.
            rendering: What was rendered.
            like: Rendering whose phones it has, where it was not rendered itself.

        Returns:
            Path of the wav.
        """
        path = self.folder / "wavs" / pair.id / f"{rendering.name}.wav"
        write_wav(path, torch.from_numpy(rendering.signal.audio), self.mel.sample_rate_hz)
        speech = rendering.speech or (None if like is None else like.speech)
        if self.settings.textgrids and speech is not None:
            write_textgrid(path.with_suffix(".TextGrid"), to_textgrid(speech))
        return path

    def _durations(self, pair: Pair) -> list[int]:
        speech = self.plain(pair)[0].speech
        assert speech is not None
        return speech.durations.tolist()


class Cost:
    """Context manager that measures what a block costs.

    On CUDA the peak is of the memory torch allocated on the device; else it is of the whole process (Linux only),
    its models included.

    Args:
        device: Where the block works.

    Attributes:
        seconds: Wall-clock time of the block.
        peak_mib: Peak memory in the block, None where the system does not tell.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, 0.0
        self.peak_mib: float | None = None

    def __enter__(self) -> Cost:
        self._known = True
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            try:
                RESET.write_text("5")  # forget earlier peaks
            except OSError:
                self._known = False
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds = time.perf_counter() - self._start
        if self.device.type == "cuda":
            self.peak_mib = torch.cuda.max_memory_allocated(self.device) / MIB
        elif self._known:
            found = re.search(r"^VmHWM:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
            self.peak_mib = int(found[1]) / 1024 if found else None
