"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Folder of golden numbers; ``GOLDEN_DIR`` lets others of the same format be run."""
    return Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent / "golden"))


@pytest.fixture
def tiny_model():
    """Random acoustic model with open gates; see ``tests/tiny.py`` for variants."""
    from tiny import tiny_model

    return tiny_model()


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
