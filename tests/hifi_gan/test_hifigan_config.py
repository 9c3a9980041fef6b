"""Shapes of generators: what does not fit is refused."""

import dataclasses

import pytest

from hifigan import CONFIGS, HarmonicConfig


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("v1", {"resblock": "3"}, "resblock is '3'"),
        ("v1", {"upsample_rates": (8, 8)}, "upsample_rates .* must have the same length"),
        ("v1", {"resblock_kernel_sizes": (3,)}, "resblock_kernel_sizes .* must have the same length"),
        ("v1", {"upsample_kernel_sizes": (16, 15, 4, 4)}, "upsampling by 8 with kernel 15"),
        ("v1", {"upsample_initial_channel": 200}, "200 cannot be halved 4 times"),
        ("harmonic", {"n_fft": 1000}, "n_fft 1000 with hop 256; expected a multiple"),
        ("harmonic", {"kernel": 4}, "kernel of 4 frames; expected an odd number"),
    ],
)
def test_shapes_that_do_not_fit(name, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIGS[name], **change)


def test_a_harmonic_configuration_has_every_field_and_no_other():
    values = CONFIGS["harmonic"].to_dict()
    for wrong, name in (({**values, "more": 1}, "more"), ({k: v for k, v in values.items() if k != "reach"}, "reach")):
        with pytest.raises(ValueError, match=rf"\['{name}'\] missing or unknown"):
            HarmonicConfig.from_dict(wrong)
