"""What is measured: each function gives lines of the table."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.speed.measure import peak_mib, timed
from benchmarks.speed.yardsticks import (
    GRAD_TTS_STEPS,
    MATCHA_EVALUATIONS,
    TIMED_STEPS,
    grad_tts,
    matcha,
    plain_layers,
)
from gradtts_interp import GradTTSInterpPipeline, shares
from gradtts_interp.alignment import fix_length
from gradtts_interp.interpolation.conditioning import read_style
from gradtts_interp.interpolation.mechanisms import Score, make_plan, make_score
from gradtts_interp.interpolation.noise import NoiseTuning
from gradtts_interp.models.grad_tts import GradTTS, frame_mask
from gradtts_interp.models.pitch_predictor import PROSODY_CHANNELS
from gradtts_interp.models.precision import bf16_is_fast, keep_freed_memory, settled
from gradtts_interp.models.style_attention import AttentionMassProcessor, StyleAttnProcessor, context_of, join
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.placement import stack_shares
from gradtts_interp.sampling import CONVERGED_STEPS, DEFAULT_SOLVER, DEFAULT_STEPS
from gradtts_interp.training.data import Item, StyleRef
from gradtts_interp.training.loop import LossModule
from gradtts_interp.training.losses import draw_diffusion
from gradtts_interp.training.mix import MixConfig, Mixer
from gradtts_interp.training.state import SCORE, parameters_to_train

ROOT = Path(__file__).parents[2]
SPEAKERS = (12, 10)
SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank."
SENTENCES = (
    SENTENCE,
    "Good morning, and thank you for coming at such short notice.",
    "It was raining when we left the house, and nobody had an umbrella.",
    "She put the letter back into the drawer and closed it slowly.",
    "The last train to the coast leaves at a quarter past eleven.",
    "We shall never know what he was looking for in that old attic.",
    "A large dog came running down the hill, barking at the children.",
    "They had planned to build a bridge here more than a century ago.",
)
LONG = " ".join(sentence.rstrip(".") + "," for sentence in SENTENCES[:3]) + " and then it was over."
TEN_SECONDS = 864
"""Frames: 10 s, a multiple of what the networks take."""
UNMEASURED = "unmeasured"


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        what: What was measured.
        value: The figure; None where it could not be measured here.
        beside: What it is compared with, and other figures of the same measurement.
        least: What it is asked to reach, at least.
        most: What it is asked not to exceed.
    """

    what: str
    value: float | None
    beside: str = ""
    least: float | None = None
    most: float | None = None

    @property
    def asked(self) -> str:
        """The bound in words."""
        return f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}" if self.most is not None else ""

    @property
    def answer(self) -> str:
        """Whether the bound is kept; empty where none is asked."""
        if self.value is None:
            return UNMEASURED
        if not self.asked:
            return ""
        kept = self.value >= self.least if self.least is not None else self.value <= self.most  # type: ignore[operator]
        return "reached" if kept else "not reached"


@dataclass
class Voice:
    """A pipeline with two styles far apart.

    Attributes:
        tts: The pipeline.
        runs: Repetitions of each measurement.
    """

    tts: GradTTSInterpPipeline
    runs: int

    def __post_init__(self) -> None:
        """Read the styles."""
        self.styles = [self.tts.style(speaker=number) for number in SPEAKERS]

    @classmethod
    def load(cls, checkpoint: str, *, runs: int) -> Voice:
        """Load a checkpoint onto the fastest device."""
        tts = GradTTSInterpPipeline.from_pretrained(checkpoint)
        tts.set_progress_bar_config(disable=True)
        return cls(tts.to("cuda" if torch.cuda.is_available() else "cpu"), runs)

    def speak(self, text: str | list[str], steps: int | None = None, **options: Any) -> Any:
        """Move from the first style to the second over the sentence, the noise of seed 0."""
        solver = DEFAULT_SOLVER if steps else None
        options = {"share": shares.ramp(), "seed": 0, "num_inference_steps": steps, "solver": solver, **options}
        return self.tts(text, *self.styles, **options)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Context in which mels are not decoded."""
        self.tts.vocoder.decode = lambda mels, *_, **__: [m.new_zeros(1) for m in mels]  # type: ignore[method-assign]
        try:
            yield
        finally:
            del self.tts.vocoder.decode

    def seconds(self, work: Callable[[], Any]) -> float:
        """Median seconds of some work; where it runs once, that is not even warmed up."""
        return timed(work, runs=self.runs, warm_up=int(self.runs > 1)).median

    def evaluation(self) -> tuple[Score, torch.Tensor, torch.Tensor]:
        """The score of a blend with the usual mechanisms, a noisy mel, and a time."""
        tts, share = self.tts, shares.ramp()
        with torch.no_grad():
            prepared = tts.prepare([tts.frontend(SENTENCE)], self.styles, share)
            total = fix_length(int(prepared.lengths[0]), tts.model.frame_multiple)
            readings = [read_style(tts.model, e, prepared.durations, total) for e in prepared.encoded]
            plan = make_plan(
                readings, stack_shares(prepared.maps, total, tts.device), tts.chosen_mechanisms(None, share)
            )
            score = make_score(tts.model, plan, frame_mask(prepared.lengths, total))
        return score, torch.randn_like(plan.mu), torch.full((1,), 0.5, device=tts.device)


def text_to_speech(voice: Voice) -> list[Figure]:
    """Text to mel and to sound, beside the neighbours' networks on as many frames."""
    speech = voice.speak(SENTENCE)
    frames = fix_length(speech.mel.shape[1], 8)
    device, exact = voice.tts.device, speech.mel.shape[1] / frames
    neighbours = {
        "Grad-TTS": voice.seconds(grad_tts(frames, device)) * exact * GRAD_TTS_STEPS / TIMED_STEPS,
        "Matcha-TTS": voice.seconds(matcha(frames, device)) * exact,
    }
    with voice.silent():
        mel = {n: voice.seconds(lambda n=n: voice.speak(SENTENCE, n)) for n in (0, DEFAULT_STEPS)}
    wav = {n: voice.seconds(lambda n=n: voice.speak(SENTENCE, n)) for n in (0, DEFAULT_STEPS, 4, CONVERGED_STEPS)}
    long = speech.seconds
    ours = mel[DEFAULT_STEPS]
    others = ", ".join(f"{wav[n] / long:.3f} at {n}" for n in (4, CONVERGED_STEPS))
    usual = f"two styles, {DEFAULT_STEPS} steps"
    return [
        Figure(
            "Grad-TTS's U-Net, one style: RTF",
            neighbours["Grad-TTS"] / long,
            f"{GRAD_TTS_STEPS} Euler steps, {TIMED_STEPS} of them timed",
        ),
        Figure(
            "Matcha-TTS's decoder, one style: RTF", neighbours["Matcha-TTS"] / long, f"{MATCHA_EVALUATIONS} evaluations"
        ),
        Figure(f"text to mel, {usual}: RTF", ours / long, f"{mel[0] / long:.3f} at 0 steps", most=0.05),
        Figure(f"text to mel, {usual}: times faster than Grad-TTS", neighbours["Grad-TTS"] / ours, least=100),
        Figure(f"text to mel, {usual}: times faster than Matcha-TTS", neighbours["Matcha-TTS"] / ours),
        Figure(f"text to wav, {usual}: RTF", wav[DEFAULT_STEPS] / long, others, most=0.07),
        Figure("text to wav, two styles, 0 steps: RTF", wav[0] / long, f"{long:.2f} s of speech", most=0.03),
    ]


def batch(voice: Voice) -> list[Figure]:
    """Eight sentences at once against one after the other."""
    texts = list(SENTENCES)
    with voice.silent():
        one = voice.seconds(lambda: [voice.speak(text) for text in texts])
        all_at_once = voice.seconds(lambda: voice.speak(texts))
    return [Figure("text to mel, 8 at once: times the throughput of one", one / all_at_once, least=1.8)]


def cold_start(voice: Voice) -> list[Figure]:
    """From the start of the command to its end."""
    with tempfile.TemporaryDirectory() as out:
        flags = ["--text", SENTENCE, "-s", "12", "-s2", "10", "-t", "4", "--no-plots", "--out", out]
        command = [sys.executable, str(ROOT / "inference.py"), *flags]
        seconds = voice.seconds(lambda: subprocess.run(command, cwd=ROOT, check=True, capture_output=True))
    return [Figure("cold start, -t 4 --no-plots: s", seconds, most=4)]


def first_sound(voice: Voice) -> list[Figure]:
    """From the call to the first piece of a long sentence, and how late the latest piece is."""
    found: dict[int, tuple[float, float]] = {}
    rate, length = voice.tts.model.settings.mel.sample_rate_hz, 0.0
    for steps in (0, DEFAULT_STEPS, 4):
        runs = []
        for _ in range(voice.runs):
            start, heard, late, first = time.perf_counter(), 0.0, -np.inf, 0.0
            solver = DEFAULT_SOLVER if steps else None
            options = {"share": shares.ramp(), "seed": 0, "num_inference_steps": steps, "solver": solver}
            for piece in voice.tts.stream_audio([LONG], *voice.styles, **options):
                now = time.perf_counter() - start
                first = first or now
                late, heard = max(late, now - first - heard), heard + len(piece) / rate
            runs.append((first, late))
            length = heard
        found[steps] = tuple(np.median(runs, axis=0))  # type: ignore[assignment]
    first = {steps: values[0] for steps, values in found.items()}
    beside = f"{first[0]:.3f} at 0, {first[4]:.3f} at 4 steps; sentence of {length:.1f} s"
    return [
        Figure(f"first sound, {DEFAULT_STEPS} steps: s", first[DEFAULT_STEPS], beside, most=0.2),
        Figure("latest piece after its time, 4 steps: s", found[4][1], "below 0: in time", most=0),
    ]


def mass(voice: Voice) -> list[Figure]:
    """Recording attention mass at one site, 10 s by two references of 10 s."""
    site, device = next(iter(voice.tts.model.attention_sites.values())), voice.tts.device
    cell, (channels, width) = int(site.cell), (site.attn.to_q.in_features, site.attn.to_k.in_features)
    plane = torch.randn(1, channels, 80 // cell, TEN_SECONDS // cell, device=device)
    mask = torch.ones(1, 1, 1, plane.shape[-1], device=device)
    keys = 20 * TEN_SECONDS // 8
    tokens = context_of(torch.randn(1, keys, width).to(device), torch.ones(1, keys, device=device))
    context = join([tokens] * 2, torch.full((1, 2, 80, TEN_SECONDS), 0.5, device=device))
    sets = functional.one_hot(context.owner, 2).float()[None]
    masses: list[torch.Tensor] = []
    before, seconds, memory = site.attn.processor, [], []

    def work() -> None:
        masses.clear()
        with torch.no_grad():
            site(plane, mask, context)

    for processor in (StyleAttnProcessor(), AttentionMassProcessor(lambda _: sets, masses.append)):
        site.attn.processor = processor
        seconds.append(voice.seconds(work))
        memory.append(peak_mib(work))
    site.attn.processor = before
    known = None not in memory and memory[0] > 0
    beside = f"{1e3 * seconds[0]:.0f} ms without; memory "
    beside += f"{memory[1]:.0f} MiB, {memory[0]:.0f} without" if known else UNMEASURED
    return [
        Figure("attention mass at 10 s x 10 s: times the time of none", seconds[1] / seconds[0], beside, most=1.2),
        Figure(
            "attention mass at 10 s x 10 s: times the memory of none",
            memory[1] / memory[0] if known else None,  # type: ignore[operator]
            most=1.2,
        ),
    ]


def tuning(voice: Voice) -> list[Figure]:
    """Noise tuning, both styles offered openly, against plain synthesis of as many steps."""
    options = {"steps": CONVERGED_STEPS, "offer": "open", "share": shares.step(0.5)}
    plain = voice.seconds(lambda: voice.speak(SENTENCE, **options))
    tuned = voice.seconds(lambda: voice.speak(SENTENCE, noise_tuning=NoiseTuning(), **options))
    return [Figure(f"noise tuning, {CONVERGED_STEPS} steps: times the plain", tuned / plain, f"{plain:.2f} s", most=2)]


def training(voice: Voice) -> list[Figure]:
    """A training step on made-up utterances, batch of 8, against a plain loop in fp32: of all, of the score network."""
    config, device = MixConfig(), voice.tts.device
    items = Mixer(_items(), config, voice.tts.model.settings.mel).batch(0, 8).to(device)
    diffusion = draw_diffusion(0, 0, size=8, shape=(80, config.crop_frames))
    bf16, rates = bf16_is_fast(device), {}
    for ours in (False, True):
        if ours:
            keep_freed_memory()
        for only in ("", SCORE):
            model = GradTTS(voice.tts.model.settings.to_dict()).to(device).train()
            optimiser = torch.optim.AdamW(parameters_to_train(model, only), lr=1e-4, fused=ours)
            module = LossModule(model)

            def work(module=module, optimiser=optimiser, ours=ours) -> None:
                with torch.autocast(device.type, torch.bfloat16, enabled=ours and bf16):
                    loss = module(items, diffusion).total
                loss.backward()
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)

            with nullcontext() if ours else plain_layers():
                rates[ours, only] = 8 * config.crop_frames / voice.seconds(work)
    found = []
    for only, name in (("", "training"), (SCORE, "training the score network alone")):
        beside = f"{rates[True, only]:.0f} and {rates[False, only]:.0f} frames a second"
        found.append(
            Figure(f"{name}: times a plain fp32 loop", rates[True, only] / rates[False, only], beside, least=3)
        )
    return found


def precision(voice: Voice) -> list[Figure]:
    """One evaluation of the score in bf16 against fp32, among others of a sampler."""
    if not bf16_is_fast(voice.tts.device):
        return [Figure("one evaluation: fp32 over bf16", None, "no units for it", least=1.5)]
    score, x, t = voice.evaluation()
    seconds = []
    for name in ("fp32", "bf16"):
        voice.tts.accelerate(name)
        with torch.no_grad(), settled():
            seconds.append(voice.seconds(lambda: score(x, t)))
    voice.tts.accelerate("fp32")
    beside = f"{1e3 * seconds[0]:.0f} and {1e3 * seconds[1]:.0f} ms"
    return [Figure("one evaluation: fp32 over bf16", seconds[0] / seconds[1], beside, least=1.5)]


def compiling(voice: Voice) -> list[Figure]:
    """One evaluation of the score by a compiled network, and what compiling takes."""
    score, x, t = voice.evaluation()

    @torch.no_grad()
    def work() -> torch.Tensor:
        return score(x, t)

    eager = voice.seconds(work)
    voice.tts.accelerate("fp32", compile_mode="default")
    cold, warm = timed(work, runs=1, warm_up=0).best, voice.seconds(work)
    voice.tts.accelerate("fp32")
    return [Figure("one evaluation: eager over compiled", eager / warm, f"compiled in {cold:.0f} s")]


def gpu(voice: Voice) -> list[Figure]:
    """On a GPU: how near evaluations in bf16 are to its products, and how long a sentence takes by CUDA graphs."""
    share, milliseconds = None, None
    if voice.tts.device.type == "cuda":
        share, milliseconds = gpu_figures(voice, size=64, product=8192)
    return [
        Figure("GPU: bf16 rate of the U-Net in batch, % of a large product's", share, least=40),
        Figure("GPU: 5 s sentence, 10 steps, to sound: ms", milliseconds, most=30),
    ]


def gpu_figures(voice: Voice, *, size: int, product: int) -> tuple[float, float]:
    """The figures of a GPU, by commands that also run elsewhere.

    Args:
        voice: Moved to the device.
        size: Sentences in a batch.
        product: Rows of the matrix product that is the measure.

    Returns:
        Rate of the U-Net in a batch in % of that of a product, both in bf16; milliseconds of a sentence to sound.
    """
    from torch.utils.flop_counter import FlopCounterMode

    tts = voice.tts
    a, b = (torch.randn(product, product, device=tts.device, dtype=torch.bfloat16) for _ in range(2))
    rate = 2 * product**3 / timed(lambda: a @ b, runs=voice.runs).median
    tts.accelerate("bf16")
    x = torch.randn(size, 80, 432, device=tts.device)
    prosody = torch.zeros(size, PROSODY_CHANNELS, 432, device=tts.device)
    t, mask = torch.full((size,), 0.5, device=tts.device), torch.ones(size, 1, 432, device=tts.device)

    @torch.no_grad()
    def evaluate() -> torch.Tensor:
        return tts.model.score(x, mask, x, t, prosody=prosody)

    with plain_layers(), FlopCounterMode(display=False) as counter:
        evaluate()
    share = 100 * counter.get_total_flops() / timed(evaluate, runs=voice.runs).median / rate
    if tts.device.type == "cuda":
        tts.accelerate("bf16", compile_mode="reduce-overhead")
    seconds = timed(lambda: voice.speak(SENTENCE, 10), runs=voice.runs, warm_up=3).median
    tts.accelerate("fp32")
    return share, 1e3 * seconds


def _items() -> list[Item]:
    """Utterances of 200 frames in two voices and two manners, with blends; their values do not matter for speed."""
    draw, length = np.random.default_rng(0), 200
    styles = [StyleRef(voice, pitch) for voice in ("s0", "s1") for pitch in ("s0-neutral", "s1-happy")]
    ones = np.ones(length, dtype=np.float32)
    contour = Contour(150.0 * ones, ones > 0, -25.0 * ones, frame_rate_hz=86.0)
    items = []
    for index in range(24):
        pair = (styles[index % 4],) if index < 16 else (styles[index % 4], styles[(index + 1) % 4])
        items.append(
            Item(
                id=f"item-{index}",
                kind="grid" if len(pair) == 1 else "blend",
                split="train",
                text=f"text {index}",
                ids=draw.integers(64, 148, 40),
                durations=np.full(40, length // 40),
                mel=draw.normal(-6, 0.5, (80, length)).astype(np.float16),
                contour=contour,
                prosody=np.zeros(4, dtype=np.float32),
                styles=pair,
                share=np.linspace(0, 1, length, dtype=np.float32) if len(pair) == 2 else None,
            )
        )
    return items
