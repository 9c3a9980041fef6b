"""What ``evaluate interpolation`` renders and measures: A, B and their blends, with the same durations and noise."""

from __future__ import annotations

import contextlib
import functools
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.audio import write_wav
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.contours import level_semitones
from gradtts_interp.evaluation.intelligibility import load_recognisers
from gradtts_interp.evaluation.report import Picture, shown_row, sweep_figure, utterance_figure
from gradtts_interp.evaluation.signal import MeasuringSettings, Signal, through_vocoder
from gradtts_interp.evaluation.tables import ANCHOR, CONDITION, SHARE_NAMES, Table, cell_of, number
from gradtts_interp.evaluation.textgrid import to_textgrid, write_textgrid
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.mechanisms import MECHANISMS
from gradtts_interp.interpolation.noise import NOISE
from gradtts_interp.interpolation.shares import Layout, Share
from gradtts_interp.job import Job, StyleChoice
from gradtts_interp.pipeline import DEFAULT_MECHANISMS, ENVELOPE, GradTTSInterpPipeline
from gradtts_interp.pitch.world import world_morph, world_shift, world_swap
from gradtts_interp.plots.attention import attention_figure
from gradtts_interp.plots.drawing import save_figure
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style, StyleBank

MIX, TIME, FREQUENCY = MODES = ("mix", "time", "frequency")
WORLD, MORPH = BY_WORLD = "WORLD swap", "WORLD morph"
STATIC, HALF = "static mix", "hard half split"
MODE_TEXTS = {
    MIX: "the same share everywhere",
    TIME: "from A to B along the sentence",
    FREQUENCY: "pitch of A, voice of B",
}
REFERENCE, SWEEP = "reference", "sweep"
DEFAULT = "default"
WEIGHTS = tuple(float(w) for w in np.linspace(0, 1, 11))
FEW_WEIGHTS = (0.0, 0.5, 1.0)
SMALLEST_PAIR_SEMITONES = 4.0
SENTENCES = (
    "My sister carried a heavy basket.",
    "The quiet farmer painted seven boats.",
    "A yellow window opened in the morning.",
    "Nobody knew the name of the captain.",
    "We never walked along that old river.",
    "The young doctor remembered my number.",
)
SHIFT_SEMITONES = 6.0
KEPT_PAIRS = 2
OTHER_SEED = 1000
OTHER_SENTENCE = "A-other-sentence"
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MIB = 2**20
Rows = list[dict[str, Any]]
Condition = dict[str, Any]
"""One way to blend: the fields ``name``, ``mode``, ``mechanisms`` and ``weights`` of a :class:`GridItem`."""


@dataclass(frozen=True)
class GridItem:
    """Two styles, a sentence and how to blend: the unit that is kept when a run is stopped.

    Attributes:
        index: Place of styles and sentence among the utterances of the evaluation.
        a: First style.
        b: Second style.
        text: The sentence.
        example: Whether what is rendered is kept for the report.
        name: What the way to blend is called in tables.
        mode: One of :data:`MODES`; None for the anchors, which are no blends.
        mechanisms: Of the pipeline; None for the pipeline's choice.
        weights: Shares of B to render in mode mix.
    """

    index: int
    a: StyleChoice
    b: StyleChoice
    text: str
    example: bool = False
    name: str = "anchors"
    mode: str | None = None
    mechanisms: tuple[str, ...] | None = None
    weights: tuple[float, ...] = ()

    @property
    def utterance(self) -> str:
        """Name of styles and sentence, in rows and of folders."""
        return f"{self.index:02d}_{self.a.name}_{self.b.name}"

    @property
    def slug(self) -> str:
        """Mode and name of the way to blend, fit for a file."""
        return "-".join(re.findall(r"[^\W_]+", f"{self.mode or ''}-{self.name}")).lower()

    @property
    def id(self) -> str:
        """Name, unique in its run."""
        return f"{self.utterance}/{self.slug}"

    def share(self, weight: float = 0.5) -> Share:
        """The share to ask the pipeline for."""
        if self.mode == MIX:
            return shares.constant(weight)
        if self.mode == FREQUENCY:
            return shares.pitch()
        return {HALF: shares.step(0.5), STATIC: shares.constant(0.5)}.get(self.name, shares.ramp())


def conditions_of(modes: Sequence[str], *, has_style: bool, noise: bool, quick: bool) -> list[Condition]:
    """All conditions of some modes, baselines included.

    Args:
        modes: Of :data:`MODES`.
        has_style: Whether the checkpoint has style attention; official ones have the prior and the score only.
        noise: Whether noise tuning is among them.
        quick: Whether the sweeps have three weights instead of eleven.

    Returns:
        The conditions, the default one of each mode first.
    """
    sweep = FEW_WEIGHTS if quick else WEIGHTS
    found = []
    for mode in modes:
        chosen = _mechanisms(mode, has_style=has_style, noise=noise, quick=quick)
        ways: dict[str, tuple[str, ...] | None] = {DEFAULT: None, **{" + ".join(parts): parts for parts in chosen}}
        ways |= dict.fromkeys(_BASELINES[mode])
        weights = sweep if mode == MIX else ()
        found += [{"name": n, "mode": mode, "mechanisms": parts, "weights": weights} for n, parts in ways.items()]
    return found


_BASELINES: dict[str, tuple[str, ...]] = {MIX: (MORPH,), TIME: (HALF, STATIC, MORPH), FREQUENCY: (WORLD,)}


def _mechanisms(mode: str, *, has_style: bool, noise: bool, quick: bool) -> list[tuple[str, ...]]:
    """Mechanisms measured one by one, and together where they differ from the default.

    ``score`` mixes what the other mechanisms have left unmixed. After all of them there is nothing left: its network
    evaluations are one and the same, and so is the speech. Such a combination is the default under another name.
    """
    if not has_style:  # the default is the prior, after which the score has nothing left to mix; WORLD for a pitch
        return [] if mode == FREQUENCY else [("score",)]
    if mode == MIX:  # prior and prosody mix style vectors: what every system with style vectors can do
        return [("prior", "prosody"), ("attention",), ("score",)]
    found: list[tuple[str, ...]] = [("prosody",), ("attention",), ("score",)]
    if mode == TIME:
        names = [name for name in MECHANISMS if name != ENVELOPE]  # it moves what the others have mixed
        every = [parts for size in range(1, len(names) + 1) for parts in combinations(names, size)]
        found = [parts for parts in every if not set(DEFAULT_MECHANISMS) - {ENVELOPE} <= set(parts)]
        if quick:  # also the mix of embeddings frame by frame, which singing synthesisers use
            found = [*((name,) for name in names), ("prior", "prosody")]
    tuned = [("attention", NOISE)] if noise and not quick else []
    return found + tuned


def pairs_of_bank(bank: StyleBank, count: int) -> list[tuple[StyleChoice, StyleChoice]]:
    """Pairs of neutral speakers whose F0 levels are at least four semitones apart.

    Args:
        bank: Styles of a checkpoint.
        count: How many, at least 1.

    Returns:
        The pair of the main command first if it is there, then pairs in a fixed order that uses all speakers alike.

    Raises:
        InputError: No pair is that far apart.
    """
    styles = {speaker: bank.styles.get((speaker, "neutral")) for speaker in bank.speakers}
    known = {speaker: style.contour for speaker, style in styles.items() if style and style.contour}
    apart = {(a, b): level_semitones(known[a], known[b]) for a, b in combinations(known, 2)}
    far = [pair for pair, semitones in apart.items() if abs(semitones) >= SMALLEST_PAIR_SEMITONES]
    if not far:
        raise InputError(
            f"no two speakers of the checkpoint are {SMALLEST_PAIR_SEMITONES:g} semitones apart; give --pairs"
        )
    left = [far[i] for i in np.random.default_rng(0).permutation(len(far))]
    chosen: list[tuple[int, int]] = []
    used: Counter[int] = Counter()
    while left and len(chosen) < count:
        main = not chosen and (10, 12) in left
        pair = (10, 12) if main else min(left, key=lambda pair: used[pair[0]] + used[pair[1]])
        left.remove(pair)
        chosen.append(pair if len(chosen) % 2 else pair[::-1])
        used.update(pair)
    return [(StyleChoice(a, "neutral"), StyleChoice(b, "neutral")) for a, b in chosen]


def parse_pair(text: str) -> tuple[StyleChoice, StyleChoice]:
    """Read a pair as on the command line: ``12:10``, ``12/happy:10`` or ``a.wav:b.wav``.

    Args:
        text: Two styles with a colon between them.

    Returns:
        The two.

    Raises:
        InputError: The text does not name two styles.
    """
    parts = [part.strip() for part in text.split(":")]
    if len(parts) != 2 or not all(parts):
        raise InputError(f"pair {text!r}: expected two styles, such as 12:10, 12/happy:10 or a.wav:b.wav")
    named = [part.partition("/") for part in parts]
    a, b = (
        StyleChoice(int(number), emotion or None) if number.isdigit() else StyleChoice(recording=part)
        for part, (number, _, emotion) in zip(parts, named, strict=True)
    )
    return a, b


def grid_items(
    pairs: Sequence[tuple[StyleChoice, StyleChoice]],
    texts: Sequence[str],
    conditions: Sequence[Condition],
    *,
    utterances: int,
    examples: int,
) -> list[GridItem]:
    """Lay pairs, sentences and conditions out as items.

    Args:
        pairs: Styles; utterance i has pair i modulo their number, and so with sentences.
        texts: Sentences.
        conditions: How to blend.
        utterances: How many pairs with a sentence.
        examples: How many of them are shown in the report.

    Returns:
        The anchors and conditions of each utterance, utterance by utterance.
    """
    found = []
    for i in range(utterances):
        what = (*pairs[i % len(pairs)], texts[(i + i // len(pairs)) % len(texts)])
        found += [GridItem(i, *what, i < examples, **condition) for condition in ({}, *conditions)]
    return found


# -- rendering ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rendered:
    """Something rendered, with what was measured of it.

    Attributes:
        signal: Its measures, whose name is fit for a file; the mel is the rendered one.
        speech: How it was rendered, None for what was made of recordings.
        seconds: Wall-clock time of the rendering.
        peak_mib: Peak memory, where it is known.
    """

    signal: Signal
    speech: Speech | None
    seconds: float
    peak_mib: float | None


class Renderer:
    """Renders, measures, and keeps A and B alone for the conditions that follow.

    Args:
        settings: How to measure.
        checkpoint: Folder or official file.
        sampling: What is asked of :meth:`~gradtts_interp.pipeline.GradTTSInterpPipeline.sampling_options`: ``steps``,
            ``solver`` and ``temperature``, the checkpoint's usual ones if None; and ``mechanisms``, noise where it is
            tuned.
        seed: Start of the noise.
        textgrids: Whether phones are written beside each wav.
        texts: Sentences, for anchors that say another.
    """

    def __init__(
        self,
        settings: MeasuringSettings,
        *,
        checkpoint: str,
        sampling: dict[str, Any],
        seed: int,
        textgrids: bool,
        texts: Sequence[str],
    ) -> None:
        self.folder, self.texts, self.textgrids = Path(settings.out), texts, textgrids
        self.pipeline = GradTTSInterpPipeline.from_pretrained(checkpoint).to(torch.device(settings.device))
        self.pipeline.set_progress_bar_config(disable=True)
        self.mel = self.pipeline.model.settings.mel
        self.listener = settings.listener_of(self.mel)
        self.error_rates = load_recognisers(
            settings.recognisers, self.pipeline.frontend, language=settings.language, device=settings.device
        )
        self.style = functools.cache(lambda choice: choice.load(self.pipeline))
        self._plain = functools.lru_cache(KEPT_PAIRS)(self._render_plain)
        self.job = Job(self.pipeline, None, sampling=self.pipeline.sampling_options(**sampling), seed=seed)

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
        given = None if durations is None else [durations]
        (speech,), seconds, peak_mib = cost_of(lambda: job.speak([text], durations=given), self.pipeline.device)
        signal = self.listener.hear(speech.audio, name, mel=speech.mel)
        return Rendered(signal, speech, seconds, peak_mib)

    def made(self, name: str, make: Callable[[], NDArray[np.float32]]) -> Rendered:
        """Measure samples (N,) that are made of others, such as by WORLD."""
        audio, seconds, peak_mib = cost_of(make, self.pipeline.device)
        return Rendered(self.listener.hear(audio, name), None, seconds, peak_mib)

    def plain(self, item: GridItem) -> tuple[Rendered, Rendered]:
        """A and B alone, with the durations of the even blend."""
        return self._plain(item.a, item.b, item.text)

    def _render_plain(self, a: StyleChoice, b: StyleChoice, text: str) -> tuple[Rendered, Rendered]:
        styles = [self.style(a), self.style(b)]
        prepared = self.pipeline.prepare([self.pipeline.frontend(text)], styles, shares.constant(0.5))
        durations = prepared.durations[0].tolist()
        first, second = (self.render(n, text, s, durations=durations) for n, s in zip("AB", styles, strict=True))
        return first, second

    def blend(self, item: GridItem, weight: float = 0.5) -> Rendered:
        """Render a blend with the durations and the noise of A and B alone, or make it of them by WORLD.

        Args:
            item: Styles, sentence, and how to blend. Of an example the even blend's attention is recorded, where both
                styles are read.
            weight: Share of B in mode mix.

        Returns:
            The blend; the time of one by WORLD is that of rendering A and B, and of WORLD.
        """
        name = item.slug + (f"-w{round(100 * weight):03d}" if item.weights else "")
        if item.name not in BY_WORLD:
            reads = item.mechanisms is None or "attention" in item.mechanisms
            return self.render(
                name,
                item.text,
                self.style(item.a),
                self.style(item.b),
                share=item.share(weight),
                mechanisms=item.mechanisms,
                durations=self.durations(item),
                attention=item.example and weight == 0.5 and reads,
            )
        plain = self.plain(item)
        a, b = (end.signal for end in plain)
        if item.name == WORLD:
            found = self.made(name, lambda: world_swap(b.audio, b.contour, a.contour, self.mel))
        else:
            share = item.share(weight).render(Layout(len(a.contour), self.mel)).timbre.mean(0)
            found = self.made(name, lambda: world_morph(a.audio, a.contour, b.audio, b.contour, share, self.mel))
        return replace(found, seconds=found.seconds + sum(end.seconds for end in plain))

    def path(self, item: GridItem, rendering: Rendered) -> Path:
        """Where the wav of a rendering is written."""
        return self.folder / "wavs" / item.utterance / f"{rendering.signal.name}.wav"

    def keep(self, item: GridItem, rendering: Rendered) -> None:
        """Write the wav of a rendering, and its phones where they were asked for.

        Args:
            item: Styles and sentence.
            rendering: What was rendered; what was made of recordings has the phones of A.
        """
        path = self.path(item, rendering)
        write_wav(path, torch.from_numpy(rendering.signal.audio), self.mel.sample_rate_hz)
        speech = rendering.speech or self.plain(item)[0].speech
        if self.textgrids and speech is not None:
            write_textgrid(path.with_suffix(".TextGrid"), to_textgrid(speech), seconds=speech.seconds)

    def durations(self, item: GridItem) -> list[int]:
        """Frames of each token of A and B alone (L,), which all blends of them have."""
        speech = self.plain(item)[0].speech
        assert speech is not None
        return speech.durations.tolist()


def cost_of(work: Callable[[], Any], device: torch.device) -> tuple[Any, float, float | None]:
    """Do something and measure what it costs.

    On CUDA the peak is of the memory torch allocated on the device; else it is of the whole process (Linux only),
    its models included.

    Args:
        work: What to do.
        device: Where it works.

    Returns:
        What came of it, wall-clock seconds, and peak memory in MiB, None where the system does not tell.
    """
    on_cuda, peak_mib = device.type == "cuda", None
    if on_cuda:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):
            RESET.write_text("5")  # forget earlier peaks
            peak_mib = 0.0
    start = time.perf_counter()
    answer = work()
    if on_cuda:
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - start
    if on_cuda:
        peak_mib = torch.cuda.max_memory_allocated(device) / MIB
    elif peak_mib is not None:
        found = re.search(r"^VmHWM:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
        peak_mib = int(found[1]) / 1024 if found else None
    return answer, seconds, peak_mib


# -- measures of an item ---------------------------------------------------------------------------------------------


def measure_item(renderer: Renderer, item: GridItem) -> tuple[Rows, list[str]]:
    """Render and measure one item.

    Args:
        renderer: Renders, with listener and recognisers.
        item: Anchors or a condition of one pair.

    Returns:
        Rows of all tables it stands in, and notes.

    Raises:
        InputError: A style or sentence cannot be rendered.
    """
    with torch.no_grad():
        ends = renderer.plain(item)
        if item.mode is None:
            return _anchors(renderer, item, *ends)
        a, b = (end.signal for end in ends)
        mute = [signal.name for signal in (a, b) if not signal.contour.voiced.any()]
        if mute and item.name in BY_WORLD:
            note = f"{item.id}: {mute[0]} has no voiced frame, so there is no pitch to take; not measurable"
            return [_row(item, item.mode, CONDITION, item.name)], [note]
        return _blends(renderer, item, item.mode, a, b)


def _row(item: GridItem, table: str, kind: str, condition: str, **values: Any) -> dict[str, Any]:
    head = {"table": table, "item": item.utterance, "kind": kind, "condition": condition}
    return {**head, "a": item.a.name, "b": item.b.name, "text": item.text, **values}


def _anchors(renderer: Renderer, item: GridItem, a: Rendered, b: Rendered) -> tuple[Rows, list[str]]:
    """Known cases: A itself, the floor of the vocoder, other noise, other pitch, another sentence, and B, the range."""
    audio, contour = a.signal.audio, a.signal.contour
    vocoder = functools.partial(through_vocoder, audio, renderer.pipeline.vocoder, renderer.mel)
    device, style, seed = str(renderer.pipeline.device), renderer.style(item.a), renderer.job.seed + OTHER_SEED
    other_noise = {"durations": renderer.durations(item), "seed": seed}
    known = {
        "A with itself": a,
        "A through the vocoder": renderer.made("A-vocoded", lambda: vocoder(device=device)),
        "A, other noise": renderer.render("A-other-noise", item.text, style, **other_noise),
        "B (range)": b,
    }
    for word, semitones in {"up": SHIFT_SEMITONES, "down": -SHIFT_SEMITONES}.items() if contour.voiced.any() else ():
        shift = functools.partial(world_shift, audio, contour, semitones, renderer.mel)
        known[f"A, {SHIFT_SEMITONES:g} semitones {word}"] = renderer.made(f"A-{word}", shift)
    rows = [_shown(renderer, item, a, f"A: {item.a.name}"), _shown(renderer, item, b, f"B: {item.b.name}")]
    for name, rendering in known.items():
        renderer.keep(item, rendering)
        three, heard = (a.signal, b.signal, rendering.signal), _heard(renderer, item, rendering)
        values = {
            REFERENCE: metric_rows.distances(a.signal, rendering.signal),
            MIX: _shares(*three),
            TIME: metric_rows.voices(*three),
            FREQUENCY: metric_rows.selective(*three),
        }
        rows += [_row(item, table, ANCHOR, name, **found, **heard) for table, found in values.items()]
    text = next((text for text in renderer.texts if text != item.text), item.text)
    other = renderer.render(OTHER_SENTENCE, text, style)
    renderer.keep(item, other)
    far = metric_rows.warped_distances(a.signal, other.signal)
    rows.append(_row(item, REFERENCE, ANCHOR, "A, another sentence (DTW)", **far))
    voices = metric_rows.voices(a.signal, b.signal, other.signal)
    rows += [_row(item, table, ANCHOR, "A, another sentence", **voices) for table in MODES]
    return [row for row in rows if row], [*a.signal.notes, *b.signal.notes]


def _blends(renderer: Renderer, item: GridItem, mode: str, a: Signal, b: Signal) -> tuple[Rows, list[str]]:
    """All blends of a condition: one, or a sweep of constant shares."""
    blends = {weight: renderer.blend(item, weight) for weight in item.weights or (0.5,)}
    rows: Rows = []
    for weight, blend in blends.items():
        renderer.keep(item, blend)
        if weight == 0.5 or item.name == DEFAULT and weight in (0.2, 0.8):
            name = f"{item.name}, weight {weight:g}" if item.weights else item.name
            draw = (a, b) if item.name == DEFAULT and weight == 0.5 else None
            rows.append(_shown(renderer, item, blend, f"{MODE_TEXTS[mode]}: {name}", draw=draw))
    middle = blends[0.5]
    three = (a, b, middle.signal)
    if mode == MIX:
        points = {weight: _shares(a, b, blend.signal) for weight, blend in blends.items()}
        for weight, point in points.items():
            place = {"weight": weight, "seconds": blends[weight].seconds}
            rows.append(_row(item, SWEEP, CONDITION, item.name, **place, **point))
        found = _sweep(points, blends, a, b)
    elif mode == TIME:
        # One style for the whole sentence is measured against the ramp.
        share = shares.ramp() if item.name == STATIC else item.share()
        wanted = share.render(Layout(len(a.contour), renderer.mel)).timbre.mean(0)
        found = metric_rows.following(*three, wanted) | metric_rows.voices(*three) | _tuning(middle)
    else:
        found = metric_rows.selective(*three) | _tuning(middle)
    found |= _heard(renderer, item, middle)
    rows.append(_row(item, mode, CONDITION, item.name, **found, **_cost(renderer, *blends.values())))
    return [row for row in rows if row], [note for blend in blends.values() for note in blend.signal.notes]


def _shares(a: Signal, b: Signal, blend: Signal) -> dict[str, Any]:
    """Mean realised shares, and whose voice is heard."""
    return metric_rows.mean_shares(a, b, blend) | metric_rows.voices(a, b, blend)


def _sweep(
    points: Mapping[float, Mapping[str, Any]], blends: Mapping[float, Rendered], a: Signal, b: Signal
) -> dict[str, Any]:
    """How the realised share grows with the weight, and what the ends and the middle of the sweep are."""
    found = dict(points[0.5])
    for name in metric_rows.SHARES:
        found |= metric_rows.sweep(name, {weight: point[f"{name}_share"] for weight, point in points.items()})
    for weight, end, name in ((0.0, a, "endpoint_a"), (1.0, b, "endpoint_b")):
        if blends[weight].speech is not None:
            found[name] = float(np.abs(end.mel - blends[weight].signal.mel).max())
    if metric_rows.cepstral_distance(a, b) > 0:
        found |= metric_rows.morph_measures([blend.signal for blend in blends.values()], a, b)
    return found


def _shown(
    renderer: Renderer, item: GridItem, rendering: Rendered, label: str, *, draw: tuple[Signal, Signal] | None = None
) -> dict[str, Any]:
    """What the report shows of a rendering of an example, with pictures where A and B are given to draw beside it."""
    if not item.example:
        return {}
    wav = renderer.path(item, rendering)
    title, pictures = f"Styles {item.a.name} and {item.b.name}", []
    if draw is not None and rendering.speech is not None:
        speech = rendering.speech
        signals = {"A": draw[0], "B": draw[1], "blend": rendering.signal}
        asked = draw[0].contour if item.mode == FREQUENCY else None
        figures = {"": utterance_figure(signals, renderer.mel, speech.share, phones=speech.phoneme_times, asked=asked)}
        if speech.attention:
            figures["_attention"] = attention_figure(speech.attention, speech.seconds)
        for ending, figure in figures.items():
            pictures.append(wav.with_name(f"{wav.stem}{ending}.png").relative_to(renderer.folder))
            save_figure(figure, renderer.folder / pictures[-1])
    wav = wav.relative_to(renderer.folder)
    return shown_row(title, item.text, label, wav, contour=rendering.signal.contour, pictures=pictures)


def _cost(renderer: Renderer, *renderings: Rendered) -> dict[str, Any]:
    """Mean seconds of a rendering per second of speech, and the highest peak of memory."""
    peaks = [rendering.peak_mib for rendering in renderings if rendering.peak_mib is not None]
    spoken = sum(len(rendering.signal.audio) for rendering in renderings) / renderer.mel.sample_rate_hz
    return {"rtf": sum(rendering.seconds for rendering in renderings) / spoken, "peak_mib": max(peaks, default=None)}


def _tuning(rendering: Rendered) -> dict[str, Any]:
    """Loss of a noise tuning before and after, mean over windows."""
    trace = None if rendering.speech is None else rendering.speech.tuning
    if trace is None or not trace.steps:
        return {}
    windows = sorted({step.window for step in trace.steps})
    each = [[step for step in trace.steps if step.window == window] for window in windows]
    after = [steps[-1].loss_after if steps[-1].taken else steps[-1].loss for steps in each]
    return {"loss_before": float(np.mean([steps[0].loss for steps in each])), "loss_after": float(np.mean(after))}


def _heard(renderer: Renderer, item: GridItem, rendering: Rendered) -> dict[str, Any]:
    return renderer.error_rates(rendering.signal.audio, renderer.mel.sample_rate_hz, item.text)


# -- what is said and drawn of a run ----------------------------------------------------------------------------------

_COMPARED = {
    MIX: {
        "f0_sweep_error": "Error of the F0 share over the sweep",
        "envelope_sweep_error": "Error of the envelope share over the sweep",
    },
    TIME: {"f0_control_error": "Control error of F0", "envelope_control_error": "Control error of the envelope"},
    FREQUENCY: {"f0_rms_to_a": "F0 error to A in cents", "envelope_to_b_db": "Envelope distance to B in dB"},
}


def grid_pictures(rows: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Curves of the sweeps, where there are any."""
    curves: dict[str, dict[str, dict[float, list[float]]]] = {}
    for row in (row for row in rows if row["table"] == SWEEP):
        for name, label in SHARE_NAMES.items():
            line = curves.setdefault(label, {}).setdefault(row["condition"], {}).setdefault(row["weight"], [])
            line += [] if row.get(f"{name}_share") is None else [row[f"{name}_share"]]
    text = "Realised share of B against the weight asked for; bands are 95 % bootstrap intervals over utterances."
    return [("Sweep curves", text, sweep_figure(curves))] if curves else []


def weak_sentences(tables: Mapping[str, Table]) -> tuple[str, ...]:
    """What is weak: where a baseline does better than the default, and where a blend is understood less than A."""
    weak = []
    for name, table in tables.items():
        for key, label in _COMPARED.get(name, {}).items():
            own = cell_of(table, DEFAULT, key)
            names = [line["name"] for line in table["lines"] if line["kind"] == CONDITION]
            cells = {other: cell_of(table, other, key) for other in names if other not in (DEFAULT, HALF)}
            best, other = min(((cell["mean"], other) for other, cell in cells.items() if cell), default=(np.inf, ""))
            if own and best < own["mean"] and number(best) != number(own["mean"]):  # in the digits shown
                found = f"{other} {number(best)} is below the default's {number(own['mean'])}"
                weak.append(f"{label}: {found} ({MODE_TEXTS[name]}).")
        alone, blend = (cell_of(table, line, "phone_error_rate") for line in ("A with itself", DEFAULT))
        if alone is not None and blend is not None and blend["mean"] > alone["mean"]:
            rates = f"{number(alone['mean'])} for A alone and {number(blend['mean'])} for a blend"
            weak.append(f"Phone error rate is {rates} ({MODE_TEXTS[name]}).")
    return tuple(weak)
