import numpy as np
import pytest

from gradtts_interp.corpus.flite import VOICES
from gradtts_interp.corpus.speakers import (
    EMOTIONS,
    F0_LEVEL_RANGE_HZ,
    F0_RANGE_RANGE,
    N_SPEAKERS,
    RATE_RANGE,
    WARP_RANGE,
    bank_pitches,
    bank_voices,
    continuous_pitches,
    continuous_voices,
    speaker_pitch,
    speaker_voice,
)
from gradtts_interp.errors import InputError
from gradtts_interp.units import ratio_to_semitones


def test_sixteen_speakers_are_four_bases_by_four_warps():
    voices = list(bank_voices().values())
    assert len(voices) == N_SPEAKERS == 16
    assert len({(v.base, v.warp) for v in voices}) == 16
    assert {v.base for v in voices} == set(VOICES)
    assert len({speaker_pitch(i).f0_level_hz for i in range(16)}) == 16


def test_speakers_of_the_main_command_differ_in_base_and_by_at_least_eight_semitones():
    assert speaker_voice(12).base != speaker_voice(10).base
    assert ratio_to_semitones(speaker_pitch(10).f0_level_hz / speaker_pitch(12).f0_level_hz) >= 8


def test_larger_warp_goes_with_higher_pitch_in_each_base():
    for base in VOICES:
        of_base = [i for i in range(N_SPEAKERS) if speaker_voice(i).base == base]
        own = sorted((speaker_voice(i).warp, speaker_pitch(i).f0_level_hz) for i in of_base)
        assert [level for _, level in own] == sorted(level for _, level in own)


def test_emotions_change_prosody_and_not_timbre():
    assert set(EMOTIONS) == {"neutral", "happy", "sad", "angry", "surprise"}
    neutral, surprise, sad = (speaker_pitch(3, e) for e in ("neutral", "surprise", "sad"))
    assert ratio_to_semitones(surprise.f0_level_hz / neutral.f0_level_hz) == pytest.approx(4.0)
    assert sad.f0_range < neutral.f0_range < surprise.f0_range
    assert sad.rate < 1 and sad.energy_db < 0
    assert len(bank_pitches()) == 80


def test_continuous_styles_are_deterministic_in_range_and_cover_it():
    voices, pitches = continuous_voices(5), continuous_pitches(5)
    assert (len(voices), len(pitches)) == (24, 48)
    assert voices == continuous_voices(5) and pitches == continuous_pitches(5)
    assert voices != continuous_voices(6) and pitches != continuous_pitches(6)
    assert all(WARP_RANGE[0] <= v.warp <= WARP_RANGE[1] for v in voices.values())
    for name, (low, high) in {
        "f0_level_hz": F0_LEVEL_RANGE_HZ,
        "f0_range": F0_RANGE_RANGE,
        "rate": RATE_RANGE,
    }.items():
        values = np.array([getattr(p, name) for p in pitches.values()])
        assert low <= values.min() and values.max() <= high
        assert values.max() - values.min() > 0.8 * (high - low)


def test_keys_carry_the_prefix():
    assert list(continuous_voices(0, n=2, prefix="h")) == ["h00", "h01"]
    assert list(continuous_pitches(0, n=2, prefix="q")) == ["q00", "q01"]


@pytest.mark.parametrize("speaker", [-1, 16])
def test_unknown_speaker_is_named(speaker):
    with pytest.raises(InputError, match=f"speaker {speaker}; expected 0 to 15"):
        speaker_voice(speaker)


def test_unknown_emotion_is_named():
    with pytest.raises(InputError, match="emotion 'bored'; expected one of"):
        speaker_pitch(0, "bored")
