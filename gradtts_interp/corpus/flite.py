"""Speech with phone end times from the free synthesiser flite."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.audio import read_audio
from gradtts_interp.errors import InputError

VOICES = ("slt", "rms", "awb", "kal16")
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class SpokenPhones:
    """What flite said.

    Attributes:
        audio: Samples (N,), float64, at the rate asked for.
        phones: flite's phones in lower-case ARPAbet, ``"pau"`` for silence.
        end_seconds: End of each phone.
    """

    audio: NDArray[np.float64]
    phones: tuple[str, ...]
    end_seconds: tuple[float, ...]


def find_flite() -> str:
    """Return the path of the flite program, or raise an error that names its package."""
    program = shutil.which("flite")
    if program is None:
        raise InputError("program 'flite' not found; expected it on PATH (Debian, Ubuntu: apt-get install flite)")
    return program


def speak(text: str, voice: str, *, sample_rate_hz: int = 22050) -> SpokenPhones:
    """Speak a sentence.

    Args:
        text: Plain English.
        voice: One of ``VOICES``.
        sample_rate_hz: Rate of the result (flite's own is 16 kHz).

    Returns:
        Audio with its phones and their end times.

    Raises:
        InputError: The voice is unknown, flite is missing or fails, or it gives no phone times.
    """
    if voice not in VOICES:
        raise InputError(f"flite voice {voice!r}; expected one of {VOICES}")
    program = find_flite()
    with tempfile.TemporaryDirectory(prefix="flite-") as folder:
        wav = Path(folder) / "speech.wav"
        command = [program, "-voice", voice, "-t", text, "-o", str(wav), "-psdur"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise InputError(f"flite failed on {text!r} with voice {voice!r}: {error}") from error
        phones, ends = parse_phone_times(done.stdout)
        audio = read_audio(wav, sample_rate_hz).double().numpy()
    return SpokenPhones(audio, phones, ends)


def parse_phone_times(output: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Read what ``flite -psdur`` prints: ``phone:end_seconds`` separated by spaces.

    Args:
        output: flite's standard output.

    Returns:
        Phones and their end times, which never decrease.

    Raises:
        InputError: There is no such pair, a pair is malformed, or time runs backwards.
    """
    phones: list[str] = []
    ends: list[float] = []
    for pair in output.split():
        phone, _, end = pair.rpartition(":")
        try:
            seconds = float(end)
        except ValueError:
            seconds = float("nan")
        if not phone or not seconds >= (ends[-1] if ends else 0.0):
            raise InputError(f"flite's phone time {pair!r}; expected phone:end_seconds in rising order")
        phones.append(phone)
        ends.append(seconds)
    if not phones:
        raise InputError("flite printed no phone times; expected output of -psdur")
    return tuple(phones), tuple(ends)
