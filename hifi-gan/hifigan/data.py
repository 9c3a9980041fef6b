"""Speech held as 16-bit samples in memory, cut into random segments."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from torch import Tensor

logger = logging.getLogger(__name__)

SUFFIXES = (".wav", ".flac")
# One file in so many is held out, by a hash of its name, so the choice survives a growing corpus.
HOLD_OUT_EVERY = 50
# Of a corpus, and of one that is being built, whose last line may be half written.
MANIFEST, PARTIAL_MANIFEST = "manifest.jsonl", "manifest.partial.jsonl"
ContourFunction = Callable[[Path, np.ndarray], "np.ndarray | None"]


class Clip(NamedTuple):
    """One recording and what is known of each of its mel frames.

    Attributes:
        samples: Samples (N,), int16.
        contour: F0 in Hz, > 0 everywhere, and voicing, (2, T), float32; None where no network reads it.
        mel: Predicted log-mel (M, T), float16, or None.
    """

    samples: np.ndarray
    contour: np.ndarray | None = None
    mel: np.ndarray | None = None

    def frames(self, hop: int) -> int:
        """Frames that the samples and all that is known of them have."""
        known = [part.shape[1] for part in (self.contour, self.mel) if part is not None]
        return min([len(self.samples) // hop, *known])


class Segments(NamedTuple):
    """Pieces of recordings.

    Attributes:
        audio: Samples (B, N), float32 in [-1, 1].
        contour: F0 in Hz and voicing (B, 2, T), or None.
        mel: Predicted log-mels (B, M, T), or None.
    """

    audio: Tensor
    contour: Tensor | None = None
    mel: Tensor | None = None


class Corpus:
    """Mono recordings of one sample rate, preloaded as int16; about 160 MB an hour at 22.05 kHz.

    Args:
        source: A folder searched for wav and flac files, or a manifest (see ``list_recordings``).
        sample_rate_hz: Rate that every file must have.
        shortest: Files with fewer samples are left aside.
        mels: Folder of predicted log-mels, ``NAME.npy`` (M, T) or (1, M, T) for recording ``NAME.wav``; recordings
            without one serve with their own mel alone.
        hop: Samples of a mel frame.
        contour_of: Gives F0 and voicing (2, T) of a file and its samples, or None while they are not there yet: the
            file is then asked for again at the next ``refresh``. Segments begin at a frame where this is given.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        sample_rate_hz: int,
        shortest: int,
        mels: Path | None = None,
        hop: int = 256,
        contour_of: ContourFunction | None = None,
    ) -> None:
        self.source = Path(source)
        self.sample_rate_hz = sample_rate_hz
        self.shortest = shortest
        self.mels, self.hop, self.contour_of = mels, hop, contour_of
        self._seen: set[Path] = set()
        self.training: list[Clip] = []
        self.held_out: list[Clip] = []
        self.refresh()
        if not self.training:
            raise ValueError(f"{source} holds no recording of at least {shortest} samples at {sample_rate_hz} Hz")
        if mels is not None and not self.paired:
            raise ValueError(f"{mels} holds no mel NAME.npy of a training recording of {source}")

    @property
    def hours(self) -> float:
        """Hours of training audio."""
        return sum(len(x.samples) for x in self.training) / self.sample_rate_hz / 3600

    @property
    def paired(self) -> list[Clip]:
        """Training recordings with a predicted mel."""
        return [recording for recording in self.training if recording.mel is not None]

    def refresh(self) -> int:
        """Read files that have appeared since; returns their number."""
        fresh = [path for path in list_recordings(self.source) if path not in self._seen]
        before = len(self._seen)
        for path in fresh:
            samples = self._read(path)
            contour = None
            if samples is not None and self.contour_of is not None:
                contour = self.contour_of(path, samples)
                if contour is None:
                    continue
            self._seen.add(path)
            if samples is None:
                continue
            if contour is not None and contour.shape[1] < self.shortest // self.hop:
                logger.warning("%s left aside: its contour has %d frames only", path, contour.shape[1])
                continue
            if zlib.crc32(path.name.encode()) % HOLD_OUT_EVERY == 0:
                self.held_out.append(Clip(samples, contour))
            else:
                self.training.append(Clip(samples, contour, self._read_mel(path)))
        self._ends = np.cumsum([len(recording.samples) for recording in self.training])
        return len(self._seen) - before

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

    def predicted(self, size: int, frames: int, generator: torch.Generator) -> Segments:
        """Cut random segments of recordings with a predicted mel, on the frames of the mel.

        Args:
            size: Segments (B).
            frames: Frames of each (T).
            generator: Source of randomness.

        Returns:
            Segments of T * hop samples with their predicted mels.

        Raises:
            ValueError: No recording with a predicted mel is so long.
        """
        long = [recording for recording in self.paired if recording.frames(self.hop) >= frames]
        if not long:
            raise ValueError(f"{self.mels}: no mel has {frames} frames; expected some as long as a segment")
        which, at = torch.rand((size, 2), generator=generator, dtype=torch.float64).unbind(1)
        return self._cut([long[int(place * len(long))] for place in which], at.tolist(), frames * self.hop, self.hop)

    def batch(self, size: int, samples: int, generator: torch.Generator) -> Segments:
        """Cut random segments; long recordings are drawn more often.

        Args:
            size: Segments (B).
            samples: Samples of each (N), at most ``shortest``; whole frames where there are contours.
            generator: Source of randomness.

        Returns:
            Segments without mels.
        """
        which, at = torch.rand((size, 2), generator=generator, dtype=torch.float64).numpy().T
        places = np.searchsorted(self._ends, which * self._ends[-1], side="right")
        chosen = [self.training[int(place)]._replace(mel=None) for place in places]
        return self._cut(chosen, at.tolist(), samples, self._grid)

    def validation(self, size: int, samples: int) -> Segments:
        """Return the middles of up to ``size`` held-out recordings (of training ones if none is held out)."""
        recordings = [recording._replace(mel=None) for recording in (self.held_out or self.training)[:size]]
        middle = float(np.nextafter(0.5, 0))  # of two middles, the first
        return self._cut(recordings, [middle] * len(recordings), samples, self._grid)

    @property
    def _grid(self) -> int:
        """Samples between places where a segment may begin: whole frames where there are contours."""
        return 1 if self.contour_of is None else self.hop

    def _cut(self, recordings: Sequence[Clip], places: Sequence[float], samples: int, grid: int) -> Segments:
        """Cut the same number of samples out of each recording, and what is known of them.

        Places are shares of the way from the first to the last possible start, which lie on a grid of samples.
        """
        rows, contours, mels = [], [], []
        for recording, place in zip(recordings, places, strict=True):
            starts = (recording.frames(self.hop) * self.hop if grid > 1 else len(recording.samples)) - samples
            first = int(place * (starts // grid + 1)) * grid
            frames = slice(first // self.hop, (first + samples) // self.hop)
            rows.append(recording.samples[first : first + samples])
            contours += [] if recording.contour is None else [recording.contour[:, frames]]
            mels += [] if recording.mel is None else [recording.mel[:, frames]]
        contour, mel = (torch.from_numpy(np.stack(known)).float() if known else None for known in (contours, mels))
        return Segments(torch.from_numpy(np.stack(rows)).float() / 32768.0, contour, mel)


def list_recordings(source: Path) -> list[Path]:
    """List the recordings of a folder or manifest, sorted.

    A manifest holds one recording a line: a path alone or before the first ``|``, or a JSON object with the path under
    ``wav``, ``audio`` or ``path``, or an ``id`` that stands for ``wavs/ID.wav``; an object whose ``split`` is not
    ``train`` is left aside. Paths are relative to the manifest. A folder with a ``manifest.jsonl``, or a
    ``manifest.partial.jsonl`` while it is being built, is read by it.

    Args:
        source: Folder or manifest.

    Returns:
        Paths of wav and flac files; hidden files are left aside since they may be half written.

    Raises:
        ValueError: ``source`` does not exist, or a line of the manifest names no path.
    """
    source = next((source / name for name in (MANIFEST, PARTIAL_MANIFEST) if (source / name).is_file()), source)
    if source.is_dir():
        found = (path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
        return sorted(path for path in found if not path.name.startswith("."))
    if not source.is_file():
        raise ValueError(f"{source}: no such folder or manifest of recordings")
    return sorted(source.parent / name for name in _manifest_names(source))


def _manifest_names(manifest: Path) -> Iterator[str]:
    """Yield the path of each line."""
    lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    if manifest.name == PARTIAL_MANIFEST:
        lines = [line for line in lines if line.endswith("\n")]
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if line.startswith("{"):
            entry = json.loads(line)
            name = next((entry[key] for key in ("wav", "audio", "path") if key in entry), None)
            if name is None and "id" in entry:
                name = f"wavs/{entry['id']}.wav"
            if name is None:
                raise ValueError(f"{manifest} line {number} has none of wav, audio, path, id: {sorted(entry)}")
            if entry.get("split", "train") == "train":
                yield name
        elif line and not line.startswith("#"):
            yield line.split("|")[0]
