"""Recording attention: shapes, sums, what is left out, and that the model is as before."""

import numpy as np
import pytest
from tiny import tiny_pipeline

from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.attention.recorder import StyleMassRecorder, mass_plane
from gradtts_interp.models.style_attention import StyleAttnProcessor

TEXTS = ["A cat ran.", "Two small dogs were sleeping."]


@pytest.fixture(scope="module")
def spoken():
    pipeline = tiny_pipeline()
    speakers = pipeline.speakers
    a, b = pipeline.style(speaker=speakers[0]), pipeline.style(speaker=speakers[-1])
    return pipeline, a, b


def speak(spoken, **options):
    pipeline, a, b = spoken
    settings = {"share": shares.step(0.5), "num_inference_steps": 2, "seed": 0, "output_attention": True}
    return pipeline(TEXTS, a, b, **(settings | options))


def test_mass_sums_to_one_and_follows_the_share(spoken):
    for speech in speak(spoken):
        frames = speech.mel.shape[1]
        assert set(speech.attention) == set(spoken[0].model.attention_sites)
        for site in speech.attention.values():
            cell = int(site["cell"])
            assert site["mass"].shape == (2, 80 // cell, -(-frames // cell))
            np.testing.assert_allclose(site["mass"].sum(0), 1, atol=1e-5)
            assert site["mass"][1, :, 0].max() < 1e-5
        over_time = mass_plane(speech.attention, 1, frames).mean(0)
        assert over_time.shape == (frames,)
        assert over_time[: frames // 4].max() < 0.01 and over_time[-frames // 4 :].min() > 0.99


def test_recording_changes_nothing_and_is_off_by_default(spoken):
    recorded, plain = speak(spoken), speak(spoken, output_attention=False)
    for one, other in zip(recorded, plain, strict=True):
        assert other.attention is None
        np.testing.assert_allclose(one.mel, other.mel, atol=1e-4)


def test_guidance_and_further_branches_are_left_out(spoken):
    plain = speak(spoken, share=shares.constant(0.25), mechanisms=("attention",))
    guided = speak(spoken, share=shares.constant(0.25), mechanisms=("attention", "score"), guidance=1.0)
    for one, other in zip(plain, guided, strict=True):
        assert one.attention["mid"]["mass"].shape == other.attention["mid"]["mass"].shape
        np.testing.assert_allclose(other.attention["mid"]["mass"].sum(0), 1, atol=1e-5)


def test_styles_that_are_read_alone_leave_no_mass(spoken):
    assert speak(spoken, mechanisms=("score",))[0].attention is None
    pipeline, a, _ = spoken
    assert pipeline(TEXTS[0], a, num_inference_steps=1, seed=0, output_attention=True).attention is None


def test_mass_lies_on_the_bins_and_frames_of_the_mel():
    mass = np.zeros((2, 20, 3))
    mass[1, :2] = 1.0
    attention = {"mid": {"mass": mass, "cell": 4.0}}
    np.testing.assert_allclose(mass_plane(attention, 1, 10)[:8], np.ones((8, 10)))
    np.testing.assert_allclose(mass_plane(attention, 1, 10).mean(0), np.full(10, 0.1))


def test_processors_come_back_after_an_error(spoken):
    model = spoken[0].model
    with pytest.raises(ZeroDivisionError), StyleMassRecorder(model, styles=2, items=1):
        assert not any(isinstance(p, StyleAttnProcessor) for p in model.attn_processors.values())
        _ = 1 / 0
    assert all(isinstance(p, StyleAttnProcessor) for p in model.attn_processors.values())
