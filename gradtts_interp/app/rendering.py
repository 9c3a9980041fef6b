"""From what is filled in to a command line, its job, and its files, which are removed when the visitor leaves.

What can be filled in are flags of the main command, so that the app has no form of its own for a job.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any

import soundfile
import torch

from gradtts_interp.audio import read_audio, write_wav
from gradtts_interp.checkpoints import checkpoint_of
from gradtts_interp.cli.flags import choices_of, job_of
from gradtts_interp.cli.synthesize import add_arguments, comparison_sampling, is_out_of_memory, speak, write_outputs
from gradtts_interp.errors import InputError, require_none
from gradtts_interp.files import write_text
from gradtts_interp.job import Job
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.plots.attention import attention_figure
from gradtts_interp.plots.drawing import save_figure

Outputs = tuple[dict[str, Any], dict[str, Path]]
Progress = Callable[[float, str], None]
OUT_OF_MEMORY = "out of memory: shorten the text, take fewer mechanisms, or start the app with --device cpu"
LONGEST_TEXT_CHARACTERS = 400
RECORDINGS = ("reference", "reference2")


def flags_of(**given: Any) -> argparse.Namespace:
    """Flags of the main command: those given, and all others as they stand when nothing is said."""
    return _parser().parse_args([], argparse.Namespace(**given))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    return parser


def command_of(flags: argparse.Namespace) -> str:
    """The command line that makes the same sound, to be typed where the downloaded files lie.

    Args:
        flags: Flags of the main command; recordings are named by their file's name alone.

    Returns:
        The command, quoted for a shell.
    """
    words = ["gradtts-interp", "synthesize"]
    for action in _parser()._actions:
        value, name = getattr(flags, action.dest), action.option_strings[-1]
        if value == action.default or action.dest == "out":
            continue
        if action.dest in RECORDINGS:
            value = Path(value).name
        if isinstance(value, tuple):  # speakers of an average
            value = ",".join(map(str, value))
        for each in value if isinstance(value, list) else [value]:
            written = f"{each:g}" if isinstance(each, float) else each
            words.append(name if each is True else f"{name}={written}")
    return shlex.join(words)


# -- rendering --------------------------------------------------------------------------------------------------------


class FormRenderer:
    """A loaded checkpoint, and the temporary files of those who use it.

    Args:
        pipeline: Loaded, on its device.
        args: Flags of the app: the limits of what one visitor may ask for, and what names the checkpoint and its
            vocoder in the command line shown.
    """

    def __init__(self, pipeline: GradTTSInterpPipeline, args: argparse.Namespace) -> None:
        self.pipeline, self.args = pipeline, args
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
        if source.stat().st_size > self.args.max_upload_mb * 2**20:
            raise InputError(f"the recording is larger than {self.args.max_upload_mb:g} MiB")
        rate_hz = self.pipeline.model.settings.mel.sample_rate_hz
        try:
            seconds = soundfile.info(str(source)).duration  # of the header, so that nothing huge is decoded
            if not seconds <= self.args.max_upload_seconds:
                raise InputError(f"it lasts {seconds:.0f} s; expected {self.args.max_upload_seconds:g} s or less")
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

    def render(self, flags: argparse.Namespace, visitor: str, progress: Progress | None = None) -> Outputs:
        """Speak as was filled in; the visitor's earlier files are removed.

        Args:
            flags: What was filled in, as of :func:`flags_of`; recordings by the path of their upload.
            visitor: A name for who asks; names a folder.
            progress: Called with a part of 1 and what is being done.

        Returns:
            Content of the json, whose settings hold the command that reproduces the wav; and the path of each file, by
            its kind: ``wav``, ``json``, ``png`` and ``command``; where there are any, ``attention_map`` (attention to B
            by site), ``a`` and ``b`` (the wavs of A and B alone), ``reference`` and ``reference2``.

        Raises:
            InputError: A flag is beyond the limits or cannot be used, or memory does not suffice.
            CancelledError: :meth:`stop` was called.
        """
        stop = self._stops[visitor] = threading.Event()
        tell = progress or (lambda part, text: None)
        folder = self._folder(visitor)
        try:
            with self._turn:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                try:
                    answer = self._render(flags, folder, stop, tell)
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

    def _render(self, flags: argparse.Namespace, folder: Path, stop: threading.Event, tell: Progress) -> Outputs:
        (text,), steps, most = flags.text, flags.timesteps, self.args.max_steps
        too_long = len(text) > LONGEST_TEXT_CHARACTERS
        require_none(
            {
                "no text: type a sentence to speak": not text,
                f"the text has {len(text)} characters; expected at most {LONGEST_TEXT_CHARACTERS}": too_long,
                f"{steps} steps; expected at least 1 and at most {most}": not 1 <= steps <= most,
            }
        )
        named = [name for name in RECORDINGS if getattr(flags, name) is not None]
        kept = {name: str(self.accept_recording(getattr(flags, name), folder, name)) for name in named}
        checkpoint = str(checkpoint_of(self.args.checkpoint).resolve())
        known = {"checkpoint": checkpoint, "vocoder": self.args.vocoder, "out": str(folder)}
        flags = argparse.Namespace(**{**vars(flags), **known, **kept, "attention": self._has_attention(flags)})
        command = command_of(flags)
        job = job_of(flags, command, pipeline=self.pipeline)
        # A recording is named by its file's name alone, so that no path of the server is shown.
        a, b = (style and replace(style, name=Path(style.name).name) for style in (job.a, job.b))
        job = replace(job, a=a, b=b)
        (take,) = speak(job, flags.text, on_step=_steps_watched(job, stop, tell))
        speech, *alone, _ = take
        tell(1.0, "drawing")
        report, files = write_outputs(job, job.lines[0], take)
        files |= {"command": folder / "command.txt"} | {name: Path(path) for name, path in kept.items()}
        write_text(files["command"], command + "\n")
        if speech.attention:
            files["attention_map"] = folder / "attention.png"
            save_figure(attention_figure(speech.attention, speech.seconds), files["attention_map"])
        for name, plain in zip("ab", alone, strict=True):
            if plain is not None:
                files[name] = folder / f"{name}_alone.wav"
                write_wav(files[name], torch.from_numpy(plain.audio), plain.mel_config.sample_rate_hz)
        return report, files

    def _has_attention(self, flags: argparse.Namespace) -> bool:
        """Whether there is attention to record: two styles with a recording each, read side by side."""
        two = choices_of(flags)[1] is not None
        chosen = not flags.mechanism or "attention" in flags.mechanism
        averages = isinstance(flags.speaker, tuple) or isinstance(flags.speaker2, tuple)
        return two and chosen and not averages and bool(self.pipeline.model.attention_sites)


def _steps_watched(job: Job, stop: threading.Event, tell: Progress) -> Callable[..., dict]:
    """A step callback that tells how far we are, and raises when it should stop."""
    done, steps = 0, job.pipeline.steps_in_all(job.sampling.steps, job.mechanisms, job.share)
    total = steps + (0 if job.share is None else 2 * comparison_sampling(job).steps)

    def on_step(*_: Any) -> dict:
        nonlocal done
        done += 1
        _raise_if_stopped(stop)
        what = "blend" if done <= steps else "A and B alone, to compare"
        tell(min(done / total, 1.0), f"{what}: step {done} of {total}")
        return {}

    return on_step


def _raise_if_stopped(stop: threading.Event) -> None:
    if stop.is_set():
        raise CancelledError("stopped")
