"""Recorded attention: the mass of each style, and maps by phoneme, which add up, equal the mass, and fit in memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from refusing import refused
from tiny import TINY, TINY_STYLE, A, B
from tiny import tiny_pipeline as make_pipeline

from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.attention import MapOptions, StyleMassRecorder, mass_plane
from gradtts_interp.interpolation.conditioning import region_mask
from gradtts_interp.models.style_attention import StyleAttnProcessor
from gradtts_interp.plots.attention import plot_layers, plot_phonemes

TEXTS = ["A cat ran.", "Two small dogs were sleeping."]
DEMO = Path(__file__).parents[2] / "checkpts" / "demo"


def speak(tiny_pipeline, text=TEXTS[0], *, options=None, **others):
    settings = {"share": shares.words({1: 1.0}), "num_inference_steps": 3, "seed": 0, "mechanisms": ("attention",)}
    options = MapOptions(time_bins=4) if options is None else options
    return tiny_pipeline(text, A, B, output_attention=options, **(settings | others))


@pytest.fixture(scope="module")
def spoken(tiny_pipeline):
    return speak(tiny_pipeline)


# -- the mass of each style ------------------------------------------------------------------------------------------


def test_mass_sums_to_one_and_follows_the_share(tiny_pipeline):
    for speech in speak(tiny_pipeline, TEXTS, options=True, share=shares.step(0.5), num_inference_steps=2):
        frames = speech.mel.shape[1]
        assert set(speech.attention) == set(tiny_pipeline.model.attention_sites)
        for site in speech.attention.values():
            cell = int(site["cell"])
            assert site["mass"].shape == (2, 80 // cell, -(-frames // cell))
            np.testing.assert_allclose(site["mass"].sum(0), 1, atol=1e-5)
            assert site["mass"][1, :, 0].max() < 1e-5
        over_time = mass_plane(speech.attention, 1, frames).mean(0)
        assert over_time.shape == (frames,)
        assert over_time[: frames // 4].max() < 0.01 and over_time[-frames // 4 :].min() > 0.99


def test_mass_leaves_out_guidance_and_further_branches_and_styles_read_alone(tiny_pipeline):
    even = {"options": True, "share": shares.constant(0.25)}
    plain = speak(tiny_pipeline, TEXTS, **even)
    guided = speak(tiny_pipeline, TEXTS, mechanisms=("attention", "score"), guidance=1.0, **even)
    for one, other in zip(plain, guided, strict=True):
        assert one.attention["mid"]["mass"].shape == other.attention["mid"]["mass"].shape
        np.testing.assert_allclose(other.attention["mid"]["mass"].sum(0), 1, atol=1e-5)
    for options in (True, MapOptions()):
        apart = speak(tiny_pipeline, mechanisms=("score",), share=shares.constant(0.25), options=options)
        assert apart.attention is None and apart.attention_maps is None
        alone = tiny_pipeline(TEXTS[0], A, num_inference_steps=1, seed=0, output_attention=options)
        assert alone.attention is None if options is True else len(alone.attention_maps.references) == 1


def test_mass_lies_on_the_bins_and_frames_of_the_mel():
    mass = np.zeros((2, 20, 3))
    mass[1, :2] = 1.0
    plane = mass_plane({"mid": {"mass": mass, "cell": 4.0}}, 1, 10)
    assert plane.shape == (80, 10) and (plane[:8] == 1).all() and (plane[8:] == 0).all()


def test_processors_come_back_after_an_error(tiny_pipeline):
    processors = tiny_pipeline.model.attn_processors
    with pytest.raises(ZeroDivisionError), StyleMassRecorder(tiny_pipeline.model, styles=2, items=1):
        assert not set(tiny_pipeline.model.attn_processors.values()) & set(processors.values())
        _ = 1 / 0
    assert tiny_pipeline.model.attn_processors == processors


# -- maps ------------------------------------------------------------------------------------------------------------


def total(maps):
    """Attention of each site, interval, head and phoneme to everything."""
    return {
        site: sum(plane.astype(float).sum((-1, -2)) for plane in planes)
        + maps.vectors[site].astype(float).sum((-1, -2))
        for site, planes in maps.planes.items()
    }


def test_each_phoneme_gives_all_its_attention_to_tokens_and_vectors(tiny_pipeline, spoken):
    maps = spoken.attention_maps
    assert set(maps.planes) == set(tiny_pipeline.model.attention_sites)
    assert maps.evaluations.tolist() == [1, 0, 1, 1] and maps.time_edges.tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert len(maps.phonemes) == len(maps.spans) and maps.spans[-1][1] == spoken.mel.shape[1]
    for site, planes in maps.planes.items():
        for plane, style in zip(planes, (A, B), strict=True):
            rows, columns = 80 // TINY_STYLE.patch_bins, -(-style.mel.shape[1] // TINY_STYLE.patch_frames)
            assert plane.shape == (4, 1, len(maps.phonemes), rows, columns)
        np.testing.assert_allclose(total(maps)[site][[0, 2, 3]], 1, atol=5e-3)
        assert (total(maps)[site][1] == 0).all()  # no evaluation there


def test_phonemes_look_at_the_style_of_their_word(tiny_pipeline):
    durations = [[16] * len(tiny_pipeline.frontend(TEXTS[0]).ids)]
    speech = speak(tiny_pipeline, durations=durations, num_inference_steps=1)
    maps, (_, start, stop) = speech.attention_maps, speech.words[1]
    inside = [i for i, span in enumerate(maps.spans) if start < span[0] and span[1] < stop]
    before = [i for i, span in enumerate(maps.spans) if span[1] < start - 8]
    assert inside and before
    assert max(maps.of(0, phoneme=i).sum() for i in inside) < 1e-3
    assert max(maps.of(1, phoneme=i).sum() for i in before) < 1e-3


def test_recording_maps_changes_nothing_and_gives_the_same_mass(tiny_pipeline, spoken):
    plain, mass = speak(tiny_pipeline, options=False), speak(tiny_pipeline, options=True)
    assert plain.attention_maps is None and mass.attention_maps is None and plain.attention is None
    for recorded in (spoken, mass):
        np.testing.assert_allclose(recorded.mel, plain.mel, atol=1e-4)
    for site, found in mass.attention.items():
        np.testing.assert_allclose(spoken.attention[site]["mass"], found["mass"], atol=1e-4)
    assert all(type(p) is StyleAttnProcessor for p in tiny_pipeline.model.attn_processors.values())


def test_heads_can_be_kept_and_their_mean_is_the_map(tiny_pipeline, spoken):
    each = speak(tiny_pipeline, options=MapOptions(time_bins=4, each_head=True)).attention_maps
    for site, planes in each.planes.items():
        assert planes[0].shape[1] == TINY_STYLE.heads
        for kept, mean in zip(planes, spoken.attention_maps.planes[site], strict=True):
            np.testing.assert_allclose(kept.astype(float).mean(1, keepdims=True), mean, atol=1e-3)


@pytest.mark.parametrize("options", [{"guidance": 0.5}, {"mechanisms": ("attention", "score")}, {"solver": "dpm++"}])
def test_other_branches_and_solvers(options):
    # That answers v, as checkpts/demo does: the noise of an untrained model sends three steps of a solver to infinity.
    maps = speak(make_pipeline(replace(TINY, prediction="v")), **options).attention_maps
    for found in total(maps).values():
        np.testing.assert_allclose(found[maps.evaluations > 0], 1, atol=5e-3)


def test_a_batch_equals_its_lines(tiny_pipeline):
    for text, speech in zip(TEXTS, speak(tiny_pipeline, TEXTS), strict=True):
        alone = speak(tiny_pipeline, text).attention_maps
        assert alone.phonemes == speech.attention_maps.phonemes and alone.spans == speech.attention_maps.spans
        for site, planes in alone.planes.items():
            for one, other in zip(planes, speech.attention_maps.planes[site], strict=True):
                np.testing.assert_allclose(one, other, atol=1e-3)


def test_by_pitch_only_the_pitch_region_of_a_is_read_and_the_complement_exchanges_it(tiny_pipeline):
    options = {"share": shares.pitch(), "mechanisms": ("prosody", "attention")}
    maps = speak(tiny_pipeline, **options).attention_maps
    region = region_mask(A.contour, shares.pitch().region, tiny_pipeline.model.settings.mel)
    pb, pf = maps.patch
    padded = np.pad(region, ((0, 0), (0, -region.shape[1] % pf)))
    touched = padded.reshape(80 // pb, pb, -1, pf).max((1, 3)) > 0
    assert maps.of(0).sum() > 0.01 and maps.of(0)[~touched].max() == 0
    options |= {"share": ~shares.pitch(), "output_attention": MapOptions()}
    other = tiny_pipeline(TEXTS[0], B, A, num_inference_steps=3, seed=0, **options)
    np.testing.assert_allclose(other.attention_maps.of(1), maps.of(0), atol=1e-3)
    assert other.attention_maps.styles == (B.name, A.name)


def test_saved_maps_are_read_back_by_their_documented_names(spoken, tmp_path):
    path = spoken.attention_maps.save(tmp_path / "maps.npz")
    with np.load(path) as kept:
        np.testing.assert_array_equal(kept["mid.map_1"], spoken.attention_maps.planes["mid"][1])
        assert kept["phonemes"].tolist() == list(spoken.attention_maps.phonemes)
        assert kept["reference_0"].shape == A.mel.shape and kept["styles"].tolist() == [A.name, B.name]
        assert kept["mid.vectors"].shape[-2:] == (2, 2) and kept["patch"].tolist() == [8, 4]


def test_pictures(spoken, tmp_path):
    maps = spoken.attention_maps
    figure = plot_phonemes(maps, tmp_path / "phonemes.png", phonemes=[1, 2], site="mid")
    assert len(figure.axes) == 4 and "(attention; mid, all times)" in figure.get_suptitle()
    assert all(len(axes.get_images()) == 2 for axes in figure.axes)  # a reference, and the attention over it
    figure = plot_layers(maps, tmp_path / "layers.png")
    assert len(figure.axes) == len(maps.planes) * 3 * 2  # sites, intervals with an evaluation, styles
    assert (tmp_path / "phonemes.png").is_file() and (tmp_path / "layers.png").is_file()


def test_what_is_refused(spoken):
    refused(
        lambda name, number: spoken.attention_maps.of(0, **{name: number}),
        ("site", "roof", "site 'roof'; expected down1, "),
        ("phoneme", 99, "phoneme 99; expected 0 to"),
        ("interval", 4, "interval 4; expected 0 to 3"),
    )
    refused(MapOptions, (0, "0 intervals of time"))


TEN_SECONDS = """
import resource, sys
import torch
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.attention import MapOptions
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.styles import style_of_samples

torch.set_num_threads(1)
tts = GradTTSInterpPipeline.from_pretrained(sys.argv[1])
mel, rate = tts.model.settings.mel, tts.model.settings.mel.sample_rate_hz
time = torch.arange(10 * rate) / rate
tone = lambda f0: 0.1 * sum(torch.sin(2 * torch.pi * k * f0 * time + torch.sin(20 * time)) / k for k in range(1, 9))
a, b = (style_of_samples(tone(f0), mel, name=f"{f0} Hz") for f0 in (110, 200))
text = "Nobody remembered the name of the old grey lion that had lived behind the quiet river for more than a year."
ids = len(tts.frontend(text).ids)
frames = round(10 * mel.frame_rate_hz)
durations = [frames // ids + (i < frames % ids) for i in range(ids)]
options = {"durations": [durations], "num_inference_steps": 10, "seed": 0, "output_attention": MapOptions()}
speech = tts(text, a, b, share=shares.ramp(), **options)
print(speech.seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.slow
def test_ten_seconds_against_ten_seconds_fit_in_two_gigabytes():
    """Peak memory of the whole process, PyTorch included, in GiB; every interval of time gets its evaluation."""
    command = [sys.executable, "-c", TEN_SECONDS, str(DEMO)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    seconds, gibibytes = map(float, done.stdout.split()[-2:])
    assert seconds == pytest.approx(10, abs=0.1) and 0.1 < gibibytes < 2
