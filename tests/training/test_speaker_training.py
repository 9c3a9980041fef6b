"""Training of the speaker encoder on voices that differ in their mels."""

import itertools
import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from refusing import refused

from gradtts_interp.cli.main import main
from gradtts_interp.evaluation.speakers import SpeakerEncoder
from gradtts_interp.training import speakers
from gradtts_interp.training.speakers import load_split, score_speaker_net, settings_of, train_speaker_net

VOICES = {"s0": (4, 0.9), "s1": (1, 1.1), "c00": (1, 0.95)}


@pytest.fixture
def corpus_of_voices(tmp_path):
    """Mels with one bump per voice, at a level that tells nothing."""
    random = np.random.default_rng(0)
    (tmp_path / "features").mkdir()
    lines = []
    for voice, (base, warp) in VOICES.items():
        for number in range(6):
            split = "test" if number == 5 else "train"
            name, pitch = f"{voice}-{number}", f"p{number:02d}"
            shape = np.exp(-(((np.arange(80) - 40 * warp - 20 * (base == 1)) / 10) ** 2))
            mel = -6 + random.uniform(-1, 1) + 3 * shape[:, None] + random.normal(0, 0.3, (80, 60))
            np.savez(tmp_path / "features" / f"{name}.npz", mel=mel.astype(np.float16))
            factors = {"timbre": np.eye(5)[base].tolist(), "formant": warp}
            kind = "test" if split == "test" else "grid"
            entry = {"id": name, "kind": kind, "split": split, "voice": voice, "pitch": pitch, "factors": factors}
            lines.append(json.dumps(entry))
    lines.append(json.dumps({"id": "b", "kind": "blend", "split": "train", "voice": None, "pitch": None}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_voices_are_learnt_without_what_is_set_apart(corpus_of_voices, monkeypatch):
    """By a clock that ticks once a step, so that a busy machine makes no fewer steps."""
    ticks = itertools.count()
    monkeypatch.setattr(speakers, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
    split = load_split(corpus_of_voices, held_out_pitches=1)
    assert {u.pitch for u in split[speakers.UNSEEN]} == {"p04"} and {u.pitch for u in split["test"]} == {"p05"}
    assert len(split["train"]) == 12 and settings_of(split["train"]).voices == ("s0", "s1", "c00")
    scores = score_speaker_net(train_speaker_net(split["train"], seconds=60, batch_size=8), split["test"])
    assert scores["n"] == 3 and scores["n speakers"] == 2
    assert scores["speaker top-1"] == 1 and scores["base voice"] == 1


def test_the_command_writes_an_encoder(corpus_of_voices, tmp_path, caplog):
    words = ["train-speaker-encoder", "--corpus", corpus_of_voices, "--out", tmp_path / "encoder"]
    with caplog.at_level("INFO"):
        assert main([str(w) for w in (*words, "--seconds", 0.2, "--batch-size", 4, "--held-out-pitches", 1)]) == 0
    assert "unseen pitch styles: n 3" in caplog.text and "held-out sentences: n 3" in caplog.text
    assert SpeakerEncoder.from_pretrained(tmp_path / "encoder").settings.voices == ("s0", "s1", "c00")


def test_what_cannot_train_is_named(corpus_of_voices):
    refused(partial(train_speaker_net, seconds=0), ([], "expected seconds > 0"))
    load = partial(load_split, held_out_pitches=0)
    (corpus_of_voices / "features" / "s0-0.npz").unlink()
    refused(load, (corpus_of_voices, r"s0-0.npz: .*expected features of the corpus builder"))
    (corpus_of_voices / "manifest.jsonl").write_text('{"id": "b", "kind": "blend", "split": "train"}\n')
    refused(load, (corpus_of_voices, "fewer than 2 voices"))
