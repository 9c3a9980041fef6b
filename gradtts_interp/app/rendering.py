"""From what is filled in to a job, its command line and its files, which are removed when the visitor leaves."""

from __future__ import annotations

import shlex
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import soundfile
import torch

from gradtts_interp.audio import read_audio, write_wav
from gradtts_interp.cli.flags import share_of
from gradtts_interp.cli.rendering import COMPARISON, Take, is_out_of_memory, speak, write_outputs
from gradtts_interp.errors import InputError
from gradtts_interp.files import write_text
from gradtts_interp.interpolation.attention import MapOptions
from gradtts_interp.job import Job, Sentence, StyleChoice, checked, require_mechanisms
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.plots.attention import attention_figure
from gradtts_interp.plots.drawing import save_figure
from gradtts_interp.sampling import SamplingOptions
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style

Progress = Callable[[float, str], None]
OUT_OF_MEMORY = "out of memory: shorten the text, take fewer mechanisms, or start the app with --device cpu"


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
    """The fields that describe the share, named as in :func:`~gradtts_interp.cli.flags.share_of`."""
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


# -- rendering --------------------------------------------------------------------------------------------------------


class StoppedError(InputError):
    """The visitor stopped the rendering."""


@dataclass(frozen=True)
class Rendered:
    """What is shown of one rendering.

    Attributes:
        picture: Mel, contours of A, B and the blend, share map.
        attention_map: Attention to B by site; None where none was recorded.
        sounds: Wavs of the speech, of A alone and of B alone; None where there is none.
        report: Content of the json.
        command: Reproduces the wav.
        downloads: Files to take home.
    """

    picture: Path
    attention_map: Path | None
    sounds: tuple[Path, Path | None, Path | None]
    report: dict[str, Any]
    command: str
    downloads: tuple[Path, ...]


class FormRenderer:
    """A loaded checkpoint, and the temporary files of those who use it.

    Args:
        pipeline: Loaded, on its device.
        checkpoint: Where it came from, for the command line shown.
        vocoder: What ``--vocoder`` said, likewise.
        limits: What one visitor may ask for.
    """

    def __init__(
        self,
        pipeline: GradTTSInterpPipeline,
        checkpoint: Path,
        *,
        vocoder: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.pipeline, self.checkpoint, self.vocoder = pipeline, checkpoint.resolve(), vocoder
        self.limits = limits or Limits()
        self.root = Path(tempfile.mkdtemp(prefix="gradtts-interp-app-"))
        self._turn = threading.Lock()
        self._stops: dict[str, threading.Event] = {}

    def close(self) -> None:
        """Remove all temporary files."""
        shutil.rmtree(self.root, ignore_errors=True)

    @property
    def uploads(self) -> Path:
        """The only folder from which recordings are taken."""
        return self.root / "uploads"

    def accept_recording(self, path: str | Path, folder: Path, name: str) -> Path:
        """Take an upload: decode it, and keep the decoded sound under a new name.

        Args:
            path: Where the server put the upload; anything outside :attr:`uploads` is refused.
            folder: Where to keep it.
            name: Stem of the wav that is kept.

        Returns:
            A mono 16-bit wav at the model's rate.

        Raises:
            InputError: The upload is too large, too long, no audio, or not an upload at all.
        """
        source = Path(path).resolve()
        if not source.is_relative_to(self.uploads.resolve()) or not source.is_file():
            raise InputError("this recording was not uploaded here; upload it again")
        if source.stat().st_size > self.limits.upload_bytes:
            raise InputError(f"the recording is larger than {self.limits.upload_bytes / 2**20:g} MiB")
        rate_hz = self.pipeline.model.settings.mel.sample_rate_hz
        try:
            seconds = soundfile.info(str(source)).duration  # of the header, so that nothing huge is decoded
            longest = self.limits.upload_seconds
            if not seconds <= longest:
                raise InputError(f"it lasts {seconds:.0f} s; expected {longest:g} s or less")
            audio = read_audio(source, rate_hz)
        except (InputError, soundfile.SoundFileError, RuntimeError, OSError, ValueError) as error:
            reason = str(error).replace(str(source), "it")
            raise InputError(f"the recording cannot be used: {reason}") from None
        kept = folder / f"{name}.wav"
        write_wav(kept, audio, rate_hz)
        return kept

    def stop(self, visitor: str) -> None:
        """End the rendering of a visitor at its next step; nothing happens when there is none."""
        if visitor in self._stops:
            self._stops[visitor].set()

    def leave(self, visitor: str) -> None:
        """Stop a visitor's rendering and remove the visitor's files."""
        self.stop(visitor)
        shutil.rmtree(self._folder(visitor), ignore_errors=True)

    def render(self, form: Form, visitor: str, progress: Progress | None = None) -> Rendered:
        """Speak as a form says; the visitor's earlier files are removed.

        Args:
            form: What was filled in; recordings by the path of their upload.
            visitor: A name for who asks; names a folder.
            progress: Called with a part of 1 and what is being done.

        Returns:
            What is shown.

        Raises:
            InputError: Something in the form cannot be used, or memory does not suffice.
            StoppedError: :meth:`stop` was called.
        """
        stop = self._stops[visitor] = threading.Event()
        tell = progress or (lambda part, text: None)
        folder = self._folder(visitor)
        try:
            with self._turn:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                try:
                    answer = self._render(form, folder, _steps_watched(form, stop, tell), tell)
                    _raise_if_stopped(stop)  # while files were written, or by who has left meanwhile
                    return answer
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            raise InputError(OUT_OF_MEMORY) from None
        except OSError as error:
            raise InputError(f"cannot write files on the server: {error.strerror or error}") from None
        finally:
            self._stops.pop(visitor, None)

    def _folder(self, visitor: str) -> Path:
        return self.root / f"visitor-{''.join(c for c in visitor if c.isalnum())}"

    def _render(self, form: Form, folder: Path, on_step: Callable[..., dict], tell: Progress) -> Rendered:
        form = replace(form, a=self._kept(form.a, folder, "a"), b=form.b and self._kept(form.b, folder, "b"))
        attention = records_attention(form, self.pipeline)
        command = command_of(form, self.checkpoint, self.vocoder, attention=attention)
        settings = {
            "checkpoint": str(self.checkpoint),
            "vocoder": self.vocoder or type(self.pipeline.vocoder).__name__,
            "command": command,
        }
        job = job_of_form(form, self.limits, self.pipeline, out=folder, settings=settings)
        take = speak(job, [line.text for line in job.lines], on_step=on_step)[0]
        tell(1.0, "drawing")
        recordings = [Path(c.recording) for c in (form.a, form.b) if c is not None and c.recording is not None]
        return _write(job, take, folder, command, recordings)

    def _kept(self, choice: StyleChoice, folder: Path, letter: str) -> StyleChoice:
        if choice.recording is None:
            return choice
        return StyleChoice(recording=str(self.accept_recording(choice.recording, folder, f"reference_{letter}")))


def _steps_watched(form: Form, stop: threading.Event, tell: Progress) -> Callable[..., dict]:
    """A step callback that tells how far we are, and raises when it should stop."""
    alone = min(form.steps, COMPARISON.steps)
    total = form.steps + (0 if form.b is None else 2 * alone)
    done = 0

    def on_step(*_: Any) -> dict:
        nonlocal done
        done += 1
        _raise_if_stopped(stop)
        what = "blend" if done <= form.steps else "A and B alone, to compare"
        tell(min(done / total, 1.0), f"{what}: step {done} of {total}")
        return {}

    return on_step


def _raise_if_stopped(stop: threading.Event) -> None:
    if stop.is_set():
        raise StoppedError("stopped")


def _write(job: Job, take: Take, folder: Path, command: str, recordings: Sequence[Path]) -> Rendered:
    line = job.lines[0]
    report, files = write_outputs(job, line, take)
    script = folder / "command.txt"
    write_text(script, command + "\n")
    attention_map = None
    if take.speech.attention:
        attention_map = folder / "attention.png"
        save_figure(attention_figure(take.speech.attention, take.speech.seconds), attention_map)
    return Rendered(
        picture=files["png"],
        attention_map=attention_map,
        sounds=(files["wav"], _sound(take.a, folder / "a_alone.wav"), _sound(take.b, folder / "b_alone.wav")),
        report=report,
        command=command,
        downloads=(files["wav"], files["json"], script, *recordings),
    )


def _sound(speech: Speech | None, path: Path) -> Path | None:
    if speech is None:
        return None
    write_wav(path, torch.from_numpy(speech.audio), speech.mel_config.sample_rate_hz)
    return path
