"""The judges of words and opinion: what they are given, what they need, and how rates are pooled."""

import sys
import types

import numpy as np
import pytest
from refusing import called, refused

from benchmarks import judges, steps
from benchmarks.judges import RATE_HZ, OpinionScorer, WhisperListener, whisper_folder
from benchmarks.listening import DUAL, MEAN, ONE, table
from gradtts_interp.evaluation.run import Record


def test_the_parts_of_whisper_are_joined_once(tmp_path, monkeypatch):
    folders = [tmp_path / name / "data" for name in judges._PACKAGES]
    for number, data in enumerate(folders, start=1):
        data.mkdir(parents=True)
        (data.parent / "__init__.py").touch()
        (data / f"model.bin.part{number}").write_bytes(bytes([number] * 3))
    for name in judges._SETTINGS:
        (folders[0] / name).write_text(name)
    monkeypatch.syspath_prepend(tmp_path)
    folder = whisper_folder(tmp_path / "cache")
    assert (folder / "model.bin").read_bytes() == bytes([1, 1, 1, 2, 2, 2])
    assert {p.name for p in folder.iterdir()} == {*judges._SETTINGS, "model.bin"}
    (folder / "model.bin").write_bytes(b"kept")
    assert (whisper_folder(tmp_path / "cache") / "model.bin").read_bytes() == b"kept"


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(judges, "_PACKAGES", ("no_such_package_part1",))
    refused(whisper_folder, (tmp_path / "cache", r"no-such-package-part1: pip install 'gradtts-interp\[judges\]"))
    assert not (tmp_path / "cache").exists()
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    monkeypatch.setitem(sys.modules, "distillmos", None)
    refused(called, (WhisperListener, tmp_path, "faster-whisper"), (OpinionScorer, "distillmos"))


def transcribe(samples, **options):
    assert samples.dtype == np.float32 and options["language"] == "en" and options["temperature"] == 0
    said = [f" {len(samples)} samples", " in all."]
    return (types.SimpleNamespace(text=text) for text in said), None


def test_whisper_hears_16_khz_and_its_segments_are_joined(tmp_path, monkeypatch):
    whisper = types.SimpleNamespace(transcribe=transcribe)
    package = types.SimpleNamespace(WhisperModel=lambda path, **options: whisper)
    monkeypatch.setitem(sys.modules, "faster_whisper", package)
    refused(WhisperListener, (tmp_path, "holds no model.bin"))
    (tmp_path / "model.bin").touch()
    heard = WhisperListener(tmp_path).transcribe(np.zeros(22050), 22050)
    assert heard == f"{RATE_HZ} samples in all."


def test_opinion_is_of_one_recording_at_16_khz(monkeypatch, capsys):
    class Fake:
        def __init__(self):
            sys.stdout.write("weights loaded from somewhere")

        def eval(self):
            return self

        def __call__(self, samples):
            assert samples.shape == (1, RATE_HZ)
            return samples.abs().amax(1) + 1

    monkeypatch.setitem(sys.modules, "distillmos", types.SimpleNamespace(ConvTransformerSQAModel=Fake))
    audio = 0.5 * np.sin(2 * np.pi * 100 * np.arange(44100) / 44100)
    assert OpinionScorer().score(audio, 44100) == pytest.approx(1.5, abs=0.01)
    assert capsys.readouterr().out == ""


def test_errors_are_pooled_over_words_not_averaged_over_sentences():
    rows = [
        {"kind": kind, "errors": errors, "words": words, "opinion": opinion}
        for kind, errors, words, opinion in ((ONE, 1, 2, 3.0), (MEAN, 0, 2, 2.0), (ONE, 0, 8, 4.0))
    ]
    lines = table([Record("listening/0", rows[:2], 1.0), Record("listening/1", rows[2:], 1.0)]).splitlines()
    assert len(lines) == 4 and not any(DUAL in line for line in lines)
    assert lines[2].startswith(f"| {MEAN} | 1 | 0.000 [0.000, 0.000] | ")
    assert lines[3].startswith(f"| {ONE} | 2 | 0.100 [0.000, 0.500] | 3.5")


def test_the_steps_of_the_sampler_are_compared_over_all_kinds_of_speech():
    rows = []
    for count in steps.STEPS:
        said = {"steps": count, "words": 10, "text": "A cat.", "heard": "A hat." if count == 100 else "A cat."}
        rows.append({**said, "kind": ONE, "errors": count == 100, "opinion": 3.0})
        measures = dict.fromkeys(steps.MEASURES, 0.25) | {"envelope_share": None if count else 0.5}
        rows.append({**said, "kind": DUAL, "errors": 0, "opinion": 4.0, **measures})
    lines = steps.table([Record("steps/0", rows, 1.0)]).splitlines()
    assert len(lines) == 2 + len(steps.STEPS)
    assert lines[2].startswith("| 0 | 2 | 0.000 [0.000, 0.000] | 3.5") and lines[2].endswith("| 0.5 [0.5, 0.5] |")
    assert lines[-1].startswith("| 100 | 2 | 0.050") and "| 0.25 [0.25, 0.25] | 0.25" in lines[-1]  # of 4 phones one
