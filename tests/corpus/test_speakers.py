import numpy as np
import pytest

from gradtts_interp.corpus import speakers
from gradtts_interp.units import ratio_to_semitones


def test_sixteen_speakers_differ_and_suit_their_manners():
    voices, pitches = speakers.bank_voices(), speakers.bank_pitches()
    assert len(voices) == speakers.N_SPEAKERS == 16 == len({(v.timbre, v.formant) for v in voices.values()})
    assert len(pitches) == 80
    assert all(sum(v.timbre) == pytest.approx(1) and sum(v.prosody) == pytest.approx(1) for v in voices.values())
    assert all(speakers.suits(voices[key.partition("-")[0]], pitch["f0_level_hz"]) for key, pitch in pitches.items())
    neutral, surprise, sad = (speakers.speaker_pitch(3, e) for e in ("neutral", "surprise", "sad"))
    assert ratio_to_semitones(surprise["f0_level_hz"] / neutral["f0_level_hz"]) == pytest.approx(4.0, abs=1e-4)
    assert sad["f0_spread"] < neutral["f0_spread"] < surprise["f0_spread"] and sad["rate"] < 1 and sad["energy_db"] < 0


def test_speakers_of_the_main_command_can_be_crossfaded_and_are_ten_semitones_apart():
    a, b = speakers.speaker_voice(12), speakers.speaker_voice(10)
    low_hz, high_hz = (speakers.speaker_pitch(speaker)["f0_level_hz"] for speaker in (12, 10))
    assert a.formant == b.formant and ratio_to_semitones(high_hz / low_hz) >= 10
    assert np.abs(np.subtract(a.timbre, b.timbre)).sum() >= 2


def test_continuous_styles_are_deterministic_in_range_and_cover_it():
    voices, pitches = speakers.continuous_voices(5), speakers.continuous_pitches(5)
    assert (len(voices), len(pitches)) == (96, 128)
    assert voices == speakers.continuous_voices(5) and pitches == speakers.continuous_pitches(5)
    assert voices != speakers.continuous_voices(6) and pitches != speakers.continuous_pitches(6)
    assert {v.formant for v in voices.values()} == set(speakers.FORMANTS)
    assert all(sum(v.timbre) == pytest.approx(1, abs=3e-4) and min(v.timbre) > -0.1 for v in voices.values())
    for name, (low, high) in {"f0_level_hz": speakers.F0_LEVEL_RANGE_HZ, "rate": speakers.RATE_RANGE}.items():
        values = np.array([pitch[name] for pitch in pitches.values()])
        assert low <= values.min() and values.max() <= high and np.ptp(values) > 0.8 * (high - low)


def test_a_voice_suits_levels_near_its_own():
    voice, levels = speakers.speaker_voice(1), [p["f0_level_hz"] for p in speakers.continuous_pitches(0).values()]
    near = [level_hz / voice.f0_level_hz for level_hz in levels if speakers.suits(voice, level_hz)]
    assert near and 0.6 < min(near) and max(near) < 1.6
    assert speakers.natural_f0_hz((0, 1, 0, 0, 0), 1.07) > speakers.natural_f0_hz((0, 1, 0, 0, 0), 1.0)


def test_mixed_factors_are_between_and_exact_at_the_ends(plain):
    other = speakers.Factors((1.0, 0.0, 0.0, 0.0, 0.0), plain.prosody, 1.07, 600.0, 0.2, 0.5, 4.0, nuance=((7, 0.4),))
    assert speakers.mix_factors(plain, other, 0.0) is plain and speakers.mix_factors(plain, other, 1.0) is other
    half = speakers.mix_factors(plain, other, 0.5)
    assert half.f0_level_hz == pytest.approx(300) and half.rate == pytest.approx(0.5**0.5)
    assert half.timbre == pytest.approx((0.5, 0.5, 0, 0, 0)) and half.energy_db == pytest.approx(2)
    assert half.nuance == ((7, 0.2),) and speakers.mix_factors(plain, plain, 0.3) == plain
