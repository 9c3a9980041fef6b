"""What is filled in, and the command line that says the same."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradtts_interp.cli.synthesize import add_arguments
from gradtts_interp.errors import InputError

SPEAKER, RECORDING, NOBODY = "speaker", "recording", "nobody"
MODES_OF_TWO = ("time", "frequency", "mix")


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask for.

    Attributes:
        text_characters: Longest text.
        steps: Most steps of the sampler.
        upload_bytes: Largest recording.
        upload_seconds: Longest recording.
    """

    text_characters: int = 400
    steps: int = 200
    upload_bytes: int = 10 * 2**20
    upload_seconds: float = 60.0


@dataclass(frozen=True)
class Voice:
    """Where a style comes from.

    Attributes:
        source: ``speaker``, ``recording`` or ``nobody``.
        speaker: Number of a speaker.
        emotion: Emotion of that speaker.
        recording: A recording that has been checked, under a name of ours.
    """

    source: str
    speaker: int | None = None
    emotion: str | None = None
    recording: Path | None = None


@dataclass(frozen=True)
class Form:
    """Everything that can be chosen.

    Attributes:
        text: The sentence.
        a: Style A.
        b: Style B, ``nobody`` for A alone.
        mode: How B comes in: ``time``, ``frequency`` or ``mix``.
        curve: Share of B over time, for ``time``.
        weight: Share of B, for ``mix``.
        bands: Frequency bands with their style, where the command line knows ``--bands``; empty for none.
        pitch_from: Who gives the pitch, for ``frequency``.
        mechanisms: Where the blend takes hold; empty for the checkpoint's choice.
        steps: Of the sampler.
        solver: Name of the sampler.
        seed: Start of the noise.
    """

    text: str
    a: Voice
    b: Voice
    mode: str = "time"
    curve: str = "0.2:0,0.8:1"
    weight: float = 0.5
    bands: str = ""
    pitch_from: str = "a"
    mechanisms: tuple[str, ...] = ()
    steps: int = 20
    solver: str = "unipc"
    seed: int = 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):  # type: ignore[no-untyped-def]
        raise InputError(message.removeprefix("argument "))


def parser() -> argparse.ArgumentParser:
    """The parser of ``gradtts-interp synthesize``, which raises :class:`InputError` instead of ending the program."""
    answer = _Parser(add_help=False)
    add_arguments(answer)
    return answer


def knows_bands() -> bool:
    """Whether the command line draws shares over frequency bands."""
    return any("--bands" in action.option_strings for action in parser()._actions)


def flags_of(form: Form, limits: Limits, *, with_attention: bool) -> list[str]:
    """Say a form in flags of ``gradtts-interp synthesize``; recordings by their file's name alone.

    Args:
        form: What was filled in.
        limits: What is allowed.
        with_attention: Whether the checkpoint has attention to record.

    Returns:
        The flags.

    Raises:
        InputError: A field is empty, too long or too large.
    """
    text = " ".join(form.text.split())
    if not text:
        raise InputError("no text: type a sentence to speak")
    if len(text) > limits.text_characters:
        raise InputError(f"the text has {len(text)} characters; expected at most {limits.text_characters}")
    if form.steps > limits.steps:
        raise InputError(f"{form.steps} steps; expected at most {limits.steps}")
    two = form.b.source != NOBODY
    flags = [f"--text={text}", *_flags_of_voice(form.a, "A", "")]
    if two:
        flags += _flags_of_voice(form.b, "B", "2")
        flags += _flags_of_blend(form)
        if with_attention and (not form.mechanisms or "attention" in form.mechanisms):
            flags.append("--attention")
    return [*flags, "-t", str(form.steps), "--solver", form.solver, "--seed", str(form.seed)]


def _flags_of_voice(voice: Voice, name: str, suffix: str) -> list[str]:
    if voice.source == RECORDING:
        if voice.recording is None:
            raise InputError(f"style {name}: upload or record some speech, or choose a speaker")
        return [f"--reference{suffix}", voice.recording.name]
    if voice.source != SPEAKER or voice.speaker is None:
        raise InputError(f"style {name}: choose a speaker, or upload or record some speech")
    flags = [f"-s{suffix}", str(voice.speaker)]
    return [*flags, f"--emotion{suffix}", voice.emotion] if voice.emotion else flags


def _flags_of_blend(form: Form) -> list[str]:
    if form.mode not in MODES_OF_TWO:
        raise InputError(f"mode {form.mode!r}: expected one of {', '.join(MODES_OF_TWO)}")
    flags = ["--mode", form.mode]
    if form.mode == "time":
        flags.append(f"--curve={''.join(form.curve.split())}")
    elif form.mode == "mix":
        flags.append(f"--weight={form.weight:g}")
    elif not form.bands.strip():  # bands in Hz have no pitch to follow
        flags += ["--pitch-from", form.pitch_from]
    if form.bands.strip():
        flags.append(f"--bands={''.join(form.bands.split())}")
    for mechanism in form.mechanisms:
        flags += ["--mechanism", mechanism]
    return flags


def command_of(flags: Sequence[str], checkpoint: Path, vocoder: str | None) -> str:
    """The command line that makes the same sound, to be typed where the downloaded files lie."""
    where = ["-c", str(checkpoint), *(["--vocoder", vocoder] if vocoder else [])]
    return shlex.join(["gradtts-interp", "synthesize", *flags, *where])
