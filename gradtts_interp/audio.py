"""Audio files, and the log-mel that all models of this family share."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from torch import Tensor

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path

SAMPLE_RATE_HZ = 22050
SILENCE_DBFS = -70.0
# A float file above this was scaled to integers by mistake; loud but sane float files stay below.
HIGHEST_PEAK = 16.0
MAGNITUDE_EPSILON = 1e-9


def log_mel(audio: Tensor, config: MelConfig) -> Tensor:
    """Compute the log-mel that Grad-TTS and HiFi-GAN are trained on.

    Frame ``i`` is centred at ``(i + 0.5) * hop_samples`` samples; N samples give ``N // hop_samples`` frames.
    Differentiable in ``audio``.

    Args:
        audio: Samples (N,) or (B, N), floating, in [-1, 1].
        config: The mel contract.

    Returns:
        Natural log of mel magnitudes, (M, T) or (B, M, T), never below ``config.log_silence``.

    Raises:
        InputError: ``audio`` is not floating, not 1-D or 2-D, or too short for one frame.

    Source: Kong et al. 2020, HiFi-GAN, section 3; Slaney mel filters as in librosa.
    """
    if not audio.is_floating_point() or audio.ndim not in (1, 2):
        raise InputError(f"audio of {audio.dtype} and shape {tuple(audio.shape)}; expected floats (N,) or (B, N)")
    pad = (config.n_fft - config.hop_samples) // 2
    shortest = max(pad + 1, config.n_fft - 2 * pad)
    if audio.shape[-1] < shortest:
        raise InputError(f"audio of {audio.shape[-1]} samples is too short for a mel; expected at least {shortest}")
    if audio.dtype not in (torch.float32, torch.float64):
        audio = audio.float()
    window, filters = _mel_basis(config, audio.device, audio.dtype)
    rows = audio if audio.ndim == 2 else audio[None]
    padded = torch.nn.functional.pad(rows[:, None], (pad, pad), mode="reflect")[:, 0]
    spectrum = torch.stft(
        padded, config.n_fft, config.hop_samples, config.window_samples, window, center=False, return_complex=True
    )
    power = torch.view_as_real(spectrum).square().sum(-1)
    mel = torch.matmul(filters, torch.sqrt(power + MAGNITUDE_EPSILON))
    log = torch.log(mel.clamp(min=config.log_floor))
    return log if audio.ndim == 2 else log[0]


@lru_cache(maxsize=16)
def _mel_basis(config: MelConfig, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the Hann window (window_samples,) and the mel filters (M, n_fft // 2 + 1)."""
    with torch.inference_mode(False):
        window = torch.hann_window(config.window_samples, dtype=dtype, device=device)
        return window, torch.from_numpy(mel_filters(config)).to(device, dtype)


def mel_filters(config: MelConfig) -> np.ndarray:
    """Return the Slaney-normalised mel filterbank of a contract, (M, n_fft // 2 + 1), float32."""
    import librosa

    return librosa.filters.mel(
        sr=config.sample_rate_hz, n_fft=config.n_fft, n_mels=config.n_mels, fmin=config.fmin_hz, fmax=config.fmax_hz
    )


def read_audio(path: str | Path, sample_rate_hz: int = SAMPLE_RATE_HZ, *, minimum_seconds: float = 0.0) -> Tensor:
    """Read a speech file as mono samples at one rate.

    Args:
        path: A wav, flac, ogg or mp3 file of any rate, width and number of channels (their mean is taken).
        sample_rate_hz: Rate of the result.
        minimum_seconds: Shortest duration accepted.

    Returns:
        Samples (N,), float32, full scale at 1.

    Raises:
        InputError: The file is missing, a folder, not audio, empty, shorter than asked for, or holds samples that are
            not finite or far beyond full scale.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected an audio file")
    if not path.exists():
        raise InputError(f"{path}: no such audio file")
    try:
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, OSError, TypeError, ValueError) as error:
        raise InputError(f"{path} cannot be read as audio ({error}); expected wav, flac, ogg or mp3") from error
    _require_sane(samples, path)
    seconds = len(samples) / rate
    if seconds < minimum_seconds:
        raise InputError(f"{path} lasts {seconds:.2f} s; expected at least {minimum_seconds:g} s")
    mono = torch.from_numpy(samples.mean(axis=1))
    if rate == sample_rate_hz:
        return mono
    return torchaudio.functional.resample(mono, rate, sample_rate_hz)


def _require_sane(samples: np.ndarray, path: Path) -> None:
    """Raise unless samples (N, channels) are there, finite and on the scale of audio."""
    if samples.size == 0:
        raise InputError(f"{path} holds no samples")
    strange = int(np.count_nonzero(~np.isfinite(samples)))
    if strange:
        raise InputError(f"{path}: {strange} of {samples.size} samples are NaN or infinite")
    peak = float(np.abs(samples).max())
    if peak > HIGHEST_PEAK:
        raise InputError(f"{path}: float samples reach {peak:g}; expected full scale at 1")


def require_speech(audio: Tensor, name: str) -> None:
    """Raise when audio is silent, since silence has no style.

    Args:
        audio: Samples (N,) in [-1, 1].
        name: What the audio is, for the message.

    Raises:
        InputError: There are no samples, or the RMS level is below -70 dBFS.
    """
    power = float(audio.double().square().mean()) if audio.numel() else 0.0
    level_dbfs = 10.0 * math.log10(power) if power > 0.0 else -math.inf
    if level_dbfs < SILENCE_DBFS:
        raise InputError(f"{name} is silent ({level_dbfs:.0f} dBFS); expected speech above {SILENCE_DBFS:.0f} dBFS")


def write_wav(path: str | Path, audio: Tensor, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """Write mono 16-bit PCM; the file appears whole or not at all.

    Samples beyond full scale are clipped, never wrapped; 16-bit samples read by ``read_audio`` come back exactly.

    Args:
        path: Where to write; missing folders are made.
        audio: Samples (N,), floating, full scale at 1.
        sample_rate_hz: Rate of the samples.

    Raises:
        InputError: ``audio`` is not (N,) or holds values that are not finite; an earlier file stays.
    """
    samples = torch.as_tensor(audio).detach().cpu().double().numpy()
    if samples.ndim != 1 or samples.size == 0:
        raise InputError(f"audio for {path} has shape {samples.shape}; expected (N,) with N > 0")
    strange = int(np.count_nonzero(~np.isfinite(samples)))
    if strange:
        raise InputError(f"audio for {path}: {strange} of {samples.size} samples are NaN or infinite")
    pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    with atomic_path(path) as temporary:
        soundfile.write(str(temporary), pcm, sample_rate_hz, subtype="PCM_16", format="WAV")
