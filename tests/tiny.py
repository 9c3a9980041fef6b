"""Tiny random models and styles for tests; every zero-initialised part is opened, so that nothing hides behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from gradtts_interp.config import MelConfig, ModelConfig, StyleConfig
from gradtts_interp.models.estimator import SelfAttention
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.layers import ConvNeXtBlock
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.pitch.contour import Contour, prosody_vector
from gradtts_interp.styles import Style, StyleBank
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.vocoder import MelDecoder
from hifigan import HarmonicConfig

EMOTIONS = ("neutral", "happy")
TINY_STYLE = StyleConfig(width=32, patch_bins=8, patch_frames=4, heads=2, n_speakers=4, emotion_dim=len(EMOTIONS))
TINY = ModelConfig(
    spk_emb_dim=16,
    n_enc_channels=32,
    filter_channels=32,
    filter_channels_dp=16,
    n_enc_layers=2,
    dec_dim=16,
    patch=2,
    prediction="epsilon",
    prior="frame",
    prior_width=32,
    prior_phone_layers=2,
    prior_frame_layers=2,
    timbre_width=24,
    mel_mean=-6.0,
    mel_std=0.5,
    add_blank=False,
    word_boundaries=False,
    style=TINY_STYLE,
)
HARMONIC = HarmonicConfig(width=16, blocks=2, pitch_width=8, pitch_blocks=1)
TINY_OFFICIAL = replace(
    TINY, style=None, prior="token", patch=1, prediction="score", mel_mean=0.0, mel_std=1.0,
    add_blank=True, word_boundaries=True,
)  # fmt: skip


def open_gates(model: GradTTS) -> GradTTS:
    """Give the parts that start at zero random values, and tokens about four frames each."""
    with torch.no_grad():
        if model.decoder is not None:
            estimator = model.decoder.estimator
            for site in estimator.style_attn.values():
                torch.nn.init.ones_(site.gate)
            if model.has_style:
                torch.nn.init.normal_(estimator.prosody_conv.weight, std=0.3)
                torch.nn.init.normal_(estimator.pitch_conv.weight, std=0.1)
            # Mels of ordinary size, so that absolute tolerances mean something.
            estimator.final_conv.weight.mul_(0.2)
        if model.has_style:
            torch.nn.init.normal_(model.encoder.duration_style.weight, std=0.3)
        for block in model.modules():
            if isinstance(block, ConvNeXtBlock) and block.film is not None:
                torch.nn.init.normal_(block.film.weight, std=0.3)
        for module in model.modules():
            if isinstance(module, SelfAttention):
                torch.nn.init.constant_(module.fn.g, 0.3)
        torch.nn.init.constant_(model.encoder.proj_w.proj.bias, 1.3)
    return model


def tiny_model(settings: ModelConfig = TINY, *, seed: int = 0) -> GradTTS:
    """Random model with open gates, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return open_gates(GradTTS(settings.to_dict())).eval()


def tiny_style(seed: int, *, frames: int = 30, f0_hz: float = 120.0, config: MelConfig | None = None) -> Style:
    """Random reference around an F0."""
    config = config or MelConfig()
    rng = np.random.default_rng(seed)
    voiced = np.ones(frames, dtype=bool)
    voiced[::7] = False
    contour = Contour(
        f0_hz=(f0_hz * 2 ** (0.2 * np.sin(np.arange(frames) / 5 + seed))).astype(np.float32),
        voiced=voiced,
        energy_db=(-25 + 8 * np.sin(np.arange(frames) / 3 + seed)).astype(np.float32),
        frame_rate_hz=config.frame_rate_hz,
    )
    return Style(
        name=f"tiny {seed}",
        speaker=seed % TINY_STYLE.n_speakers,
        emotion=np.eye(len(EMOTIONS), dtype=np.float32)[seed % len(EMOTIONS)],
        mel=(rng.normal(-6, 2, (config.n_mels, frames))).astype(np.float32),
        contour=contour,
        prosody=prosody_vector(contour),
    )


A, B = tiny_style(1, f0_hz=110.0), tiny_style(2, frames=41, f0_hz=220.0)


def tiny_bank() -> StyleBank:
    """Two speakers, the first with two emotions."""
    styles = {}
    for seed, (speaker, emotion) in enumerate([(0, "neutral"), (0, "happy"), (2, "neutral")]):
        vector = np.array([float(e == emotion) for e in EMOTIONS], dtype=np.float32)
        style = tiny_style(seed, frames=20 + seed, f0_hz=100.0 + 60 * seed)
        styles[speaker, emotion] = replace(style, name=f"speaker {speaker} {emotion}", speaker=speaker, emotion=vector)
    return StyleBank(styles, EMOTIONS)


class StubVocoder(MelDecoder):
    """Repeats the mean of each frame, so that audio depends on the mel and costs nothing."""

    context_frames = 0

    def __init__(self, config: MelConfig | None = None) -> None:
        super().__init__(config or MelConfig())

    def _decode(self, mel: Tensor, contour: object = None, before: object = None) -> Tensor:
        return (mel.mean(1) / 100).repeat_interleave(self.mel_config.hop_samples, dim=-1).clamp(-1, 1)


def tiny_pipeline(settings: ModelConfig = TINY, *, seed: int = 0) -> GradTTSInterpPipeline:
    """Pipeline of a tiny model, a stub vocoder and a small bank."""
    frontend = TextFrontend(add_blank=settings.add_blank, word_boundaries=settings.word_boundaries)
    pipeline = GradTTSInterpPipeline(tiny_model(settings, seed=seed), StubVocoder(settings.mel), frontend, tiny_bank())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
