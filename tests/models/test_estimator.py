"""Score network: official numbers, with and without unopened style parts; batches equal to single items."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from refusing import refused
from tiny import TINY, TINY_OFFICIAL, tiny_model

from gradtts_interp.config import StyleConfig
from gradtts_interp.diffusion.schedule import noise_level
from gradtts_interp.models.estimator import Estimator
from gradtts_interp.models.grad_tts import GradTTS, frame_mask
from gradtts_interp.models.pitch_predictor import PITCH_FROM, PROSODY_CHANNELS
from gradtts_interp.models.style_attention import context_of, join


def assert_golden(estimator, golden, speaker, **style):
    tensors = golden.tensors
    for i, t in enumerate(tensors["score_times"]):
        times = t.expand(tensors["z"].shape[0])
        score = estimator(tensors["z"], tensors["mel_mask"], tensors["mu"], times, speaker, **style)
        torch.testing.assert_close(score, tensors[f"score_t{i}"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_score_equals_official_whether_the_speaker_is_a_vector_or_a_plane(golden):
    estimator = golden.model.decoder.estimator
    assert_golden(estimator, golden, golden.speaker)
    if golden.speaker is not None:
        assert_golden(estimator, golden, estimator.speaker_plane(golden.speaker, golden.tensors["z"].shape[-1]))


@torch.no_grad()
def test_style_parts_start_as_the_identity_on_official_weights(golden):
    torch.manual_seed(0)
    style = StyleConfig(width=8, heads=2, sites=("down0", "down1", "down2", "mid", "up0", "up1"))
    estimator = Estimator(replace(golden.config, style=style, prior="frame")).eval()
    missing, unexpected = estimator.load_state_dict(golden.model.decoder.estimator.state_dict(), strict=False)
    new = {"style_attn", "prosody_mlp", "prosody_conv", "pitch_conv"}
    assert not unexpected and {name.split(".")[0] for name in missing} == new
    batch, _, frames = golden.tensors["z"].shape
    tokens = context_of(torch.randn(batch, 5, 8), torch.ones(batch, 5))
    told = {"context": join([tokens]), "prosody": torch.randn(batch, 8, frames)}
    assert_golden(estimator, golden, golden.speaker, **told)


@pytest.mark.parametrize("patch", [1, 2])
@torch.no_grad()
def test_a_padded_batch_equals_its_items(patch):
    model = tiny_model(replace(TINY, patch=patch))
    assert model.frame_multiple == 4 * patch
    lengths = [30, 17, 6]
    alone = [-(-n // model.frame_multiple) * model.frame_multiple for n in lengths]
    total = max(alone)
    torch.manual_seed(3)
    x, mu = torch.randn(3, 80, total), torch.randn(3, 80, total)
    tokens = context_of(torch.randn(3, 5, 32), torch.ones(3, 5))
    prosody, t = torch.randn(3, 7, total), torch.tensor([0.2, 0.5, 0.9])
    mask, region = frame_mask(torch.tensor(lengths), total), frame_mask(torch.tensor(alone), total)
    told = {"prosody": prosody, "region": region}
    batch = model.score(x * mask, mask, mu, t, context=join([tokens]), **told)
    assert (batch * (1 - mask)).abs().max() == 0
    with torch.enable_grad():  # masks by products, norms by sums
        learnt = model.score(x * mask, mask, mu, t, context=join([tokens]), **told)
    torch.testing.assert_close(learnt * region, batch * region, atol=2e-5, rtol=1e-5)
    for i, n in enumerate(alone):
        own = context_of(tokens.tokens[i : i + 1], torch.ones(1, 5))
        cut = slice(i, i + 1), slice(None), slice(n)
        given = [y[cut] for y in (x * mask, mask, mu)]
        single = model.score(*given, t[i : i + 1], context=join([own]), prosody=prosody[cut])
        torch.testing.assert_close(batch[cut], single, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("row", [0, PITCH_FROM, PITCH_FROM + 1])
@torch.no_grad()
def test_numbers_voicing_and_height_that_are_asked_for_are_read(row):
    model, x, t, ones = tiny_model(), torch.zeros(1, 80, 16), torch.tensor([0.5]), torch.ones(1, 1, 16)
    asked = ones.expand(1, PROSODY_CHANNELS, 16)
    other = asked.index_fill(1, torch.tensor([row]), 0.0)
    scores = [model.score(x, ones, x, t, prosody=prosody) for prosody in (asked, other)]
    assert (scores[0] - scores[1]).abs().max() > 0.01


@torch.no_grad()
def test_epsilon_prediction_is_minus_the_score_times_the_noise_level():
    score, epsilon = tiny_model(replace(TINY, prediction="score")), tiny_model()
    epsilon.load_state_dict(score.state_dict())
    x, t, ones = torch.randn(1, 80, 8), torch.tensor([0.3]), torch.ones(1, 1, 8)
    level = noise_level(t, score.schedule)
    torch.testing.assert_close(epsilon.score(x, ones, x, t) * -level, score.score(x, ones, x, t))


def test_unknown_speaker():
    one, three = (GradTTS(replace(TINY_OFFICIAL, n_spks=number).to_dict()) for number in (1, 3))
    refused(one.speaker_vector, (0, "has one speaker; leave the speaker out"))
    refused(three.speaker_vector, (3, "has speakers 0 to 2"), (-1, "speaker -1"))
