"""Fixtures of the command line."""

import pytest

from gradtts_interp.cli.main import main as verbs
from gradtts_interp.pipeline import GradTTSInterpPipeline


@pytest.fixture
def command(capsys):
    """Run a command in this process; exit status, stdout and stderr."""

    def run(*argv, main=verbs):
        try:
            status = main([str(argument) for argument in argv])
        except SystemExit as stop:
            status = stop.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return run


@pytest.fixture
def say(command, monkeypatch, tmp_path, tiny_pipeline):
    """Run a verb that says a sentence by a tiny model, as ``command`` does; it writes to ``out``."""
    monkeypatch.setattr(GradTTSInterpPipeline, "from_pretrained", lambda *_, **__: tiny_pipeline)
    return lambda verb, *flags: command(verb, "--text", "Go down.", "-t", 2, "--out", tmp_path / "out", *flags)
