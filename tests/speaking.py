"""A checkpoint of random weights, small enough to speak in milliseconds, saved as users have it."""

from dataclasses import replace

import torch
from tiny import EMOTIONS, TINY

from gradtts_interp.config import StyleConfig
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.styles import StyleBank, style_of_samples
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.vocoder import Vocoder
from hifigan import GeneratorConfig

RATE_HZ = 22050
F0_OF_SPEAKER = {10: 220.0, 12: 110.0}
STYLE = StyleConfig(width=16, heads=2, n_speakers=16, emotion_dim=len(EMOTIONS))
SHAPE = replace(
    TINY, n_enc_channels=16, filter_channels=16, filter_channels_dp=8, n_enc_layers=1, spk_emb_dim=8, dec_dim=8,
    prior_width=16, prior_phone_layers=1, prior_frame_layers=1, timbre_width=16, mel_mean=-4.0, mel_std=0.2,
    style=STYLE,
)  # fmt: skip
FRAMES_PER_TOKEN_LOG = 1.6  # about 5 frames; random weights say about 1, which is too short to measure anything


def harmonic_tone(f0_hz: float, seconds: float = 1.0) -> torch.Tensor:
    """A voice-like tone: harmonics that fall by 1/k, with a slow vibrato."""
    time = torch.arange(int(seconds * RATE_HZ)) / RATE_HZ
    phase = 2 * torch.pi * f0_hz * time + 0.3 * torch.sin(2 * torch.pi * 5 * time)
    wave = sum(torch.sin(k * phase) / k for k in range(1, 16))
    return 0.2 * wave / wave.abs().max()


def tiny_vocoder() -> Vocoder:
    """A generator whose sound depends on the mel (usual initial weights are too small for that)."""
    vocoder = Vocoder(GeneratorConfig("2", (8, 8, 4), (16, 16, 8), 8, (3,), ((1,),)))
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in vocoder.generator.parameters():
            if weight.dim() > 1:
                fan_in = weight[0].numel()
                weight.copy_(torch.randn(weight.shape, generator=random) / fan_in**0.5)
    return vocoder


def tiny_pipeline() -> GradTTSInterpPipeline:
    """Random weights with open gates, so that styles matter."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = GradTTS(SHAPE.to_dict())
    with torch.no_grad():
        for site in model.attention_sites.values():
            site.gate.fill_(1.0)
        model.encoder.proj_w.proj.bias.fill_(FRAMES_PER_TOKEN_LOG)
        model.decoder.estimator.final_conv.weight.mul_(0.2)  # with mel_std above: mels of ordinary size
    styles = {
        (speaker, emotion): style_of_samples(harmonic_tone(f0_hz * (1 + i / 8)), SHAPE.mel, name="tone")
        for speaker, f0_hz in F0_OF_SPEAKER.items()
        for i, emotion in enumerate(EMOTIONS)
    }
    frontend = TextFrontend(add_blank=False, word_boundaries=False)
    return GradTTSInterpPipeline(model, tiny_vocoder(), frontend, StyleBank(styles, EMOTIONS))
