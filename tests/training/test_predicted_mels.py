"""Mels as the model makes them, frame for frame those of recordings."""

import dataclasses

import numpy as np
import pytest
import soundfile
import torch
from fake_corpus import TINY

from gradtts_interp.checkpoints import save_model
from gradtts_interp.cli.main import main
from gradtts_interp.errors import InputError
from gradtts_interp.training.predicted_mels import predict_mels


@pytest.fixture
def checkpoint(make_model, tmp_path):
    save_model(make_model(), tmp_path / "model")
    return tmp_path / "model"


def distance(model, corpus, **options):
    pairs = list(predict_mels(model, corpus.singles, **options))
    assert sorted(item.id for item, _ in pairs) == sorted(item.id for item in corpus.singles)
    assert all(mel.shape == item.mel.shape and mel.dtype == np.float16 for item, mel in pairs)
    return float(np.mean([np.abs(mel - item.mel).mean() for item, mel in pairs]))


def test_little_noise_leaves_the_recording_and_much_does_not(make_model, corpus):
    model = make_model().eval()
    near, far = (distance(model, corpus, steps=2, start_time=t) for t in (0.01, 1.0))
    assert near < 0.15 and far > 3 * near
    near, far = (distance(model, corpus, steps=0, start_time=t) for t in (0.01, 1.0))
    assert near == far


def test_padding_and_order_change_no_mel(make_model, corpus):
    model = make_model().eval()
    together = dict((i.id, m) for i, m in predict_mels(model, corpus.singles[:4], steps=1, batch_size=4))
    turned = dict((i.id, m) for i, m in predict_mels(model, corpus.singles[:4][::-1], steps=1, batch_size=4))
    assert all(np.array_equal(together[name], turned[name]) for name in together)


def test_what_has_two_styles_is_left_out(make_model, corpus):
    found = list(predict_mels(make_model().eval(), corpus.items, steps=1))
    assert len(found) == len(corpus.singles) < len(corpus.items)


@pytest.mark.parametrize("options", [{"start_time": 0.0}, {"start_time": 1.5}, {"steps": -1}, {"batch_size": 0}])
def test_settings_that_cannot_be_are_refused(options, make_model, corpus):
    with pytest.raises(InputError, match=r"expected a time in \(0, 1\], steps from 0 and batches from 1"):
        next(predict_mels(make_model(), corpus.singles, **options))


def test_command_writes_a_mel_for_each_recording_and_only_what_is_missing(checkpoint, corpus_folder, tmp_path):
    out = tmp_path / "mels"
    words = ["predict-mels", "--checkpoint", checkpoint, "--corpus", corpus_folder, "--out", out, "--steps", 1]
    assert main([str(w) for w in [*words, "--limit", 2]]) == 0
    first = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert len(first) == 2
    assert main([str(w) for w in words]) == 0
    assert sorted(path.name for path in out.iterdir()) == [f"bank-{i}.npy" for i in range(4)]
    assert all((out / name).stat().st_mtime_ns == when for name, when in first.items())
    assert np.load(out / "bank-3.npy", allow_pickle=False).shape == (80, 70)


def test_command_takes_a_filelist(make_model, tmp_path):
    save_model(make_model(settings=dataclasses.replace(TINY, add_blank=False)), tmp_path / "model")
    time = np.arange(22050) / 22050
    for name, hz in (("x", 120), ("y", 150)):
        soundfile.write(tmp_path / f"{name}-1.wav", 0.3 * np.sin(2 * np.pi * hz * time) * np.hanning(22050), 22050)
    (tmp_path / "list.txt").write_text("x-1.wav|Say a word.|0\ny-1.wav|Say it again.|0\n")
    words = ["predict-mels", "--checkpoint", tmp_path / "model", "--filelist", tmp_path / "list.txt"]
    assert main([str(w) for w in [*words, "--out", tmp_path / "mels", "--steps", 1]]) == 0
    assert sorted(path.name for path in (tmp_path / "mels").glob("*.npy")) == ["x-1.npy", "y-1.npy"]


def test_command_refuses_a_limit_of_none(checkpoint, corpus_folder, tmp_path, capsys):
    words = ["predict-mels", "--checkpoint", checkpoint, "--corpus", corpus_folder, "--out", tmp_path / "m"]
    assert main([str(w) for w in [*words, "--limit", 0]]) == 2
    assert "limit 0: expected 1 or more" in capsys.readouterr().err and not (tmp_path / "m").exists()


def test_the_sampler_is_given_the_targets_durations(make_model, corpus, monkeypatch):
    model = make_model().eval()
    asked = []
    monkeypatch.setattr(type(model), "score", lambda self, x, mask, *a, **k: asked.append(mask.sum((1, 2))) or -x)
    items = corpus.singles[:3]
    list(predict_mels(model, items, steps=1, batch_size=3))
    assert sorted(asked[0].tolist()) == sorted(float(item.frames) for item in items)
    assert torch.is_tensor(asked[0])
