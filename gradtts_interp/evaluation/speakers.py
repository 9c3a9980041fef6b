"""Whose voice it is, by a small encoder of timbre; and what it sounds like: F0 level, vocal tract, classifiers by path.

The encoder was trained on the demo corpus (``checkpts/speaker-demo``). It reads log-mels as liftered cepstra: without
the level, and with the harmonics of F0 smoothed away, so that two recordings of one voice agree whatever their pitch.

F0 and tract are the acoustic correlates of gender and age. They are measures of sound, not of persons: a low F0 and a
long tract are *commonly* a man's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from torch import Tensor, nn
from torch.nn import functional

from gradtts_interp.audio import log_mel, require_speech
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError, import_extra
from gradtts_interp.evaluation.intelligibility import import_transformers, named_errors, resampled
from gradtts_interp.files import read_json, read_safetensors, require_same_shapes, write_json, write_safetensors

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
RMS = 10 ** (-26 / 20)
SPEECH_RANGE_NATS = 3.5  # about 30 dB
COSINE_SCALE = 16.0
FEMALE = "jf"
"""What the names of the demo corpus's base voices begin with that are a woman's; the others are a man's."""
SPEED_OF_SOUND_CM_PER_SECOND = 35000.0
FORMANTS = 4
CEILINGS_HZ = (4000.0, 4500.0, 5000.0, 5500.0, 6000.0, 6500.0)
"""Where Praat's LPC may end; a fixed one finds about the same spacing in every voice."""
Classifier = Callable[[NDArray, int], dict[str, float]]
"""From samples (N,) and their rate to probabilities by label."""


@dataclass(frozen=True)
class SpeakerSettings:
    """Size of the encoder, and what its outputs stand for.

    Attributes:
        voices: Names of the voices it was trained on; ``s<n>`` is speaker n of the demo corpus.
        bases: Names of the base voices.
        coefficients: Cepstral coefficients read of each frame, the level left out.
        channels: Width of the convolutions.
        embedding: Length of the embedding (E).
        mel: The mel contract.
    """

    voices: tuple[str, ...]
    bases: tuple[str, ...]
    coefficients: int = 24
    channels: int = 128
    embedding: int = 128
    mel: MelConfig = field(default_factory=MelConfig)


class SpeakerEncoder(nn.Module):
    """Cepstra → dilated convolutions → mean and deviation over speech frames → unit vector, and three read-outs.

    Args:
        settings: Sizes, and what the read-outs stand for.

    Source: Snyder et al. 2018, x-vectors (statistics pooling over a time-delay network).
    """

    def __init__(self, settings: SpeakerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.speakers = {int(v[1:]): i for i, v in enumerate(settings.voices) if v[0] == "s" and v[1:].isdigit()}
        width, coefficients = settings.channels, settings.coefficients
        basis = torchaudio.functional.create_dct(coefficients + 1, settings.mel.n_mels, norm="ortho")
        self.basis: Tensor
        self.lifter: Tensor
        self.register_buffer("basis", basis[:, 1:].T.contiguous(), persistent=False)
        lifter = 1 + 0.5 * torch.arange(coefficients)
        self.register_buffer("lifter", lifter[:, None], persistent=False)
        layers: list[nn.Module] = []
        for inside, outside, kernel, dilation in (
            (coefficients, width, 5, 1),
            (width, width, 3, 2),
            (width, width, 3, 3),
            (width, 2 * width, 1, 1),
        ):
            padding = dilation * (kernel // 2)
            layers += [nn.Conv1d(inside, outside, kernel, padding=padding, dilation=dilation)]
            layers += [nn.ReLU(), nn.BatchNorm1d(outside)]
        self.frames = nn.Sequential(*layers)
        self.project = nn.Linear(4 * width, settings.embedding)
        self.voices = nn.Parameter(torch.randn(len(settings.voices), settings.embedding))
        self.base = nn.Linear(settings.embedding, len(settings.bases))
        self.warp = nn.Linear(settings.embedding, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """Embed log-mels.

        Args:
            mel: Natural log-mels of utterances of one length (B, M, T).

        Returns:
            Unit vectors (B, E).
        """
        level = mel.mean(1, keepdim=True)
        speech = (level > level.amax(-1, keepdim=True) - SPEECH_RANGE_NATS).to(mel.dtype)
        cepstra = torch.einsum("cm,bmt->bct", self.basis, mel) * self.lifter / 4
        hidden = self.frames(cepstra)
        count = speech.sum(-1).clamp_min(1)
        mean = (hidden * speech).sum(-1) / count
        spread = ((hidden - mean[..., None]).square() * speech).sum(-1) / count
        return functional.normalize(self.project(torch.cat([mean, (spread + 1e-5).sqrt()], dim=1)), dim=-1)

    def similarity(self, embedding: Tensor) -> Tensor:
        """Cosine similarity of embeddings (B, E) to each known voice, (B, voices)."""
        return embedding @ functional.normalize(self.voices, dim=-1).T

    def log_warp(self, embedding: Tensor) -> Tensor:
        """Natural log of the formant factor, (B,)."""
        return self.warp(embedding)[:, 0]

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> SpeakerEncoder:
        """Read a folder that :meth:`save_pretrained` wrote.

        Args:
            folder: The folder.

        Returns:
            The encoder, on the CPU, in evaluation mode.

        Raises:
            CheckpointError: A file is missing or damaged, or the weights do not fit the settings.
        """
        folder = Path(folder)
        values = read_json(folder / CONFIG)
        try:
            names = {key: tuple(values[key]) for key in ("voices", "bases")}
            encoder = cls(SpeakerSettings(**{**values, **names, "mel": MelConfig(**values["mel"])}))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{folder / CONFIG}: {error!r}; expected settings of a speaker encoder") from error
        state = read_safetensors(folder / WEIGHTS)
        require_same_shapes(state, encoder.state_dict(), source=folder / WEIGHTS, owner="speaker encoder")
        encoder.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
        return encoder.eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write settings and half-precision weights; each file appears whole or not at all."""
        folder = Path(folder)
        state = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in self.state_dict().items()}
        write_safetensors(folder / WEIGHTS, state)
        write_json(folder / CONFIG, asdict(self.settings))

    @torch.no_grad()
    def embed(self, audio: NDArray | Tensor, sample_rate_hz: int) -> NDArray[np.float32]:
        """Embed a recording.

        Args:
            audio: Samples (N,).
            sample_rate_hz: Their rate.

        Returns:
            Unit vector (E,); the same at any level.

        Raises:
            InputError: The audio is not (N,), not finite, silent, or too short.
        """
        return self(self._mel(audio, sample_rate_hz)[None])[0].numpy()

    @torch.no_grad()
    def identify(self, audio: NDArray | Tensor, sample_rate_hz: int) -> dict[str, Any]:
        """Say which voice a recording is most like.

        Args:
            audio: Samples (N,).
            sample_rate_hz: Their rate.

        Returns:
            ``speaker``, the nearest one of the demo corpus, and ``similarity``, the cosine to each of them by number;
            ``base``, the nearest base voice, and ``female``, the probability that it is a woman's (all are of a woman
            or a man); ``formant_factor``, on all formants of the base voice: above 1 is a shorter vocal tract.

        Raises:
            InputError: As of :meth:`embed`, or the encoder knows no speakers of the demo corpus.
        """
        embedding = self(self._mel(audio, sample_rate_hz)[None])
        if not self.speakers:
            raise InputError(
                f"this encoder knows voices {self.settings.voices[:3]}…; expected speakers s0, s1 and so on"
            )
        to_voices = self.similarity(embedding)[0]
        similarity = {speaker: float(to_voices[row]) for speaker, row in sorted(self.speakers.items())}
        bases, chances = self.settings.bases, self.base(embedding).softmax(-1)[0]
        return {
            "speaker": max(similarity, key=similarity.__getitem__),
            "similarity": similarity,
            "base": bases[int(chances.argmax())],
            "formant_factor": math.exp(float(self.log_warp(embedding)[0])),
            "female": sum(chance for base, chance in zip(bases, chances.tolist(), strict=True) if base[:2] == FEMALE),
        }

    def _mel(self, audio: NDArray | Tensor, sample_rate_hz: int) -> Tensor:
        samples = torch.as_tensor(audio).detach().cpu().float()
        if samples.ndim != 1 or not bool(samples.isfinite().all()):
            raise InputError(f"audio of shape {tuple(samples.shape)}; expected finite samples (N,)")
        require_speech(samples, "audio of a speaker")
        mel = self.settings.mel
        samples = torchaudio.functional.resample(samples, sample_rate_hz, mel.sample_rate_hz)
        return log_mel(samples * (RMS / samples.square().mean().sqrt()), mel)


def cosine_similarity(a: NDArray, b: NDArray) -> float:
    """Cosine of the angle between two embeddings (E,), in [-1, 1].

    Args:
        a: One embedding, not zero.
        b: The other.

    Returns:
        The cosine; 1 for the same direction.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def frechet_distance(reference: NDArray[Any], other: NDArray[Any]) -> dict[str, Any]:
    """Squared Fréchet distance of two Gaussians fitted to embeddings, without a matrix square root.

    With centred embeddings X (n, D) and Y (m, D), divided by √(n−1) and √(m−1), the covariances are XᵀX and YᵀY, and
    ``tr((XᵀX)(YᵀY))^½`` is the sum of singular values of XYᵀ. So the answer is real whatever the ranks, and at least 0
    up to rounding, which is cut off.

    Args:
        reference: Embeddings (n, D), n >= 2.
        other: Embeddings (m, D) of the same model, m >= 2.

    Returns:
        ``distance`` (squared, as "FID" and "FAD" are, >= 0, in squared units of the embeddings); its parts ``means``
        and ``covariances``; ``n_reference``, ``n_other`` and ``dimensions``; and whether it is ``singular``: a
        covariance has fewer embeddings than it needs (n <= dimensions), so the distance is above that of more data,
        and only comparable at the same n.

    Source: Dowson & Landau 1982; Heusel et al. 2017.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (reference, other))
    mean_a, mean_b = a.mean(0), b.mean(0)
    x, y = (a - mean_a) / np.sqrt(len(a) - 1), (b - mean_b) / np.sqrt(len(b) - 1)
    x, y = _short_factor(x), _short_factor(y)
    overlap = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    means = float(np.square(mean_a - mean_b).sum())
    covariances = float(max(np.square(x).sum() + np.square(y).sum() - 2 * overlap, 0.0))
    return {
        "distance": means + covariances,
        "means": means,
        "covariances": covariances,
        "n_reference": len(a),
        "n_other": len(b),
        "dimensions": a.shape[1],
        "singular": min(len(a), len(b)) <= a.shape[1],
    }


def diversity(embeddings: NDArray[Any]) -> dict[str, Any]:
    """Mean Euclidean distance over all pairs of a set; 0 where all are the same.

    Args:
        embeddings: (n, D).

    Returns:
        ``diversity``, None with fewer than two embeddings, and ``n_embeddings``.
    """
    found = float(pdist(embeddings).mean()) if len(embeddings) > 1 else None
    return {"diversity": found, "n_embeddings": len(embeddings)}


def _short_factor(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """A factor (min(n, D), D) with the same xᵀx."""
    return np.asarray(np.linalg.qr(x, mode="r")) if x.shape[0] > x.shape[1] else x


# -- what a voice sounds like ------------------------------------------------------------------------------------------


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


def load_classifier(path: str | Path, *, device: str | torch.device = "cpu") -> Classifier:
    """Load any audio-classification model of transformers, such as one of gender, age or emotion.

    Args:
        path: Folder of the model with its weights as safetensors; nothing is downloaded, and no code of the folder run.
        device: Where it works.

    Returns:
        From samples (N,) and their rate to the probability of each label of the model; they sum to 1.

    Raises:
        InputError: transformers is not installed, or the folder is missing or holds no such model.
    """
    transformers, options = import_transformers(path)
    with named_errors(path, "an audio-classification model"):
        extractor: Any = transformers.AutoFeatureExtractor.from_pretrained(str(path), **options)
        kind = transformers.AutoModelForAudioClassification
        model: Any = kind.from_pretrained(str(path), use_safetensors=True, **options).float().eval().to(device)

    @torch.no_grad()
    def classify(audio: NDArray, sample_rate_hz: int) -> dict[str, float]:
        rate = int(extractor.sampling_rate)
        inputs = extractor(resampled(audio, sample_rate_hz, rate), sampling_rate=rate, return_tensors="pt")
        logits = model(**{name: value.to(device) for name, value in inputs.items()}).logits[0]
        return {model.config.id2label[i]: chance for i, chance in enumerate(logits.float().softmax(-1).tolist())}

    return classify


def describe_voice(
    audio: NDArray,
    sample_rate_hz: int,
    *,
    encoder: SpeakerEncoder | None = None,
    classifiers: Mapping[str, Classifier] | None = None,
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
        found |= {f"{name}: {label}": chance for label, chance in classifier(audio, sample_rate_hz).items()}
    return found, notes
