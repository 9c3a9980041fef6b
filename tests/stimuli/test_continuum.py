"""Continua of a speaker whose every share is known, and one of the shipped voice."""

import numpy as np
import pytest
from refusing import refused

from benchmarks import continua
from gradtts_interp.evaluation.run import Record
from gradtts_interp.stimuli.continuum import CONTINUA, make_continuum, shares_for_equal_steps

TEXT = "Go down."


@pytest.mark.parametrize("of", CONTINUA)
def test_what_moves_moves_and_the_rest_stays(of, toy):
    tts, a, b = toy
    found = make_continuum(tts, TEXT, a, b, steps=3, of=of, seed=7)
    assert [step.share for step in found.steps] == [0, 0.5, 1]
    ends = [found.steps[i].realised for i in (0, -1)]
    moves = {"pitch": ("f0",), "timbre": (), "energy": ("energy",), "rate": ("rate",)}.get(of, ("f0", "energy"))
    for name in ("f0", "energy", *(["rate"] if of == "rate" else [])):
        assert ends[0][name] == pytest.approx(0, abs=0.06)
        assert ends[1][name] == pytest.approx(float(name in moves), abs=0.12), name
    assert {options["seed"] for _, _, options in tts.calls} == {7}
    lengths = {step.speech.durations.sum() for step in found.steps}
    assert (len(lengths) == 1) == (of != "rate")
    given = {tuple(durations[0]) for _, durations, _ in tts.calls if durations is not None}
    assert len(given) == 1 and found.steps[1].realised["rate"] == pytest.approx(0.5, abs=0.1), "half-way"


@pytest.mark.parametrize("measure", ["f0", "envelope", "all"])
def test_equal_steps_are_equal(measure, toy):
    tts, a, b = toy
    plain = make_continuum(tts, TEXT, a, b, steps=6)
    rows = []
    equal = make_continuum(tts, TEXT, a, b, steps=6, equalise=measure, progress=lambda share, _: rows.append(share))
    realised = np.array([step.measure(measure) for step in equal.steps])
    distance = np.abs(realised - np.linspace(0, 1, 6)).max()
    assert distance < 0.03 and equal.error == pytest.approx(distance, abs=0.01)
    assert np.abs([s.measure(measure) - w for s, w in zip(plain.steps, np.linspace(0, 1, 6), strict=True)]).max() > 0.1
    assert len(rows) == len(set(rows)), "a share is rendered twice"
    if measure == "f0":  # the toy's curve is w², so its inverse is the root
        np.testing.assert_allclose([s.share for s in equal.steps], np.sqrt(np.linspace(0, 1, 6)), atol=0.03)


def test_wrong_settings_and_styles_that_are_alike(toy):
    tts, a, _ = toy
    refused(
        lambda options: make_continuum(tts, TEXT, a, a, **{"steps": 3, **options}),
        ({"of": "colour"}, "continuum of 'colour'; expected one of all, pitch"),
        ({"equalise": "rate"}, "equal steps of 'rate'; expected one of f0, envelope, all"),
        ({"steps": 1}, "continuum of 1 steps"),
        ({"equalise": "f0"}, "equal steps of f0: a step cannot be measured"),
        ({"of": "energy"}, "nowhere 1 dB apart"),
    )
    realised = make_continuum(tts, TEXT, a, a, steps=2).steps[1].realised
    assert realised == dict.fromkeys(("f0", "envelope", "energy", "rate"))


@pytest.mark.slow
def test_the_shipped_voice(tts):
    a, b = tts.style(speaker=12), tts.style(speaker=10)
    text = "The old teacher drew a circle."
    found = make_continuum(tts, text, a, b, steps=5, equalise="all", solver="unipc", num_inference_steps=10)
    assert found.error < 0.03
    assert all(step.speech.durations.tolist() == found.steps[0].speech.durations.tolist() for step in found.steps)
    assert all(np.array_equal(step.speech.noise, found.steps[0].speech.noise) for step in found.steps)


def test_the_table_of_the_benchmark():
    rows = [
        {"of": of, "equalise": measure, "errors": [0.0, error, -0.01, 0.0]}
        for of, measure in continua.KINDS
        for error in (0.02, 0.04)
    ]
    lines = continua.table([Record("continua/0", rows, 1.0)]).splitlines()
    assert lines[2] == "| all | f0 | 2 | 1 | 0.040 | 0.037 |" and len(lines) == 2 + len(continua.KINDS)


# -- equal steps ------------------------------------------------------------------------------------------------------

EVEN = np.linspace(0, 1, 11)


@pytest.mark.parametrize("curve", [lambda w: w, np.square, np.sqrt, lambda w: 0.1 + 0.7 * np.sin(w * np.pi / 2)])
def test_a_known_curve_is_inverted(curve):
    found = shares_for_equal_steps(EVEN, curve(EVEN), 11)
    assert found[0] == 0 and found[-1] == 1 and (np.diff(found) > 0).all()
    realised = curve(found)
    assert np.abs(realised - np.linspace(realised[0], realised[-1], 11)).max() < 0.02


def test_a_curve_that_falls_for_a_moment_still_rises_and_one_that_falls_is_named():
    realised = np.array([0, 0.1, 0.3, 0.25, 0.5, 0.9, 1.0])
    found = shares_for_equal_steps(np.linspace(0, 1, 7), realised, 5)
    assert (np.diff(found) > 0).all() and found[2] == pytest.approx(0.667, abs=0.02)
    refused(
        shares_for_equal_steps,
        ([0, 0.5, 1], [1, 0.5, 0], 3, r"does not rise from A to B \(1.000 to 0.000\)"),
        ([0, 1], [0, 1], 1, "1 steps of 2 points; expected at least 2 of both"),
        ([0, 1], [0, np.nan], 3, "not finite"),
    )
