"""What the quality benchmark measures: each task gives rows of a condition, an item and figures."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from gradtts_interp.audio import log_mel, read_audio
from gradtts_interp.evaluation.blend import (
    control_error,
    linearity,
    monotonicity,
    realised_envelope_share,
    realised_f0_share,
)
from gradtts_interp.evaluation.envelope import envelope_distance, log_envelope
from gradtts_interp.evaluation.intelligibility import phone_error_rate, plain_phones, recognise_phones
from gradtts_interp.interpolation import shares
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.pitch.contour import Contour, extract_contour
from gradtts_interp.speech import Speech
from gradtts_interp.styles import Style
from gradtts_interp.units import ratio_to_semitones
from gradtts_interp.vocoder import GriffinLimVocoder

SMALLEST_LEVEL_DIFFERENCE = 4.0  # semitones between the two styles of a blend
WEIGHTS = np.linspace(0, 1, 11)
SENTENCES = (
    "The quiet farmer painted seven green boats.",
    "My sister carried a heavy basket to the river.",
    "Nobody remembered the name of the old captain.",
    "A yellow window opened slowly in the morning.",
)


@dataclass(frozen=True)
class Bench:
    """What the tasks share.

    Attributes:
        tts: The pipeline under test.
        corpus: Corpus folder.
        entries: Its manifest.
        steps: Sampler steps.
    """

    tts: GradTTSInterpPipeline
    corpus: Path
    entries: list[dict]
    steps: int

    def render(self, text: str, *styles: Style, **options) -> Speech:
        """Render with the benchmark's solver and seed."""
        return self.tts(text, *styles, num_inference_steps=self.steps, solver="unipc", seed=0, **options)

    def audio(self, entry: dict) -> NDArray:
        """Recording of an entry."""
        return read_audio(self.corpus / "wavs" / f"{entry['id']}.wav").numpy()

    def held_out_styles(self, count: int) -> list[Style]:
        """Styles whose voice and manner of pitch no training item has, read from recordings."""
        unseen = [e for e in self.entries if e["kind"] == "test" and e["speaker"] is None]
        order = np.random.default_rng(0).permutation(len(unseen))[:count]
        return [self.tts.style(self.corpus / "wavs" / f"{unseen[i]['id']}.wav") for i in order]

    def pairs(self, count: int) -> list[tuple[Style, Style]]:
        """Pairs of held-out styles whose F0 levels are far enough apart."""
        styles = self.held_out_styles(4 * count + 40)
        found = []
        for a, b in zip(styles[::2], styles[1::2], strict=False):
            if abs(level_semitones(a.contour, b.contour)) >= SMALLEST_LEVEL_DIFFERENCE:
                found.append((a, b))
        return found[:count]


def level_semitones(a: Contour, b: Contour) -> float:
    """Semitones from the median F0 of A to that of B."""
    return float(ratio_to_semitones(median_f0(b) / median_f0(a)))


def median_f0(contour: Contour) -> float:
    """Median F0 over voiced frames in Hz, NaN where none is voiced."""
    return float(np.median(contour.f0_hz[contour.voiced])) if contour.voiced.any() else float("nan")


def intelligibility(bench: Bench, count: int) -> list[dict]:
    """Phone error rate of teacher, vocoded teacher, and model, by PocketSphinx."""
    tts, mel = bench.tts, bench.tts.model.settings.mel
    items = [e for e in bench.entries if e["kind"] == "test" and e["speaker"] is not None][:count]
    griffin = GriffinLimVocoder(mel)
    rows = []
    for entry in tqdm(items, desc="intelligibility"):
        reference = plain_phones(entry["tokens"])
        natural = bench.audio(entry)
        teacher = log_mel(torch.from_numpy(natural), mel)
        speech = bench.render(entry["text"], tts.style(speaker=entry["speaker"]))
        conditions = {
            "teacher": natural,
            "teacher, vocoder": tts.vocoder(teacher, mel).numpy(),
            "teacher, Griffin-Lim": griffin(teacher, mel).numpy(),
            "model, vocoder": speech.audio,
            "model, Griffin-Lim": griffin(torch.from_numpy(speech.mel), mel).numpy(),
        }
        for condition, audio in conditions.items():
            heard = recognise_phones(audio, mel.sample_rate_hz)
            rate = phone_error_rate([reference], [heard])
            rows.append({"condition": condition, "item": entry["id"], "phone error rate": rate})
    return rows


def vocoder(bench: Bench, count: int) -> list[dict]:
    """Copy synthesis of held-out recordings: F0 and envelope against the recording."""
    mel = bench.tts.model.settings.mel
    items = [e for e in bench.entries if e["kind"] == "test"][:: max(1, 316 // count)][:count]
    decoders = {"shipped vocoder": bench.tts.vocoder, "Griffin-Lim": GriffinLimVocoder(mel)}
    if bench.tts.vocoder.refinement_rounds > 0:
        decoders["shipped vocoder, unrefined"] = copy.deepcopy(bench.tts.vocoder)
        decoders["shipped vocoder, unrefined"].refinement_rounds = 0
    rows = []
    for entry in tqdm(items, desc="vocoder"):
        natural = bench.audio(entry)
        contour = extract_contour(natural, mel)
        envelope = log_envelope(natural, contour, mel)
        for condition, decoder in decoders.items():
            audio = decoder(log_mel(torch.from_numpy(natural), mel), mel).numpy()
            found = extract_contour(audio, mel)
            both = contour.voiced & found.voiced
            cents = 100 * np.abs(ratio_to_semitones(found.f0_hz / contour.f0_hz))[both]
            rows.append(
                {
                    "condition": condition,
                    "item": entry["id"],
                    "F0 error (median cents)": float(np.median(cents)) if both.any() else None,
                    "voicing errors": float((contour.voiced != found.voiced).mean()),
                    "envelope distance (dB)": envelope_distance(
                        envelope, log_envelope(audio, found, mel), contour.voiced
                    ),
                }
            )
    return rows


def following(bench: Bench, count: int) -> list[dict]:
    """F0 level of a render against that of its held-out reference."""
    rows = []
    for i, style in enumerate(tqdm(bench.held_out_styles(count), desc="following")):
        speech = bench.render(SENTENCES[i % len(SENTENCES)], style)
        contour = speech.contour
        if not contour.voiced.any():
            rows.append({"condition": "held-out reference", "item": style.name, "F0 error (semitones)": None})
            continue
        error = abs(level_semitones(style.contour, contour))
        rows.append(
            {
                "condition": "held-out reference",
                "item": style.name,
                "F0 error (semitones)": error,
                "within 1 semitone": float(error <= 1),
                "F0 spread of reference": float(np.log(style.contour.f0_hz[style.contour.voiced]).std()),
                "F0 spread of render": float(np.log(contour.f0_hz[contour.voiced]).std()),
            }
        )
    return rows


def dual(bench: Bench, count: int) -> list[dict]:
    """A's pitch with B's voice: F0 error to A and to B, envelope share of B, by mechanism."""
    sets = {"prosody+attention": ("prosody", "attention"), "attention": ("attention",), "prosody": ("prosody",)}
    rows = []
    for i, (a, b) in enumerate(tqdm(bench.pairs(count), desc="dual")):
        text = SENTENCES[i % len(SENTENCES)]
        first = bench.render(text, a, b, share=shares.pitch(), mechanisms=sets["prosody+attention"])
        given = {"durations": [first.durations.tolist()]}
        plain = [bench.render(text, style, **given) for style in (a, b)]
        for condition, mechanisms in sets.items():
            blend = bench.render(text, a, b, share=shares.pitch(), mechanisms=mechanisms, **given)
            contour = blend.contour
            row = {"condition": condition, "item": f"{a.name} + {b.name}"}
            row["F0 error to A (semitones)"] = _or_none(abs(level_semitones(a.contour, contour)))
            row["F0 error to B (semitones)"] = _or_none(abs(level_semitones(b.contour, contour)))
            row["envelope share of B"] = _or_none(_envelope_share(bench, *plain, blend))
            rows.append(row)
    return rows


def sweep(bench: Bench, count: int) -> list[dict]:
    """Constant shares 0, 0.1, ... 1: realised share of F0 and envelope, linearity and monotonicity."""
    sets = {"all": None, "attention": ("attention",), "prosody": ("prosody",), "score": ("score",)}
    rows = []
    for i, (a, b) in enumerate(tqdm(bench.pairs(count), desc="sweep")):
        text = SENTENCES[i % len(SENTENCES)]
        durations = [bench.render(text, a, b, share=shares.constant(0.5)).durations.tolist()]
        plain = [bench.render(text, style, durations=durations) for style in (a, b)]
        for condition, mechanisms in sets.items():
            f0, envelope = [], []
            for weight in WEIGHTS:
                blend = bench.render(
                    text, a, b, share=shares.constant(float(weight)), mechanisms=mechanisms, durations=durations
                )
                f0.append(realised_f0_share(plain[0].contour, plain[1].contour, blend.contour).mean())
                envelope.append(_envelope_share(bench, *plain, blend))
            row = {"condition": condition, "item": f"{a.name} + {b.name}"}
            for name, curve in (("F0", np.array(f0)), ("envelope", np.array(envelope))):
                usable = np.isfinite(curve).all()
                row[f"{name} Spearman"] = _or_none(monotonicity(WEIGHTS, curve)) if usable else None
                row[f"{name} R2"] = _or_none(linearity(WEIGHTS, curve)) if usable else None
                row[f"{name} at 0.5"] = _or_none(float(curve[5]))
            rows.append(row)
    return rows


def ramp(bench: Bench, count: int) -> list[dict]:
    """A ramp over time: does the realised F0 share follow it."""
    sets = {"all": None, "attention": ("attention",), "prosody": ("prosody",), "prior": ("prior",), "score": ("score",)}
    rows = []
    for i, (a, b) in enumerate(tqdm(bench.pairs(count), desc="ramp")):
        text = SENTENCES[i % len(SENTENCES)]
        first = bench.render(text, a, b, share=shares.ramp())
        durations = [first.durations.tolist()]
        plain = [bench.render(text, style, durations=durations) for style in (a, b)]
        for condition, mechanisms in sets.items():
            blend = bench.render(text, a, b, share=shares.ramp(), mechanisms=mechanisms, durations=durations)
            realised = realised_f0_share(plain[0].contour, plain[1].contour, blend.contour)
            frames = len(realised.share)
            row = {"condition": condition, "item": f"{a.name} + {b.name}"}
            row["control error"] = _or_none(control_error(realised, blend.share[0]))
            for k in range(5):
                row[f"share in fifth {k + 1}"] = _or_none(realised.mean(slice(k * frames // 5, (k + 1) * frames // 5)))
            rows.append(row)
    return rows


def _envelope_share(bench: Bench, a: Speech, b: Speech, blend: Speech) -> float:
    """Mean realised share of B in the envelope, over frames where all three are voiced."""
    contours = [s.contour for s in (a, b, blend)]
    mel = bench.tts.model.settings.mel
    envelopes = [log_envelope(s.audio, c, mel) for s, c in zip((a, b, blend), contours, strict=True)]
    active = contours[0].voiced & contours[1].voiced & contours[2].voiced
    return realised_envelope_share(*envelopes, active).mean()


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
