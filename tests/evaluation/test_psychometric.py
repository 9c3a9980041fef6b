"""Psychometric functions of simulated listeners whose point of subjective equality is known; ``evaluate responses``."""

import json
import re

import numpy as np
import pytest
from refusing import refused
from scipy.special import expit

from gradtts_interp.cli.main import main
from gradtts_interp.evaluation.psychometric import ANSWER, fit_psychometric, is_rating, probability, read_answers

LEVELS = np.linspace(0, 1, 11)


def answers(share, response, participant):
    return np.rec.fromarrays([share, response, participant], dtype=ANSWER)


def simulated(pse, rate, *, lapse=0.0, each=20, participants=1, spread=0.0, seed=0):
    random = np.random.default_rng(seed)
    own = pse + spread * random.standard_normal((participants, 1))
    share = np.tile(np.repeat(LEVELS, each), (participants, 1))
    p = lapse + (1 - 2 * lapse) * expit(rate * (share - own))
    names = np.broadcast_to([[f"p{i}"] for i in range(participants)], share.shape)
    return answers(share.ravel(), (random.random(share.shape) < p).ravel(), names.ravel())


@pytest.mark.parametrize(("pse", "rate", "lapse"), [(0.45, 12, 0.0), (0.3, 8, 0.02), (0.7, 25, 0.0), (0.55, -12, 0.0)])
def test_what_was_simulated_is_found(pse, rate, lapse):
    fit = fit_psychometric(simulated(pse, rate, lapse=lapse, each=400, seed=1), resamples=60)
    assert fit["pse"] == pytest.approx(pse, abs=0.02) and fit["rate"] == pytest.approx(rate, rel=0.12)
    assert fit["pse_low"] <= pse <= fit["pse_high"]
    assert fit["slope"] == pytest.approx((1 - 2 * fit["lapse"]) * fit["rate"] / 4)
    assert fit["slope_low"] < fit["slope"] < fit["slope_high"]
    assert fit["jnd"] == pytest.approx(np.log(3) / abs(fit["rate"])) and fit["n"] == 4400
    assert probability([fit["pse"]], fit["pse"], fit["rate"], fit["lapse"]) == pytest.approx([0.5])


@pytest.mark.slow
def test_the_interval_covers_the_truth_as_often_as_it_says():
    fits = [fit_psychometric(simulated(0.45, 12, each=10, seed=seed), resamples=60) for seed in range(40)]
    assert sum(fit["pse_low"] <= 0.45 <= fit["pse_high"] for fit in fits) >= 33  # 95 % of 40 is 38


def test_listeners_that_differ_make_the_interval_wide():
    alike = fit_psychometric(simulated(0.5, 15, participants=8), resamples=60)
    differ = fit_psychometric(simulated(0.5, 15, participants=8, spread=0.15), resamples=60)
    assert differ["pse_high"] - differ["pse_low"] > 2 * (alike["pse_high"] - alike["pse_low"])


def test_perfect_answers_have_a_finite_slope():
    share = np.repeat(LEVELS, 5)
    fit = fit_psychometric(answers(share, share > 0.55, np.full(len(share), "p")), resamples=20)
    assert 0.5 <= fit["pse"] <= 0.6 and np.isfinite(fit["slope"]) and fit["slope"] > 8


def test_what_has_no_function():
    refused(
        lambda share, response: fit_psychometric(answers(share, response, ["p"] * 3)),
        ([0, 0.5, 1], [1, 2, 7], "response 2: expected A or B"),
        ([0, 1, 1], [0, 1, 1], "answers at 2 shares; expected at least 3"),
        ([0, 0.5, 1], [1, 1, 1], "all 3 answers are the same"),
    )


def test_files_of_two_participants(tmp_path):
    (tmp_path / "a.csv").write_text('participant,share,response\n"p1","0.5","B"\n"p1","0","A"\n')
    (tmp_path / "p2.csv").write_text("share,response\n1,1\n0,0\n0.25,high\n")
    found = read_answers([tmp_path / "a.csv", tmp_path / "p2.csv"], second="high")
    assert found.participant.tolist() == ["p1", "p1", "p2", "p2", "p2"]
    assert found.response.tolist() == [1, 0, 1, 0, 1] and found.share.tolist() == [0.5, 0, 1, 0, 0.25]
    assert not is_rating(found)


def test_errors_name_the_line(tmp_path):
    def read(content):
        (tmp_path / "a.csv").write_text(content)
        read_answers([tmp_path / "a.csv"])

    refused(
        read,
        ("a,b\n1,2\n", r"a.csv has columns \['a', 'b'\]; expected share and response"),
        ("share,response\nx,A\n", "a.csv, line 2: share 'x' is no number"),
        ("share,response\n1,maybe\n", "a.csv, line 2: response 'maybe' is no number"),
        ("share,response\n1\n", "a.csv, line 2: response None is no number"),
        ("share,response\n", "no answer in .*a.csv"),
        (f"share,response\n1,{200_000 * 'x'}\n", "a.csv cannot be read: field larger"),
    )


@pytest.fixture
def responses(tmp_path, capsys):
    """Run the verb on files of answers, given by name and content; exit status, what it printed, and its folder."""

    def run(*flags, **files):
        paths = [tmp_path / f"{name}.csv" for name in files]
        for path, content in zip(paths, files.values(), strict=True):
            path.write_text(content)
        argv = ["evaluate", "responses", *map(str, paths), "--out", str(tmp_path / "out"), *flags]
        return main(argv), "".join(capsys.readouterr()), tmp_path / "out"

    return run


def listener(pse, seed):
    """What a listener of some point of subjective equality answers, as a file."""
    found = simulated(pse, 12, seed=seed)
    return "share,response\n" + "".join(f"{a.share},{'AB'[int(a.response)]}\n" for a in found)


def test_two_participants_have_a_function_each_and_one_together(responses):
    status, out, folder = responses(p1=listener(0.4, 0), p2=listener(0.6, 1))
    assert status == 0 and re.search(r"^p1 +0\.4", out, re.MULTILINE)
    found = json.loads((folder / "responses.json").read_text())
    assert found["fits"]["all"]["pse"] == pytest.approx(0.5, abs=0.05) and found["answers"] == 440
    assert found["fits"]["p2"]["pse"] == pytest.approx(0.6, abs=0.05) and len(found["shares"]) == 11
    assert (folder / "responses.png").stat().st_size > 1000


def test_one_that_cannot_be_fitted_is_named_and_ratings_have_means(responses):
    status, out, _ = responses("--json", p1=listener(0.5, 0), p2="share,response\n0,A\n0.5,A\n1,A\n")
    assert status == 1 and "are the same" in json.loads(out)["failed"]["p2"]
    status, out, _ = responses(a="share,response\n0,1\n0,2\n0.5,4\n1,7\n")
    assert status == 0 and "mean rating" in out and "0.500  4.00" in out and "correlation" in out
    status, out, _ = responses("none.csv")
    assert status == 2 and "none.csv cannot be read" in out
