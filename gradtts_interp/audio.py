"""Audio files, recordings prepared for measuring, and the log-mel that all models of this family share."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.units import hz_to_mel, mel_to_hz

SAMPLE_RATE_HZ = 22050
SILENCE_DBFS = -70.0
# A float file above this was scaled to integers by mistake; loud but sane float files stay below.
HIGHEST_PEAK = 16.0
MAGNITUDE_EPSILON = 1e-9

RUMBLE_HZ = 45.0
"""Below this lie hum, traffic and handling noise, and no voice that is searched for."""

SPEECH_RANGE_DB = 30.0
"""A frame this far below the loudest one no longer counts as speech."""

NARROWEST_SPEECH_RANGE_DB = 12.0
NOISE_MARGIN_DB = 6.0
SPEECH_MARGIN_SECONDS = 0.15
SPLIT_FRAME_SAMPLES, SPLIT_HOP_SAMPLES = 1024, 256
FAR_CHANNEL_DB = 20.0
"""A channel this far below the loudest one is an empty one, and nothing is said of it."""

ANTIPHASE_CORRELATION = -0.5
UNRELATED_CORRELATION = 0.3
CLIPPED_RUN_SAMPLES = 3
CLIPPED_SHARE = 1e-4
CLIPPED_LEVEL_DBFS = -20.0
"""Level that a clipped recording is turned down to, a usual one in training: its own says nothing any more, and speech
rendered that loud would be clipped as well."""

Source = str | Path | bytes | BinaryIO | NDArray[Any] | Tensor
"""A file by its path, a file in memory, or samples."""


@dataclass(frozen=True)
class Recording:
    """A recording of speech, prepared to be measured.

    Attributes:
        name: What it is called in messages.
        audio: Samples (N,), float32, full scale at 1, mean 0.
        source_rate_hz: Sample rate before it was changed.
        notes: What a user should know, such as clipping.
    """

    name: str
    audio: Tensor
    source_rate_hz: int
    notes: tuple[str, ...] = ()


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
    sizes = (config.n_fft, config.hop_samples, config.window_samples)
    spectrum = torch.stft(padded, *sizes, window, center=False, return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(-1)
    mel = torch.matmul(filters, torch.sqrt(power + MAGNITUDE_EPSILON))
    return torch.log(mel.clamp(min=config.log_floor)).reshape(*audio.shape[:-1], config.n_mels, -1)


@lru_cache(maxsize=16)
def _mel_basis(config: MelConfig, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the Hann window (window_samples,) and the mel filters (M, n_fft // 2 + 1)."""
    with torch.inference_mode(False):
        window = torch.hann_window(config.window_samples, dtype=dtype, device=device)
        return window, torch.from_numpy(mel_filters(config)).to(device, dtype)


def mel_filters(config: MelConfig) -> np.ndarray:
    """Return the Slaney-normalised mel filterbank of a contract, (M, n_fft // 2 + 1), float32.

    Source: Slaney 1998, Auditory Toolbox; to the bit what librosa gives, which takes half a second to import.
    """
    edges = mel_edges_hz(config)[:, None]
    bins = np.fft.rfftfreq(config.n_fft, 1.0 / config.sample_rate_hz)
    widths = np.diff(edges, axis=0)
    rising, falling = (bins - edges[:-2]) / widths[:-1], (edges[2:] - bins) / widths[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))).astype(np.float32)


def mel_edges_hz(config: MelConfig) -> NDArray[np.float64]:
    """Edges of the mel filters, (M + 2,) in Hz and even in mel: filter ``i`` rises from ``i`` and ends at ``i + 2``."""
    lowest, highest = hz_to_mel(config.fmin_hz), hz_to_mel(config.fmax_hz)
    return mel_to_hz(np.linspace(lowest, highest, config.n_mels + 2))


def read_audio(
    source: Source,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    *,
    minimum_seconds: float = 0.0,
    source_rate_hz: int | None = None,
) -> Tensor:
    """Read a speech file as mono samples at one rate, as they stand.

    Args:
        source: A wav, flac, ogg or mp3 file of any rate, width and number of channels, by its path or open; or samples
            (N,) or (N, channels), with ``source_rate_hz``. Of several channels the best is taken; see
            :func:`read_recording`.
        sample_rate_hz: Rate of the result.
        minimum_seconds: Shortest duration accepted.
        source_rate_hz: Rate of samples; a file tells its own.

    Returns:
        Samples (N,), float32, full scale at 1.

    Raises:
        InputError: The file is missing, a folder, not audio, empty, shorter than asked for, or holds samples that are
            not finite or far beyond full scale; or samples come without a rate.
    """
    name, samples, rate = _load(source, source_rate_hz, minimum_seconds)
    return _resample(samples[:, _best_channel(samples, rate)[0]], rate, sample_rate_hz)


def read_recording(
    source: Source,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    *,
    minimum_seconds: float = 0.0,
    longest_seconds: float | None = None,
    source_rate_hz: int | None = None,
    whole: bool = False,
) -> Recording:
    """Read a recording of speech and prepare it to be measured: the same way for styles, training and evaluation.

    The channel with the loudest speech is taken, never a mean that might cancel. The mean of the samples is removed.
    Silence before and after the speech is cut off, and of a long recording the stretch with the most speech is taken.
    A clipped recording is turned down, and noted.

    Args:
        source: As for :func:`read_audio`.
        sample_rate_hz: Rate of the result.
        minimum_seconds: Shortest duration accepted; no less is kept.
        longest_seconds: Longest stretch to keep; all if None.
        source_rate_hz: Rate of samples; a file tells its own.
        whole: Keep time and level as they are, so that recordings can be compared frame by frame.

    Returns:
        The recording.

    Raises:
        InputError: As for :func:`read_audio`, or it is silent.

    Source: librosa's splitter by level.
    """
    name, samples, rate = _load(source, source_rate_hz, minimum_seconds)
    channel, notes = _best_channel(samples, rate)
    clipped = _clipped_share(samples[:, channel])
    audio = _resample(samples[:, channel], rate, sample_rate_hz)
    audio = (audio.double() - audio.double().mean()).float()
    if not whole:
        start, stop = _speech_span(audio.numpy(), sample_rate_hz, minimum_seconds, longest_seconds)
        if longest_seconds is not None and len(audio) > longest_seconds * sample_rate_hz:
            seconds = f"{start / sample_rate_hz:.1f} to {stop / sample_rate_hz:.1f} s"
            notes.append(f"of {len(audio) / sample_rate_hz:.1f} s only {seconds} are used")
        audio = audio[start:stop]
    require_speech(audio, name)
    if clipped >= CLIPPED_SHARE:
        notes.append(f"it is clipped ({100 * clipped:.2g} % of its samples are at its ceiling)")
        level_dbfs = _level_dbfs(audio)
        if not whole and level_dbfs > CLIPPED_LEVEL_DBFS:
            audio = audio * 10 ** ((CLIPPED_LEVEL_DBFS - level_dbfs) / 20)
            notes[-1] += f"; turned down from {level_dbfs:.0f} to {CLIPPED_LEVEL_DBFS:.0f} dBFS"
    return Recording(name, audio, rate, tuple(f"{name}: {note}" for note in notes))


def without_rumble(samples: NDArray[Any], sample_rate_hz: int) -> NDArray[np.float64]:
    """Samples without their mean and without what lies below any voice, for readers of pitch and for nothing else.

    Args:
        samples: Samples (N,).
        sample_rate_hz: Their rate.

    Returns:
        Samples (N,); filtered forwards and backwards, so that nothing is delayed.
    """
    from scipy import signal  # here, as other slow imports of this file: most of its users read no recording

    values = np.asarray(samples, dtype=np.float64)
    values = values - values.mean()
    sections = signal.butter(2, RUMBLE_HZ, "highpass", fs=sample_rate_hz, output="sos")
    # Longer padding than scipy's own, since rumble is slow; one period of it is enough.
    return signal.sosfiltfilt(sections, values, padlen=min(len(values) - 1, int(sample_rate_hz / RUMBLE_HZ)))


# -- reading ----------------------------------------------------------------------------------------------------------


def _load(source: Source, source_rate_hz: int | None, minimum_seconds: float) -> tuple[str, NDArray[np.float32], int]:
    """Name, samples (N, channels) and rate of a file or of samples, checked."""
    if isinstance(source, (np.ndarray, Tensor)):
        name = f"samples of shape {tuple(source.shape)}"
        if source_rate_hz is None:
            raise InputError(f"{name}: their rate is not known; expected sample_rate_hz beside them")
        if source_rate_hz <= 0:
            raise InputError(f"{name} at {source_rate_hz} Hz; expected a rate > 0")
        samples, rate = _samples_of_array(source, name), int(source_rate_hz)
    else:
        name = str(source) if isinstance(source, (str, Path)) else str(getattr(source, "name", "file in memory"))
        if source_rate_hz is not None:
            raise InputError(f"{name}: a sample rate of {source_rate_hz} Hz with a file; expected it of samples alone")
        samples, rate = _samples_of_file(source, name)
    if samples.size == 0:
        raise InputError(f"{name} holds no samples")
    _require_finite(samples, name)
    peak = float(np.abs(samples).max())
    if peak > HIGHEST_PEAK:
        raise InputError(f"{name}: float samples reach {peak:g}; expected full scale at 1")
    seconds = len(samples) / rate
    if seconds < minimum_seconds:
        raise InputError(f"{name} lasts {seconds:.2f} s; expected at least {minimum_seconds:g} s")
    return name, samples, rate


def _samples_of_array(source: NDArray[Any] | Tensor, name: str) -> NDArray[np.float32]:
    """Samples (N, channels); whole numbers are brought to full scale at 1, and the shorter axis is the channels'."""
    if isinstance(source, Tensor):
        source = source.detach().cpu()
        source = source.float() if source.is_floating_point() else source  # NumPy has no bfloat16
    values = np.asarray(source)
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiu":
        raise InputError(f"{name} of {values.dtype}; expected numbers (N,) or (N, channels)")
    if values.dtype.kind in "iu":
        range_ = np.iinfo(values.dtype)
        middle = 0.0 if values.dtype.kind == "i" else (range_.max + 1) / 2
        values = (values.astype(np.float64) - middle) / (range_.max + 1 - middle)
    if values.ndim == 2 and values.shape[0] < values.shape[1]:
        values = values.T
    return np.asarray(values if values.ndim == 2 else values[:, None], dtype=np.float32)


def _samples_of_file(source: str | Path | bytes | BinaryIO, name: str) -> tuple[NDArray[np.float32], int]:
    """Samples (N, channels) and rate of a file on disk or in memory."""
    if isinstance(source, (str, Path)):
        path = Path(source)
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected an audio file")
        if not path.exists():
            raise InputError(f"{path}: no such audio file")
        file: Any = str(path)
    elif isinstance(source, bytes) or hasattr(source, "read"):
        if not isinstance(source, bytes):
            source.seek(0)  # so that it can be read twice
        file = io.BytesIO(source if isinstance(source, bytes) else source.read())
    else:
        raise InputError(f"a {type(source).__name__} as a recording; expected a path, an open file or an array")
    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        if samples.size == 0:
            data = Path(file).read_bytes() if isinstance(file, str) else file.getvalue()
            samples, rate = soundfile.read(io.BytesIO(_with_sizes(data)), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, OSError, TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be read as audio ({error}); expected wav, flac, ogg or mp3") from error
    return samples, rate


def _with_sizes(data: bytes) -> bytes:
    """A wav whose writer never came back to fill in its sizes, as of a pipe, with sizes; any other file as it is."""
    place = 12
    while data[:4] == b"RIFF" and data[8:12] == b"WAVE" and place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        if name == b"data":
            whole, held = (struct.pack("<I", len(data) - before) for before in (8, place + 8))
            return data[:4] + whole + data[8 : place + 4] + held + data[place + 8 :]
        place += 8 + size + size % 2
    return data


def _resample(samples: NDArray[np.float32], rate: int, wanted: int) -> Tensor:
    mono = torch.from_numpy(np.ascontiguousarray(samples))
    if rate == wanted:
        return mono
    import torchaudio

    return torchaudio.functional.resample(mono, rate, wanted)


# -- preparing --------------------------------------------------------------------------------------------------------


def _best_channel(samples: NDArray[np.float32], rate: int) -> tuple[int, list[str]]:
    """The channel with the loudest speech, by its power above its own steady background; and what is odd about them."""
    channels = samples.shape[1]
    if channels == 1 or (samples == samples[:, :1]).all():
        return 0, []
    tracks = [without_rumble(samples[:, c], rate) for c in range(channels)]
    powers = [_frame_powers(track) for track in tracks]
    # Speech is loud for less than half of the time, hum always: its median is near its mean.
    speech = np.array([max(0.0, power.mean() - np.median(power)) + 1e-3 * power.mean() for power in powers])
    best = int(np.argmax(speech))
    notes = []
    for c in range(channels):
        if c == best or speech[c] < speech[best] * 10 ** (-FAR_CHANNEL_DB / 10):
            continue
        alike = float(tracks[best] @ tracks[c] / (np.linalg.norm(tracks[best]) * np.linalg.norm(tracks[c])))
        if alike < ANTIPHASE_CORRELATION:
            notes.append(f"channels {best + 1} and {c + 1} are in antiphase; only channel {best + 1} is used")
        elif abs(alike) < UNRELATED_CORRELATION:
            notes.append(f"channels {best + 1} and {c + 1} hold different sounds; only channel {best + 1} is used")
    return best, notes


def _frame_powers(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean power of each frame (T,) of samples (N,)."""
    import librosa

    frames = librosa.feature.rms(y=samples, frame_length=SPLIT_FRAME_SAMPLES, hop_length=SPLIT_HOP_SAMPLES)
    return np.square(frames[0])


def _clipped_share(samples: NDArray[np.float32]) -> float:
    """Share of samples (N,) in runs at the highest or lowest value, which a waveform cut off at a ceiling has."""
    from scipy import ndimage

    found = 0
    for side in (samples, -samples):
        ceiling = float(side.max())
        lengths = np.bincount(ndimage.label(side >= ceiling - 1e-4 * abs(ceiling))[0])[1:]
        lengths = lengths[lengths >= CLIPPED_RUN_SAMPLES]
        found += int(lengths.sum()) if len(lengths) >= CLIPPED_RUN_SAMPLES else 0
    return found / len(samples)


def _speech_span(
    samples: NDArray[np.float32], rate: int, minimum_seconds: float, longest_seconds: float | None
) -> tuple[int, int]:
    """First sample of the speech, and the one after its last, with a margin."""
    import librosa

    plain = without_rumble(samples, rate)
    power = _frame_powers(plain)
    if power.max() <= 10 ** (SILENCE_DBFS / 10):
        return 0, len(samples)
    # In a noisy recording speech stands out by less; what is below the noise cannot be told from it.
    above_noise_db = 10 * np.log10(power.max() / max(float(np.percentile(power, 5)), 1e-12)) - NOISE_MARGIN_DB
    top_db = float(np.clip(above_noise_db, NARROWEST_SPEECH_RANGE_DB, SPEECH_RANGE_DB))
    frames = {"frame_length": SPLIT_FRAME_SAMPLES, "hop_length": SPLIT_HOP_SAMPLES}
    intervals = librosa.effects.split(plain, top_db=top_db, **frames)  # type: ignore[arg-type]
    margin = int(SPEECH_MARGIN_SECONDS * rate)
    start, stop = max(0, int(intervals[0, 0]) - margin), min(len(samples), int(intervals[-1, 1]) + margin)
    longest = len(samples) if longest_seconds is None else int(longest_seconds * rate)
    if stop - start > longest:
        speech = np.zeros(len(samples) + 1)
        speech[intervals[:, 0]] += 1
        speech[intervals[:, 1]] -= 1
        before = np.concatenate([[0], np.cumsum(np.cumsum(speech)[:-1])])  # samples of speech before each sample
        first = start + int(np.argmax(before[start + longest : stop + 1] - before[start : stop + 1 - longest]))
        inside = intervals[(intervals[:, 1] > first) & (intervals[:, 0] < first + longest)]
        start = max(first, int(inside[0, 0]) - margin)
        stop = min(first + longest, int(inside[-1, 1]) + margin)
    lacking = int(minimum_seconds * rate) - (stop - start)
    if lacking > 0:
        start = max(0, min(start - lacking // 2, len(samples) - int(minimum_seconds * rate)))
        stop = min(len(samples), start + int(minimum_seconds * rate))
    return start, stop


def _level_dbfs(audio: Tensor) -> float:
    power = float(audio.double().square().mean()) if audio.numel() else 0.0
    return 10.0 * math.log10(power) if power > 0.0 else -math.inf


def _require_finite(samples: np.ndarray, name: str) -> None:
    strange = int(np.count_nonzero(~np.isfinite(samples)))
    if strange:
        raise InputError(f"{name}: {strange} of {samples.size} samples are NaN or infinite")


def require_speech(audio: Tensor, name: str) -> None:
    """Raise when audio is silent, since silence has no style.

    Args:
        audio: Samples (N,) in [-1, 1].
        name: What the audio is, for the message.

    Raises:
        InputError: There are no samples, or the RMS level is below -70 dBFS.
    """
    level_dbfs = _level_dbfs(audio)
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
    _require_finite(samples, f"audio for {path}")
    pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    with atomic_path(path) as temporary:
        soundfile.write(str(temporary), pcm, sample_rate_hz, subtype="PCM_16", format="WAV")
