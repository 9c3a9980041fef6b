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
    found = emphasise_formants(cosine(quefrency), 1.25)
    torch.testing.assert_close(found, expected * cosine(quefrency), atol=1e-5, rtol=0)
