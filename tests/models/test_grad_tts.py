"""Formants are brought out; level, tilt and harmonics stay."""

import pytest
import torch

from gradtts_interp.models.grad_tts import FORMANT_QUEFRENCIES, emphasise_formants


def cosine(quefrency, frames=5):
    """A mel whose spectrum is one cosine over its bins."""
    bins = (torch.arange(80) + 0.5) / 80
    return torch.cos(torch.pi * quefrency * bins)[:, None].expand(-1, frames)


@pytest.mark.parametrize("quefrency", range(0, 40))
def test_only_the_quefrencies_of_formants_grow(quefrency):
    expected = 1.25 if quefrency in range(*FORMANT_QUEFRENCIES) else 1.0
    torch.testing.assert_close(
        emphasise_formants(cosine(quefrency), 1.25), expected * cosine(quefrency), atol=1e-5, rtol=0
    )


def test_level_stays_and_peaks_rise():
    peak = -6 + 3 * torch.exp(-(((torch.arange(80.0) - 30) / 4) ** 2))[:, None].expand(-1, 7)
    found = emphasise_formants(peak[None], 1.2)
    assert found.shape == (1, 80, 7) and torch.equal(emphasise_formants(peak, 1.0), peak)
    torch.testing.assert_close(found.mean(1), peak[None].mean(1))
    assert found[0, 30, 0] > peak[30, 0] + 0.2 and found[0, :, 0].argmax() == 30
