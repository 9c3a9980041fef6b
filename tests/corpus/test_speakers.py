import numpy as np
import pytest

from gradtts_interp.corpus.speakers import (
    F0_LEVEL_RANGE_HZ,
    FORMANTS,
    N_SPEAKERS,
    RATE_RANGE,
    Factors,
    bank_pitches,
    bank_voices,
    continuous_pitches,
    continuous_voices,
    mix_factors,
    natural_f0_hz,
    speaker_pitch,
    speaker_voice,
    suits,
)
from gradtts_interp.units import ratio_to_semitones


def test_sixteen_speakers_differ_and_suit_their_manners():
    voices = list(bank_voices().values())
    assert len(voices) == N_SPEAKERS == 16
    assert len({(v.timbre, v.formant) for v in voices}) == 16
    assert all(sum(v.timbre) == pytest.approx(1) and sum(v.prosody) == pytest.approx(1) for v in voices)
    assert all(suits(bank_voices()[key.partition("-")[0]], pitch) for key, pitch in bank_pitches().items())


def test_speakers_of_the_main_command_can_be_crossfaded_and_are_ten_semitones_apart():
    assert speaker_voice(12).formant == speaker_voice(10).formant
    assert ratio_to_semitones(speaker_pitch(10).f0_level_hz / speaker_pitch(12).f0_level_hz) >= 10
    assert np.abs(np.subtract(speaker_voice(12).timbre, speaker_voice(10).timbre)).sum() >= 2


def test_emotions_change_prosody():
    assert len(bank_pitches()) == 80
    neutral, surprise, sad = (speaker_pitch(3, e) for e in ("neutral", "surprise", "sad"))
    assert ratio_to_semitones(surprise.f0_level_hz / neutral.f0_level_hz) == pytest.approx(4.0, abs=1e-4)
    assert sad.f0_spread < neutral.f0_spread < surprise.f0_spread and sad.rate < 1 and sad.energy_db < 0


def test_continuous_styles_are_deterministic_in_range_and_cover_it():
    voices, pitches = continuous_voices(5), continuous_pitches(5)
    assert (len(voices), len(pitches)) == (96, 128)
    assert voices == continuous_voices(5) and pitches == continuous_pitches(5)
    assert voices != continuous_voices(6) and pitches != continuous_pitches(6)
    assert {v.formant for v in voices.values()} == set(FORMANTS)
    assert all(sum(v.timbre) == pytest.approx(1, abs=3e-4) and min(v.timbre) > -0.1 for v in voices.values())
    for name, (low, high) in {"f0_level_hz": F0_LEVEL_RANGE_HZ, "rate": RATE_RANGE}.items():
        values = np.array([getattr(p, name) for p in pitches.values()])
        assert low <= values.min() and values.max() <= high
        assert values.max() - values.min() > 0.8 * (high - low)


def test_a_voice_suits_levels_near_its_own():
    voice, pitches = speaker_voice(1), continuous_pitches(0)
    near = [p.f0_level_hz for p in pitches.values() if suits(voice, p)]
    assert near and max(near) < 1.6 * voice.f0_level_hz and min(near) > 0.6 * voice.f0_level_hz
    assert natural_f0_hz((0, 1, 0, 0, 0), 1.07) > natural_f0_hz((0, 1, 0, 0, 0), 1.0)


def test_mixed_factors_are_between_and_exact_at_the_ends(plain):
    other = Factors((1.0, 0.0, 0.0, 0.0, 0.0), plain.prosody, 1.07, 600.0, 0.2, 0.5, 4.0, nuance=((7, 0.4),))
    assert mix_factors(plain, other, 0.0) is plain and mix_factors(plain, other, 1.0) is other
    half = mix_factors(plain, other, 0.5)
    assert half.f0_level_hz == pytest.approx(300) and half.rate == pytest.approx(0.5**0.5)
    assert half.timbre == pytest.approx((0.5, 0.5, 0, 0, 0)) and half.energy_db == pytest.approx(2)
    assert half.nuance == ((7, 0.2),)
    assert mix_factors(plain, plain, 0.3) == plain
