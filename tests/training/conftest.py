"""Fixtures of the training tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fake_corpus import MIX, TINY, fake_items, write_corpus

from gradtts_interp.config import MelConfig, ModelConfig
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.training.mix import Mixer


@pytest.fixture
def mixer() -> Mixer:
    return Mixer(fake_items(), MIX, MelConfig(), seed=3)


@pytest.fixture
def make_model():
    """Function from a seed and settings to a fresh random model."""

    def make(seed: int = 0, settings: ModelConfig = TINY) -> GradTTS:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return GradTTS(settings.to_dict())

    return make


@pytest.fixture
def corpus_folder(tmp_path) -> Path:
    """Folder of a built corpus."""
    return write_corpus(tmp_path / "corpus")
