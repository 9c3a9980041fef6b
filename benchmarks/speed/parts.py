"""Parts (b), (e), (g): cost of a step, vocoder, whole sentences."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.speed.measure import peak_mib, timed
from benchmarks.speed.setup import MIDDLE, SpeedSetup
from gradtts_interp.models.precision import bf16_is_fast
from gradtts_interp.sampling import CONVERGED_STEPS, DEFAULT_SOLVER
from gradtts_interp.vocoder import GriffinLimVocoder

Rows = list[dict[str, Any]]


def steps(setup: SpeedSetup) -> Rows:
    """Seconds of one score evaluation with 0, 1, 2 styles, by mechanism; baseline: score mix, eager fp32."""
    prepared = setup.prepare([MIDDLE])
    cases: list[tuple[str, tuple[str, ...], int, float]] = [
        ("no style", (), 0, 0.0),
        ("one style", (), 1, 0.0),
        ("one style, guidance", (), 1, 1.0),
        ("two: score mix (baseline)", ("score",), 2, 0.0),
        ("two: prior", ("prior",), 2, 0.0),
        ("two: attention", ("attention",), 2, 0.0),
        ("two: prior, prosody, attention (default)", ("prior", "prosody", "attention"), 2, 0.0),
    ]
    rows: Rows = []
    for name, mechanisms, styles, guidance in cases:
        row: dict[str, Any] = {"case": name}
        for precision in ("fp32", "bf16"):
            if precision == "bf16" and not bf16_is_fast(setup.tts.device):
                continue
            setup.tts.accelerate(precision)
            evaluate, frames = setup.step(prepared, mechanisms, styles=styles, guidance=guidance)
            timing = timed(evaluate, runs=2 if setup.quick else 10, warm_up=2)
            row |= {"frames": frames, f"{precision}, ms": round(1e3 * timing.median, 1)}
        rows.append(row)
    setup.tts.accelerate("fp32")
    baseline = next(row for row in rows if "baseline" in row["case"])["fp32, ms"]
    for row in rows:
        row["fp32 / baseline"] = round(row["fp32, ms"] / baseline, 2)
    return rows


def vocoder(setup: SpeedSetup) -> Rows:
    """Seconds to decode a mel: the whole at once in fp32 (baseline), bf16, without phase refinement, Griffin-Lim."""
    mel = setup.mel(MIDDLE, num_inference_steps=CONVERGED_STEPS, solver=DEFAULT_SOLVER).to(setup.tts.device)
    contract, network = setup.tts.model.settings.mel, setup.tts.vocoder
    rounds = network.refinement_rounds
    seconds = mel.shape[1] / contract.frame_rate_hz
    rows: Rows = []

    def add(name: str, work) -> None:
        with torch.no_grad():
            timing, memory = timed(work, runs=1 if setup.quick else 5), peak_mib(work)
        rows.append(
            {
                "decoder": name,
                "seconds of audio": round(seconds, 2),
                "seconds": round(timing.median, 3),
                "times real time": round(seconds / timing.median, 1),
                "peak MiB": None if memory is None else round(memory),
            }
        )

    add(f"HiFi-GAN fp32, {rounds} rounds of refinement (baseline)", lambda: network(mel, contract))
    network.refinement_rounds = 0
    add("HiFi-GAN fp32, no refinement", lambda: network(mel, contract))
    network.precision = "bf16"
    if bf16_is_fast(setup.tts.device):
        add("HiFi-GAN bf16, no refinement", lambda: network(mel, contract))
        network.refinement_rounds = rounds
        add(f"HiFi-GAN bf16, {rounds} rounds of refinement", lambda: network(mel, contract))
    network.precision, network.refinement_rounds = "fp32", rounds
    griffin_lim = GriffinLimVocoder(contract).to(setup.tts.device)
    add("Griffin-Lim, 60 rounds", lambda: griffin_lim(mel, contract))
    return rows


def sentences(setup: SpeedSetup) -> Rows:
    """Text to waveform: latency of one sentence, throughput of several; baseline eager fp32, Euler 100, one by one."""
    rows: Rows = []
    cases = [("fp32, Euler 100, one by one (baseline)", "fp32", 100, "euler", 1)]
    for precision in ("fp32", "bf16") if bf16_is_fast(setup.tts.device) else ("fp32",):
        for batch in (1, 2) if setup.quick else (1, 2, 4, 8):
            name = f"{precision}, {DEFAULT_SOLVER} {CONVERGED_STEPS}"
            cases.append((name, precision, CONVERGED_STEPS, DEFAULT_SOLVER, batch))
    for name, precision, n, solver, batch in cases:
        setup.tts.accelerate(precision)
        texts, spoken = [MIDDLE] * batch, []
        seconds = timed(
            lambda t=texts, n=n, s=solver, out=spoken: out.append(setup.speak(t, num_inference_steps=n, solver=s)),
            runs=1 if setup.quick or n == 100 or batch > 2 else 3,
            warm_up=int(batch == 1 and n < 100),
        ).median
        audio = sum(speech.seconds for speech in spoken[-1])
        rows.append(
            {
                "setting": name,
                "batch": batch,
                "latency, s": round(seconds, 2),
                "seconds of audio": round(audio, 2),
                "audio seconds per second": round(audio / seconds, 2),
                "over the baseline": round(
                    audio / seconds / (rows[0]["audio seconds per second"] if rows else audio / seconds), 1
                ),
            }
        )
    setup.tts.accelerate("fp32")
    return rows
