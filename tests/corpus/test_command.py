import argparse

import pytest

from gradtts_interp.corpus import command
from gradtts_interp.corpus.plan import BuildSettings


def parse(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def test_options_become_settings(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(
        command, "build_corpus", lambda folder, settings, **options: calls.append((folder, settings, options))
    )
    words = ("--out", str(tmp_path), "--seed", "3", "--bank-utterances", "2", "--jobs", "1", "--first", "9")
    assert command.run(parse("build", *words)) == 0
    assert calls == [(tmp_path, BuildSettings(seed=3, bank_utterances=2), {"first": 9, "jobs": 1, "progress": True})]


def test_defaults_are_those_of_the_settings(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(command, "build_corpus", lambda folder, settings, **options: calls.append(settings))
    command.run(parse("build", "--out", str(tmp_path), "--quiet"))
    assert calls == [BuildSettings()]


def test_out_is_required(capsys):
    with pytest.raises(SystemExit):
        parse("build")
    assert "--out" in capsys.readouterr().err
