"""What a continuum leaves on disk."""

import csv
import json
import sys

import numpy as np
import pytest
import soundfile
from refusing import refused
from speaking import RATE_HZ, harmonic_tone

from gradtts_interp.stimuli.continuum import make_continuum
from gradtts_interp.stimuli.folder import equally_loud, loudness_lufs, save_continuum


def test_the_files_of_a_continuum(toy, tmp_path):
    textgrid = pytest.importorskip("praatio.textgrid")
    tts, a, b = toy
    continuum = make_continuum(tts, "Go down.", a, b, steps=3, of="rate", seed=5)
    table = save_continuum(continuum, tmp_path, loudness=-30.0, equal_length=True)
    steps = {f"step_{i:02d}.{kind}" for i in range(3) for kind in ("wav", "TextGrid")}
    assert {p.name for p in tmp_path.iterdir()} == {"continuum.json", "continuum.png", "stimuli.csv"} | steps
    rows = list(csv.DictReader(table.open(newline="")))
    assert [row["file"] for row in rows] == ["step_00.wav", "step_01.wav", "step_02.wav"]
    assert [float(row["asked_rate"]) for row in rows] == [0, 0.5, 1] and {row["asked_pitch"] for row in rows} == {"0"}
    assert all(float(row["level_lufs"]) == pytest.approx(-30, abs=0.1) for row in rows)
    assert len({row["seconds"] for row in rows}) == 1 and {row["seed"] for row in rows} == {"5"}
    assert all(float(row["f0_median_hz"]) == pytest.approx(120, rel=0.01) for row in rows)
    sounds = [soundfile.read(tmp_path / row["file"])[0] for row in rows]
    assert len({len(sound) for sound in sounds}) == 1 and not sounds[2][-100:].any()
    settings = json.loads((tmp_path / "continuum.json").read_text())
    assert settings["of"] == "rate" and settings["a"] == "A" and settings["rendering"]["seed"] == 5
    for i in range(3):  # phones and words to the end, in the long format
        assert "item [1]:" in (tmp_path / f"step_{i:02d}.TextGrid").read_text()
        grid = textgrid.openTextgrid(str(tmp_path / f"step_{i:02d}.TextGrid"), includeEmptyIntervals=False)
        assert [x.label for x in grid.getTier("words").entries] == ["go", "down"]
        assert [x.label for x in grid.getTier("phones").entries] == ["G", "OW1", "D", "AW1", "N"]
        assert grid.maxTimestamp == pytest.approx(soundfile.info(tmp_path / f"step_{i:02d}.wav").duration, abs=1e-4)


def test_all_are_as_loud_as_asked_or_softer_alike_where_one_would_clip():
    sounds = [harmonic_tone(f0_hz).numpy() * gain for f0_hz, gain in ((110, 0.1), (220, 1.0))]
    for sound in equally_loud(sounds, RATE_HZ, -25.0):
        assert loudness_lufs(sound, RATE_HZ) == pytest.approx(-25, abs=0.05)
    sounds = equally_loud(sounds, RATE_HZ, -6.0)
    assert max(np.abs(sound).max() for sound in sounds) <= 0.9901
    one, other = (loudness_lufs(sound, RATE_HZ) for sound in sounds)
    assert one == pytest.approx(other, abs=0.05) and one < -6


def test_sounds_without_a_loudness_are_named(monkeypatch):
    silence = np.zeros(RATE_HZ, np.float32)
    limits, none = "loudness 3 LUFS; expected -60 to -5", "step 0: no loudness"
    refused(equally_loud, ([silence], RATE_HZ, 3.0, limits), ([silence], RATE_HZ, -20.0, none))
    assert loudness_lufs(np.ones(100, np.float32), RATE_HZ) is None
    monkeypatch.setitem(sys.modules, "pyloudnorm", None)
    refused(loudness_lufs, (silence, RATE_HZ, r"pip install 'gradtts-interp\[stimuli\]"))
