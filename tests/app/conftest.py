"""Fixtures of the app."""

import pytest
from speaking import checkpoint, tone_wav

from gradtts_interp.app.rendering import FormRenderer
from gradtts_interp.pipeline import GradTTSInterpPipeline

__all__ = ["checkpoint", "tone_wav"]


@pytest.fixture(scope="session")
def pipeline(checkpoint):
    loaded = GradTTSInterpPipeline.from_pretrained(checkpoint)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture
def renderer(pipeline, checkpoint):
    made = FormRenderer(pipeline, checkpoint)
    made.uploads.mkdir()
    yield made
    made.close()
    assert not made.root.exists()
