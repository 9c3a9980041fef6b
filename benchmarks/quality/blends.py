"""Tasks about two styles: dual references, sweeps of constant shares, ramps over time."""

from __future__ import annotations

import numpy as np

from benchmarks.quality.context import QualityContext, level_semitones
from gradtts_interp.evaluation.blend import control_error, linearity, monotonicity, realised_f0_share
from gradtts_interp.evaluation.speakers import similarity_to_styles
from gradtts_interp.interpolation import shares

WEIGHTS = np.linspace(0, 1, 11)
SWEEPS_OF_EACH_MECHANISM = 3
DUAL = {"prosody+attention": ("prosody", "attention"), "attention": ("attention",), "prosody": ("prosody",)}
SWEEP = {"all": None, "attention": ("attention",), "prosody": ("prosody",), "score": ("score",)}
RAMP = {"all": None, "attention": ("attention",), "prosody": ("prosody",), "prior": ("prior",), "score": ("score",)}


def dual(context: QualityContext, index: int) -> list[dict]:
    """A's pitch with B's voice: F0 error to A and to B, envelope share of B, by mechanism."""
    entries, text = context.pairs[index], context.sentence(index)
    a, b = (context.style(entry) for entry in entries)
    first = context.render(text, a, b, share=shares.pitch(), mechanisms=DUAL["prosody+attention"])
    given = {"durations": [first.durations.tolist()]}
    plain = [context.render(text, style, **given) for style in (a, b)]
    rate = context.mel.sample_rate_hz
    voices = [context.encoder.embed(context.audio(entry), rate) for entry in entries]
    rows = []
    for condition, mechanisms in DUAL.items():
        blend = context.render(text, a, b, share=shares.pitch(), mechanisms=mechanisms, **given)
        to_a, to_b = similarity_to_styles(*voices, context.encoder.embed(blend.audio, rate))
        rows.append(
            {
                "condition": condition,
                "item": _name(entries),
                "F0 error to A (semitones)": abs(level_semitones(a.contour, blend.contour)),
                "F0 error to B (semitones)": abs(level_semitones(b.contour, blend.contour)),
                "envelope share of B": context.envelope_share(*plain, blend),
                "speaker similarity to A": to_a,
                "speaker similarity to B": to_b,
            }
        )
    return rows


def sweep(context: QualityContext, index: int) -> list[dict]:
    """Constant shares 0, 0.1, ... 1: realised share of F0 and envelope, linearity and monotonicity."""
    entries, text = context.pairs[index], context.sentence(index)
    a, b = (context.style(entry) for entry in entries)
    durations = [context.render(text, a, b, share=shares.constant(0.5)).durations.tolist()]
    plain = [context.render(text, style, durations=durations) for style in (a, b)]
    rows = []
    for condition, mechanisms in SWEEP.items():
        if mechanisms is not None and index >= SWEEPS_OF_EACH_MECHANISM:
            break
        f0, envelope = [], []
        for weight in WEIGHTS:
            share = shares.constant(float(weight))
            blend = context.render(text, a, b, share=share, mechanisms=mechanisms, durations=durations)
            f0.append(realised_f0_share(plain[0].contour, plain[1].contour, blend.contour).mean())
            envelope.append(context.envelope_share(*plain, blend))
        row = {"condition": condition, "item": _name(entries)}
        for name, curve in (("F0", np.array(f0)), ("envelope", np.array(envelope))):
            usable = np.isfinite(curve).all()
            row[f"{name} Spearman"] = monotonicity(WEIGHTS, curve) if usable else None
            row[f"{name} R2"] = linearity(WEIGHTS, curve) if usable else None
            row[f"{name} at 0.5"] = float(curve[5])
        rows.append(row)
    return rows


def ramp(context: QualityContext, index: int) -> list[dict]:
    """A ramp over time: does the realised F0 share follow it."""
    entries, text = context.pairs[index], context.sentence(index)
    a, b = (context.style(entry) for entry in entries)
    durations = [context.render(text, a, b, share=shares.ramp()).durations.tolist()]
    plain = [context.render(text, style, durations=durations) for style in (a, b)]
    rows = []
    for condition, mechanisms in RAMP.items():
        blend = context.render(text, a, b, share=shares.ramp(), mechanisms=mechanisms, durations=durations)
        realised = realised_f0_share(plain[0].contour, plain[1].contour, blend.contour)
        frames = len(realised.share)
        row = {"condition": condition, "item": _name(entries)}
        row["control error"] = control_error(realised, blend.share[0])
        for k in range(5):
            row[f"share in fifth {k + 1}"] = realised.mean(slice(k * frames // 5, (k + 1) * frames // 5))
        rows.append(row)
    return rows


def _name(entries: tuple[dict, dict]) -> str:
    return " + ".join(entry["id"] for entry in entries)
