"""Stimuli without rendering: a folder as a continuum leaves it, and a speaker whose every share is known."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from speaking import RATE_HZ, harmonic_tone

from gradtts_interp.audio import write_wav
from gradtts_interp.config import MelConfig
from gradtts_interp.evaluation.tables import write_csv
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style

SHARES = (0.0, 0.5, 1.0)
TOKENS = (" ", "@G", "@OW1", "@D", "@AW1", "@N", ".")
DURATIONS = {"A": np.array([5, 6, 20, 6, 20, 10, 5]), "B": np.array([5, 5, 14, 5, 16, 8, 5])}


@pytest.fixture
def stimuli(tmp_path) -> Path:
    """Three tones of 0.1 s, with the columns that experiments read."""
    folder = tmp_path / "stimuli"
    for i, share in enumerate(SHARES):
        write_wav(folder / f"step_{i:02d}.wav", harmonic_tone(110.0 * 2**share, 0.1), RATE_HZ)
    write_csv(folder / "stimuli.csv", [{"file": f"step_{i:02d}.wav", "share": share} for i, share in enumerate(SHARES)])
    return folder


class ToyPipeline:
    """Speaks as the pipeline does, but its pitch and its spectrum follow the share by a known curve.

    A is at 120 Hz, B at 180 Hz with a brighter spectrum and 4 dB more; at share w, both are at w² of the way.
    """

    def __init__(self):
        self.model = SimpleNamespace(settings=SimpleNamespace(mel=MelConfig()))
        self.calls = []

    def __call__(self, text, a, b=None, *, share=None, durations=None, **options):
        mel = self.model.settings.mel
        self.calls.append((None if share is None else share.name, durations, options))
        if durations is None:
            rows = [DURATIONS[style.name] for style in (a, b) if style is not None]
            rate = 0.5 if share is None else float(share.render(Layout(10, mel)).rate.mean())
            weights = [1 - rate, rate] if len(rows) == 2 else [1.0]
            row = np.rint(np.exp(np.average(np.log(rows), 0, weights))).astype(np.int64)
        else:
            row = np.asarray(durations[0])
        frames, ends = int(row.sum()), np.cumsum(row)
        layout = Layout(frames, mel, words=((int(ends[0]), int(ends[2])), (int(ends[2]), int(ends[5]))))
        drawn = (shares.constant(float(a.name == "B")) if share is None else share).render(layout)
        way = {name: np.square(plane.mean(0)) for name, plane in drawn.planes.items()}
        log_f0 = np.log(120.0) + way["pitch"] * np.log(1.5)
        hop = mel.hop_samples
        phase = 2 * np.pi * np.cumsum(np.exp(np.repeat(log_f0, hop))) / mel.sample_rate_hz
        tilt, level_db = (np.repeat(values, hop) for values in (1.6 - 0.8 * way["timbre"], 4 * way["energy"]))
        level = 0.05 * 10 ** (level_db / 20) / np.sqrt(sum(k ** (-2 * tilt) for k in range(1, 20)))
        audio = sum(np.sin(k * phase) / k**tilt for k in range(1, 20)) * level
        audio[: row[0] * hop] = audio[-row[-1] * hop :] = 0
        return Speech(
            text=text,
            audio=audio.astype(np.float32),
            mel=np.zeros((mel.n_mels, frames), np.float32),
            shares=None if share is None else drawn,
            durations=row,
            tokens=TOKENS,
            words=(("go", *layout.words[0]), ("down", *layout.words[1])),
            noise=np.zeros((mel.n_mels, frames), np.float32),
            attention=None,
            settings={"seed": options.get("seed"), "solver": "unipc", "steps": 20, "styles": [a.name]},
            mel_config=mel,
        )


@pytest.fixture
def toy():
    """The pipeline, and its styles A and B."""
    return ToyPipeline(), Style("A"), Style("B")
