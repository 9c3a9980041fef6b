"""What a style measures of spoilt copies of a recording, against the clean one.

``python -m benchmarks.noisy_references`` prints the table of ``docs/tutorials/recordings.rst``,
measured on the recordings of ``resources/references/foreign``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from gradtts_interp.audio import read_audio, read_recording
from gradtts_interp.config import MelConfig
from gradtts_interp.pitch.contour import extract_contour, prosody_vector
from gradtts_interp.styles import LONGEST_REFERENCE_SECONDS, SHORTEST_REFERENCE_SECONDS

MEL = MelConfig()
RATE_HZ = MEL.sample_rate_hz
FOLDER = Path(__file__).resolve().parents[1] / "resources" / "references" / "foreign"
LIMITS = np.array([0.03, 0.03, 0.5, 0.2])
"""How far a measure may be off: F0 median (relative), spread of log-F0, level in dB, syllable rate in Hz."""

Samples = NDArray[np.float64]


def add(samples: Samples, other: Samples, level_db: float) -> Samples:
    """Add a signal (N,) at a level below that of the samples (N,) where they are not silent."""
    speech = np.sqrt(np.square(samples[np.abs(samples) > 1e-4]).mean())
    return samples + other * (speech * 10 ** (level_db / 20) / np.sqrt(np.square(other).mean()))


def hum(samples: Samples, f0_hz: float, level_db: float = -40.0) -> Samples:
    """Add mains hum with two overtones."""
    time = np.arange(len(samples)) / RATE_HZ
    tones = [a * np.sin(2 * np.pi * f0_hz * k * time + k) for k, a in ((1, 1.0), (2, 0.5), (3, 0.3))]
    return add(samples, np.sum(tones, axis=0), level_db)


def noise(samples: Samples, level_db: float) -> Samples:
    """Add white noise."""
    return add(samples, np.random.default_rng(0).normal(size=len(samples)), level_db)


def rumble(samples: Samples, level_db: float) -> Samples:
    """Add noise below 25 Hz."""
    sections = signal.butter(4, 25.0, fs=RATE_HZ, output="sos")
    return add(samples, signal.sosfilt(sections, np.random.default_rng(0).normal(size=len(samples))), level_db)


def after_silence(samples: Samples, seconds: float = 9.0) -> Samples:
    """Put silence before the samples."""
    return np.concatenate([np.zeros(int(seconds * RATE_HZ)), samples])


CONDITIONS: dict[str, Callable[[Samples], Samples]] = {
    "hum of 50 Hz, 40 dB below": lambda x: hum(x, 50.0),
    "hum of 60 Hz, 40 dB below": lambda x: hum(x, 60.0),
    "hum of 100 Hz, 40 dB below": lambda x: hum(x, 100.0),
    "DC of 0.1": lambda x: x + 0.1,
    "9 s of silence before": after_silence,
    "9 s of hum of 50 Hz before, and under it": lambda x: hum(after_silence(x), 50.0),
    "one silent channel of two": lambda x: np.stack([np.zeros_like(x), x], 1),
    "two channels in antiphase": lambda x: np.stack([x, -x], 1),
    "white noise, 40 dB below": lambda x: noise(x, -40.0),
}
HARDER: dict[str, Callable[[Samples], Samples]] = {
    "white noise, 25 dB below": lambda x: noise(x, -25.0),
    "rumble below 25 Hz, 20 dB below": lambda x: rumble(x, -20.0),
    "rumble below 25 Hz, 10 dB below": lambda x: rumble(x, -10.0),
}
"""Beyond what is promised: here the limits are not kept by all."""


def measured(samples: Samples) -> Samples:
    """F0 median in Hz, spread of log-F0, level in dB and syllable rate in Hz of samples, as a style has them."""
    recording = read_recording(
        samples.astype(np.float32),
        RATE_HZ,
        source_rate_hz=RATE_HZ,
        minimum_seconds=SHORTEST_REFERENCE_SECONDS,
        longest_seconds=LONGEST_REFERENCE_SECONDS,
    )
    contour = extract_contour(recording.audio, MEL)
    return np.array([np.median(contour.f0_hz[contour.voiced]), *prosody_vector(contour)[1:]])


def deviations(samples: Samples, spoil: Callable[[Samples], Samples]) -> Samples:
    """How far a spoilt copy is measured from the clean recording, in the units of :data:`LIMITS`."""
    clean, spoilt = measured(samples), measured(spoil(samples))
    return np.array([abs(spoilt[0] / clean[0] - 1), *np.abs(spoilt - clean)[1:]])


def table(recordings: Sequence[Samples]) -> str:
    """The largest deviation of each measure in each condition, as reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    head = ("recording", "F0 median (%)", "spread of log-F0", "level (dB)", "rate (1/s)", "within the limits")

    def row(*cells: Any) -> list[str]:
        return [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(cells)]

    lines += row(*head)
    for name, spoil in {**CONDITIONS, **HARDER}.items():
        found = np.array([deviations(samples, spoil) for samples in recordings])
        worst, kept = found.max(0), int((found <= LIMITS).all(1).sum())
        numbers = (f"{100 * worst[0]:.1f}", f"{worst[1]:.3f}", f"{worst[2]:.2f}", f"{worst[3]:.2f}")
        lines += row(name, *numbers, f"{kept} of {len(recordings)}")
    return "\n".join(lines) + "\n"


def recordings_of(folder: Path = FOLDER) -> list[Samples]:
    """The recordings of a folder, by name."""
    return [read_audio(path, RATE_HZ).double().numpy() for path in sorted(folder.glob("*.flac"))]


if __name__ == "__main__":
    print(table(recordings_of()), end="")
