"""Fixtures shared by all tests."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # inference.py and the benchmarks, which are not installed


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Folder of golden numbers; ``GOLDEN_DIR`` lets others of the same format be run."""
    return Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent / "golden"))


@pytest.fixture(scope="session")
def golden(golden_dir):
    """The official Grad-TTS on random weights: its configuration, texts, weights, the model, and its numbers."""
    from safetensors.torch import load_file

    from gradtts_interp.config import ModelConfig
    from gradtts_interp.models.grad_tts import GradTTS

    values = json.loads((golden_dir / "grad_tts.json").read_text())
    config, weights = ModelConfig.from_dict(values["config"]), load_file(golden_dir / "grad_tts_weights.safetensors")
    tensors, model = load_file(golden_dir / "grad_tts_tensors.safetensors"), GradTTS(config.to_dict()).eval()
    model.load_state_dict(weights)
    speaker = weights["spk_emb.weight"][tensors["speaker_id"]] if config.n_spks > 1 else None
    return SimpleNamespace(
        config=config, texts=values["texts"], weights=weights, model=model, tensors=tensors, speaker=speaker
    )


@pytest.fixture
def tiny_model():
    """Random acoustic model with open gates; see ``tests/tiny.py`` for variants."""
    from tiny import tiny_model

    return tiny_model()


@pytest.fixture
def harmonic():
    """Vocoder with a tiny harmonic source whose networks' last layers are open."""
    import torch
    from tiny import HARMONIC

    from gradtts_interp.vocoder import Vocoder

    torch.manual_seed(0)
    made = Vocoder(HARMONIC)
    for weight in (made.generator.leave.weight, made.generator.pitch.leave.weight):
        torch.nn.init.normal_(weight, std=0.3)
    return made


@pytest.fixture(scope="session")
def tiny_pipeline():
    """Pipeline of a tiny random model with a stub vocoder and a small bank; not to be changed by a test."""
    from tiny import tiny_pipeline

    return tiny_pipeline()


@pytest.fixture(scope="session")
def tts():
    """The shipped checkpoint; not to be changed by a test."""
    from gradtts_interp.pipeline import GradTTSInterpPipeline

    pipeline = GradTTSInterpPipeline.from_pretrained(Path(__file__).parents[1] / "checkpts" / "demo")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """Random weights, small enough to speak in milliseconds, saved as users have them."""
    from speaking import tiny_pipeline

    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    tiny_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def tone_wav(tmp_path) -> Path:
    """A recording of a voice-like tone."""
    from speaking import RATE_HZ, harmonic_tone

    from gradtts_interp.audio import write_wav

    write_wav(tmp_path / "tone.wav", harmonic_tone(180.0), RATE_HZ)
    return tmp_path / "tone.wav"
