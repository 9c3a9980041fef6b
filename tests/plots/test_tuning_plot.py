"""Pictures of a noise tuning."""

from dataclasses import replace
from functools import partial

import pytest
from refusing import refused
from tiny import TINY, tiny_pipeline, tiny_style

from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.noise import NoiseTuning, TuningTrace
from gradtts_interp.plots.attention import plot_tuning


@pytest.fixture(scope="module")
def pair():
    pipeline = tiny_pipeline(replace(TINY, prediction="v"))
    options = {"share": shares.pitch(), "offer": "open", "seed": 0, "output_attention": True}
    options |= {"num_inference_steps": 5, "solver": "unipc"}
    styles = tiny_style(1), tiny_style(2, f0_hz=200.0)
    return [pipeline("Go.", *styles, noise_tuning=tuning, **options) for tuning in (None, NoiseTuning())]


def test_curves_and_maps(pair, tmp_path):
    plain, tuned = pair
    figure = plot_tuning(tuned.tuning, tmp_path / "tuning.png", before=plain.attention, after=tuned.attention)
    top, maps = figure.subfigs
    assert [a.get_ylabel() for a in top.axes] == ["loss", "as wished", "move / norm"]
    drawn = [y for line in top.axes[2].lines for y in line.get_ydata()]
    assert len(drawn) == len(tuned.tuning.steps) and sorted(drawn) == drawn
    titles = [a.get_title() for a in maps.axes if a.get_title()]
    assert len(titles) == 2 * len(plain.attention)
    assert f"before: mean {plain.attention['mid']['mass'][1].mean():.3f}" in " ".join(titles)
    assert (tmp_path / "tuning.png").stat().st_size > 10_000
    titles = [a.get_title() for a in plot_tuning(tuned.tuning).subfigs[1].axes if a.get_title()]
    assert len(titles) == 2 * sum(map(len, tuned.tuning.before.values())) and titles[0].startswith("window 0, ")


def test_what_cannot_be_drawn(pair):
    plain, tuned = pair
    refused(plot_tuning, (TuningTrace(()), "no step was made"))
    refused(partial(plot_tuning, before=plain.attention, after={}), (tuned.tuning, "expected the same sites"))
