"""The files of one sentence: wav, picture, attention and a json that says all about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradtts_interp.audio import write_wav
from gradtts_interp.cli.pitch_flags import copy_report, pitch_report, write_realised
from gradtts_interp.evaluation.blend import SMALLEST_RANGE_CENTS, RealisedShare, realised_f0_share
from gradtts_interp.files import atomic_path
from gradtts_interp.interpolation.mechanisms import LOW_BAND_BINS
from gradtts_interp.job import Job, Sentence
from gradtts_interp.pitch.statistics import f0_statistics, thirds
from gradtts_interp.speech import Speech

NOT_COMPARED = "A and B alone were not rendered; leave --no-plots out"
SINGLE_STYLE = "a single style"
FEWEST_FRAMES = 5
"""A realised share of fewer frames would be chance."""


@dataclass(frozen=True)
class Take:
    """One sentence as rendered.

    Attributes:
        speech: What was asked for.
        a: The same in style A alone, where it was rendered.
        b: The same in style B alone, likewise.
        rtf: Seconds of computing per second of speech, over the batch.
    """

    speech: Speech
    a: Speech | None
    b: Speech | None
    rtf: float


def report_of(job: Job, line: Sentence, take: Take) -> dict[str, Any]:
    """Everything that is known of a sentence, as plain JSON values.

    Args:
        job: The job.
        line: The sentence.
        take: Its rendering.

    Returns:
        Text, phonemes with times, settings, seed, F0 statistics, realised blend, seconds, RTF, device.
    """
    speech = take.speech
    settings = {**speech.settings, **job.settings, "batch_size": job.batch_size}
    return {
        **speech.to_dict(),
        "line": line.number,
        "settings": settings,
        "seed": settings["seed"],
        **_measures(job, take),
        **pitch_report(job.pitch, speech),
        **copy_report(job.prosody, job.prosody_weight, speech),
        "rtf": round(take.rtf, 4),
        "device": str(job.pipeline.device),
    }


def _measures(job: Job, take: Take) -> dict[str, Any]:
    """F0 statistics, and how much of B's pitch was heard in each third of the utterance."""
    blend = take.speech.contour
    parts = thirds(len(blend))
    f0: dict[str, Any] = {"a": None, "b": None, "blend": f0_statistics(blend).to_dict()}
    medians = [f0_statistics(blend, part).to_dict()["median_hz"] for part in parts]
    reason = SINGLE_STYLE if job.b is None else NOT_COMPARED
    realised: dict[str, Any] = {"whole": None, "thirds": None, "reason": reason}
    if take.a is not None and take.b is not None:
        a, b = take.a.contour, take.b.contour
        f0 |= {"a": f0_statistics(a).to_dict(), "b": f0_statistics(b).to_dict()}
        share = realised_f0_share(a, b, blend)
        found = [_realised(share, part) for part in (slice(None), *parts)]
        realised = {"whole": found[0], "thirds": found[1:], "reason": None}
    if take.speech.shares is not None:
        asked = take.speech.shares.pitch[:LOW_BAND_BINS]
        realised["asked_thirds"] = [round(float(asked[:, part].mean()), 4) for part in parts]
    return {"f0": {**f0, "thirds_median_hz": medians}, "realised_blend": realised}


def _realised(share: RealisedShare, frames: slice) -> dict[str, Any]:
    """Mean share of some frames, or why there is none."""
    count = int(share.measured[frames].sum())
    if count >= FEWEST_FRAMES:
        return {"value": round(share.mean(frames), 4), "frames": count, "reason": None}
    what = f"voiced in A, B and the blend with A and B at least {SMALLEST_RANGE_CENTS:g} cents apart"
    return {"value": None, "frames": count, "reason": f"{count} frames are {what}; expected {FEWEST_FRAMES} or more"}


def write_outputs(job: Job, line: Sentence, take: Take) -> tuple[dict[str, Any], dict[str, Path]]:
    """Measure a sentence and write its files; each appears whole or not at all, the wav first and the json last.

    Args:
        job: The job.
        line: The sentence; its place names the files.
        take: Its rendering.

    Returns:
        Content of the json, see :func:`report_of`; and the path of each kind of file.
    """
    speech = take.speech
    stem = job.stem_of(line)
    files = {"wav": stem.with_suffix(".wav")}
    write_wav(files["wav"], torch.from_numpy(speech.audio), speech.mel_config.sample_rate_hz)
    report = report_of(job, line, take)  # after the wav, which can be heard while the rest is measured
    if job.write_pitch is not None:
        files["pitch"] = write_realised(speech, stem, job.write_pitch)
    if speech.attention is not None:
        files["attention"] = stem.with_name(f"{stem.name}_attention.npz")
        _write_attention(files["attention"], speech)
    if job.plots:
        files |= _draw(take, stem)
    files["json"] = stem.with_suffix(".json")
    with atomic_path(files["json"]) as temporary:
        temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return report, files


def _draw(take: Take, stem: Path) -> dict[str, Path]:
    """Draw what is known of a sentence; the path of each picture by its kind."""
    # Here, since a job without plots need not wait for matplotlib.
    from gradtts_interp.plots.attention import plot_layers, plot_phonemes
    from gradtts_interp.plots.speech import plot_speech
    from gradtts_interp.plots.tuning import plot_tuning_windows

    speech = take.speech
    files = {"png": stem.with_suffix(".png")}
    plot_speech(speech, files["png"], a=take.a, b=take.b)
    if speech.attention_maps is not None:
        for kind, draw in {"phonemes": plot_phonemes, "layers": plot_layers}.items():
            files[f"attention_{kind}"] = stem.with_name(f"{stem.name}_attention_{kind}.png")
            draw(speech.attention_maps, files[f"attention_{kind}"])
    if speech.tuning is not None and speech.tuning.steps:
        files["noise"] = stem.with_name(f"{stem.name}_noise.png")
        plot_tuning_windows(speech.tuning, files["noise"])
    return files


def _write_attention(path: Path, speech: Speech) -> None:
    """Write ``<site>.mass`` (n, M', T') and ``<site>.cell`` of each site, the frame rate in Hz, and the maps.

    Those of the maps are named in :meth:`~gradtts_interp.interpolation.attention.maps.AttentionMaps.arrays`.
    """
    assert speech.attention is not None
    arrays = {f"{site}.{name}": value for site, found in speech.attention.items() for name, value in found.items()}
    if speech.attention_maps is not None:
        arrays |= speech.attention_maps.arrays()
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, frame_rate_hz=np.float64(speech.mel_config.frame_rate_hz), **arrays)
