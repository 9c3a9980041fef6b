"""``evaluate responses``: from listeners' answers to a psychometric function."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gradtts_interp.cli.flags import aligned
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.contours import correlation
from gradtts_interp.evaluation.psychometric import Answers, Psychometric, fit_psychometric, is_rating, read_answers
from gradtts_interp.evaluation.tables import mean_with_interval
from gradtts_interp.files import write_json
from gradtts_interp.plots.drawing import BLUE, VERMILION, label_axes, new_figure, save_figure

EVERYONE = "all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("answers", nargs="+", metavar="ANSWERS.csv", help="with columns share and response")
    text = "what stands in response where B was answered (default: B, and 1)"
    parser.add_argument("--second", default="B", metavar="NAME", help=text)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the bootstrap (default: 0)")
    parser.add_argument(
        "--out", default="out/evaluate/responses", metavar="FOLDER", help="where to write (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Fit, print and draw; exit status 0, or 1 when a participant could not be fitted."""
    out = Path(args.out)
    answers = read_answers(args.answers, second=args.second)
    summary: dict[str, Any] = {"answers": len(answers), "shares": _by_share(answers), "failed": {}}
    if is_rating(answers):
        summary["correlation"] = correlation(answers.share, answers.response)
    else:
        fits = _fits(answers, args.seed, summary["failed"])
        summary["fits"] = {name: asdict(fit) for name, fit in fits.items()}
        _draw(answers, fits[EVERYONE], out / "responses.png")
    write_json(out / "responses.json", summary)
    if args.json:
        print(json.dumps(summary, indent=1, ensure_ascii=False))
    else:
        _print(summary)
        print(f"figures: {out / 'responses.json'}")
    return 1 if summary["failed"] else 0


def _by_share(answers: Answers) -> list[dict[str, Any]]:
    found = []
    for share in np.unique(answers.share):
        interval = mean_with_interval(answers.response[answers.share == share].tolist())
        found.append({"share": float(share), **interval})
    return found


def _fits(answers: Answers, seed: int, failed: dict[str, str]) -> dict[str, Psychometric]:
    """The fit of everyone and, of several participants, of each."""
    fits = {EVERYONE: fit_psychometric(answers, seed=seed)}
    names = np.unique(answers.participant).tolist()
    for name in names if len(names) > 1 else ():
        try:
            fits[name] = fit_psychometric(answers[answers.participant == name], seed=seed)
        except InputError as error:
            failed[name] = str(error)
    return fits


def _print(summary: dict[str, Any]) -> None:
    if "fits" not in summary:
        rows = [["share", "mean rating [95 % interval]", "answers"]]
        for row in summary["shares"]:
            interval = f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
            rows.append([f"{row['share']:.3f}", interval, str(row["n"])])
        print(aligned(rows))
        if summary["correlation"] is not None:
            print(f"correlation of rating and share: {summary['correlation']:.3f}")
        return
    rows = [["participant", "PSE [95 % interval]", "slope [95 % interval]", "JND", "lapse", "answers"]]
    for name, fit in summary["fits"].items():
        pse = "{pse:.3f} [{pse_low:.3f}, {pse_high:.3f}]".format(**fit)
        slope = "{slope:.2f} [{slope_low:.2f}, {slope_high:.2f}]".format(**fit)
        rows.append([name, pse, slope, f"{fit['jnd']:.3f}", f"{fit['lapse']:.3f}", str(fit["n"])])
    print(aligned(rows))
    for name, problem in summary["failed"].items():
        print(f"{name}  not fitted: {problem}")


def _draw(answers: Answers, fit: Psychometric, path: Path) -> None:
    """Answers of B at each share, and the function that was fitted to all."""
    figure = new_figure(6, 4)
    axes = figure.add_subplot()
    at = np.linspace(answers.share.min(), answers.share.max(), 400)
    axes.plot(at, fit.at(at), color=BLUE)
    for row in _by_share(answers):
        reach = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
        axes.errorbar(row["share"], row["mean"], yerr=reach, fmt="o", color=VERMILION, capsize=2)
    axes.axvspan(fit.pse_low, fit.pse_high, color=BLUE, alpha=0.15, linewidth=0)
    axes.axvline(fit.pse, color=BLUE, linewidth=0.8)
    found = f"Point of subjective equality {fit.pse:.3f}, slope {fit.slope:.2f}"
    label_axes(axes, found, "Share of B", "Answers of B")
    save_figure(figure, path)
