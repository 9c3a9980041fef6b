"""A teacher that hums: the interface of the real one, whose packages the tests do not need."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest

from gradtts_interp.corpus import build
from gradtts_interp.corpus.speakers import Factors
from gradtts_interp.corpus.teacher import FRAME_SAMPLES, SAMPLE_RATE_HZ, spell
from gradtts_interp.text.frontend import TextFrontend

SYMBOLS = 40


class HummingTeacher:
    """Speaks pulses of the asked F0 through one formant that the first weight of the timbre moves."""

    def spelled(self, tokens):
        letters = [(index, letter) for index, token in enumerate(tokens) for letter in spell(token)]
        owner = [0, *(index for index, _ in letters), len(tokens) - 1]
        return np.array([0, *(ord(letter) % SYMBOLS + 1 for _, letter in letters), 0]), np.array(owner)

    def style(self, symbols, factors):
        values = [*factors.timbre, *factors.prosody, sum(size for _, size in factors.nuance)]
        return np.array([values], dtype=np.float32)

    def durations(self, symbols, style):
        return 2.0 + symbols % 3 + (style[0, 9] > 0.5)

    def contours(self, symbols, style, durations):
        points = 2 * int(durations.sum())
        f0_hz = 130 + 25 * np.sin(np.arange(points) / 9)
        f0_hz[:12] = f0_hz[-12:] = 3.0
        f0_hz[12:16] = 30.0  # a flank
        return f0_hz.astype(np.float32), np.where(f0_hz > 40, 5.0, -8.0).astype(np.float32)

    def speak(self, symbols, style, durations, told_hz, energy):
        samples = FRAME_SAMPLES * int(durations.sum())
        time = (np.arange(samples) + 0.5) / samples * len(told_hz) - 0.5
        f0_hz = np.interp(time, np.arange(len(told_hz)), told_hz)
        phase = 2 * np.pi * np.cumsum(f0_hz) / SAMPLE_RATE_HZ
        formant = 700 + 900 * float(style[0, 0])
        audio = sum(
            np.exp(-(((k * f0_hz - formant) / 300) ** 2)) * np.sin(k * phase) for k in range(1, 20)
        ) + 0.3 * np.sin(phase)
        level = np.interp(time, np.arange(len(energy)), np.where(told_hz > 40, 1.0, 1e-3))
        return (0.1 * level * audio).astype(np.float32)


def build_in_this_process(teacher, patch) -> None:
    """Let the corpus builder start no process, and a teacher that hums speak."""
    pool = contextlib.nullcontext(SimpleNamespace(map=lambda work, jobs, chunksize: map(work, jobs)))
    patch.setattr(build, "_executor", lambda jobs: pool)
    patch.setattr(build, "Teacher", lambda: teacher)
    frontend = TextFrontend(add_blank=False)
    patch.setattr(build, "_speaker", lambda: (teacher, frontend))


@pytest.fixture(scope="session")
def teacher():
    return HummingTeacher()


@pytest.fixture(scope="session")
def plain() -> Factors:
    return Factors((0.0, 1.0, 0.0, 0.0, 0.0), (0.0, 0.5, 0.0, 0.0, 0.5), 1.0, f0_level_hz=150.0, f0_spread=0.1)
