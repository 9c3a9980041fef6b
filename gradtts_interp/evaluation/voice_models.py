"""Other people's models by path: recognisers and classifiers of audio in the format of transformers.

A folder is data: its weights are read from safetensors alone, no code of it is run, and nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from safetensors import SafetensorError

from gradtts_interp.errors import InputError

WHISPER_SECONDS = 30.0
"""What Whisper hears at once; it goes on beyond that only when it may say times."""


class TransformersRecogniser:
    """Any speech recogniser of transformers: Whisper and its like, or CTC such as wav2vec2.

    Args:
        path: Folder of the model with its weights as safetensors; nothing is downloaded, and no code of the folder run.
        language: Code of the language spoken, for Whisper models of many; others know their own.
        device: Where it works.

    Raises:
        InputError: transformers is not installed, the folder is missing or holds no such model, or the model does not
            know the language.
    """

    def __init__(self, path: str | Path, *, language: str = "en", device: str | torch.device = "cpu") -> None:
        try:
            from transformers import AutoConfig, AutoModelForCTC, AutoModelForSpeechSeq2Seq, AutoProcessor, pipeline
        except ImportError as error:
            raise InputError(f"{path} needs transformers: pip install gradtts-interp[voices]") from error
        require_model_folder(path)
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            config = AutoConfig.from_pretrained(str(path), **options)
            ctc = any(name.endswith("ForCTC") for name in config.architectures or ())
            kind = AutoModelForCTC if ctc else AutoModelForSpeechSeq2Seq
            processor: Any = AutoProcessor.from_pretrained(str(path), **options)
            model: Any = kind.from_pretrained(str(path), use_safetensors=True, **options).float().eval()
            self.pipeline: Any = pipeline(
                "automatic-speech-recognition",
                model=model,
                tokenizer=processor.tokenizer,
                feature_extractor=processor.feature_extractor,
                device=device,
            )
        except (OSError, ValueError, KeyError, AttributeError, ImportError, SafetensorError) as error:
            said = str(error).strip().partition("\n")[0]  # further lines list every model there is
            raise InputError(f"{path}: {said}; expected a speech recogniser of transformers in safetensors") from error
        self.rate_hz = int(processor.feature_extractor.sampling_rate)
        self._whisper = config.model_type == "whisper"
        self._options: dict[str, str] = {}
        if getattr(getattr(model, "generation_config", None), "is_multilingual", False):
            known = getattr(model.generation_config, "lang_to_id", {})
            if f"<|{language}|>" not in known:
                codes = " ".join(sorted(code.strip("<|>") for code in known))
                raise InputError(f"{path}: language {language!r}; expected one of {codes}")
            self._options = {"language": language, "task": "transcribe"}

    @torch.no_grad()
    def transcribe(self, audio: NDArray, sample_rate_hz: int) -> str:
        """What is said in samples (N,), as the model writes it."""
        samples = _resampled(audio, sample_rate_hz, self.rate_hz)
        calls: dict[str, Any] = {"generate_kwargs": dict(self._options)} if self._options else {}
        if self._whisper and len(samples) > WHISPER_SECONDS * self.rate_hz:
            calls["return_timestamps"] = True
        return str(self.pipeline({"raw": samples, "sampling_rate": self.rate_hz}, **calls)["text"])


class TransformersClassifier:
    """Any audio-classification model of transformers, such as one of gender, age or emotion.

    Args:
        path: Folder of the model with its weights as safetensors; nothing is downloaded, and no code of the folder run.
        device: Where it works.

    Raises:
        InputError: transformers is not installed, or the folder is missing or holds no such model.
    """

    def __init__(self, path: str | Path, *, device: str | torch.device = "cpu") -> None:
        try:
            from transformers import AutoFeatureExtractor, AutoModelForAudioClassification
        except ImportError as error:
            raise InputError(f"{path} needs transformers: pip install gradtts-interp[voices]") from error
        require_model_folder(path)
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self.extractor: Any = AutoFeatureExtractor.from_pretrained(str(path), **options)
            model: Any = AutoModelForAudioClassification.from_pretrained(str(path), use_safetensors=True, **options)
        except (OSError, ValueError, KeyError, AttributeError, ImportError, SafetensorError) as error:
            said = str(error).strip().partition("\n")[0]
            raise InputError(
                f"{path}: {said}; expected an audio-classification model of transformers in safetensors"
            ) from error
        self.model = model.float().eval().to(device)
        self.device = device

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
        chances = (
            self.model(**{name: value.to(self.device) for name, value in inputs.items()})
            .logits[0]
            .float()
            .softmax(-1)
            .tolist()
        )
        return {self.model.config.id2label[i]: chance for i, chance in enumerate(chances)}


def require_model_folder(path: str | Path) -> None:
    """Raise unless a path is a folder with a ``config.json``, as transformers writes it.

    Args:
        path: The folder.

    Raises:
        InputError: There is no such folder, or it holds no config.json.
    """
    _require_folder(path)
    if not (Path(path) / "config.json").is_file():
        raise InputError(f"{path} holds no config.json; expected the folder of a model of transformers")


def _require_folder(path: str | Path) -> None:
    if not Path(path).is_dir():
        raise InputError(f"{path}: no such folder; expected that of a model on this machine")


def _resampled(audio: NDArray, sample_rate_hz: int, wanted_hz: int) -> NDArray[np.float32]:
    samples = torch.as_tensor(np.asarray(audio, dtype=np.float32))
    return torchaudio.functional.resample(samples, sample_rate_hz, wanted_hz).numpy()
