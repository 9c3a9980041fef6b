"""The main job: speak sentences while moving from one style to another, and write what was heard and measured.

Sentences are rendered in batches. Of each are written wav, picture, attention, and a json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from gradtts_interp.audio import write_wav
from gradtts_interp.cli import flags
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.blend import FEWEST_FRAMES, SMALLEST_RANGE_CENTS, measured, realised_f0_share
from gradtts_interp.evaluation.contours import energy_errors, f0_errors, on_same_frames
from gradtts_interp.files import atomic_path, write_json
from gradtts_interp.interpolation.asked_pitch import lay_pitch
from gradtts_interp.interpolation.mechanisms import LOW_BAND_BINS
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.job import Job, Sentence
from gradtts_interp.pitch.contour import Contour, f0_statistics, thirds
from gradtts_interp.pitch.files import curve_of_contour, write_pitch
from gradtts_interp.sampling import SamplingOptions, length_batches
from gradtts_interp.speech import Speech
from gradtts_interp.text.ssml import tokenize_line

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "failed to allocate")
NOT_COMPARED = "A and B alone were not rendered; leave --no-plots out"
SINGLE_STYLE = "a single style"

Outcome = dict[str, Any]
"""What a summary says of a sentence, as plain JSON values: the sentence itself, and what became of it."""
Take = tuple[Speech, Speech | None, Speech | None, float]
"""A sentence as rendered: what was asked for; the same in A alone and in B alone, where they were rendered; and seconds
of computing per second of speech, over the batch."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the main job on a parser."""
    flags.add_speaking_arguments(parser)
    flags.add_copying(parser.add_argument_group("a recording whose prosody is copied"))
    flags.add_files(parser.add_argument_group("what is written of each sentence"))


def run(args: argparse.Namespace) -> int:
    """Do the main job.

    Args:
        args: Parsed flags of :func:`add_arguments`.

    Returns:
        Exit status: 0 when each sentence was rendered, 1 when some were not.

    Raises:
        InputError: Nothing could be started; the message says why.
    """
    job = flags.job_of(args)
    outcomes = [outcome for draw in job.drawn(args.draws) for outcome in render_lines(draw)]
    failed = sum("error" in outcome for outcome in outcomes)
    if args.json:
        done = {"rendered": len(outcomes) - failed, "failed": failed, "device": str(job.pipeline.device)}
        print(json.dumps({**done, "sentences": outcomes}, indent=1, ensure_ascii=False))
    else:
        _print_table(outcomes)
        _print_draws(outcomes)
    return 1 if failed else 0


def _print_table(outcomes: list[Outcome]) -> None:
    rows = [("file", "seconds", "RTF", "F0 first third -> last (Hz)", "path")]
    for outcome in outcomes:
        if "error" not in outcome:
            ends = [outcome["f0"]["thirds_median_hz"][i] for i in (0, 2)]
            moved = " -> ".join("unvoiced" if hz is None else f"{hz:.0f}" for hz in ends)
            seconds, rtf = (f"{outcome[name]:.2f}" for name in ("seconds", "rtf"))
            wav = outcome["files"]["wav"]
            rows.append((Path(wav).name, seconds, rtf, moved, wav))
    if len(rows) > 1:
        print(flags.aligned(rows))


def _print_draws(outcomes: list[Outcome]) -> None:
    """How the draws of each sentence fell, where the pitch of A and B alone is known."""
    drawn: dict[int, list[float]] = {}
    for outcome in outcomes:
        share = outcome.get("realised_blend", {}).get("whole")
        if share is not None and share["value"] is not None:
            drawn.setdefault(outcome["index"], []).append(share["value"])
    for number, shares in drawn.items():
        if len(shares) > 1:
            b = sum(share > 0.5 for share in shares)
            each = " ".join(f"{share:.2f}" for share in sorted(shares))
            print(f"sample_{number}: pitch of A in {len(shares) - b} draws, of B in {b}; shares of B: {each}")


# -- rendering ------------------------------------------------------------------------------------------------------


def render_lines(job: Job) -> list[Outcome]:
    """Render all sentences of a job. One that fails is reported on stderr and does not stop the others.

    Args:
        job: The job.

    Returns:
        What a summary says of each sentence, in order: ``line``, ``index`` and ``text``; then ``seconds``, ``rtf``,
        ``f0``, ``realised_blend`` and ``files`` by kind, or ``error``.
    """
    outcomes: dict[int, Outcome] = {}
    with tqdm(total=len(job.lines), desc="sentences", unit="sentence", disable=None, file=sys.stderr) as bar:
        ready, tokens = [], []
        for line in job.lines:
            try:
                tokens.append(len(tokenize_line(job.pipeline.frontend, line["text"])[0].ids))
                ready.append(line)
            except InputError as error:
                outcomes[line["index"]] = failed(line, str(error))
                bar.update()
        for batch in length_batches(tokens, job.batch_size):
            for outcome in _render_batch(job, [ready[i] for i in batch]):
                outcomes[outcome["index"]] = outcome
                bar.update()
    return [outcomes[line["index"]] for line in job.lines]


def _render_batch(job: Job, lines: Sequence[Sentence]) -> Iterator[Outcome]:
    """Render some sentences at once, or one by one where that fails, so that only the bad one fails."""
    takes, problem = try_to_speak(job, lines)
    if problem is None:
        for line, take in zip(lines, takes, strict=True):
            yield _write(job, line, take)
    elif len(lines) == 1:
        yield failed(lines[0], problem)
    else:
        for line in lines:
            yield from _render_batch(job, [line])


def try_to_speak(job: Job, lines: Sequence[Sentence]) -> tuple[list[Take], str | None]:
    """Render some sentences at once, or say why not.

    Args:
        job: The job.
        lines: One batch.

    Returns:
        A take of each sentence, and None; or nothing, and the reason. What an error held is freed on the way out.
    """
    try:
        return speak(job, [line["text"] for line in lines]), None
    except InputError as error:
        return [], str(error)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(lines) > 1:
        _tell(f"warning: out of memory with {len(lines)} sentences at once; going on one by one; lower --batch-size")
    return [], "out of memory with this sentence alone; use --batch-size 1, a shorter sentence, or --device cpu"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of whatever device, did not suffice."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return any(sign in str(error).lower() for sign in OUT_OF_MEMORY)


def speak(job: Job, texts: list[str], *, on_step: Callable[..., Any] | None = None) -> list[Take]:
    """Render texts as the job says, and in A and in B alone where a plot is wanted.

    Args:
        job: The job.
        texts: One batch.
        on_step: Called after each step of the sampler, those of A and B alone included.

    Returns:
        A take of each text.
    """
    _name_steps(job, "blend" if job.share else "speech")
    start = time.perf_counter()
    speeches = job.speak(texts, on_step=on_step)
    wall_seconds = time.perf_counter() - start
    rtf = wall_seconds / sum(speech.seconds for speech in speeches)
    durations = [speech.durations.tolist() for speech in speeches]
    alone: list[list[Speech] | list[None]] = [[None] * len(texts), [None] * len(texts)]
    if job.plots and job.share is not None:
        for i, (style, name) in enumerate(((job.a, "A"), (job.b, "B"))):
            _name_steps(job, f"{name} alone")
            plain = replace(job.alone(style), sampling=comparison_sampling(job))
            alone[i] = plain.speak(texts, durations=durations, on_step=on_step)
    return [(speech, a, b, rtf) for speech, a, b in zip(speeches, *alone, strict=True)]


def comparison_sampling(job: Job) -> SamplingOptions:
    """How plain A and B are solved: as by default where the job's own takes more steps; only contours are wanted."""
    usual = job.pipeline.sampling_options()
    fewer = job.sampling.steps > usual.steps
    return replace(job.sampling, steps=usual.steps, solver=usual.solver) if fewer else job.sampling


def _name_steps(job: Job, name: str) -> None:
    job.pipeline.set_progress_bar_config(desc=name, unit="step", position=1, leave=False, disable=None)


def _write(job: Job, line: Sentence, take: Take) -> Outcome:
    try:
        report, files = write_outputs(job, line, take)
    except InputError as error:
        return failed(line, str(error))
    except (OSError, RuntimeError) as error:  # a full disk reaches us through soundfile as a RuntimeError
        if isinstance(error, RuntimeError) and "soundfile" not in type(error).__module__:
            raise
        return failed(line, f"cannot write to {job.out}: {getattr(error, 'strerror', None) or error}")
    chosen = {name: report[name] for name in ("seconds", "rtf", "f0", "realised_blend")}
    return line | chosen | {"files": {kind: str(path) for kind, path in files.items()}}


def failed(line: Sentence, problem: str) -> Outcome:
    """Say on stderr why a sentence failed; what a summary says of it."""
    problem = " ".join(problem.split())
    _tell(f"error: line {line['line']}: {problem}")
    return line | {"error": problem}


def _tell(message: str) -> None:
    tqdm.write(message, file=sys.stderr)


# -- files of a sentence --------------------------------------------------------------------------------------------


def _measures(job: Job, take: Take) -> dict[str, Any]:
    """F0 statistics, and how much of B's pitch was heard in each third of the utterance."""
    speech, a, b, _ = take
    blend = speech.contour
    parts = thirds(len(blend))
    f0: dict[str, Any] = {"a": None, "b": None, "blend": f0_statistics(blend)}
    medians = [f0_statistics(blend, part)["median_hz"] for part in parts]
    reason = SINGLE_STYLE if job.b is None else NOT_COMPARED
    realised: dict[str, Any] = {"whole": None, "thirds": None, "reason": reason}
    if a is not None and b is not None:
        f0 |= {"a": f0_statistics(a.contour), "b": f0_statistics(b.contour)}
        share = realised_f0_share(a.contour, b.contour, blend)
        found = [_realised(share[part]) for part in (slice(None), *parts)]
        realised = {"whole": found[0], "thirds": found[1:], "reason": None}
    if speech.shares is not None:
        asked = speech.shares.pitch[:LOW_BAND_BINS]
        realised["asked_thirds"] = [round(float(asked[:, part].mean()), 4) for part in parts]
    return {"f0": {**f0, "thirds_median_hz": medians}, "realised_blend": realised}


def _realised(share: np.ndarray) -> dict[str, Any]:
    """Mean share of some frames, or why there is none."""
    known = measured(share)
    count = len(known)
    if count >= FEWEST_FRAMES:
        return {"value": round(float(known.mean()), 4), "frames": count, "reason": None}
    what = f"voiced in A, B and the blend with A and B at least {SMALLEST_RANGE_CENTS:g} cents apart"
    return {"value": None, "frames": count, "reason": f"{count} frames are {what}; expected {FEWEST_FRAMES} or more"}


def _copy_report(job: Job, speech: Speech) -> dict[str, Any]:
    """How far F0 and energy that were realised are from those of a recording that was copied whole.

    Under the weight 1, its frames are not those of the speech, and nothing is said.
    """
    if job.prosody is None or job.prosody.contour is None or job.prosody_weight < 1:
        return {}
    pair = on_same_frames(job.prosody.contour, speech.contour)
    return {"copied_prosody": {**f0_errors(*pair), **energy_errors(*pair)}}


def _pitch_report(job: Job, speech: Speech) -> dict[str, Any]:
    """How far the pitch that was realised is from a contour in Hz that was asked for; nothing for shifts alone."""
    if job.pitch is None or job.pitch.curve is None or job.pitch.curve.unit != "hz":
        return {}
    realised, words = speech.contour, tuple((first, stop) for _, first, stop in speech.words)
    laid = lay_pitch(job.pitch, Layout(len(realised), speech.mel_config, words=words))
    assert laid.f0_hz is not None
    said = realised.voiced if laid.voiced is None else laid.voiced
    asked = Contour(laid.f0_hz.astype("float32"), said, realised.energy_db, realised.frame_rate_hz)
    return {"asked_pitch": f0_errors(asked, realised)}


def write_outputs(job: Job, line: Sentence, take: Take) -> tuple[dict[str, Any], dict[str, Path]]:
    """Measure a sentence and write its files; each appears whole or not at all, the wav first and the json last.

    Args:
        job: The job.
        line: The sentence; its place names the files.
        take: Its rendering.

    Returns:
        Content of the json (text, phonemes with times, settings, seed, F0 statistics, realised blend, seconds, RTF,
        device), and the path of each kind of file.
    """
    speech, _, _, rtf = take
    stem = job.stem_of(line)
    files = {"wav": stem.with_suffix(".wav")}
    write_wav(files["wav"], torch.from_numpy(speech.audio), speech.mel_config.sample_rate_hz)
    settings = {**speech.settings, **job.settings, "batch_size": job.batch_size}
    report = {  # after the wav, which can be heard while the rest is measured
        **speech.to_dict(),
        "line": line["line"],
        "settings": settings,
        "seed": settings["seed"],
        **_measures(job, take),
        **_pitch_report(job, speech),
        **_copy_report(job, speech),
        "rtf": round(rtf, 4),
        "device": str(job.pipeline.device),
    }
    if job.write_pitch is not None:
        files["pitch"] = stem.with_suffix(f".{job.write_pitch}")
        write_pitch(files["pitch"], curve_of_contour(speech.contour))
    if speech.attention is not None:
        files["attention"] = stem.with_name(f"{stem.name}_attention.npz")
        _write_attention(files["attention"], speech)
    if job.plots:
        files |= _draw(take, stem)
    files["json"] = stem.with_suffix(".json")
    write_json(files["json"], report)
    return report, files


def _draw(take: Take, stem: Path) -> dict[str, Path]:
    """Draw what is known of a sentence; the path of each picture by its kind."""
    # Here, since a job without plots need not wait for matplotlib.
    from gradtts_interp.plots.attention import plot_layers, plot_phonemes, plot_tuning
    from gradtts_interp.plots.speech import plot_speech

    speech, a, b, _ = take
    files = {"png": stem.with_suffix(".png")}
    plot_speech(speech, files["png"], a=a, b=b)
    if speech.attention_maps is not None:
        for kind, draw in {"phonemes": plot_phonemes, "layers": plot_layers}.items():
            files[f"attention_{kind}"] = stem.with_name(f"{stem.name}_attention_{kind}.png")
            draw(speech.attention_maps, files[f"attention_{kind}"])
    if speech.tuning is not None and speech.tuning.steps:
        files["noise"] = stem.with_name(f"{stem.name}_noise.png")
        plot_tuning(speech.tuning, files["noise"])
    return files


def _write_attention(path: Path, speech: Speech) -> None:
    """Write ``<site>.mass`` (n, M', T') and ``<site>.cell`` of each site, the frame rate in Hz, and the maps.

    Those of the maps are named in :meth:`~gradtts_interp.interpolation.attention.AttentionMaps.arrays`.
    """
    assert speech.attention is not None
    arrays = {f"{site}.{name}": value for site, found in speech.attention.items() for name, value in found.items()}
    if speech.attention_maps is not None:
        arrays |= speech.attention_maps.arrays()
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, frame_rate_hz=np.float64(speech.mel_config.frame_rate_hz), **arrays)
