import numpy as np
import pytest

from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.flite import VOICES
from gradtts_interp.corpus.world import BASE_LOG_F0_STD, analyse, half_hop_seconds
from gradtts_interp.errors import InputError


def test_frames_are_half_a_hop_apart_and_hold_the_pitch(features):
    assert len(features.f0_hz) == len(features.voiced) == len(features.log_sp) == 22050 // 128 + 1
    log_f0 = np.log(features.f0_hz[features.voiced])
    assert np.exp(log_f0.mean()) == pytest.approx(150.0, rel=0.03)
    assert log_f0.std() == pytest.approx(0.1 / np.sqrt(2), rel=0.2)
    assert 0.7 < features.voiced.mean() < 0.95
    assert half_hop_seconds(MelConfig()) == pytest.approx(128 / 22050)


def test_everything_is_finite_and_pitch_positive(features):
    for values in (features.f0_hz, features.log_sp, features.band_aperiodicity):
        assert np.isfinite(values).all()
    assert features.f0_hz.min() > 50


def test_level_of_the_input_does_not_matter(make_voice):
    quiet, loud = (analyse(gain * make_voice(), "slt") for gain in (0.05, 1.0))
    np.testing.assert_allclose(quiet.log_sp[quiet.voiced], loud.log_sp[loud.voiced], atol=0.02)


def test_tracker_spikes_are_removed(make_voice, monkeypatch):
    spiky = np.full(100, 150.0)
    spiky[50:53], spiky[:10], spiky[10:12] = 300.0, 0.0, 80.0
    monkeypatch.setattr("gradtts_interp.corpus.world.track_f0", lambda *a, **k: spiky)
    features = analyse(make_voice(seconds=99 * 128 / 22050 + 0.001), "slt")
    np.testing.assert_allclose(features.f0_hz, 150.0, rtol=1e-3)
    np.testing.assert_array_equal(features.voiced, spiky > 0)


def test_every_voice_of_flite_has_its_constants():
    assert set(BASE_LOG_F0_STD) == set(VOICES)


def test_unknown_base_and_silence_are_named(make_voice):
    with pytest.raises(InputError, match="base voice 'bob'; expected one of"):
        analyse(make_voice(), "bob")
    with pytest.raises(InputError, match="no voiced frame in 22050 samples of slt"):
        analyse(np.zeros(22050), "slt")
