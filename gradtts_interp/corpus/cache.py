"""Every sentence is spoken and analysed once per base voice; the result lies on disk and serves many renderings."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gradtts_interp.corpus.flite import speak
from gradtts_interp.corpus.labels import Labels, make_labels
from gradtts_interp.corpus.world import WorldFeatures, analyse
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.text.lexicon import Lexicon


@dataclass(frozen=True)
class Sentence:
    """One sentence of the corpus.

    Attributes:
        key: Name in the cache, such as ``train-0012``.
        text: The words.
    """

    key: str
    text: str


def analyse_to_cache(folder: Path, sentence: Sentence, base: str) -> Labels | str:
    """Speak, label and analyse a sentence unless that is already in the cache.

    Args:
        folder: The cache.
        sentence: What to speak.
        base: flite's voice.

    Returns:
        The labels, or the reason why the sentence was rejected.
    """
    path = cache_path(folder, sentence.key, base)
    try:
        return _labels_of(path, sentence)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        path.unlink(missing_ok=True)
    spoken = speak(sentence.text, base)
    try:
        labels = make_labels(sentence.text, spoken, Lexicon.default())
        features = analyse(spoken.audio, base)
    except InputError as error:
        return str(error)
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            text=np.array(sentence.text),
            labels=np.array(json.dumps(labels.__dict__)),
            f0_hz=features.f0_hz.astype(np.float32),
            voiced=features.voiced,
            log_sp=features.log_sp.astype(np.float16),
            band_aperiodicity=features.band_aperiodicity.astype(np.float16),
        )
    return labels


def load_source(folder: Path, key: str, base: str) -> tuple[WorldFeatures, Labels]:
    """Read an analysis and its labels from the cache.

    Args:
        folder: The cache.
        key: ``Sentence.key``.
        base: flite's voice.

    Returns:
        Features and labels.
    """
    with np.load(cache_path(folder, key, base)) as stored:
        features = WorldFeatures(
            f0_hz=stored["f0_hz"],
            voiced=stored["voiced"],
            log_sp=stored["log_sp"].astype(np.float32),
            band_aperiodicity=stored["band_aperiodicity"].astype(np.float32),
            base=base,
        )
        return features, _parse_labels(str(stored["labels"]))


def boundaries_of(labels: Labels) -> np.ndarray:
    """Return the start of the first token and the end of each, seconds (L + 1,)."""
    return np.array((labels.start_seconds, *labels.end_seconds))


def cache_path(folder: Path, key: str, base: str) -> Path:
    """Return the file of one analysis."""
    return folder / f"{key}-{base}.npz"


def _labels_of(path: Path, sentence: Sentence) -> Labels:
    with np.load(path) as stored:
        if str(stored["text"]) != sentence.text:
            raise ValueError(f"{path} holds another sentence")
        return _parse_labels(str(stored["labels"]))


def _parse_labels(text: str) -> Labels:
    values = json.loads(text)
    words = tuple((str(word), int(start), int(stop)) for word, start, stop in values["words"])
    return Labels(
        tokens=tuple(values["tokens"]),
        end_seconds=tuple(values["end_seconds"]),
        start_seconds=float(values["start_seconds"]),
        words=words,
        mismatch=float(values["mismatch"]),
    )
