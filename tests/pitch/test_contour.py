import numpy as np
import pytest
import torch
from refusing import refused

from gradtts_interp.config import MelConfig
from gradtts_interp.pitch.contour import (
    ENERGY_FLOOR_DB,
    PROSODY_MEAN,
    PROSODY_STD,
    UNVOICED_F0_HZ,
    Contour,
    extract_contour,
    f0_skew,
    f0_statistics,
    fill_unvoiced,
    frame_energy_db,
    normalise_prosody,
    prosody_vector,
    refine_f0,
    thirds,
)

CONFIG = MelConfig()
RATE = CONFIG.sample_rate_hz


def harmonic(f0_hz: np.ndarray, *, harmonics: int = 12) -> np.ndarray:
    """A voice-like sum of harmonics with F0 given at every sample."""
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE
    return 0.1 * sum(np.sin(k * phase) / k for k in range(1, harmonics + 1))


def make_contour(f0_hz, voiced, energy_db=None) -> Contour:
    energy_db = np.full(len(f0_hz), -20.0) if energy_db is None else energy_db
    arrays = np.asarray(f0_hz, np.float32), np.asarray(voiced, bool), np.asarray(energy_db, np.float32)
    return Contour(*arrays, CONFIG.frame_rate_hz)


def test_frames_lie_on_the_centres_of_the_mel_grid():
    samples = 2 * RATE
    glide = 100.0 * 2.0 ** (np.arange(samples) / samples)
    contour = extract_contour(harmonic(glide), CONFIG)
    centres = ((np.arange(len(contour)) + 0.5) * CONFIG.hop_samples).astype(int)
    cents = 1200 * np.log2(contour.f0_hz / glide[centres])[20:-20]
    # One frame of this glide is 7 cents, so half a frame of shift would show as 3.5.
    assert abs(np.median(cents)) < 1.5


@pytest.mark.parametrize("samples", [256, 1000, 22050, 22050 + 255])
def test_frame_count_is_that_of_the_mel_for_arrays_and_tensors_which_stay_unchanged(samples):
    audio = np.random.default_rng(0).normal(size=samples) * 0.01
    before = audio.copy()
    contour = extract_contour(audio, CONFIG)
    assert contour == extract_contour(torch.from_numpy(audio), CONFIG) and np.array_equal(audio, before)
    assert {len(contour), len(contour.voiced), len(contour.energy_db)} == {samples // CONFIG.hop_samples}
    assert contour.f0_hz.dtype == contour.energy_db.dtype == np.float32 and contour.voiced.dtype == bool


def test_silence_is_unvoiced_finite_and_at_the_floor():
    contour = extract_contour(np.zeros(RATE), CONFIG)
    assert not contour.voiced.any()
    assert (contour.f0_hz == UNVOICED_F0_HZ).all()
    assert (contour.energy_db == ENERGY_FLOOR_DB).all()
    vector = prosody_vector(contour)
    assert np.isfinite(vector).all() and vector[1] < 1e-6 and vector[3] == 0


def test_unvoiced_gap_is_crossed_in_log_frequency():
    f0 = fill_unvoiced(np.array([100.0, 0, 0, 0, 400.0, 0]), np.array([1, 0, 0, 0, 1, 0], bool))
    np.testing.assert_allclose(f0, [100, 141.42, 200, 282.84, 400, 400], rtol=1e-3)


def test_energy_of_a_full_scale_sine_is_minus_three_db_and_frames_are_centred():
    sine, click = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE), np.zeros(40 * CONFIG.hop_samples)
    energy = frame_energy_db(sine, CONFIG)
    np.testing.assert_allclose(energy[3:-3], -3.01, atol=0.05)
    np.testing.assert_allclose(frame_energy_db(0.1 * sine, CONFIG), energy - 20.0, atol=1e-3)
    click[20 * CONFIG.hop_samples + CONFIG.hop_samples // 2] = 1.0
    assert int(np.argmax(frame_energy_db(click, CONFIG))) == 20


def test_prosody_vector_counts_level_spread_energy_and_syllables():
    time = np.arange(3 * RATE) / RATE
    f0 = 150.0 * np.exp(0.2 * np.sin(2 * np.pi * time))
    syllables = 0.02 + np.clip(np.sin(2 * np.pi * 2.0 * time), 0, 1)
    vector = prosody_vector(extract_contour(harmonic(f0) * syllables, CONFIG))
    assert vector.dtype == np.float32
    assert vector[0] == pytest.approx(np.log(150.0), abs=0.1)
    assert 0.08 < vector[1] < 0.25
    assert vector[3] == pytest.approx(4.0 / 2, abs=0.45)


def test_prosody_vector_moves_as_the_signal_moves():
    f0 = np.full(2 * RATE, 120.0)
    low, high = (prosody_vector(extract_contour(x, CONFIG)) for x in (harmonic(f0), 2.0 * harmonic(2 * f0)))
    assert high[0] - low[0] == pytest.approx(np.log(2.0), abs=0.01)
    assert high[2] - low[2] == pytest.approx(6.0, abs=0.8)


def test_normalised_prosody_of_the_mean_is_zero():
    vectors = np.stack([PROSODY_MEAN, PROSODY_MEAN + PROSODY_STD])
    np.testing.assert_allclose(normalise_prosody(vectors), [[0.0] * 4, [1.0] * 4], atol=1e-5)


def test_bad_input_is_named():
    refused(
        lambda audio, options: extract_contour(audio, CONFIG, **options),
        (np.zeros((2, 4000)), {}, r"shape \(2, 4000\); expected floats \(N,\)"),
        (np.zeros(4000, np.int16), {}, "audio of int16"),
        (np.zeros(100), {}, "audio of 100 samples; expected at least one frame of 256"),
        (np.full(4000, np.nan), {}, "NaN or infinite"),
        (np.zeros(4000), {"tracker": "swipe"}, "F0 tracker 'swipe'; expected one of"),
        (np.zeros(4000), {"floor_hz": 300.0, "ceiling_hz": 200.0}, "F0 range 300 to 200 Hz"),
    )
    refused(
        lambda f0_hz, voiced: prosody_vector(make_contour(f0_hz, voiced)),
        ([100.0, 100.0], [True], "expected one shape"),
        ([100.0, 0.0], [True, False], "not finite and > 0"),
        ([], [], "contour without frames"),
    )


def test_skew_places_the_median():
    f0_hz = np.array([100.0, 110.0, 200.0, 210.0, 220.0])
    log_f0, skew = np.log(f0_hz), f0_skew(make_contour(f0_hz, np.ones(5)))
    assert log_f0.mean() + skew * log_f0.std() == pytest.approx(np.log(200.0), abs=1e-5)
    assert f0_skew(make_contour([150.0] * 3, [True] * 3)) == f0_skew(make_contour(f0_hz, np.zeros(5))) == 0.0


@pytest.mark.parametrize(("voiced", "f0_hz"), [(slice(0), 150.0), (slice(3, 9), 99.0)])
def test_nothing_to_refine_leaves_the_contour(voiced, f0_hz):
    flags = np.isin(np.arange(20), np.arange(20)[voiced])
    assert np.allclose(refine_f0(np.zeros(20 * 256), np.full(20, 99.0), flags, CONFIG), f0_hz)


def test_median_range_and_voicing_read_voiced_frames_only():
    f0_hz = np.r_[np.full(50, 100.0), np.full(50, 200.0), np.full(100, 999.0)]
    contour, silent = make_contour(f0_hz, np.arange(200) < 100), make_contour(np.full(9, 150.0), np.zeros(9))
    names = ("median_hz", "range_semitones", "voiced_share")
    for part, frames, expected in (
        (contour, slice(None), (150.0, 12.0, 0.5)),
        (contour, slice(0, 50), (100.0, 0.0, 1.0)),
        (silent, slice(None), (None, None, 0.0)),
    ):
        assert f0_statistics(part, frames) == dict(zip(names, expected, strict=True))


@pytest.mark.parametrize("frames", [1, 2, 3, 10, 100])
def test_thirds_cover_every_frame_once(frames):
    parts = thirds(frames)
    assert [i for part in parts for i in range(frames)[part]] == list(range(frames))
    assert max(part.stop - part.start for part in parts) - min(part.stop - part.start for part in parts) <= 1
