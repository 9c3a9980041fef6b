"""Fixtures of the command line."""

import pytest

from gradtts_interp.cli.main import main as verbs


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
