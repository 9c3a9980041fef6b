"""Parts (c), (d), (f): recording of attention, noise tuning, training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.speed.measure import peak_mib, timed
from benchmarks.speed.setup import SHORT, SpeedSetup
from gradtts_interp import shares
from gradtts_interp.interpolation.noise import NoiseTuning, NoiseWindow
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.style_attention import (
    AttentionMapProcessor,
    AttentionMassProcessor,
    StyleAttnProcessor,
    StyleCrossAttention,
)
from gradtts_interp.models.style_context import StyleTokens, join
from gradtts_interp.training.data import Corpus, Item, StyleRef
from gradtts_interp.training.loop import LossModule
from gradtts_interp.training.losses import draw_diffusion
from gradtts_interp.training.mix import MixConfig, Mixer

Rows = list[dict[str, Any]]


class FullMaps:
    """Baseline: keeps every map whole."""

    def __init__(self) -> None:
        self.maps: list[torch.Tensor] = []

    def __call__(self, weights, queries, positions, context) -> None:
        """Keep a part of a map."""
        self.maps.append(weights)


def attention(setup: SpeedSetup) -> Rows:
    """One attention site at (20, T/4): time and peak memory of no record, of mass, and of full maps (baseline)."""
    device, rows = setup.tts.device, []
    for frames, keys in ((228, 600), (912, 600), (228, 2400), (912, 2400)):
        site = StyleCrossAttention(128, 128, heads=4, cell=4.0).to(device).eval()
        plane, mask = (
            torch.randn(1, 128, 20, frames // 4, device=device),
            torch.ones(1, 1, 1, frames // 4, device=device),
        )
        tokens = StyleTokens(*(torch.randn(1, keys, 128), torch.ones(1, keys), torch.zeros(1, 128)))
        share = torch.full((1, 2, 80, frames), 0.5)
        context = join(
            [StyleTokens(tokens.tokens.to(device), tokens.weight.to(device), tokens.pooled)] * 2, share.to(device)
        )
        sets = torch.nn.functional.one_hot(context.owner, 2).float()[None]
        masses: list[torch.Tensor] = []
        full = FullMaps()
        processors = {
            "none": StyleAttnProcessor(),
            "mass": AttentionMassProcessor(lambda _, s=sets: s, masses.append),
            "full maps (baseline)": AttentionMapProcessor(full),
        }
        for name, processor in processors.items():
            site.attn.processor = processor

            def work(site=site, plane=plane, mask=mask, context=context, full=full, masses=masses) -> None:
                full.maps.clear(), masses.clear()
                with torch.no_grad():
                    site(plane, mask, context)

            timing, memory = timed(work, runs=2 if setup.quick else 5), None
            full.maps.clear(), masses.clear()
            memory = peak_mib(work)
            rows.append(
                {
                    "record": name,
                    "frames": frames,
                    "keys": 2 * keys,
                    "ms": round(1e3 * timing.median, 2),
                    "peak MiB": None if memory is None else round(memory, 1),
                }
            )
            full.maps.clear(), masses.clear()
    return rows


def tuning(setup: SpeedSetup) -> Rows:
    """Noise tuning of a short sentence, by the default sampler: beside plain synthesis (baseline); peak memory."""
    cases = {"no tuning (baseline)": None}
    windows = (NoiseWindow(0.8, 1.0, style=0, region="pitch", steps=4),)
    cases["latent"] = NoiseTuning(windows=windows)
    cases["initial"] = NoiseTuning(windows=windows, target="initial")
    cases["defaults"] = NoiseTuning()
    rows: Rows = []
    for name, chosen in cases.items():
        speech = []

        def work(chosen=chosen, speech=speech) -> None:
            speech.append(
                setup.tts(
                    SHORT,
                    setup.a,
                    setup.b,
                    share=shares.pitch(),
                    seed=0,
                    noise_tuning=chosen,
                )
            )

        memory = peak_mib(work)  # and warm-up
        seconds = timed(work, runs=1 if setup.quick else 2, warm_up=0).best
        trace = speech[-1].tuning
        count = len(trace.steps) if trace is not None else 0
        plain = rows[0]["seconds"] if rows else seconds
        rows.append(
            {
                "target": name,
                "seconds": round(seconds, 3),
                "gradient steps": count,
                "seconds per step": round((seconds - plain) / count, 3) if count else None,
                "peak MiB": None if memory is None else round(memory),
                "of plain synthesis": round(seconds / plain, 2),
            }
        )
    return rows


def training(setup: SpeedSetup) -> Rows:
    """Training steps of the demo's network on made-up utterances, batch 8, crops of 128 frames; baseline eager fp32."""
    config = MixConfig()
    mixer = Mixer(Corpus(_items()), config, setup.tts.model.settings.mel)
    size = 2 if setup.quick else 8
    batch = mixer.batch(0, size).to(setup.tts.device)
    diffusion = draw_diffusion(0, 0, size=size, shape=(80, config.crop_frames))
    rows: Rows = []
    for name, bf16 in (("eager fp32 (baseline)", False), ("bf16 autocast", True)):
        model = GradTTS(setup.tts.model.settings.to_dict()).to(setup.tts.device).train()
        module = LossModule(model)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

        def work(module=module, optimiser=optimiser, bf16=bf16) -> None:
            with torch.autocast(setup.tts.device.type, torch.bfloat16, enabled=bf16):
                loss = module(batch, diffusion).total
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

        timing = timed(work, runs=1 if setup.quick else 5)
        memory = peak_mib(work)
        frames = size * config.crop_frames
        rows.append(
            {
                "setting": name,
                "batch": size,
                "seconds per step": round(timing.median, 3),
                "target frames per second": round(frames / timing.median),
                "peak MiB": None if memory is None else round(memory),
            }
        )
    return rows


def _items() -> list[Item]:
    """Utterances of 200 frames in two voices and two manners, with blends; their values do not matter for speed."""
    draw, length = np.random.default_rng(0), 200
    styles = [StyleRef(voice, pitch) for voice in ("s0", "s1") for pitch in ("s0-neutral", "s1-happy")]
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
                f0_hz=np.full(length, 150.0, dtype=np.float32),
                voiced=np.ones(length, dtype=bool),
                energy_db=np.full(length, -25.0, dtype=np.float32),
                prosody=np.zeros(4, dtype=np.float32),
                styles=pair,
                share=np.linspace(0, 1, length, dtype=np.float32) if len(pair) == 2 else None,
            )
        )
    return items
