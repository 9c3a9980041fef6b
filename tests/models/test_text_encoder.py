"""Text encoder: official numbers, padding, style input."""

from dataclasses import replace

import torch
from refusing import refused

from gradtts_interp.config import ModelConfig
from gradtts_interp.models.text_encoder import TextEncoder

WIDTHS = {"n_enc_channels": 12, "filter_channels": 16, "filter_channels_dp": 8, "n_feats": 5}
SMALL = ModelConfig(n_vocab=20, n_heads=2, n_enc_layers=2, **WIDTHS)


def awake(encoder: TextEncoder) -> TextEncoder:
    """Give every parameter a random value, so that nothing is hidden by an identity start."""
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return encoder.eval()


@torch.no_grad()
def test_official_numbers(golden):
    found = golden.model.encoder(golden.tensors["x"], golden.tensors["x_lengths"])
    for value, name in zip(found, ("mu_x", "logw", "x_mask"), strict=True):
        torch.testing.assert_close(value, golden.tensors[name], atol=1e-4, rtol=0)


def test_padding_changes_nothing():
    torch.manual_seed(0)
    encoder = awake(TextEncoder(SMALL))
    ids, lengths = torch.randint(1, 20, (2, 11)), torch.tensor([11, 3])
    mu_x, logw, mask = encoder(ids, lengths)
    assert mask.sum(dim=(1, 2)).tolist() == [11, 3]
    for i, n in enumerate(lengths.tolist()):
        for both, alone in zip((mu_x, logw), encoder(ids[i : i + 1, :n], lengths[i : i + 1]), strict=False):
            torch.testing.assert_close(both[i, :, :n], alone[0], atol=1e-5, rtol=1e-5)
            assert both[i, :, n:].abs().sum() == 0


def test_durations_send_no_gradient_into_the_encoder():
    encoder = awake(TextEncoder(SMALL))
    _, logw, *_ = encoder(torch.randint(1, 20, (1, 6)), torch.tensor([6]))
    logw.sum().backward()
    with_gradient = {name.split(".")[0] for name, p in encoder.named_parameters() if p.grad is not None}
    assert with_gradient == {"proj_w"}


def test_width_divides_among_heads():
    refused(TextEncoder, (replace(SMALL, n_heads=5), "text-encoder width 12 must be a multiple of its 5 heads"))
