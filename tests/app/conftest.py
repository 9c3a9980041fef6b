"""Fixtures of the app."""

import pytest
from speaking import checkpoint, tone_wav

from gradtts_interp.app.studio import Studio
from gradtts_interp.pipeline import GradTTSInterpPipeline

__all__ = ["checkpoint", "tone_wav"]


@pytest.fixture(scope="session")
def pipeline(checkpoint):
    loaded = GradTTSInterpPipeline.from_pretrained(checkpoint)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture
def studio(pipeline, checkpoint):
    made = Studio(pipeline, checkpoint)
    made.uploads.mkdir()
    yield made
    made.close()
    assert not made.root.exists()
