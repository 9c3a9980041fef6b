"""Predicted contours: their shape is the text's, their level and range are the reference's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gradtts_interp.config import MelConfig
from gradtts_interp.models import pitch_predictor
from gradtts_interp.models.pitch_predictor import (
    ENERGY_WEIGHT,
    ENVELOPE_PEAKS,
    ENVELOPE_WIDTH,
    PitchPlanes,
    PredictedPitch,
    asked_prosody,
    contour_of,
    pitch_losses,
    standardise,
)
from gradtts_interp.pitch.contour import PROSODY_MEAN, PROSODY_STD
from gradtts_interp.pitch.masks import filter_centres_hz

FRAMES = 24


def test_level_and_range_of_the_asked_contour_are_those_of_the_prosody_vector():
    torch.manual_seed(1)
    durations = torch.tensor([[10, 8]])
    predicted = PredictedPitch(torch.randn(1, FRAMES) * 3 + 1, *torch.randn(2, 1, FRAMES))
    contour = contour_of(predicted, durations, torch.tensor([0.5]))
    vector = np.array([np.log(200.0), 0.12, -25.0, 4.0])
    numbers = torch.tensor((vector - PROSODY_MEAN) / PROSODY_STD, dtype=torch.float32)[None, :, None]
    asked = asked_prosody(numbers.expand(-1, -1, FRAMES), torch.ones(1, 1, FRAMES), contour)
    voiced = (asked[0, 5] > 0) & (torch.arange(FRAMES) < 18)
    assert 3 < voiced.sum() < 18
    found = asked[0, 6, voiced] * float(PROSODY_STD[0]) + float(PROSODY_MEAN[0])
    assert float(found.median()) == pytest.approx(np.log(200.0) + 0.5 * 0.12, abs=1e-4)
    assert float(found.std(unbiased=False)) == pytest.approx(0.12, abs=1e-4)


def test_a_flat_prediction_is_not_stretched_without_end():
    shape = torch.tensor([[0.0, 0.01, -0.01, 0.0]])
    assert standardise(shape, torch.ones(1, 4), most=3.0).abs().max() == pytest.approx(0.03)
    assert torch.isfinite(standardise(torch.zeros(1, 4), torch.zeros(1, 4))).all()


@pytest.mark.parametrize("f0_hz", [110.0, 200.0, 330.0])
def test_planes_peak_on_harmonics(f0_hz):
    mel = MelConfig()
    log_f0 = (np.log(f0_hz) - PROSODY_MEAN[0]) / PROSODY_STD[0]
    planes = PitchPlanes(mel)(torch.tensor([[[1.0, 0.0], [log_f0, log_f0]]], dtype=torch.float32))
    centres = filter_centres_hz(mel)
    comb = planes[0, 0, :, 0].numpy()
    for harmonic in (1, 2, 3):
        nearest = np.abs(centres - harmonic * f0_hz).argmin()
        between = np.abs(centres - (harmonic + 0.5) * f0_hz).argmin()
        assert comb[nearest] > 0.1 > -0.1 > comb[between]
    high, low = (np.abs(comb[part]).max() for part in (centres > 4000, centres < 4 * f0_hz))
    assert high < 0.5 * low and (f0_hz > 150 or high < 0.01)  # filters wider than the harmonics' distance see none
    assert planes[0, :, :, 1].abs().max() == 0  # an unvoiced frame has no pitch
    assert torch.equal(planes[0, 1, :, 0], torch.ones(mel.n_mels))


@pytest.mark.parametrize("of_powers", [False, True])
def test_envelopes_read_at_two_pitches_are_near_though_the_harmonics_lie_elsewhere(of_powers):
    planes, mels, found = PitchPlanes(MelConfig()), [], []
    formants = 1.5 * torch.cos(2 * torch.pi * planes.centres / 3000)
    for f0 in (torch.tensor([[150.0]]), torch.tensor([[210.0]])):
        mels.append(formants + 2 * planes.comb(f0[None])[0, :, 0])
        found.append(planes.envelope(mels[-1][None, :, None], f0, of_powers=of_powers)[0, :, 0])
    harmonic = (planes.centres > 150) & (planes.centres < 2000)
    apart, left = ((x - y)[harmonic].abs().mean() for x, y in (mels, found))
    assert left < apart / 3 and np.corrcoef(found[0], formants)[0, 1] > 0.9
    low = (planes.centres > 150) & (planes.centres < 900)
    assert (found[0] - formants)[low].mean() > 0.9  # nearer the harmonics' height, 2, than their mean
    above = planes.centres > 6000  # filters wider than harmonics are apart
    assert torch.allclose(found[1][above], mels[1][above], atol=0.1)


@pytest.mark.parametrize("unit", [None, 1.0, 3.2])
def test_an_envelope_is_a_mean_by_the_bells_and_the_harmonics(unit, monkeypatch):
    """Of logarithms, or of powers of a mel in any unit; some frames at once."""
    monkeypatch.setattr(pitch_predictor, "ENVELOPE_FRAMES", 4)
    planes = PitchPlanes(MelConfig())
    mel, f0 = torch.randn(2, 80, 6), torch.rand(2, 6) * 300 + 60
    apart = planes.centres[:, None] - planes.centres
    near = -0.5 * (apart / (ENVELOPE_WIDTH * f0[..., None, None])).square()
    weight = (near + ENVELOPE_PEAKS * planes.comb(f0[:, None]).transpose(1, 2)[:, :, None]).softmax(-1)
    if unit is None:
        found, expected = planes.envelope(mel, f0), torch.einsum("btmj,bjt->bmt", weight, mel)
    else:
        found = planes.envelope(mel, f0, of_powers=True, mel_std=unit)
        expected = torch.einsum("btmj,bjt->bmt", weight, (2 * unit * mel).exp()).log() / (2 * unit)
    torch.testing.assert_close(found, expected, atol=3e-6, rtol=0)


def test_losses_are_zero_for_the_measured_contour():
    log_f0, voiced, valid = torch.randn(2, 30), (torch.rand(2, 30) > 0.3).float(), torch.ones(2, 30)
    valid[1, 20:] = 0
    energy, target = torch.randn(2, 30), standardise(log_f0, voiced * valid)
    right = PredictedPitch(target, (voiced * 2 - 1) * 50, energy)

    def error_of(predicted):
        error, frames = pitch_losses(predicted, log_f0, voiced, valid, energy=energy)
        assert int(frames) == 50
        return float(error)

    assert error_of(right) < 1e-3
    padding = 9 * (1 - valid)
    assert error_of(right._replace(shape=target + padding, energy=energy + padding)) < 1e-3
    assert error_of(right._replace(shape=target + 9)) > 30
    assert error_of(right._replace(energy=energy + 3)) == pytest.approx(50 * 2.5 * ENERGY_WEIGHT, rel=1e-3)
