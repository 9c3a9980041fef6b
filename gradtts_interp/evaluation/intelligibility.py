"""Intelligibility by recognisers that are not ours: PocketSphinx's phones, and other people's words.

Phones need the extra ``eval``. Words are those of any recogniser of transformers by path (extra ``voices``). A folder
is data: its weights are read from safetensors alone, no code of it is run, and nothing is downloaded. Error rates are
jiwer's.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from safetensors import SafetensorError

from gradtts_interp.errors import InputError, import_extra
from gradtts_interp.text import TextFrontend, normalise

POCKETSPHINX = "pocketsphinx"
RECOGNISER_RATE_HZ = 16000
LONGEST_SECONDS = 30.0
"""What Whisper hears at once; it goes on beyond that only when it may say times."""
SILENCES = {"SIL", "+SPN+", "+NSN+"}
Recogniser = Callable[[NDArray, int], str]
"""From samples (N,) and their rate to the words that are heard."""


@functools.cache
def _decoder() -> Any:
    sphinx = import_extra("pocketsphinx", "intelligibility needs PocketSphinx", "eval")
    return sphinx.Decoder(
        hmm=sphinx.get_model_path("en-us/en-us"),
        allphone=sphinx.get_model_path("en-us/en-us-phone.lm.bin"),
        lw=2.0,
        pip=0.3,
        beam=1e-10,
        pbeam=1e-10,
        loglevel="FATAL",
    )


def recognise_phones(audio: NDArray, sample_rate_hz: int) -> tuple[str, ...]:
    """Recognise phones without any knowledge of words.

    Args:
        audio: Samples (N,) in [-1, 1].
        sample_rate_hz: Their rate.

    Returns:
        ARPAbet phones without stress, silences left out.

    Raises:
        InputError: PocketSphinx is not installed.
    """
    samples = resampled(audio, sample_rate_hz, RECOGNISER_RATE_HZ)
    peak = np.abs(samples).max()
    scaled = samples * (0.7 / peak if peak > 0 else 1)  # the recogniser's own level, so that loudness does not count
    data = (scaled * 32767).round().clip(-32768, 32767).astype(np.int16).tobytes()
    decoder = _decoder()
    decoder.reinit_feat()  # forget the features of earlier utterances, or their order would count
    decoder.start_utt()
    decoder.process_raw(data, full_utt=True)
    decoder.end_utt()
    return tuple(s.word for s in decoder.seg() if s.word not in SILENCES)


def plain_phones(tokens: Sequence[str]) -> tuple[str, ...]:
    """Phones of a token sequence without stress, pauses and punctuation; ``@AH0`` and ``AH0`` give ``AH``."""
    found = [re.sub(r"\d", "", token.lstrip("@")) for token in tokens]
    return tuple(phone for phone in found if phone.isalpha())


def phone_error_rate(reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    """Edit distance over reference length.

    Args:
        reference: Phones that should be heard.
        hypothesis: Phones that were recognised.

    Returns:
        Rate >= 0; 0 is perfect.

    Raises:
        InputError: There is no phone to be heard.
    """
    return _error_rate("wer", " ".join(reference), " ".join(hypothesis))


def plain_words(text: str) -> str:
    """Normalise a text so that spelling does not count as an error.

    Numbers, dates, money, units and abbreviations become words, as the synthesiser speaks them; letters become plain
    and small; hyphens and all punctuation but the apostrophe within a word become spaces.

    Args:
        text: What should be said, or what a recogniser wrote.

    Returns:
        Words of a-z and apostrophes with one space between them; empty where there is none.
    """
    small = text.lower() if text.isupper() else text  # recognisers that write capitals alone spell no abbreviation
    return " ".join(re.findall(r"[a-z]+(?:'[a-z]+)*", normalise(small)[0].lower()))


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Word edits over reference words, after :func:`plain_words` of both sides.

    Args:
        reference: What should be heard.
        hypothesis: What was recognised.

    Returns:
        Rate >= 0; 0 is perfect, and words too many can bring it above 1.

    Raises:
        InputError: The reference has no words.
    """
    return _error_rate("wer", plain_words(reference), plain_words(hypothesis))


def character_error_rate(reference: str, hypothesis: str) -> float:
    """The same for characters, spaces between words included."""
    return _error_rate("cer", plain_words(reference), plain_words(hypothesis))


def _error_rate(measure: str, reference: str, hypothesis: str) -> float:
    jiwer = import_extra("jiwer", "error rates need jiwer", "eval")
    if not reference:
        raise InputError("the text has no words to be heard")
    return float(getattr(jiwer, measure)(reference, hypothesis))


def error_rates(
    audio: NDArray,
    sample_rate_hz: int,
    text: str,
    *,
    frontend: TextFrontend | None = None,
    recogniser: Recogniser | None = None,
) -> dict[str, float]:
    """Error rates of one utterance.

    Args:
        audio: Samples (N,) in [-1, 1].
        sample_rate_hz: Their rate.
        text: What should be heard.
        frontend: Says which phones a text has, for PocketSphinx; None leaves it out.
        recogniser: Recognises words, as of :func:`load_recogniser`; None leaves them out.

    Returns:
        ``phone_error_rate``, ``word_error_rate`` and ``character_error_rate``, as far as there are recognisers; of a
        text with inline phones, whose words are unknown, the first alone.

    Raises:
        InputError: The text has nothing to hear.
    """
    found = {}
    if frontend is not None:
        wanted = plain_phones(frontend(text).tokens)
        found["phone_error_rate"] = phone_error_rate(wanted, recognise_phones(audio, sample_rate_hz))
    if recogniser is not None and "{" not in text:
        heard = recogniser(audio, sample_rate_hz)
        found["word_error_rate"] = word_error_rate(text, heard)
        found["character_error_rate"] = character_error_rate(text, heard)
    return found


def load_recognisers(
    recognisers: Sequence[str], frontend: TextFrontend, *, language: str = "en", device: str | torch.device = "cpu"
) -> Callable[[NDArray, int, str], dict[str, float]]:
    """Load recognisers.

    Args:
        recognisers: :data:`POCKETSPHINX` and folders of transformers models, as :func:`require_recognisers` takes them.
        frontend: Says which phones a text has.
        language: Spoken, for models of many.
        device: Where models of transformers work.

    Returns:
        :func:`error_rates` by these recognisers.

    Raises:
        InputError: One of them cannot be loaded.
    """
    folders = [name for name in recognisers if name != POCKETSPHINX]
    words = load_recogniser(folders[0], language=language, device=device) if folders else None
    phones = frontend if POCKETSPHINX in recognisers else None
    return functools.partial(error_rates, frontend=phones, recogniser=words)


def require_recognisers(recognisers: Sequence[str]) -> None:
    """Raise where a recogniser is plainly not there, before anything is rendered or loaded.

    Args:
        recognisers: :data:`POCKETSPHINX`, and at most one folder.

    Raises:
        InputError: A package or folder is missing, or there are two folders.
    """
    folders = [name for name in recognisers if name != POCKETSPHINX]
    if len(folders) > 1:
        raise InputError(f"recognisers {', '.join(folders)}: expected one folder at most, beside {POCKETSPHINX}")
    for folder in folders:
        require_model_folder(folder)
    needs = {"jiwer": ("eval", bool(recognisers)), "transformers": ("voices", bool(folders))}
    needs[POCKETSPHINX] = ("eval", POCKETSPHINX in recognisers)
    for package, (extra, needed) in needs.items():
        if needed and importlib.util.find_spec(package) is None:
            raise InputError(f"intelligibility needs {package}: pip install 'gradtts-interp[{extra}]'")


# -- recognisers of transformers ---------------------------------------------------------------------------------------


def load_recogniser(path: str | Path, *, language: str = "en", device: str | torch.device = "cpu") -> Recogniser:
    """Load any speech recogniser of transformers: Whisper and its like, or CTC such as wav2vec2.

    Args:
        path: Folder of the model with its weights as safetensors; nothing is downloaded, and no code of the folder run.
        language: Code of the language spoken, for Whisper models of many; others know their own.
        device: Where it works.

    Returns:
        From samples (N,) and their rate to what is said, as the model writes it.

    Raises:
        InputError: transformers is not installed, the folder is missing or holds no such model, or the model does not
            know the language.
    """
    transformers, options = import_transformers(path)
    with named_errors(path, "a speech recogniser"):
        config = transformers.AutoConfig.from_pretrained(str(path), **options)
        ctc = any(name.endswith("ForCTC") for name in config.architectures or ())
        kind = transformers.AutoModelForCTC if ctc else transformers.AutoModelForSpeechSeq2Seq
        processor: Any = transformers.AutoProcessor.from_pretrained(str(path), **options)
        model: Any = kind.from_pretrained(str(path), use_safetensors=True, **options).float().eval()
        parts = {"tokenizer": processor.tokenizer, "feature_extractor": processor.feature_extractor}
        task = "automatic-speech-recognition"
        pipeline: Any = transformers.pipeline(task, model=model, device=device, **parts)
    rate_hz = int(processor.feature_extractor.sampling_rate)
    spoken = {}
    if getattr(getattr(model, "generation_config", None), "is_multilingual", False):
        known = getattr(model.generation_config, "lang_to_id", {})
        if f"<|{language}|>" not in known:
            codes = " ".join(sorted(code.strip("<|>") for code in known))
            raise InputError(f"{path}: language {language!r}; expected one of {codes}")
        spoken = {"language": language, "task": "transcribe"}

    @torch.no_grad()
    def transcribe(audio: NDArray, sample_rate_hz: int) -> str:
        samples = resampled(audio, sample_rate_hz, rate_hz)
        calls: dict[str, Any] = {"generate_kwargs": dict(spoken)} if spoken else {}
        if config.model_type == "whisper" and len(samples) > LONGEST_SECONDS * rate_hz:
            calls["return_timestamps"] = True
        return str(pipeline({"raw": samples, "sampling_rate": rate_hz}, **calls)["text"])

    return transcribe


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


def import_transformers(path: str | Path) -> tuple[Any, dict[str, Any]]:
    """The library, and options by which nothing is downloaded and no code of a folder run."""
    transformers = import_extra("transformers", f"{path} needs transformers", "voices")
    require_model_folder(path)
    return transformers, {"local_files_only": True, "trust_remote_code": False}


@contextmanager
def named_errors(path: str | Path, what: str) -> Iterator[None]:
    """Name the folder in what transformers says of it."""
    try:
        yield
    except (OSError, ValueError, KeyError, AttributeError, ImportError, SafetensorError) as error:
        said = str(error).strip().partition("\n")[0]  # further lines list every model there is
        raise InputError(f"{path}: {said}; expected {what} of transformers in safetensors") from error


def resampled(audio: NDArray, sample_rate_hz: int, wanted_hz: int) -> NDArray[np.float32]:
    """Samples (N,) at another rate."""
    samples = torch.as_tensor(np.asarray(audio, dtype=np.float32))
    return torchaudio.functional.resample(samples, sample_rate_hz, wanted_hz).numpy()
