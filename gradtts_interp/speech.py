"""The result of a synthesis."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.audio import write_wav
from gradtts_interp.config import MelConfig
from gradtts_interp.files import write_json
from gradtts_interp.interpolation.attention import AttentionMaps
from gradtts_interp.interpolation.noise import TuningTrace
from gradtts_interp.interpolation.shares import ShareMap
from gradtts_interp.pitch.contour import Contour, extract_contour
from gradtts_interp.styles import Style, style_of_samples


@dataclass(frozen=True)
class Speech:
    """One utterance with all that made it.

    Attributes:
        text: What was asked for.
        audio: Samples (N,), float32 in [-1, 1].
        mel: Log-mel (M, T).
        shares: Shares of the second style, None for a single style.
        durations: Frames of each token (L,).
        tokens: Names of the tokens (L,); blanks are ``""``.
        words: Words with their first frame and the frame after their last.
        noise: The noise the sampler started from (M, T), before the temperature.
        attention: For each attention site ``mass`` (n, M', T') of each style and ``cell``, where it was asked for.
        settings: Everything needed to make it again.
        mel_config: Mel contract.
        notes: What a reader should know, such as words without a dictionary entry.
        tuning: Account of the noise tuning, where there was one.
        attention_maps: Which part of which reference each phoneme looks at, where that was asked for.
    """

    text: str
    audio: NDArray[np.float32]
    mel: NDArray[np.float32]
    shares: ShareMap | None
    durations: NDArray[np.int64]
    tokens: tuple[str, ...]
    words: tuple[tuple[str, int, int], ...]
    noise: NDArray[np.float32]
    attention: dict[str, Any] | None
    settings: dict[str, Any]
    mel_config: MelConfig
    notes: tuple[str, ...] = field(default=())
    tuning: TuningTrace | None = None
    attention_maps: AttentionMaps | None = None

    @property
    def share(self) -> NDArray[np.float32] | None:
        """Share of the second style in the timbre (M, T), None for a single style."""
        return None if self.shares is None else self.shares.timbre

    @property
    def contour(self) -> Contour:
        """F0, voicing and energy of the audio, measured from the samples."""
        return extract_contour(self.audio, self.mel_config)

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return len(self.audio) / self.mel_config.sample_rate_hz

    @property
    def phoneme_times(self) -> tuple[tuple[str, float, float], ...]:
        """Each token with its start and end in seconds; phones by their ARPAbet name."""
        ends = np.cumsum(self.durations) / self.mel_config.frame_rate_hz
        starts = np.concatenate([[0.0], ends[:-1]])
        names = (token.removeprefix("@") for token in self.tokens)
        return tuple((t, float(s), float(e)) for t, s, e in zip(names, starts, ends, strict=True))

    def as_style(self, name: str | None = None) -> Style:
        """This utterance as a style reference whose phoneme times are known.

        Where it gives the pitch to another rendering of the same text, its F0 is carried over phoneme by phoneme.

        Args:
            name: Name of the style; the text if None.

        Returns:
            The style.

        Raises:
            InputError: It has no voiced frame.
        """
        style = style_of_samples(torch.from_numpy(self.audio), self.mel_config, name=name or f"rendered {self.text!r}")
        return replace(style, tokens=self.tokens, durations=tuple(int(n) for n in self.durations))

    def __repr__(self) -> str:
        styles = " -> ".join(map(repr, self.settings.get("styles", ())))
        share = self.settings.get("share")
        parts = [repr(self.text), f"{self.seconds:.2f} s", styles, f"share {share}" if share else ""]
        parts.append(f"seed {self.settings['seed']}" if self.settings.get("seed") is not None else "")
        return f"Speech({', '.join(part for part in parts if part)})"

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, as plain JSON values."""
        tuning = {} if self.tuning is None else {"tuning": self.tuning.to_dict()}
        return {
            "text": self.text,
            "seconds": round(self.seconds, 4),
            "phonemes": [[t, round(s, 4), round(e, 4)] for t, s, e in self.phoneme_times],
            "words": [list(word) for word in self.words],
            "settings": self.settings,
            "notes": list(self.notes),
            **tuning,
        }

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (wav) and a ``.json`` beside it; each file appears whole or not at all.

        Args:
            path: Name of the wav; missing folders are made.

        Returns:
            The wav's path.
        """
        path = Path(path)
        write_wav(path, torch.from_numpy(self.audio), self.mel_config.sample_rate_hz)
        write_json(path.with_suffix(".json"), self.to_dict())
        return path

    def plot(self, path: str | Path | None = None, **others: Any) -> Any:
        """Draw mel, F0 contours and share map; see :func:`gradtts_interp.plots.speech.plot_speech`."""
        from gradtts_interp.plots.speech import plot_speech

        return plot_speech(self, path, **others)
