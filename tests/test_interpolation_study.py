"""The interpolation study: measures of known blends, tables and figures of rows, and each part on a tiny model."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY, tiny_pipeline, tiny_style

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

import study  # noqa: E402  (of docs/_ext)

from benchmarks.interpolation import tasks  # noqa: E402
from benchmarks.interpolation.figures import FIGURES  # noqa: E402
from benchmarks.interpolation.report import TABLES, aims, page, table_of  # noqa: E402
from benchmarks.interpolation.tasks import DEFAULTS, STATIC, StudyContext, localisation, swap  # noqa: E402
from benchmarks.interpolation.watch import watching  # noqa: E402
from gradtts_interp.evaluation.grid import FREQUENCY, MIX, TIME, Pair  # noqa: E402
from gradtts_interp.evaluation.rendering import Renderer  # noqa: E402
from gradtts_interp.evaluation.signal import Listener  # noqa: E402
from gradtts_interp.interpolation import shares  # noqa: E402
from gradtts_interp.interpolation.noise import NoiseTuning, NoiseWindow  # noqa: E402
from gradtts_interp.job import Job, StyleChoice  # noqa: E402
from gradtts_interp.sampling import SamplingOptions  # noqa: E402

A, B = tiny_style(1, f0_hz=110.0), tiny_style(2, frames=41, f0_hz=220.0)
QUICK = {"num_inference_steps": 5, "solver": "unipc", "seed": 3}
WINDOWS = NoiseTuning(windows=(NoiseWindow(0.8, 1.0, region="pitch", steps=2),))


@pytest.fixture(scope="module")
def pipeline():
    pipeline = tiny_pipeline(replace(TINY, prediction="v"))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def rows_of_results():
    """Two pairs of each table: attention alone misses, the default meets its aims."""
    rows = []
    for item in ("0", "1"):
        for condition, near in ((DEFAULTS, 10.0), ("attention", 300.0), ("attention + noise", 250.0)):
            head = {"item": item, "condition": condition, "kind": "condition", "evaluations": 10, "seconds": 1.0}
            values = {f"{name}_share": 0.4 for name in ("f0", "energy", "envelope")}
            for weight in (0.0, 0.5, 1.0):
                ends = {} if weight == 0.5 else {"endpoint": 0.0}
                rows.append({**head, **values, **ends, "table": MIX, "weight": weight, "f0_share": weight})
            course = {f"{name} course": [0.5] * 9 + [None] for name in ("f0", "energy", "envelope")}
            rows.append({**head, **values, **course, "table": TIME, "asked course": [0.5] * 10, "lag_ms": 20.0})
            row = {**head, **values, "table": FREQUENCY, "F0 to A": near, "F0 to B": 400.0, "F0 range": 410.0}
            row |= {"envelope to A": 4.0, "envelope to B": None, "envelope nearer to B": 1.0}
            if "noise" in condition:
                row |= {"mass gain": 1.5, "mass gain while tuning": 2.5, "loss fell": 1.0, "move": 0.2, "slower": 2.0}
                row |= {"mass by time": [[1.0, 0.1], [0.5, 0.1]], "mass by time, tuned": [[1.0, 0.2], [0.5, 0.1]]}
            rows.append(row)
    return rows


@pytest.fixture
def results():
    settings = {"weights": "abc", "corpus": "def", "solver": "unipc", "steps": 10}
    about = {"date": "today", "commit": "1234567", "machine": "x86_64, 1 thread", "seconds": 3.0, "failed": []}
    return {"settings": settings, **about, "rows": rows_of_results()}


def test_localisation_of_known_blends():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 8, 20))
    wanted = np.clip(np.linspace(-0.5, 1.5, 20), 0, 1)
    assert localisation(a, b, (1 - wanted) * a + wanted * b, wanted) == pytest.approx(1)
    assert localisation(a, b, (a + b) / 2, wanted) == pytest.approx(0.5)
    assert localisation(a, b, wanted * a + (1 - wanted) * b, wanted) == pytest.approx(0)


def test_aims_say_what_is_reached(results):
    found = {claim: (value, reached, pairs) for claim, value, reached, pairs in aims(results)}
    assert found["A's pitch, B's voice: times nearer to A in F0, at least 3"] == (40.0, True, 2)
    assert found["the same by attention alone"][1] is False
    assert found["attention + noise: mass in the windows at least doubles"] == (2.5, True, 2)
    assert found["attention + noise: mass over the whole run at least doubles"] == (1.5, False, 2)
    assert not any("WORLD" in claim for claim in found)  # what was not measured is not claimed


def test_the_page_has_each_table_and_a_sweep_is_judged_over_its_weights(results):
    text = page(results)
    assert all(definition.title in text for definition in TABLES)
    sweep = table_of(results, TABLES[1]).splitlines()
    assert "| default | 2 | 0 | " in sweep[2]  # F0 share equals the weight, the others' do not


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_figures_are_drawn_of_rows_alone(results, name):
    figure = FIGURES[name](results)
    assert any(axes.lines for axes in figure.axes)


def test_pages_read_numbers_from_the_results(results, monkeypatch):
    monkeypatch.setattr(study, "results", lambda: results)
    assert study.number_of("frequency | default | F0 to A") == "10.0"
    assert study.number_of("meta | solver") == "unipc"
    assert study.number_of("frequency | WORLD swap | F0 to A") == study.NOT_YET
    monkeypatch.setattr(study, "results", lambda: None)
    assert study.number_of("frequency | default | F0 to A") == study.NOT_YET


def test_watching_counts_evaluations_and_sees_the_sampler_alone(pipeline):
    def speak(tuning=None):
        with watching(pipeline, (A, B)) as watch:
            pipeline("Go.", A, B, share=shares.pitch(), mechanisms=("attention",), noise_tuning=tuning, **QUICK)
        return watch

    plain, tuned = speak(), speak(WINDOWS)
    assert plain.evaluations == len(plain.mass) == len(tuned.mass)
    assert plain.gradients == 0 and tuned.gradients == 2 and tuned.evaluations == plain.evaluations + 3
    assert 0 < plain.pitch_mass() < 1 and plain.mass[0][0] == 1.0
    assert tuned.pitch_mass(0.8) > plain.pitch_mass(0.8)
    assert set(plain.by_site()) == set(pipeline.model.attention_sites)


def test_a_part_measures_each_condition(pipeline, monkeypatch, tmp_path):
    conditions = (DEFAULTS, "attention", "attention + noise", STATIC)
    monkeypatch.setattr(tasks, "SWAPS", conditions)
    monkeypatch.setattr(tasks, "RAMPS", conditions)
    monkeypatch.setattr(tasks, "MIXES", conditions[:1])
    pair = Pair(0, StyleChoice(recording="a.wav"), StyleChoice(recording="b.wav"), "Go on.")
    context = object.__new__(StudyContext)
    context.context = type("QualityContext", (), {"tts": pipeline, "mel": pipeline.model.settings.mel})()
    job = Job(
        pipeline, None, sampling=SamplingOptions(QUICK["num_inference_steps"], QUICK["solver"]), seed=QUICK["seed"]
    )
    context.renderer = Renderer(job, Listener(pipeline.model.settings.mel), tmp_path)
    context.renderer._styles = {pair.a: A, pair.b: B}
    monkeypatch.setattr(StudyContext, "pair", lambda self, index: pair)
    with torch.no_grad():
        rows = swap(context, 0)
        assert [row["condition"] for row in rows] == list(conditions)
        assert rows[2]["loss fell"] == 1 and rows[2]["move"] > 0 and rows[2]["gradients"] > 0
        assert rows[2]["mass gain while tuning"] > 1
        assert [row["condition"] for row in tasks.ramp(context, 0)] == list(conditions)
        sweep = tasks.mix(context, 0)
    ends = [row["endpoint"] for row in sweep if "endpoint" in row]
    assert len(ends) == 2 and max(ends) <= 1e-5
