"""What the tasks of the quality benchmark share: the pipeline, the corpus, held-out styles, figures of a render."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.audio import log_mel, read_audio
from gradtts_interp.checkpoints import read_index
from gradtts_interp.corpus.plan import load_entries
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.speakers import SpeakerEncoder
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.sampling import DEFAULT_SOLVER, DEFAULT_STEPS
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style
from gradtts_interp.training.data import Item, StyleRef, load_items
from gradtts_interp.vocoder import GriffinLimVocoder

SPEAKER_ENCODER = "checkpts/speaker-demo"
FOREIGN = "resources/references/foreign"
PUBLIC_ENCODER = "pip install --no-deps resemblyzer webrtcvad-wheels"
SENTENCES = (
    "The quiet farmer painted seven green boats.",
    "My sister carried a heavy basket to the river.",
    "Nobody remembered the name of the old captain.",
    "A yellow window opened slowly in the morning.",
)


@dataclass(frozen=True)
class Setting:
    """What a benchmark runs on; it is sent to other processes.

    Attributes:
        checkpoint: Checkpoint folder.
        corpus: Corpus folder, for its held-out items.
        steps: Sampler steps.
        solver: Sampler.
    """

    checkpoint: str
    corpus: str
    steps: int = DEFAULT_STEPS
    solver: str = DEFAULT_SOLVER

    def to_dict(self) -> dict[str, Any]:
        """What decides the figures, plain JSON values: other weights under the same name are other settings."""
        folder = Path(self.checkpoint)
        index = read_index(folder)
        digest = hashlib.sha256()
        for part in (index["model"], index["vocoder"], index.get("styles")):
            for file in sorted((folder / part).glob("*.safetensors")) if part else ():
                digest.update(file.read_bytes())
        manifest = hashlib.sha256((Path(self.corpus) / "manifest.jsonl").read_bytes()).hexdigest()[:16]
        return {"weights": digest.hexdigest()[:16], "corpus": manifest, "steps": self.steps, "solver": self.solver}


class QualityContext:
    """Pipeline and corpus, with what is computed once.

    Args:
        setting: What to load.
    """

    def __init__(self, setting: Setting) -> None:
        torch.set_grad_enabled(False)
        self.setting, self.corpus = setting, Path(setting.corpus)
        self.tts = GradTTSInterpPipeline.from_pretrained(setting.checkpoint)
        self.tts.set_progress_bar_config(disable=True)
        self.entries = load_entries(setting.corpus)
        self.mel = self.tts.model.settings.mel

    @functools.cached_property
    def encoder(self) -> SpeakerEncoder:
        """Encoder of timbre."""
        return SpeakerEncoder.from_pretrained(SPEAKER_ENCODER)

    def public_embedding(self, audio: NDArray, sample_rate_hz: int) -> NDArray:
        """Unit vector of a voice by Resemblyzer (Wan et al. 2018, GE2E), which learnt from people alone."""
        from resemblyzer import preprocess_wav

        return self._public_encoder.embed_utterance(preprocess_wav(audio, source_sr=sample_rate_hz))

    @functools.cached_property
    def _public_encoder(self) -> Any:
        try:
            from resemblyzer import VoiceEncoder
        except ImportError as error:
            raise InputError(f"the task 'foreign' needs Resemblyzer: {PUBLIC_ENCODER}") from error
        return VoiceEncoder("cpu", verbose=False)

    @functools.cached_property
    def foreign_voices(self) -> NDArray:
        """Embeddings of another recording of each foreign reference's voice (n, E)."""
        others = [path.parent / "others" / path.name for path in foreign_references()]
        rate = self.mel.sample_rate_hz
        return np.stack([self.public_embedding(read_audio(path, rate).numpy(), rate) for path in others])

    @functools.cached_property
    def griffin(self) -> GriffinLimVocoder:
        """The vocoder to compare with."""
        return GriffinLimVocoder(self.mel)

    def render(self, text: str, *styles: Style, **options: Any) -> Speech:
        """Render with the benchmark's solver and seed, and its steps unless others are given."""
        setting = {"num_inference_steps": self.setting.steps, "solver": self.setting.solver, "seed": 0}
        return self.tts(text, *styles, **{**setting, **options})

    def path(self, entry: dict) -> Path:
        """Recording of an entry."""
        return self.corpus / "wavs" / f"{entry['id']}.wav"

    def audio(self, entry: dict) -> NDArray:
        """Samples of an entry (N,)."""
        return read_audio(self.path(entry)).numpy()

    def bank(self, speaker: int, emotion: str) -> list[tuple[Contour, int]]:
        """Contours and numbers of tokens of the training recordings of a named speaker in an emotion."""
        wanted = (StyleRef(f"s{speaker}", f"s{speaker}-{emotion}"),)
        return [(item.contour, len(item.ids)) for item in self._bank if item.styles == wanted]

    @functools.cached_property
    def _bank(self) -> list[Item]:
        return load_items(self.corpus, kinds=("bank",))

    def log_mel(self, audio: NDArray) -> torch.Tensor:
        """Log-mel of samples, (M, T)."""
        return log_mel(torch.from_numpy(audio), self.mel)

    def style(self, entry: dict) -> Style:
        """Style read from a recording."""
        return self.tts.style(self.path(entry))

    def sentence(self, index: int) -> str:
        """One of the sentences that blends speak."""
        return SENTENCES[index % len(SENTENCES)]

    @functools.cached_property
    def named(self) -> list[dict]:
        """Held-out sentences of named speakers."""
        return [e for e in self.entries if e["kind"] == "test" and e["speaker"] is not None]

    @functools.cached_property
    def unseen(self) -> list[dict]:
        """Held-out sentences in voices and manners of pitch that no training item has, in a fixed random order."""
        found = [e for e in self.entries if e["kind"] == "test" and e["speaker"] is None]
        return [found[i] for i in np.random.default_rng(0).permutation(len(found))]


def foreign_references() -> list[Path]:
    """Committed recordings in voices that training knows nothing of; a second one of each is in ``others``."""
    found = sorted(Path(FOREIGN).glob("*.flac"))
    if not found:
        raise InputError(f"{FOREIGN}: no references; expected the repository's folder as working directory")
    return found
