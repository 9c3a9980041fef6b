"""A harmonic source with known answers: phase, pulses, noise, filters, and what a network may not do."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny import HARMONIC

from gradtts_interp.audio import log_mel
from gradtts_interp.config import MelConfig
from hifigan import HarmonicGenerator
from hifigan.harmonic import centre_phase, pulse_train, white_noise

RATE, HOP = 22050, 256


def glide(low_hz=90.0, high_hz=320.0, frames=40):
    return torch.exp(torch.linspace(np.log(low_hz), np.log(high_hz), frames))[None]


def summed(f0_hz):
    """F0 of each sample, on a line in log-frequency from centre to centre, and its sum in cycles."""
    positions = np.arange(f0_hz.shape[1] * HOP) / HOP - 0.5
    log_f0 = np.interp(positions, np.arange(f0_hz.shape[1]), np.log(f0_hz[0].double().numpy()))
    cycles = np.cumsum(np.exp(log_f0)) / RATE
    return np.exp(log_f0), cycles - cycles[HOP // 2]


@pytest.fixture
def generator(harmonic):
    return harmonic.generator.eval()


def inputs(frames=40, size=1):
    mel = torch.randn(size, 80, frames, generator=torch.Generator().manual_seed(1)) - 5
    voiced = (torch.arange(frames) % 20 < 14).float().expand(size, -1)
    return mel, glide(frames=frames).expand(size, -1), voiced


@pytest.mark.parametrize("f0_hz", [glide(), glide(440.0, 60.0), torch.full((1, 40), 123.4)])
def test_phase_is_the_sum_of_f0_and_stays_exact_over_an_hour(f0_hz):
    found = centre_phase(f0_hz, RATE, HOP)[0].numpy()
    _, cycles = summed(f0_hz)
    difference = (found - cycles[HOP // 2 :: HOP] + 0.5) % 1 - 0.5
    assert found.dtype == np.float64 and (found >= 0).all() and (found < 1).all()
    assert np.abs(difference).max() < 1e-9
    later = centre_phase(f0_hz[:, 7:], RATE, HOP, start=torch.from_numpy(found[7:8]))
    assert np.abs(later[0].numpy() - found[7:]).max() < 1e-9
    hour = 3600 * RATE // HOP
    last = centre_phase(torch.full((1, hour), 100.0), RATE, HOP)[0, -1]
    assert float(last) == pytest.approx(100 * (hour - 1) * HOP / RATE % 1, abs=1e-6)


@pytest.mark.parametrize("f0_hz", [glide(), torch.full((1, 40), 200.0)])
def test_pulses_are_all_harmonics_below_nyquist(f0_hz):
    found = pulse_train(f0_hz, centre_phase(f0_hz, RATE, HOP), RATE, HOP)[0].numpy()
    f0, cycles = summed(f0_hz)
    highest = 0.98 * RATE / 2 / f0
    wanted = np.zeros(len(f0))
    for k in range(1, int(highest.max()) + 2):
        level = np.clip(highest - k + 1, 0, 1)  # the last one comes in by degrees
        assert (f0[level > 0] * (k - 1) < RATE / 2).all()
        wanted += level * np.cos(2 * np.pi * k * cycles)
    assert np.abs(found - wanted / np.sqrt(highest)).max() < 1e-3
    assert np.square(found).mean() == pytest.approx(0.5, abs=0.02)


def test_noise_belongs_to_its_place():
    whole = white_noise(200, HOP, seed=3)
    assert torch.equal(white_noise(30, HOP, seed=3, first_frame=50), whole[:, 50 * HOP : 80 * HOP])
    assert torch.equal(white_noise(1, HOP, seed=3, first_frame=128), whole[:, 128 * HOP : 129 * HOP])
    assert not torch.equal(white_noise(200, HOP, seed=4), whole)
    assert whole.std().item() == pytest.approx(1, abs=0.01)


def test_open_filters_give_back_the_source(generator):
    noise = torch.randn(2, 20 * HOP)
    zero, shut = torch.zeros(2, 20, 513), torch.full((2, 20, 513), -100.0)
    assert torch.allclose(generator.filter((shut, zero, zero), noise, noise), noise, atol=1e-5)
    assert torch.allclose(generator.filter((zero, zero, shut), noise, noise), noise, atol=1e-5)
    turned = generator.filter((zero, torch.full_like(zero, np.pi), shut), noise, noise)
    assert torch.allclose(turned, -noise, atol=1e-4)


def test_untrained_noise_has_the_level_of_the_mel():
    noise = 0.1 * torch.randn(1, 100 * HOP, generator=torch.Generator().manual_seed(0))
    made = HarmonicGenerator(HARMONIC)
    mel = log_mel(noise, MelConfig())
    _, _, gain = made.gains(mel, torch.full((1, 100), 150.0), torch.zeros(1, 100))
    audio = made.filter((gain - 100, 0 * gain, gain), noise, 10 * noise).detach()
    assert float(audio.std()) == pytest.approx(0.1, rel=0.2)


def test_gains_are_bounded_whatever_the_mel(generator):
    mel, f0_hz, voiced = inputs()
    base = torch.nn.functional.linear(mel.transpose(1, 2), generator.envelope.weight, generator.envelope.bias)
    generator.leave.weight.data *= 1e4
    with torch.no_grad():
        pulses, phase, noise = generator.gains(mel, f0_hz, voiced)
    for gain in (pulses, noise):
        assert (gain - base).abs().max().item() == pytest.approx(HARMONIC.reach, abs=1e-3)
    assert phase.abs().max() <= np.pi + 1e-5
    assert torch.isfinite(generator(mel + 1e6, f0_hz, voiced)).all()
    assert torch.isfinite(generator(mel, 0 * f0_hz + 1e9, voiced)).all()


def test_voiced_frames_are_spoken_with_less_noise(generator):
    mel, f0_hz, voiced = inputs()
    with torch.no_grad():
        trained, spoken = generator.gains(mel, f0_hz, voiced), generator.spoken_gains(mel, f0_hz, voiced)
    assert torch.equal(trained[0], spoken[0]) and torch.equal(trained[1], spoken[1])
    less = trained[2] - spoken[2]
    hertz = torch.arange(513) * RATE / 1024
    assert torch.allclose(less[voiced > 0][:, hertz < 3000], torch.tensor(2.0), atol=1e-5)
    assert less[voiced == 0].abs().max() == 0 and less[..., hertz > 5000].abs().max() == 0
    plain = HarmonicGenerator(dataclasses.replace(HARMONIC, voiced_noise_cut=0.0))
    assert plain.noise_cut.abs().max() == 0


def test_levels_are_brought_to_those_of_the_mel(generator):
    noise = 0.1 * torch.randn(2, 60 * HOP, generator=torch.Generator().manual_seed(0))
    mel = log_mel(noise, MelConfig())
    found = log_mel(generator.match(noise, mel), MelConfig())
    assert (found - mel).abs().max() < 0.02  # what has the levels is left as it is, up to its ends
    wrong = 0.3 * torch.randn(2, 60 * HOP, generator=torch.Generator().manual_seed(1))
    before, after = ((log_mel(x, MelConfig()) - mel).abs().mean() for x in (wrong, generator.match(wrong, mel)))
    assert before > 1 and after < 0.25
    quiet = generator.match(1e-4 * noise, mel)
    assert quiet.std() / (1e-4 * noise).std() == pytest.approx(np.exp(3), rel=0.05)  # bounded
    assert torch.isfinite(generator.match(noise[:, :HOP], mel[..., :1])).all()


def test_pitch_is_the_contour_whatever_the_network(generator):
    """The fundamental, seen through a narrow filter, turns as often as the contour says."""
    frames, hz = 200, 137.0
    f0_hz = torch.full((1, frames), hz)
    mel = inputs(frames)[0].mean(2, keepdim=True).expand(-1, -1, frames)
    pulses = pulse_train(f0_hz, centre_phase(f0_hz, RATE, HOP), RATE, HOP)
    with torch.inference_mode():
        gains = generator.gains(mel, f0_hz, torch.ones(1, frames))
        audio = generator.filter(gains, pulses, 0 * pulses)[0, 20 * HOP : -20 * HOP].numpy()
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 2**20))
    hertz = np.arange(len(spectrum)) * RATE / 2**20
    near = (hertz > 0.7 * hz) & (hertz < 1.3 * hz)
    assert hertz[near][spectrum[near].argmax()] == pytest.approx(hz, abs=0.05)


def test_gradient_reaches_every_weight(generator):
    mel, f0_hz, voiced = inputs()
    log_f0, voicing = generator.pitch(mel)
    (generator(mel, f0_hz, voiced).square().sum() + log_f0.sum() + voicing.sum()).backward()
    for name, weight in generator.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all() and weight.grad.abs().max() > 0, name
