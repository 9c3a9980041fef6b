"""Renders what an interpolation run asks for: A, B and their blends with the same durations and the same noise."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.audio import log_mel, write_wav
from gradtts_interp.evaluation.baselines import world_morph, world_shift, world_swap
from gradtts_interp.evaluation.cost import Cost
from gradtts_interp.evaluation.excerpt import Excerpt, excerpt_of_speech
from gradtts_interp.evaluation.grid import WORLD, Condition, Pair, slug
from gradtts_interp.evaluation.signal import Listener, Signal
from gradtts_interp.evaluation.textgrid import to_textgrid, write_textgrid
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.job import Job, StyleChoice
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style

KEPT_PAIRS = 2
OTHER_SEED = 1000
OTHER_SENTENCE = "A-other-sentence"


@dataclass(frozen=True)
class Rendered:
    """Something rendered, with what was measured of it.

    Attributes:
        name: What it is, fit for a file.
        signal: Its measures; the mel is the rendered one.
        speech: How it was rendered, None for what was made of recordings.
        seconds: Wall-clock time of the rendering.
        peak_mib: Peak memory, where it is known.
        rate_hz: Sample rate.
    """

    name: str
    signal: Signal
    speech: Speech | None
    seconds: float
    peak_mib: float | None
    rate_hz: int


@dataclass(frozen=True)
class Endpoints:
    """A pair's two styles alone.

    Attributes:
        a: In style A.
        b: In style B, same durations and noise.
        durations: Frames of each token, which all renderings of the pair have.
    """

    a: Rendered
    b: Rendered
    durations: list[int]


class Renderer:
    """Renders and keeps what was rendered.

    Args:
        job: The model under test, its sampling and seed; styles and blend are those of each rendering.
        listener: Measures what was rendered.
        folder: Where wavs go (``wavs``) and what the report shows (``excerpts``).
        textgrids: Whether a TextGrid of the phones is written beside each wav.
    """

    def __init__(self, job: Job, listener: Listener, folder: Path, *, textgrids: bool = False) -> None:
        self.job, self.pipeline, self.listener, self.folder = job, job.pipeline, listener, folder
        self.textgrids = textgrids
        self._plain: OrderedDict[str, Endpoints] = OrderedDict()
        self._styles: dict[StyleChoice, Style] = {}

    def style(self, choice: StyleChoice) -> Style:
        """The style that is chosen; read once."""
        if choice not in self._styles:
            self._styles[choice] = choice.load(self.pipeline)
        return self._styles[choice]

    def styles(self, pair: Pair) -> tuple[Style, Style]:
        """Styles A and B of a pair."""
        return self.style(pair.a), self.style(pair.b)

    def render(
        self, name: str, text: str, *styles: Style, durations: Sequence[Sequence[int]] | None = None, **changes: Any
    ) -> Rendered:
        """Render and measure.

        Args:
            name: What it is, fit for a file.
            text: The sentence.
            *styles: One style or two.
            durations: Frames of each token, instead of the predicted ones.
            **changes: Fields of the job that differ, such as ``share`` and ``mechanisms``.

        Returns:
            What was rendered, with its measures.
        """
        a, b = (*styles, None)[:2]
        job = replace(self.job, a=a, b=b, **changes)
        with Cost(self.pipeline.device) as cost:
            (speech,) = job.speak([text], durations=durations)
        return self._measured(name, speech, cost)

    def plain(self, pair: Pair) -> Endpoints:
        """A and B alone, with the durations of the even blend; kept for the conditions that follow."""
        if pair.id not in self._plain:
            a, b = self.styles(pair)
            tokens = self.pipeline.frontend(pair.text)
            with torch.no_grad():
                prepared = self.pipeline.prepare([tokens], [a, b], shares.constant(0.5))
            durations = prepared.durations[0].tolist()
            renderings = [self.render(n, pair.text, s, durations=[durations]) for n, s in (("A", a), ("B", b))]
            self._plain[pair.id] = Endpoints(renderings[0], renderings[1], durations)
            while len(self._plain) > KEPT_PAIRS:
                self._plain.popitem(last=False)
        return self._plain[pair.id]

    def blend(self, pair: Pair, condition: Condition, weight: float = 0.5, *, attention: bool = False) -> Rendered:
        """Render a blend with the durations and the noise of the pair's A and B."""
        name = _name(condition, weight)
        return self.render(
            name,
            pair.text,
            *self.styles(pair),
            share=condition.share(weight),
            mechanisms=condition.mechanisms,
            durations=[self.plain(pair).durations],
            attention=attention,
        )

    def other_noise(self, pair: Pair) -> Rendered:
        """Style A again with the same durations and other noise."""
        durations = [self.plain(pair).durations]
        seed = self.job.seed + OTHER_SEED
        return self.render("A-other-noise", pair.text, self.style(pair.a), durations=durations, seed=seed)

    def other_sentence(self, pair: Pair, text: str) -> Rendered:
        """Another utterance in style A."""
        return self.render(OTHER_SENTENCE, text, self.style(pair.a))

    def vocoded(self, rendering: Rendered, name: str) -> Rendered:
        """What the vocoder makes of a rendering's audio."""
        config = self.listener.mel
        with Cost(self.pipeline.device) as cost:
            mel = log_mel(torch.from_numpy(rendering.signal.audio), config)
            audio = self.pipeline.vocoder(mel.to(self.pipeline.device), config).float().cpu().numpy()
        return self._heard(name, audio, cost)

    def world(self, pair: Pair, condition: Condition, weight: float = 0.5) -> Rendered:
        """B with the F0 of A, or a morph, by WORLD; its time is that of rendering A and B, and of WORLD."""
        plain, mel = self.plain(pair), self.listener.mel
        a, b = plain.a.signal, plain.b.signal
        with Cost(self.pipeline.device) as cost:
            if condition.name == WORLD:
                audio = world_swap(b.audio, b.contour, a.contour, mel)
            else:
                share = condition.share(weight).render(Layout(len(a.contour), mel)).timbre.mean(0)
                audio = world_morph(a.audio, a.contour, b.audio, b.contour, share, mel)
        found = self._heard(_name(condition, weight), audio, cost)
        return replace(found, seconds=found.seconds + plain.a.seconds + plain.b.seconds)

    def shifted(self, rendering: Rendered, semitones: float, name: str) -> Rendered:
        """The same with its pitch shifted by WORLD."""
        with Cost(self.pipeline.device) as cost:
            audio = world_shift(rendering.signal.audio, rendering.signal.contour, semitones, self.listener.mel)
        return self._heard(name, audio, cost)

    def keep(
        self, pair: Pair, rendering: Rendered, *, excerpt: str | None = None, like: Rendered | None = None
    ) -> Path:
        """Write the wav of a rendering, and what the report shows of it.

        Args:
            pair: The utterance.
            rendering: What was rendered.
            excerpt: Its title in the report; not shown when None.
            like: Rendered whose phones it has, where it was not rendered itself.

        Returns:
            Path of the wav.
        """
        path = self.folder / "wavs" / pair.id / f"{rendering.name}.wav"
        write_wav(path, torch.from_numpy(rendering.signal.audio), self.listener.mel.sample_rate_hz)
        speech = rendering.speech or (like.speech if like is not None else None)
        if self.textgrids and speech is not None:
            write_textgrid(path.with_suffix(".TextGrid"), to_textgrid(speech))
        if excerpt is not None:
            self._excerpt(rendering, excerpt, like).save(self.folder / "excerpts" / pair.id / f"{rendering.name}.npz")
        return path

    def _excerpt(self, rendering: Rendered, title: str, like: Rendered | None) -> Excerpt:
        if rendering.speech is not None:
            return replace(excerpt_of_speech(rendering.speech, title), contour=rendering.signal.contour)
        signal = rendering.signal
        phones = excerpt_of_speech(like.speech, title).phones if like is not None and like.speech is not None else ()
        return Excerpt(title, signal.audio, signal.mel, signal.contour, self.listener.mel, phones)

    def _heard(self, name: str, audio: NDArray[np.float32], cost: Cost) -> Rendered:
        rate_hz = self.listener.mel.sample_rate_hz
        return Rendered(name, self.listener.hear(audio, name), None, cost.seconds, cost.peak_mib, rate_hz)

    def _measured(self, name: str, speech: Speech, cost: Cost) -> Rendered:
        signal = self.listener.hear(speech.audio, name, mel=speech.mel)
        return Rendered(name, signal, speech, cost.seconds, cost.peak_mib, self.listener.mel.sample_rate_hz)


def _name(condition: Condition, weight: float) -> str:
    return slug(condition) + (f"-w{round(100 * weight):03d}" if condition.weights else "")
