"""A job: what is spoken, in which styles, how blended, sampled and written.

The commands, the app and the evaluation make one of what they were told, and all speak by :meth:`Job.speak`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gradtts_interp.errors import InputError, require_none
from gradtts_interp.interpolation.asked_pitch import PitchRequest
from gradtts_interp.interpolation.attention import MapOptions
from gradtts_interp.interpolation.mechanisms import BY_SHARE
from gradtts_interp.interpolation.noise import NoiseTuning, offer_of
from gradtts_interp.interpolation.shares import Share
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import SamplingOptions
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style

NEED_STYLE_PARTS = ("attention", "prosody")
BLENDING = ("share", "offer", "mechanisms", "noise_tuning")
"""What a job tells the pipeline of the blend, by the same names."""
MOST_SPEAKERS = 1000
"""In one range, so that a slip of the keys does not fill the memory."""

Sentence = dict[str, Any]
"""A sentence to speak: ``line``, its line in the file, from 1, for messages; ``index``, its place among the sentences,
from 0, which names its files; and its ``text``."""


def speakers_of(text: str) -> int | tuple[int, ...]:
    """Read the number of a speaker, or those of several for their average.

    Args:
        text: A number, or numbers and ranges with commas between them, such as ``3,7`` or ``0-15``.

    Returns:
        The number, or the numbers.

    Raises:
        InputError: It is none of these.
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        edges = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part.strip())
        numbers = range(int(edges[1]), int(edges[2] or edges[1]) + 1) if edges else ()
        if not 1 <= len(numbers) <= MOST_SPEAKERS:
            raise InputError(f"{text!r}: expected a whole number from 0, or several such as 3,7 or 0-15")
        found |= dict.fromkeys(numbers)
    return next(iter(found)) if len(found) == 1 else tuple(found)


@dataclass(frozen=True)
class StyleChoice:
    """A style by what names it: a speaker of the checkpoint, or a recording.

    Attributes:
        speaker: Number of the speaker, or of several, of which the average is taken; None for a recording.
        emotion: Emotion of that speaker, None for neutral.
        recording: Path of the recording, None for a speaker.
    """

    speaker: int | tuple[int, ...] | None = None
    emotion: str | None = None
    recording: str | None = None

    @property
    def name(self) -> str:
        """As in tables and file names."""
        if self.recording is not None:
            return "_".join(Path(self.recording).stem.split())
        speaker = self.speaker if isinstance(self.speaker, int) else "+".join(map(str, self.speaker or ()))
        return f"{speaker}" if self.emotion in (None, "neutral") else f"{speaker}-{self.emotion}"

    def load(self, pipeline: GradTTSInterpPipeline) -> Style:
        """The style itself, from the bank of a checkpoint or from the recording."""
        return pipeline.style(self.recording, speaker=self.speaker, emotion=self.emotion)


@dataclass(frozen=True)
class Job:
    """Everything that decides what is heard, and what is written of it.

    Attributes:
        pipeline: Loaded, on its device.
        a: Style A; None for a checkpoint with a single voice.
        b: Style B, if there are two.
        share: How much of B speaks where; None for a single style.
        offer: How both styles are offered: by ``share``, or ``open``, which mechanism ``noise`` implies.
        mechanisms: Names, or None for the pipeline's choice.
        noise_tuning: How mechanism ``noise`` tunes, None for its defaults.
        sampling: Solver, steps, guidance, temperature, speaking rate.
        seed: Start of each sentence's noise.
        draw: Which of several draws of the noise this is, from 0, which names the files; None where there is one.
        pitch: F0 of every sentence in place of the styles' own, or shifts of its words; None for neither.
        prosody: A recording of the sentences, aligned with them, whose prosody is copied; None for none.
        prosody_weight: How much of it.
        attention: Whether to record attention: its mass alone, or the maps that these options describe.
        lines: Sentences.
        out: Folder.
        batch_size: Sentences rendered at once.
        plots: Whether to draw, and to render A and B alone.
        write_pitch: Format in which the realised F0 is written as well; None for not.
        settings: What the json of each sentence says beyond the pipeline's own settings.
    """

    pipeline: GradTTSInterpPipeline
    a: Style | None
    b: Style | None = None
    share: Share | None = None
    offer: str = BY_SHARE
    mechanisms: tuple[str, ...] | None = None
    noise_tuning: NoiseTuning | None = None
    sampling: SamplingOptions = SamplingOptions()
    seed: int = 0
    draw: int | None = None
    pitch: PitchRequest | None = None
    prosody: Style | None = None
    prosody_weight: float = 1.0
    attention: bool | MapOptions = False
    lines: tuple[Sentence, ...] = ()
    out: Path = Path("out")
    batch_size: int = 1
    plots: bool = False
    write_pitch: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Offer openly what the noise is to decide."""
        object.__setattr__(self, "offer", offer_of(self.offer, self.mechanisms or (), self.noise_tuning))

    def speak(
        self,
        texts: Sequence[str],
        *,
        durations: Sequence[Sequence[int]] | None = None,
        on_step: Callable[..., Any] | None = None,
    ) -> list[Speech]:
        """Render texts as one batch.

        Args:
            texts: Sentences.
            durations: Frames of each token of each sentence, instead of the predicted ones.
            on_step: Called after each step of the sampler, as the pipeline's ``callback_on_step_end``.

        Returns:
            The utterances.

        Raises:
            InputError: A text cannot be read, or the styles, share and mechanisms do not fit the checkpoint.
        """
        same = (*BLENDING, "seed", "pitch", "prosody", "prosody_weight")
        sampler = asdict(self.sampling)
        return self.pipeline(
            list(texts),
            self.a,
            self.b,
            num_inference_steps=sampler.pop("steps"),
            output_attention=self.attention,
            durations=durations,
            callback_on_step_end=on_step,
            **sampler,
            **{name: getattr(self, name) for name in same},
        )

    def drawn(self, draws: int) -> list[Job]:
        """The same with as many noises, from seeds in a row."""
        if draws == 1:
            return [self]
        return [replace(self, seed=self.seed + i, draw=i) for i in range(draws)]

    def stem_of(self, line: Sentence) -> Path:
        """Path of a sentence's files without their ending."""
        return self.out / (f"sample_{line['index']}" + ("" if self.draw is None else f"_draw_{self.draw}"))

    def alone(self, style: Style | None) -> Job:
        """The same in one style, with the prosody that is its own."""
        others = dict.fromkeys(("b", "share", "mechanisms", "noise_tuning", "pitch", "prosody"))
        return replace(self, a=style, offer=BY_SHARE, attention=False, **others)  # type: ignore[arg-type]


def require_parts(job: Job) -> None:
    """Raise unless the checkpoint has the parts that a job works on.

    Args:
        job: The job.

    Raises:
        InputError: A style is missing, or the checkpoint lacks what a mechanism, attention, guidance, an open offer, a
            share by pitch or one of a single dimension needs.
    """
    pipeline, model = job.pipeline, job.pipeline.model
    known = f" (it has {len(pipeline.speakers)} speakers)" if pipeline.speakers else ""
    lacks = "this checkpoint has no style attention"
    needing = next((name for name in job.mechanisms or () if name in NEED_STYLE_PARTS), None)
    without_style = {
        f"mechanism {needing!r}: {lacks}; choose among prior, score": needing,
        f"--attention: {lacks}": job.attention,
        "--guidance: this checkpoint has no null style; leave it at 0": job.sampling.guidance > 0,
    }
    nobody = job.a is None and (model.has_style or model.settings.n_spks > 1)
    require_none({f"no style: this checkpoint needs -s/--speaker or --reference{known}": nobody})
    require_none({} if model.has_style else without_style)
    pipeline.require(job.sampling, b=job.b, **{name: getattr(job, name) for name in BLENDING})
    by_world = not model.has_style and job.mechanisms is None
    if job.share is not None and job.share.region is not None and not by_world:
        style = job.b if job.share.region.from_second else job.a
        if style is None or style.contour is None:
            name = "style A" if style is None else style.name
            raise InputError(f"--mode frequency: {name} has no F0 contour; give --bands, or --share pitch=...")
