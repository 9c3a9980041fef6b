"""Psychometric functions of simulated listeners whose point of subjective equality is known."""

import numpy as np
import pytest
from scipy.special import expit

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.psychometric import Answers, fit_psychometric, read_answers

LEVELS = np.linspace(0, 1, 11)


def simulated(pse, rate, *, lapse=0.0, each=20, participants=1, spread=0.0, seed=0) -> Answers:
    random = np.random.default_rng(seed)
    own = pse + spread * random.standard_normal((participants, 1))
    share = np.tile(np.repeat(LEVELS, each), (participants, 1))
    p = lapse + (1 - 2 * lapse) * expit(rate * (share - own))
    names = np.broadcast_to([[f"p{i}"] for i in range(participants)], share.shape)
    return Answers(share.ravel(), (random.random(share.shape) < p).astype(float).ravel(), names.ravel())


@pytest.mark.parametrize(("pse", "rate", "lapse"), [(0.45, 12, 0.0), (0.3, 8, 0.02), (0.7, 25, 0.0), (0.55, -12, 0.0)])
def test_what_was_simulated_is_found(pse, rate, lapse):
    fit = fit_psychometric(simulated(pse, rate, lapse=lapse, each=400, seed=1), resamples=60)
    assert fit.pse == pytest.approx(pse, abs=0.02) and fit.rate == pytest.approx(rate, rel=0.12)
    assert fit.pse_low <= pse <= fit.pse_high
    assert fit.slope == pytest.approx((1 - 2 * fit.lapse) * fit.rate / 4) and fit.slope_low < fit.slope < fit.slope_high
    assert fit.jnd == pytest.approx(np.log(3) / abs(fit.rate)) and fit.n == 4400
    assert fit.at([fit.pse]) == pytest.approx([0.5])


@pytest.mark.slow
def test_the_interval_covers_the_truth_as_often_as_it_says():
    fits = [fit_psychometric(simulated(0.45, 12, each=10, seed=seed), resamples=60) for seed in range(40)]
    assert sum(fit.pse_low <= 0.45 <= fit.pse_high for fit in fits) >= 33  # 95 % of 40 is 38


def test_listeners_that_differ_make_the_interval_wide():
    alike = fit_psychometric(simulated(0.5, 15, participants=8), resamples=60)
    differ = fit_psychometric(simulated(0.5, 15, participants=8, spread=0.15), resamples=60)
    assert differ.pse_high - differ.pse_low > 2 * (alike.pse_high - alike.pse_low)


def test_perfect_answers_have_a_finite_slope():
    share = np.repeat(LEVELS, 5)
    fit = fit_psychometric(Answers(share, (share > 0.55).astype(float), np.full(len(share), "p")), resamples=20)
    assert 0.5 <= fit.pse <= 0.6 and np.isfinite(fit.slope) and fit.slope > 8


def test_what_has_no_function():
    for share, response, message in (
        ([0, 0.5, 1], [1, 2, 7], "response 2: expected A or B"),
        ([0, 1, 1], [0, 1, 1], "answers at 2 shares; expected at least 3"),
        ([0, 0.5, 1], [1, 1, 1], "all 3 answers are the same"),
    ):
        with pytest.raises(InputError, match=message):
            fit_psychometric(Answers(np.array(share, float), np.array(response, float), np.array(["p"] * 3)))


def test_files_of_two_participants(tmp_path):
    (tmp_path / "a.csv").write_text('participant,share,response\n"p1","0.5","B"\n"p1","0","A"\n')
    (tmp_path / "p2.csv").write_text("share,response\n1,1\n0,0\n0.25,high\n")
    found = read_answers([tmp_path / "a.csv", tmp_path / "p2.csv"], second="high")
    assert found.participant.tolist() == ["p1", "p1", "p2", "p2", "p2"]
    assert found.response.tolist() == [1, 0, 1, 0, 1] and found.share.tolist() == [0.5, 0, 1, 0, 0.25]
    assert not found.is_rating and len(found.of("p2").share) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", r"has columns \['a', 'b'\]; expected share and response"),
        ("share,response\nx,A\n", "line 2: share 'x' is no number"),
        ("share,response\n1,maybe\n", "line 2: response 'maybe' is no number"),
        ("share,response\n1\n", "line 2: response None is no number"),
        ("share,response\n", "no answer in"),
        (f"share,response\n1,{200_000 * 'x'}\n", "cannot be read: field larger"),
    ],
)
def test_errors_name_the_line(content, message, tmp_path):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError, match=f"a.csv.*{message}|{message}.*a.csv"):
        read_answers([tmp_path / "a.csv"])
