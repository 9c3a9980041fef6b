"""What is filled in, the job that it means, and the command line that says the same."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gradtts_interp.cli.blend_flags import share_of
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.attention import MapOptions
from gradtts_interp.job import Job, Sentence, StyleChoice, checked, require_mechanisms
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import SamplingOptions
from gradtts_interp.styles import Style

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
class Form:
    """Everything that can be chosen.

    Attributes:
        text: The sentence.
        a: Style A, a recording by the path of its upload.
        b: Style B, None for A alone.
        mode: How B comes in: ``time``, ``frequency`` or ``mix``.
        curve: Share of B over time, for ``time``.
        weight: Share of B, for ``mix``.
        bands: Frequency bands with their style; empty for none.
        dimensions: Shares of single dimensions, such as ``pitch=0 timbre=0:a,1:b``; empty for none.
        pitch_from: Who gives the pitch, for ``frequency``.
        mechanisms: Where the blend takes hold; empty for the checkpoint's choice.
        steps: Of the sampler.
        solver: Name of the sampler.
        seed: Start of the noise.
    """

    text: str
    a: StyleChoice
    b: StyleChoice | None = None
    mode: str = "time"
    curve: str = "0.2:0,0.8:1"
    weight: float = 0.5
    bands: str = ""
    dimensions: str = ""
    pitch_from: str = "a"
    mechanisms: tuple[str, ...] = ()
    steps: int = SamplingOptions.steps
    solver: str = SamplingOptions.solver
    seed: int = 0


def job_of_form(
    form: Form, limits: Limits, pipeline: GradTTSInterpPipeline, *, out: Path, settings: Mapping[str, Any]
) -> Job:
    """Make a job of what was filled in.

    Args:
        form: What was filled in; recordings by their path.
        limits: What is allowed.
        pipeline: Loaded, on its device.
        out: Folder of the files.
        settings: What the json says beyond the form.

    Returns:
        The job.

    Raises:
        InputError: A field is empty, too long or too large, or names something that the checkpoint has not.
    """
    text = " ".join(form.text.split())
    if not text:
        raise InputError("no text: type a sentence to speak")
    if len(text) > limits.text_characters:
        raise InputError(f"the text has {len(text)} characters; expected at most {limits.text_characters}")
    if not 1 <= form.steps <= limits.steps:
        raise InputError(f"{form.steps} steps; expected at least 1 and at most {limits.steps}")
    second = None if form.b is None else _style_of(form.b, "B", pipeline)
    styles = [_style_of(form.a, "A", pipeline), second]
    share = mechanisms = None
    if form.b is not None:
        if form.mode not in MODES_OF_TWO:
            raise InputError(f"mode {form.mode!r}: expected one of {', '.join(MODES_OF_TWO)}")
        share, mechanisms = share_of(form.mode, **_blend_of(form)), require_mechanisms(form.mechanisms)
    return checked(
        Job(
            pipeline=pipeline,
            a=styles[0],
            b=styles[1],
            share=share,
            mechanisms=mechanisms,
            sampling=SamplingOptions(form.steps, form.solver),
            seed=form.seed,
            attention=MapOptions() if records_attention(form, pipeline) else False,
            lines=(Sentence(0, 1, text),),
            out=out,
            plots=True,
            settings={
                "mode": form.mode if form.b is not None else "none",
                "pitch_from": form.pitch_from if share is not None and share.region is not None else None,
                **settings,
            },
        )
    )


def _style_of(choice: StyleChoice, letter: str, pipeline: GradTTSInterpPipeline) -> Style:
    if choice == StyleChoice():
        raise InputError(f"style {letter}: choose a speaker, or upload or record some speech")
    style = choice.load(pipeline)
    # A recording is named by its file's name alone, so that no path of the server is shown.
    return style if choice.recording is None else replace(style, name=Path(choice.recording).name)


def _blend_of(form: Form) -> dict[str, Any]:
    """The fields that describe the share, named as in :func:`~gradtts_interp.cli.blend_flags.share_of`."""
    bands, own = "".join(form.bands.split()) or None, {"share": form.dimensions.split() or None}
    if form.mode == "time":
        return {"curve": "".join(form.curve.split()), "bands": bands, **own}
    if form.mode == "mix":
        return {"weight": form.weight, "bands": bands, **own}
    # Bands in Hz have no pitch to follow.
    return {"bands": bands, **own} if bands else {"pitch_from": form.pitch_from, **own}


def records_attention(form: Form, pipeline: GradTTSInterpPipeline) -> bool:
    """Whether there is attention to record: two styles with a recording each, read side by side."""
    chosen = not form.mechanisms or "attention" in form.mechanisms
    averages = any(isinstance(style.speaker, tuple) for style in (form.a, form.b) if style is not None)
    return form.b is not None and chosen and not averages and bool(pipeline.model.attention_sites)


def command_of(form: Form, checkpoint: Path, vocoder: str | None, *, attention: bool) -> str:
    """The command line that makes the same sound, to be typed where the downloaded files lie.

    Args:
        form: What was filled in; recordings are named by their file's name alone.
        checkpoint: The checkpoint.
        vocoder: What ``--vocoder`` said, None for nothing.
        attention: Whether attention is recorded.

    Returns:
        The command, quoted for a shell.
    """
    flags = [f"--text={' '.join(form.text.split())}", *_flags_of_style(form.a, "")]
    if form.b is not None:
        flags += [*_flags_of_style(form.b, "2"), "--mode", form.mode]
        for name, value in _blend_of(form).items():
            for each in value if isinstance(value, list) else [] if value is None else [value]:
                flags.append(f"--{name.replace('_', '-')}={each if isinstance(each, str) else format(each, 'g')}")
        for mechanism in form.mechanisms:
            flags += ["--mechanism", mechanism]
        flags += ["--attention"] * attention
    flags += ["-t", str(form.steps), "--solver", form.solver, "--seed", str(form.seed), "-c", str(checkpoint)]
    flags += ["--vocoder", vocoder] if vocoder else []
    return shlex.join(["gradtts-interp", "synthesize", *flags])


def _flags_of_style(choice: StyleChoice, suffix: str) -> list[str]:
    if choice.recording is not None:
        return [f"--reference{suffix}", Path(choice.recording).name]
    emotion = [f"--emotion{suffix}", choice.emotion] if choice.emotion else []
    speaker = choice.speaker if isinstance(choice.speaker, int) else ",".join(map(str, choice.speaker or ()))
    return [f"-s{suffix}", str(speaker), *emotion]
