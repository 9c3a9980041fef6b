"""Small recordings and a small training."""

import dataclasses

import numpy as np
import pytest
import soundfile
import tiny as shapes
import torch

from hifigan import GeneratorConfig
from hifigan.train import HARMONIC, TrainingConfig

RATE = 22050


@pytest.fixture
def recordings(tmp_path):
    """Three harmonic sounds of about a second in a folder."""
    folder = tmp_path / "wavs"
    folder.mkdir()
    for index, hz in enumerate((110.0, 150.0, 200.0)):
        time = np.arange(RATE + 1000 * index) / RATE
        audio = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 9)) * 0.1
        soundfile.write(folder / f"{index}.wav", audio, RATE, subtype="PCM_16")
    return folder


@pytest.fixture
def tiny():
    """A training of tiny networks; every part is in it."""
    generator = GeneratorConfig("2", (8, 8, 4), (16, 16, 8), 16, (3,), ((1, 2),))
    torch.set_num_threads(1)
    return TrainingConfig(
        generator=generator, batch=2, segment=2048, divisor=32, periods=(2, 3), scales=2, spectral_share=0.5,
        bfloat16=False, mel_noise=0.1, rate_warmup_steps=2,
    )  # fmt: skip


@pytest.fixture
def tiny_harmonic():
    """A training of a tiny generator with a harmonic source."""
    torch.set_num_threads(1)
    return dataclasses.replace(
        HARMONIC, generator=shapes.HARMONIC, batch=2, segment=4096,
        windows=(512,), window_channels=4, spectral_share=0.5, bfloat16=False, rate_warmup_steps=2,
    )  # fmt: skip
