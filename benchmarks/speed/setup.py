"""What is rendered: the demo checkpoint, two styles, and sentences of stated lengths."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gradtts_interp import GradTTSInterpPipeline, shares
from gradtts_interp.interpolation.conditioning import read_style
from gradtts_interp.interpolation.mechanisms import make_plan
from gradtts_interp.interpolation.scoring import Frames, make_score
from gradtts_interp.models.grad_tts import frame_mask
from gradtts_interp.placement import Prepared, stack_shares
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style

BRIEF = "We shall see it."
SHORT = "Good morning, how are you?"
MIDDLE = "The quick brown fox jumps over the lazy dog near the river bank."


@dataclass
class SpeedSetup:
    """A pipeline with two styles far apart.

    Attributes:
        tts: The pipeline.
        a: Speaker 12.
        b: Speaker 10.
        quick: Whether this is a rehearsal with few repetitions.
    """

    tts: GradTTSInterpPipeline
    a: Style
    b: Style
    quick: bool

    @classmethod
    def load(cls, checkpoint: str, *, quick: bool) -> SpeedSetup:
        """Load the checkpoint onto the fastest device."""
        tts = GradTTSInterpPipeline.from_pretrained(checkpoint)
        tts.set_progress_bar_config(disable=True)
        tts = tts.to("cuda" if torch.cuda.is_available() else "cpu")
        return cls(tts, tts.style(speaker=12), tts.style(speaker=10), quick)

    def speak(self, text: str | list[str], **options) -> Speech | list[Speech]:
        """Move from A to B over the sentence, noise of seed 0."""
        return self.tts(text, self.a, self.b, share=shares.ramp(), seed=0, **options)

    def mel(self, text: str, *, styles: str = "ab", durations: list[int] | None = None, **options) -> Tensor:
        """Log-mel (M, T) of the blend, or of one style, without the vocoder's work."""
        self.tts.vocoder.decode = lambda mels, _: [m.new_zeros(1) for m in mels]
        try:
            given = None if durations is None else [durations]
            if styles == "ab":
                speech = self.speak(text, durations=given, **options)
            else:
                speech = self.tts(text, self.a if styles == "a" else self.b, seed=0, durations=given, **options)
        finally:
            del self.tts.vocoder.decode
        assert isinstance(speech, Speech)
        return torch.from_numpy(speech.mel)

    def prepare(self, texts: list[str], *, blend: bool = True) -> Prepared:
        """Texts laid out over frames."""
        tokens = [self.tts.frontend(text) for text in texts]
        with torch.no_grad():
            if not blend:
                return self.tts.prepare(tokens, [self.a], None)
            return self.tts.prepare(tokens, [self.a, self.b], shares.ramp())

    def step(self, prepared: Prepared, mechanisms: tuple[str, ...], *, guidance: float = 0.0, styles: int = 2):
        """A function that evaluates the score once, for prepared texts; and its frames."""
        model, device = self.tts.model, self.tts.device
        total = int(-(-int(prepared.lengths.max()) // model.frame_multiple) * model.frame_multiple)
        with torch.no_grad():
            readings = [read_style(model, e, prepared.durations, total) for e in prepared.encoded]
            if styles == 0:
                readings = [type(readings[0])(mu=readings[0].mu)]
            maps = None if prepared.maps is None or styles < 2 else stack_shares(prepared.maps, total, device)
            plan = make_plan(readings, maps, mechanisms if styles == 2 else ())
            frames = Frames(frame_mask(prepared.lengths, total))
            score = make_score(model, plan, frames, guidance=guidance)
        x, t = torch.randn_like(plan.mu), torch.full((len(plan.mu),), 0.5, device=device)

        def evaluate() -> Tensor:
            with torch.no_grad():
                return score(x, t)

        return evaluate, total
