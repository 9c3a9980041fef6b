"""Contours of recordings: the teacher's own where a corpus has them, tracked elsewhere; defaults by generator."""

import argparse

import numpy as np
import pytest
import soundfile

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.training import vocoder_command
from gradtts_interp.training.vocoder_command import add_arguments, build_trainer, read_contour

MEL = MelConfig()
SAMPLES = (3000 * np.sin(2 * np.pi * 150 * np.arange(22050) / 22050)).astype(np.int16)


@pytest.fixture
def corpus(tmp_path):
    for name in ("wavs", "features"):
        (tmp_path / name).mkdir()
    soundfile.write(tmp_path / "wavs" / "a.wav", SAMPLES, 22050)
    return tmp_path


def test_contour_of_a_corpus_is_moved_onto_the_recording(corpus):
    """What was asked for is 40 cents flat, and in one place so far off that it can be no pitch of this recording."""
    f0_hz, voiced = np.full(86, 150.0 * 2 ** (-40 / 1200)), np.ones(86, bool)
    f0_hz[60:63] = 190.0
    f0_hz[10:20], voiced[10:20] = 0.0, False
    np.savez(corpus / "features" / "a.npz", f0_hz=f0_hz, voiced=voiced)
    found = read_contour(corpus / "wavs" / "a.wav", SAMPLES, config=MEL)
    assert found.shape == (2, 86) and found.dtype == np.float32
    assert np.array_equal(found[1], voiced)
    assert np.abs(found[0, 5:55] - 150).max() < 1 and np.abs(found[0, 66:80] - 150).max() < 1
    assert np.abs(found[0, 60:63] / 190 - 2 ** (40 / 1200)).max() < 0.01


def test_contours_are_kept(corpus):
    np.savez(corpus / "features" / "a.npz", f0_hz=np.full(86, 150.0), voiced=np.ones(86, bool))
    path, cache = corpus / "wavs" / "a.wav", corpus / "run" / "contours"
    found = read_contour(path, SAMPLES, config=MEL, cache=cache)
    assert [kept.name for kept in cache.iterdir()] == ["a.npy"]
    (corpus / "features" / "a.npz").unlink()
    assert np.array_equal(read_contour(path, SAMPLES, config=MEL, cache=cache), found)


def test_contour_of_plain_recordings_is_tracked(tmp_path):
    f0_hz, voiced = read_contour(tmp_path / "a.wav", SAMPLES, config=MEL)
    assert len(f0_hz) == len(SAMPLES) // 256 and voiced[10:-10].all()
    assert np.abs(f0_hz[10:-10] - 150).max() < 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"f0_hz": np.ones(86)}, "a.npz holds no contour.*expected f0_hz and voiced"),
        ({"f0_hz": np.ones(86), "voiced": np.ones(85, bool)}, r"f0_hz \(86,\) and voiced \(85,\); expected one shape"),
        (b"half", "a.npz holds no contour"),
    ],
)
def test_features_that_are_not_there_yet_or_wrong(corpus, content, message):
    path, features = corpus / "wavs" / "a.wav", corpus / "features" / "a.npz"
    assert read_contour(path, SAMPLES, config=MEL) is None
    if isinstance(content, bytes):
        features.write_bytes(content)
    else:
        np.savez(features, **content)
    with pytest.raises(InputError, match=message):
        read_contour(path, SAMPLES, config=MEL)


def trainer_of(corpus, *flags):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    wanted = ["--wavs", str(corpus / "wavs"), "--out", str(corpus / "run"), "--steps", "1", *flags]
    return build_trainer(parser.parse_args(wanted))


@pytest.mark.parametrize(
    ("fast", "flags", "bfloat16"), [(True, (), True), (False, (), False), (True, ("--float32",), False)]
)
def test_bfloat16_where_the_machine_is_fast_at_it(corpus, monkeypatch, fast, flags, bfloat16):
    monkeypatch.setattr(vocoder_command, "bf16_is_fast", lambda device: fast)
    assert trainer_of(corpus, *flags).config.bfloat16 is bfloat16


def test_each_generator_has_its_own_defaults(corpus):
    np.savez(corpus / "features" / "a.npz", f0_hz=np.full(86, 150.0), voiced=np.ones(86, bool))
    plain, harmonic = trainer_of(corpus).config, trainer_of(corpus, "--config", "harmonic").config
    assert (plain.mel_weight, plain.windows, plain.batch) == (45, (), 16)
    assert (harmonic.mel_weight, harmonic.late_mel_weight, harmonic.periods, harmonic.batch) == (10, 3, (), 12)
    chosen = trainer_of(corpus, "--config", "harmonic", "--windows", "512", "256", "--mel-weight", "5").config
    assert (chosen.windows, chosen.mel_weight, chosen.late_mel_weight) == ((512, 256), 5, 3)
