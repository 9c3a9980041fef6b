"""What the shipped checkpoint must do, measured by Praat: a tracker that nothing inside the library uses."""

import numpy as np
import pytest

from gradtts_interp.interpolation import shares

TEXT = "Nobody remembered the name of the old grey lion."
FAST = {"num_inference_steps": 10, "solver": "unipc", "seed": 0}

parselmouth = pytest.importorskip("parselmouth")


def praat_f0_hz(speech, start=0.0, end=1.0):
    """Median F0 by Praat over a part of the utterance, given in relative time."""
    sound = parselmouth.Sound(speech.audio.astype(np.float64), speech.mel_config.sample_rate_hz)
    track = sound.to_pitch_ac(pitch_floor=60.0, pitch_ceiling=450.0).selected_array["frequency"]
    part = track[int(start * len(track)) : int(end * len(track))]
    assert (part > 0).mean() > 0.1, "hardly any voiced frame"
    return float(np.median(part[part > 0]))


def semitones(a_hz, b_hz):
    return abs(12 * np.log2(a_hz / b_hz))


def test_pitch_is_that_of_each_speaker_moves_in_time_and_stays_the_first_s_in_frequency(tts):
    styles = a, b = [tts.style(speaker=speaker) for speaker in (12, 10)]
    in_time = tts(TEXT, a, b, share=shares.ramp(0.2, 0.8), **FAST)
    fixed = {"durations": [in_time.durations.tolist()], **FAST}
    alone = of_a, of_b = [tts(TEXT, style, **fixed) for style in styles]
    for style, speech in zip(styles, alone, strict=True):
        assert semitones(praat_f0_hz(speech), float(np.exp(style.prosody[0]))) < 2
    first, last = (0.0, 0.3), (0.7, 1.0)
    assert semitones(praat_f0_hz(in_time, *first), praat_f0_hz(of_a, *first)) < 2
    assert semitones(praat_f0_hz(in_time, *last), praat_f0_hz(of_b, *last)) < 2
    assert praat_f0_hz(in_time, *last) > 1.3 * praat_f0_hz(in_time, *first)
    in_frequency = praat_f0_hz(tts(TEXT, a, b, share=shares.pitch(), **fixed))
    to_a, to_b = (semitones(in_frequency, praat_f0_hz(speech)) for speech in alone)
    assert to_b > 3 * to_a
