"""The frame prior and what goes with it: padding, places, what each input moves, masks of the timbre encoder."""

from __future__ import annotations

import pytest
import torch
from refusing import refused
from tiny import TINY, tiny_model

from gradtts_interp.alignment import expand, expand_rows, frame_tokens, token_mean
from gradtts_interp.config import ModelConfig
from gradtts_interp.models.pitch_predictor import PITCH_FROM, contour_of, token_places

LENGTH, FRAMES = 6, 30
DURATIONS = torch.tensor([[4, 6, 2, 8, 7, 3]])


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def inputs():
    draw = torch.Generator().manual_seed(1)
    prosody = torch.randn(1, 8, FRAMES, generator=draw)
    prosody[:, PITCH_FROM] = (torch.arange(FRAMES) % 7 > 1).float()
    return {
        "hidden": torch.randn(1, TINY.prior_width, LENGTH, generator=draw),
        "durations": DURATIONS,
        "style": torch.randn(1, TINY.spk_emb_dim, FRAMES, generator=draw),
        "prosody": prosody,
    }


def padded(x: torch.Tensor, by: int, value: float = 9.0) -> torch.Tensor:
    return torch.nn.functional.pad(x, (0, by), value=value)


def test_rows_are_laid_out_as_expand_does_and_means_of_tokens_leave_padding_out():
    rows, durations = torch.randn(2, 4, 3), torch.tensor([[2, 0, 3, 1], [1, 1, 1, 2]])
    laid, expected = expand_rows(rows, durations, 6), expand(rows.transpose(1, 2), durations, frames=6).transpose(1, 2)
    assert torch.equal(laid[0], expected[0]) and torch.equal(laid[1, :5], expected[1, :5])
    values = torch.tensor([[1.0, 3.0, 5.0, 7.0, 100.0]])
    assert token_mean(values, torch.tensor([[2, 0, 2]])).tolist() == [[2.0, 2.0, 6.0, 6.0, 6.0]]


def test_places_of_a_frame():
    durations = torch.tensor([[2, 4]])
    place, reciprocal, logarithm, whole, length = token_places(durations, 6)[0]
    assert place.tolist() == [0.25, 0.75, 0.125, 0.375, 0.625, 0.875]
    assert reciprocal.tolist() == [0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    torch.testing.assert_close(logarithm, torch.log(1 / reciprocal))
    torch.testing.assert_close(whole, (torch.arange(6) + 0.5) / 6)
    torch.testing.assert_close(length, (torch.tensor(6.0).log() - 5).expand(6))


@torch.no_grad()
def test_padding_of_frames_tokens_and_items_changes_nothing(model, inputs):
    alone = model.frame_prior(**inputs)
    moved = {name: padded(inputs[name], by) for name, by in (("hidden", 3), ("style", 5), ("prosody", 5))}
    moved["durations"] = padded(DURATIONS, 3, 0)
    found = model.frame_prior(**{name: torch.cat([x, x]) for name, x in moved.items()})
    torch.testing.assert_close(found[:1, :, :FRAMES], alone, atol=1e-5, rtol=1e-5)
    assert (found[0, :, FRAMES:] == 0).all()


@torch.no_grad()
@pytest.mark.parametrize("channel", [PITCH_FROM, PITCH_FROM + 1, PITCH_FROM + 2])
def test_voicing_height_and_energy_move_the_mean_where_they_change(model, inputs, channel):
    prosody = inputs["prosody"].clone()
    prosody[:, channel, 20:] = 1 - prosody[:, channel, 20:]
    moved = (model.frame_prior(**{**inputs, "prosody": prosody}) - model.frame_prior(**inputs)).abs().mean((0, 1))
    reach = 4 * TINY.prior_frame_layers
    assert moved[20:].mean() > 1e-3 and (moved[: 20 - reach] == 0).all()


@torch.no_grad()
def test_what_the_mean_does_not_depend_on(model, inputs):
    """Height without voice, numbers of the prosody vector but by the contour, and how often a still style is given."""
    numbers, unvoiced = inputs["prosody"].clone(), inputs["prosody"].clone()
    numbers[:, :PITCH_FROM] += 1
    unvoiced[:, PITCH_FROM] = 0
    higher = unvoiced.clone()
    higher[:, PITCH_FROM + 1] += 1
    given, same, low, high = (
        model.frame_prior(**{**inputs, "prosody": p}) for p in (inputs["prosody"], numbers, unvoiced, higher)
    )
    assert torch.equal(given, same) and torch.equal(low, high)
    once = inputs["style"][..., :1]
    still, each = (model.frame_prior(**{**inputs, "style": s}) for s in (once, once.expand(-1, -1, FRAMES)))
    torch.testing.assert_close(still, each, atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_texts_are_read_alone_as_in_a_batch(model):
    ids = torch.tensor([[70, 71, 72, 73, 0, 0], [80, 81, 82, 83, 84, 85]])
    both = model.encoder(ids, torch.tensor([4, 6]))
    alone = model.encoder(ids[:1, :4], torch.tensor([4]))
    torch.testing.assert_close(both.hidden[:1, :, :4], alone.hidden, atol=1e-5, rtol=1e-5)
    style, numbers = torch.randn(2, TINY.spk_emb_dim), torch.randn(2, 5)
    pairs = [
        (model.encoder.durations(both, style, numbers), model.encoder.durations(alone, style[:1], numbers[:1])),
        (model.encoder.token_means(both, style), model.encoder.token_means(alone, style[:1])),
    ]
    for padded_answer, answer in pairs:
        torch.testing.assert_close(padded_answer[:1, :, :4], answer, atol=1e-5, rtol=1e-5)
        assert (padded_answer[0, :, 4:] == 0).all()


@torch.no_grad()
def test_durations_read_style_and_numbers_but_not_the_flag(model):
    text = model.encoder(torch.tensor([[70, 71, 72]]), torch.tensor([3]))
    style, numbers = torch.zeros(1, TINY.spk_emb_dim), torch.zeros(1, 5)
    plain = model.encoder.durations(text, style, numbers)
    assert not torch.allclose(plain, model.encoder.durations(text, style + 1, numbers))
    flag, rate = torch.tensor([[0.0, 0, 0, 0, 1]]), torch.tensor([[0.0, 0, 0, 1, 0]])
    assert torch.equal(plain, model.encoder.durations(text, style, numbers + flag))
    assert not torch.allclose(plain, model.encoder.durations(text, style, numbers + rate))


@torch.no_grad()
def test_a_contour_has_energy_that_is_the_same_all_through_a_token(model, inputs):
    style = inputs["style"][..., 0]
    predicted = model.pitch_predictor(inputs["hidden"], DURATIONS, FRAMES, style)
    token = frame_tokens(DURATIONS, FRAMES)[0]
    assert all(len(predicted.energy[0, token == i].unique()) == 1 for i in range(LENGTH))
    assert contour_of(predicted, DURATIONS, torch.zeros(1)).shape == (1, 3, FRAMES)
    padding = padded(inputs["hidden"], 2), padded(DURATIONS, 2, 0), FRAMES + 8, style
    for whole, part in zip(model.pitch_predictor(*padding), predicted, strict=True):
        torch.testing.assert_close(whole[:, :FRAMES], part, atol=1e-5, rtol=1e-5)


def test_no_reference_is_lost_on_the_way_to_the_pooled_style():
    """However far the blocks have drifted, mean and spread of the mel reach the answer."""
    timbre = tiny_model().style_encoder.timbre
    mel, lengths = torch.randn(2, 80, 20) + torch.tensor([0.0, 0.5])[:, None, None], torch.tensor([20, 20])
    with torch.no_grad():
        for block in timbre.blocks:
            block.narrow.bias += 1000.0
        pooled = timbre(mel, lengths)
    assert (pooled[0] - pooled[1]).abs().max() > 0.02
    gradient = torch.autograd.grad(timbre(mel.requires_grad_(), lengths).sum(), mel)[0]
    assert gradient.abs().max() > 1e-4


def test_a_configuration_that_cannot_be_is_named():
    refused(
        ModelConfig.from_dict,
        ({"prior": "phone"}, "prior 'phone': expected one of token, frame"),
        ({"prior": "frame"}, "prior 'frame' with no style: expected 'frame' with style"),
        ({"prior": "token", "style": {}}, "prior 'token' with style: expected 'frame' with style"),
        ({"prior": "frame", "style": {"prosody": False}}, "prosody False and pitch True: expected both to be true"),
        ({"residual_std": 0.0}, "residual_std 0.0: expected a finite number > 0"),
        ({"residual_std": float("inf")}, "residual_std inf: expected a finite number > 0"),
        ({"formant_emphasis": 2.5}, "formant_emphasis 2.5: expected 0 to 2"),
        ({"formant_emphasis": float("nan")}, "formant_emphasis nan: expected 0 to 2"),
    )
