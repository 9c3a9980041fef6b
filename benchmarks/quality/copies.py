"""The vocoder task: copy synthesis of held-out recordings, against Griffin-Lim and WORLD."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.context import QualityContext
from gradtts_interp.evaluation.signal import (
    envelope_distance,
    log_envelope,
    mel_cepstral_distortion,
    mel_cepstrum,
    power_envelope,
    speech_frames,
)
from gradtts_interp.pitch.contour import extract_contour
from gradtts_interp.units import ratio_to_cents


def vocoder(context: QualityContext, index: int) -> list[dict]:
    """F0, voicing, envelope and cepstrum of copies of a recording."""
    entry = (context.named + context.unseen)[index]
    natural = context.audio(entry)
    contour = extract_contour(natural, context.mel)
    power, speech = power_envelope(natural, contour, context.mel), speech_frames(contour)
    envelope, cepstrum = log_envelope(power, context.mel), mel_cepstrum(power)
    rows = []
    for condition, copied in copies(context, natural).items():
        found = extract_contour(copied, context.mel)
        power = power_envelope(copied, found, context.mel)
        both = contour.voiced & found.voiced
        cents = np.abs(ratio_to_cents(found.f0_hz / contour.f0_hz))[both]
        rows.append(
            {
                "condition": condition,
                "item": entry["id"],
                "F0 error (median cents)": float(np.median(cents)) if both.any() else None,
                "voicing errors": float((contour.voiced != found.voiced).mean()),
                "envelope distance (dB)": envelope_distance(envelope, log_envelope(power, context.mel), contour.voiced),
                "MCD (dB)": mel_cepstral_distortion(cepstrum, mel_cepstrum(power), speech),
            }
        )
    return rows


def copies(context: QualityContext, natural: NDArray) -> dict[str, NDArray]:
    """A recording and its copies: by the shipped vocoder, Griffin-Lim, and WORLD's analysis and synthesis."""
    mel = context.log_mel(natural)
    decoders: dict[str, Callable] = {"shipped vocoder": context.tts.vocoder, "Griffin-Lim": context.griffin}
    if context.tts.vocoder.refinement_rounds > 0:
        plain = copy.deepcopy(context.tts.vocoder)
        plain.refinement_rounds = 0
        decoders["shipped vocoder, unrefined"] = plain
    found = {name: decoder(mel, context.mel).numpy() for name, decoder in decoders.items()}
    return {"recording": natural, **found, "WORLD re-synthesis": world_copy(natural, context.mel.sample_rate_hz)}


def world_copy(natural: NDArray, rate_hz: int) -> NDArray[np.float32]:
    """Analysis and synthesis by WORLD: a floor that knows more than a mel."""
    import pyworld

    samples = np.ascontiguousarray(natural, dtype=np.float64)
    f0, times = pyworld.dio(samples, rate_hz)
    f0 = pyworld.stonemask(samples, f0, times, rate_hz)
    planes = pyworld.cheaptrick(samples, f0, times, rate_hz), pyworld.d4c(samples, f0, times, rate_hz)
    copied = pyworld.synthesize(f0, *planes, rate_hz)
    return np.resize(np.pad(copied, (0, max(0, len(samples) - len(copied)))), len(samples)).astype(np.float32)
