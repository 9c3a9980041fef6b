"""Tasks about two styles: dual references, sweeps of constant shares, ramps over time."""

from __future__ import annotations

import numpy as np

from benchmarks.quality.context import QualityContext
from gradtts_interp.evaluation import metric_rows
from gradtts_interp.evaluation.contours import level_semitones
from gradtts_interp.evaluation.speakers import similarity_to_styles
from gradtts_interp.interpolation import shares

WEIGHTS = tuple(float(weight) for weight in np.linspace(0, 1, 11))
FIFTHS = 5
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
    plain = [context.signal(context.render(text, style, **given)) for style in (a, b)]
    rate = context.mel.sample_rate_hz
    voices = [context.encoder.embed(context.audio(entry), rate) for entry in entries]
    rows = []
    for condition, mechanisms in DUAL.items():
        blend = context.signal(context.render(text, a, b, share=shares.pitch(), mechanisms=mechanisms, **given))
        to_a, to_b = similarity_to_styles(*voices, context.encoder.embed(blend.audio, rate))
        rows.append(
            {
                "condition": condition,
                "item": _name(entries),
                "F0 error to A (semitones)": abs(level_semitones(a.contour, blend.contour)),
                "F0 error to B (semitones)": abs(level_semitones(b.contour, blend.contour)),
                "envelope share of B": metric_rows.mean_shares(*plain, blend)["envelope_share"],
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
    plain = [context.signal(context.render(text, style, durations=durations)) for style in (a, b)]
    rows = []
    for condition, mechanisms in SWEEP.items():
        if mechanisms is not None and index >= SWEEPS_OF_EACH_MECHANISM:
            break
        found = {}
        for weight in WEIGHTS:
            share = shares.constant(weight)
            blend = context.render(text, a, b, share=share, mechanisms=mechanisms, durations=durations)
            found[weight] = metric_rows.mean_shares(*plain, context.signal(blend))
        row = {"condition": condition, "item": _name(entries)}
        for name, key in (("F0", "f0"), ("envelope", "envelope")):
            curve = metric_rows.sweep(key, {weight: point[f"{key}_share"] for weight, point in found.items()})
            row[f"{name} Spearman"] = curve.get(f"{key}_monotonicity")
            row[f"{name} R2"] = curve.get(f"{key}_linearity")
            row[f"{name} at 0.5"] = found[0.5][f"{key}_share"]
        rows.append(row)
    return rows


def ramp(context: QualityContext, index: int) -> list[dict]:
    """A ramp over time: does the realised F0 share follow it."""
    entries, text = context.pairs[index], context.sentence(index)
    a, b = (context.style(entry) for entry in entries)
    durations = [context.render(text, a, b, share=shares.ramp()).durations.tolist()]
    plain = [context.signal(context.render(text, style, durations=durations)) for style in (a, b)]
    rows = []
    for condition, mechanisms in RAMP.items():
        blend = context.render(text, a, b, share=shares.ramp(), mechanisms=mechanisms, durations=durations)
        three = (*plain, context.signal(blend))
        row = {"condition": condition, "item": _name(entries)}
        row["control error"] = metric_rows.following(*three, blend.share[0])["f0_control_error"]
        course = metric_rows.course(metric_rows.realised_shares(*three)["f0"], FIFTHS)
        rows.append(metric_rows.finite(row | {f"share in fifth {k + 1}": value for k, value in enumerate(course)}))
    return rows


def _name(entries: tuple[dict, dict]) -> str:
    return " + ".join(entry["id"] for entry in entries)
