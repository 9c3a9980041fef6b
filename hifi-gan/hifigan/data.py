"""Speech held as 16-bit samples in memory, cut into random segments."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

logger = logging.getLogger(__name__)

SUFFIXES = (".wav", ".flac")
# One file in so many is held out, by a hash of its name, so the choice survives a growing corpus.
HOLD_OUT_EVERY = 50


class Corpus:
    """Mono recordings of one sample rate, preloaded as int16; about 160 MB an hour at 22.05 kHz.

    Args:
        source: A folder searched for wav and flac files, or a manifest (see ``list_recordings``).
        sample_rate_hz: Rate that every file must have.
        shortest: Files with fewer samples are left aside.
        mels: Folder of predicted log-mels, ``NAME.npy`` (M, T) or (1, M, T) for recording ``NAME.wav``; recordings
            without one serve with their own mel alone.
        hop: Samples of a mel frame.
    """

    def __init__(
        self, source: str | Path, *, sample_rate_hz: int, shortest: int, mels: Path | None = None, hop: int = 256
    ) -> None:
        self.source = Path(source)
        self.sample_rate_hz = sample_rate_hz
        self.shortest = shortest
        self.mels, self.hop = mels, hop
        self._seen: set[Path] = set()
        self.training: list[np.ndarray] = []
        self.held_out: list[np.ndarray] = []
        self.pairs: list[tuple[np.ndarray, np.ndarray]] = []
        self.refresh()
        if not self.training:
            raise ValueError(f"{source} holds no recording of at least {shortest} samples at {sample_rate_hz} Hz")
        if mels is not None and not self.pairs:
            raise ValueError(f"{mels} holds no mel NAME.npy of a training recording of {source}")

    @property
    def hours(self) -> float:
        """Hours of training audio."""
        return sum(len(x) for x in self.training) / self.sample_rate_hz / 3600

    def refresh(self) -> int:
        """Read files that have appeared since; returns their number."""
        fresh = [path for path in list_recordings(self.source) if path not in self._seen]
        self._seen.update(fresh)
        for path in fresh:
            samples = self._read(path)
            if samples is not None:
                held_out = zlib.crc32(path.name.encode()) % HOLD_OUT_EVERY == 0
                (self.held_out if held_out else self.training).append(samples)
                mel = None if held_out else self._read_mel(path)
                if mel is not None:
                    self.pairs.append((samples, mel))
        self._ends = np.cumsum([len(samples) for samples in self.training])
        return len(fresh)

    def _read(self, path: Path) -> np.ndarray | None:
        """Return int16 samples (N,), or None with a warning when the file cannot be used."""
        try:
            samples, rate = soundfile.read(str(path), dtype="int16", always_2d=True)
        except (soundfile.SoundFileError, OSError) as error:
            logger.warning("%s left aside: %s", path, error)
            return None
        if rate != self.sample_rate_hz:
            raise ValueError(f"{path} has {rate} Hz; expected {self.sample_rate_hz} Hz as the mel contract says")
        return samples[:, 0].copy() if len(samples) >= self.shortest else None

    def _read_mel(self, recording: Path) -> np.ndarray | None:
        """Return the predicted mel (M, T) of a recording, T no longer than it, or None where there is none."""
        if self.mels is None or not (path := self.mels / f"{recording.stem}.npy").is_file():
            return None
        try:
            mel = np.load(path, allow_pickle=False)
        except (ValueError, OSError) as error:
            raise ValueError(f"{path} cannot be read: {error}; expected an array of a log-mel") from error
        mel = mel[0] if mel.ndim == 3 and len(mel) == 1 else mel
        if mel.ndim != 2 or not np.isfinite(mel).all():
            raise ValueError(f"{path} holds an array {mel.shape}; expected finite log-mels (M, T)")
        return mel.astype(np.float16)

    def predicted(self, size: int, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Cut random segments of recordings with a predicted mel, on the frames of the mel.

        Args:
            size: Segments (B).
            frames: Frames of each (T).
            generator: Source of randomness.

        Returns:
            Samples (B, T * hop), float32 in [-1, 1], and predicted log-mels (B, M, T).

        Raises:
            ValueError: No recording with a predicted mel is so long.
        """
        long = [(samples, mel) for samples, mel in self.pairs if self._paired_frames(samples, mel) >= frames]
        if not long:
            raise ValueError(f"{self.mels}: no mel has {frames} frames; expected some as long as a segment")
        draws = torch.rand((size, 2), generator=generator, dtype=torch.float64).tolist()
        rows, mels = [], []
        for which, where in draws:
            samples, mel = long[int(which * len(long))]
            first = int(where * (self._paired_frames(samples, mel) - frames + 1))
            rows.append(samples[first * self.hop : (first + frames) * self.hop])
            mels.append(mel[:, first : first + frames])
        return torch.from_numpy(np.stack(rows)).float() / 32768.0, torch.from_numpy(np.stack(mels)).float()

    def _paired_frames(self, samples: np.ndarray, mel: np.ndarray) -> int:
        return min(len(samples) // self.hop, mel.shape[1])

    def batch(self, size: int, samples: int, generator: torch.Generator) -> Tensor:
        """Cut random segments; long recordings are drawn more often.

        Args:
            size: Segments (B).
            samples: Samples of each (N), at most ``shortest``.
            generator: Source of randomness.

        Returns:
            Segments (B, N), float32, in [-1, 1].
        """
        draws = torch.rand((size, 2), generator=generator, dtype=torch.float64).numpy()
        rows = np.empty((size, samples), np.int16)
        for row, (where, start) in zip(rows, draws, strict=True):
            recording = self.training[int(np.searchsorted(self._ends, where * self._ends[-1], side="right"))]
            first = int(start * (len(recording) - samples + 1))
            row[:] = recording[first : first + samples]
        return torch.from_numpy(rows).float() / 32768.0

    def validation(self, size: int, samples: int) -> Tensor:
        """Return the middles of up to ``size`` held-out recordings (of training ones if none is held out), (B, N)."""
        recordings = (self.held_out or self.training)[:size]
        starts = [(len(recording) - samples) // 2 for recording in recordings]
        rows = [recording[s : s + samples] for recording, s in zip(recordings, starts, strict=True)]
        return torch.from_numpy(np.stack(rows)).float() / 32768.0


def list_recordings(source: Path) -> list[Path]:
    """List the recordings of a folder or manifest, sorted.

    A manifest holds one recording a line: a path alone or before the first ``|``, or a JSON object with the path under
    ``wav``, ``audio`` or ``path``. Paths are relative to the manifest.

    Args:
        source: Folder or manifest.

    Returns:
        Paths of wav and flac files; hidden files are left aside since they may be half written.

    Raises:
        ValueError: ``source`` does not exist, or a line of the manifest names no path.
    """
    if source.is_dir():
        found = (path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
        return sorted(path for path in found if not path.name.startswith("."))
    if not source.is_file():
        raise ValueError(f"{source}: no such folder or manifest of recordings")
    return sorted(source.parent / name for name in _manifest_names(source))


def _manifest_names(manifest: Path) -> Iterator[str]:
    """Yield the path of each line."""
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if line.startswith("{"):
            entry = json.loads(line)
            name = next((entry[key] for key in ("wav", "audio", "path") if key in entry), None)
            if name is None:
                raise ValueError(f"{manifest} line {number} has none of wav, audio, path: {sorted(entry)}")
            yield name
        elif line and not line.startswith("#"):
            yield line.split("|")[0]
