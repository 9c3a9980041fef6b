"""Recordings found, refused, cut into segments."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from refusing import refused

from hifigan.data import Corpus, list_recordings

RATE = 22050
unfit = partial(refused, error=ValueError)


def make(source, shortest=4096, **options):
    return Corpus(source, sample_rate_hz=RATE, shortest=shortest, **options)


def count(corpus):
    return len(corpus.training) + len(corpus.held_out)


def test_segments_are_exact_pieces_of_the_recordings_from_every_start(recordings, tmp_path):
    corpus = make(recordings)
    batch, again = (corpus.batch(8, 4096, torch.Generator().manual_seed(0)).audio for _ in range(2))
    assert batch.shape == (8, 4096) and batch.dtype == torch.float32 and torch.equal(batch, again)
    pieces = [r.samples.tobytes() for r in corpus.training + corpus.held_out]
    for row in batch:
        assert any((row * 32768).numpy().astype(np.int16).tobytes() in piece for piece in pieces)
    (tmp_path / "steps").mkdir()
    soundfile.write(tmp_path / "steps" / "a.wav", np.arange(12, dtype=np.int16), RATE)
    rows = make(tmp_path / "steps", 10).batch(100, 10, torch.Generator().manual_seed(0)).audio
    assert set((rows[:, 0] * 32768).int().tolist()) == {0, 1, 2}


def test_new_recordings_are_found_and_old_bad_short_or_half_written_ones_not(recordings, caplog):
    (recordings / "broken.wav").write_bytes(b"not audio")
    shutil.copy(recordings / "0.wav", recordings / ".half.wav")
    soundfile.write(recordings / "short.wav", np.zeros(100, np.int16), RATE)
    corpus = make(recordings)
    assert count(corpus) == 3
    shutil.copy(recordings / "0.wav", recordings / "new.wav")
    assert (corpus.refresh(), corpus.refresh()) == (1, 0) and count(corpus) == 4
    assert "broken.wav left aside" in caplog.text
    corpus.batch(64, 4096, torch.Generator().manual_seed(0))


def test_manifests_of_all_kinds(recordings, tmp_path):
    lines, objects, partial = (tmp_path / n for n in ("list.txt", "list.jsonl", "manifest.partial.jsonl"))
    lines.write_text("# comment\nwavs/0.wav|some text\n\nwavs/1.wav\n")
    assert [p.name for p in list_recordings(lines)] == ["0.wav", "1.wav"]
    objects.write_text(json.dumps({"wav": "wavs/2.wav", "text": "x"}) + "\n")
    assert make(objects).hours > 0
    objects.write_text(json.dumps({"text": "x"}) + "\n")
    unfit(list_recordings, (objects, r"line 1 has none of wav, audio, path, id: \['text'\]"))
    partial.write_text('{"wav": "wavs/0.wav", "split": "train"}\n{"wav": "wavs/1.wav", "sp')
    corpus = make(tmp_path)  # it grows, and is read as far as it goes
    assert count(corpus) == 1
    partial.write_text('{"wav": "wavs/0.wav", "split": "train"}\n{"wav": "wavs/1.wav", "split": "train"}\n')
    assert corpus.refresh() == 1
    entries = [{"id": name, "split": split} for name, split in (("0", "train"), ("1", "test"))]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, entries)) + "\n")
    assert [path.name for path in list_recordings(tmp_path)] == ["0.wav"]


def test_what_cannot_be_trained_on_is_named(tmp_path):
    unfit(make, (tmp_path / "nowhere", "nowhere: no such folder or manifest"))
    unfit(make, (tmp_path, "no recording of at least 4096 samples"))
    soundfile.write(tmp_path / "a.wav", np.zeros(9000, np.int16), 16000)
    unfit(make, (tmp_path, "a.wav has 16000 Hz; expected 22050 Hz"))


@pytest.fixture
def mels(recordings, tmp_path):
    """Mels of two of the three recordings whose value tells the frame."""
    folder = tmp_path / "mels"
    folder.mkdir()
    np.save(folder / "0.npy", np.tile(np.arange(86, dtype=np.float32), (80, 1)))
    np.save(folder / "1.npy", np.tile(np.arange(90, dtype=np.float32), (1, 80, 1)))
    return folder


def test_mels_that_serve_nothing_are_named(recordings, mels, tmp_path):
    unfit(make(recordings, mels=mels).predicted, (1, 500, torch.Generator(), "no mel has 500 frames"))
    with_mels = partial(make, recordings, mels=mels)
    unfit(partial(make, mels=tmp_path), (recordings, "holds no mel NAME.npy of a training recording"))
    np.save(mels / "0.npy", np.full((80, 86), np.nan))
    unfit(with_mels, (r"0.npy holds an array \(80, 86\); expected finite log-mels",))
    np.save(mels / "0.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    unfit(with_mels, ("0.npy cannot be read",))


def ramp(path, samples):
    """A contour whose F0 tells the frame."""
    frames = len(samples) // 256
    return np.stack([np.arange(1, frames + 1), np.arange(frames) % 2]).astype(np.float32)


def test_contours_are_cut_with_their_samples(recordings, mels):
    corpus = make(recordings, mels=mels, contour_of=ramp)
    assert len(corpus.paired) == 2
    draw = torch.Generator().manual_seed(0)
    for segments in (corpus.batch(12, 4096, draw), corpus.predicted(12, 16, draw), corpus.validation(2, 4096)):
        assert segments.contour.shape == (len(segments.audio), 2, 16)
        planes = [None] * len(segments.audio) if segments.mel is None else segments.mel
        for row, contour, plane in zip(segments.audio, segments.contour, planes, strict=True):
            first = int(contour[0, 0]) - 1
            assert plane is None or torch.equal(plane, torch.arange(first, first + 16).float().expand(80, -1))
            assert torch.equal(contour[0], torch.arange(first + 1, first + 17).float())
            samples = (row * 32768).numpy().astype(np.int16)
            pieces = [r.samples[first * 256 : (first + 16) * 256] for r in corpus.training + corpus.held_out]
            assert any(np.array_equal(piece, samples) for piece in pieces)
    assert corpus.batch(1, 4096, draw).mel is None and corpus.predicted(1, 16, draw).mel is not None


def test_recordings_wait_for_their_contours(recordings, caplog):
    ready = {"0.wav": ramp, "1.wav": lambda path, samples: ramp(path, samples)[:, :9]}
    corpus = make(recordings, contour_of=lambda path, samples: ready.get(path.name, lambda *_: None)(path, samples))
    assert count(corpus) == 1
    assert "1.wav left aside: its contour has 9 frames only" in caplog.text
    ready["2.wav"] = ramp
    assert corpus.refresh() == 1 and count(corpus) == 2
