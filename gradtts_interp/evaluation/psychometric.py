"""From answers of listeners to figures: the psychometric function, its point of subjective equality and slope."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.tables import read_csv

LARGEST_LAPSE = 0.05
STEEPEST = 100.0
"""Steepest function that is searched, as the rate of the logistic times the range of shares."""
RESAMPLES = 400
FEWEST_LEVELS = 3
SECOND = {"b": 1.0, "1": 1.0, "a": 0.0, "0": 0.0}


Answers = np.recarray
ANSWER = np.dtype([("share", np.float64), ("response", np.float64), ("participant", object)])
"""A record of :data:`Answers`: the share of B of what was heard; 1 where B was answered, 0 where A, or the rating; and
who answered."""
Fit = dict[str, Any]
"""A psychometric function ``lapse + (1 - 2 lapse) / (1 + exp(-rate (share - pse)))``, with 95 % intervals: ``pse``, the
point of subjective equality, the share of B at which A and B are answered alike, and its interval from ``pse_low`` to
``pse_high``; the ``slope`` there, the probability of answering B per unit of share, from ``slope_low`` to
``slope_high``; ``jnd``, half of the way from 25 % to 75 % of B, lapses aside; the ``rate`` of the logistic; the
``lapse``, answers that have nothing to do with what was heard, of A and of B alike; ``n``, the number of answers."""


def read_answers(paths: Sequence[str | Path], *, second: str = "B") -> Answers:
    """Read answers as the jsPsych experiments save them, or any CSV with the same columns.

    Args:
        paths: Files with columns ``share`` and ``response`` (A or B, 0 or 1, or a rating), and optionally
            ``participant``; the file's name stands for it where there is none.
        second: What stands in ``response`` where B was answered, beside B and 1.

    Returns:
        All answers.

    Raises:
        InputError: A file cannot be read, lacks a column, or a value is no share or no answer; the message names the
            line.
    """
    found = []
    for path in map(Path, paths):
        for number, row in read_csv(path, expected="answers as CSV"):
            if not {"share", "response"} <= row.keys():
                raise InputError(f"{path} has columns {list(row)}; expected share and response")
            where = f"{path}, line {number}"
            share, response = _number(row["share"], f"{where}: share"), _response(row["response"], second, where)
            found.append((share, response, row.get("participant") or path.stem))
    if not found:
        raise InputError(f"no answer in {', '.join(map(str, paths))}; expected one a row")
    return np.rec.fromrecords(found, dtype=ANSWER)


def is_rating(answers: Answers) -> bool:
    """Whether answers are ratings instead of one of two."""
    return not bool(np.isin(answers.response, (0.0, 1.0)).all())


def _number(text: str | None, what: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"{what} {text!r} is no number")
    return value


def _response(text: str | None, second: str, where: str) -> float:
    written = (text or "").strip()
    if written == second:
        return 1.0
    return SECOND[written.lower()] if written.lower() in SECOND else _number(text, f"{where}: response")


def fit_psychometric(answers: Answers, *, seed: int = 0, resamples: int = RESAMPLES) -> Fit:
    """Fit a logistic function with lapses by maximum likelihood.

    Intervals are of the bootstrap: participants are drawn anew where there are several, since their answers are not
    independent, and answers from the fitted function where there is one.

    Args:
        answers: Answers of one of two.
        seed: Of the bootstrap.
        resamples: Number of its samples.

    Returns:
        The function.

    Raises:
        InputError: The answers are ratings, are of fewer than 3 shares, or are all the same.

    Source: Wichmann & Hill 2001 a, b (lapses, bootstrap).
    """
    if is_rating(answers):
        strange = answers.response[~np.isin(answers.response, (0.0, 1.0))][0]
        raise InputError(f"response {strange:g}: expected A or B, 0 or 1; ratings have no psychometric function")
    levels, index = np.unique(answers.share, return_inverse=True)
    if len(levels) < FEWEST_LEVELS:
        raise InputError(f"answers at {len(levels)} shares; expected at least {FEWEST_LEVELS}")
    if np.ptp(answers.response) == 0:
        raise InputError(f"all {len(answers)} answers are the same; expected some of A and some of B")
    names, who = np.unique(answers.participant, return_inverse=True)
    each, of_b = np.zeros((2, len(names), len(levels)))
    np.add.at(each, (who, index), 1)
    np.add.at(of_b, (who, index), answers.response)
    counts = np.stack([each, of_b], axis=1)  # (participants, 2, levels)
    total, second = counts.sum(0)
    pse, rate, lapse = _fit(levels, total, second)
    random = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        if len(names) > 1:
            drawn_total, drawn = counts[random.integers(0, len(names), len(names))].sum(0)
        else:
            drawn_total = total
            drawn = random.binomial(total.astype(int), probability(levels, pse, rate, lapse)).astype(np.float64)
        if 0 < drawn.sum() < drawn_total.sum():
            found.append(_fit(levels, drawn_total, drawn, (pse, rate, lapse)))
    ends = np.percentile([(p, _slope(r, lam)) for p, r, lam in found], (2.5, 97.5), axis=0).T.tolist()
    fit: Fit = {}
    for name, value, (low, high) in zip(("pse", "slope"), (pse, _slope(rate, lapse)), ends, strict=True):
        fit |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return fit | {"jnd": float(np.log(3) / abs(rate)), "rate": rate, "lapse": lapse, "n": len(answers)}


def probability(share: ArrayLike, pse: float, rate: float, lapse: float) -> NDArray[np.float64]:
    """Probability of answering B at shares (n,), by the parameters of a :data:`Fit`."""
    return lapse + (1 - 2 * lapse) * expit(rate * (np.asarray(share, dtype=np.float64) - pse))


def _slope(rate: float, lapse: float) -> float:
    return (1 - 2 * lapse) * rate / 4


def _fit(
    levels: NDArray[np.float64],
    total: NDArray[np.float64],
    second: NDArray[np.float64],
    start: tuple[float, float, float] | None = None,
) -> tuple[float, float, float]:
    """Maximum-likelihood point of subjective equality, rate and lapse; the steepest rate where answers are perfect."""
    low, width = levels[0], levels[-1] - levels[0]
    at = (levels - low) / width

    def loss(values: NDArray[np.float64]) -> float:
        p = np.clip(probability(at, *values), 1e-9, 1 - 1e-9)
        return -float((second * np.log(p) + (total - second) * np.log1p(-p)).sum())

    known = total > 0
    rising = np.cov(at[known], (second / np.maximum(total, 1))[known], aweights=total[known])[0, 1] >= 0
    sign = 1.0 if rising else -1.0
    bounds = [(-1.0, 2.0), (0.0, STEEPEST) if rising else (-STEEPEST, 0.0), (0.0, LARGEST_LAPSE)]
    middle = float(np.clip(0.5 + sign * (0.5 - second.sum() / total.sum()), 0.05, 0.95))
    starts = [(middle, sign * rate, 0.01) for rate in (4.0, 15.0, 60.0)]
    if start is not None:
        starts = [((start[0] - low) / width, sign * abs(start[1]) * width, start[2])]
    fits = [minimize(loss, values, method="L-BFGS-B", bounds=bounds) for values in starts]
    pse, rate, lapse = min(fits, key=lambda fit: fit.fun).x
    return float(low + pse * width), float(rate / width), float(lapse)
