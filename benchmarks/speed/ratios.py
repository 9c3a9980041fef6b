"""The ratios that were asked for, read off the tables: met or not, and what limits them."""

from __future__ import annotations

from typing import Any

from benchmarks.speed.solvers import ERROR, EULER_100, MIX_100, SECONDS, Case
from gradtts_interp.sampling import CONVERGED_STEPS, DEFAULT_SOLVER

Row = dict[str, Any]
FASTER, WITHIN_PERCENT, TUNING = 12.0, 1.0, 3.0
UNMEASURED = "no GPU was at hand; run `make benchmark` on one"


def ratios(known: dict[str, Any]) -> list[Row]:
    """What was asked for and what the parts say of it.

    Args:
        known: Results by part.

    Returns:
        A row for each ratio; those whose part was not run are left out.
    """
    rows: list[Row] = []
    if "a" in known:
        rows += _of_solvers(known["a"]["rows"], known.get("h", {}).get("rows", []))
    if "d" in known:
        ratio = next(row for row in known["d"]["rows"] if row["target"] == "defaults")["of plain synthesis"]
        rows.append(_row("(d) noise tuning at defaults, of plain synthesis", f"<= {TUNING:g}", ratio, ratio <= TUNING))
    gpu = "GPU" in known.get("h", {}).get("machine", "")
    whole = [
        row for row in known.get("h", {}).get("rows", []) if row["operator"] == "all" and row["arithmetic"] == "bf16"
    ]
    share = whole[0]["share of the product's rate, %"] if gpu and whole else None
    limit = "" if gpu else UNMEASURED
    rows.append(_row("(h) GPU: bf16 rate of the U-Net, % of a product's", ">= 40", share, share and share >= 40, limit))
    rows.append(_row("(g) H200: 5 s sentence, 10 steps, vocoder, ms", "<= 30", None, None, UNMEASURED))
    return rows


def _row(what: str, asked: str, measured: Any, met: Any, limit: str = "") -> Row:
    answer = "unmeasured" if measured is None else "met" if met else "not met"
    return {"ratio": what, "asked": asked, "measured": measured, "answer": answer, "what limits it": limit}


def _find(rows: list[Row], case: Case) -> Row | None:
    return next((row for row in rows if case.row().items() <= row.items()), None)


def _of_solvers(rows: list[Row], evaluation: list[Row]) -> list[Row]:
    """Time at the error of Euler-100 or less; and the error of the default."""
    euler, mix, default = (_find(rows, case) for case in (EULER_100, MIX_100, Case(DEFAULT_SOLVER, CONVERGED_STEPS)))
    assert euler and mix and default
    best: dict[str, Row] = {}
    for arithmetic in ("fp32", "bf16"):
        near = [
            row
            for row in rows
            if row["solver"] in ("dpm++", "unipc") and row["arithmetic"] == arithmetic and row[ERROR] <= euler[ERROR]
        ]
        if near:
            best[arithmetic] = min(near, key=lambda row: row[SECONDS])
    found = []
    if best:
        least = min(best.values(), key=lambda row: row[SECONDS])
        name = f"{least['solver']} {least['steps']}, {least['arithmetic']}"
        limit = _limit(least, euler, evaluation)
        for what, base in (("Euler 100 of the same blend", euler), ("Euler 100 of a score mix, the baseline", mix)):
            ratio = round(base[SECONDS] / least[SECONDS], 1)
            what = f"(a) {name}, at no more error: times faster than {what}"
            found.append(_row(what, f">= {FASTER:g}", ratio, ratio >= FASTER, "" if ratio >= FASTER else limit))
    else:
        found.append(_row("(a) a fast solver at the error of Euler 100", f">= {FASTER:g}", "none is as near", False))
    what = f"(a) error of the default, {DEFAULT_SOLVER} {CONVERGED_STEPS}, % of the A-B distance"
    found.append(_row(what, f"<= {WITHIN_PERCENT:g}", default[ERROR], default[ERROR] <= WITHIN_PERCENT))
    return found


def _limit(least: Row, euler: Row, evaluation: list[Row]) -> str:
    """What keeps the time at equal error where it is."""
    text = f"evaluations: {least['steps']} are needed where Euler has {euler['steps']}"
    whole = {row["arithmetic"]: row for row in evaluation if row["operator"] == "all"}
    if "bf16" in whole:
        text += f"; bf16 makes one {whole['fp32']['ms'] / whole['bf16']['ms']:.2g} times as fast"
    if whole:
        share = whole["fp32"]["share of the product's rate, %"]
        text += f"; in fp32 it runs at {share:.0f} % of the rate of one large product, see (h)"
    return text
