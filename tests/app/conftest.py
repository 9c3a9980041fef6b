"""Fixtures of the app."""

from argparse import Namespace

import pytest

from gradtts_interp.app.rendering import FormRenderer
from gradtts_interp.pipeline import GradTTSInterpPipeline


@pytest.fixture
def renderer(checkpoint):
    pipeline = GradTTSInterpPipeline.from_pretrained(checkpoint)
    pipeline.set_progress_bar_config(disable=True)
    limits = {"max_steps": 200, "max_upload_mb": 10.0, "max_upload_seconds": 60.0}
    made = FormRenderer(pipeline, Namespace(checkpoint=str(checkpoint), vocoder=None, **limits))
    made.uploads.mkdir()
    yield made
    made.close()
    assert not made.root.exists()
