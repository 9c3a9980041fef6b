"""What a voice sounds like: F0 level and apparent vocal-tract length, the nearest known voice, and classifiers by path.

F0 and tract are the acoustic correlates of gender and age. They are measures of sound, not of persons: a low F0 and a
long tract are *commonly* a man's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.errors import InputError, import_extra
from gradtts_interp.evaluation.intelligibility import import_transformers, named_errors, resampled
from gradtts_interp.evaluation.speakers import SpeakerEncoder

SPEED_OF_SOUND_CM_PER_SECOND = 35000.0
FORMANTS = 4
CEILINGS_HZ = (4000.0, 4500.0, 5000.0, 5500.0, 6000.0, 6500.0)
"""Where Praat's LPC may end; a fixed one finds about the same spacing in every voice."""


def pitch_and_formants(audio: NDArray, sample_rate_hz: int) -> tuple[float, NDArray[np.float64]]:
    """Measure F0 level and formants over voiced frames, through Praat (extra ``eval``).

    Of :data:`CEILINGS_HZ` the one with the steadiest formants counts.

    Args:
        audio: Samples (N,).
        sample_rate_hz: Their rate.

    Returns:
        Median F0, and median F1 to F4 in order (4,), Hz.

    Raises:
        InputError: Praat's library is not installed, or no frame is voiced or has four formants.

    Source: Praat's autocorrelation pitch and Burg formants; Escudero et al. 2009 (ceiling).
    """
    parselmouth = import_extra("parselmouth", "acoustic correlates need Praat's library", "eval")
    sound = parselmouth.Sound(np.asarray(audio, dtype=np.float64), sample_rate_hz)
    pitch = sound.to_pitch_ac(pitch_floor=60.0, pitch_ceiling=500.0)
    f0 = pitch.selected_array["frequency"]
    if not (f0 > 0).any():
        raise InputError(f"no voiced frame among {len(f0)}; expected speech with a pitch")
    times = pitch.xs()[f0 > 0]
    tracks = [_formants(sound, times, ceiling) for ceiling in CEILINGS_HZ]
    tracks = [track for track in tracks if len(track)]
    if not tracks:
        raise InputError(f"no voiced frame among {len(times)} has {FORMANTS} formants; expected clear vowels")
    steadiest = min(tracks, key=lambda track: float(np.log(track).std(0).mean()))
    return float(np.median(f0[f0 > 0])), np.median(steadiest, axis=0)


def _formants(sound: Any, times: NDArray, ceiling_hz: float) -> NDArray[np.float64]:
    """Formants at times where all are found, (n, FORMANTS)."""
    found = sound.to_formant_burg(maximum_formant=ceiling_hz)
    track = np.array([[found.get_value_at_time(i, t) for i in range(1, FORMANTS + 1)] for t in times])
    return track[np.isfinite(track).all(1)]


def tract_length_cm(formants_hz: NDArray) -> float:
    """Apparent length of a vocal tract, from the mean spacing of its formants.

    A uniform tube of length L, closed at one end, resonates at (2i - 1) c / 4L. The spacing c / 2L is fitted by least
    squares.

    Args:
        formants_hz: Formants in order (n,), Hz.

    Returns:
        Length in cm; 17.5 for 500, 1500, 2500, 3500 Hz.

    Source: Reby & McComb 2003.
    """
    place = np.arange(len(formants_hz)) + 0.5
    spacing_hz = float(place @ np.asarray(formants_hz, dtype=np.float64) / (place @ place))
    return SPEED_OF_SOUND_CM_PER_SECOND / (2 * spacing_hz)


class TransformersClassifier:
    """Any audio-classification model of transformers, such as one of gender, age or emotion.

    Args:
        path: Folder of the model with its weights as safetensors; nothing is downloaded, and no code of the folder run.
        device: Where it works.

    Raises:
        InputError: transformers is not installed, or the folder is missing or holds no such model.
    """

    def __init__(self, path: str | Path, *, device: str | torch.device = "cpu") -> None:
        transformers, options = import_transformers(path)
        with named_errors(path, "an audio-classification model"):
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
        inputs = self.extractor(resampled(audio, sample_rate_hz, rate), sampling_rate=rate, return_tensors="pt")
        logits = self.model(**{name: value.to(self.device) for name, value in inputs.items()}).logits[0]
        chances = logits.float().softmax(-1).tolist()
        return {self.model.config.id2label[i]: chance for i, chance in enumerate(chances)}


def describe_voice(
    audio: NDArray,
    sample_rate_hz: int,
    *,
    encoder: SpeakerEncoder | None = None,
    classifiers: Mapping[str, TransformersClassifier] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Everything that can be said of the voice of one recording.

    Args:
        audio: Samples (N,).
        sample_rate_hz: Their rate.
        encoder: Says which voice it knows is nearest; left out if None.
        classifiers: Other people's models by name, such as of gender or age.

    Returns:
        Values by name: ``f0_hz``, ``tract_cm``; ``speaker``, ``speaker_similarity``, ``base``, ``formant_factor`` and
        ``female`` (a probability) of the encoder; ``<name>: <label>`` (a probability) of each classifier. Beside
        them, notes on what could not be measured.

    Raises:
        InputError: The audio is silent, too short, or not finite.
    """
    found: dict[str, Any] = {}
    notes = []
    try:
        f0_hz, formants_hz = pitch_and_formants(audio, sample_rate_hz)
        found |= {"f0_hz": f0_hz, "tract_cm": tract_length_cm(formants_hz)}
    except InputError as error:
        notes.append(f"{error}; F0 and vocal tract are left out")
    if encoder is not None:
        found |= encoder.identify(audio, sample_rate_hz)
        found["speaker_similarity"] = found.pop("similarity")[found["speaker"]]
    for name, classifier in (classifiers or {}).items():
        chances = classifier.classify(audio, sample_rate_hz)
        found |= {f"{name}: {label}": chance for label, chance in chances.items()}
    return found, notes
