"""Other people's voice models by path: transformers classifiers of audio, speechbrain's speaker encoders."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray

from gradtts_interp.errors import InputError

SPEECHBRAIN_RATE_HZ = 16000


class TransformersClassifier:
    """Any audio-classification model of transformers, such as one of gender, age or emotion.

    Args:
        path: Folder of the model; nothing is downloaded.

    Raises:
        InputError: transformers is not installed, or the folder is missing or holds no such model.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            from transformers import AutoFeatureExtractor, AutoModelForAudioClassification
        except ImportError as error:
            raise InputError(f"{path} needs transformers: pip install gradtts-interp[voices]") from error
        _require_folder(path)
        try:
            self.extractor: Any = AutoFeatureExtractor.from_pretrained(str(path), local_files_only=True)
            self.model: Any = AutoModelForAudioClassification.from_pretrained(str(path), local_files_only=True).eval()
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: {error}; expected an audio-classification model of transformers") from error

    @torch.no_grad()
    def classify(self, audio: NDArray, sample_rate_hz: int) -> dict[str, float]:
        """Probability of each label of the model.

        Args:
            audio: Samples (N,).
            sample_rate_hz: Their rate.

        Returns:
            Probabilities by label; they sum to 1.
        """
        rate = int(self.extractor.sampling_rate)
        inputs = self.extractor(_resampled(audio, sample_rate_hz, rate), sampling_rate=rate, return_tensors="pt")
        chances = self.model(**inputs).logits[0].float().softmax(-1).tolist()
        return {self.model.config.id2label[i]: chance for i, chance in enumerate(chances)}


class SpeechBrainEncoder:
    """A speaker encoder of speechbrain, such as its ECAPA-TDNN.

    Args:
        path: Folder with ``hyperparams.yaml`` and weights; nothing is downloaded.

    Raises:
        InputError: speechbrain is not installed, or the folder is missing or holds no encoder.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            from speechbrain.inference.speaker import EncoderClassifier
        except ImportError as error:
            raise InputError(f"{path} needs speechbrain: pip install gradtts-interp[voices]") from error
        _require_folder(path)
        try:
            with tempfile.TemporaryDirectory() as links:  # it links what it loads into a folder of its own
                self.model: Any = EncoderClassifier.from_hparams(source=str(Path(path).resolve()), savedir=links)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: {error}; expected a speaker encoder of speechbrain") from error

    @torch.no_grad()
    def embed(self, audio: NDArray, sample_rate_hz: int) -> NDArray[np.float32]:
        """Unit vector (E,) of samples (N,)."""
        samples = torch.from_numpy(_resampled(audio, sample_rate_hz, SPEECHBRAIN_RATE_HZ))
        embedding = self.model.encode_batch(samples[None]).flatten().float()
        return torch.nn.functional.normalize(embedding, dim=0).numpy()


def _require_folder(path: str | Path) -> None:
    if not Path(path).is_dir():
        raise InputError(f"{path}: no such folder; expected that of a model on this machine")


def _resampled(audio: NDArray, sample_rate_hz: int, wanted_hz: int) -> NDArray[np.float32]:
    samples = torch.as_tensor(np.asarray(audio, dtype=np.float32))
    return torchaudio.functional.resample(samples, sample_rate_hz, wanted_hz).numpy()
