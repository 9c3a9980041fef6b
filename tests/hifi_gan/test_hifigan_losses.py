"""Discriminators and losses with known answers, and shapes of generators that do not fit."""

import dataclasses

import pytest
import torch
from refusing import refused

from hifigan import CONFIGS, HarmonicConfig
from hifigan.discriminators import Discriminators, PeriodDiscriminator
from hifigan.losses import HARMONIC_RESOLUTIONS, _magnitude, discriminator_loss, feature_loss, generator_loss, stft_loss


def test_published_size_has_the_published_parameters():
    judges = Discriminators(1)
    assert (len(judges.mpd), len(judges.msd)) == (5, 3)
    # The multi-period discriminator is 41.1 million weights, as in the paper's code.
    assert sum(p.numel() for p in judges.mpd.parameters()) == pytest.approx(41.1e6, rel=0.01)
    assert sum(p.numel() for p in judges.msd.parameters()) == pytest.approx(29.6e6, rel=0.01)


def test_period_discriminator_sees_only_samples_a_period_apart():
    judge = PeriodDiscriminator(5, 32)
    audio = torch.randn(1, 1, 500, requires_grad=True)
    _, features = judge(audio)
    features[-1][0, 0, :, 2].sum().backward()
    seen = audio.grad[0, 0].nonzero()[:, 0]
    assert set((seen % 5).tolist()) == {2}


def judgement(score, feature):
    return torch.full((2, 3), score), [torch.full((2, 4), feature)]


def test_least_squares_have_the_known_values_and_features_move_only_the_fake():
    perfect, fooled = [judgement(1.0, 0.0)], [judgement(0.0, 0.0)]
    assert discriminator_loss(perfect, fooled) == 0
    assert discriminator_loss(fooled, perfect) == 2
    assert generator_loss(perfect * 3) == 0
    assert generator_loss(fooled * 3) == 3
    assert feature_loss([judgement(0.0, 1.0)] * 2, [judgement(0.0, 3.0)] * 2) == 4
    real, fake = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    feature_loss([(real, [real])], [(fake, [fake])]).backward()
    assert real.grad is None and fake.grad.tolist() == pytest.approx([-1 / 3] * 3)


def test_stft_loss_is_zero_for_equal_and_finite_for_silence():
    audio = torch.randn(2, 4096)
    assert stft_loss(audio, audio) == 0
    # Twice the amplitude: spectral convergence 1, log distance log 2.
    assert stft_loss(2 * audio, audio).item() == pytest.approx(1 + 0.6931, abs=2e-3)
    silent = torch.zeros(2, 4096, requires_grad=True)
    stft_loss(silent, torch.zeros(2, 4096)).backward()
    assert torch.isfinite(silent.grad).all()


@pytest.mark.parametrize("resolution", [(512, 128, 512), (256, 64, 256), (512, 120, 400)])
def test_magnitudes_and_their_gradient_are_those_of_torch(resolution):
    n_fft, hop, window = resolution
    ours = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0)).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    found = _magnitude(ours, n_fft, hop, window, 1e-5)
    spectrum = torch.stft(theirs, n_fft, hop, window, torch.hann_window(window), return_complex=True)
    expected = spectrum.abs().transpose(1, 2)
    assert torch.allclose(found, expected, atol=1e-5)
    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-3)


def test_energy_distance_asks_for_all_of_the_noise():
    """The plain distance prefers a quiet tone to noise of the right level; the energy distance does not."""
    draw = torch.Generator().manual_seed(0)
    real, one, other = (torch.randn(4, 16384, generator=draw) for _ in range(3))
    gain = torch.ones((), requires_grad=True)

    def slope(level, with_other):
        fake = gain * level * one
        distance = stft_loss(fake, real, HARMONIC_RESOLUTIONS, other=level * other if with_other else None)
        return float(torch.autograd.grad(distance, gain)[0])

    assert slope(0.7, True) < -0.2 and slope(1.4, True) > 0.2
    assert abs(slope(1.0, True)) < 0.05
    assert slope(1.0, False) > 0.1


def test_each_discriminator_has_a_feature_per_layer_and_those_by_spectrogram_come_last():
    judges = Discriminators(32, periods=(2,), scales=1, windows=(512, 256), window_channels=4)
    judgements = judges(torch.randn(2, 1, 4096))
    assert [len(features) for _, features in judgements] == [6, 8, 6, 6]
    assert all(scores.shape[0] == 2 and scores.ndim == 2 for scores, _ in judgements)
    assert judgements[0][0].shape[1] == 2 * -(-2048 // 3**4)  # a fifth convolution moves by one sample
    scores, features = judgements[-1]
    assert scores.shape[0] == 2 and features[0].shape[1] == 4
    silent = judges(torch.zeros(2, 1, 4096))
    assert all(torch.isfinite(scores).all() for scores, _ in silent)


def test_shapes_that_do_not_fit():
    refused(
        lambda name, change: dataclasses.replace(CONFIGS[name], **change),
        ("v1", {"resblock": "3"}, "resblock is '3'"),
        ("v1", {"upsample_rates": (8, 8)}, "upsample_rates .* must have the same length"),
        ("v1", {"resblock_kernel_sizes": (3,)}, "resblock_kernel_sizes .* must have the same length"),
        ("v1", {"upsample_kernel_sizes": (16, 15, 4, 4)}, "upsampling by 8 with kernel 15"),
        ("v1", {"upsample_initial_channel": 200}, "200 cannot be halved 4 times"),
        ("harmonic", {"n_fft": 1000}, "n_fft 1000 with hop 256; expected a multiple"),
        ("harmonic", {"kernel": 4}, "kernel of 4 frames; expected an odd number"),
        error=ValueError,
    )


def test_a_harmonic_configuration_has_every_field_and_no_other():
    values = CONFIGS["harmonic"].to_dict()
    less = {name: value for name, value in values.items() if name != "reach"}
    cases = (({**values, "more": 1}, r"\['more'\] missing or unknown"), (less, r"\['reach'\] missing or unknown"))
    refused(HarmonicConfig.from_dict, *cases, error=ValueError)
