"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Folder of golden numbers; ``GOLDEN_DIR`` lets others of the same format be run."""
    return Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent / "golden"))
