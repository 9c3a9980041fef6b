"""What an official checkpoint can do with two of its speakers: A's pitch with B's voice, and from A to B over time.

    python -m benchmarks.official --checkpoint out/official-checkpoint/grad-tts.pt --cases 20

Such a checkpoint has no style attention, and one prior mean and one duration for all speakers: who speaks reaches it as
a plane beside the mean. A case is a held-out sentence and two speakers whose F0 is at least four semitones apart. Each
way below is a sampling of the same noise. Prints the tables of ``docs/tutorials/official.rst``, and leaves the wavs in
lists that ``listen.py`` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.common import TaskItem, VoiceSetting, run_cases, status_of
from benchmarks.noise import LEAST_SEMITONES, rows_of, write_list
from gradtts_interp.alignment import fix_length
from gradtts_interp.audio import log_mel, write_wav
from gradtts_interp.cli.main import report_errors
from gradtts_interp.corpus.plan import held_out_texts
from gradtts_interp.diffusion.samplers import Score, sampler_by_name, standard_noise, steps_from
from gradtts_interp.diffusion.schedule import noise_level, signal
from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.contours import f0_errors, level_semitones
from gradtts_interp.evaluation.run import Record
from gradtts_interp.evaluation.signal import Listener, Signal
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.conditioning import read_style
from gradtts_interp.interpolation.mechanisms import LOW_BAND_BINS, make_plan, make_score
from gradtts_interp.models.grad_tts import frame_mask, lifter
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.pitch.masks import pitch_mask
from gradtts_interp.pitch.world import world_morph, world_swap
from gradtts_interp.placement import stack_shares
from gradtts_interp.sampling import SamplingOptions
from gradtts_interp.styles import Style
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.vocoder import Vocoder

VOCODER = "checkpts/hifigan-demo"
GIVEN = {"count": 20, "checkpoint": "out/official-checkpoint/grad-tts.pt", "steps": 10}
TEXTS = 60  # the shortest of the held-out ones
COMB_HARMONICS = 10
HARMONIC_QUEFRENCIES = (13, 80)
"""Cosines over the mel bins that hold harmonics: those above the formants'."""
GUIDED_UNTIL = 0.1
"""Diffusion time; after it the network is left alone."""


class Case:
    """One sentence and two speakers, and what their renders share."""

    def __init__(self, pipeline: GradTTSInterpPipeline, setting: VoiceSetting, text: str, a: Style, b: Style) -> None:
        self.pipeline, self.model, self.text = pipeline, pipeline.model, text
        self.steps, self.sampler = setting.steps, sampler_by_name(setting.solver)
        self.listener = Listener(self.model.settings.mel)
        self.prepared = pipeline.prepare([pipeline.frontend(text)], [a, b], shares.ramp())
        self.length = int(self.prepared.lengths[0])
        total = fix_length(self.length, self.model.frame_multiple)
        self.mask = frame_mask(self.prepared.lengths, total)
        self.styles = tuple(read_style(self.model, e, self.prepared.durations, total) for e in self.prepared.encoded)
        assert self.styles[0].mu is not None
        self.mu: Tensor = self.styles[0].mu
        generators = [torch.Generator().manual_seed(0)]
        self.noise = standard_noise(self.mu, generators) / SamplingOptions.temperature
        self.shares = stack_shares(self.prepared.maps, total, self.model.device)  # type: ignore[arg-type]
        self.share = self.shares.timbre[:, 1]  # of B (1, M, T)
        self.embeddings = [s.speaker for s in self.styles]
        self.used: set[int] = set()

    @property
    def planes(self) -> tuple[Tensor, Tensor]:
        """Speaker planes (1, M, T) of A and B."""
        return self.styles[0].plane, self.styles[1].plane  # type: ignore[return-value]

    def score(self, plane: Tensor) -> Score:
        """Score under a speaker plane."""
        return lambda x, t: self.model.score(x, self.mask, self.mu, t, plane)

    def plane_of(self, embedding: Tensor) -> Tensor:
        """Speaker plane (1, M, T) of an embedding for each frame (T, E)."""
        assert self.model.decoder is not None
        return self.model.decoder.estimator.spk_mlp(embedding).T[None]

    def sample(self, score: Score) -> Tensor:
        """Mel (1, M, T) from noise."""
        return self.sampler(score, self.model.schedule, self.noise, self.mu, self.mask, self.steps)

    def renoised(self, mel: Tensor, score: Score, t: float) -> Tensor:
        """A mel (1, M, T) noised to time t and denoised again; with as many steps as the whole way has from there."""
        schedule, steps = self.model.schedule, steps_from(t, self.steps)
        noisy = signal(t, schedule) * (mel - self.mu) + noise_level(t, schedule) * self.noise
        return self.sampler(score, schedule, noisy, self.mu, self.mask, steps, start_time=t)

    def audio(self, mel: Tensor) -> NDArray[np.float32]:
        """Samples of a mel (1, M, T)."""
        return self.pipeline.vocoder(mel[0, :, : self.length], self.model.settings.mel).float().numpy()

    def mel(self, audio: NDArray[np.float32]) -> Tensor:
        """Mel (1, M, T) of samples, padded as a sampler's."""
        found = log_mel(torch.from_numpy(audio), self.model.settings.mel)[None, :, : self.length]
        return torch.nn.functional.pad(found, (0, self.mu.shape[2] - self.length), mode="replicate")

    @cached_property
    def _ends(self) -> list[tuple[Tensor, Signal]]:
        mels = [self.sample(self.score(plane)) for plane in self.planes]
        return [(mel, self.listener.hear(self.audio(mel), "alone")) for mel in mels]

    def alone(self, end: int) -> Tensor:
        """Mel (1, M, T) of A (0) or B (1) alone; that it was needed is noted."""
        self.used.add(end)
        return self._ends[end][0]

    def heard(self, end: int) -> Signal:
        """What is measured of A (0) or B (1) alone; that it was needed is noted."""
        self.used.add(end)
        return self._ends[end][1]


Way = Callable[[Case], Tensor]
"""From a case to the mel (1, M, T) that is spoken."""


# -- A's pitch, B's voice ----------------------------------------------------------------------------------------------


def low_bins(case: Case) -> Tensor:
    """A's plane at the bins below 400 Hz, B's above."""
    a, b = case.planes
    return case.sample(case.score(torch.cat([a[:, :LOW_BAND_BINS], b[:, LOW_BAND_BINS:]], dim=1)))


def low_scores(case: Case) -> Tensor:
    """The score under A's plane at the bins below 400 Hz, that under B's above."""
    a, b = map(case.score, case.planes)
    return case.sample(lambda x, t: torch.cat([a(x, t)[:, :LOW_BAND_BINS], b(x, t)[:, LOW_BAND_BINS:]], dim=1))


def switched(case: Case, at: float, *, first: int) -> Tensor:
    """The plane of one speaker down to a diffusion time, that of the other from there."""
    early, late = (case.score(case.planes[i]) for i in (first, 1 - first))
    return case.sample(lambda x, t: early(x, t) if float(t[0]) > at else late(x, t))


def guided(case: Case, strength: float, change: Callable[[Case, Tensor], Tensor]) -> Tensor:
    """B's plane, and a change of the predicted clean mel whose size is a part of the score's."""
    of_b = case.score(case.planes[1])

    def score(x: Tensor, t: Tensor) -> Tensor:
        found = of_b(x, t)
        keep, level = signal(float(t[0]), case.model.schedule), noise_level(float(t[0]), case.model.schedule)
        if float(t[0]) < GUIDED_UNTIL:
            return found
        clean = case.mu + (x - case.mu + level**2 * found) / keep
        wanted = change(case, clean)
        return found + strength * found.norm() * wanted / wanted.norm().clamp_min(1e-6)

    return case.sample(score)


def completed(case: Case, until: float) -> Tensor:
    """B's plane, and A's harmonics in place of the predicted clean mel's, down to a diffusion time."""
    of_b, target = case.score(case.planes[1]), case.alone(0)
    voiced = torch.zeros(case.mu.shape[2])
    voiced[: case.length] = torch.from_numpy(case.heard(0).contour.voiced[: case.length].astype(np.float32))

    def score(x: Tensor, t: Tensor) -> Tensor:
        found = of_b(x, t)
        if float(t[0]) < until:
            return found
        keep, level = signal(float(t[0]), case.model.schedule), noise_level(float(t[0]), case.model.schedule)
        clean = case.mu + (x - case.mu + level**2 * found) / keep
        return found + keep / level**2 * voiced * lifter(target - clean, *HARMONIC_QUEFRENCIES)

    return case.sample(score)


def comb(case: Case, clean: Tensor) -> Tensor:
    """Up on the harmonics of A's F0, down on those of B's, where both are voiced: the gradient of that contrast."""
    masks = []
    for end in (0, 1):
        c = case.heard(end).contour
        voiced = case.heard(0).contour.voiced & case.heard(1).contour.voiced
        mask = torch.from_numpy(
            pitch_mask(c.f0_hz, voiced, case.model.settings.mel, harmonics=COMB_HARMONICS, width_bins=0)
        )
        masks.append(torch.nn.functional.pad(mask, (0, case.mu.shape[2] - mask.shape[1])))
    return (masks[0] - masks[1])[None]


def fine_structure(case: Case, clean: Tensor) -> Tensor:
    """Towards the harmonics of A's render, wherever they differ: minus the gradient of half the squared distance."""
    return lifter(case.alone(0) - clean, *HARMONIC_QUEFRENCIES)


def swapped(case: Case, t: float) -> Tensor:
    """B spoken with A's F0 by WORLD, then noised to t and denoised under B's plane."""
    a, b = case.heard(0), case.heard(1)
    mel = case.mel(world_swap(b.audio, b.contour, a.contour, case.model.settings.mel))
    return mel if t == 0 else case.renoised(mel, case.score(case.planes[1]), t)


PITCH_AND_VOICE: dict[str, Way] = {
    "a: A's plane below 400 Hz": low_bins,
    "a: A's score below 400 Hz": low_scores,
    **{f"c: A until t = {at:g}, then B": partial(switched, at=at, first=0) for at in (0.7, 0.5, 0.3)},
    **{f"c: B until t = {at:g}, then A": partial(switched, at=at, first=1) for at in (0.5, 0.3)},
    "d: comb, 0.2 of the score": partial(guided, strength=0.2, change=comb),
    "d: A's harmonics, 0.2 of the score": partial(guided, strength=0.2, change=fine_structure),
    **{f"d: A's harmonics until t = {t:g}": partial(completed, until=t) for t in (0.5, 0.2)},
    **{f"e: WORLD, t = {t:g}": partial(swapped, t=t) for t in (0, 0.1, 0.2, 0.4)},
}


# -- from A to B -------------------------------------------------------------------------------------------------------


def by_mechanisms(case: Case, names: tuple[str, ...]) -> Tensor:
    """Mechanisms of the library."""
    return case.sample(make_score(case.model, make_plan(case.styles, case.shares, names), case.mask))


def by_embedding(case: Case, *, spherical: bool) -> Tensor:
    """The embedding of each frame on the way from A's to B's, on a line or on an arc, before the network's MLP."""
    a, b = case.embeddings
    assert a is not None and b is not None
    share = case.share[0].mean(0)[:, None]
    if not spherical:
        return case.sample(case.score(case.plane_of((1 - share) * a + share * b)))
    angle = torch.nn.functional.cosine_similarity(a, b).clamp(-1, 1).acos()
    parts = torch.sin((1 - share) * angle) / angle.sin(), torch.sin(share * angle) / angle.sin()
    return case.sample(case.score(case.plane_of(parts[0] * a + parts[1] * b)))


def morphed(case: Case, t: float) -> Tensor:
    """A and B morphed by WORLD, then noised to t and denoised under the plane between theirs."""
    a, b = case.heard(0), case.heard(1)
    share = case.share[0].mean(0)[: case.length].numpy()
    mel = case.mel(world_morph(a.audio, a.contour, b.audio, b.contour, share, case.model.settings.mel))
    one, other = case.planes
    return mel if t == 0 else case.renoised(mel, case.score((1 - case.share) * one + case.share * other), t)


OVER_TIME: dict[str, Way] = {
    "a: plane": partial(by_mechanisms, names=("prior",)),
    "a: scores": partial(by_mechanisms, names=("score",)),
    "b: embedding, linear": partial(by_embedding, spherical=False),
    "b: embedding, spherical": partial(by_embedding, spherical=True),
    **{f"e: WORLD morph, t = {t:g}": partial(morphed, t=t) for t in (0, 0.2)},
}
TASKS: dict[str, dict[str, Way]] = {
    "alone": {"A": lambda case: case.alone(0), "B": lambda case: case.alone(1)},
    "pitch": PITCH_AND_VOICE,
    "time": OVER_TIME,
}


class Cases:
    """Sentences and pairs of speakers, and the pipeline that speaks them."""

    def __init__(self, setting: VoiceSetting) -> None:
        self.setting = setting
        self.pipeline = GradTTSInterpPipeline.from_pretrained(
            setting.checkpoint, vocoder=Vocoder.from_pretrained(VOCODER)
        )
        self.pipeline.frontend = TextFrontend(add_blank=False)  # as the corpus writes its phones
        self.pipeline.accelerate()
        self.texts = sorted(held_out_texts(), key=len)[:TEXTS]
        self.evaluations = 0
        assert self.pipeline.model.decoder is not None
        self.pipeline.model.decoder.estimator.register_forward_hook(self._count)

    def _count(self, network: object, read: tuple[Tensor, ...], answer: object) -> None:
        self.evaluations += len(read[0])

    def case(self, index: int) -> Case:
        """Text and speakers of a case, far enough apart."""
        draw = np.random.default_rng([2026, index])
        text = self.texts[int(draw.integers(len(self.texts)))]
        while True:
            pair = [self.pipeline.style(speaker=int(i)) for i in draw.permutation(len(self.pipeline.speakers))[:2]]
            case = Case(self.pipeline, self.setting, text, *pair)
            if abs(level_semitones(case.heard(0).contour, case.heard(1).contour)) >= LEAST_SEMITONES:
                return case

    @torch.no_grad()
    def measure(self, job: TaskItem) -> tuple[list[dict[str, Any]], list[str]]:
        """Render and measure a case."""
        case, rows = self.case(job.index), []
        for task, ways in TASKS.items():
            for number, (name, way) in enumerate(ways.items()):
                case.used, self.evaluations = set(), 0
                mel = way(case)
                cost = self.evaluations / self.setting.steps + len(case.used)
                audio = case.audio(mel)
                path = Path(self.setting.out) / "wavs" / f"{job.index:02d}_{task}_{number:02d}.wav"
                write_wav(path, torch.from_numpy(audio), case.model.settings.mel.sample_rate_hz)
                row = {"task": task, "kind": name, "wav": str(path), "text": case.text, "cost": round(cost, 3)}
                rows.append({**row, **measures(case, case.listener.hear(audio, name))})
        return rows, []


def measures(case: Case, heard: Signal) -> dict[str, float | None]:
    """What of A and what of B is in a render, and how well it follows the share over time."""
    a, b = case.heard(0), case.heard(1)
    wanted = case.share[0].mean(0)[: case.length].numpy()
    over_time = metric_rows.following(a, b, heard, wanted)
    return {
        **metric_rows.mean_shares(a, b, heard),
        "f0_cents_to_a": f0_errors(a.contour, heard.contour)["f0_rms_octaves_apart_cents"],
        "f0_error": over_time["f0_control_error"],
        "envelope_error": over_time["envelope_control_error"],
    }


COLUMNS = {
    "pitch": ("f0_cents_to_a", "f0_share", "envelope_share", "voicing_kept", "cost"),
    "time": ("f0_error", "envelope_error", "voicing_kept", "cost"),
}
COLUMNS["alone"] = COLUMNS["pitch"]


def table(records: Sequence[Record]) -> str:
    """Medians over the cases, in lines of text."""
    rows = [row for record in records for row in rows_of(record)]
    lines = []
    for task, ways in TASKS.items():
        lines.append(f"{task:<32}" + "".join(f"{name:>16}" for name in COLUMNS[task]))
        for name in ways:
            of = [r for r in rows if (r["task"], r["kind"]) == (task, name)]
            lines.append(f"{name:<32}" + "".join(f"{np.nanmedian([r[c] for r in of]):16.2f}" for c in COLUMNS[task]))
    return "\n".join(lines)


def main() -> int:
    """Measure all cases, print the tables, and write the lists of wavs; return 1 when a case failed."""
    setting, records = run_cases("official", __doc__, Cases, table, **GIVEN)  # type: ignore[arg-type]
    for task, ways in TASKS.items():
        for number, name in enumerate(ways):
            write_list(Path(setting.out) / f"{task}_{number:02d}.list", records, task=task, kind=name)
    return status_of(records)


if __name__ == "__main__":
    raise SystemExit(report_errors(main))
