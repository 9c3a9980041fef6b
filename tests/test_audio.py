"""Mel against the official numbers; audio files in and out."""

import os
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from refusing import refused
from safetensors.torch import load_file

from gradtts_interp.audio import log_mel, mel_filters, read_audio, require_speech, write_wav
from gradtts_interp.config import MelConfig
from gradtts_interp.files import atomic_path

RATE = 22050


def tone(seconds=0.5, rate=RATE, hz=440.0, amplitude=0.5):
    return amplitude * torch.sin(2 * torch.pi * hz * torch.arange(int(seconds * rate)) / rate)


def test_mel_equals_official_numbers(golden_dir):
    golden = load_file(golden_dir / "hifigan_mel.safetensors")
    mel = log_mel(golden["wav"], MelConfig())
    assert mel.shape == golden["log_mel"].shape
    assert (mel - golden["log_mel"]).abs().max() < 1e-3
    assert torch.equal(log_mel(golden["wav"][0], MelConfig()), mel[0])


@pytest.mark.parametrize(
    "config", [MelConfig(), MelConfig(n_mels=40, fmin_hz=55.0, fmax_hz=11025.0), MelConfig(n_mels=8, fmax_hz=900.0)]
)
def test_mel_filters_equal_librosas_to_the_bit(config):
    import librosa

    shape = {"sr": config.sample_rate_hz, "n_fft": config.n_fft, "n_mels": config.n_mels}
    expected = librosa.filters.mel(**shape, fmin=config.fmin_hz, fmax=config.fmax_hz)
    found = mel_filters(config)
    assert found.dtype == expected.dtype == np.float32
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("samples", [768, 1023, 1024, 22050, 22271, 22272])
def test_mel_of_silence_is_the_floor_with_one_frame_per_hop(samples):
    silence = log_mel(torch.zeros(samples), MelConfig())
    assert silence.shape == (80, samples // 256)
    # sqrt(0 + 1e-9) leaks a little over the floor in the widest filters
    assert silence.min() >= MelConfig().log_silence - 1e-5 and silence.max() < -9


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_mel_is_differentiable_even_after_inference_mode(dtype):
    config = MelConfig(n_mels=33)  # of which no filters are kept yet
    audio = torch.randn(2048, dtype=dtype)
    with torch.inference_mode():
        seen = log_mel(audio.float(), config)
    audio.requires_grad_()
    mel = log_mel(audio, config)
    mel.sum().backward()
    assert mel.dtype == dtype and audio.grad.abs().max() > 0
    assert torch.allclose(seen, mel.detach().float(), atol=1e-3)


def test_mel_refuses_what_it_cannot_use():
    refused(
        partial(log_mel, config=MelConfig()),
        (torch.zeros(384), "384 samples is too short.*at least 385"),
        (torch.zeros(4096, dtype=torch.int16), "int16"),
        (torch.zeros(1, 1, 4096), r"\(1, 1, 4096\)"),
    )


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "PCM_U8", 1e-2), ("wav", "PCM_16", 1e-4), ("wav", "PCM_24", 1e-6), ("wav", "PCM_32", 1e-6),
        ("wav", "FLOAT", 1e-7), ("wav", "DOUBLE", 1e-7), ("flac", "PCM_16", 1e-4), ("ogg", "VORBIS", 0.1),
        ("mp3", "MPEG_LAYER_III", 0.1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 2])
def test_reads_formats_widths_and_channels(tmp_path, suffix, subtype, tolerance, channels):
    audio = tone().numpy()
    path = tmp_path / f"x.{suffix}"
    soundfile.write(path, np.stack([audio] * channels, 1), RATE, subtype=subtype)
    got = read_audio(path)
    assert got.ndim == 1 and got.dtype == torch.float32
    assert abs(len(got) - len(audio)) <= (2500 if suffix == "mp3" else 0)
    if suffix != "mp3":
        assert np.abs(got.numpy() - audio).max() < tolerance


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_resamples(tmp_path, rate):
    soundfile.write(tmp_path / "x.wav", tone(rate=rate).numpy(), rate, subtype="FLOAT")
    got = read_audio(tmp_path / "x.wav")
    assert abs(len(got) - RATE // 2) <= 1
    middle = slice(2000, 9000)
    assert (got[middle] - tone()[middle]).abs().max() < 0.02


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.wav", None, "no such audio file"),
        (".", None, "is a folder"),
        ("binary.wav", bytes(range(256)) * 10, "binary.wav cannot be read as audio"),
        ("raw.raw", bytes(1000), "raw.raw cannot be read as audio"),  # of this suffix soundfile asks for a rate
        ("empty.wav", np.zeros(0), "holds no samples"),
        ("short.wav", np.zeros(RATE // 10), "lasts 0.10 s; expected at least 0.5 s"),
        ("nan.wav", np.r_[np.full(3, np.nan), np.inf, np.zeros(RATE)], "4 of 22054 samples are NaN or infinite"),
        ("loud.wav", np.full(RATE, 20000.0), "reach 20000; expected full scale at 1"),
    ],
)
def test_read_refuses_bad_files(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        soundfile.write(path, content, RATE, subtype="FLOAT")
    refused(partial(read_audio, minimum_seconds=0.5), (path, message))


def test_write_then_read_is_exact_and_never_wraps(tmp_path):
    path = tmp_path / "folder" / "x.wav"
    audio = torch.tensor([1.0, -1.0, 1.5, -7.0, 0.0, 1000 / 32768])
    write_wav(path, audio, RATE)
    pcm, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    assert pcm.tolist() == [32767, -32768, 32767, -32768, 0, 1000]
    every = torch.arange(-32768, 32768) / 32768
    write_wav(path, every, RATE)
    assert torch.equal(read_audio(path), every)
    assert os.listdir(path.parent) == ["x.wav"]


def test_failed_write_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "x.wav"
    write_wav(path, tone(), RATE)
    before = path.read_bytes()
    refused(
        write_wav,
        (path, torch.tensor([0.0, float("nan"), float("inf")]), "2 of 3 samples are NaN or infinite"),
        (path, torch.zeros(2, 3), r"shape \(2, 3\); expected \(N,\)"),
        (tmp_path, tone(), "is a folder"),
        (path / "x.json", tone(), "cannot write"),
    )
    with pytest.raises(RuntimeError, match="stop"), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError("stop")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.wav"]


def test_require_speech():
    require_speech(tone(), "tone")
    require_speech(10 ** (-60 / 20) * tone(amplitude=1.0), "quiet")
    silent = (torch.zeros(100), torch.zeros(0), tone(amplitude=1e-4))
    refused(require_speech, *((samples, "b.wav", "b.wav is silent") for samples in silent))
