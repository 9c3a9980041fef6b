"""Styles that are offered openly: nothing but the noise says which is followed, and the noise can be tuned to it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from refusing import refused
from tiny import TINY_OFFICIAL, A, B
from tiny import tiny_pipeline as make_pipeline

from gradtts_interp.alignment import fix_length
from gradtts_interp.diffusion.samplers import standard_noise
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.noise import NoiseTuning, NoiseWindow

TEXT = "Go."
QUICK = {"num_inference_steps": 2, "seed": 3}


@pytest.fixture(scope="module")
def durations(tiny_pipeline):
    return [tiny_pipeline(TEXT, A, B, offer="open", **QUICK).durations.tolist()]


def render(tiny_pipeline, durations, **options):
    return tiny_pipeline(TEXT, A, B, offer="open", durations=durations, **QUICK, **options)


def test_a_share_says_nothing_of_an_open_offer(tiny_pipeline, durations):
    free = render(tiny_pipeline, durations)
    for share in (shares.constant(0.0), shares.constant(1.0), shares.pitch()):
        np.testing.assert_array_equal(render(tiny_pipeline, durations, share=share).mel, free.mel)
    assert free.settings["offer"] == "open"
    assert free.settings["mechanisms"] == []


def test_of_a_pool_of_noises_each_share_takes_the_one_that_suits_it(tiny_pipeline, durations):
    tuning = NoiseTuning(windows=(NoiseWindow(0.3, 1.0, steps=0),), pool=6)
    found = [render(tiny_pipeline, durations, share=shares.constant(w), noise_tuning=tuning) for w in (0.0, 1.0)]
    draw = torch.Generator().manual_seed(QUICK["seed"])
    like = torch.zeros(1, *found[0].noise.shape)
    frames = fix_length(like.shape[-1], tiny_pipeline.model.frame_multiple)
    drawn = [standard_noise(like.new_zeros(1, like.shape[1], frames), [draw])[0, :, : like.shape[-1]] for _ in range(6)]
    chosen = [[np.allclose(one, speech.noise) for one in drawn] for speech in found]
    assert [sum(row) for row in chosen] == [1, 1]
    assert chosen[0] != chosen[1]  # the loss of the one is minus that of the other
    assert all(speech.tuning.steps == () for speech in found)


def test_what_cannot_be_offered_is_refused(tiny_pipeline):
    refused(
        lambda options: tiny_pipeline(TEXT, A, **{"b": B, **QUICK, **options}),
        ({"offer": "shut", "share": shares.ramp()}, "offer 'shut': expected one of share, open"),
        ({"offer": "open", "mechanisms": ("prior", "noise"), "share": shares.ramp()}, "mechanism 'prior': it says who"),
        ({"mechanisms": "noise"}, "expected a share"),
        ({"mechanisms": "noise", "b": None}, "needs two styles"),
        ({"offer": "open", "num_inference_steps": 0}, "0 steps"),
        ({"offer": "share"}, "two styles need a share"),
    )


def test_an_open_offer_needs_a_frame_prior_and_references():
    official = make_pipeline(replace(TINY_OFFICIAL, n_spks=3))
    official.bank = None
    a, b = (official.style(speaker=speaker) for speaker in (0, 1))
    call = partial(official, noise_tuning=NoiseTuning(), share=shares.ramp(), **QUICK)
    refused(call, (TEXT, a, b, "a checkpoint with a frame prior"))
