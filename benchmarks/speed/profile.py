"""Part (h): where the time of one evaluation goes, and how near it is to what the machine multiplies."""

from __future__ import annotations

from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.measure import timed
from benchmarks.speed.setup import MIDDLE, SpeedSetup
from gradtts_interp.models.precision import bf16_is_fast

SIZE = 2048
TOP = 12
RATE = "GFLOP/s"


def _matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """GFLOP/s of one large matrix product."""
    a, b = (torch.randn(SIZE, SIZE, device=device, dtype=dtype) for _ in range(2))
    return 2 * SIZE**3 / timed(lambda: a @ b, runs=5, warm_up=2).best / 1e9


def evaluation(setup: SpeedSetup) -> list[dict[str, Any]]:
    """One evaluation of the score with two styles: rate against a 2048 x 2048 product, and its operators' own time."""
    device, rows = setup.tts.device, []
    prepared = setup.prepare([MIDDLE])
    for arithmetic, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        if arithmetic == "bf16" and not bf16_is_fast(device):
            continue
        setup.tts.accelerate(arithmetic)
        evaluate, _ = setup.step(prepared, ("prior", "prosody", "attention"))
        with FlopCounterMode(display=False) as counter:
            evaluate()
        timing = timed(evaluate, runs=2 if setup.quick else 10, warm_up=2)
        rate, peak = counter.get_total_flops() / timing.median / 1e9, _matmul_rate(device, dtype)
        whole = {"arithmetic": arithmetic, "ms": round(1e3 * timing.median, 1), RATE: round(rate, 1)}
        rows.append({"operator": "all", **whole, "share of the product's rate, %": round(100 * rate / peak, 1)})
        rows += [{"operator": name, "arithmetic": arithmetic, **row} for name, row in _operators(evaluate, device)]
    setup.tts.accelerate("fp32")
    return rows


def _operators(evaluate: Any, device: torch.device) -> list[tuple[str, dict[str, Any]]]:
    """Calls, own milliseconds and share of the costliest operators of one evaluation, by torch.profiler."""
    where = "device" if device.type == "cuda" else "cpu"
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (where == "device")
    with profile(activities=kinds) as found:
        evaluate()
    own = {event.key: (getattr(event, f"self_{where}_time_total"), event.count) for event in found.key_averages()}
    total = sum(time for time, _ in own.values())
    ranked = sorted(own.items(), key=lambda item: -item[1][0])[:TOP]
    return [
        (name, {"ms": round(time / 1e3, 1), "calls": count, "share of the time, %": round(100 * time / total, 1)})
        for name, (time, count) in ranked
    ]
